"""Tables as they come -> float32 on one scale: the transformer behind `endogenous="auto"`."""

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.covariance import ledoit_wolf
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from sklearn_thin.rows.arrays import BLOCK, room_for, take
from sklearn_thin.rows.columns import NUMBERS, as_array, as_table, read_columns
from sklearn_thin.rows.gaussian import LEAST, fill, fit_gaussian
from sklearn_thin.rows.inputs import ArrayInput, RestInput, TransformedInput

SAMPLE = 2**15  # most rows that medians, quartiles and levels are taken from
GAUSSIAN = 2**12  # most rows that the Gaussian is fitted to
WIDEST = 256  # most columns of a Gaussian
LEVELS = 256  # most columns that one column of text becomes
BOUND = 3.0  # the smooth clipping tends to ± this
HEIGHT = 0.35  # of levels and marks: 1 disturbs the network, less is learned slowly


class TablePreprocessor(TransformerMixin, BaseEstimator):
    """Any table as float32 columns on one scale, which no single value can ruin.

    `THINClassifier(endogenous="auto")` and `ExogenousEncoder(preprocessor="auto")` pass tables
    through it. It reads arrays of any type, and frames of pandas or polars.

    - Numbers, booleans and timedeltas (in seconds) become (x - median) / (interquartile range),
      then x / sqrt(1 + (x / 3)²), which stays within ±3 [1]_. Where the quartiles are equal, the
      median distance of the other values from the median stands for the range.
    - Missing numbers become their expected values under a Gaussian, given the other numbers of the
      row: a linear regression on the other columns. In tables with more than 256 columns of
      numbers they become the median.
    - A further column marks missing numbers, if the rows of `fit` miss any in the column.
    - Text and categories become one-hot columns. A missing value is a level of its own. Levels
      beyond the 256 most frequent share a column, and unknown levels with them. Without such
      levels, the columns of an unknown level are 0.
    - Marks and levels are 0.35 where they apply, else 0. Columns of 1 disturb the network, and it
      learns slowly from rare levels in lower columns.
    - Columns without different values in `fit` become 0, in `transform` too, so that the width
      depends on the rows of `fit` as little as possible.

    Medians, quartiles and levels are those of 32,768 rows at most, and the Gaussian that of 4,096.
    A fixed seed draws the rows, so that equal rows always give an equal transformer. The rows are
    transformed in blocks, and the output lies in a temporary file if it is large.

    Attributes
    ----------
    is_level_ : ndarray of shape (`n_features_in_`,), bool
        Columns of text and categories.
    centre_, scale_ : ndarray of shape (n_numbers,)
        Median and range of the other columns; the range is infinite where all values are equal.
    missing_ : ndarray of int
        Indices, among the numbers, of the columns with marks of missing values.
    mean_ : ndarray of shape (n_numbers,) or None
        Means of the scaled numbers; None without numbers, or with more than 256 columns of them.
    precision_ : ndarray of shape (n_numbers, n_numbers) or None
        Inverse of their covariance matrix; None as above.
    encoder_ : OneHotEncoder or None
        Levels of text and categories.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if X has them.

    References
    ----------
    .. [1] Holzmüller, Grinsztajn and Steinwart, "Better by default: Strong pre-tuned MLPs and
       boosted trees on tabular data", 2024.

    Examples
    --------
    >>> from sklearn_thin import TablePreprocessor
    >>> table = [[1.0, "a"], [2.0, "b"], [None, "a"], [-9999.0, None]]
    >>> preprocessor = TablePreprocessor().fit(table)
    >>> preprocessor.get_feature_names_out(["size", "site"]).tolist()
    ['size', 'missingindicator_size', 'site_a', 'site_b', 'site_None']
    >>> preprocessor.transform([[-9999.0, "b"], [2.0, "c"]]).round(2)
    array([[-1.66,  0.  ,  0.  ,  0.35,  0.  ],
           [ 0.  ,  0.  ,  0.  ,  0.  ,  0.  ]], dtype=float32)
    """

    def fit(self, X, y=None) -> Self:
        """Take medians, quartiles, covariances and levels from X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self : TablePreprocessor

        Raises
        ------
        TypeError
            For dates, and for values that are neither numbers nor text. The error names the column.
        ValueError
            For infinite values.
        """
        table = check_table(X, self, reset=True)
        numbers, levels, self.is_level_ = finite_columns(sampled(table, SAMPLE))
        self.centre_, self.scale_, self.missing_ = robust_scale(numbers)
        self.mean_, self.precision_ = self._fit_gaussian(sampled(numbers, GAUSSIAN))
        self.encoder_ = None
        if levels.shape[1]:
            self.encoder_ = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=LEVELS,
                sparse_output=False,
                dtype=np.float32,
            )
            self.encoder_.set_output(transform="default").fit(levels)
        return self

    def _fit_gaussian(self, numbers):
        """Mean and precision of the scaled numbers; constant columns stay by themselves."""
        n_columns = numbers.shape[1]
        if not 0 < n_columns <= WIDEST:
            return None, None
        z, mean, precision = np.empty(numbers.shape), np.zeros(n_columns), np.eye(n_columns)
        missing = squash(numbers, self.centre_, self.scale_, z)
        varied = z.any(0)
        z, missing, block = z[:, varied], missing[:, varied], np.ix_(varied, varied)
        if missing.any():
            mean[varied], precision[block] = fit_gaussian(z, missing)
        elif varied.any():
            covariance = ledoit_wolf(z)[0] + LEAST * np.eye(z.shape[1])
            mean[varied], precision[block] = z.mean(0), np.linalg.inv(covariance)
        return mean, precision

    def transform(self, X) -> np.ndarray:
        """Columns for a network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_columns), float32
            Numbers, marks of missing values, then levels.
        """
        check_is_fitted(self)
        return self.transform_checked(check_table(X, self, reset=False))

    def transform_checked(self, table):
        """`transform` of rows that :func:`check_table` has checked."""
        table = table if isinstance(table, np.ndarray) else as_table(table)
        n_rows, n_columns = len(table), len(self.scale_) + len(self.missing_)
        if self.encoder_ is not None:
            n_columns += len(self.encoder_.get_feature_names_out())
        rows = room_for("the preprocessed table", (n_rows, n_columns))
        for start in range(0, n_rows, BLOCK):
            part = slice(start, min(start + BLOCK, n_rows))
            self._fill(rows[part], table if n_rows <= BLOCK else take(table, part))
        return rows

    def _fill(self, rows, table):
        """Write the columns of a block into `rows`."""
        ignored = np.isinf(self.scale_)
        ignored[self.missing_] = False
        numbers, levels, _ = finite_columns(table, self.is_level_, ignored)
        n_numbers, n_missing = len(self.scale_), len(self.missing_)
        z = rows[:, :n_numbers]
        missing = squash(numbers, self.centre_, self.scale_, z)
        if self.precision_ is not None and missing.any():
            fill(z, missing, self.mean_, self.precision_, BOUND)
        rows[:, n_numbers : n_numbers + n_missing] = missing[:, self.missing_] * HEIGHT
        if self.encoder_ is not None:
            rows[:, n_numbers + n_missing :] = self.encoder_.transform(levels) * HEIGHT

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X, if `fit` saw none.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        numbers = names[~self.is_level_]
        marks = [f"missingindicator_{name}" for name in numbers[self.missing_]]
        levels = []
        if self.encoder_ is not None:
            levels = self.encoder_.get_feature_names_out(names[self.is_level_])
        return np.array([*numbers, *marks, *levels], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


@dataclass
class TableInput:
    """A table through a TablePreprocessor; an input as :mod:`sklearn_thin.rows.inputs` has them."""

    transformer: TablePreprocessor = field(default_factory=TablePreprocessor)
    shape: tuple | None = None
    range = dtype = None

    def check(self, X, net, *, reset=False):
        """None; X is checked as a table."""
        check_table(X, net, reset=reset, least=2 if reset else 1)

    def fit(self, parts, labels, seed):
        """The fitted input, and the backbone's input for each part; the first part trains."""
        self.transformer.fit(parts[0].raw)
        inputs = [self.transform(part.raw) for part in parts]
        self.shape = inputs[0].shape[1:]
        return self, inputs

    transform = property(attrgetter("transformer.transform_checked"))


def input_of(net, X, left_out=()):
    """The unfitted input of a net for X, without the columns that are `left_out`."""
    given, table = getattr(net, net.preprocessing), X if isinstance(X, np.ndarray) else as_table(X)
    images = getattr(net.backbone, "image_shape", None) is not None  # folded from rows
    if not (given is None or isinstance(given, str)):
        chosen = TransformedInput(given, net.preprocessing, images)
    elif given is None or images or getattr(table, "ndim", 2) > 2:
        chosen = ArrayInput(images, clips=given is not None)
    else:
        chosen = TableInput()
    return RestInput(chosen, sorted(set(left_out))) if left_out else chosen


def check_table(X, estimator, *, reset, least=1):
    """X as a frame, or as an array of numbers or objects (n_samples, n_features), not empty.

    `reset` sets the estimator's `n_features_in_` and `feature_names_in_`; else X must match them.
    Values are checked where blocks of rows are read.
    """
    X = X if isinstance(X, np.ndarray) else as_table(X)
    if getattr(X, "ndim", 2) > 2 and not reset:
        raise ValueError(
            f"X has images of shape {X.shape[1:]}, but {type(estimator).__name__} was fitted on "
            f"samples of shape {(estimator.n_features_in_,)}"
        )
    settings = {"reset": reset, "ensure_all_finite": False, "ensure_min_samples": least}
    is_array = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind != "c"
    fitted = {} if reset else vars(estimator)
    alike = is_array and len(X) >= least and X.shape[1] == fitted.get("n_features_in_")
    if alike and "feature_names_in_" not in fitted:  # no names to compare
        return X
    if not (is_array or hasattr(X, "columns")):
        return validate_data(estimator, X, dtype=None, **settings)
    X_checked = validate_data(estimator, X, reset=reset, skip_check_array=True)
    if min(X.shape[0] - least, X.shape[1] - 1) < 0:
        check_array(np.zeros(X.shape), ensure_min_samples=least)  # raises in scikit-learn's words
    return X_checked


def finite_columns(table, is_level=None, ignored=()):
    """As :func:`read_columns`, with a short way for numbers alone; raises for infinite values."""
    table = table if isinstance(table, np.ndarray) else as_array(table)
    plain = isinstance(table, np.ndarray) and table.dtype.kind in NUMBERS
    if plain and not np.any(is_level):
        numbers = table if table.dtype == np.float32 else table.astype(np.float64, copy=False)
        levels, is_level = np.empty((len(table), 0), object), np.zeros(table.shape[1], bool)
    else:
        numbers, levels, is_level = read_columns(table, is_level, ignored)
    with np.errstate(over="ignore", invalid="ignore"):  # sums of the largest numbers
        if not np.isfinite(numbers.sum()):
            assert_all_finite(numbers, allow_nan=True, input_name="X")
    return numbers, levels, is_level


def sampled(table, most):
    """`most` of the rows, if they are more."""
    if len(table) <= most:
        return table
    return take(table, np.sort(np.random.RandomState(0).permutation(len(table))[:most]))


def robust_scale(numbers):
    """Medians, ranges, and the indices of the columns that miss values.

    Ranges are interquartile, and infinite where all values are equal.
    """
    n_rows, n_columns = numbers.shape
    centre, scale, missing = np.zeros(n_columns), np.full(n_columns, np.inf), []
    size = max(1, 2**20 // max(1, n_rows))
    for start in range(0, n_columns, size):
        part = slice(start, start + size)
        values = numbers[:, part].astype(np.float64)  # a copy
        absent = np.isnan(values)
        missing.append(start + np.flatnonzero(absent.any(0) & ~absent.all(0)))
        values[:, absent.all(0)] = 0
        quantile = np.nanquantile if absent.any() else np.quantile
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            low, middle, high = quantile(values, [0.25, 0.5, 0.75], axis=0)
            wide = np.minimum(high - low, np.finfo(np.float64).max)
            rounding = 4 * np.finfo(numbers.dtype).eps * np.abs(middle)
            for j in np.flatnonzero(wide <= rounding):
                away = np.abs(values[:, j] - middle[j])
                away = away[away > rounding[j]]
                wide[j] = np.median(away) if len(away) else np.inf
        centre[part], scale[part] = middle, wide
    return centre, scale, np.concatenate([*missing, np.zeros(0, np.int64)]).astype(np.int64)


def squash(numbers, centre, scale, out):
    """Write scaled, smoothly clipped numbers into `out`, 0 where missing; returns where."""
    ranges = np.concatenate([np.abs(centre), scale[np.isfinite(scale)]])
    narrow = numbers.dtype == np.float32 and np.all(ranges < 1e30) and np.all(scale > 1e-30)
    z = out if narrow else np.empty(numbers.shape)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        np.subtract(numbers, centre.astype(z.dtype), out=z)
        np.divide(z, scale.astype(z.dtype), out=z)
        missing = np.isnan(z)
        z[missing] = 0
        np.clip(z, -1e6, 1e6, out=z)  # whose square is finite
        z /= np.sqrt(1 + np.square(z / BOUND))
    if z is not out:
        out[:] = z
    return missing
