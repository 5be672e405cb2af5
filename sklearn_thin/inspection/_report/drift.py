"""Does the relation of X and y change with z? Two regressions, on held-out rows."""

import warnings

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sklearn_thin.inspection._report.models import scaled

WIDEST = 32  # columns; more become principal components
MAX_ITER = 200
LEAST = 1e-6  # probability, of classes that the training rows lack


def log_losses(rows, seed):
    """Held-out log-losses (n,) with slopes for each level, and for each of shuffled levels.

    Each is a logistic regression with an L2 penalty. Both read X, the levels of z, and products of
    X and levels. The levels of the products are those of z in the first. In the second they are
    shuffled, so that both regressions are equally flexible.
    """
    losses = np.zeros((2, len(rows.y)))
    shuffled = np.random.RandomState(seed).permutation(rows.z)
    for train, test in rows.folds(seed):
        x, x_test = scaled(rows.X, train, test)
        if x.shape[1] > WIDEST:
            pca = PCA(WIDEST, svd_solver="randomized", random_state=seed, whiten=True).fit(x)
            x, x_test = pca.transform(x), pca.transform(x_test)
        for levels, found in zip((rows.z, shuffled), losses, strict=True):
            design, design_test = (
                columns(part, rows.z[index], levels[index], len(rows.levels))
                for part, index in ((x, train), (x_test, test))
            )
            found[test] = held_out_losses(design, rows.y[train], design_test, rows.y[test])
    return losses


def columns(x, z, by, n_levels):
    """X (n, p), the levels z, and the products of X and the levels `by`, as a sparse matrix."""
    (n_rows, width), row = x.shape, np.arange(len(z))
    levels = sparse.csr_array((np.ones(n_rows), (row, z)), (n_rows, n_levels))
    place = by[:, None] * width + np.arange(width)  # (n, p)
    start, shape = np.arange(n_rows + 1) * width, (n_rows, n_levels * width)
    products = sparse.csr_array((x.ravel(), place.ravel(), start), shape)
    return sparse.csr_matrix(sparse.hstack([x, levels, products], format="csr"))


def held_out_losses(design, y, design_test, y_test):
    """Log-losses (n_test,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # scikit-learn 1.6 with scipy 1.17
        regression = LogisticRegression(C=0.1, max_iter=MAX_ITER).fit(design, y)
    of_class = regression.predict_proba(design_test) * (regression.classes_ == y_test[:, None])
    return -np.log(np.maximum(of_class.sum(1), LEAST))
