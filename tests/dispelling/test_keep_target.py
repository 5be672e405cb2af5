"""`keep_target`: y depends on the variable, and dispelling keeps the information about y."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier, THINRegressor
from sklearn_thin.dispelling import Alignment, Erasure
from sklearn_thin.model_selection import StackedGridSearchCV
from tests.helpers import CountingEncoder

SMALL = MLPBackbone((8,))
KEEPING = [Erasure(keep_target=True), Alignment(keep_target=True)]


def draw(n_rows, share, seed):
    """Rows, three classes, and a variable that is 1 for this share of the rows of class 0."""
    rng = np.random.RandomState(seed)
    y = rng.randint(3, size=n_rows)
    z = (rng.uniform(size=n_rows) < np.where(y == 0, share, 1 - share)).astype(int)
    X = rng.normal(size=(n_rows, 6))
    X[:, :3] += 3 * np.eye(3)[y]
    X[:, 3] += 12 * z
    X[:, 0] += 4 * z  # as if the class were 0
    return X.astype(np.float32), y, z


@pytest.fixture(scope="module")
def dependent():
    return draw(1000, 0.9, 0)


@pytest.fixture(scope="module")
def encoder(dependent):
    X, _, z = dependent
    encoder = ExogenousEncoder(SMALL, max_epochs=30, lr=0.02, random_state=0)
    return FrozenEstimator(encoder.fit(X, z))


def thin(exogenous, dispelling, **params):
    params = {"backbone": MLPBackbone(()), "depth": 0, "max_epochs": 15, "lr": 0.02, **params}
    return THINClassifier(exogenous, dispelling=dispelling, random_state=0, **params)


def fitted(exogenous, dispelling, rows, **params):
    X, y, z = rows
    labels = {"exogenous_target": z} if isinstance(dispelling, Erasure) else {}
    return thin(exogenous, dispelling, **params).fit(X, y, **labels)


def covariance_within(h, y, z, weight=None):
    """Largest covariance of a feature with z within the classes of y, weighted."""
    weight = np.ones(len(h)) if weight is None else weight
    total = np.zeros(h.shape[1])
    for k in np.unique(y):
        w = weight * (y == k)
        centred = h - np.average(h, axis=0, weights=w)
        total += (w * (z - np.average(z, weights=w))) @ centred
    return np.abs(total / weight.sum() / h.std()).max()


@pytest.mark.parametrize("way", KEEPING, ids=str)
def test_the_classes_are_kept_where_they_depend_on_the_variable(way, dependent, encoder):
    plain = clone(way).set_params(keep_target=False)
    kept, lost = (fitted(encoder, w, dependent) for w in (way, plain))
    for share in (0.9, 0.5):  # as in training, and where y depends on nothing
        X, y, _ = draw(1000, share, 1)
        assert kept.score(X, y) > lost.score(X, y) + 0.05
        assert kept.score(X, y) > 0.9


@pytest.mark.parametrize("way", KEEPING, ids=str)
def test_the_variable_is_gone_within_the_classes(way, dependent, encoder):
    X, y, z = dependent
    h = fitted(encoder, way, dependent).transform(X)
    before = covariance_within(X, y, z)
    assert covariance_within(h, y, z) < 0.05 * before
    assert np.abs(np.corrcoef(h.T, z)[-1, :-1]).max() > 0.2  # by the class alone


def test_erasure_within_the_classes_is_exact_for_weighted_rows(dependent):
    X, y, z = dependent
    weight = 0.5 + (np.arange(len(y)) % 3)
    clf = thin(None, Erasure(keep_target=True))
    clf.fit(X, y, exogenous_target=z, sample_weight=weight)
    assert covariance_within(clf.transform(X), y, z, weight) < 1e-5
    assert covariance_within(clf.transform(X), y, z) > 1e-4


def test_rows_of_weight_two_count_twice_for_the_weights_of_the_map(dependent, encoder):
    X, y, z = dependent
    n = 400
    weight = np.where((y == 0) & (z == 1), 1, 6)[:n]
    copies = np.repeat(np.arange(n), weight)
    raw = {"endogenous": None, "max_epochs": 1}
    clf = thin(encoder, Alignment(keep_target=True), **raw)
    weighted = clone(clf).fit(X[:n], y[:n], sample_weight=weight)
    copied = clf.fit(X[copies], y[copies])
    maps = [model.module_.eraser[0].shifts.numpy() for model in (weighted, copied)]
    assert np.abs(maps[0]).max() > 0.5
    np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", KEEPING, ids=str)
def test_a_search_trains_it_in_stacks_as_alone(way, dependent, encoder, capsys):
    X, y, z = (part[:200] for part in dependent)
    grid = {"dispelling__keep_target": [False, True], "lr": [0.01, 0.05]}
    labels = {"exogenous_target": z} if isinstance(way, Erasure) else {}
    estimator = thin(encoder, way, optimizer="sgd", max_epochs=3)
    how = {"scoring": "neg_log_loss", "cv": 2}
    stacked = StackedGridSearchCV(estimator, grid, verbose=2, **how).fit(X, y, **labels)
    assert "Training 8 fits in 1 stacks, of [8]" in capsys.readouterr().out
    alone = GridSearchCV(estimator, grid, **how).fit(X, y, **labels)
    scores = [search.cv_results_["mean_test_score"] for search in (stacked, alone)]
    np.testing.assert_allclose(*scores, rtol=1e-3)
    assert len(np.unique(scores[0].round(4))) == 4


def test_a_variable_that_y_determines_is_refused(dependent):
    X, y, _ = dependent
    with pytest.raises(ValueError, match="y determines the exogenous variable"):
        thin(None, Erasure(keep_target=True)).fit(X, y, exogenous_target=y > 0)
    with pytest.raises(ValueError, match=r"of each class of y .* but 3 of 6 pairs have none"):
        thin("given", Alignment(keep_target=True)).fit(X, y, exogenous_target=y > 0)


def test_a_variable_that_determines_y_is_erased_within_the_classes(dependent):
    X, _, z = dependent
    sites = 2 * (X[:, 4] > 0) + z  # two sites of each class
    clf = thin(None, Erasure(keep_target=True)).fit(X, z, exogenous_target=sites)
    assert clf.score(X, z) > 0.99
    assert covariance_within(clf.transform(X), z, sites) < 1e-5


@pytest.mark.parametrize("way", KEEPING, ids=str)
def test_later_calls_of_partial_fit_may_lack_pairs(way, dependent, encoder):
    X, y, z = dependent
    clf = thin(encoder, way)
    target = {"exogenous_target": z} if isinstance(way, Erasure) else {}
    clf.partial_fit(X, y, **target)
    one = (y == 0) & (z == 1)
    for rows in (one, one | (y == 2)):
        clf.partial_fit(X[rows], y[rows], **dict.fromkeys(target, z[rows]))
        assert np.isfinite(clf.predict_proba(X)).all()


def test_a_regressor_keeps_what_a_regression_on_its_numbers_explains(dependent):
    X, _, z = dependent
    y = X[:, 4] + 2 * z
    reg = THINRegressor(backbone=MLPBackbone(()), depth=0, max_epochs=20, lr=0.02, random_state=0)
    kept, lost = (
        clone(reg).set_params(dispelling=Erasure(keep)).fit(X, y, exogenous_target=z)
        for keep in (True, False)
    )
    assert kept.score(X, y) > lost.score(X, y) + 0.1
    rest = z - np.polyval(np.polyfit(y, z, 1), y)
    assert np.abs(rest @ kept.transform(X)).max() / len(X) < 1e-4
    assert np.abs(np.cov(kept.transform(X).T, z)[-1, :-1]).max() > 0.1


def test_a_regressor_refuses_alignment_before_an_encoder_is_fitted(dependent):
    X, _, z = dependent
    CountingEncoder.fits.clear()
    reg = THINRegressor(CountingEncoder(SMALL), dispelling=Alignment(keep_target=True))
    with pytest.raises(ValueError, match=r"needs classes as y.*Use Erasure\(keep_target=True\)"):
        reg.fit(X, X[:, 0], exogenous_target=z)
    assert CountingEncoder.fits == []
