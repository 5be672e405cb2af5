"""Labels and weights of rows: checked, as class codes and as factors of the loss."""

import reprlib
import sys
from dataclasses import dataclass
from numbers import Real
from operator import attrgetter

import numpy as np
import torch
from scipy.stats import entropy
from sklearn.metrics import accuracy_score
from sklearn.utils import assert_all_finite
from sklearn.utils._missing import is_pandas_na
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, _num_samples, column_or_1d

from sklearn_thin.losses import cross_entropy
from sklearn_thin.rows.columns import check_exact

NARROW = {  # types of objects that numpy holds as they are
    bool: (bool, np.bool_),
    np.int64: (int, np.integer),
    np.float16: (np.float16,),
    np.float32: (np.float16, np.float32),
    np.float64: (int, float, np.integer, np.floating),
}
SAMPLERS = (
    "A step that changes the rows, such as a sampler of imbalanced-learn or a "
    "SelfTrainingClassifier, does not change exogenous_target: fit an ExogenousEncoder "
    "beforehand, and pass FrozenEstimator(encoder) instead of exogenous_target."
)


@dataclass
class Classes:
    """The targets of a classifier: labels of any type, which the network learns as codes.

    Targets are the part of an estimator that reads y, chooses the loss, and returns outputs to the
    units of y. :class:`~sklearn_thin.rows.numbers.Numbers` are those of a regressor.
    """

    classes: np.ndarray  # sorted, (n_classes,)
    fit_loss = staticmethod(cross_entropy)
    constant = "the class frequencies"  # the best prediction without X
    n_outputs = property(attrgetter("classes.size"))

    @classmethod
    def read(cls, y, n_samples, before=None, *, announced=None, name="y", rows="X"):
        """The targets of y, of at least two classes, and its codes (n_samples,), int64.

        `before` are the targets of the fit that goes on, and `announced` its classes, if any. y may
        then hold no others.
        """
        known = None if before is None else before.classes
        known = known if announced is None else known_classes(announced, known)
        y = check_labels(y, name)
        if len(y) != n_samples:
            raise wrong_length(y, n_samples, name, rows)
        classes, codes = sorted_classes(y, name)
        if known is not None:
            places = places_in(known, classes)
            unknown = places < 0
            if unknown.any():
                raise ValueError(
                    f"{name} has classes that are not known: {classes[unknown].tolist()}, in "
                    f"{unknown[codes].sum()} rows; known are {known.tolist()}"
                )
            return cls(known), places[codes]
        if len(classes) < 2:
            raise ValueError(
                f"{name} must have at least two classes, got one class: {classes.tolist()}"
            )
        return cls(classes), codes

    def fit(self, parts):
        """The labels of the first of these Rows, which trains."""
        return self.classes[parts[0].y]

    def values(self, codes):
        """The labels of codes."""
        return self.classes[codes]

    def strata(self, codes):
        """Codes of the strata of which a hold-out takes equal proportions."""
        return codes

    def constant_loss(self, codes, weight):
        """Loss of the best prediction without X."""
        return entropy(np.bincount(codes, weight, minlength=self.n_outputs) / weight.sum())


def encode_labels(y, n_samples, *, known=None, name="y", rows="X"):
    """Sorted classes (n_classes,), and int64 codes (n_samples,), of labels of any type.

    `known` are the only classes that y may hold; None takes the classes of y, at least two.
    """
    before = None if known is None else Classes(known)
    targets, codes = Classes.read(y, n_samples, before, name=name, rows=rows)
    return targets.classes, codes


def encode_groups(groups, n_samples):
    """int64 codes (n_samples,) of groups of any type."""
    groups = _vector(groups, "groups")
    if len(groups) != n_samples:
        raise wrong_length(groups, n_samples, "groups", "X")
    if groups.dtype.kind == "f":
        check_exact(groups, "groups")
    return sorted_classes(groups, "groups")[1]


def check_labels(y, name="y", *, numbers=False):
    """Labels as a vector; errors where some are missing, infinite, continuous, merged or no labels.

    `numbers` allows continuous ones.
    """
    y = _vector(y, name)
    types = _types(y) if y.dtype == object else set()
    plain = "U" if types == {str} else y.dtype.kind
    continuous = plain == "f" and (y != np.floor(y)).any()
    if continuous and not numbers:
        value = y[y != np.floor(y)][0]
        raise ValueError(
            f"{name}: Unknown label type: continuous. Expected classes, got numbers on a scale, "
            f"such as {value:.4g}: bin them first, by pandas.qcut({name}, 4) or by "
            "KBinsDiscretizer(encode='ordinal') of scikit-learn"
        )
    if plain == "S" or bytes in types:
        raise TypeError(
            f"{name} must hold strings, numbers or other labels, got bytes. Decode them: "
            f"[label.decode() for label in {name}]"
        )
    if plain not in "biufUTMmO":
        raise TypeError(f"{name} must hold labels such as strings or integers, got {y.dtype}")
    if plain == "f" and not numbers and (np.abs(y) >= 2.0**11).any():
        check_exact(y, name)
    if plain in "biufU" and not continuous:
        check_classification_targets(y)  # warns where most rows have a class of their own
    return y


def _vector(y, name):
    """y as a vector of finite labels without gaps."""
    y = y if type(y) is np.ndarray else as_array(y, name)
    if y.ndim > 2 or y.shape[1:] not in ((), (1,)) or not y.ndim:
        hint = f" Of one-hot labels take {name}.argmax(axis=1)." if y.ndim == 2 else ""
        raise ValueError(
            f"{name} should be a 1d array, one label for each row, got an array of shape "
            f"{y.shape} instead.{hint}"
        )
    y = column_or_1d(y, warn=name != "groups") if y.ndim == 2 else y
    if y.dtype == object:
        missing = not _types(y) <= {str} and [_is_missing(label) for label in y]
    else:
        missing = y != y
    if np.any(missing):
        raise ValueError(
            f"{name} must have a label for each row, but {np.sum(missing)} of {len(y)} are missing "
            "(NaN, None or NA). Leave these rows out, or give them a label of their own"
        )
    y = _narrowed(y) if y.dtype == object else y
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name=name)
    return y


def as_array(y, name):
    """An array of labels in the type in which they came.

    numpy would make strings of mixed lists, and cut off those of an Enum.
    """
    if isinstance(y, torch.Tensor):
        y = y.float() if y.dtype == torch.bfloat16 else y
        return y.numpy(force=True)
    try:
        array = np.asarray(y)
        objects = array
        if isinstance(y, (list, tuple)) and array.dtype.kind in "US":
            objects = np.array(y, dtype=object)
    except ValueError as error:  # of ragged lists
        raise ValueError(f"{name} must hold one label for each row: {error}") from error
    if objects is array or _types(objects) <= {str, np.str_, bytes, np.bytes_}:
        return array
    return objects


def _types(labels):
    """Types of the labels in an array of objects."""
    return set(map(type, labels.flat))


def _is_missing(label):
    return label is None or is_pandas_na(label) or bool(np.any(label != label))


def _narrowed(labels):
    """Objects as bools, ints or floats where numpy holds each as it is."""
    types = _types(labels)
    for dtype, known in NARROW.items():
        if all(issubclass(kind, known) and (kind is not bool or dtype is bool) for kind in types):
            try:
                narrow = labels.astype(dtype)
            except OverflowError:  # of ids beyond 64 bits
                continue
            if (narrow == labels).all():
                return narrow
    return labels


def sorted_classes(labels, name):
    """Sorted classes, and int64 codes; TypeError for labels that cannot be sorted."""
    types = _types(labels) if labels.dtype == object else set()
    mixed = len(types) > 1 and not types.isdisjoint({bool, np.bool_})  # True would be 1
    try:
        if mixed:
            raise TypeError("bools are not numbers")
        classes, codes = np.unique(labels, return_inverse=True)
    except (TypeError, ValueError) as error:  # of pandas' Periods
        kinds = " and ".join(sorted(kind.__name__ for kind in types))
        raise TypeError(
            f"{name} must hold labels of one kind that can be sorted, got {kinds} ({error}). "
            "Pass strings or numbers: str(label) of each, or the value of each Enum member"
        ) from error
    return classes, codes.astype(np.int64)


def places_in(classes, labels):
    """Index in `classes` of each label, -1 where it is not among them."""
    if labels.dtype != classes.dtype and {labels.dtype.kind, classes.dtype.kind} & set("mM"):
        labels, classes = _as_objects(labels), _as_objects(classes)  # one instant has many types
    places = {label: place for place, label in enumerate(classes.tolist())}
    return np.array([places.get(label, -1) for label in labels.tolist()], dtype=np.int64)


def _as_objects(labels):
    if labels.dtype.kind in "mM" and labels.dtype.str[1:] != "M8[D]":
        labels = labels.astype(f"{labels.dtype.kind}8[us]")  # objects of nanoseconds are ints
    return labels.astype(object)


def plain_labels(labels):
    """Labels that scikit-learn's estimators and metrics read: codes of other objects."""
    others = labels.dtype == object and not _types(labels) <= {str}
    others = others or labels.dtype.kind == "T"
    return sorted_classes(labels, "labels")[1] if others else labels


def known_classes(announced, before):
    """Sorted classes that y may hold, as announced; those of the fit before must be the same."""
    announced = encode_labels(announced, _num_samples(announced), name="classes")[0]
    if before is None:
        return announced
    same = len(announced) == len(before) and (places_in(before, announced) >= 0).all()
    if not same:
        raise ValueError(
            f"classes={announced.tolist()} is not the same as on last call to partial_fit, was: "
            f"{before.tolist()}. Leave classes out, or start anew with fit or another estimator."
        )
    return before


def wrong_length(labels, n_samples, name, rows, kind="label"):
    """The error of labels, or of another kind of targets, that are not one for each row."""
    return ValueError(
        f"{name} must have one {kind} for each of the {n_samples} rows of {rows}, got "
        f"{len(labels)} (inconsistent numbers of samples)"
    )


def read_target(exogenous_target, X):
    """`exogenous_target` as a frame or an array; ValueError where it has not the length of X.

    Cross-validation does not slice a target of another length than X, and warns of nothing.
    """
    n_samples, length = _num_samples(X), _num_samples(exogenous_target)
    if length != n_samples:
        raise ValueError(
            f"exogenous_target must have one label for each of the {n_samples} rows of X, "
            f"got {length}. Under cross-validation, pass it to the search's fit with as "
            f"many rows as X, so that both are split in the same way. {SAMPLERS}"
        )
    if hasattr(exogenous_target, "columns"):  # which have types of their own
        return exogenous_target
    return as_array(exogenous_target, "exogenous_target")


def agreement(y, predicted, classes, sample_weight):
    """Accuracy of predicted labels; labels that are no classes count as wrong."""
    y = places_in(classes, check_labels(y))
    if not (y >= 0).any():
        raise ValueError(f"y has none of the classes of the fit, which are {classes.tolist()}")
    predicted = places_in(classes, predicted)
    if sample_weight is None:  # scikit-learn's checks take longer than a small prediction
        return float(np.mean(y == predicted))
    return accuracy_score(y, predicted, sample_weight=sample_weight)


def check_weights(sample_weight, X):
    """Sample weights (n_samples,), non-negative and not all zero."""
    try:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    except (OverflowError, ValueError, TypeError) as error:  # ints beyond float64, or text
        if "sample_weight" in str(error) or "Sample weights" in str(error):
            raise
        hint = " class_weight takes 'balanced'." if isinstance(sample_weight, str) else ""
        raise ValueError(
            f"sample_weight must hold a finite number for each row: {error}.{hint}"
        ) from error
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def scaled_to_mean_one(weight):
    """Weights scaled to mean 1, also where their sum would overflow, or they are denormal."""
    weight = weight / weight.max()
    return weight / weight.mean()


def row_weights(class_weight, codes, classes, sample_weight, *, mean_one=True):
    """Products of class and sample weights (n_samples,), float32.

    Without class weights `classes` may be None. `mean_one` scales the mean of the products over all
    training rows to 1, not over a batch. The expected gradient is then that of the weighted mean.
    Rows of a stream have no such mean.
    """
    if mean_one and sample_weight is not None:
        sample_weight = scaled_to_mean_one(sample_weight)
    weight = np.ones(len(codes))
    if class_weight is not None:
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
    return _weight_of_each(class_weight, classes)


def _weight_of_each(class_weight, classes):
    """Weights by class, 1 for the other classes; ValueError for a key that is no class.

    Where all classes have a weight, further keys may be classes that the rows of a fold lack.
    """
    keys, weight = list(class_weight), np.ones(len(classes))
    places = places_in(classes, _vector(keys, "keys of class_weight"))
    if (places < 0).any() and len(set(places) - {-1}) < len(classes):
        unknown = [key for key, place in zip(keys, places, strict=True) if place < 0]
        raise ValueError(
            f"class_weight must have classes as keys, got {unknown}; the classes are "
            f"{classes.tolist()}"
        )
    given = np.array(list(class_weight.values()), dtype=float)
    weight[places[places >= 0]] = given[places >= 0]
    return weight


def check_class_weight(class_weight):
    """Raise for a dict whose values are no weights, before any row is read."""
    for label, weight in class_weight.items():
        number = isinstance(weight, (Real, np.bool_))
        if not number or not 0 <= weight <= sys.float_info.max:
            raise ValueError(
                "class_weight must not be negative, and must hold finite numbers, got "
                f"{reprlib.repr(weight)} for class {label!r}"
            )
