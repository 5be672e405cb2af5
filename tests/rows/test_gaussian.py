"""The Gaussian that fills missing cells."""

import numpy as np
import pytest

from sklearn_thin import TablePreprocessor
from sklearn_thin.rows.gaussian import fill, fit_gaussian


@pytest.fixture(scope="module")
def gaussian():
    """Mean and covariance of five columns, and rows of them."""
    rng = np.random.RandomState(0)
    mixes = rng.normal(size=(5, 5))
    mean, covariance = rng.normal(size=5), mixes @ mixes.T / 5
    return mean, covariance, rng.multivariate_normal(mean, covariance, 4000)


@pytest.mark.parametrize("missing", [[2], [0, 4], [0, 1, 3, 4], [0, 1, 2, 3, 4]])
def test_missing_cells_become_their_mean_given_the_other_cells(missing, gaussian):
    mean, covariance, rows = gaussian
    row, here = rows[:1].copy(), np.isin(np.arange(5), missing)
    given = covariance[np.ix_(here, ~here)] @ np.linalg.inv(covariance[np.ix_(~here, ~here)])
    expected = mean[here] + given @ (row[0] - mean)[~here]
    row[0, here] = 0
    fill(row, here[None], mean, np.linalg.inv(covariance), np.inf)
    np.testing.assert_allclose(row[0, here], expected)
    np.testing.assert_array_equal(row[0, ~here], rows[0, ~here])


@pytest.mark.parametrize("share", [0, 0.05, 0.2])
def test_missing_cells_do_not_bias_the_fit(share, gaussian):
    mean, covariance, rows = gaussian
    missing = np.random.RandomState(1).rand(*rows.shape) < share
    found, precision = fit_gaussian(np.where(missing, 0, rows), missing)
    np.testing.assert_allclose(found, mean, atol=0.1)
    np.testing.assert_allclose(np.linalg.inv(precision), covariance, atol=0.15)


def test_copies_of_a_column_fill_each_other():
    column = np.random.RandomState(0).normal(size=(5000, 1))
    rows, missing = np.hstack([column] * 3), np.zeros((5000, 3), bool)
    mean, precision = fit_gaussian(rows, missing)
    missing[:10, 1] = True
    fill(rows, missing, mean, precision, 3.0)
    np.testing.assert_allclose(rows[:10, 1], column[:10, 0], atol=0.01)


def test_the_gaussian_of_a_complete_table_is_that_of_its_varied_columns(gaussian):
    rows = np.insert(gaussian[2], 2, 7.0, axis=1)  # a constant column stays by itself
    fitted, varied = TablePreprocessor().fit(rows), np.arange(6) != 2
    z = fitted.transform(rows)[:, varied].astype(float)
    mean, precision = fit_gaussian(z, np.zeros(z.shape, bool))
    np.testing.assert_allclose(fitted.mean_[varied], mean, atol=1e-6)
    np.testing.assert_allclose(fitted.precision_[np.ix_(varied, varied)], precision, rtol=1e-4)
    assert fitted.mean_[2] == 0
    np.testing.assert_array_equal(fitted.precision_[2], np.eye(6)[2])
