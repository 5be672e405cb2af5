"""What scorers, callbacks and users see of the estimators that a stacked search trains."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklearn_thin import MLPBackbone, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV

SMALL = THINClassifier(backbone=MLPBackbone((16,)), depth=1, max_epochs=2, random_state=0)
GRID = {"lr": [1e-3, 1e-2]}


def searched(kind, digits, estimator=SMALL, grid=GRID, **params):
    search = kind(estimator, grid, cv=2, **{"error_score": "raise", **params})
    return search.fit(digits.X[:200], digits.y[:200])


def of_its_type(estimator, X, y):
    check_is_fitted(estimator)
    return float(type(estimator) is THINClassifier)


def steps(estimator, X, y):
    return float(isinstance(estimator, Pipeline)) + estimator[-1].n_iter_


def fitted_anew(estimator, X, y):
    return clone(estimator).fit(X, y).score(X, y)


def calibrated(estimator, X, y):
    return CalibratedClassifierCV(FrozenEstimator(estimator)).fit(X, y).score(X, y)


@pytest.mark.parametrize("scorer", [of_its_type, fitted_anew, calibrated])
def test_scorers_see_the_estimator_itself(scorer, digits):
    stacked, plain = (
        searched(kind, digits, scoring=scorer, refit=False).cv_results_["mean_test_score"]
        for kind in (StackedGridSearchCV, GridSearchCV)
    )
    np.testing.assert_allclose(stacked, plain, atol=0.03)
    assert np.all(stacked > 0)


def test_scorers_see_the_steps_of_a_pipeline(digits):
    pipeline = make_pipeline(StandardScaler(), SMALL)
    grid = {"thinclassifier__lr": [1e-3, 1e-2]}
    search = searched(StackedGridSearchCV, digits, pipeline, grid, scoring=steps)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], 3)
    assert type(search.best_estimator_) is Pipeline


def test_nothing_of_the_search_stays_behind(digits):
    search = searched(StackedGridSearchCV, digits)
    assert type(search.best_estimator_) is THINClassifier
    assert repr(search.scorer_) == repr(searched(GridSearchCV, digits).scorer_)


def test_a_refit_that_raises_leaves_an_unfitted_estimator_as_in_a_plain_search(digits):
    X, y = digits.X[:201].copy(), digits.y[:201]
    X[200] = np.inf  # in no fold
    search = StackedGridSearchCV(SMALL, GRID, cv=[(np.arange(100), np.arange(100, 200))])
    with pytest.raises(ValueError, match="infinity"):
        search.fit(X, y)
    assert type(search.best_estimator_) is THINClassifier
    assert not hasattr(search.best_estimator_, "classes_")


def test_callbacks_of_scikit_learn_follow_the_search_and_its_refit(digits, capsys):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has none")
    pytest.importorskip("rich", reason="draws scikit-learn's progress bar")
    search = StackedGridSearchCV(SMALL, GRID, cv=2, error_score="raise")
    search.set_callbacks(callback.ProgressBar()).fit(digits.X[:200], digits.y[:200])
    printed = capsys.readouterr().out
    assert "StackedGridSearchCV - fit" in printed
    assert "refit-with-best-params | THINClassifier - fit" in printed
    assert not hasattr(search.best_estimator_, "_parent_callback_ctx")


@pytest.mark.parametrize(
    ("estimator", "kind", "words"),
    [
        (DummyClassifier(), UserWarning, "estimator DummyClassifier does not support"),
        (SMALL, TypeError, r"sub-estimator \(THINClassifier\) of a meta-estimator"),
    ],
)
def test_messages_about_callbacks_name_the_estimator(estimator, kind, words, digits):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has none")
    pytest.importorskip("rich", reason="draws scikit-learn's progress bar")
    if kind is TypeError:  # for callbacks of both
        estimator = clone(estimator).set_callbacks(callback.ProgressBar())
    search = StackedGridSearchCV(estimator, {}, cv=2, error_score="raise")
    expected = pytest.warns if kind is UserWarning else pytest.raises
    with expected(kind, match=words):
        search.set_callbacks(callback.ProgressBar()).fit(digits.X[:100], digits.y[:100])
