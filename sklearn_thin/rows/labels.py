"""Labels and weights of rows: checked, as class codes and as factors of the loss."""

import reprlib
import sys
from numbers import Real

import numpy as np
from sklearn.utils import assert_all_finite, compute_class_weight
from sklearn.utils._missing import is_pandas_na
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _num_samples, column_or_1d


def encode_labels(y, n_samples, *, known=None, name="y"):
    """Sorted classes (n_classes,), and int64 codes (n_samples,), of labels of any type.

    `known` are the only classes that y may hold; None takes the classes of y, at least two.
    """
    y = check_labels(y, name)
    if len(y) != n_samples:
        raise ValueError(
            f"{name} must have one label for each of the {n_samples} rows of X, got {len(y)} "
            "(inconsistent numbers of samples)"
        )
    classes, codes = np.unique(y, return_inverse=True)
    if known is not None:
        unknown = np.setdiff1d(classes, known)
        if len(unknown):
            raise ValueError(
                f"{name} has classes that are not known: {unknown.tolist()}, in "
                f"{np.isin(y, unknown).sum()} rows; known are {known.tolist()}"
            )
        return known, np.searchsorted(known, classes)[codes]
    if len(classes) < 2:
        raise ValueError(
            f"{name} must have at least two classes, got one class: {classes.tolist()}"
        )
    return classes, codes.astype(np.int64)


def check_labels(y, name="y"):
    """Labels as a vector; ValueError where some are missing, infinite or continuous."""
    y = column_or_1d(y, warn=True)
    missing = [_is_missing(label) for label in y] if y.dtype == object else y != y
    if np.any(missing):
        raise ValueError(
            f"{name} must have a label for each row, but {np.sum(missing)} of {len(y)} are missing "
            "(NaN, None or NA). Leave these rows out, or give them a label of their own"
        )
    assert_all_finite(y, input_name=name)
    try:
        check_classification_targets(y)
    except ValueError as error:  # scikit-learn calls all labels y
        raise ValueError(str(error) if name == "y" else f"{name}: {error}") from error
    return y


def _is_missing(label):
    return label is None or is_pandas_na(label) or label != label


def known_classes(announced, before):
    """Sorted classes that y may hold, as announced or as of the fit before; None for any."""
    announced = None if announced is None else np.unique(announced)
    if before is None or announced is None:
        return announced if before is None else before
    if not np.array_equal(announced, before):
        raise ValueError(
            f"classes={announced.tolist()} is not the same as on last call to partial_fit, was: "
            f"{before.tolist()}. Leave classes out, or start anew with fit or another estimator."
        )
    return before


def check_target(exogenous_target, X):
    """Raise where `exogenous_target` has not the length of X.

    Cross-validation does not slice a target of another length than X, and warns of nothing.
    """
    n_samples, length = _num_samples(X), _num_samples(exogenous_target)
    if length != n_samples:
        raise ValueError(
            f"exogenous_target must have one label for each of the {n_samples} rows of X, "
            f"got {length}. Under cross-validation, pass it to the search's fit with as "
            "many rows as X, so that both are split in the same way."
        )


def check_weights(sample_weight, X):
    """Sample weights (n_samples,), non-negative and not all zero."""
    try:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    except OverflowError as error:  # an int beyond float64
        raise ValueError(f"sample_weight must hold finite numbers: {error}") from error
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def scaled_to_mean_one(weight):
    """Weights scaled to mean 1, also where their sum would overflow, or they are denormal."""
    weight = weight / weight.max()
    return weight / weight.mean()


def row_weights(class_weight, codes, classes, sample_weight, *, mean_one=True):
    """Products of class and sample weights (n_samples,), float32.

    `mean_one` scales their mean over all training rows to 1, not over a batch. The expected
    gradient is then that of the weighted mean. Rows of a stream have no such mean.
    """
    if mean_one and sample_weight is not None:
        sample_weight = scaled_to_mean_one(sample_weight)
    weight = _class_weights(class_weight, codes, classes, sample_weight)
    if mean_one and weight.any():
        weight = weight / weight.max()  # products must neither overflow nor vanish
    weight = weight[codes]
    if sample_weight is not None:
        weight = weight * sample_weight
    if not weight.any():
        raise ValueError(f"class_weight={class_weight!r} leaves no row with a weight above zero")
    if mean_one:
        return scaled_to_mean_one(weight).astype(np.float32)
    with np.errstate(over="ignore"):
        given, weight = weight, weight.astype(np.float32)
    if not (np.isfinite(weight).all() and weight.any()):
        raise ValueError(
            "partial_fit uses weights as they are, and sample_weight times class_weight must lie "
            f"within float32, got {given.min():.3g} to {given.max():.3g}. Scale sample_weight to "
            "a mean near 1."
        )
    return weight


def _class_weights(class_weight, codes, classes, sample_weight):
    """Weight of each class; a row of weight 3 is balanced as three rows."""
    if isinstance(class_weight, str):  # "balanced"
        if sample_weight is not None:
            sample_weight = sample_weight / sample_weight.max()
        counts = np.bincount(codes, sample_weight, minlength=len(classes))
        return counts.sum() / (np.count_nonzero(counts) * np.where(counts > 0, counts, np.inf))
    return compute_class_weight(class_weight, classes=classes, y=classes)


def check_class_weight(class_weight):
    """Raise for a dict whose values are no weights, before any row is read."""
    if not isinstance(class_weight, dict):
        return
    for label, weight in class_weight.items():
        number = isinstance(weight, (Real, np.bool_))
        if not number or not 0 <= weight <= sys.float_info.max:
            raise ValueError(
                "class_weight must not be negative, and must hold finite numbers, got "
                f"{reprlib.repr(weight)} for class {label!r}"
            )
