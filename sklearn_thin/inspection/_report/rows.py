"""What the user passes -> checked rows and folds of the report."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples

from sklearn_thin.inspection._report.inputs import small
from sklearn_thin.inspection._report.outcomes import Labels, Numbers
from sklearn_thin.rows.columns import as_table, name_of, read_column
from sklearn_thin.rows.labels import check_labels, encode_groups, encode_labels, wrong_length

LEAST_LEVELS = 2  # in a training


@dataclass(frozen=True)
class Rows:
    """Checked rows: y, and codes of z and groups, beside X."""

    X: Any  # a table, or images (n, height, width) or (n, channels, height, width)
    y: np.ndarray  # codes or numbers (n,)
    z: np.ndarray  # codes (n,)
    groups: np.ndarray  # codes (n,) of rows that stay together
    outcome: Labels | Numbers
    levels: np.ndarray
    n_splits: int

    def folds(self, seed):
        """(training rows, test rows) of each fold. Groups are dealt by level.

        Dealing by level and y would tell the training rows which y the held-out rows of each small
        level have: they share the level's deviation from the other levels.
        """
        rng = np.random.RandomState(seed)
        first = np.unique(self.groups, return_index=True)[1]  # a row of each group
        first = rng.permutation(first)
        place = rng.permutation(len(self.levels))  # of each level, for folds of whole levels
        order = np.argsort(place[self.z[first]], kind="stable")  # random within a level
        fold = np.empty(len(first), int)
        fold[self.groups[first[order]]] = np.arange(len(first)) % self.n_splits
        fold = fold[self.groups]  # of each row
        return [
            (np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(self.n_splits)
        ]


def read_rows(X, y, z, groups, *, unseen, n_splits):
    """Checked Rows, or an error before any long work."""
    X = as_table(X)
    if len(X.shape) not in (2, 3, 4):
        raise ValueError(
            "X must be a table (n, features) or images (n, height, width) or (n, channels, height, "
            f"width), got shape {X.shape}"
        )
    if len(X.shape) > 2:
        X = small(X)
    n_rows = _num_samples(X)
    outcome, y = read_outcome(y, n_rows)
    levels, z_codes = encode_labels(z, n_rows, name="z")
    if groups is None:
        codes = np.arange(n_rows)
    else:
        codes = np.unique(encode_groups(groups, n_rows), return_inverse=True)[1]
    check_not_target(np.unique(y, return_inverse=True)[1], z_codes)
    check_not_in_table(X, z_codes)
    if unseen and isinstance(outcome, Labels) and pairs(y, z_codes) == outcome.n_classes:
        raise ValueError(
            "y determines z: all rows of a class have the same level. With unseen=True the folds "
            "hold out whole levels, and no model could learn their classes. Leave z out"
        )
    check_levels(z_codes, codes, levels, given=groups is not None, unseen=unseen, n_splits=n_splits)
    codes = z_codes if unseen else codes
    if (n_groups := codes.max() + 1) < n_splits:
        kind = "levels of z" if unseen else "groups"
        raise ValueError(
            f"n_splits={n_splits} folds need as many {kind}, got {n_groups}. Lower n_splits"
        )
    if unseen and (left := n_groups - -(-n_groups // n_splits)) < LEAST_LEVELS:
        raise ValueError(
            f"each fold needs at least {LEAST_LEVELS} levels of z to train on, got {left} of "
            f"{n_groups}. Raise n_splits, or take rows of more levels"
        )
    return Rows(X, y, z_codes, codes, outcome, levels, n_splits)


def read_outcome(y, n_rows):
    """Labels and codes (n,), or Numbers and numbers (n,) if some have fractions."""
    y = check_labels(y, numbers=True)
    if y.dtype.kind != "f" or (y == np.floor(y)).all():
        classes, codes = encode_labels(y, n_rows)
        return Labels(len(classes)), codes
    if len(y) != n_rows:
        raise wrong_length(y, n_rows, "y", "X", "number")
    if not y.var() > 0:
        raise ValueError(f"y must differ between rows, but all numbers are {y[0]}")
    return Numbers(y.var()), y.astype(float)


def pairs(a, b):
    """Number of different pairs of codes."""
    return len(np.unique(a.astype(np.int64) * (b.max() + 1) + b))


def check_not_target(y, z):
    """Raise where y is a function of z."""
    if pairs(y, z) == z.max() + 1:
        raise ValueError(
            "z determines y: all rows of a level of z have the same y. z is then the "
            "target under another name, and no nuisance. A model that reads z would look perfect. "
            "Leave z out, unless it is known before y; then y needs no model"
        )


def check_not_in_table(X, z):
    """Raise where a column of the table X has one value for each level of z, and no value twice."""
    if len(X.shape) != 2 or hasattr(X, "tocsr"):
        return
    first = np.unique(z, return_index=True)[1]  # a row of each level
    for i in range(X.shape[1]):
        values = read_column(X, i)
        if values.dtype != object:
            values = np.where(np.isnan(values), np.inf, values)  # missing is a value too
        of_levels = values[first]
        if (values == of_levels[z]).all() and len(set(of_levels.tolist())) == len(first):
            rest, column = f"np.delete(X, {i}, axis=1)", f"X[:, {i}]"
            if hasattr(X, "columns"):
                column = f"X[{X.columns[i]!r}]"
                rest = f"X.drop({'columns=' if hasattr(X, 'iloc') else ''}{X.columns[i]!r})"
            raise ValueError(
                f"{name_of(X, i)} is one-to-one with z. Models without z would read z there, and "
                f"the report would compare nothing. Drop it: nuisance_report({rest}, y, {column})"
            )


def check_levels(z, groups, levels, *, given, unseen, n_splits):
    """Raise where levels have too few rows or groups for the folds."""
    if unseen:
        if given and pairs(groups, z) > groups.max() + 1:
            raise ValueError(
                "with unseen=True whole levels of z are held out, and each group must lie within "
                "one level of z. Leave groups out, or merge the levels that share a group"
            )
        return
    if given and pairs(groups, z) == z.max() + 1:
        raise ValueError(
            "groups and z: all rows of a level are in one group. Its rows are then all held out "
            "together, and no model can learn the level. Pass unseen=True, if new rows come from "
            "new levels of z, or groups that divide each level"
        )
    if given:
        first = np.unique(groups.astype(np.int64) * (z.max() + 1) + z)
        counts, least, what = np.bincount(first % (z.max() + 1)), 2, "groups"
    else:
        counts, least, what = np.bincount(z), n_splits, "rows"
    rare = np.flatnonzero(counts < least)
    if len(rare):
        shown = ", ".join(f"{levels[i]} ({counts[i]})" for i in rare[:5])
        raise ValueError(
            f"each level of z must have at least {least} {what} for {n_splits} folds, but "
            f"{len(rare)} of {len(levels)} levels have fewer: {shown}. Merge rare levels, leave "
            f"their rows out, or lower n_splits"
        )
