// The second tab: weights of the gate's leaves for each site, as they were after each epoch.

import { percent, svg } from "./draw.js";

const [CELL, ROW, GAP] = [6, 30, 4];
const PAUSE = 700; // milliseconds between two epochs

/** Shows the recording of sites.json. */
export function startSites({ types, oracle, epochs }) {
  const get = (id) => document.getElementById(id);
  const [slider, play, sorted] = [get("epoch"), get("play"), get("sorted")];
  const byType = types.map((_, i) => i).sort((a, b) => types[a] - types[b] || a - b);
  slider.max = epochs.length - 1;

  const show = () => {
    const epoch = Number(slider.value);
    const { weights, accuracy, agreement } = epochs[epoch];
    const order = sorted.checked ? byType : types.map((_, i) => i);
    get("epoch-text").textContent = epoch;
    drawSites(get("sites"), weights, types, order, sorted.checked);
    drawCurves(get("curves"), epochs, oracle, epoch);
    get("sites-status").textContent =
      `Epoch ${epoch}: accuracy ${percent(accuracy)} on held-out rows. The adjusted Rand index ` +
      `of favourite leaf and hidden type is ${agreement.toFixed(2)}.`;
  };

  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  play.addEventListener("click", () => {
    if (timer !== null) return stop();
    if (slider.value === slider.max) slider.value = 0;
    play.textContent = "Pause";
    show();
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (slider.value === slider.max) stop();
    }, PAUSE);
  });
  slider.addEventListener("input", () => {
    if (timer !== null) stop();
    show();
  });
  sorted.addEventListener("change", show);
  show();
}

function drawSites(picture, weights, types, order, sorted) {
  const n = weights[0].length;
  const parts = [];
  let x = 0;
  const starts = [];
  order.forEach((site, i) => {
    if (sorted && (i === 0 || types[site] !== types[order[i - 1]])) {
      x += i === 0 ? 0 : GAP;
      starts.push([x, types[site]]);
    }
    weights[site].forEach((weight, leaf) => {
      const cell = { x, y: leaf * ROW, width: CELL - 0.6, height: ROW - 2, "fill-opacity": weight };
      parts.push(svg("rect", { ...cell, class: `turn-leaf-${leaf}` }));
    });
    x += CELL;
  });
  const below = n * ROW + 12;
  const names = sorted
    ? starts.map(([at, type]) => svg("text", { x: at, y: below }, `type ${type + 1}`))
    : [svg("text", { x: 0, y: below }, "sites in the order of their names")];
  picture.setAttribute("viewBox", `0 0 ${CELL * order.length + 3 * GAP} ${n * ROW + 18}`);
  const frame = { x: 0, y: 0, width: x, height: n * ROW - 2, class: "turn-frame" };
  picture.replaceChildren(svg("rect", frame), ...parts, ...names);
  picture.setAttribute("aria-label", describe(weights, types));
}

/** How many sites of each type have each leaf as their favourite. */
function describe(weights, types) {
  const sentences = [...new Set(types)].sort().map((type) => {
    const favourites = weights
      .filter((_, site) => types[site] === type)
      .map((row) => row.indexOf(Math.max(...row)) + 1);
    const counts = [...new Set(favourites)]
      .sort()
      .map((leaf) => `${favourites.filter((f) => f === leaf).length} prefer leaf ${leaf}`);
    return `Of the sites of type ${type + 1}, ${counts.join(", ")}.`;
  });
  return `Weights of the leaves for each site. ${sentences.join(" ")}`;
}

function drawCurves(picture, epochs, oracle, now) {
  const [left, width, top, height] = [34, 300, 8, 110];
  const x = (epoch) => left + (width * epoch) / (epochs.length - 1);
  const y = (value) => top + height * (1 - value);
  const line = (values, name) =>
    svg("polyline", {
      points: values.map((value, i) => `${x(i)},${y(Math.max(0, value))}`).join(" "),
      class: `turn-curve ${name}`,
    });
  const parts = [];
  for (const value of [0, 0.5, 1]) {
    parts.push(svg("path", { d: `M${left},${y(value)} h${width}`, class: "turn-grid" }));
    parts.push(svg("text", { x: left - 4, y: y(value) + 4, "text-anchor": "end" }, value));
  }
  parts.push(svg("path", { d: `M${left},${y(oracle)} h${width}`, class: "turn-oracle" }));
  parts.push(line(epochs.map((epoch) => epoch.agreement), "turn-agreement"));
  parts.push(line(epochs.map((epoch) => epoch.accuracy), "turn-accuracy"));
  parts.push(svg("path", { d: `M${x(now)},${top} v${height}`, class: "turn-now" }));
  const [right, end] = [left + width, { "text-anchor": "end" }];
  const last = epochs.at(-1).accuracy;
  parts.push(svg("text", { x: right, y: y(oracle) - 3, ...end }, "oracle"));
  parts.push(svg("text", { x: right, y: y(last) + 14, ...end }, "accuracy"));
  parts.push(svg("text", { x: left + width / 2, y: y(1) + 11 }, "adjusted Rand index"));
  parts.push(svg("text", { x: right, y: top + height + 14, ...end }, `epoch ${epochs.length - 1}`));
  picture.setAttribute("viewBox", `0 0 ${left + width + 6} ${top + height + 20}`);
  picture.replaceChildren(...parts);
}
