"""Labels and weights of rows: checked, as class codes and as factors of the loss."""

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
    missing = [is_missing(label) for label in y] if y.dtype == object else y != y
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


def is_missing(label):
    """Whether a label is None, NaN or NA."""
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
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def row_weights(class_weight, codes, classes, sample_weight, *, mean_one=True):
    """Products of class and sample weights (n_samples,).

    `mean_one` scales their mean over all training rows to 1, not over a batch. The expected
    gradient is then that of the weighted mean. Rows of a stream have no such mean.
    """
    weight = _class_weights(class_weight, codes, classes, sample_weight)[codes]
    if sample_weight is not None:
        weight = weight * sample_weight
    if not weight.any():
        raise ValueError(f"class_weight={class_weight!r} leaves no row with a weight above zero")
    return (weight / weight.mean() if mean_one else weight).astype(np.float32)


def _class_weights(class_weight, codes, classes, sample_weight):
    """Weight of each class; a row of weight 3 is balanced as three rows."""
    if class_weight == "balanced":
        counts = np.bincount(codes, sample_weight, minlength=len(classes))
        return counts.sum() / (np.count_nonzero(counts) * np.where(counts > 0, counts, np.inf))
    weight = compute_class_weight(class_weight, classes=classes, y=classes)
    if (weight < 0).any():
        raise ValueError(f"class_weight must not be negative, got {class_weight!r}")
    return weight
