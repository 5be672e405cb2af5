"""The tree of the gate as a picture: its reach, and the classes, levels and images of leaves."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import _num_samples

from sklearn_thin._environment import own_torch_state
from sklearn_thin.inspection._plot.axes import axes_for, matplotlib_for, shown
from sklearn_thin.inspection._tree import percent, read_tree
from sklearn_thin.rows.arrays import take

TREE_SHARE = 0.25  # of the width, at least
LETTER = 0.58  # mean width of a letter, of its height
SMALLEST = 6  # letters, in points


class GateTreeDisplay:
    """The tree of a gate, with the rows that come to each leaf: Figure 10 of the THIN paper.

    The root is on the left, and the leaves are rows of a table. The width of an edge is the share
    of the rows that take it. :meth:`from_estimator` makes it.

    Parameters
    ----------
    reach : ndarray of shape (2^(depth + 1) - 1,)
        Share of the rows that come to each node, level by level from the root, and to each leaf.
    leaves : list of str
        Names of the leaves, from left to right in the tree.
    y, levels : list of str, default=None
        Words on y and on the levels of the rows that come to each leaf.
    images : ndarray of shape (n_leaves, n_images, [channels,] height, width), default=None
        Images to show at each leaf.
    level_name : str, default="level"
        Name of the levels, such as "angle".

    Attributes
    ----------
    texts_ : dict of str to list of Text
        The columns of the table by their heads: "leaf", "y" and the name of the levels.
    node_texts_ : list of Text
        The reach of the nodes.
    images_ : list of OffsetImage
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    export_gate_text : The same as text.

    Examples
    --------
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import GateTreeDisplay
    >>> X, y = make_sites(n_samples=400, n_sites=4, return_X_y=True, as_frame=True, random_state=0)
    >>> thin = THINClassifier("site", depth=1, max_epochs=2, random_state=0).fit(X, y)
    >>> display = GateTreeDisplay.from_estimator(thin, X, y, levels=X["site"], level_name="site")
    >>> display.reach.shape
    (3,)
    """

    def __init__(self, reach, *, leaves, y=None, levels=None, images=None, level_name="level"):
        self.reach = reach
        self.leaves = leaves
        self.y = y
        self.levels = levels
        self.images = images
        self.level_name = level_name

    @classmethod
    @own_torch_state()
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        levels=None,
        images=None,
        n_images=3,
        exogenous=None,
        max_depth=5,
        level_name="level",
        ax=None,
    ):
        """Draw the tree of a fitted estimator on rows X.

        Parameters
        ----------
        estimator : THINClassifier or THINRegressor
            Fitted, or a Pipeline or a search around one.
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Classes or numbers of the rows.
        levels : array-like of shape (n_samples,), default=None
            The level of each row.
        images : array-like of shape (n_samples, [channels,] height, width), default=None
            Images of the rows. None takes X where the network reads images.
        n_images : int, default=3
            Images of each leaf: those that come there with the highest probability. 0 shows none.
        exogenous : array-like, label, dict or None, default=None
            As in `predict`.
        max_depth : int, default=5
            Levels of the tree that are shown; 32 leaves are legible.
        level_name : str, default="level"
            Name of the levels.
        ax : Axes, default=None
            None makes a new figure.

        Returns
        -------
        display : GateTreeDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        NotFittedError, TypeError, ValueError
            For an estimator that is not fitted or has no gate, for y, levels or images of another
            length than X, and for images of another shape.
        """
        matplotlib_for(f"{cls.__name__}.from_estimator")
        for name, value, least in (("n_images", n_images, 0), ("max_depth", max_depth, 1)):
            if not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name} must be an int of at least {least}, got {value!r}")
        if images is not None:
            images = check_images(images, _num_samples(X))
        how = {"exogenous": exogenous, "max_depth": max_depth}
        tree, rows = read_tree(estimator, X, y, levels, **how)
        best = np.argsort(-tree.weight, axis=0, kind="stable")[:n_images].T  # (n_ends, n_images)
        shape = rows.net.module_input_shape_
        if n_images and images is None and len(shape) == 3:
            images = rows.X
        picked = None
        if n_images and images is not None:
            picked = np.asarray(take(images, best.ravel()))
            shape = shape if images is rows.X else picked.shape[1:]
            picked = picked.reshape(*best.shape, *shape)
        words = {"y": tree.y, "levels": tree.levels, "images": picked}
        display = cls(tree.reach, leaves=tree.ends, level_name=level_name, **words)
        return display.plot(ax=ax)

    def plot(self, ax=None):
        """Draw the tree.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a new figure, whose height suits the number of leaves. Letters and images
            fit the axes as they are now: draw axes beside them first.

        Returns
        -------
        self : GateTreeDisplay
        """
        n_leaves = len(self.leaves)
        ax = axes_for(self, ax, figsize=(6.4, max(3.2, 0.2 * (n_leaves + 2))))
        ax.set_axis_off()
        ax.set(xlim=(0, 1), ylim=(n_leaves - 0.5, -1.5))  # a row for the head of the table
        self.figure_.draw_without_rendering()  # makes the layout, and so the sizes
        box = ax.get_window_extent()
        width, height = (72 * side / self.figure_.dpi for side in (box.width, box.height))  # pt
        size = min(0.9 * height / (n_leaves + 1), 30)  # of an image, in points
        end = 1 - self._draw_images(ax, size) / width
        ends = [
            f"{name} ({percent(share)})"
            for name, share in zip(self.leaves, self.reach[-n_leaves:], strict=True)
        ]
        columns = {"leaf": ends, "y": self.y, self.level_name: self.levels}
        columns = {head: words for head, words in columns.items() if words is not None}
        left, font = self._draw_table(ax, columns, end, width, min(9, 0.75 * height / n_leaves))
        self._draw_tree(ax, left - 0.015, font)
        return self

    def _draw_images(self, ax, size):
        """Draw the images at the right edge; their width in points."""
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage

        self.images_ = []
        if self.images is None:
            return 0
        low, high = np.min(self.images), np.max(self.images)
        for row, images in enumerate(self.images):
            strip = strip_of(images, low, high)
            image = OffsetImage(strip, zoom=size / strip.shape[0], cmap="gray")
            where = {"frameon": False, "box_alignment": (1, 0.5), "pad": 0}
            ax.add_artist(AnnotationBbox(image, (1, row), **where))
            self.images_.append(image)
        return size * strip.shape[1] / strip.shape[0] + 4

    def _draw_table(self, ax, columns, end, width, font):
        """Draw the columns in front of `end`; their left edge, and the size of the letters."""
        room = (end - TREE_SHARE) * width / LETTER  # in points
        lengths = [max(map(len, (head, *words))) for head, words in columns.items()]
        most = longest_of(lengths, room / SMALLEST - 2 * len(lengths))
        short = {
            head: [shown(head, most), *(whole_items(word, most) for word in words)]
            for head, words in columns.items()
        }
        letters = [max(map(len, words)) for words in short.values()]
        font = max(SMALLEST, min(font, room / (sum(letters) + 2 * len(letters))))
        self.texts_, x = dict.fromkeys(columns), end
        for (head, words), wide in reversed(list(zip(short.items(), letters, strict=True))):
            x -= (wide + 2) * font * LETTER / width
            how = {"va": "center", "fontsize": font}
            ax.text(x, -1, words[0], weight="bold", **how)
            self.texts_[head] = [ax.text(x, row, word, **how) for row, word in enumerate(words[1:])]
        return x, font

    def _draw_tree(self, ax, width, font):
        """Draw nodes and edges on the left part of this width."""
        n_leaves = len(self.leaves)
        depth, self.node_texts_ = n_leaves.bit_length() - 1, []
        for level in range(depth + 1):
            of_level = range(2**level - 1, 2 ** (level + 1) - 1)
            step = n_leaves / 2**level
            for i, node in enumerate(of_level):
                x, y = self._x(level, depth, width), (i + 0.5) * step - 0.5
                if level:
                    above = self._x(level - 1, depth, width), (i // 2 + 0.5) * 2 * step - 0.5
                    share = self.reach[node]
                    ax.plot(
                        [above[0], x],
                        [above[1], y],
                        color="0.65",
                        zorder=0,
                        linewidth=0.5 + 7 * share,
                        solid_capstyle="round",
                    )
                if level < depth:
                    paper = {"facecolor": "white", "edgecolor": "0.65", "pad": 1.2}
                    words = percent(self.reach[node])
                    how = {"ha": "center", "va": "center", "fontsize": min(font, 8)}
                    self.node_texts_.append(ax.text(x, y, words, bbox=paper, **how))

    @staticmethod
    def _x(level, depth, width):
        """Place of a level of the tree, from 0 to 1."""
        return 0.03 + (width - 0.03) * level / depth


def longest_of(lengths, room):
    """Letters that the longest columns may keep, so that all columns have `room` letters."""
    longest = max(lengths)
    while longest > 1 and sum(min(length, longest) for length in lengths) > room:
        longest -= 1
    return longest


def whole_items(words, most):
    """The first items of a list in words that have at most `most` letters together."""
    while len(words) > most and ", " in words:
        words = words.rpartition(", ")[0]
    return shown(words, most)


def check_images(images, n_samples):
    """Images (n_samples, height, width) or (n_samples, 1 or 3 channels, height, width)."""
    images = np.asarray(images)
    right = images.ndim in (3, 4) and (images.ndim == 3 or images.shape[1] in (1, 3))
    if not right or len(images) != n_samples:
        raise ValueError(
            "images must have shape (n_samples, height, width), or (n_samples, channels, height, "
            f"width) with 1 or 3 channels, and one for each of the {n_samples} rows of X, got "
            f"shape {images.shape}"
        )
    return images


def strip_of(images, low, high):
    """Images side by side, in grey (height, width) or in colour (height, width, 3)."""
    images = (images - low) / max(high - low, np.finfo(float).tiny)
    if images.ndim == 4:  # (n, channels, height, width)
        coloured = images.shape[1] == 3
        images = np.moveaxis(images, 1, 3) if coloured else images.mean(1)
    gap = np.ones((images.shape[1], max(1, images.shape[2] // 10), *images.shape[3:]))
    parts = [part for image in images for part in (gap, image)]
    return np.concatenate(parts, axis=1)
