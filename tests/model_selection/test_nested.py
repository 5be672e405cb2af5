"""Searches and ensembles inside one another share nothing that belongs to other rows."""

import gc
import tracemalloc

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV

SMALL = MLPBackbone((8,))
RATES = [0.01, 0.03]
rng = np.random.RandomState(0)
y, z = rng.randint(0, 3, 120), rng.randint(0, 4, 120)
X = rng.randn(120, 10)
X[:, 0] += y
X[:, 1] += z


class OwnFit(THINClassifier):
    """A subclass that a search has to fit whole."""

    def fit(self, X, y=None, *, exogenous_target=None):
        """As that of THINClassifier."""
        return super().fit(X, y, exogenous_target=exogenous_target)


def encoder():
    return ExogenousEncoder(SMALL, max_epochs=2, random_state=0)


def thin(exogenous, kind=THINClassifier, **params):
    params = {"backbone": SMALL, "depth": 2, "max_epochs": 2, "random_state": 0, **params}
    return kind(exogenous, **params)


def cases():
    frozen = FrozenEstimator(encoder().fit(X, z))
    piped = make_pipeline(StandardScaler(), thin(frozen))
    labelled = {"exogenous_target": z}
    yield "own fit", thin(frozen, OwnFit), "lr", {}
    yield "own fit, encoder", thin(encoder(), OwnFit), "lr", labelled
    yield "wrapper", CalibratedClassifierCV(thin(frozen), cv=2), "estimator__lr", {}
    ensemble = SeedEnsembleClassifier(thin(encoder()), 2, random_state=0)
    yield "ensemble", ensemble, "estimator__lr", labelled
    ensemble = SeedEnsembleClassifier(piped, 2, random_state=0)
    yield "ensemble of pipelines", ensemble, "estimator__thinclassifier__lr", {}
    search = GridSearchCV(thin(frozen), {"lr": RATES}, cv=KFold(2))
    yield "searched side", thin(search), "lr", labelled


@pytest.mark.parametrize(
    ("estimator", "rate", "given"), [pytest.param(*case[1:], id=case[0]) for case in cases()]
)
def test_a_fit_inside_a_search_reads_its_own_rows(estimator, rate, given):
    how = {"cv": KFold(3), "error_score": "raise"}
    kinds = GridSearchCV, StackedGridSearchCV
    searches = [kind(estimator, {rate: RATES}, **how).fit(X, y, **given) for kind in kinds]
    names = [name for name in searches[0].cv_results_ if name.startswith("split")]
    scores = [[search.cv_results_[name] for name in names] for search in searches]
    np.testing.assert_allclose(*scores, atol=0.026)  # one row of 40
    probas = [search.predict_proba(X) for search in searches]
    np.testing.assert_allclose(*probas, atol=1e-5)


def test_a_stacked_search_as_exogenous_side_has_folds_of_its_own():
    side = StackedGridSearchCV(encoder(), {"lr": RATES}, cv=KFold(2), error_score="raise")
    search = StackedGridSearchCV(thin(side), {"lr": RATES}, cv=KFold(3), error_score="raise")
    fitted = search.fit(X, y, exogenous_target=z).best_estimator_.exogenous_
    np.testing.assert_array_equal(fitted.classes_, np.unique(z))


def test_scoring_keeps_no_rows_in_memory():
    rows, labels = rng.randn(2000, 300), rng.randint(0, 2, 2000)
    held = []

    def scorer(estimator, X, y):
        score = estimator.score(X, y)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        return score

    thin = THINClassifier(backbone=SMALL, depth=0, max_epochs=1, batch_size=512, random_state=0)
    search = StackedGridSearchCV(thin, {"lr": [1e-4, 1e-3, 1e-2]}, cv=4, scoring=scorer)
    gc.freeze()  # objects of other tests, which each collection would visit
    tracemalloc.start()
    try:
        search.fit(rows, labels)
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    assert held[-1] - held[0] < rows.nbytes / 4  # a fold of each candidate would be 3 times that
