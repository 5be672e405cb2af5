"""Points that have the colours and markers of their labels."""

import numpy as np

from sklearn_thin.inspection._plot.axes import SEQUENTIAL, colour_and_marker, shown
from sklearn_thin.inspection._reading import as_numbers

NAMED, NUMBERED = 20, 10  # labels and numbers in a legend; more get a scale of colours


def draw_labelled(ax, x, y, codes, *, labels, label_name, cmap=SEQUENTIAL, **how):
    """Draw points by label, with a legend or a scale of colours; a list of PathCollection.

    `labels` are the different labels in their order, and `codes` the place of each point's label.
    """
    n_labels, numbers = len(labels), as_numbers(labels)
    how = {"linewidths": 0, **how}
    if n_labels > (NAMED if numbers is None else NUMBERED):
        colours = codes if numbers is None else numbers[codes]
        scatters = [ax.scatter(x, y, c=colours, cmap=cmap, **how)]
        bar = ax.figure.colorbar(scatters[0], ax=ax, label=label_name)
        if numbers is None:
            ticks = np.linspace(0, n_labels - 1, 7).astype(int)
            bar.set_ticks(ticks, labels=[shown(labels[i]) for i in ticks])
        return scatters
    scatters = []
    for code, label in enumerate(labels):
        colour, marker = colour_and_marker(code)
        mine = codes == code
        look = {"color": colour, "marker": marker, "label": shown(label)}
        scatters.append(ax.scatter(x[mine], y[mine], **look, **how))
    legend = {"title": label_name, "loc": "upper left", "bbox_to_anchor": (1, 1)}
    ax.legend(**legend, fontsize="small", markerscale=1.5, frameon=False)
    return scatters
