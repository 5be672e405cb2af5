"""`adapt` moves a fitted estimator to a new site from rows without labels, as a copy."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier, THINRegressor
from sklearn_thin.model_selection import (
    SeedEnsembleClassifier,
    SeedEnsembleRegressor,
    StackedGridSearchCV,
    WeightedEnsembleClassifier,
)
from tests.helpers import SMALL, assert_bit_equal, nothing_changes, small, small_encoder

SITES = np.array(["north", "south"])


def elsewhere(X):
    """The same rows under other light."""
    return (0.4 * X + 0.5).astype(np.float32)


def running_mean(estimator):
    """Running mean of the first layer with batch normalisation."""
    norms = (part for part in estimator.module_.modules() if isinstance(part, nn.BatchNorm1d))
    return next(norms).running_mean.clone()


def lit(params):
    return small(None, **{"depth": 0, "hidden_units": 0, "max_epochs": 15, **params})


@pytest.fixture(scope="module")
def table():
    """A frame of numbers with a known site, a number to predict, and the sites."""
    rng = np.random.RandomState(0)
    z = SITES[np.arange(240) % 2]
    frame = pd.DataFrame(rng.normal(size=(240, 3)), columns=list("abc")).assign(site=z)
    return frame, 3 * frame["a"] * np.where(z == "north", 1, -1) + 10, z


@pytest.fixture(scope="module")
def by_site(table):
    params = {"depth": 1, "backbone": MLPBackbone((16,)), "max_epochs": 30, "random_state": 0}
    return THINRegressor("site", **params).fit(*table[:2])


# ------------------------------------------------------------------------- what it gains


@pytest.mark.parametrize("params", [{}, {"hidden_units": 8}], ids=["backbone", "experts too"])
def test_rows_without_labels_restore_the_accuracy_under_another_light(params, digits):
    X, _, y, _ = digits
    clf = lit(params).fit(X[:600], y[:600])
    here, there = clf.score(X[1200:], y[1200:]), clf.score(elsewhere(X[1200:]), y[1200:])
    adapted = clf.adapt(elsewhere(X[600:1200])).score(elsewhere(X[1200:]), y[1200:])
    assert there < here - 0.3
    assert adapted > here - 0.1


def test_images_and_several_layers_are_adapted_one_after_the_other(digits):
    clf = THINClassifier(depth=0, max_epochs=4, random_state=0).fit(
        digits.images[:600], digits.y[:600]
    )
    clf = clf.adapt(elsewhere(digits.images[600:1200]))
    norms = [part for part in clf.module_.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(norms) == 2
    assert clf.score(elsewhere(digits.images[1200:]), digits.y[1200:]) > 0.85


def test_an_encoder_is_adapted_like_a_classifier(digits):
    X, _, y, _ = digits
    encoder = ExogenousEncoder(SMALL, max_epochs=15, random_state=0).fit(X[:600], y[:600])
    there, adapted = (elsewhere(X[1200:]), y[1200:]), encoder.adapt(elsewhere(X[600:1200]))
    assert adapted.score(*there) > encoder.score(*there) + 0.3


# ------------------------------------------------------------------------ what it computes


class Two(nn.Module):
    """Two layers with BatchNorm, registered in the other order than they are used in."""

    def __init__(self, width):
        super().__init__()
        self.last, self.first = nn.BatchNorm1d(6), nn.BatchNorm1d(width)
        self.between = nn.Linear(width, 6)

    def forward(self, x):
        return self.last(self.between(self.first(x)).relu())


def two(shape):
    return Two(shape[0])


def test_statistics_are_those_of_the_rows_and_of_16_more_of_the_training(rows, more):
    clf = small(backbone=two, endogenous=None, hidden_units=0).fit(*rows[:2])
    share, adapted = 100 / 116, clf.adapt(more[0])
    before, after = (
        next(part for part in estimator.module_.modules() if isinstance(part, Two))
        for estimator in (clf, adapted)
    )
    x = torch.tensor(more[0])
    for name in ("first", "last"):
        if name == "last":
            with torch.no_grad():
                x = after.between(after.first(x)).relu()
        old, new = getattr(before, name), getattr(after, name)
        mean, var = x.double().mean(0), x.double().var(0)
        expected = share * mean + (1 - share) * old.running_mean
        torch.testing.assert_close(new.running_mean.double(), expected, atol=1e-5, rtol=1e-5)
        expected = share * var + (1 - share) * old.running_var
        torch.testing.assert_close(new.running_var.double(), expected, atol=1e-5, rtol=1e-5)


def test_the_order_of_the_rows_and_the_state_of_torch_do_not_matter(digits, rows):
    X = elsewhere(digits.X[200:600])
    clf = small(backbone=MLPBackbone((16, 16), dropout=0.5)).fit(*rows[:2])
    expected = clf.adapt(X).predict_proba(X)
    with torch.inference_mode():
        adapted = clf.adapt(X[::-1])
    np.testing.assert_allclose(adapted.predict_proba(X), expected, atol=1e-5)


def test_weights_stay(thin, more):
    weights = dict(thin.module_.named_parameters())
    adapted = dict(thin.adapt(elsewhere(more[0])).module_.named_parameters())
    assert_bit_equal(adapted, weights)


@pytest.mark.parametrize("way", ["erasure", "alignment"])
def test_the_map_in_front_of_the_experts_stays(way, rows, more):
    clf = small(small_encoder(), dispelling=way).fit(*rows[:2], exogenous_target=rows[2])
    adapted = clf.adapt(elsewhere(more[0]))
    assert_bit_equal(adapted.module_.eraser.state_dict(), clf.module_.eraser.state_dict())
    assert np.abs(adapted.transform(more[0]) - clf.transform(more[0])).max() > 0.1


def test_a_dataset_of_torch_is_read_for_its_rows(thin, more):
    X = elsewhere(more[0])
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.zeros(len(X)))
    assert_bit_equal(thin.adapt(dataset).module_.state_dict(), thin.adapt(X).module_.state_dict())


# --------------------------------------------------------------------------- a known variable


def test_a_level_that_fit_lacked_is_adapted_by_the_gates_prior(table, by_site):
    east = table[0].assign(site="east", a=table[0]["a"] + 5)
    adapted = by_site.adapt(east)
    np.testing.assert_array_equal(adapted.gate_proba(east), by_site.gate_proba(east))
    assert np.abs(adapted.transform(east).mean() - by_site.transform(east).mean()) > 0.1
    assert_bit_equal(
        adapted.module_.state_dict(), by_site.adapt(east.assign(site=None)).module_.state_dict()
    )


def test_labels_may_stand_for_the_site_of_the_rows(table, by_site):
    frame = table[0]
    there, given = (
        by_site.adapt(frame.assign(site="south")),
        by_site.adapt(frame, exogenous="south"),
    )
    assert_bit_equal(given.module_.state_dict(), there.module_.state_dict())


# -------------------------------------------------------------------------------- as a copy


def test_the_fitted_estimator_stays_and_the_copy_shares_its_frozen_side(thin, more):
    with nothing_changes(thin, more[0]):
        adapted = thin.adapt(elsewhere(more[0]))
        adapted.module_.experts.weight.data.zero_()
    assert type(adapted) is THINClassifier
    assert adapted.get_params().keys() == thin.get_params().keys()
    assert adapted.exogenous_ is thin.exogenous_
    assert adapted.n_iter_ == thin.n_iter_


def test_a_classifier_on_a_frozen_encoder_does_not_change_when_the_encoder_is_adapted(
    thin, encoder, more
):
    with nothing_changes(thin, more[0]), nothing_changes(encoder, more[0]):
        encoder.adapt(elsewhere(more[0]))


def test_copies_of_an_adapted_estimator_predict_as_it_does_and_a_clone_is_unfitted(thin, more):
    X = elsewhere(more[0])
    adapted = thin.adapt(X)
    expected = adapted.predict_proba(X)
    assert np.abs(expected - thin.predict_proba(X)).max() > 0.05
    for same in (pickle.loads(pickle.dumps(adapted)), copy.deepcopy(adapted)):
        np.testing.assert_array_equal(same.predict_proba(X), expected)
    with pytest.raises(NotFittedError):
        clone(adapted).predict(X)


@pytest.mark.parametrize("go_on", ["fit", "partial_fit"])
def test_training_goes_on_from_the_adapted_copy(go_on, rows, encoder, more):
    params = {"warm_start": True, "max_epochs": 1, "batch_size": 200}
    clf = small(FrozenEstimator(encoder), **params).fit(*rows[:2])
    adapted = clf.adapt(elsewhere(more[0]))
    trained, before = running_mean(clf), running_mean(adapted)
    getattr(adapted, go_on)(elsewhere(rows[0]), rows[1])
    assert adapted.n_iter_ == clf.n_iter_ + 1 == 2
    # torch moves running statistics by a tenth in each step
    moved = running_mean(adapted)
    assert 0 < (moved - before).norm() < (moved - trained).norm() / 2


def test_the_winner_of_a_stacked_search_can_be_adapted(digits):
    X, _, y, _ = digits
    search = StackedGridSearchCV(lit({"max_epochs": 5}), {"lr": [1e-3, 1e-2]}, cv=2)
    best = search.fit(X[:600], y[:600]).best_estimator_
    there = elsewhere(X[1200:]), y[1200:]
    assert best.adapt(elsewhere(X[600:1200])).score(*there) > best.score(*there) + 0.2


# ------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("make", [small, small_encoder, THINRegressor])
def test_an_unfitted_estimator_says_so(make, few):
    with pytest.raises(NotFittedError):
        make().adapt(few[0])


def test_a_variance_needs_two_rows(thin, few):
    with pytest.raises(ValueError, match=r"THINClassifier.adapt needs at least 2 rows .* got 1"):
        thin.adapt(few[0][:1])
    assert np.isfinite(thin.adapt(few[0][:2]).predict_proba(few[0])).all()


def test_rows_of_other_columns_are_refused_as_in_predict(thin, few):
    with pytest.raises(ValueError, match="X has 3 features, but THINClassifier is expecting 64"):
        thin.adapt(few[0][:, :3])


def test_a_network_without_batch_normalisation_has_nothing_to_adapt(few):
    X, y, z = few
    clf = small(backbone=nn.Linear(64, 16), hidden_units=0).fit(X, y)
    encoder = ExogenousEncoder(nn.Linear(64, 16), max_epochs=1).fit(X, z)
    for name, estimator in (("THINClassifier", clf), ("ExogenousEncoder", encoder)):
        with pytest.raises(ValueError, match=f"{name} has nothing to adapt.*BatchNorm"):
            estimator.adapt(X)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_rows_that_overflow_are_refused_and_change_nothing(rows, few):
    clf = small(endogenous=None).fit(*rows[:2])
    with nothing_changes(clf, few[0]), pytest.raises(ValueError, match="infinite or NaN"):
        clf.adapt(few[0] * np.float32(1e30))


# -------------------------------------------------------------------------- of ensembles


def test_an_ensemble_adapts_each_member_and_stays_as_it_is(digits):
    X, _, y, _ = digits
    ensemble = SeedEnsembleClassifier(lit({}), 2, random_state=0).fit(X[:600], y[:600])
    before, there = pickle.dumps(ensemble), elsewhere(X[600:1200])
    adapted = ensemble.adapt(there)
    assert pickle.dumps(ensemble) == before
    assert type(adapted) is SeedEnsembleClassifier
    for member, one in zip(adapted.estimators_, ensemble.estimators_, strict=True):
        np.testing.assert_array_equal(member.predict_proba(X), one.adapt(there).predict_proba(X))
    test = elsewhere(X[1200:]), y[1200:]
    assert adapted.score(*test) > ensemble.score(*test) + 0.3


def test_a_weighted_ensemble_keeps_its_weights(digits):
    X, _, y, _ = digits
    ensemble = WeightedEnsembleClassifier(lit({"max_epochs": 2}), [{"random_state": 0}, {}], [3, 1])
    adapted = ensemble.fit(X[:300], y[:300]).adapt(elsewhere(X[:300]))
    first, second = (member.predict_proba(X) for member in adapted.estimators_)
    np.testing.assert_allclose(adapted.predict_proba(X), (3 * first + second) / 4, atol=1e-6)


def test_an_ensemble_of_pipelines_keeps_the_steps_in_front(digits):
    X, _, y, _ = digits
    pipeline = make_pipeline(StandardScaler(), lit({"max_epochs": 2}))
    ensemble = SeedEnsembleClassifier(pipeline, 2, random_state=0).fit(X[:300], y[:300])
    there = elsewhere(X[300:600])
    for member, one in zip(ensemble.adapt(there).estimators_, ensemble.estimators_, strict=True):
        assert member[0] is one[0]
        expected = one[-1].adapt(one[0].transform(there))
        np.testing.assert_array_equal(
            member.predict_proba(X), expected.predict_proba(one[0].transform(X))
        )
        assert np.abs(member.predict_proba(X) - one.predict_proba(X)).max() > 0.01


def test_an_ensemble_of_regressors_takes_the_site_of_new_rows(table):
    frame, y, z = table
    params = {"depth": 1, "backbone": MLPBackbone((16,)), "max_epochs": 2}
    ensemble = SeedEnsembleRegressor(THINRegressor("given", **params), 2, random_state=0)
    ensemble.fit(frame[["a", "b", "c"]], y, exogenous_target=z)
    there = elsewhere(frame[["a", "b", "c"]])
    adapted = ensemble.adapt(there, exogenous="south")
    expected = [one.adapt(there, exogenous="south").predict(there) for one in ensemble.estimators_]
    np.testing.assert_allclose(adapted.predict(there), np.mean(expected, 0))


def test_an_ensemble_without_batch_normalisation_says_so(digits):
    plain = lit({"backbone": nn.Flatten(), "max_epochs": 1})
    ensemble = SeedEnsembleClassifier(plain, 2).fit(digits.X[:50], digits.y[:50])
    with pytest.raises(ValueError, match="nothing to adapt"):
        ensemble.adapt(digits.X[:50])


def test_an_ensemble_of_others_has_no_adapt(digits):
    ensemble = SeedEnsembleClassifier(LogisticRegression(max_iter=500), 2)
    assert not hasattr(ensemble.fit(digits.X[:50], digits.y[:50]), "adapt")
