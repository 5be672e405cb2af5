"""Held-out losses of two models on the same rows -> their ratio, with an interval."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

CONFIDENCE = 0.95  # of intervals


@dataclass(frozen=True)
class Ratio:
    """Mean loss of a model by that of another, with the ends of an interval."""

    ratio: float
    low: float
    high: float

    def __str__(self):
        return f"{self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}]"


def compare(losses, base, groups):
    """Ratio of the mean losses (n,), with the interval of cross-validation.

    The interval has the variance of the losses between rows, or between groups of rows (Bayle,
    Bayle, Janson and Mackey, 2020, equation 4.3, for a linearised ratio).
    """
    mean = base.mean()
    if not mean > 0:
        return Ratio(np.nan, np.nan, np.nan)
    ratio = losses.mean() / mean
    residual = np.bincount(groups, losses - ratio * base) / (mean * len(base))  # mean 0
    n_groups = len(residual)
    error = np.sqrt(n_groups * residual.var(ddof=1))
    half = t.ppf((1 + CONFIDENCE) / 2, n_groups - 1) * error
    return Ratio(float(ratio), float(ratio - half), float(ratio + half))
