// The tree of the gate: probabilities flow from the root to the leaves, and experts vote below.

import { percent, svg } from "./draw.js";
import { largest } from "./models.js";

const [LEAF, LEVEL, TOP, BOX, MARGIN] = [45, 58, 10, 42, 12]; // sizes in units of the picture

/** Draws the tree anew. Nodes are numbered level by level; `decisions` are those to the left. */
export function drawTree(picture, { decisions, weights, votes }) {
  const depth = Math.log2(weights.length);
  const [lines, marks] = [[], []];
  const visit = (level, place, reached) => {
    const here = position(level, place, depth);
    if (level === depth) {
      marks.push(...leaf(here, weights[place], votes[place]));
      return;
    }
    const left = decisions[2 ** level - 1 + place];
    for (const [side, share] of [left, 1 - left].entries()) {
      const child = 2 * place + side;
      lines.push(branch(here, position(level + 1, child, depth), reached * share));
      visit(level + 1, child, reached * share);
    }
    marks.push(svg("circle", { cx: here.x, cy: here.y, r: 5, class: "turn-node" }));
    const beside = { x: here.x - 9, y: here.y + 4, class: "turn-share" }; // lines pass above and below
    marks.push(svg("text", beside, `← ${percent(left)}`));
  };
  visit(0, 0, 1);
  const [width, height] = [LEAF * weights.length, TOP + LEVEL * depth + BOX];
  picture.setAttribute("viewBox", `${-MARGIN} 0 ${width + MARGIN} ${height}`);
  picture.setAttribute("aria-label", describe(weights, votes));
  picture.replaceChildren(...lines, ...marks);
}

/** Rows of the table of votes: expert, weight, digit, probability of the digit. */
export function voteRows(weights, votes) {
  return votes.map((vote, i) => [i + 1, weights[i], largest(vote), Math.max(...vote)]);
}

function describe(weights, votes) {
  const order = weights.map((_, i) => i).sort((a, b) => weights[b] - weights[a]);
  const named = order
    .slice(0, 3)
    .map((i) => `expert ${i + 1} has ${percent(weights[i])} and votes ${largest(votes[i])}`);
  return `The gate's tree with eight leaves. The largest weights: ${named.join("; ")}.`;
}

function position(level, place, depth) {
  const width = LEAF * 2 ** (depth - level);
  return { x: width * (place + 0.5), y: TOP + LEVEL * level };
}

function branch(from, to, share) {
  const middle = (from.y + to.y) / 2;
  return svg("path", {
    d: `M${from.x},${from.y} C${from.x},${middle} ${to.x},${middle} ${to.x},${to.y}`,
    class: "turn-branch",
    "stroke-width": 1 + 15 * share,
  });
}

function leaf({ x, y }, weight, vote) {
  const box = { x: x - LEAF / 2 + 2, y, width: LEAF - 4, height: BOX - 2, rx: 4 };
  return [
    svg("rect", { ...box, class: "turn-leaf" }),
    svg("rect", { ...box, class: "turn-leaf-weight", "fill-opacity": 0.45 * weight }),
    svg("text", { x, y: y + 18, class: "turn-vote" }, largest(vote)),
    svg("text", { x, y: y + 33 }, percent(weight)),
  ];
}
