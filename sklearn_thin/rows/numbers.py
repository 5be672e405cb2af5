"""Numbers to learn: checked, standardised by the training rows, and back."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import assert_all_finite, check_array

from sklearn_thin.losses import squared_error
from sklearn_thin.rows.labels import as_array, scaled_to_mean_one, wrong_length


@dataclass
class Numbers:
    """The targets of a regressor: numbers of any units, which the network learns standardised.

    As :class:`~sklearn_thin.rows.labels.Classes`. Mean and standard deviation are float64.
    """

    n_outputs: int
    is_vector: bool  # whether y is (n_samples,), not (n_samples, n_outputs)
    mean: np.ndarray | None = None  # of the training rows, (n_outputs,); None until `fit`
    scale: np.ndarray | None = None  # their standard deviation, 0 for a constant
    fit_loss = staticmethod(squared_error)
    constant = "the mean"

    @classmethod
    def read(cls, y, n_samples, before=None, *, name="y", rows="X"):
        """The targets of y, and its numbers (n_samples, n_outputs), float64."""
        y = check_numbers(y, name)
        if len(y) != n_samples:
            raise wrong_length(y, n_samples, name, rows, kind="number")
        is_vector, y = y.ndim == 1, y.reshape(len(y), -1)
        targets = cls(y.shape[1], is_vector)
        if before is None:
            return targets, y
        if targets.n_outputs != before.n_outputs:
            raise ValueError(
                f"{name} must have {before.n_outputs} outputs, as in the fit, got "
                f"{targets.n_outputs}"
            )
        return replace(before), y

    def fit(self, parts):
        """Standardise y of these Rows, of which the first train; the numbers of the first.

        Mean and scale of a fit before stay, except for outputs that were constant there.
        """
        y = parts[0].y
        mean, scale = mean_and_scale(y, parts[0].weight)
        if self.mean is not None:
            mean = np.where(self.scale > 0, self.mean, mean)
            scale = np.where(self.scale > 0, self.scale, scale)
        self.mean, self.scale = mean, scale
        halved = np.where(scale > 0, scale, 1) / 2
        for part in parts:  # halves, as a difference of the largest numbers would overflow
            part.y = ((part.y / 2 - mean / 2) / halved).astype(np.float32)
        return y[:, 0] if self.is_vector else y

    def values(self, outputs):
        """Numbers in the units and the shape of y from standardised numbers (..., n_outputs)."""
        largest = np.finfo(np.float64).max / 2
        with np.errstate(over="ignore"):  # which the clipping mends
            halves = np.asarray(outputs, np.float64) * (self.scale / 2) + self.mean / 2
        values = 2 * np.clip(halves, -largest, largest)
        return values[..., 0] if self.is_vector else values

    def strata(self, y):
        """A single stratum, from which a hold-out takes any rows."""
        return np.zeros(len(y), np.int64)

    def constant_loss(self, y, weight):
        """Loss of the best prediction without X."""
        y = y.astype(np.float64)
        mean = np.average(y, axis=0, weights=weight)
        return np.average((y - mean) ** 2, axis=0, weights=weight).mean()


def check_numbers(y, name):
    """y (n_samples,) or (n_samples, n_outputs) as finite float64."""
    plain = y if hasattr(y, "to_numpy") else as_array(y, name)  # frames read gaps of their own
    values = np.asarray(plain)
    if values.ndim not in (1, 2) or 0 in values.shape[1:]:
        raise ValueError(
            f"{name} must have shape (n_samples,) or (n_samples, n_outputs), got {values.shape}"
        )
    kinds = {type(value) for value in values.flat} if values.dtype == object else set()
    if values.dtype.kind not in "biufcO" or not kinds.isdisjoint((str, bytes)):
        kind = values.dtype if values.dtype.kind in "mM" else "text"
        raise ValueError(
            f"{name} must hold numbers, got {kind}, such as {values.flat[0]!r}. THINRegressor "
            "learns numbers, and THINClassifier learns classes"
        )
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name}")
    how = {"dtype": np.float64, "ensure_2d": False, "input_name": name}
    try:
        y = check_array(plain, ensure_all_finite=False, **how)
    except TypeError as error:  # of objects that are no numbers
        raise ValueError(f"{name} must hold a number for each row: {error}") from error
    if not np.isfinite(y).all():  # scikit-learn's own check sums, which may overflow
        assert_all_finite(y, input_name=name)
    return y


def mean_and_scale(y, weight):
    """Weighted mean and standard deviation (n_outputs,) of columns of any units.

    The sums hold powers of two of each column, exactly, so that no sum overflows or vanishes.
    """
    weight = None if weight is None else scaled_to_mean_one(weight)
    exponent = np.frexp(np.abs(y).max(0))[1]
    y = np.ldexp(y, -exponent)  # within -1 and 1
    mean = np.average(y, axis=0, weights=weight)
    scale = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
    constant = (y == y[0]).all(0)  # whose deviation may be a rounding error
    mean, scale = np.where(constant, y[0], mean), np.where(constant, 0, scale)
    return np.ldexp(mean, exponent), np.ldexp(scale, exponent)
