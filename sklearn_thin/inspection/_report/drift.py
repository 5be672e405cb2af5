"""Does the relation of X and y change with z? Two regressions, on held-out rows."""

import warnings

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from sklearn_thin.inspection._report.inputs import scaled

WIDEST = 32  # columns; more become principal components
MAX_ITER = 200


def drift_losses(rows, seed):
    """Held-out losses (n,) with slopes for each level, and for each of shuffled levels.

    Each is a logistic regression, or a ridge regression of numbers. Both read X, the levels of z,
    and products of X and levels. The levels of the products are those of z in the first. In the
    second they are shuffled, so that both regressions are equally flexible.
    """
    losses = np.zeros((2, len(rows.y)))
    shuffled = np.random.RandomState(seed).permutation(rows.z)
    for train, test in rows.folds(seed):
        x, x_test = scaled(rows.X, train, test)
        if (x == x[0]).all():  # PCA would divide by its variance
            x, x_test = x[:, :0], x_test[:, :0]
        elif x.shape[1] > WIDEST:
            n_components = min(WIDEST, len(x))
            pca = PCA(n_components, svd_solver="randomized", random_state=seed, whiten=True).fit(x)
            x, x_test = pca.transform(x), pca.transform(x_test)
        for levels, found in zip((rows.z, shuffled), losses, strict=True):
            design, design_test = (
                columns(part, rows.z[index], levels[index], len(rows.levels))
                for part, index in ((x, train), (x_test, test))
            )
            regression = fitted(rows.outcome, design, rows.y[train])
            found[test] = rows.outcome.regression_losses(regression, design_test, rows.y[test])
    return losses


def columns(x, z, by, n_levels):
    """X (n, p), the levels z, and the products of X and the levels `by`, as a sparse matrix."""
    (n_rows, width), row = x.shape, np.arange(len(z))
    levels = sparse.csr_array((np.ones(n_rows), (row, z)), (n_rows, n_levels))
    place = by[:, None] * width + np.arange(width)  # (n, p)
    start, shape = np.arange(n_rows + 1) * width, (n_rows, n_levels * width)
    products = sparse.csr_array((x.ravel(), place.ravel(), start), shape)
    return sparse.csr_matrix(sparse.hstack([x, levels, products], format="csr"))


def fitted(outcome, design, y):
    """The regression, fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # scikit-learn 1.6 with scipy 1.17
        return outcome.regression(MAX_ITER).fit(design, y)
