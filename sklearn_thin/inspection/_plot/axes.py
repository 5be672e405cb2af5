"""Shared by the displays: matplotlib when it is needed, colours, ticks that do not overlap."""

import numpy as np

# Okabe and Ito's palette, without the yellow, since it is faint on white
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SEQUENTIAL = "cividis"  # the same for all kinds of colour vision


def matplotlib_for(name):
    """matplotlib.pyplot; ImportError with the way to install it, where it is missing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f"{name} needs matplotlib: pip install 'sklearn-thin[plot]'") from error
    return plt


class Display:
    """A display whose `plot` needs nothing but axes; subclasses draw."""

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a new figure. Make your own with `layout="constrained"`.

        Returns
        -------
        self : display
        """
        self._draw(axes_for(self, ax))
        return self


def axes_for(display, ax, figsize=None):
    """The axes to draw on, of a new figure if `ax` is None; notes them in the display."""
    plt = matplotlib_for(f"{type(display).__name__}.plot")
    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def colour_and_marker(place):
    """Colour and marker of a category; 49 pairs differ."""
    return COLOURS[place % len(COLOURS)], MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]


def label_ticks(axis, labels, most=20):
    """Label ticks 0, 1, ... of an axis; more than `most` in small letters, or every second, ..."""
    step = int(np.ceil(len(labels) / (1.7 * most)))
    axis.set_ticks(range(0, len(labels), step), [shown(label) for label in labels[::step]])
    axis.set_tick_params(labelsize=7 if len(labels) > most else None)


def shown(label, most=16):
    """A label as text of at most `most` letters. The middle gives way, as names differ at ends."""
    text = str(label)
    start = most // 2
    return text if len(text) <= most else f"{text[:start]}…{text[len(text) - most + start + 1 :]}"


def legend_above(ax, **how):
    """A legend above the axes, where it hides nothing."""
    where = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    ax.legend(**where, alignment="left", frameon=False, **how)
