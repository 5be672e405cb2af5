"""Intervals of means over rows, or over rows in groups."""

import numpy as np
from scipy.stats import t as student
from sklearn.utils import gen_batches

from sklearn_thin.inspection._tally import LEVEL, N_PERMUTATIONS

N_RESAMPLES = 1000
DRAWN = 2**22  # counts of rows that are drawn at once
ENDS = (1 - LEVEL) / 2, (1 + LEVEL) / 2


def mean_of(total, count, empty=np.nan):
    """Totals over counts; `empty` where the count is 0."""
    return np.where(count > 0, total / np.where(count > 0, count, 1), empty)


def ends_of(drawn):
    """Ends of the intervals (2, n_levels) of resampled values (n, n_levels)."""
    return np.nanquantile(drawn, ENDS, axis=0)


def ends_of_gap(main, drawn, units):
    """Ends of the interval of the gap between the levels, of resampled values (n, n_levels).

    Resampled gaps are greater than the gap, as noise makes gaps. The range of the levels' changes
    bounds the error of all pairs of levels at once.
    """
    if (units[(main == main.min()) | (main == main.max())] == 1).any():
        return np.nan, np.nan  # resamples of one row, or one group, do not vary
    changes = drawn - main
    half = np.quantile(np.nanmax(changes, 1) - np.nanmin(changes, 1), LEVEL)
    return max(0.0, np.ptp(main) - half), np.ptp(main) + half


def wilson(accuracy, n_rows, units):
    """Ends of the intervals (2, n_levels) of accuracies of so many independent rows."""
    square = student.ppf(ENDS[1], np.maximum(units - 1, 1)) ** 2 / n_rows
    half = np.sqrt(square * accuracy * (1 - accuracy) + square**2 / 4)
    middle = accuracy + square / 2
    return np.array([middle - half, middle + half]) / (1 + square)


def effective_rows(parts, z, groups):
    """Independent rows (n_levels,) that have the variance of the accuracy: fewer by groups.

    Where all rows are right, or all are wrong, each group counts as a row.
    """
    n_rows = np.bincount(z)
    if groups is None:
        return n_rows
    right = parts[:, 1]
    mean = np.bincount(z, right) / n_rows
    sums, there = np.zeros((2, groups.max() + 1, len(n_rows)))
    np.add.at(sums, (groups, z), right - mean[z])
    there[groups, z] = 1
    n_groups = there.sum(0)
    variance = (sums**2).sum(0) / n_rows**2 * n_groups / np.maximum(n_groups - 1, 1)
    return np.minimum(n_rows, mean_of(mean * (1 - mean), variance, n_groups))


def resampled(parts, z, groups, random):
    """Sums of parts over resamples, (N_RESAMPLES, n_levels, n_parts): of rows within each level, or
    of groups.
    """
    n_levels = z.max() + 1
    drawn = np.zeros((N_RESAMPLES, n_levels, parts.shape[1]))
    if groups is None:
        units = [(slice(level, level + 1), parts[z == level][:, None]) for level in range(n_levels)]
    else:
        sums = np.zeros((groups.max() + 1, n_levels, parts.shape[1]))
        np.add.at(sums, (groups, z), parts)
        units = [(slice(None), sums)]
    for levels, values in units:  # (n_units, 1 or n_levels, n_parts)
        n_units = len(values)
        for some in gen_batches(N_RESAMPLES, max(1, DRAWN // n_units)):
            size = some.stop - some.start
            times = random.multinomial(n_units, np.full(n_units, 1 / n_units), size=size)
            drawn[some, levels] = np.tensordot(times.astype(float), values, axes=1)
    return drawn


def flipped(loss, z, groups, random):
    """Sums of the loss of each level, (n, n_levels), some at a time: groups with random signs.

    The loss is less its mean, in each draw too. Exchanges of z within groups would leave nearly
    all of z in place, where most groups have one level.
    """
    n_rows = np.bincount(z)
    sums = np.zeros((groups.max() + 1, len(n_rows)))
    np.add.at(sums, (groups, z), loss)
    for some in gen_batches(N_PERMUTATIONS, max(1, DRAWN // len(sums))):
        signs = random.choice([-1.0, 1.0], size=(some.stop - some.start, len(sums)))
        drawn = signs @ sums
        yield drawn - n_rows * drawn.sum(1, keepdims=True) / len(z)
