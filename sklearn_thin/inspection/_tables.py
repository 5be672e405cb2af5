"""Reports of numbers: a frame, a text and JSON of the same rows."""

import json

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._optional_dependencies import check_pandas_support

from sklearn_thin.rows.labels import plain_labels


class TableReport(Bunch):
    """Numbers by name, and `rows`, a list of dicts: one row of the table each.

    A subclass has a `heading`, the lines above the table of the text.
    """

    heading = ""

    @property
    def table(self):
        """The rows as a pandas DataFrame."""
        return check_pandas_support("table").DataFrame(self.rows)

    def to_json(self, **options):
        """JSON text of all numbers; `options` are those of `json.dumps`."""
        return json.dumps(plain(dict(self)), **{"allow_nan": False, **options})

    def __str__(self):
        return "\n".join([*self.heading.splitlines(), "", *lines(self.rows)])

    __repr__ = __str__


def names_of(levels):
    """Labels of levels as a report has them: of types other than numbers and text, their text."""
    if levels.dtype.str.endswith("[ns]"):  # whose objects are ints
        levels = levels.astype(levels.dtype.str.replace("ns", "us"))
    if plain_labels(levels) is levels:
        return levels.tolist()
    return [str(level) for level in levels.tolist()]


def plain(value):
    """Numbers, text, lists and dicts, as JSON has them; None for NaN."""
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def lines(rows):
    """The rows of a table as lines of aligned text."""
    names = [name for name, value in rows[0].items() if not isinstance(value, dict)]
    cells = [names, *([cell(row[name]) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numbers = [isinstance(rows[0][name], (float, np.floating, int)) for name in names]
    return [
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in cells
    ]


def cell(value):
    """A value as the text of a cell."""
    if isinstance(value, (float, np.floating)):
        common = value == 0 or 1e-3 <= abs(value) < 1e5
        return "–" if np.isnan(value) else f"{value:.3f}" if common else f"{value:.2g}"
    return str(value)
