// The page "Turn a digit": from the visitor's controls to the models, and from these to the views.

import { fillTable, paint, percent } from "./draw.js";
import { binName, largest, loadModels, N_BINS, read, signed, UPRIGHT } from "./models.js";
import { startPad } from "./pad.js";
import { rotate } from "./rotate.js";
import { startSites } from "./sites.js";
import { startTabs } from "./tabs.js";
import { drawTree, voteRows } from "./tree.js";

const get = (id) => document.getElementById(id);
const QUIET = 500; // milliseconds without a change, after which a screen reader hears the answer

/** The first tab. `digits` is digits.json, and `answer` the function of the models. */
async function startDigits(digits, answer) {
  const images = digits.images.map((image) => Float32Array.from(image, (value) => value / 16));
  const state = { upright: null, writer: 0, shown: 0, timer: null };

  const update = async () => {
    const degrees = Number(get("angle").value);
    const turned = rotate(state.upright, degrees);
    const mine = ++state.shown;
    const outputs = await answer(turned);
    if (mine !== state.shown) return; // a newer image is on its way
    show(turned, degrees, outputs);
    clearTimeout(state.timer);
    state.timer = setTimeout(() => {
      get("digit-status").textContent = inWords(degrees, outputs);
    }, QUIET);
  };

  const choose = (image) => {
    state.upright = image;
    return update();
  };
  const chosenClass = () => Number(document.querySelector("#chooser input:checked")?.value ?? 3);
  const ofClass = (digit) => images.filter((_, i) => digits.classes[i] === digit);
  const chooseDigit = () => choose(ofClass(chosenClass())[state.writer]);

  fillChooser(ofClass, state, chooseDigit);
  fillAsIf(update);
  get("angle").addEventListener("input", update);
  get("another").addEventListener("click", () => {
    state.writer = (state.writer + 1) % ofClass(0).length;
    fillChooser(ofClass, state, chooseDigit);
    chooseDigit();
  });
  let clear = null;
  get("draw").addEventListener("click", () => {
    const open = get("pad-box").hidden;
    get("pad-box").hidden = !open;
    get("draw").setAttribute("aria-expanded", open);
    clear ??= startPad(get("pad"), (image) => {
      const checked = document.querySelector("#chooser input:checked");
      if (checked !== null) checked.checked = false;
      choose(image);
    });
    if (open) get("pad").focus();
  });
  get("clear").addEventListener("click", () => clear());
  await chooseDigit();
}

/** Ten radio buttons with a picture of each digit, by one of the writers. */
function fillChooser(ofClass, { writer }, changed) {
  const checked = document.querySelector("#chooser input:checked")?.value ?? "3";
  document.querySelectorAll("#chooser label").forEach((label) => label.remove());
  for (let digit = 0; digit < 10; digit++) {
    const label = document.createElement("label");
    const [input, canvas] = [document.createElement("input"), document.createElement("canvas")];
    Object.assign(input, { type: "radio", name: "digit", value: digit });
    input.checked = `${digit}` === checked;
    input.addEventListener("change", changed);
    Object.assign(canvas, { width: 8, height: 8 });
    canvas.setAttribute("aria-hidden", "true");
    paint(canvas, ofClass(digit)[writer]);
    label.append(input, canvas, `${digit}`);
    get("chooser").append(label);
  }
}

/** The angles that the gate can be given in place of the encoder's. */
function fillAsIf(changed) {
  for (let bin = 0; bin < N_BINS; bin++) {
    get("as-if").append(new Option(binName(bin), bin, bin === UPRIGHT, bin === UPRIGHT));
  }
  get("as-if").addEventListener("change", changed);
}

function show(turned, degrees, { angle, thin, asIf, baseline, ...inside }) {
  const bin = Number(get("as-if").value);
  get("angle-text").textContent = `${signed(degrees)}°`;
  get("angle").setAttribute("aria-valuetext", `${signed(degrees)} degrees`);
  get("as-if-name").textContent = `As if ${binName(bin)}`;
  paint(get("image"), turned);
  get("image").setAttribute("aria-label", `The digit, turned by ${signed(degrees)}°`);
  fillTable(get("encoder"), angle.map((value, i) => [binName(i), value]));
  fillTable(get("answers"), thin.map((value, i) => [i, baseline[i], value, asIf[bin][i]]));
  fillTable(get("votes"), voteRows(inside.weights, inside.votes), [1, 3]);
  drawTree(get("tree"), inside);
}

/** The state of the page in three sentences. */
function inWords(degrees, { angle, thin, asIf, baseline }) {
  const bin = Number(get("as-if").value);
  const vote = (proba) => `${largest(proba)} with ${percent(Math.max(...proba))}`;
  const recognised = binName(largest(angle));
  return (
    `Angle ${signed(degrees)} degrees; the encoder recognises ${recognised}. ` +
    `The baseline answers ${vote(baseline)}, and THIN ${vote(thin)}. ` +
    `As if ${binName(bin)}, THIN answers ${vote(asIf[bin])}.`
  );
}

/** Why the page cannot run its models, or null. */
function missing(runtime, digits) {
  const advice = "Build the site with “make -C docs html” where npm can download onnxruntime-web.";
  if (digits === null) return `This site was built without the models. ${advice}`;
  if (!runtime?.version) return `This site was built without the runtime of the models. ${advice}`;
  return null;
}

async function main() {
  const names = ["runtime.json", "digits.json", "sites.json"];
  const [runtime, digits, sites] = await Promise.all(names.map(read));
  const reason = missing(runtime, digits);
  startTabs(document.querySelector("#turn [role=tablist]"));
  if (sites !== null) startSites(sites);
  get("turn-message").textContent = reason ?? "";
  if (reason === null) await startDigits(digits, await loadModels());
  else get("panel-digit").replaceChildren(get("turn-message"));
  get("turn").dataset.ready = reason === null;
}

main().catch((error) => {
  get("turn-message").textContent = `The models do not run in this browser: ${error.message}`;
  throw error;
});
