"""Known exogenous variables: columns of X, or labels that come with each call, as levels."""

import difflib
import warnings
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data
from torch import nn

from sklearn_thin._environment import warn_once
from sklearn_thin._pickling import Estimator
from sklearn_thin.exogenous.columns import places_of
from sklearn_thin.modules.heads import LogProbabilities
from sklearn_thin.rows.columns import as_levels, as_table, check_exact, name_of, read_column
from sklearn_thin.rows.tables import robust_scale

GIVEN = "given"  # stands for labels that come with each call


@dataclass
class Levels:
    """Levels of rows, whose probabilities are made for some rows at a time."""

    codes: np.ndarray  # (n,), -1 for the prior
    prior: np.ndarray  # (n_levels,)

    def __getitem__(self, rows):
        codes = self.codes[rows]
        proba = np.zeros((len(codes), len(self.prior)), np.float32)
        proba[np.arange(len(codes)), codes] = 1
        proba[codes < 0] = self.prior
        return torch.from_numpy(proba)


class KnownVariable(TransformerMixin, Estimator):
    """A column of X as exogenous variable: the levels of labels, or one scaled number.

    `THINClassifier(exogenous="site")` uses it. Labels become probabilities: 1 for their level, and
    0 for the others. Missing labels, and labels that `fit` lacked, get the frequencies of all
    levels in `fit`, the gate's prior. Missing numbers get the median.

    Parameters
    ----------
    column : str or int
        Name or position of the column.
    kind : {"auto", "labels", "number"}, default="auto"
        "auto" takes numbers with fractions as a number, such as a temperature, and all else as
        labels: text, categories, booleans and whole numbers.

    Attributes
    ----------
    classes_ : ndarray of str of shape (n_levels,), or None
        Levels as text, or None for a number.
    levels_ : ndarray of str of shape (n_levels,), or None
        The levels in their order: numbers as numbers, and text as text. Probabilities that a caller
        passes as `exogenous` have this order, as `predict_proba` of an encoder of the labels has.
    prior_ : ndarray of shape (n_levels,) or (1,)
        Frequencies of the levels, or the median of the number.
    range_ : ndarray of shape (1,), or None
        Range of a number, by which the gate reads it scaled and clipped, as
        :class:`~sklearn_thin.TablePreprocessor` scales and clips. Labels have none.
    predictor_ : Module
        The logarithm of the probabilities, as c. A number has none.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if X has them.

    Examples
    --------
    >>> from sklearn_thin.exogenous import KnownVariable
    >>> known = KnownVariable(1).fit([[0.5, "a"], [0.1, "b"], [0.3, "b"], [0.2, "a"]])
    >>> known.transform([[0.9, "b"], [0.7, "c"]])
    array([[0. , 1. ],
           [0.5, 0.5]], dtype=float32)
    """

    def __init__(self, column, kind="auto"):
        self.column = column
        self.kind = kind

    def fit(self, X, y=None):
        """Take the levels, or median and range, from a column of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self : KnownVariable

        Raises
        ------
        ValueError
            For a column that X lacks, or that holds one label alone, a label for each row, numbers
            beyond float32, or floats beyond 2^53 (float32: 2^24) as labels.
        """
        table = self._check(X, reset=True)
        (place,) = places_of(self.column, table, "column")
        values = read_column(table, place, exact=self.kind != "number")
        return self.fit_values(values, name_of(table, place))

    def fit_values(self, values, name):
        """`fit` from the values of the column; `name` names it in errors."""
        if self.kind not in ("auto", "labels", "number"):
            raise InvalidParameterError(
                f"kind of KnownVariable must be 'auto', 'labels' or 'number', got {self.kind!r}"
            )
        text = values.dtype == object
        number = self.kind == "number" or (self.kind == "auto" and not text and has_parts(values))
        self.classes_ = self.levels_ = self.range_ = None
        if number:
            values = values if text else values.astype(np.float64)
            if text or not np.isfinite(values).any():
                raise ValueError(f"{name} is to be a number (kind='number'), but holds none")
            check_magnitude(values, name)
            if self.kind == "auto":
                warn_of_scaled_labels(values[~np.isnan(values)], name)
            median, self.range_, _ = robust_scale(values[:, None])
            self.prior_ = median.astype(np.float32)
            if self.range_ < 1e-5 * abs(median):  # a hundred steps of float32, or fewer
                warn_once(
                    f"{name} varies by {self.range_[0]:.3g} around {median[0]:.10g}, which float32 "
                    "rounds away. Subtract a constant from the column, such as the first date"
                )
            return self
        may_be_number = self.kind == "auto" and not text
        hint = f". For a number pass kind='number' to {type(self).__name__}"
        check_exact(values, name, hint if may_be_number else "")
        levels = as_levels(values)
        known = np.array([level is not None for level in levels], bool)
        classes, counts = np.unique(levels[known].astype(str), return_counts=True)
        if len(classes) < 2:
            raise ValueError(
                f"{name} must hold at least two labels to be an exogenous variable, got "
                f"{classes.tolist()}"
            )
        if len(classes) > len(values) / 2:
            raise ValueError(
                f"{name} holds {len(classes)} labels in {len(values)} rows, too many to learn what "
                "each changes. Bin them, or pass KnownVariable(column, kind='number') for numbers"
            )
        self.classes_, self.prior_ = classes, (counts / counts.sum()).astype(np.float32)
        of = dict(zip(levels[known].tolist(), values[known].tolist(), strict=True))
        numbers = all(isinstance(value, Real) for value in of.values())
        self.levels_ = np.array(sorted(of, key=of.get), classes.dtype) if numbers else classes
        self._of_text = any(isinstance(value, str) for value in of.values())
        return self

    def transform(self, X):
        """Probabilities of the levels, or the number.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_levels) or (n_samples, 1), float32
            Columns in the order of `classes_`.
        """
        check_is_fitted(self, "prior_")
        return self.read(X)[:].numpy()

    def read(self, X):
        """`transform` as a tensor, or as Levels."""
        table = self._check(X, reset=False)
        (place,) = places_of(self.column, table, "column")
        values = read_column(table, place, exact=self.classes_ is not None)
        return self.read_values(values, name_of(table, place))

    def read_values(self, values, name):
        """`read` of the values of the column."""
        if self.classes_ is None:
            if values.dtype == object:
                raise ValueError(f"{name} held numbers in fit, and now holds text")
            check_magnitude(values, name)
            numbers = np.where(np.isnan(values), self.prior_, values).astype(np.float32)
            return torch.from_numpy(numbers[:, None])
        check_exact(values, name)
        levels = as_levels(values)
        known = self.classes_.astype(str).tolist()
        place = {level: i for i, level in enumerate(known)}
        codes = np.array([place.get(level, -1) for level in levels], np.int64)
        if (codes < 0).all():
            of_text = getattr(self, "_of_text", False)  # older files do not say
            warn_of_type(values, levels, known, name, of_text=of_text)
        return Levels(codes, self.prior_)

    @property
    def predictor_(self):
        """c: logits of the levels, from their probabilities."""
        if self.classes_ is None:
            raise AttributeError("a number has no predictor")
        return LogProbabilities()

    def _check(self, X, *, reset):
        table = as_table(X)
        validate_data(self, table, reset=reset, skip_check_array=True)
        return table

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        return tags


class GivenVariable(KnownVariable):
    """Labels that come with each call: `THINClassifier(exogenous="given")`.

    `fit` takes them from y. `transform` has none, and gives each row the prior.

    Parameters
    ----------
    kind : {"auto", "labels", "number"}, default="auto"
        See :class:`KnownVariable`.
    """

    def __init__(self, kind="auto"):
        self.kind = kind

    def fit(self, X, y):
        """Take the levels, or median and range, from y.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Ignored.
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : GivenVariable
        """
        values = values_of(y, "exogenous_target", exact=self.kind != "number")
        return self.fit_values(values, "exogenous_target")

    def transform(self, X):
        """The prior of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples, n_levels) or (n_samples, 1), float32
        """
        check_is_fitted(self, "prior_")
        return np.tile(self.prior_, (_num_samples(X), 1))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def values_of(labels, name, *, exact=False):
    """Labels (n,) of any library as float64, or as objects; :func:`read_column` has `exact`."""
    table = labels.to_frame() if hasattr(labels, "to_frame") else as_table(labels)
    table = table.reshape(-1, 1) if isinstance(table, np.ndarray) else table
    return read_column(table, 0, name, exact=exact)


def check_magnitude(values, name):
    """Raise ValueError for numbers that float32 does not hold; NaN is missing."""
    too_large = np.abs(values) > np.finfo(np.float32).max
    if too_large.any():
        raise ValueError(
            f"{name} must hold finite numbers within float32, got {values[too_large][0]:.3g}. "
            "Scale the column, or mark values that are no numbers as missing"
        )


def warn_of_type(values, levels, known, name, *, of_text):
    """Warn where levels, none of them known, are numbers and the known ones are text, or reverse.

    New levels of the same type are legitimate, as those of a new site. Among texts, "11" beside
    "01" may be one. "1" is none.
    """
    came = list(dict.fromkeys(level for level in levels if level is not None))
    of_came, of_known = (list(map(number_of, part)) for part in (came, known))
    are_numbers = [number == level for number, level in zip(of_came, came, strict=True)]
    were_numbers = [number == level for number, level in zip(of_known, known, strict=True)]
    # "01" is no level of a number, and shows that "10" beside it is text too
    padded = any(n not in (None, level) for n, level in zip(of_known, known, strict=True))
    texts = any(isinstance(value, str) for value in values)
    is_new = texts and set(of_came).isdisjoint(of_known)
    kinds = ["numbers", "text"]
    if came and not any(are_numbers) and all(were_numbers) and not (is_new and of_text):
        kinds.reverse()
    elif is_new or not (came and all(are_numbers) and (padded or not any(were_numbers))):
        return
    warnings.warn(
        f"{name} holds {kinds[0]}, such as {came[0]}, but its levels in fit were {kinds[1]}, such "
        f"as {', '.join(known[:3])}. Rows without a known level have the gate's prior. "
        f"Pass the labels as {kinds[1]}",
        UserWarning,
        stacklevel=2,
    )


def warn_of_scaled_labels(numbers, name):
    """Warn where few different numbers have mean 0 and deviation 1, as scaled labels have.

    Numbers of four decimals at most are no output of a scaler.
    """
    scaled = abs(numbers.mean()) < 0.1 and abs(numbers.std() - 1) < 0.1
    many = scaled and len(numbers) >= 100 and (numbers != numbers.round(4)).any()
    if many and len(np.unique(numbers)) <= 10:
        warn_once(
            f"{name} holds at most 10 different numbers of about mean 0 and deviation 1, as labels "
            "are behind a StandardScaler. The gate reads them as one number. Pass labels as they "
            "were before scaling, or pass kind='labels' to KnownVariable or GivenVariable. "
            "kind='number' says that they are a number"
        )


def number_of(level):
    """The level that the number in a text would have, "1" for "01"; None for other text."""
    for kind in (int, float):
        try:
            return as_levels([kind(level)])[0]
        except ValueError:
            continue
    return None


def has_parts(numbers):
    """Whether some number is not whole."""
    numbers = numbers[np.isfinite(numbers)]
    return bool((numbers != np.floor(numbers)).any())


def is_named_list(exogenous):
    """Whether a list as parameter `exogenous` is one of (name, transformer)."""
    return all(isinstance(item, tuple) for item in exogenous)


def names_columns(exogenous):
    """Whether a value of the parameter `exogenous` names columns of X."""
    if isinstance(exogenous, (str, Integral, slice)):
        return exogenous != GIVEN and not isinstance(exogenous, bool)
    if isinstance(exogenous, list):
        return bool(exogenous) and all(isinstance(item, (str, Integral)) for item in exogenous)
    other = isinstance(exogenous, (type, nn.Module)) or hasattr(exogenous, "fit")
    return callable(exogenous) and not other


def listed_variables(exogenous, X):
    """List of (name, transformer) from columns of X, from "given" or from a transformer."""
    if isinstance(exogenous, str) and exogenous == GIVEN:
        return [(GIVEN, GivenVariable())]
    if not names_columns(exogenous):
        return exogenous if isinstance(exogenous, list) else [("exogenous", exogenous)]
    names = getattr(table := as_table(X), "columns", None)
    places = places_of(exogenous, table)
    columns = places if names is None else [names[place] for place in places]
    columns = [c if isinstance(c, str) else p for c, p in zip(columns, places, strict=True)]
    return [(str(column), KnownVariable(column)) for column in columns]


def target_column(target, index, n_variables, names=None, argument="exogenous_target"):
    """Labels of one exogenous variable, by its name in a frame, else by its place.

    `names` are those of all variables, if a frame may have them.
    """
    shape = target.shape
    if n_variables == 1 and len(shape) == 1:
        return target
    columns = [] if names is None else list(getattr(target, "columns", ()))
    if columns and names[index] in columns:
        return target[names[index]]
    if others := [name for name in names or () if name in columns]:
        near = difflib.get_close_matches(names[index], list(map(str, columns)))
        hint = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
        raise ValueError(
            f"{argument} has the columns {columns}: one for {', '.join(map(repr, others))}, "
            f"but none for {names[index]!r}. Name a column after each exogenous variable, or none."
            f"{hint}"
        )
    if len(shape) != 2 or shape[1] != n_variables:
        hint = ". For several, pass exogenous as a list of (name, transformer)"
        hint += f", such as ({GIVEN!r}, GivenVariable())" if names == [GIVEN] else ""
        raise ValueError(
            f"{argument} must have shape (n_samples, {n_variables}), a column for each "
            f"exogenous variable, got {shape}{hint if n_variables == 1 else ''}"
        )
    return _safe_indexing(target, index, axis=1)
