"""Histograms that lie over one another."""

import numpy as np

from sklearn_thin.inspection._plot.axes import COLOURS


def draw_histogram(ax, values, edges, label):
    """Draw the shares of values in bins, in the next colour of the axes; the patch."""
    counts, _ = np.histogram(values, edges)
    drawn = sum(hasattr(patch, "get_data") for patch in ax.patches)
    colour = COLOURS[drawn % len(COLOURS)]
    style = ("-", "--", ":", "-.")[drawn % 4]  # tells them apart without colours
    how = {"edgecolor": colour, "facecolor": (colour, 0.25), "linestyle": style, "linewidth": 1.5}
    return ax.stairs(counts / max(len(values), 1), edges, fill=True, label=label, **how)
