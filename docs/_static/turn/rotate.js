// The rotation of sklearn_thin.datasets.make_rotated: bilinear, about the centre, 0 outside.

/** A square image (row by row), turned counter-clockwise by an angle in degrees. */
export function rotate(image, degrees) {
  const size = Math.sqrt(image.length);
  const radians = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(radians), Math.sin(radians)];
  const centre = (size - 1) / 2;
  const turned = new Float32Array(image.length);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [x, y] = [column - centre, row - centre];
      const fromColumn = cos * x - sin * y + centre;
      const fromRow = sin * x + cos * y + centre;
      turned[row * size + column] = bilinear(image, size, fromRow, fromColumn);
    }
  }
  return turned;
}

/** The value between the four pixels around a place. */
function bilinear(image, size, row, column) {
  const [top, left] = [Math.floor(row), Math.floor(column)];
  let value = 0;
  for (const r of [top, top + 1]) {
    for (const c of [left, left + 1]) {
      if (r < 0 || c < 0 || r >= size || c >= size) continue;
      value += image[r * size + c] * (1 - Math.abs(row - r)) * (1 - Math.abs(column - c));
    }
  }
  return value;
}
