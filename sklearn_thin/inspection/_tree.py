"""The tree of a gate on rows: reach of nodes and leaves, and who comes there; as text."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _num_samples

from sklearn_thin._arguments import validated
from sklearn_thin._environment import own_torch_state
from sklearn_thin.inspection._gate import gate_importances
from sklearn_thin.inspection._reading import read_gate, read_levels
from sklearn_thin.rows.labels import encode_labels
from sklearn_thin.rows.numbers import check_numbers

MOST = 3  # classes and levels that are named


@dataclass
class GateTree:
    """The first levels of a gate's tree. Ends are its leaves, or nodes where the tree is cut."""

    depth: int  # levels that are shown
    ends: list  # names of the ends, from left to right
    reach: np.ndarray  # share of the rows that come to each node, and then to each end
    weight: np.ndarray  # probability that a row comes to each end, (n_samples, n_ends)
    y: list  # words on y for each end, or None
    levels: list  # words on the levels for each end, or None

    @property
    def end_reach(self):
        """Share of the rows that come to each end."""
        return self.reach[2**self.depth - 1 :]


def read_tree(estimator, X, y=None, levels=None, *, exogenous=None, max_depth=5):
    """The tree of a fitted estimator, and the rows as its network reads them."""
    rows = read_gate(estimator, X, exogenous)
    n, net = _num_samples(rows.X), rows.net
    if levels is not None:
        names, codes = read_levels(levels, n)
    if y is not None and is_classifier(net):
        classes, y = encode_labels(y, n, known=net.classes_)
    elif y is not None and len(y := check_numbers(y, "y")) != n:
        raise ValueError(f"y must have one number for each of the {n} rows of X, got {len(y)}")
    depth, reach = min(rows.depth, max_depth), rows.reach()
    weight = reach[:, 2**depth - 1 : 2 ** (depth + 1) - 1]
    cut = depth < rows.depth
    ends = [f"node {2**depth - 1 + i}" if cut else f"leaf {i}" for i in range(2**depth)]
    of_y = None
    if y is not None:
        of_y = shares(weight, y, classes) if is_classifier(net) else means(weight, y)
    of_levels = None if levels is None else shares(weight, codes, names)
    mean_reach = reach[:, : 2 ** (depth + 1) - 1].mean(0)
    return GateTree(depth, ends, mean_reach, weight, of_y, of_levels), rows


def shares(weight, codes, labels):
    """Words on the most frequent labels of each end, such as "3 (40 %), 8 (31 %)"."""
    found = weight.T @ np.eye(len(labels))[codes]  # (n_ends, n_labels)
    found /= np.maximum(found.sum(1, keepdims=True), np.finfo(float).tiny)
    words = []
    for share in found:
        best = [i for i in np.argsort(-share, kind="stable")[:MOST] if share[i] >= 0.005]
        words.append(", ".join(f"{labels[i]} ({percent(share[i])})" for i in best))
    return words


def means(weight, y):
    """Words on the mean of y in each end."""
    y = y.reshape(len(y), -1)
    found = weight.T @ y / np.maximum(weight.sum(0), np.finfo(float).tiny)[:, None]
    return [f"mean {', '.join(f'{value:.3g}' for value in mean)}" for mean in found]


def percent(share):
    """A share as text."""
    return f"{100 * share:.0f} %"


@validated(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "max_depth": [Interval(Integral, 1, 12, closed="both")],
        "spacing": [Interval(Integral, 1, None, closed="left")],
    }
)
@own_torch_state()
def export_gate_text(estimator, X, y=None, *, levels=None, exogenous=None, max_depth=5, spacing=3):
    """The tree of the gate as text, in the manner of :func:`sklearn.tree.export_text`.

    Each node and leaf has the share of the rows that come there. A node names the features of the
    gate's input that turn it most, as :func:`gate_importances` has them. A leaf names the most
    frequent classes, or the mean of y, and the most frequent levels.

    Parameters
    ----------
    estimator : THINClassifier or THINRegressor
        Fitted, or a Pipeline or a search around one.
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Classes or numbers of the rows.
    levels : array-like of shape (n_samples,), default=None
        The level of each row.
    exogenous : array-like, label, dict or None, default=None
        As in `predict`.
    max_depth : int, default=5
        Levels of the tree that are shown, 1 to 12.
    spacing : int, default=3
        Spaces between edges.

    Returns
    -------
    str

    Raises
    ------
    NotFittedError, TypeError, ValueError
        For an estimator that is not fitted or has no gate, and for y or levels of another length
        than X.

    Examples
    --------
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import export_gate_text
    >>> X, y = make_sites(n_samples=400, n_sites=4, return_X_y=True, as_frame=True, random_state=0)
    >>> thin = THINClassifier("site", depth=1, max_epochs=2, random_state=0).fit(X, y)
    >>> print(export_gate_text(thin, X, y))
    |--- node 0, 100 %: left for ...; right for ...
    |   |--- leaf 0, ... %: ...
    |   |--- leaf 1, ... %: ...
    """
    tree, _ = read_tree(estimator, X, y, levels, exogenous=exogenous, max_depth=max_depth)
    turns, lines = turn_words(gate_importances(estimator, X, exogenous=exogenous)), []

    def write(node, level):
        edge = f"{'|' + ' ' * spacing}" * level + "|" + "-" * spacing
        share, end = percent(tree.reach[node]), node - (2**tree.depth - 1)
        if end < 0:
            lines.append(f"{edge} node {node}, {share}: {turns[node]}")
            write(2 * node + 1, level + 1)
            write(2 * node + 2, level + 1)
        else:
            columns = (("y", tree.y), ("levels", tree.levels))
            words = [f"{head} {part[end]}" for head, part in columns if part is not None]
            lines.append(f"{edge} {tree.ends[end]}, {share}: {'; '.join(words)}".rstrip(": "))

    write(0, 0)
    return "\n".join(lines) + "\n"


def turn_words(turned):
    """For each node the features that turn it most to either side."""
    words = []
    for importance, direction in zip(turned.importances, turned.direction, strict=True):
        sides = []
        for side, sign in (("left", 1), ("right", -1)):
            of_side = np.where(direction == sign, importance, 0)
            best = [i for i in np.argsort(-of_side, kind="stable")[:2] if of_side[i] > 0]
            if best:
                sides.append(f"{side} for {', '.join(turned.feature_names[best])}")
        words.append("; ".join(sides) or "no feature varies")
    return words
