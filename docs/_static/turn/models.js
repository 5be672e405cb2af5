// The encoder, THIN and the baseline, as ONNX graphs in onnxruntime-web.

const here = new URL(".", import.meta.url);
export const N_BINS = 9;
export const UPRIGHT = 4;

/** The content of a JSON file beside the page, or null without the file. */
export async function read(name) {
  const answer = await fetch(new URL(name, here));
  return answer.ok ? answer.json() : null;
}

/** The centre of a bin of the angle, in words. */
export function binName(bin) {
  const degrees = (bin - UPRIGHT) * (180 / N_BINS);
  return degrees === 0 ? "upright" : `${signed(degrees)}°`;
}

export function signed(degrees) {
  return degrees < 0 ? `−${-degrees}` : `${degrees}`;
}

/** Index of the greatest value. */
export function largest(values) {
  return values.indexOf(Math.max(...values));
}

/** Loads the graphs; returns a function from an image to all outputs. */
export async function loadModels() {
  const ort = await import(new URL("ort.wasm.min.mjs", here));
  ort.env.wasm.wasmPaths = here.href;
  ort.env.wasm.numThreads = 1;
  const [encoder, thin, baseline] = await Promise.all(
    ["encoder", "thin", "baseline"].map((name) =>
      ort.InferenceSession.create(new URL(`${name}.onnx`, here).href),
    ),
  );
  const tensor = (values, ...shape) => new ort.Tensor("float32", values, shape);
  return async (image) => {
    const X = tensor(image, 1, 8, 8);
    const angle = rows((await encoder.run({ X })).probabilities)[0];
    const outputs = await thin.run(asIf(tensor, image, angle));
    const inside = Object.fromEntries(
      Object.entries(outputs).map(([name, values]) => [name, rows(values)]),
    );
    return {
      angle,
      thin: inside.probabilities[0],
      asIf: inside.probabilities.slice(1), // one for each bin
      decisions: inside.decisions[0],
      weights: inside.weights[0],
      votes: rows(outputs.votes, 2)[0],
      baseline: rows((await baseline.run({ X })).probabilities)[0],
    };
  };
}

/** Inputs of THIN: the image with the encoder's angle, then with each bin as if it were sure. */
function asIf(tensor, image, angle) {
  const n = 1 + N_BINS;
  const [X, gate] = [new Float32Array(n * 64), new Float32Array(n * N_BINS)];
  gate.set(angle);
  for (let row = 0; row < n; row++) X.set(image, row * 64);
  for (let bin = 0; bin < N_BINS; bin++) gate[(bin + 1) * N_BINS + bin] = 1;
  return { X: tensor(X, n, 8, 8), angle: tensor(gate, n, N_BINS) };
}

/** A tensor as arrays of arrays, `depth` of them inside each other. */
function rows(tensor, depth = 1) {
  let values = Array.from(tensor.data);
  const sizes = tensor.dims.slice(1);
  for (const size of depth === 1 ? [sizes.reduce((a, b) => a * b)] : sizes.reverse()) {
    const cut = [];
    for (let i = 0; i < values.length; i += size) cut.push(values.slice(i, i + size));
    values = cut;
  }
  return values;
}
