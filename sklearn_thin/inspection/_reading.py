"""A fitted estimator as inspection reads it: its network, its gate on rows, levels of rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import entropy

from sklearn_thin._base import BaseNet
from sklearn_thin._thin import BaseTHIN
from sklearn_thin.persistence.agreement import split
from sklearn_thin.rows.arrays import read_dataset
from sklearn_thin.rows.labels import encode_labels


@dataclass
class Rows:
    """The network inside an estimator, and rows as the network reads them."""

    net: BaseNet
    X: Any
    given: dict  # `exogenous=` of its methods, if any

    @property
    def depth(self):
        """D of the fitted tree."""
        return self.net.module_.gate.depth

    def reach(self):
        """Probability that a row reaches each node and leaf: (n_samples, 2^(D + 1) - 1).

        Nodes come level by level from the root, and leaves last.
        """
        left = self.net.decision_path(self.X, **self.given).astype(np.float64)
        levels = [np.ones((len(left), 1))]
        for level in range(self.depth):
            d = left[:, 2**level - 1 : 2 ** (level + 1) - 1]
            both = np.stack([d, 1 - d], axis=2) * levels[-1][:, :, None]  # (n, 2^level, 2)
            levels.append(both.reshape(len(left), -1))
        return np.concatenate(levels, axis=1)

    def leaf_proba(self):
        """Probability of each leaf, μ: (n_samples, 2^D)."""
        return self.reach()[:, 2**self.depth - 1 :]


def read_fitted(estimator):
    """Leading steps of a Pipeline or None, and the network, of a fitted estimator."""
    return split(estimator, of_ensemble="pass one of estimators_")


def read_net(estimator, X, exogenous=None):
    """The network of a fitted estimator, and the rows as the network reads them."""
    steps, net = read_fitted(estimator)
    X, _ = read_dataset(X)
    X = X if steps is None else steps.transform(X)
    return Rows(net, X, {} if exogenous is None else {"exogenous": exogenous})


def read_experts(estimator, X, exogenous=None):
    """:func:`read_net`, for estimators with experts alone."""
    rows = read_net(estimator, X, exogenous)
    if not isinstance(rows.net, BaseTHIN):
        name = type(rows.net).__name__
        raise TypeError(f"{name} has no gate: pass a THINClassifier or a THINRegressor")
    return rows


def read_gate(estimator, X, exogenous=None):
    """:func:`read_experts`, for estimators with a tree alone."""
    rows = read_experts(estimator, X, exogenous)
    if not rows.depth:
        raise ValueError(
            f"{type(rows.net).__name__} has no gate: it was fitted with depth=0, a tree of one "
            "leaf. Fit it with a depth of at least 1"
        )
    return rows


def read_levels(levels, n_samples, order=None, name="levels", rows="X"):
    """Levels in their order (n_levels,), and the code of each row (n_samples,).

    Numbers, also as text, are in the order of numbers, and ordered categories of pandas or an Enum
    of polars in their own. `order` has the levels in another order.
    """
    classes, codes = encode_labels(levels, n_samples, name=name, rows=rows)
    if order is None:
        ranks = category_codes(levels)
        first = np.unique(codes, return_index=True)[1]  # a row of each class
        places = natural_order(classes) if ranks is None else np.argsort(ranks[first])
    else:
        order = list(order)
        if sorted(map(str, order)) != sorted(map(str, classes.tolist())):
            raise ValueError(
                f"level_order must hold each of the {len(classes)} levels once, as "
                f"{classes.tolist()}, got {order}"
            )
        places = np.array([[str(c) for c in classes.tolist()].index(str(o)) for o in order])
    return classes[places], np.argsort(places)[codes]


def category_codes(levels):
    """Place of each row's category (n_samples,), or None without ordered categories."""
    dtype = getattr(levels, "dtype", None)
    if getattr(dtype, "ordered", False):
        return np.asarray(getattr(levels, "cat", levels).codes)
    is_enum = hasattr(levels, "to_physical") and str(dtype).startswith("Enum")
    return levels.to_physical().to_numpy() if is_enum else None


def natural_order(labels):
    """Places that sort labels: as numbers if all are, else as they come.

    Text that reads as numbers counts as numbers, as people read it. Columns of probabilities have
    another order, that of the labels' type: :attr:`KnownVariable.levels_`.
    """
    numbers = as_numbers(labels)
    return np.arange(len(labels)) if numbers is None else np.argsort(numbers, kind="stable")


def as_numbers(labels):
    """Labels as float64, or None if some are no numbers."""
    try:
        return np.array([float(label) for label in np.asarray(labels).tolist()])
    except (TypeError, ValueError):
        return None


def level_means(values, codes):
    """Means (n_levels, ...) of values (n_samples, ...) over the rows of each level."""
    return np.stack([values[codes == code].mean(0) for code in range(codes.max() + 1)])


def bits(proba):
    """Entropy in bits of probabilities along the last axis."""
    return entropy(proba, base=2, axis=-1)
