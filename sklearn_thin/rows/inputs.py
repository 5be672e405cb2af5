"""X as users pass it -> the backbone's input: as it is, or as a transformer gives it.

An input is the part of an estimator that reads X. :class:`~sklearn_thin.rows.tables.TableInput`
reads tables.
"""

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import validate_data

from sklearn_thin._environment import fit_seeded
from sklearn_thin.rows.arrays import check_rows, check_transformed
from sklearn_thin.rows.columns import as_table
from sklearn_thin.rows.images import usual_range, within


@dataclass
class ArrayInput:
    """Numbers or images as they are; images with `clips` within the usual range of the training."""

    images: bool  # whether the backbone folds rows into images
    clips: bool = False
    range: tuple | None = None  # of images
    shape: tuple | None = None  # of a sample
    dtype: np.dtype | None = None  # of images
    transformer = None

    def check(self, X, net, *, reset=False):
        """X, checked, or None where `transform` makes the input of rows that are checked."""
        x = check_rows(X, net, self, reset=reset)
        return x if self.range is None else within(x, self.range)

    def fit(self, parts, labels, seed):
        """The fitted input, and the backbone's input for each part; the first part trains."""
        if not self.clips:
            return self, [part.x for part in parts]
        self.range = usual_range(parts[0].x)
        return self, [within(part.x, self.range) for part in parts]

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
        validate_data(net, X, reset=reset, skip_check_array=True)

    def fit(self, parts, labels, seed):
        """As :meth:`ArrayInput.fit`."""
        if not isinstance(self.transformer, FrozenEstimator):
            self.transformer = fit_seeded(clone(self.transformer), seed, parts[0].raw, labels)
        return self, [self.transform(part.raw) for part in parts]

    def transform(self, X):
        """The backbone's input for X."""
        x = check_transformed(self.transformer.transform(X), self.name, images=self.images)
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
        validate_data(net, table, reset=reset, skip_check_array=True)
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
