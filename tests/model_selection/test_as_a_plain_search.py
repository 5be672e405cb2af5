"""Where a stacked search shares work between fits, each is still what it is in a plain one."""

import functools

import numpy as np
import pandas as pd
import pytest
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from sklearn_thin import THINClassifier
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from tests.helpers import SMALL, small

thin = functools.partial(small, max_epochs=3)

LOSS = {"scoring": "neg_log_loss", "cv": 2, "refit": False, "error_score": "raise"}


@pytest.fixture(scope="module")
def rows(digits):
    """Rows that are not standardised, and labels."""
    return 3 * digits.X[:200].astype(np.float64) + 1, digits.y[:200]


def scores(estimator, grid, X, y, **setting):
    """Mean test scores of the stacked search and of the plain one, on rows of their own."""
    searches = [
        kind(estimator, grid, **{**LOSS, **setting}).fit(X.copy(), y)
        for kind in (StackedGridSearchCV, GridSearchCV)
    ]
    return [search.cv_results_["mean_test_score"] for search in searches]


def drop_first(X):
    del X[X.columns[0]]
    return X


IN_PLACE = {
    "step": (
        Pipeline([("scale", StandardScaler(copy=False)), ("thin", thin())]),
        {"scale__with_std": [True, False]},
    ),
    "endogenous side": (
        thin(endogenous=StandardScaler(copy=False)),
        {"endogenous__with_std": [True, False]},
    ),
    "exogenous side": (
        thin(StandardScaler(copy=False), gate_input="representation"),
        {"exogenous__with_std": [True, False]},
    ),
    "step before another classifier": (
        Pipeline([("scale", StandardScaler(copy=False)), ("clf", None)]),
        {"clf": [LogisticRegression(C=c, max_iter=500) for c in (0.1, 1.0)]},
    ),
}


@pytest.mark.parametrize(("estimator", "grid"), IN_PLACE.values(), ids=IN_PLACE)
def test_what_writes_into_its_rows_leaves_those_of_the_other_candidates(estimator, grid, rows):
    np.testing.assert_allclose(*scores(estimator, grid, *rows), rtol=0.01)


def test_a_step_that_changes_its_frame_leaves_that_of_the_other_candidates(rows):
    X, y = rows
    pipeline = Pipeline([("drop", FunctionTransformer(drop_first)), ("clf", thin())])
    grid = {"clf": [LogisticRegression(C=c, max_iter=500) for c in (0.1, 1.0)]}
    np.testing.assert_allclose(*scores(pipeline, grid, pd.DataFrame(X), y), rtol=1e-6)


class Named(THINClassifier):
    """A subclass that does more in fit."""

    def fit(self, X, y=None, **params):
        self.called_ = True
        return super().fit(X, y, **params)


def test_the_fit_of_a_subclass_is_called(rows):
    search = StackedGridSearchCV(Named(max_epochs=1), {"lr": [1e-3, 1e-2]}, cv=2)
    search.set_params(scoring=lambda estimator, X, y: float(hasattr(estimator, "called_")))
    assert search.fit(*rows).cv_results_["mean_test_score"].tolist() == [1.0, 1.0]
    ensemble = SeedEnsembleClassifier(Named(max_epochs=1), 2).fit(*rows)
    assert all(member.called_ for member in ensemble.estimators_)


def test_a_generator_that_is_shared_draws_in_the_same_order(rows):
    def search(kind):
        shared = np.random.RandomState(0)
        splitter = KFold(2, shuffle=True, random_state=shared)
        setting = {**LOSS, "cv": splitter}
        found = kind(thin(random_state=shared), {"lr": [1e-3, 2e-3]}, **setting).fit(*rows)
        return found.cv_results_["mean_test_score"]

    np.testing.assert_allclose(search(StackedGridSearchCV), search(GridSearchCV), rtol=2e-3)


class Times(TransformerMixin, BaseEstimator):
    """The first column, times a factor."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[:, :1] * self.factor

    def __sklearn_is_fitted__(self):
        return True


def test_a_candidates_frozen_side_is_no_other_candidates(rows):
    estimator = thin(FrozenEstimator(Times(2.0)))
    grid = [{"lr": [1e-5], "exogenous__estimator": [Times(0.0)]}, {"lr": [0.05]}]
    seen = []

    def score(estimator, X, y):
        seen.append(estimator.exogenous.estimator.factor)
        return estimator.lr

    search = StackedGridSearchCV(estimator, grid, cv=2, scoring=score).fit(*rows)
    assert seen == [0.0, 0.0, 2.0, 2.0]
    assert search.best_estimator_.exogenous.estimator.factor == 2.0
    assert estimator.exogenous.estimator.factor == 2.0


def Touchy(input_shape):  # noqa: N802 -- stands for a user's module
    """A module that refuses rows with an error of its own."""

    class Refuses(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(*input_shape, 8)

        def forward(self, x):
            if x.shape[0] == 4:  # the last batch of 100 rows
                raise ValueError("not four rows")
            return self.linear(x)

    return Refuses()


# of the stack that breaks, of the fits that fail, and of the mean over them; the scores tell
@pytest.mark.filterwarnings("ignore:4 fits of one stack train one by one:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_an_error_in_a_stack_fails_its_own_fits_alone(rows):
    grid = [{"backbone": [Touchy], "lr": [1e-3, 1e-2]}, {"backbone": [SMALL]}]
    ours, _ = scores(thin(), grid, *rows, error_score=np.nan)
    assert np.isnan(ours).tolist() == [True, True, False]


def test_a_parameter_that_is_not_there_is_refused_before_anything_is_trained(rows, capsys):
    search = StackedGridSearchCV(thin(), [{"lr": [1e-3, 1e-2]}, {"typo": [1]}], cv=2, verbose=1)
    with pytest.raises(ValueError, match="Invalid parameter 'typo'"):
        search.fit(*rows)
    assert "Training" not in capsys.readouterr().out


def test_steps_that_differ_in_their_output_are_fitted_apart(rows):
    X, y = rows
    scalers = [StandardScaler(), StandardScaler().set_output(transform="pandas")]
    pipeline = Pipeline([("scale", StandardScaler()), ("thin", thin())])
    frame = pd.DataFrame(X).rename(columns=str)
    search = StackedGridSearchCV(pipeline, {"scale": scalers}, cv=2)
    search.set_params(scoring=lambda found, X, y: float(hasattr(found[-1], "feature_names_in_")))
    assert search.fit(frame, y).cv_results_["mean_test_score"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("params", [{"cv": "foo"}, {"cv": 1}, {"estimator": 5}, {"n_jobs": "a"}])
def test_parameters_are_checked_first_and_named(params, rows):
    plain, stacked = (
        kind(thin(), {"lr": [1e-3]}).set_params(**params)
        for kind in (GridSearchCV, StackedGridSearchCV)
    )
    errors = []
    for search in (plain, stacked):
        with pytest.raises((InvalidParameterError, ValueError)) as caught:
            search.fit(*rows)
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1])


def test_callbacks_of_scikit_learn_on_the_estimator_are_torn_down(rows):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has none")
    monitor = callback.ScoringMonitor(scoring="neg_log_loss")
    search = StackedGridSearchCV(thin().set_callbacks(monitor), {"lr": [1e-3, 1e-2]}, cv=2)
    search.set_params(scoring=lambda found, X, y: float(hasattr(found, "_callback_fit_ctx")))
    assert search.fit(*rows).cv_results_["mean_test_score"].tolist() == [0.0, 0.0]


def test_fits_that_callbacks_of_scikit_learn_follow_train_alone_for_that_reason(rows, capsys):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has none")
    watched = thin().set_callbacks(callback.ScoringMonitor(scoring="neg_log_loss"))
    grid = {"lr": [1e-3, 1e-2]}
    StackedGridSearchCV(watched, grid, cv=2, refit=False, verbose=2).fit(*rows)
    assert "4 fits one by one: scikit-learn's callbacks follow" in capsys.readouterr().out


def test_fits_of_other_estimators_train_alone_for_that_reason(rows, capsys):
    pipeline, grid = Pipeline([("thin", thin())]), {"thin": [DummyClassifier()]}
    StackedGridSearchCV(pipeline, grid, cv=2, refit=False, verbose=2).fit(*rows)
    assert "2 fits one by one: DummyClassifier has no plan" in capsys.readouterr().out


def test_what_is_printed_names_the_estimator_itself(rows):
    seen = []
    search = StackedGridSearchCV(thin(), {"lr": [1e-3]}, cv=2)
    search.set_params(scoring=lambda found, X, y: seen.append(repr(search)) or 0.0).fit(*rows)
    assert "HandedOut" not in seen[0]
    assert "THINClassifier" in seen[0]


class Jobs(TransformerMixin, BaseEstimator):
    """A step that would work in two jobs, and keeps how many it gets."""

    got = []

    def fit(self, X, y=None):
        self.got.append(effective_n_jobs(2))
        return self

    def transform(self, X):
        return X

    def __sklearn_is_fitted__(self):
        return True


def test_steps_get_the_jobs_that_they_ask_for(rows):
    Jobs.got.clear()
    pipeline = Pipeline([("jobs", Jobs()), ("thin", thin())])
    StackedGridSearchCV(pipeline, {"thin__lr": [1e-3, 1e-2]}, cv=2).fit(*rows)
    assert Jobs.got == [2, 2, 2]  # two folds, and the refit


def test_a_search_inside_of_a_search_has_folds_of_its_own(rows):
    inner = StackedGridSearchCV(thin(), {"lr": [1e-3, 1e-2]}, cv=2)
    estimator = thin(inner, exogenous_predictor=None, gate_input="representation")
    X, y = rows
    halves = [(np.arange(100), np.arange(100, 200)), (np.arange(100, 200), np.arange(100))]
    setting = {**LOSS, "cv": halves}
    found = [
        kind(estimator, {"lr": [1e-3, 2e-3]}, **setting).fit(X.copy(), y, exogenous_target=y)
        for kind in (StackedGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_allclose(*[s.cv_results_["mean_test_score"] for s in found], rtol=2e-3)
