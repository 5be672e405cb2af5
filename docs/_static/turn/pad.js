// The drawing pad: strokes become an image of 8 × 8 grey values, as scikit-learn's digits are.

const INK = 4; // width of the pen, in pixels of the 32 × 32 bitmap that the digits are made of
const STEP = 0.05; // of the keyboard's pen, as a share of the pad

/** Lets the visitor draw on a pad; `changed` gets the image after each stroke. */
export function startPad(pad, changed) {
  const canvas = pad.querySelector("canvas");
  const pen = { x: 0.5, y: 0.5, down: false, shown: false };
  let strokes = [];

  const redraw = () => {
    const context = canvas.getContext("2d");
    context.fillRect(0, 0, canvas.width, canvas.height);
    stroke(context, strokes, { scale: canvas.width, x: 0, y: 0 }, (INK / 32) * canvas.width);
    if (pen.shown) {
      context.fillStyle = pen.down ? "#ffb000" : "#808080";
      context.fillRect(pen.x * canvas.width - 3, pen.y * canvas.height - 3, 6, 6);
      context.fillStyle = "#000000";
    }
  };
  const add = (x, y) => strokes.at(-1).push([x, y]);
  const report = () => changed(toImage(strokes));

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    pen.shown = false;
    strokes.push([place(event)]);
    redraw();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!pad.hasPointerCapture(event.pointerId)) return;
    add(...place(event));
    redraw();
  });
  pad.addEventListener("pointerup", report);

  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  pad.addEventListener("keydown", (event) => {
    if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) strokes.push([[pen.x, pen.y]]);
    } else if (event.key in moves) {
      const [x, y] = moves[event.key];
      pen.x = Math.min(1, Math.max(0, pen.x + STEP * x));
      pen.y = Math.min(1, Math.max(0, pen.y + STEP * y));
      if (pen.down) add(pen.x, pen.y);
    } else return;
    event.preventDefault();
    pen.shown = true;
    redraw();
    if (strokes.length) report();
  });

  redraw();
  return () => {
    strokes = [];
    pen.down = false;
    redraw();
  };
}

/** Ink in each of 8 × 8 blocks of a bitmap that the digit fills. */
function toImage(strokes) {
  const points = strokes.flat();
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const scale = (32 - INK) / Math.max(width, height, 0.1);
  const at = { scale, x: 16 - scale * (left + width / 2), y: 16 - scale * (top + height / 2) };
  const bitmap = new OffscreenCanvas(32, 32).getContext("2d");
  bitmap.fillRect(0, 0, 32, 32);
  stroke(bitmap, strokes, at, INK);
  const { data } = bitmap.getImageData(0, 0, 32, 32);
  const image = new Float32Array(64);
  for (let row = 0; row < 32; row++) {
    for (let column = 0; column < 32; column++) {
      const ink = data[4 * (32 * row + column)] / 255;
      image[8 * Math.floor(row / 4) + Math.floor(column / 4)] += ink / 16;
    }
  }
  return image;
}

function stroke(context, strokes, { scale, x, y }, width) {
  Object.assign(context, { strokeStyle: "#ffffff", lineWidth: width });
  Object.assign(context, { lineCap: "round", lineJoin: "round" });
  for (const points of strokes) {
    context.beginPath();
    const [first, ...others] = points.map(([a, b]) => [scale * a + x, scale * b + y]);
    context.moveTo(...first);
    for (const point of others.length ? others : [first]) context.lineTo(...point);
    context.stroke();
  }
}
