"""Warm starts and partial_fit go on where the last call ended."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import Callback
from torch import nn

from sklearn_thin import ExogenousEncoder, MLPBackbone
from tests.helpers import SMALL, nothing_changes, raw, raw_encoder, small


def test_a_warm_start_goes_on_where_the_last_fit_ended(rows):
    X, y = rows[:2]
    clf = small(warm_start=True).fit(X, y)
    first = clf.history_[-1]["train_loss"]
    transformer = clf.exogenous_
    clf.fit(X, y)
    assert clf.n_iter_ == len(clf.history_) == 4
    assert clf.history_[2]["train_loss"] < first
    assert clf.exogenous_ is transformer
    assert clf.history_[:, "epoch"] == [1, 2, 3, 4]


def test_a_warm_start_keeps_the_fitted_exogenous_side(rows):
    X, y, z = rows
    clf = small(ExogenousEncoder(SMALL, max_epochs=1), lam=0.01, warm_start=True)
    encoder = clf.fit(X, y, exogenous_target=z).exogenous_
    clf.fit(X, y)
    assert clf.exogenous_ is encoder
    assert clf.n_iter_ == 4


def test_a_fit_begins_anew_without_warm_start(rows):
    X, y = rows[:2]
    clf = small().fit(X, y)
    first = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), first)
    assert clf.n_iter_ == 2


def test_partial_fit_trains_an_epoch_and_knows_classes_that_are_yet_to_come(rows):
    X, y = rows[:2]
    clf = small(lr=0.01)
    few = y < 5
    clf.partial_fit(X[few], y[few], classes=np.arange(10))
    assert clf.predict_proba(X).shape == (200, 10)
    for _ in range(14):
        clf.partial_fit(X, y)
    assert clf.n_iter_ == 15
    assert clf.score(X, y) > 0.9


def test_partial_fit_takes_the_exogenous_labels_in_the_first_call(rows):
    X, y, z = rows
    clf = small(ExogenousEncoder(SMALL, max_epochs=1), lam=0.01)
    encoder = clf.partial_fit(X, y, exogenous_target=z).exogenous_
    assert clf.partial_fit(X, y).exogenous_ is encoder
    assert clf.n_iter_ == 2


def test_partial_fit_keeps_the_rate(rows):
    X, y = rows[:2]
    clf = small(lr=0.02)
    for _ in range(4):
        clf.partial_fit(X, y)
        assert clf.net_.optimizer_.param_groups[0]["lr"] == 0.02


def test_the_rate_starts_anew_where_a_fit_goes_on(rows):
    clf = small(lr=0.1, max_epochs=2, warm_start=True).fit(*rows[:2]).fit(*rows[:2])
    first, _, second, _ = clf.history_[:, "event_lr"]
    assert first == second == 0.1


def test_partial_fit_on_a_single_row_needs_a_network_without_batch_normalisation(few):
    X, y, _ = few
    clf = small().partial_fit(X, y)
    with nothing_changes(clf, X), pytest.raises(ValueError, match=r"at least 2 rows .*, got 1 "):
        clf.partial_fit(X[:1], y[:1])
    plain = small(backbone=nn.Linear(64, 16), hidden_units=0).partial_fit(X, y)
    assert plain.partial_fit(X[:1], y[:1]).n_iter_ == 2


def test_a_warm_start_refuses_other_classes_and_columns(few):
    X, y, _ = few
    clf = small(warm_start=True).fit(X, y)
    with nothing_changes(clf, X), pytest.raises(ValueError, match="not known"):
        clf.fit(X, y + 1)
    with nothing_changes(clf, X), pytest.raises(ValueError, match=r"63 features.*expecting 64"):
        clf.fit(X[:, 1:], y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth", 2),
        ("n_experts", 3),
        ("hidden_units", 16),
        ("exogenous", PCA(4)),
        ("endogenous", StandardScaler()),
        ("backbone", MLPBackbone((8,))),
        ("gate_input", "representation"),
    ],
)
def test_a_fit_that_goes_on_refuses_another_architecture(name, value, few):
    X, y, _ = few
    clf = small(warm_start=True).fit(X, y)
    with nothing_changes(clf, X):
        clf.set_params(**{name: value})
        for go_on in (clf.fit, clf.partial_fit):
            with pytest.raises(ValueError, match=f"{name} was .* when the network was built"):
                go_on(X, y)
    clf.set_params(warm_start=False).fit(X, y)
    assert clf.n_iter_ == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backbone__hidden_layer_sizes", (8,)),
        ("exogenous__estimator", PCA(4, random_state=0)),
        ("endogenous__scale__with_mean", False),
    ],
)
def test_a_fit_that_goes_on_refuses_what_changed_inside_a_parameter(name, value, few):
    X, y, _ = few
    clf = small(
        FrozenEstimator(PCA(4, random_state=0).fit(X)),
        endogenous=Pipeline([("scale", StandardScaler())]),
        backbone=MLPBackbone((16,)),
        warm_start=True,
    ).fit(X, y)
    before = clf.get_params()[name]
    if isinstance(value, PCA):
        value.fit(X[:50])  # another one that is set alike
    with nothing_changes(clf, X):
        clf.set_params(**{name: value})
        parameter = name.partition("__")[0]
        with pytest.raises(ValueError, match=f"{parameter} was .* when the network was built"):
            clf.fit(X, y)
        clf.set_params(**{name: before})
    assert clf.fit(X, y).n_iter_ == 4


def test_a_fit_that_goes_on_takes_parameters_that_say_the_same(few):
    X, y, _ = few
    encoder = FrozenEstimator(PCA(4).fit(X))

    def alike():
        bins = OneHotEncoder(categories=[np.array([0.0, 1.0])], handle_unknown="ignore")
        ink = ColumnTransformer([("bins", bins, [0]), ("filled", SimpleImputer(), slice(1, 4))])
        return {
            "exogenous": [("frozen", FrozenEstimator(encoder.estimator)), ("ink", ink)],
            "endogenous": Pipeline([("fill", SimpleImputer()), ("scale", StandardScaler())]),
            "backbone": MLPBackbone([16]),
        }

    clf = small(warm_start=True, **alike()).fit(X, y)
    assert clf.set_params(**alike()).fit(X, y).n_iter_ == 4
    arrived = pickle.loads(pickle.dumps(clf))
    assert arrived.fit(X, y).n_iter_ == 6


def test_an_optimizer_may_change_in_a_fit_that_goes_on(few):
    X, y, _ = few
    clf = small(warm_start=True).fit(X, y)
    clf.set_params(optimizer="sgd", weight_decay=0.1).fit(X, y)
    (group,) = clf.net_.optimizer_.param_groups
    assert isinstance(clf.net_.optimizer_, torch.optim.SGD)
    assert group["weight_decay"] == 0.1


def test_a_fit_that_goes_on_needs_the_predictor_too(rows):
    X, y, _ = rows
    clf = small(PCA(4), warm_start=True).fit(X, y)
    clf.set_params(lam=1.0)
    for go_on in (clf.fit, clf.partial_fit):
        with pytest.raises(ValueError, match=r"lam=1.0 needs a predictor"):
            go_on(X, y)


# ------------------------------------------------------------------ held-out rows


@pytest.mark.parametrize("kind", [raw, raw_encoder])
@pytest.mark.parametrize("random_state", [0, None, "generator"])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_warm_start_holds_out_the_same_rows(kind, random_state, grouped, rows):
    X, y, _ = rows
    if random_state == "generator":
        random_state = np.random.RandomState(0)
    given = {"groups": np.arange(200) // 4} if grouped else {}
    params = {"random_state": random_state, "max_epochs": 1}
    clf = kind(early_stopping=0.2, warm_start=True, **params)
    parts = []
    for labels in (y, y, np.where(np.arange(200) < 9, 0, y)):  # labels are mended in between
        clf.set_params(callbacks=[Rows()]).fit(X, labels, **given)
        parts.append(dict(clf.net_.callbacks_)["Rows"])
    for part in parts:
        np.testing.assert_array_equal(part.held_out_, parts[0].held_out_)
        np.testing.assert_array_equal(part.training_, parts[0].training_)
    np.testing.assert_array_equal(np.unique(X[clf.validation_mask_], axis=0), parts[0].held_out_)


class Rows(Callback):
    """Keeps the distinct rows that a fit trained and validated on."""

    def on_train_begin(self, net, X=None, **kwargs):
        valid = net.get_split_datasets(X)[1]
        self.training_ = np.unique(X.X["x"].numpy(), axis=0)
        self.held_out_ = np.unique(valid.X["x"].numpy(), axis=0)


def test_rows_of_weight_zero_do_not_shift_the_held_out_rows(rows):
    X, y, _ = rows
    clf = raw(early_stopping=0.3, warm_start=True, max_epochs=1)
    mask = clf.fit(X, y, sample_weight=np.arange(200) % 5 > 0).validation_mask_
    assert not mask[::5].any()
    clf.set_params(callbacks=[Rows()]).fit(X, y, sample_weight=np.arange(200) % 7 > 0)
    held_out = X[mask & (np.arange(200) % 7 > 0)]
    seen = dict(clf.net_.callbacks_)["Rows"].held_out_
    np.testing.assert_array_equal(seen, np.unique(held_out, axis=0))


@pytest.mark.parametrize("before", ["other length", "no early stopping", "X_val", "partial_fit"])
def test_new_held_out_rows_in_a_fit_that_goes_on_are_warned_of(before, rows):
    X, y, _ = rows
    clf = small(early_stopping=True, warm_start=True, max_epochs=1)
    if before == "other length":
        clf.fit(X[:150], y[:150])
    elif before == "no early stopping":
        clf.set_params(early_stopping=False).fit(X, y).set_params(early_stopping=True)
    elif before == "X_val":
        clf.fit(X, y, X_val=X, y_val=y)
    else:
        clf.fit(X, y).partial_fit(X, y)
    held_out = "an X of 150 rows" if before == "other length" else "no rows"
    with pytest.warns(UserWarning, match=f"new rows of 200, but the fit before .*{held_out}"):
        clf.fit(X, y)
    mask = clf.validation_mask_
    np.testing.assert_array_equal(clf.fit(X, y).validation_mask_, mask)  # silent again


def test_a_fit_that_begins_anew_holds_out_rows_of_its_own(rows):
    X, y, _ = rows
    clf = small(early_stopping=True, max_epochs=1, random_state=None)
    masks = [clf.fit(X, y).validation_mask_ for _ in range(2)]
    assert (masks[0] != masks[1]).any()
    assert clf.set_params(early_stopping=False).fit(X, y).validation_mask_ is None


def test_fits_that_go_on_are_deterministic_and_survive_a_pickle(rows):
    X, y, _ = rows
    clf = small(early_stopping=True, warm_start=True)
    one, other = clone(clf).fit(X, y).fit(X, y), clone(clf).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    mask = one.validation_mask_
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).fit(X, y).validation_mask_, mask)
