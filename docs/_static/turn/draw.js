// Small helpers: SVG elements, tables of bars, and images on a canvas.

/** A new SVG element with attributes and, for text, a content. */
export function svg(name, attributes = {}, text = null) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

export function percent(value) {
  return `${Math.round(100 * value)} %`;
}

/** Rows of a table: [name, ...cells]; numbers become bars, and the greatest of a column is bold. */
export function fillTable(table, rows, bars = rows[0].keys()) {
  const withBars = new Set(bars);
  const best = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i])));
  const filled = rows.map(([name, ...cells]) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    cells.forEach((value, i) => {
      const cell = row.insertCell();
      if (!withBars.has(i + 1)) {
        cell.textContent = value;
        return;
      }
      const data = document.createElement("data");
      data.value = value;
      data.textContent = percent(value);
      cell.style.setProperty("--share", value);
      cell.className = value === best[i + 1] ? "turn-best" : "";
      cell.append(data);
    });
    return row;
  });
  table.tBodies[0].replaceChildren(...filled);
}

/** Grey values in [0, 1] on a square canvas of as many pixels, white ink on black. */
export function paint(canvas, image) {
  const pixels = new ImageData(canvas.width, canvas.height);
  image.forEach((value, i) => {
    const grey = Math.round(255 * value);
    pixels.data.set([grey, grey, grey, 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}
