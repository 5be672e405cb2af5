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
    """Held-out log-losses (n,) with slopes of the levels, and with their intercepts alone.

    Each is a logistic regression with an L2 penalty. Both read X and the levels of z. The first
    also reads the products of X and levels.
    """
    losses = np.zeros((2, len(rows.y)))
    for train, test in rows.folds(seed):
        x, x_test = scaled(rows.X, train, test)
        if x.shape[1] > WIDEST:
            pca = PCA(WIDEST, svd_solver="randomized", random_state=seed, whiten=True).fit(x)
            x, x_test = pca.transform(x), pca.transform(x_test)
        for products, found in zip((True, False), losses, strict=True):
            design, design_test = (
                columns(part, rows.z[index], len(rows.levels), products=products)
                for part, index in ((x, train), (x_test, test))
            )
            found[test] = held_out_losses(design, rows.y[train], design_test, rows.y[test])
    return losses


def columns(x, z, n_levels, *, products):
    """X (n, p), levels, and the products of both, as a sparse matrix."""
    levels = sparse.csr_array((np.ones(len(z)), (np.arange(len(z)), z)), (len(z), n_levels))
    parts = [sparse.csr_array(x), levels]
    if products:
        n_rows, width = x.shape
        place = z[:, None] * width + np.arange(width)  # (n, p)
        start = np.arange(n_rows + 1) * width
        shape = (n_rows, n_levels * width)
        parts.append(sparse.csr_array((x.ravel(), place.ravel(), start), shape))
    return sparse.csr_matrix(sparse.hstack(parts, format="csr"))


def held_out_losses(design, y, design_test, y_test):
    """Log-losses (n_test,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # scikit-learn 1.6 with scipy 1.17
        regression = LogisticRegression(C=0.1, max_iter=MAX_ITER).fit(design, y)
    of_class = regression.predict_proba(design_test) * (regression.classes_ == y_test[:, None])
    return -np.log(np.maximum(of_class.sum(1), LEAST))
