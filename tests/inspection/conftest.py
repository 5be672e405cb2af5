"""Gated estimators of all kinds, fitted once for the tests that look into them."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from sklearn_thin import THINClassifier, THINRegressor
from sklearn_thin.datasets import make_sites
from tests.helpers import SMALL, small, small_encoder


@pytest.fixture(scope="session")
def sites():
    """A frame of eight sites of two hidden types, and the class of each row."""
    drawn = make_sites(n_samples=600, n_sites=8, n_types=2, as_frame=True, random_state=0)
    return drawn.data, drawn.target


@pytest.fixture(scope="session")
def by_site(sites):
    """Gated layers by the known site."""
    clf = THINClassifier("site", backbone=SMALL, depth=2, lr=0.01, max_epochs=15, random_state=0)
    return clf.fit(*sites)


@pytest.fixture(scope="session")
def regressor(sites):
    """Two outputs by the known site, with fewer experts than leaves."""
    X, _ = sites
    columns = X.drop(columns="site").to_numpy()
    y = np.column_stack([columns[:, 0], 100 * columns[:, 1] * (X["site"] < "site 4")])
    reg = THINRegressor("site", backbone=SMALL, depth=2, n_experts=3, max_epochs=9, random_state=0)
    return reg.fit(X, y)


@pytest.fixture(scope="session")
def two_sides(digits, two_targets):
    """Two encoded variables, "ink" and "side"."""
    sides = [
        (name, FrozenEstimator(small_encoder(max_epochs=5, random_state=0).fit(digits.X[:200], z)))
        for name, z in zip(("ink", "side"), two_targets.T, strict=True)
    ]
    return small(sides, depth=2, max_epochs=5).fit(digits.X[:200], digits.y[:200])


@pytest.fixture(scope="session")
def of_images(digits):
    """Images, with eight experts on four leaves, and labels that come with each call."""
    clf = small("given", backbone="auto", depth=2, n_experts=8, lr=0.01, max_epochs=6)
    return clf.fit(digits.images[:200], digits.y[:200], exogenous_target=digits.z[:200])
