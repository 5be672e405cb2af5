"""An ensemble of seeds is the mean of its single fits, however they were trained."""

import functools
import pickle
from inspect import signature

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.ensemble import AdaBoostClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from torch.utils.data import TensorDataset

from sklearn_thin import ExogenousEncoder, THINClassifier, THINRegressor
from sklearn_thin.model_selection import SeedEnsembleClassifier, SeedEnsembleRegressor
from tests import helpers
from tests.helpers import SMALL

small = functools.partial(helpers.small, depth=2, max_epochs=4, random_state=None)


def drawn(estimators):
    return [estimator.random_state for estimator in estimators]


@pytest.mark.parametrize("stack_size", ["auto", 1, 2])
def test_members_are_single_fits_of_their_seeds_and_probabilities_their_mean(stack_size, rows):
    X, y, _ = rows
    ensemble = SeedEnsembleClassifier(small(), 3, stack_size=stack_size, random_state=0).fit(X, y)
    assert len(set(drawn(ensemble.estimators_))) == 3
    singles = [clone(member).fit(X, y) for member in ensemble.estimators_]
    expected = [single.predict_proba(X) for single in singles]
    for member, proba in zip(ensemble.estimators_, expected, strict=True):
        np.testing.assert_allclose(member.predict_proba(X), proba, atol=0.02)
    np.testing.assert_allclose(ensemble.predict_proba(X), np.mean(expected, 0), atol=0.01)
    best = ensemble.classes_[ensemble.predict_proba(X).argmax(1)]
    np.testing.assert_array_equal(ensemble.predict(X), best)


def test_log_probabilities_are_those_of_the_mean_even_where_it_is_zero(rows):
    X, y, _ = rows
    raw = small(max_epochs=1, endogenous=None)
    ensemble = SeedEnsembleClassifier(raw, 2, random_state=0).fit(X, y)
    far = X * 1e4  # leaves nothing of most classes
    for some in (X, far):
        proba, log_proba = ensemble.predict_proba(some), ensemble.predict_log_proba(some)
        np.testing.assert_allclose(np.exp(log_proba), proba, atol=1e-6)
    assert np.isneginf(log_proba).any()


def test_the_mean_is_right_more_often_than_its_members(digits):
    train, test = slice(0, 600), slice(600, None)
    ensemble = SeedEnsembleClassifier(small(max_epochs=20), random_state=0)
    ensemble.fit(digits.X[train], digits.y[train])
    X, y = digits.X[test], digits.y[test]
    scores = [member.score(X, y) for member in ensemble.estimators_]
    assert ensemble.score(X, y) > max(scores)


def test_random_state_draws_the_seeds(rows):
    X, y, _ = rows
    one, same, other = (
        SeedEnsembleClassifier(small(max_epochs=1), 2, random_state=seed).fit(X, y)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.predict_proba(X), same.predict_proba(X))
    assert not set(drawn(one.estimators_)) & set(drawn(other.estimators_))


def test_they_train_together_and_say_so(rows, capsys):
    X, y, _ = rows
    SeedEnsembleClassifier(small(max_epochs=1), 4, verbose=2).fit(X, y)
    assert "Training 4 fits in 1 stacks, of [4]" in capsys.readouterr().out


class Counting(TransformerMixin, BaseEstimator):
    rows = 0

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        Counting.rows += len(X)
        return X[:, :3]

    def __sklearn_is_fitted__(self):
        return True


def test_members_share_what_is_frozen(rows):
    X, y, _ = rows
    Counting.rows = 0
    ensemble = SeedEnsembleClassifier(small(FrozenEstimator(Counting())), 3).fit(X, y)
    assert Counting.rows == len(np.unique(X, axis=0))
    sides = {id(member.exogenous_side_) for member in ensemble.estimators_}
    assert len(sides) == 1
    ensemble.predict(X)
    assert Counting.rows == 2 * len(np.unique(X, axis=0))


@pytest.mark.parametrize("routing", [False, True])
def test_the_exogenous_labels_reach_the_encoder_of_every_seed(routing, rows):
    X, y, z = rows
    thin = small(ExogenousEncoder(SMALL, max_epochs=2), lam=0.01)
    with config_context(enable_metadata_routing=routing):
        ensemble = SeedEnsembleClassifier(thin, 2).fit(X, y, exogenous_target=z)
    encoders = [member.exogenous_ for member in ensemble.estimators_]
    assert encoders[0].classes_.tolist() == np.unique(z).tolist()
    assert np.abs(encoders[0].transform(X) - encoders[1].transform(X)).max() > 0.01


def test_a_pipeline_keeps_its_steps_and_column_names(rows):
    frame = pd.DataFrame(rows[0]).add_prefix("pixel ")
    pipeline = make_pipeline(StandardScaler(), small(max_epochs=1))
    ensemble = SeedEnsembleClassifier(pipeline, 2, random_state=0).fit(frame, rows[1])
    assert ensemble.feature_names_in_.tolist() == frame.columns.tolist()
    assert ensemble.n_features_in_ == 64
    assert len(set(drawn(member[-1] for member in ensemble.estimators_))) == 2
    proba = ensemble.predict_proba(frame)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ensemble)).predict_proba(frame), proba)


def test_random_state_governs_the_leading_steps_too(rows):
    X, y, _ = rows
    pipeline = make_pipeline(GaussianRandomProjection(8), small(max_epochs=1))
    ensemble = SeedEnsembleClassifier(pipeline, 2, random_state=0)
    proba = ensemble.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(ensemble.fit(X, y).predict_proba(X), proba)
    first, second = (member[0].components_ for member in ensemble.estimators_)
    assert first is second  # fitted once


def test_a_pipeline_that_ends_in_it_scores_with_routing(rows):
    X, y, _ = rows
    with config_context(enable_metadata_routing=True):
        ensemble = SeedEnsembleClassifier(small(max_epochs=10, lr=0.01), 2, random_state=0)
        assert make_pipeline(StandardScaler(), ensemble).fit(X, y).score(X, y) > 0.5


@pytest.mark.parametrize("unknown", [{"epochs": 3}, {"sides": {}}, {"weights": 1}])
def test_parameters_that_fit_does_not_know_are_refused(unknown, rows):
    X, y, _ = rows
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{next(iter(unknown))}'"):
        SeedEnsembleClassifier(small(), 2).fit(X, y, **unknown)


def test_a_search_tunes_its_classifier(rows):
    X, y, _ = rows
    ensemble = SeedEnsembleClassifier(small(max_epochs=1), 2, random_state=0)
    grid = {"estimator__depth": [0, 1], "n_seeds": [1, 2]}
    search = GridSearchCV(ensemble, grid, cv=2).fit(X, y)
    assert len(search.best_estimator_.estimators_) == search.best_params_["n_seeds"]


def test_a_torch_data_set_serves_it(rows):
    X, y, _ = rows
    pairs = TensorDataset(torch.tensor(X), torch.tensor(y))
    ensemble = SeedEnsembleClassifier(small(max_epochs=1), 2, random_state=0)
    proba = ensemble.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(ensemble.fit(pairs).predict_proba(pairs), proba)
    assert ensemble.score(pairs) == ensemble.score(X, y)


def test_errors_are_those_of_the_fit_and_leave_it_unfitted(rows):
    X, y, _ = rows
    ensemble = SeedEnsembleClassifier(small(depth=13), 2)
    with pytest.raises(NotFittedError):
        ensemble.predict(X)
    with pytest.raises(ValueError, match="'depth' parameter"):
        ensemble.fit(X, y)
    with pytest.raises(NotFittedError):
        check_is_fitted(ensemble)
    with pytest.raises(ValueError, match="'n_seeds' parameter"):
        SeedEnsembleClassifier(small(), 0).fit(X, y)
    with pytest.raises(FloatingPointError, match="train_loss became"):
        SeedEnsembleClassifier(small(lr=1e30, optimizer="sgd"), 2).fit(X, y)
    with pytest.raises(ValueError, match="cannot set parameters of the inner estimator"):
        SeedEnsembleClassifier(FrozenEstimator(small().fit(X, y)), 2).fit(X, y)


@pytest.mark.parametrize(
    ("estimator", "kind"),
    [
        (GridSearchCV(small(), {"depth": [0, 1]}, cv=2), "GridSearchCV"),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()), "KNeighborsClassifier"),
    ],
)
def test_an_estimator_without_seeds_is_refused(estimator, kind, rows):
    match = rf"must have random_state, .* got {kind}\. Of a search pass best_estimator_"
    with pytest.raises(ValueError, match=match):
        SeedEnsembleClassifier(estimator, 2).fit(*rows[:2])
    with pytest.raises(TypeError, match="instead of a class"):
        SeedEnsembleClassifier(type(small()), 2).fit(*rows[:2])


# ------------------------------------------------------------------ what the classifier takes too


def test_fit_names_all_that_the_classifiers_fit_takes():
    names = signature(THINClassifier().fit).parameters.keys()
    assert all(has_fit_parameter(SeedEnsembleClassifier(small()), name) for name in names)


def test_a_boosting_weighs_its_rows(rows):
    X, y, _ = rows
    boosting = AdaBoostClassifier(SeedEnsembleClassifier(small(), 2), n_estimators=2)
    boosting.set_params(random_state=0).fit(X, y)
    first, second = boosting.estimators_
    assert np.abs(first.predict_proba(X) - second.predict_proba(X)).max() > 0.01


@pytest.mark.parametrize("routing", [False, True])
def test_all_that_fit_takes_reaches_every_member(routing, rows, more):
    (X, y, z), (X_val, y_val, _) = rows, more
    weight = (np.arange(200) % 2).astype(float)
    given = {"exogenous_target": z, "sample_weight": weight, "groups": np.arange(200) // 4}
    clf = small(dispelling="erasure", early_stopping=0.3, lr=1e-2)
    names = dict.fromkeys(["sample_weight", "groups", "X_val", "y_val"], True)
    for params in (given, {**given, "X_val": X_val, "y_val": y_val}):
        with config_context(enable_metadata_routing=routing):
            thin = clone(clf).set_fit_request(**names) if routing else clf
            ensemble = SeedEnsembleClassifier(thin, 2, random_state=0).fit(X, y, **params)
        for member in ensemble.estimators_:
            expected = clone(clf).set_params(random_state=member.random_state).fit(X, y, **params)
            np.testing.assert_allclose(
                member.predict_proba(X), expected.predict_proba(X), atol=0.02
            )
            np.testing.assert_array_equal(member.validation_mask_, expected.validation_mask_)


def test_a_search_routes_to_the_members(rows):
    X, y, z = rows
    groups = np.arange(200) // 4
    with config_context(enable_metadata_routing=True):
        thin = small(early_stopping=0.3, dispelling="erasure")
        thin.set_fit_request(groups=True, sample_weight=True)
        ensemble = SeedEnsembleClassifier(thin, 2).set_score_request(sample_weight=False)
        search = GridSearchCV(ensemble, {"n_seeds": [1]}, cv=GroupKFold(2))
        search.fit(X, y, groups=groups, sample_weight=np.ones(200), exogenous_target=z)
    (member,) = search.best_estimator_.estimators_
    held_out = member.validation_mask_
    assert not set(groups[held_out]) & set(groups[~held_out])


@pytest.mark.parametrize("n_classes", [2, 10])
def test_decision_values_are_logarithms_of_the_mean(n_classes, rows):
    X, y = rows[0], rows[1] % n_classes
    for estimator in (small(), make_pipeline(StandardScaler(), small())):
        ensemble = SeedEnsembleClassifier(estimator, 2, random_state=0).fit(X, y)
        log_proba = ensemble.predict_log_proba(X)
        expected = log_proba if n_classes > 2 else log_proba[:, 1] - log_proba[:, 0]
        np.testing.assert_allclose(ensemble.decision_function(X), expected, rtol=1e-4, atol=1e-5)
        far = ensemble.decision_function(X * 1e4)  # where probabilities round to 0
        assert np.isfinite(far).all()
        best = far.argmax(1) if n_classes > 2 else far > 0
        np.testing.assert_array_equal(
            ensemble.classes_[best.astype(int)], ensemble.predict(X * 1e4)
        )
    assert ensemble.decision_function(X).dtype == np.float32
    with pytest.raises(NotFittedError):
        clone(ensemble).decision_function(X)


def test_logits_and_probabilities_are_those_of_the_same_site(rows):
    X, y, z = rows
    ensemble = SeedEnsembleClassifier(small("given", max_epochs=1), 2, random_state=0)
    ensemble.fit(X, y, exogenous_target=z)
    for site in (None, 0):
        log_proba = ensemble.predict_log_proba(X, exogenous=site)
        logits = ensemble.decision_function(X, exogenous=site)
        np.testing.assert_allclose(logits, log_proba, rtol=1e-4, atol=1e-5)
    assert not np.allclose(ensemble.decision_function(X), logits, atol=1e-2)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_an_ensemble_of_regressors_is_the_mean_of_its_seeds(n_outputs, rows, capsys):
    X, y, _ = rows
    numbers = np.stack([3.0 * y + 100, -1e3 * y], 1)[:, :n_outputs].squeeze()
    thin = THINRegressor(depth=2, max_epochs=4)
    ensemble = SeedEnsembleRegressor(thin, 3, verbose=2, random_state=0).fit(X, numbers)
    assert "Training 3 fits in 1 stacks, of [3]" in capsys.readouterr().out
    assert len(set(drawn(ensemble.estimators_))) == 3
    alone = [clone(member).fit(X, numbers).predict(X) for member in ensemble.estimators_]
    off = np.abs(ensemble.predict(X) - np.mean(alone, 0)) / numbers.std(0)
    assert off.max() < 0.02
    assert ensemble.predict(X).shape == numbers.shape


def test_a_search_tunes_its_regressor(rows):
    X, y, _ = rows
    ensemble = SeedEnsembleRegressor(THINRegressor(max_epochs=1), 2, random_state=0)
    search = GridSearchCV(ensemble, {"estimator__depth": [0, 1]}, cv=2).fit(X, y)
    assert search.best_estimator_.estimators_[0].depth == search.best_params_["estimator__depth"]


def test_a_classifier_in_place_of_a_regressor_is_no_ensemble_of_classifiers(rows):
    X, y, _ = rows
    with pytest.raises(ValueError, match="'estimator' parameter of SeedEnsembleClassifier"):
        SeedEnsembleClassifier(THINRegressor(), 2).fit(X, y)
