"""X as users pass it -> the backbone's input: as it is, or as a transformer gives it.

An input is the part of an estimator that reads X. :class:`~sklearn_thin.rows.tables.TableInput`
reads tables.
"""

import math
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.validation import validate_data

from sklearn_thin._environment import fit_seeded
from sklearn_thin.rows.arrays import converted
from sklearn_thin.rows.columns import as_table
from sklearn_thin.rows.images import scale_refusal, usual_range, within


@dataclass
class ArrayInput:
    """Numbers or images as they are; images with `clips` within the usual range of the training."""

    images: bool  # whether the backbone folds rows into images
    clips: bool = False
    range: tuple | None = None  # of images
    shape: tuple | None = None  # of a sample
    dtype: np.dtype | None = None  # of images
    unit: bool = True  # images of floats are about in [0, 1], as those of uint8 become
    transformer = None

    def check(self, X, net, *, reset=False):
        """X as a finite array of float32, or of uint8 images; None if :meth:`transform` makes it.

        `reset` sets the net's number and names of features, the shape and the type; else X must
        match them.
        """
        images = self.images
        keeps_names = hasattr(X, "columns")
        if not keeps_names and not hasattr(X, "tocsr"):  # check_array rejects sparse X
            X = np.asarray(X)
        shape = None
        if getattr(X, "ndim", 2) > 2:
            shape, images = X.shape[1:], True
            if not reset and shape != self.shape:
                raise ValueError(
                    f"X has images of shape {shape}, but {type(net).__name__} was fitted "
                    f"on samples of shape {self.shape}"
                )
            if len(shape) > 3:
                raise ValueError(
                    "X must have shape (n_samples, n_features), (n_samples, height, width) or "
                    f"(n_samples, channels, height, width), got {X.shape}"
                )
        dtype, came = [np.float32, np.uint8] if images else [np.float32], getattr(X, "dtype", None)
        X = converted(X, dtype)
        if shape is not None:
            X = X.reshape(len(X), math.prod(shape))  # also without rows
        min_samples = 2 if reset else 1
        try:
            X = validate_data(
                net, X, reset=reset, dtype=dtype, order="C", ensure_min_samples=min_samples
            )
        except ValueError as error:
            check_text(X, net, error)
            raise
        if images:
            self._check_scale(came or X.dtype, X, net, reset=reset)
        if reset:
            self.shape = X.shape[1:] if shape is None else shape
        elif shape is None and len(self.shape) > 1:
            raise ValueError(
                f"X has flattened samples of shape {X.shape[1:]}, but {type(net).__name__} "
                f"was fitted on images of shape {self.shape}; reshape X"
            )
        X = X.reshape(len(X), *self.shape)
        return X if self.range is None else within(X, self.range)

    def fit(self, parts, labels, seed):
        """The fitted input, and the backbone's input for each part; the first part trains."""
        if not self.clips:
            return self, [part.x for part in parts]
        self.range = usual_range(parts[0].x)
        return self, [within(part.x, self.range) for part in parts]

    def _check_scale(self, dtype, X, net, *, reset):
        """Raise where images have another scale than in fit: uint8 alone is divided by 255."""
        floats = X.dtype != np.uint8
        if reset:  # values a little outside of [0, 1] may be right
            self.dtype, self.unit = dtype, not floats or bool(X.min() >= -0.5 and X.max() <= 2)
        fitted = self.dtype
        if np.uint8 not in (dtype, fitted) or dtype == fitted:
            return
        integers = dtype.kind in "iu" and fitted.kind in "iu"
        if integers or not self.unit or (floats and X.max() > 2):
            raise ValueError(scale_refusal(dtype, fitted, type(net).__name__))

    def __getstate__(self):
        return {**vars(self), "dtype": None if self.dtype is None else np.dtype(self.dtype).str}

    def __setstate__(self, state):
        vars(self).update(state)
        self.dtype = None if self.dtype is None else np.dtype(self.dtype)


@dataclass
class TransformedInput:
    """X through a transformer of the user, of which a copy is fitted unless it is frozen."""

    transformer: Any
    name: str  # the parameter's, for errors
    images: bool
    shape: tuple | None = None
    range = dtype = None

    def __post_init__(self):
        if isinstance(self.transformer, type):
            name = self.transformer.__name__
            raise TypeError(
                f"{self.name} must be a transformer object, got the class {name}. Write {name}()"
            )

    def check(self, X, net, *, reset=False):
        """None; sets or compares the names and the number of features."""
        try:
            validate_data(net, X, reset=reset, skip_check_array=True)
        except (ValueError, IndexError):
            check_dimensions(X)
            raise

    def fit(self, parts, labels, seed):
        """As :meth:`ArrayInput.fit`."""
        if not isinstance(self.transformer, FrozenEstimator):
            self.transformer = fit_seeded(clone(self.transformer), seed, parts[0].raw, labels)
        return self, [self.transform(part.raw) for part in parts]

    def transform(self, X):
        """The backbone's input for X."""
        x = self.transformer.transform(X)
        x = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
        dtype = [np.float32, np.uint8] if self.images or x.ndim > 2 else np.float32
        how = {"dtype": dtype, "order": "C", "allow_nd": True}
        x = check_array(x, **how, input_name=f"{self.name} output")
        self.shape = self.shape or x.shape[1:]
        if x.shape[1:] != self.shape:
            raise ValueError(
                f"{self.name} gives samples of shape {x.shape[1:]}, but gave {self.shape} in fit"
            )
        return x


@dataclass
class RestInput:
    """A table without the columns that the exogenous side reads, through another input."""

    inner: Any
    left_out: list  # positions of these columns
    kept: np.ndarray | None = None  # positions of the others

    shape = property(attrgetter("inner.shape"))
    range = property(attrgetter("inner.range"))
    dtype = property(attrgetter("inner.dtype"))
    transformer = property(attrgetter("inner.transformer"))

    def check(self, X, net, *, reset=False):
        """As of the other input; names and number of features are those of all columns."""
        table = as_table(X)
        try:
            validate_data(net, table, reset=reset, skip_check_array=True)
        except ValueError:
            check_dimensions(X)
            raise
        if reset:
            self.kept = np.delete(np.arange(table.shape[1]), self.left_out)
            if not len(self.kept):
                raise ValueError(
                    f"exogenous names all {table.shape[1]} columns of X: the backbone needs at "
                    "least one other column"
                )
        return self.inner.check(self._rest(table), self._reader(net), reset=reset)

    def fit(self, parts, labels, seed):
        """As :meth:`ArrayInput.fit`."""
        rest = [replace(part, raw=self._rest(as_table(part.raw))) for part in parts]
        self.inner, inputs = self.inner.fit(rest, labels, seed)
        return self, inputs

    def transform(self, X):
        """The backbone's input for X."""
        return self.inner.transform(self._rest(as_table(X)))

    def _rest(self, table):
        if isinstance(table, np.ndarray):
            return table[:, self.kept]
        return _safe_indexing(table, self.kept, axis=1)

    def _reader(self, net):
        """An estimator like the net that has read the other columns alone."""
        reader = object.__new__(type(net))
        vars(reader).update(vars(net), n_features_in_=len(self.kept))
        if hasattr(net, "feature_names_in_"):
            reader.feature_names_in_ = net.feature_names_in_[self.kept]
        return reader


def check_dimensions(X):
    """Raise scikit-learn's error, with the way to reshape, for X of less than two dimensions."""
    if np.ndim(X) < 2:
        check_array(X, dtype=None, ensure_all_finite=False)


def check_text(X, net, error):
    """Raise where columns of X hold text, with the way to encode it."""
    if len(getattr(X, "shape", ())) != 2 or hasattr(X, "tocsr"):
        return
    names = X.columns if hasattr(X, "columns") else range(X.shape[1])
    columns = [np.asarray(_safe_indexing(X, place, axis=1)) for place in range(X.shape[1])]
    text = [n for n, c in zip(names, columns, strict=True) if any(map(_is_text, c.flat))]
    if text:
        encoder = "make_column_transformer((OneHotEncoder(handle_unknown='ignore'), "
        encoder += f"{text[:4]}), remainder='passthrough')"
        where = f"in a Pipeline in front of {type(net).__name__}"
        if hasattr(net, "endogenous"):
            where = "as endogenous, the transformer in front of the backbone"
        raise ValueError(
            f"X must hold numbers, but its columns {text[:4]} hold text ({error}). Encode them: "
            f"pass {encoder} {where}"
        ) from error


def _is_text(value):
    """Whether a value is a string that is no number."""
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False
