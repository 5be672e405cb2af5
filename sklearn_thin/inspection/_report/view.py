"""The report as a table, text, HTML and a figure."""

from html import escape
from importlib.util import find_spec

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._optional_dependencies import check_matplotlib_support

from sklearn_thin.inspection._report.models import POOLED
from sklearn_thin.inspection._report.ratios import CONFIDENCE, compare

COLUMNS = {  # of the text and the HTML: heading -> format
    "model": "{}",
    "error": "{:.3f}",
    "error_ratio": "{:.2f} [{:.2f}, {:.2f}]",
    "loss": "{:.3f}",
    "loss_ratio": "{:.2f} [{:.2f}, {:.2f}]",
}
ENDS = ("low", "high")
LEAST = 0.01  # ratio in the figure
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
BLUE, ORANGE = "#0072B2", "#D55E00"  # told apart without red and green (Okabe and Ito)


def table_of(scores, groups):
    """A row for each model: mean error and loss, and their ratios to the pooled network."""
    columns = {"model": np.array(list(scores.losses), dtype=object)}
    for name, results in (("error", scores.errors), ("loss", scores.losses)):
        ratios = [compare(values, results[POOLED], groups) for values in results.values()]
        columns[name] = np.array([values.mean() for values in results.values()])
        columns[f"{name}_ratio"] = np.array([found.ratio for found in ratios])
        columns[f"{name}_low"] = np.array([found.low for found in ratios])
        columns[f"{name}_high"] = np.array([found.high for found in ratios])
    if find_spec("pandas") is None:
        return Bunch(**columns)
    from pandas import DataFrame

    return DataFrame(columns)


class NuisanceReport(Bunch):
    """The Bunch of :func:`nuisance_report`, with a text, an HTML form and a figure.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the figure, after `plot`.
    figure_ : matplotlib Figure
        The figure, after `plot`.
    """

    def __repr__(self):
        cells = [list(COLUMNS), *self._cells()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
        return "\n".join([f"{self.advice}: {self.reason}", "", *lines, "", *self._notes()])

    __str__ = __repr__

    def _repr_html_(self):
        head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in COLUMNS)
        rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in self._cells()]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        notes = "".join(f"<li>{escape(note)}</li>" for note in self._notes())
        return (
            f"<p><b>{escape(self.advice)}</b>: {escape(self.reason)}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><ul>{notes}</ul>"
        )

    def _cells(self):
        """Text of each cell."""
        for i in range(len(self.table["model"])):
            values = {name: [self.table[name][i]] for name in COLUMNS}
            for name in ("error", "loss"):
                values[f"{name}_ratio"] += [self.table[f"{name}_{end}"][i] for end in ENDS]
            yield [text.format(*values[name]) for name, text in COLUMNS.items()]

    def _notes(self):
        """A line for each of the other findings."""
        read = "numbers" if self.n_classes is None else f"{self.n_classes} classes"
        notes = [
            f"y is read as {read}",
            f"ratios are to the pooled network, with {CONFIDENCE:.0%} intervals, of "
            f"{self.n_repeats} x {self.n_splits} folds; {self.measures}",
        ]
        if self.recognition is not None:
            found = self.recognition
            kept = ""
            if found.kept > 0:
                kept = f"; a gate by it has {found.kept:.0%} of the gain of the known z"
            elif found.kept <= 0:
                kept = "; a gate by it has none of the gain of the known z"
            notes.append(
                f"an encoder recognises z with accuracy {found.accuracy:.3f}, by chance "
                f"{found.chance:.3f}{kept}"
            )
        if self.drift is not None:
            shown = self.drift.high < 1 and self.drift.ratio <= 1 - self.min_gain
            changes = "changes" if shown else "is not shown to change"
            notes.append(
                f"the relation of X and y {changes} with z: slopes by level make {self.drift} of "
                "the loss of slopes by shuffled levels"
            )
        return notes

    def plot(self, ax=None):
        """Plot the ratios of the losses, with their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.

        Returns
        -------
        self : NuisanceReport
            With `ax_` and `figure_`.
        """
        check_matplotlib_support("nuisance_report(...).plot")
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
        names = list(self.table["model"])
        low, ratio, high = (
            np.asarray(self.table[f"loss_{end}"], float) for end in ("low", "ratio", "high")
        )
        for i, name in enumerate(names):
            colour = ORANGE if high[i] < 1 else BLUE
            ax.plot([max(low[i], LEAST), high[i]], [i, i], color=colour, lw=2)
            ax.plot(ratio[i], i, "o" if high[i] < 1 else "s", color=colour, label=name)
        ax.axvline(1, color="0.5", lw=1, zorder=0)
        ax.set_xscale("log")
        ax.set_xticks([tick for tick in TICKS if ax.get_xlim()[0] < tick < ax.get_xlim()[1]])
        ax.xaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
        ax.set(
            yticks=range(len(names)),
            yticklabels=names,
            xlabel="loss, as a share of the pooled network's",
            title=f"advice: {self.advice}",
        )
        ax.invert_yaxis()
        vars(self).update(ax_=ax, figure_=ax.figure)  # no entries of the Bunch
        return self
