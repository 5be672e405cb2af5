"""Missing cells of a table, filled by a Gaussian that is fitted to the other cells."""

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage

ROUNDS = 5  # of expectation and maximisation
LEAST = 1e-6  # variance, so that copies of a column leave the covariance invertible
ELEMENTS = 2**20  # most numbers in one array of precisions


def fit_gaussian(rows, missing):
    """Mean (n_columns,) and precision (n_columns, n_columns) of rows with missing cells.

    They are of maximum likelihood by expectation and maximisation [1]_, and the covariance is
    shrunk [2]_, as :func:`~sklearn.covariance.ledoit_wolf` shrinks that of complete rows.

    References
    ----------
    .. [1] Little and Rubin, "Statistical analysis with missing data", 2002, section 11.2.
    .. [2] Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
       matrices", 2004.
    """
    filled, (n_rows, n_columns) = rows.astype(np.float64), rows.shape
    mean, precision = np.zeros(n_columns), np.eye(n_columns)
    for _ in range(ROUNDS):
        spread = np.zeros((n_columns, n_columns))  # covariance of the filled cells, summed
        for places, columns, values, precisions in _expected(filled, missing, mean, precision):
            filled[places, columns] = values
            pairs = columns[:, :, None], columns[:, None]
            np.add.at(spread, pairs, np.linalg.inv(precisions))
        mean = filled.mean(0)
        away = filled - mean
        shrinkage = ledoit_wolf_shrinkage(away, assume_centered=True)
        covariance = (1 - shrinkage) * (away.T @ away + spread) / n_rows
        variance = shrinkage * np.mean(away**2) + LEAST
        precision = np.linalg.inv(covariance + variance * np.eye(n_columns))
    return mean, precision


def fill(rows, missing, mean, precision, bound):
    """Write their expected values, given the other cells of the row, into missing cells."""
    for places, columns, values, _ in _expected(rows, missing, mean, precision):
        rows[places, columns] = np.clip(values, -bound, bound)


def _expected(rows, missing, mean, precision):
    """Of rows with equally many missing cells: places, columns, expected values, precisions.

    Each row is computed by products of its own, so that no other row changes its bits.
    """
    counts = missing.sum(1)
    for count in np.unique(counts[counts > 0]):
        equal = np.flatnonzero(counts == count)
        size = max(1, ELEMENTS // (count * rows.shape[1]))
        for start in range(0, len(equal), size):
            places = equal[start : start + size]
            columns = np.nonzero(missing[places])[1].reshape(-1, count)  # (n, count)
            away = np.where(missing[places], 0, rows[places] - mean)  # (n, n_columns)
            weights = precision[columns]  # (n, count, n_columns)
            precisions = np.take_along_axis(weights, columns[:, None], axis=2)
            values = np.linalg.solve(precisions, weights @ away[:, :, None])  # (n, count, 1)
            yield places[:, None], columns, mean[columns] - values[:, :, 0], precisions
