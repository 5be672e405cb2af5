"""From what a user passes to arrays, class codes, weights, row splits and a device."""

import warnings

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold, train_test_split
from sklearn.utils import assert_all_finite, compute_class_weight
from sklearn.utils._missing import is_pandas_na
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_array,
    column_or_1d,
    validate_data,
)

from sklearn_thin._storage import converted


def check_device(device):
    """Resolve and try a device.

    Parameters
    ----------
    device : str or torch.device
        "auto" is the GPU where torch sees one, else the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        When torch does not know the device or it is not there.
    """
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch has all three
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={str(device)!r} is not available: {reason}. Use 'auto', 'cpu' or a "
            "device that torch sees on this machine."
        ) from error
    return torch.device(device)


def check_rows(X, estimator, *, reset, images=False):
    """X as a finite array of float32, or uint8 where it holds images.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
    estimator : estimator
        Keeps `n_features_in_`, `feature_names_in_`, `input_shape_` and, of images, `input_dtype_`.
    reset : bool
        Whether to set these (in fit), or to check against them.
    images : bool, default=False
        Whether rows of a 2-D X are flattened images, whose uint8 is kept.

    Returns
    -------
    ndarray of the same shape
    """
    keeps_names = hasattr(X, "columns")
    if not keeps_names and not hasattr(X, "tocsr"):  # check_array has the words for sparse
        X = np.asarray(X)
    shape = None
    if getattr(X, "ndim", 2) > 2:
        shape, images = X.shape[1:], True
        if not reset and shape != estimator.input_shape_:
            raise ValueError(
                f"X has images of shape {shape}, but {type(estimator).__name__} was fitted "
                f"on samples of shape {estimator.input_shape_}"
            )
        if len(shape) > 3:
            raise ValueError(
                "X must have shape (n_samples, n_features), (n_samples, height, width) or "
                f"(n_samples, channels, height, width), got {X.shape}"
            )
    dtype, came = [np.float32, np.uint8] if images else [np.float32], getattr(X, "dtype", None)
    X = converted(X, dtype)
    if shape is not None:
        X = X.reshape(len(X), -1)
    X = validate_data(
        estimator, X, reset=reset, dtype=dtype, order="C", ensure_min_samples=2 if reset else 1
    )
    if images:
        _check_scale(came or X.dtype, X, estimator, reset=reset)
    if reset:
        estimator.input_shape_ = X.shape[1:] if shape is None else shape
    elif shape is None and len(estimator.input_shape_) > 1:
        raise ValueError(
            f"X has flattened samples of shape {X.shape[1:]}, but {type(estimator).__name__} "
            f"was fitted on images of shape {estimator.input_shape_}; reshape X"
        )
    return X.reshape(len(X), *estimator.input_shape_)


def _check_scale(dtype, X, estimator, *, reset):
    """Raise where images do not come on the scale of the fit: uint8 alone is divided by 255."""
    if reset:
        estimator.input_dtype_ = dtype
    fitted = estimator.input_dtype_
    if np.uint8 not in (dtype, fitted) or dtype == fitted:
        return
    integers = dtype.kind in "iu" and fitted.kind in "iu"
    if integers or (fitted == np.uint8 and X.max() > 2):  # what goes a little beyond 1 may be meant
        raise ValueError(
            f"X has images of {dtype}, but {type(estimator).__name__} was fitted on {fitted}. Of "
            "these uint8 alone is divided by 255: convert X to the type of the fit"
        )


def dense(X):
    """What a transformer gives, a frame or a sparse matrix too, as an array."""
    return X.toarray() if hasattr(X, "toarray") else np.asarray(X)


def check_transformed(X, name, *, images=False):
    """Output of the transformer `name` as an array of float32 (uint8 for images)."""
    X = dense(X)
    dtype = [np.float32, np.uint8] if images or X.ndim > 2 else np.float32
    return check_array(X, dtype=dtype, order="C", allow_nd=True, input_name=f"{name} output")


def as_tensor(array):
    """Tensor over the array's memory, which may be a file's; it must not be written to."""
    if min(array.strides, default=0) < 0:  # C-contiguous all the same, along an axis of length 1
        array = array.copy()
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():  # torch cannot know that nobody will write to it
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def encode_labels(y, n_samples, *, known=None, name="y"):
    """Classes and codes of a label vector of any type.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
    n_samples : int
        Rows of X.
    known : ndarray of shape (n_classes,), default=None
        Sorted classes that `y` must not go beyond; None takes those of `y`.
    name : str, default="y"
        What error messages call it.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    codes : ndarray of shape (n_samples,), int64

    Raises
    ------
    ValueError
        For a wrong length, missing labels, a continuous target, an unknown class, or fewer
        than two classes.
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
    """Labels as a vector, or ValueError where some are missing, infinite or on a scale."""
    y = column_or_1d(y, warn=True)
    missing = [_is_missing(label) for label in y] if y.dtype == object else y != y
    if np.any(missing):
        raise ValueError(
            f"{name} must have a label for each row, but {np.sum(missing)} of {len(y)} are missing "
            "(NaN, None or NA); leave these rows out, or give them a label of their own"
        )
    assert_all_finite(y, input_name=name)
    try:
        check_classification_targets(y)
    except ValueError as error:  # which names y alone
        raise ValueError(str(error) if name == "y" else f"{name}: {error}") from error
    return y


def _is_missing(label):
    return label is None or is_pandas_na(label) or label != label


def known_classes(announced, before):
    """Sorted classes that y must not go beyond: those announced or of before, or None."""
    announced = None if announced is None else np.unique(announced)
    if before is None or announced is None:
        return announced if before is None else before
    if not np.array_equal(announced, before):
        raise ValueError(
            f"classes={announced.tolist()} is not the same as on last call to partial_fit, was: "
            f"{before.tolist()}. Leave classes out, or start anew with fit or another estimator."
        )
    return before


def check_weights(sample_weight, X):
    """Non-negative sample weights of shape (n_samples,), or None for None.

    Raises
    ------
    ValueError
        For a wrong length, a negative weight, or nothing but zeros.
    """
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def row_weights(class_weight, codes, classes, sample_weight, *, mean_one=True):
    """Product of class and sample weights; None where all are 1.

    With `mean_one` they are scaled to mean 1, of the whole training part and not of a batch:
    the expected gradient is the weighted mean's, and a batch of light rows counts less than one
    of heavy rows. Rows that are part of a stream have no such whole.
    """
    if class_weight is None and sample_weight is None:
        return None
    weight = _class_weights(class_weight, codes, classes, sample_weight)[codes]
    if sample_weight is not None:
        weight = weight * sample_weight
    if not weight.any():
        raise ValueError(f"class_weight={class_weight!r} leaves no row with a weight above zero")
    return (weight / weight.mean() if mean_one else weight).astype(np.float32)


def _class_weights(class_weight, codes, classes, sample_weight):
    """Weight of each class; a row of weight 3 is balanced as three rows are."""
    if class_weight == "balanced":
        counts = np.bincount(codes, sample_weight, minlength=len(classes))
        return counts.sum() / (np.count_nonzero(counts) * np.where(counts > 0, counts, np.inf))
    weight = compute_class_weight(class_weight, classes=classes, y=classes)
    if (weight < 0).any():
        raise ValueError(f"class_weight must not be negative, got {class_weight!r}")
    return weight


def check_target(exogenous_target, X):
    """`exogenous_target` with one row for each of X, or None for None.

    Cross-validation passes a target of another length through whole instead of slicing
    it, so that the length is the only sign that something went wrong.
    """
    if exogenous_target is None:
        return None
    n_samples, length = _num_samples(X), _num_samples(exogenous_target)
    if length != n_samples:
        raise ValueError(
            f"exogenous_target must have one label for each of the {n_samples} rows of X, "
            f"got {length}. Under cross-validation, pass it to the search's fit with as "
            "many rows as X, so that both are split alike."
        )
    return exogenous_target


def held_out_size(early_stopping):
    """What early stopping holds out: None for nothing, a fraction, or a number of rows.

    A grid made of an array gives NumPy's booleans, which are not True and False themselves.
    """
    if isinstance(early_stopping, (bool, np.bool_)):
        return 0.1 if early_stopping else None
    return early_stopping


def held_out_indices(early_stopping, codes, groups, seed):
    """Indices of the training and the held-out rows, by classes and whole groups.

    Parameters
    ----------
    early_stopping : True, float or int
        True holds out a tenth; a float in (0, 1) that fraction; an int that many rows.
    codes : ndarray of shape (n_samples,)
        Class codes; their proportions are kept.
    groups : array-like of shape (n_samples,) or None
        Rows of one group stay together; the size is then met approximately.
    seed : int

    Returns
    -------
    train, held_out : ndarray of int
    """
    n_rows = len(codes)
    size = held_out_size(early_stopping)
    fraction = size if size < 1 else size / n_rows
    if fraction >= 1:
        raise ValueError(f"early_stopping={early_stopping!r} rows cannot be held out of {n_rows}")
    if groups is not None:
        n_groups = len(np.unique(groups))
        if n_groups < 2:
            raise ValueError(
                f"early_stopping={early_stopping!r} cannot hold out a whole group: groups has "
                "only one. Pass X_val and y_val, or no groups."
            )
        n_folds = min(max(2, round(1 / fraction)), n_groups)
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        return next(folds.split(codes, codes, groups))
    try:
        return train_test_split(
            np.arange(n_rows), test_size=size, stratify=codes, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping={early_stopping!r} cannot hold out rows of every class: {error} "
            "Hold out another number of rows, or pass X_val and y_val."
        ) from error
