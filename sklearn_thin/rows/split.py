"""The rows that early stopping holds out."""

import sys
import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from sklearn_thin._environment import warn_once


def hold_out(rows, n_samples, early_stopping, seed, *, before, goes_on, targets):
    """Training rows, held-out rows, and the mask of the latter over all rows of X.

    `early_stopping` is a fraction, a number of rows, or True for a tenth. `before` is the mask of
    the fit before, or None. A fit that goes on holds out the same rows of an X of the same length.
    """
    if before is not None and len(before) == n_samples:
        held = before[rows.index]
        if held.any() and not held.all():  # weights may leave out one part
            return rows[np.flatnonzero(~held)], rows[np.flatnonzero(held)], before
    if goes_on:
        had = "no rows" if before is None else f"rows of an X of {len(before)} rows"
        warnings.warn(
            f"early_stopping holds out new rows of {n_samples}, but the fit before held out {had}. "
            "The fit before may have trained on the new rows, whose loss then stops too late. "
            "Pass X_val and y_val, or the rows of the fit before.",
            UserWarning,
            stacklevel=2,
        )
    if rows.groups is None:
        warn_of_lost_groups()
    codes = targets.strata(rows.y)
    train, held = held_out_indices(early_stopping, codes, rows.groups, seed)
    lost = np.setdiff1d(codes, codes[train])
    if len(lost):
        warnings.warn(
            f"{early_stopping=} holds out all rows of the classes "
            f"{targets.values(lost).tolist()}, as each of their groups is held out. The network "
            "cannot learn these classes. Pass X_val and y_val, or no groups.",
            UserWarning,
            stacklevel=2,
        )
    mask = np.zeros(n_samples, dtype=bool)
    mask[rows.index[held]] = True
    return rows[train], rows[held], mask


def warn_of_lost_groups():
    """Warn where a search or cross-validation of scikit-learn has groups that it does not pass.

    Without metadata routing only the splitter gets them, and no argument of a fit shows it. The
    local variables of the calls around this one do, except in another process.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("sklearn.model_selection."):
            known = frame.f_locals
            params = known.get("params")
            passed = known.get("groups"), params.get("groups") if isinstance(params, dict) else None
            if any(groups is not None for groups in passed):
                warn_once(
                    "early_stopping holds out single rows, as the search passes its groups to the "
                    "splitter alone: rows of one group train and validate. Let it pass them: "
                    "sklearn.set_config(enable_metadata_routing=True), and "
                    "set_fit_request(groups=True) of the estimator."
                )
                return
        frame = frame.f_back


def held_out_indices(early_stopping, codes, groups, seed):
    """Indices of the training and of the held-out rows, in equal proportions of the classes.

    Rows of one group stay together; the size is then met approximately.
    """
    n_rows, size = len(codes), early_stopping
    if isinstance(size, (bool, np.bool_)):  # a grid of an array has np.bool_
        size = 0.1
    fraction = size if size < 1 else size / n_rows
    if fraction >= 1:
        raise ValueError(f"{early_stopping=} rows cannot be held out of {n_rows}")
    if groups is not None:
        n_groups = len(np.unique(groups))
        if n_groups < 2:
            raise ValueError(
                f"{early_stopping=} cannot hold out a whole group: groups has "
                "only one. Pass X_val and y_val, or no groups."
            )
        n_folds = min(max(2, round(1 / fraction)), n_groups)
        return _grouped(codes, groups, n_folds, seed)
    try:
        return train_test_split(
            np.arange(n_rows), test_size=size, stratify=codes, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"{early_stopping=} cannot hold out rows: {error} "
            "Hold out another number of rows, or pass X_val and y_val."
        ) from error


def _grouped(codes, groups, n_folds, seed):
    """The first of `n_folds` splits that trains on every class, or else the first split."""
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    splits = list(folds.split(codes, _common(codes, n_folds), groups))
    n_classes = len(np.unique(codes))
    whole = (split for split in splits if len(np.unique(codes[split[0]])) == n_classes)
    return next(whole, splits[0])


def _common(codes, n_folds):
    """Codes in which each class has a row for each fold; rare classes share a code."""
    counts = np.bincount(codes)
    rare = counts < n_folds
    n_rare = counts[rare].sum()
    shared = len(counts) if n_rare >= n_folds else counts.argmax()
    return np.where(rare[codes], shared, codes)
