"""refit="ensemble" chooses by held-out rows alone, and refits its members together."""

import pickle
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, make_scorer, mean_squared_error
from sklearn.model_selection import (
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    check_cv,
    cross_val_predict,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import LinearSVC
from torch.utils.data import TensorDataset

from sklearn_thin import THINClassifier, THINRegressor, load, save
from sklearn_thin.model_selection import (
    StackedGridSearchCV,
    StackedRandomizedSearchCV,
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
)
from sklearn_thin.model_selection._selection import greedy
from tests.helpers import SMALL, small, small_encoder

GRID = {"depth": [0, 1], "lr": [1e-3, 1e-2]}


def search(estimator=None, grid=GRID, kind=StackedGridSearchCV, **setting):
    estimator = small() if estimator is None else estimator
    return kind(estimator, grid, **{"cv": 3, "refit": "ensemble", **setting})


@pytest.fixture(scope="module")
def fitted(rows):
    return search().fit(*rows[:2])


# ------------------------------------------------------------------ the search


def test_the_best_candidate_is_that_of_a_plain_refit(fitted, rows):
    alone = search(refit=True).fit(*rows[:2])
    for name in ("best_index_", "best_params_", "best_score_"):
        assert getattr(fitted, name) == getattr(alone, name)
    scores = (s.cv_results_["mean_test_score"] for s in (fitted, alone))
    np.testing.assert_array_equal(*scores)
    assert not hasattr(alone, "ensemble_weights_")
    assert not hasattr(clone(fitted).set_params(refit=True).fit(*rows[:2]), "ensemble_score_")


def test_members_are_single_fits_and_probabilities_their_weighted_mean(fitted, rows):
    X, y, _ = rows
    ensemble, total = fitted.best_estimator_, 0
    for params, weight in zip(ensemble.settings, ensemble.weights, strict=True):
        total = total + weight * small(**params).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(fitted.predict_proba(X), total / sum(ensemble.weights), atol=0.01)
    best = fitted.classes_[fitted.predict_proba(X).argmax(1)]
    np.testing.assert_array_equal(fitted.predict(X), best)
    logs = np.log(fitted.predict_proba(X))
    np.testing.assert_allclose(fitted.decision_function(X), logs, rtol=1e-4, atol=1e-5)
    assert fitted.n_features_in_ == 64


def test_weights_are_shares_of_the_candidates(fitted):
    ensemble, candidates = fitted.best_estimator_, fitted.cv_results_["params"]
    assert fitted.ensemble_weights_.shape == (len(candidates),)
    each = np.zeros(len(candidates))
    for params, weight in zip(ensemble.settings, ensemble.weights, strict=True):
        given = {name: value for name, value in params.items() if name != "random_state"}
        each[candidates.index(given)] += weight
    np.testing.assert_allclose(each / each.sum(), fitted.ensemble_weights_)
    seeds = {str(sorted(params.items())) for params in ensemble.settings}
    assert len(seeds) == len(ensemble.settings) == len(ensemble.estimators_)


def test_a_clone_of_the_ensemble_fits_the_same_and_all_can_be_pickled(fitted, rows):
    X, y, _ = rows
    expected = fitted.predict_proba(X)
    again = clone(fitted.best_estimator_).fit(X, y)
    np.testing.assert_allclose(again.predict_proba(X), expected, atol=1e-6)
    copied = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copied.predict_proba(X), expected)


def test_random_candidates_and_parallel_stacks_make_the_same(rows):
    X, y, _ = rows
    setting = {"n_iter": 4, "random_state": 0, "kind": StackedRandomizedSearchCV}
    rates = {"lr": loguniform(1e-3, 1e-1)}
    with parallel_config(backend="threading"):
        one, two = (search(grid=rates, n_jobs=n, **setting).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.ensemble_weights_, two.ensemble_weights_)
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-5)
    assert two.best_estimator_.n_jobs == 2


# ------------------------------------------------------------------ the selection


def test_greedy_picks_are_those_of_caruana():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(50)
    predictions = truth + rng.standard_normal((6, 50)) * np.linspace(0.9, 1.1, 6)[:, None]
    errors = predictions - truth
    picked, trail = [], []
    for _ in range(8):
        loss = [mean_squared_error(truth, predictions[[*picked, c]].mean(0)) for c in range(6)]
        picked.append(int(np.argmin(loss)))
        trail.append(min(loss))
    np.testing.assert_array_equal(greedy(errors @ errors.T, 8), np.bincount(picked, minlength=6))
    # hardly worse than the best of all means of as many
    best = min(
        mean_squared_error(truth, predictions[list(some)].mean(0))
        for some in combinations_with_replacement(range(6), 8)
    )
    assert min(trail) < 1.02 * best


def test_the_mean_has_no_greater_squared_error_on_held_out_rows_than_any_candidate(rows):
    X, y, _ = rows
    one_hot = (y[:, None] == np.arange(10)).astype(float)
    found = search(grid={"lr": [1e-3, 1e-2, 3e-2], "depth": [0, 2]}).fit(X, y)
    proba = [
        cross_val_predict(small(**params), X, y, cv=3, method="predict_proba")
        for params in found.cv_results_["params"]
    ]
    mean = np.tensordot(found.ensemble_weights_, proba, 1)
    least = min(mean_squared_error(one_hot, p) for p in proba)
    assert mean_squared_error(one_hot, mean) < least + 1e-4


@pytest.mark.parametrize("cv", [3, ShuffleSplit(2, random_state=0)])
def test_a_model_that_remembers_its_rows_is_not_chosen_for_it(cv, rows):
    X, y, _ = rows
    noise = np.random.default_rng(0).permutation(y)
    pipeline = Pipeline([("model", small())])
    models = {"model": [small(), KNeighborsClassifier(1)]}
    found = search(pipeline, models, cv=cv).fit(X, noise)
    assert found.ensemble_weights_[1] < 0.5


def test_the_score_is_that_of_the_means_of_each_fold(rows):
    X, y, _ = rows
    for scoring, metric in (("neg_log_loss", log_loss), ("neg_brier_score", brier_score_loss)):
        if scoring == "neg_brier_score":
            y = y % 2
        found = search(scoring=scoring).fit(X, y)
        scores = []
        for train, test in check_cv(found.cv, y, classifier=True).split(X, y):
            fits = [small(**p).fit(X[train], y[train]) for p in found.cv_results_["params"]]
            proba = [fit.predict_proba(X[test]) for fit in fits]
            mean = np.average(proba, axis=0, weights=found.ensemble_weights_).astype(np.float32)
            column = mean[:, 1] if scoring == "neg_brier_score" else mean
            scores.append(-metric(y[test], column))
        np.testing.assert_allclose(found.ensemble_score_, np.mean(scores), atol=0.02)


@pytest.mark.parametrize(
    "cv",
    [
        ShuffleSplit(2, test_size=0.3, random_state=0),
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        [(np.arange(200) < 100, np.arange(200) >= 150)],  # masks
        [(list(range(100)), list(range(150, 200)))],
    ],
)
def test_splits_may_leave_rows_out_or_repeat_them(cv, rows):
    found = search(cv=cv).fit(*rows[:2])
    assert found.ensemble_weights_.sum() == pytest.approx(1)
    assert np.isfinite(found.ensemble_score_)


def test_rows_count_by_their_weights(rows, monkeypatch):
    monkeypatch.setattr("sklearn_thin.model_selection._selection.FEWEST", 20)
    X, y = rows[0], np.arange(200) % 4 == 0
    constants = [DummyClassifier(strategy="constant", constant=label) for label in (False, True)]
    estimator = Pipeline([("model", small())])
    for weight, share in ((None, 0.25), (np.where(y, 9.0, 1.0), 0.75)):
        given = {} if weight is None else {"model__sample_weight": weight}
        found = search(estimator, {"model": constants}, cv=2).fit(X, y, **given)
        # the mean of constants with the least squared error has the frequencies of the classes
        np.testing.assert_allclose(found.ensemble_weights_, [1 - share, share])
        assert found.best_estimator_.weights == [20 - round(20 * share), round(20 * share)]


def test_only_the_best_by_their_scores_take_part(rows, monkeypatch):
    monkeypatch.setattr("sklearn_thin.model_selection._selection.MOST", 1)
    found = search().fit(*rows[:2])
    assert found.ensemble_weights_[found.best_index_] == 1


def test_large_folds_are_read_in_blocks(rows, monkeypatch):
    whole = search().fit(*rows[:2]).ensemble_weights_
    monkeypatch.setattr("sklearn_thin.model_selection._selection.IN_MEMORY", 16 * 4 * 10 * 4)
    np.testing.assert_array_equal(search().fit(*rows[:2]).ensemble_weights_, whole)


# ------------------------------------------------------------------ rows and estimators


def test_folds_may_lack_classes(rows):
    X, y, _ = rows
    order = np.argsort(y, kind="stable")
    found = search(cv=KFold(4)).fit(X[order], y[order])
    assert found.predict_proba(X).shape == (200, 10)
    names = np.array([f"digit {label}" for label in y])
    assert set(search(cv=KFold(4)).fit(X[order], names[order]).predict(X)) <= set(names)


@pytest.mark.parametrize("routing", [False, True])
def test_a_pipeline_and_its_fit_parameters(routing, rows):
    X, y, z = rows
    weight = np.where(z > 0, 1.0, 0.5)
    thin = small(small_encoder(), dispelling="erasure")
    grid = {"thinclassifier__lr": [1e-3, 1e-2]}
    with config_context(enable_metadata_routing=routing):
        if routing:
            thin.set_fit_request(sample_weight="w")
            given = {"exogenous_target": z, "w": weight}
        else:
            names = "exogenous_target", "sample_weight"
            given = {f"thinclassifier__{n}": v for n, v in zip(names, (z, weight), strict=True)}
        found = search(make_pipeline(MinMaxScaler(), thin), grid).fit(X, y, **given)
        assert found.score(X, y) > 0.2
    member = found.best_estimator_.estimators_[0]
    alone = clone(member).set_params(**found.best_estimator_.settings[0])
    alone.fit(X, y, thinclassifier__exogenous_target=z, thinclassifier__sample_weight=weight)
    np.testing.assert_allclose(member.predict_proba(X), alone.predict_proba(X), atol=0.02)


def test_the_site_of_a_prediction_may_be_given(rows):
    X, y, z = rows
    frame = pd.DataFrame(X[:, 20:40]).add_prefix("x").assign(site=z.astype(str))
    found = search(small("site")).fit(frame, y)
    ensemble = found.best_estimator_
    for outputs in (ensemble.predict_proba, ensemble.decision_function, ensemble.predict_log_proba):
        given = outputs(frame, exogenous=frame["site"].to_numpy())
        np.testing.assert_allclose(given, outputs(frame), rtol=1e-4, atol=1e-5)
        assert np.abs(outputs(frame, exogenous="0") - outputs(frame)).max() > 1e-4
    assert list(found.feature_names_in_) == list(frame.columns)
    assert 0 <= ensemble.score(frame, y, exogenous="0") <= 1


def test_members_evaluate_a_frozen_side_once(rows):
    X, y, z = rows
    encoder = small_encoder().fit(X, z)
    found = search(small(FrozenEstimator(encoder))).fit(X, y)
    calls = []
    encoder.transform = lambda X, plain=encoder.transform: calls.append(len(X)) or plain(X)
    found.predict_proba(X)
    assert len(found.best_estimator_.estimators_) > 1
    assert sum(calls) == len(X)


@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors(outputs):
    X, y = (part[:200] for part in load_diabetes(return_X_y=True))
    y = y if outputs == 1 else np.column_stack([y, -1e4 * y])
    thin = THINRegressor(backbone=SMALL, depth=1, max_epochs=20, random_state=0)
    found = search(thin, {"lr": [3e-3, 1e-2], "depth": [0, 1]}, cv=2).fit(X, y)
    ensemble, total = found.best_estimator_, 0
    assert isinstance(ensemble, WeightedEnsembleRegressor)
    for params, weight in zip(ensemble.settings, ensemble.weights, strict=True):
        total = total + weight * clone(thin).set_params(**params).fit(X, y).predict(X)
    expected = total / sum(ensemble.weights)
    np.testing.assert_allclose(found.predict(X), expected, rtol=0.05)
    assert found.score(X, y) == ensemble.score(X, y) > 0.3
    assert found.ensemble_score_ > found.best_score_ - 0.05


def test_other_estimators_take_part(rows):
    X, y, _ = rows
    pipeline = Pipeline([("scale", MinMaxScaler()), ("model", small())])
    models = [small(max_epochs=1), LogisticRegression(max_iter=500), LinearSVC()]
    found = search(pipeline, {"model": models}, scoring="accuracy").fit(X, y)
    assert found.ensemble_weights_[2] == 0  # it predicts no probabilities
    log_loss(y, found.predict_proba(X))  # which warns of probabilities that do not sum to 1
    assert found.ensemble_weights_[1] > 0
    log_proba = np.log(np.maximum(found.predict_proba(X), 1e-30))
    np.testing.assert_allclose(found.decision_function(X), log_proba, rtol=1e-3, atol=1e-3)


def test_callbacks_of_scikit_learn_follow_the_refit(rows, capsys):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has none")
    pytest.importorskip("rich", reason="draws scikit-learn's progress bar")
    found = search(grid={"lr": [1e-3, 1e-2]}).set_callbacks(callback.ProgressBar())
    found.fit(*rows[:2])
    printed = capsys.readouterr().out
    assert "refit-with-best-params | WeightedEnsemble" in printed  # cut by the width
    assert not hasattr(found.best_estimator_, "_parent_callback_ctx")


def test_it_is_saved_and_loaded(fitted, rows, tmp_path):
    pytest.importorskip("skops")
    save(fitted, tmp_path / "search.thin")
    loaded = load(tmp_path / "search.thin")
    np.testing.assert_array_equal(loaded.predict_proba(rows[0]), fitted.predict_proba(rows[0]))
    np.testing.assert_array_equal(loaded.ensemble_weights_, fitted.ensemble_weights_)


def test_a_torch_data_set_serves_it(fitted, rows):
    X, y, _ = rows
    pairs = TensorDataset(torch.tensor(X), torch.tensor(y))
    found = search().fit(pairs)
    np.testing.assert_array_equal(found.ensemble_weights_, fitted.ensemble_weights_)
    assert found.best_estimator_.score(pairs) == fitted.score(X, y)


def test_it_serves_other_tools(rows):
    X, y, _ = rows
    assert cross_val_score(search(), X, y, cv=2, error_score="raise").shape == (2,)


# ------------------------------------------------------------------ refusals


# scikit-learn warns of the mean over the failed fits besides
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_candidates_that_fail_are_left_out(rows):
    X, y, _ = rows
    with pytest.warns(FitFailedWarning, match="3 fits failed"):
        found = search(grid={"lr": [1e-2, 1e30]}).fit(X, y)
    assert found.ensemble_weights_.tolist() == [1, 0]
    only = [(np.flatnonzero(y == 3), np.arange(50)), (np.arange(100), np.arange(100, 200))]
    with pytest.warns(FitFailedWarning), pytest.raises(ValueError, match="all 4 failed"):
        search(cv=only).fit(X, y)


class Silent(ClassifierMixin, BaseEstimator):
    """Predicts classes, and fails at probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def predict_proba(self, X):
        raise OSError("no probabilities today")


def test_a_prediction_that_fails_is_an_error_where_scores_raise(rows):
    X, y, _ = rows
    grid = {"model": [small(), Silent()]}
    pipeline = Pipeline([("model", small())])
    assert search(pipeline, grid).fit(X, y).ensemble_weights_.tolist() == [1, 0]
    with pytest.raises(OSError, match="no probabilities today"):
        search(pipeline, grid, error_score="raise").fit(X, y)


def two_scores(estimator, X, y):
    return {"one": 1.0, "other": 0.0}


@pytest.mark.parametrize(
    "scoring", [["accuracy", "neg_log_loss"], {"one": make_scorer(log_loss)}, two_scores]
)
def test_several_metrics_are_refused(scoring, rows):
    with pytest.raises(ValueError, match="needs one metric in scoring"):
        search(scoring=scoring).fit(*rows[:2])


@pytest.mark.parametrize("refit", ["ensembel", "Ensemble", "ensembles"])
def test_a_slip_in_the_name_is_refused(refit, rows):
    with pytest.raises(ValueError, match=f"got {refit!r}. Did you mean 'ensemble'?"):
        search(refit=refit).fit(*rows[:2])


def test_the_name_of_the_single_metric_refits_the_best_as_in_a_plain_search(rows):
    fitted = search(refit="accuracy", scoring="accuracy").fit(*rows[:2])
    assert isinstance(fitted.best_estimator_, THINClassifier)


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -1], [1, np.nan], [1, "2"]])
def test_weights_are_positive_numbers_one_for_each_member(weights, rows):
    ensemble = WeightedEnsembleClassifier(small(), [{"depth": 0}, {"depth": 1}], weights)
    with pytest.raises(ValueError, match=r"weights|inconsistent numbers of samples"):
        ensemble.fit(*rows[:2])
    regressor = WeightedEnsembleRegressor(LinearRegression(), [], [])
    with pytest.raises(ValueError, match="weights must be positive"):
        regressor.fit(*rows[:2])


def test_settings_are_dicts(rows):
    with pytest.raises(ValueError, match="settings must hold dicts of parameters, got 'depth'"):
        WeightedEnsembleClassifier(small(), [{"depth": 0}, "depth"], [1, 1]).fit(*rows[:2])
