"""THINClassifier from the user's side: architectures, outputs, inputs, weights and training."""

import functools
import pickle
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from scipy.special import log_softmax, logit, softmax
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, log_loss
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.utils import compute_class_weight
from sklearn.utils.fixes import parse_version
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    PrintLog,
    ProgressBar,
)
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin._validation import row_weights

FAST = {"max_epochs": 3, "hidden_units": 32, "random_state": 0}
SMALL = MLPBackbone((32,))
HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
new_callbacks = pytest.mark.skipif(
    not HAS_CALLBACKS, reason="scikit-learn has callbacks from 1.9 on"
)


@pytest.fixture(scope="module")
def rows(digits):
    """300 rows to fit on, and 100 more."""
    cut = slice(0, 300), slice(300, 400)
    return tuple(array[part] for part in cut for array in (digits.X, digits.y, digits.z))


@pytest.fixture(scope="module")
def encoder(rows):
    X, _, z, *_ = rows
    return ExogenousEncoder(SMALL, hidden_units=16, max_epochs=5, random_state=0).fit(X, z)


@pytest.fixture(scope="module")
def thin(rows, encoder):
    """A fitted THIN of depth 2 on a frozen encoder; not to be changed."""
    return small(FrozenEstimator(encoder), depth=2, lam=0.01, max_epochs=5).fit(*rows[:2])


def small(exogenous=None, **params):
    return THINClassifier(exogenous, **{"backbone": SMALL, **FAST, **params})


def expert_logits(clf, X):
    """Z of the fitted module, (n, L, K), by the module's parts."""
    with torch.no_grad():
        return clf.module_.experts(clf.module_.backbone(torch.tensor(X))).numpy()


# ------------------------------------------------------------------ architectures


def with_known_column(digits, n=300):
    """A table whose last column is the true exogenous variable."""
    return np.column_stack([digits.X, digits.z])[:n]


def known(columns):
    return ColumnTransformer([("known", OneHotEncoder(sparse_output=False), columns)])


def all_but_last():
    return FunctionTransformer(drop_last_column)


def drop_last_column(X):
    return np.asarray(X)[:, :-1]


ARCHITECTURES = {
    "baseline": {"depth": 0, "n_experts": 1},
    "simple ensemble": {"depth": 0, "n_experts": 5},
    "tree gate on h_endo": {"depth": 2},
    "exogenous gate": {"depth": 2, "exogenous": "encoder"},
    "oracle": {"depth": 2, "exogenous": known([64]), "endogenous": all_but_last()},
    "THIN": {"depth": 2, "exogenous": "encoder", "lam": 0.005},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_of_the_paper_is_a_setting_of_parameters(name, digits, encoder):
    params = dict(ARCHITECTURES[name])
    if params.get("exogenous") == "encoder":
        params["exogenous"] = FrozenEstimator(encoder)
    X = with_known_column(digits) if name == "oracle" else digits.X[:300]
    clf = small(**params, max_epochs=20).fit(X, digits.y[:300])
    n_experts = params.get("n_experts", 4)
    assert clf.score(X, digits.y[:300]) > 0.8
    assert clf.gate_proba(X).shape == (300, n_experts)
    assert clf.module_.experts.n_experts == n_experts
    assert ("train_dispelling" in clf.history_[-1]) == (name == "THIN")


@pytest.mark.parametrize(("name", "width"), [("tree gate on h_endo", 32), ("exogenous gate", 4)])
def test_the_gate_reads_h_endo_or_what_the_encoder_says(name, width, digits, encoder):
    exogenous = FrozenEstimator(encoder) if name == "exogenous gate" else None
    clf = small(exogenous, max_epochs=1).fit(digits.X[:100], digits.y[:100])
    assert clf.module_.gate.in_features == width


def test_an_oracle_gates_by_the_known_column_and_its_backbone_never_sees_it(digits):
    X = with_known_column(digits)
    clf = small(known([64]), endogenous=all_but_last()).fit(X, digits.y[:300])
    other = X.copy()
    other[:, -1] = (other[:, -1] + 1) % 4
    np.testing.assert_array_equal(clf.transform(other), clf.transform(X))
    np.testing.assert_array_equal(clf.expert_proba(other), clf.expert_proba(X))
    assert not np.allclose(clf.gate_proba(other), clf.gate_proba(X))
    same_value = clf.gate_proba(X)[X[:, -1] == 2]
    np.testing.assert_allclose(same_value, same_value[:1].repeat(len(same_value), 0), atol=1e-6)
    assert clf.input_shape_ == (64,)
    assert clf.n_features_in_ == 65


# ---------------------------------------------------------------------- outputs


def test_outputs_have_the_documented_shapes_and_types(thin, rows):
    X = rows[3]
    assert thin.predict_proba(X).shape == (100, 10)
    assert thin.predict_proba(X).dtype == np.float32
    assert thin.decision_function(X).shape == (100, 10)
    assert thin.transform(X).shape == (100, 32)
    assert thin.gate_proba(X).shape == (100, 4)
    assert thin.apply(X).shape == (100,)
    assert thin.apply(X).dtype == np.int64
    assert thin.decision_path(X).shape == (100, 3)
    assert thin.expert_proba(X).shape == (100, 4, 10)


def test_gate_weights_are_the_products_of_the_decisions_down_each_path(thin, rows):
    X = rows[3]
    root, left, right = thin.decision_path(X).T
    paths = [root * left, root * (1 - left), (1 - root) * right, (1 - root) * (1 - right)]
    np.testing.assert_allclose(thin.gate_proba(X), np.transpose(paths), atol=1e-6)
    np.testing.assert_allclose(thin.gate_proba(X).sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(thin.apply(X), thin.gate_proba(X).argmax(1))


def test_decisions_are_the_sigmoids_of_the_nodes_on_h_endo(rows):
    X, y = rows[:2]
    clf = small(depth=2).fit(X, y)
    nodes = clf.module_.gate.nodes
    with torch.no_grad():
        expected = nodes(torch.from_numpy(clf.transform(X))).numpy()
    np.testing.assert_allclose(logit(clf.decision_path(X)), expected, atol=1e-3)


def test_a_tree_without_decisions_weighs_all_experts_alike(rows):
    X, y = rows[:2]
    clf = small(depth=0, n_experts=4, max_epochs=1).fit(X, y)
    np.testing.assert_allclose(clf.gate_proba(X), 0.25)
    assert clf.decision_path(X).shape == (300, 0)
    assert not clf.apply(X).any()


@pytest.mark.parametrize(("depth", "n_experts"), [(3, 5), (1, 5), (3, 1), (2, 4)])
def test_any_number_of_experts_fits_any_depth(depth, n_experts, rows):
    X, y = rows[:2]
    clf = small(depth=depth, n_experts=n_experts, max_epochs=1).fit(X, y)
    assert clf.gate_proba(X).shape == (300, n_experts)
    np.testing.assert_allclose(clf.gate_proba(X).sum(1), 1, atol=1e-5)
    assert clf.apply(X).max() < 2**depth


def test_probabilities_are_the_softmax_of_the_gate_weighted_expert_logits(thin, rows):
    X = rows[3]
    mixed = np.einsum("nl,nlk->nk", thin.gate_proba(X), expert_logits(thin, X))
    np.testing.assert_allclose(thin.predict_proba(X), softmax(mixed, axis=1), atol=1e-5)
    np.testing.assert_allclose(thin.decision_function(X), mixed, atol=1e-4)
    np.testing.assert_allclose(
        thin.expert_proba(X), softmax(expert_logits(thin, X), axis=2), atol=1e-5
    )


def test_the_outputs_of_one_prediction_agree_with_each_other(thin, rows):
    X, y = rows[3:5]
    logits = thin.decision_function(X)
    np.testing.assert_allclose(thin.predict_proba(X).sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(thin.predict_log_proba(X), log_softmax(logits, 1), atol=1e-5)
    np.testing.assert_array_equal(thin.predict(X), thin.classes_[logits.argmax(1)])
    assert thin.score(X, y) == accuracy_score(y, thin.predict(X))


@pytest.mark.parametrize("exogenous", [None, PCA(5)])
@pytest.mark.parametrize("hidden_units", [0, 64])
def test_hard_inference_predicts_by_the_expert_of_the_most_probable_leaf(
    exogenous, hidden_units, rows
):
    X, y, _, X_new, *_ = rows
    clf = small(exogenous, depth=4, hidden_units=hidden_units, inference="hard").fit(X, y)
    hard = clf.predict_proba(X_new)
    chosen = clf.expert_proba(X_new)[np.arange(len(X_new)), clf.apply(X_new)]
    np.testing.assert_allclose(hard, chosen, atol=1e-6)
    np.testing.assert_array_equal(clf.predict(X_new), clf.classes_[hard.argmax(1)])
    np.testing.assert_allclose(clf.predict_proba(X_new[:1]), hard[:1], atol=1e-6)
    # the training is that of the mixture, to which the fitted model may go back
    soft = clone(clf).set_params(inference="soft").fit(X, y).predict_proba(X_new)
    assert np.abs(soft - hard).max() > 0.01
    np.testing.assert_array_equal(clf.set_params(inference="soft").predict_proba(X_new), soft)


def test_two_classes_have_one_decision_value_a_row(rows):
    X, y = rows[:2]
    clf = small().fit(X, y > 4)
    values = clf.decision_function(X)
    assert values.shape == (300,)
    np.testing.assert_allclose(clf.predict_proba(X)[:, 1], 1 / (1 + np.exp(-values)), atol=1e-5)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[(values > 0).astype(int)])


def test_transform_is_what_the_backbone_gives(thin, rows):
    X = rows[3]
    with torch.no_grad():
        expected = thin.module_.backbone(torch.tensor(X)).numpy()
    np.testing.assert_allclose(thin.transform(X), expected, atol=1e-5)


def test_a_row_is_predicted_alike_alone_and_among_others(thin, rows):
    X = rows[3]
    alone = np.concatenate([thin.predict_proba(X[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, thin.predict_proba(X)[:5], atol=1e-6)


# ----------------------------------------------------------------------- inputs


def test_a_single_row_is_predicted_turned_around_too(thin, rows):
    X = rows[0].copy()
    for turned in (X[:1][::-1], X[:5][::-1][-1:]):
        np.testing.assert_array_equal(thin.predict_proba(turned), thin.predict_proba(X[:1]))


def string_labels(y):
    return np.array([f"digit {label}" for label in y])


@pytest.mark.parametrize("kind", [string_labels, lambda y: string_labels(y).astype(object)])
def test_string_labels_come_back_as_they_were_passed(kind, rows):
    X, y = rows[:2]
    clf, plain = small().fit(X, kind(y)), small().fit(X, y)
    np.testing.assert_array_equal(clf.classes_, np.unique(kind(y)))
    np.testing.assert_array_equal(clf.predict(X), kind(plain.predict(X)))
    assert clf.predict(X).dtype == kind(y).dtype


def test_bool_labels_come_back_as_bools(rows):
    X, y = rows[:2]
    clf = small(max_epochs=10).fit(X, y == 0)
    assert clf.predict(X).dtype == bool
    assert clf.score(X, y == 0) > 0.95


def test_images_with_and_without_a_channel_axis_and_folded_rows_are_the_same_to_it(digits):
    images, X, y = digits.images[:200], digits.X[:200], digits.y[:200]
    plain = small(backbone=ConvNetBackbone((4,))).fit(images, y)
    folded = small(backbone=ConvNetBackbone((4,), image_shape=(8, 8))).fit(X, y)
    channels = small(backbone=ConvNetBackbone((4,))).fit(images[:, None], y)
    expected = plain.predict_proba(images)
    np.testing.assert_array_equal(folded.predict_proba(X), expected)
    np.testing.assert_array_equal(channels.predict_proba(images[:, None]), expected)
    shapes = [clf.input_shape_ for clf in (plain, folded, channels)]
    assert shapes == [(8, 8), (64,), (1, 8, 8)]
    assert {clf.n_features_in_ for clf in (plain, folded, channels)} == {64}


def test_colour_images_are_read_by_channels(digits):
    rgb = np.stack([digits.images[:100]] * 3, axis=1)
    clf = small(backbone="auto", max_epochs=1).fit(rgb, digits.y[:100])
    assert next(clf.module_.backbone.parameters()).shape[1] == 3
    assert clf.predict(rgb).shape == (100,)


@pytest.mark.parametrize("flat", [False, True], ids=["images", "flattened rows"])
def test_uint8_images_are_read_as_the_same_images_in_0_to_1(flat, digits):
    whole = np.round(digits.images[:200] * 255).astype(np.uint8)
    whole = whole.reshape(200, -1) if flat else whole
    clf = small(backbone=ConvNetBackbone((4,), image_shape=(8, 8)))
    expected = clone(clf).fit(whole.astype(np.float32) / 255, digits.y[:200])
    clf.fit(whole, digits.y[:200])
    scaled = whole.astype(np.float32) / 255
    np.testing.assert_allclose(clf.predict_proba(whole), expected.predict_proba(scaled), atol=1e-5)
    np.testing.assert_allclose(clf.predict_proba(scaled), clf.predict_proba(whole), atol=1e-5)


def test_an_encoder_reads_uint8_images_as_the_classifier_does(digits):
    whole = np.round(digits.images[:200] * 255).astype(np.uint8)
    scaled = whole.astype(np.float32) / 255
    probas = [
        small(ExogenousEncoder(max_epochs=1), lam=0.01, backbone="auto", max_epochs=1)
        .fit(X, digits.y[:200], exogenous_target=digits.z[:200])
        .predict_proba(X)
        for X in (whole, scaled)
    ]
    np.testing.assert_allclose(probas[0], probas[1], atol=1e-4)


# without this protocol, which polars 2 dropped, scikit-learn 1.6 sees no names
polars = pytest.param(
    pl.DataFrame,
    id="polars",
    marks=pytest.mark.skipif(
        not HAS_CALLBACKS and not hasattr(pl.DataFrame, "__dataframe__"),
        reason="this scikit-learn does not read the names of this polars",
    ),
)


@pytest.mark.parametrize("frame", [pytest.param(pd.DataFrame, id="pandas"), polars])
def test_frames_are_read_and_their_column_names_kept(frame, rows):
    X, y = rows[0], rows[1]
    names = [f"pixel{i}" for i in range(64)]
    table = frame(dict(zip(names, X.T, strict=True)))
    clf = small(max_epochs=1).fit(table, y)
    np.testing.assert_array_equal(clf.feature_names_in_, names)
    plain = small(max_epochs=1).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(table), plain.predict_proba(X))
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame(dict(zip(reversed(names), X.T, strict=True))))


def test_labels_weights_and_exogenous_labels_may_be_pandas_series(rows):
    X, y, z = rows[:3]
    index = np.arange(300)[::-1]  # an index that says nothing of the position
    weight = pd.Series(np.ones(300), index=index)
    labels = pd.Series(y, index=index), pd.Series(z, index=index)
    clf = small(ExogenousEncoder(SMALL, max_epochs=1), max_epochs=1)
    plain = clone(clf).fit(X, y, exogenous_target=z, sample_weight=np.ones(300))
    clf.fit(X, labels[0], exogenous_target=labels[1], sample_weight=weight)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_features_out_are_named_by_class_and_number(thin, rows):
    names = thin.get_feature_names_out()
    np.testing.assert_array_equal(names, [f"thinclassifier{i}" for i in range(32)])
    framed = clone(thin).set_output(transform="pandas").fit(*rows[:2])
    assert list(framed.transform(rows[3]).columns) == list(names)


# ---------------------------------------------------------------------- weights


@pytest.mark.parametrize("weights", ["balanced", {0: 20.0, 1: 1.0}], ids=["balanced", "dict"])
def test_class_weights_shift_predictions_to_the_rare_class(weights):
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [20, 380])
    X, X_new = rng.normal(y[:, None] * 0.7, 1, size=(2, 400, 3)).astype(np.float32)
    found = [
        (small(class_weight=w, max_epochs=20).fit(X, y).predict(X_new) == 0)[y == 0].mean()
        for w in (None, weights)
    ]
    assert found[1] > found[0] + 0.3


def test_class_weights_are_given_by_the_labels_themselves(rows):
    X, y = rows[:2]
    names = np.where(y == 0, "zero", "other")
    weights = {"zero": 3.0, "other": 1.0}
    by_name = small(class_weight=weights, max_epochs=1).fit(X, names)
    by_row = small(max_epochs=1).fit(X, names, sample_weight=np.where(y == 0, 3.0, 1.0))
    np.testing.assert_allclose(by_name.predict_proba(X), by_row.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("early_stopping", [False, 0.2])
def test_a_row_of_weight_zero_is_as_if_it_were_not_there(early_stopping, rows):
    X, y, z = rows[:3]
    weight = np.ones(300)
    weight[::3] = 0
    kept = weight > 0
    clf = small(ExogenousEncoder(SMALL, max_epochs=1), lam=0.01, early_stopping=early_stopping)
    weighted = clone(clf).fit(X, y, exogenous_target=z, sample_weight=weight)
    removed = clf.fit(X[kept], y[kept], exogenous_target=z[kept], sample_weight=np.ones(kept.sum()))
    np.testing.assert_array_equal(weighted.predict_proba(X), removed.predict_proba(X))


def test_the_scale_of_the_weights_does_not_matter(rows):
    X, y = rows[:2]
    weight = np.random.RandomState(0).rand(300)
    probas = [
        small(max_epochs=1).fit(X, y, sample_weight=weight * scale).predict_proba(X)
        for scale in (1, 1024)
    ]
    np.testing.assert_allclose(probas[0], probas[1], atol=1e-5)


def test_weights_that_are_all_one_change_nothing(rows):
    X, y = rows[:2]
    weighted = small().fit(X, y, sample_weight=np.ones(300))
    np.testing.assert_allclose(
        weighted.predict_proba(X), small().fit(X, y).predict_proba(X), atol=1e-5
    )


# --------------------------------------------------------------- early stopping


class RowsSeen(Callback):
    """Remembers the rows that the first epoch trained and validated on."""

    def on_train_begin(self, net, **kwargs):
        self.training_, self.held_out_ = [], []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if len(net.history) == 1:
            (self.training_ if training else self.held_out_).append(batch[0]["x"].numpy())


def rows_seen(clf):
    """Rows of X trained and validated on, in an epoch of a fitted classifier."""
    callback = dict(clf.net_.callbacks_)["RowsSeen"]
    return np.concatenate(callback.training_), np.concatenate(callback.held_out_)


@pytest.mark.parametrize(("early_stopping", "n"), [(True, 30), (np.True_, 30), (0.2, 60), (50, 50)])
def test_early_stopping_holds_out_a_tenth_a_fraction_or_a_number(early_stopping, n, rows):
    X, y = rows[:2]
    clf = small(early_stopping=early_stopping, callbacks=[RowsSeen()], max_epochs=2).fit(X, y)
    training, held_out = rows_seen(clf)
    assert (len(training), len(held_out)) == (300 - n, n)
    together = np.concatenate([training, held_out])
    np.testing.assert_array_equal(np.unique(together, axis=0), np.unique(X, axis=0))


def test_held_out_rows_keep_the_proportions_of_the_classes(rows):
    X = rows[0]
    y = np.arange(300) % 10 == 0
    X = np.column_stack([X, y]).astype(np.float32)
    clf = small(early_stopping=0.2, callbacks=[RowsSeen()], max_epochs=1).fit(X, y)
    assert rows_seen(clf)[1][:, -1].sum() == 6


def test_early_stopping_measures_what_is_passed_for_it(rows):
    X, y, _, X_val, y_val, _ = rows
    clf = small(early_stopping=True, callbacks=[RowsSeen()]).fit(X, y, X_val=X_val, y_val=y_val)
    training, held_out = rows_seen(clf)
    assert len(training) == 300
    np.testing.assert_array_equal(held_out, X_val)
    best = min(clf.history_[:, "valid_loss"])
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(best, rel=1e-4)


def test_held_out_rows_are_only_recorded_without_early_stopping(rows):
    X, y, _, X_val, y_val, _ = rows
    clf = small(lr=0.02, max_epochs=15, n_iter_no_change=1)
    watched = clone(clf).fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(watched.predict_proba(X), clf.fit(X, y).predict_proba(X))
    assert watched.n_iter_ == 15
    assert "valid_loss" in watched.history_[-1]


def test_rows_of_one_group_are_held_out_together(rows):
    X, y = rows[:2]
    groups = np.arange(300) // 6
    X = np.column_stack([X, groups]).astype(np.float32)
    clf = small(early_stopping=0.2, callbacks=[RowsSeen()], max_epochs=1)
    training, held_out = rows_seen(clf.fit(X, y, groups=groups))
    assert not set(training[:, -1]) & set(held_out[:, -1])
    assert 40 <= len(held_out) <= 80


def test_early_stopping_stops_and_restores_the_best_weights(rows):
    X, y, _, X_val, y_val, _ = rows
    clf = small(
        early_stopping=True, n_iter_no_change=2, lr=0.05, lr_schedule="constant", max_epochs=60
    )
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    losses = clf.history_[:, "valid_loss"]
    assert clf.n_iter_ == len(losses) < 60
    assert np.argmin(losses) < len(losses) - 1
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(min(losses), rel=1e-4)


def test_the_best_weights_are_restored_after_the_last_epoch_too(rows):
    X, y, _, X_val, y_val, _ = rows
    clf = small(early_stopping=True, n_iter_no_change=50, lr=0.05, lr_schedule="constant")
    clf.set_params(max_epochs=12).fit(X, y, X_val=X_val, y_val=y_val)
    losses = clf.history_[:, "valid_loss"]
    assert len(losses) == 12
    assert np.argmin(losses) < 11
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(min(losses), rel=1e-4)


def test_held_out_rows_are_not_used_to_fit_the_exogenous_side(rows):
    X, y = rows[:2]
    clf = small(
        PCA(3), early_stopping=0.3, callbacks=[RowsSeen()], max_epochs=1, gate_input="auto"
    ).fit(X, y)
    training, _ = rows_seen(clf)
    np.testing.assert_allclose(clf.exogenous_.mean_, training.mean(0), atol=1e-5)
    assert clf.exogenous_.n_samples_ == 210


def test_held_out_rows_are_not_used_to_fit_the_encoder(rows):
    X, y, z = rows[:3]
    encoder = ExogenousEncoder(SMALL, max_epochs=1, callbacks=[RowsSeen()])
    clf = small(encoder, early_stopping=0.3, callbacks=[RowsSeen()], max_epochs=1)
    clf.fit(X, y, exogenous_target=z)
    training, _ = rows_seen(clf)
    read = np.concatenate(dict(clf.exogenous_.net_.callbacks_)["RowsSeen"].training_)
    np.testing.assert_array_equal(np.unique(read, axis=0), np.unique(training, axis=0))


# --------------------------------------------------------------------- training


class LearningRates(Callback):
    """Remembers the rate of every batch as the optimizer has it."""

    def on_train_begin(self, net, **kwargs):
        self.rates_ = []

    def on_batch_begin(self, net, **kwargs):
        self.rates_.append(net.optimizer_.param_groups[0]["lr"])


def learning_rates(**params):
    rng = np.random.RandomState(0)
    X, y = rng.rand(40, 3).astype(np.float32), np.arange(40) % 2
    clf = small(lr=0.1, max_epochs=4, batch_size=20, callbacks=[LearningRates()], **params)
    clf.fit(X, y)
    return dict(clf.net_.callbacks_)["LearningRates"].rates_, clf.history_


def test_the_rate_falls_along_a_cosine_from_batch_to_batch_or_stays():
    rates, history = learning_rates()
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(8) / 8))
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    np.testing.assert_allclose(history[:, "event_lr"], expected[::2], rtol=1e-6)
    np.testing.assert_allclose(learning_rates(lr_schedule="constant")[0], 0.1)


def test_the_rate_starts_anew_where_a_fit_goes_on(rows):
    clf = small(lr=0.1, max_epochs=2, warm_start=True).fit(*rows[:2]).fit(*rows[:2])
    first, _, second, _ = clf.history_[:, "event_lr"]
    assert first == second == 0.1


def test_an_optimizer_may_be_a_callable(rows):
    X, y = rows[:2]
    sgd = functools.partial(torch.optim.SGD, momentum=0.9)
    clf = small(optimizer=sgd, lr=0.05, weight_decay=0.01, warm_start=True).fit(X, y)
    group = clf.net_.optimizer_.param_groups[0]
    assert isinstance(clf.net_.optimizer_, torch.optim.SGD)
    assert (group["momentum"], group["weight_decay"]) == (0.9, 0.01)
    assert clf.history_[-1]["train_loss"] < clf.history_[0]["train_loss"]


def test_an_optimizer_may_evaluate_the_loss_itself(rows):
    """As torch's LBFGS, whose step takes a closure."""
    X, y = rows[:2]
    clf = small(optimizer=lambda w, lr, weight_decay: torch.optim.LBFGS(w, lr=lr), max_epochs=2)
    clf.fit(X, y)
    assert clf.history_[-1]["train_loss"] < clf.history_[0]["train_loss"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)],
)
def test_optimizers_go_by_name(name, kind, rows):
    clf = small(optimizer=name, lr=0.01, warm_start=True).fit(*rows[:2])
    assert type(clf.net_.optimizer_) is kind
    assert clf.history_[-1]["train_loss"] < clf.history_[0]["train_loss"]


def test_weight_decay_makes_the_weights_smaller(rows):
    norms = [
        small(optimizer="adamw", weight_decay=decay, lr=0.01)
        .fit(*rows[:2])
        .module_.experts.hidden_weight.norm()
        .item()
        for decay in (0.0, 10.0)
    ]
    assert norms[1] < 0.8 * norms[0]


def test_the_optimizer_is_dropped_after_a_fit_that_is_not_to_be_continued(thin):
    assert thin.net_.optimizer_ is None


def test_skorch_scores_epochs_on_training_and_held_out_rows(rows):
    X, y, _, X_val, y_val, _ = rows
    callbacks = [
        EpochScoring("accuracy", name="valid_acc", lower_is_better=False),
        EpochScoring("accuracy", name="train_acc", on_train=True, lower_is_better=False),
    ]
    clf = small(callbacks=callbacks, max_epochs=6, lr=0.01).fit(X, y, X_val=X_val, y_val=y_val)
    assert clf.history_[-1]["valid_acc"] == pytest.approx(clf.score(X_val, y_val))
    assert clf.history_[-1]["train_acc"] > clf.history_[0]["train_acc"]
    assert 0.8 < clf.history_[-1]["train_acc"] <= 1


class CountEpochs(Callback):
    """Counts what it is told of."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.calls = []

    def on_train_begin(self, net, **kwargs):
        self.calls.append("begin")

    def on_train_end(self, net, **kwargs):
        self.calls.append("end")

    def on_epoch_end(self, net, **kwargs):
        self.calls.append("epoch")
        if self.calls.count("epoch") == self.stop_after:
            raise KeyboardInterrupt  # how skorch's own callbacks end a training


def test_a_users_callback_is_called_on_a_copy_and_found_on_the_net(rows):
    mine = CountEpochs()
    callbacks = [("mine", mine)]
    clf = small(callbacks=callbacks).fit(*rows[:2])
    assert mine.calls == []
    assert callbacks == [("mine", mine)]
    assert clf.callbacks is callbacks
    assert dict(clf.net_.callbacks_)["mine"].calls == ["begin", "epoch", "epoch", "epoch", "end"]


NAMES = ["early_stopping", "epoch_timer", "eraser", "lr_schedule", "print_log", "progress_bar"]


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_users_callback_may_have_any_name(verbose, rows):
    X, y, z = rows[:3]
    callbacks = [(name, CountEpochs()) for name in NAMES]
    clf = small(callbacks=callbacks, early_stopping=0.2, dispelling="erasure", verbose=verbose)
    clf.fit(X, y, exogenous_target=z)
    calls = {name: callback.calls for name, callback in clf.net_.callbacks_}
    assert calls == {name: ["begin", "epoch", "epoch", "epoch", "end"] for name in NAMES}
    assert all("dur" in epoch for epoch in clf.history_)


def test_skorchs_callbacks_work_beside_our_own(rows, capsys):
    callbacks = [EarlyStopping(monitor="train_loss", patience=99), PrintLog(), ProgressBar()]
    clf = small(callbacks=callbacks, early_stopping=0.2, verbose=2).fit(*rows[:2])
    names = [name for name, _ in clf.net_.callbacks_]
    assert names == ["EarlyStopping", "ProgressBar", "PrintLog"]
    assert capsys.readouterr().out.count("train_loss") == 2  # a head of each table


class WorseInTheEnd(Callback):
    """Sets a rate in the last epoch at which nothing is learnt."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == net.max_epochs:
            net.optimizer_.param_groups[0]["lr"] = 10.0


def test_skorchs_checkpoint_keeps_the_best_epoch(rows, tmp_path):
    X, y, _, X_val, y_val, _ = rows
    kept = Checkpoint(dirname=tmp_path, f_history=None, load_best=True)
    params = {"max_epochs": 4, "lr_schedule": "constant"}
    callbacks = [WorseInTheEnd(), kept]
    clf = small(callbacks=callbacks, **params).fit(X, y, X_val=X_val, y_val=y_val)
    for name in ("train_loss", "valid_loss"):
        losses = clf.history_[:, name]
        best = [loss < min(losses[:i], default=np.inf) for i, loss in enumerate(losses)]
        assert clf.history_[:, f"{name}_best"] == best
    losses = clf.history_[:, "valid_loss"]
    assert min(losses) < losses[-1]
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(min(losses), rel=1e-4)


def test_a_callback_may_end_the_training(rows):
    clf = small(callbacks=[CountEpochs(stop_after=2)], max_epochs=9).fit(*rows[:2])
    assert clf.n_iter_ == 2
    assert dict(clf.net_.callbacks_)["CountEpochs"].calls == ["begin", "epoch", "epoch", "end"]
    assert clf.predict(rows[3]).shape == (100,)


def test_history_has_losses_rate_and_seconds_of_every_epoch(thin):
    assert len(thin.history_) == thin.n_iter_ == 5
    for epoch in thin.history_:
        assert {"train_loss", "train_dispelling", "dur", "event_lr"} <= set(epoch)
        assert 0 <= epoch["train_dispelling"] <= 1


def test_the_recorded_loss_is_that_of_the_rows(rows):
    X, y = rows[:2]
    clf = small(lr=1e-12, max_epochs=1, backbone=nn.Sequential(nn.Linear(64, 8)), hidden_units=0)
    clf.fit(X, y)
    assert clf.history_[-1]["train_loss"] == pytest.approx(
        log_loss(y, clf.predict_proba(X)), rel=1e-4
    )


@pytest.mark.parametrize(("verbose", "expected"), [(1, "THINClassifier"), (2, "train_loss")])
def test_verbose_tells_of_the_training(verbose, expected, rows, capsys):
    small(verbose=verbose).fit(*rows[:2])
    printed = capsys.readouterr()
    assert expected in printed.out + printed.err


def test_a_fit_is_silent_by_default(rows, capsys):
    small().fit(*rows[:2])
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_no_progress_bar_is_loaded_with_the_package():
    # in a notebook it would load the widgets, and warn where there are none
    script = "import sys, sklearn_thin.model_selection\nprint('tqdm.auto' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["False"], done.stderr


# --------------------------------------------------------- scikit-learn's callbacks


@new_callbacks
def test_scikit_learns_progress_bar_shows_the_epochs(rows, capsys):
    from sklearn.callback import ProgressBar

    clf = small().set_callbacks(ProgressBar())
    clf.fit(*rows[:2])
    printed = capsys.readouterr().out
    assert "THINClassifier" in printed
    assert "100%" in printed


@new_callbacks
def test_scikit_learns_scoring_monitor_scores_every_epoch_on_the_training_rows(rows):
    from sklearn.callback import ScoringMonitor

    X, y = rows[:2]
    monitor = ScoringMonitor(scoring="accuracy")
    clf = small().set_callbacks(monitor).fit(X, y)
    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(epochs) == clf.n_iter_
    assert epochs[-1]["accuracy"] == pytest.approx(clf.score(X, y))


class StopAt:
    """A callback of scikit-learn's kind that stops, and predicts on the way."""

    def __init__(self, epoch, X):
        self.epoch, self.X, self.probas, self.torn_down = epoch, X, [], 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.torn_down += 1

    def on_fit_task_begin(self, estimator, context, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **kwargs):
        if context.task_name != "epoch":
            return False
        self.probas.append(fitted_estimator.predict_proba(self.X))
        return len(self.probas) == self.epoch


@new_callbacks
def test_a_callback_of_scikit_learns_kind_may_end_the_training(rows):
    stop = StopAt(2, rows[3])
    clf = small(max_epochs=9).set_callbacks(stop).fit(*rows[:2])
    assert clf.n_iter_ == 2
    assert stop.torn_down == 1
    np.testing.assert_allclose(stop.probas[-1], clf.predict_proba(rows[3]), atol=1e-6)
    assert not np.allclose(stop.probas[0], stop.probas[1])


@new_callbacks
def test_watching_a_fit_does_not_change_it(rows):
    watched = small(max_epochs=3).set_callbacks(StopAt(None, rows[3])).fit(*rows[:2])
    np.testing.assert_array_equal(
        watched.predict_proba(rows[3]), small().fit(*rows[:2]).predict_proba(rows[3])
    )


# ------------------------------------------------------------------ going on


def test_a_warm_start_goes_on_where_the_last_fit_ended(rows):
    X, y = rows[:2]
    clf = small(warm_start=True).fit(X, y)
    first = clf.history_[-1]["train_loss"]
    transformer = clf.exogenous_
    clf.fit(X, y)
    assert clf.n_iter_ == len(clf.history_) == 6
    assert clf.history_[3]["train_loss"] < first
    assert clf.exogenous_ is transformer
    assert clf.history_[:, "epoch"] == [1, 2, 3, 4, 5, 6]


def test_a_warm_start_keeps_the_fitted_exogenous_side(rows):
    X, y, z = rows[:3]
    clf = small(ExogenousEncoder(SMALL, max_epochs=1), lam=0.01, warm_start=True)
    encoder = clf.fit(X, y, exogenous_target=z).exogenous_
    clf.fit(X, y)
    assert clf.exogenous_ is encoder
    assert clf.n_iter_ == 6


def test_a_fit_begins_anew_without_warm_start(rows):
    X, y = rows[:2]
    clf = small().fit(X, y)
    first = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), first)
    assert clf.n_iter_ == 3


def test_partial_fit_trains_an_epoch_and_knows_classes_that_are_yet_to_come(rows):
    X, y = rows[:2]
    clf = small()
    few = y < 5
    clf.partial_fit(X[few], y[few], classes=np.arange(10))
    assert clf.predict_proba(X).shape == (300, 10)
    for _ in range(14):
        clf.partial_fit(X, y)
    assert clf.n_iter_ == 15
    assert clf.score(X, y) > 0.9


def test_partial_fit_takes_the_exogenous_labels_in_the_first_call(rows):
    X, y, z = rows[:3]
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


# ------------------------------------------------------------------- parameters


def test_candidates_with_different_numbers_of_experts_are_about_equally_large(rows):
    X, y = rows[0], rows[1]
    sizes = []
    for n_experts in (1, 4, 8):
        clf = small(depth=0, n_experts=n_experts, hidden_units=64, max_epochs=1).fit(X, y)
        sizes.append(sum(p.numel() for p in clf.module_.parameters()))
    assert max(sizes) / min(sizes) < 1.05


def test_parameters_of_the_backbone_are_tunable(digits):
    clf = small(backbone=ConvNetBackbone()).set_params(backbone__channels=(3, 5))
    assert clf.get_params()["backbone__channels"] == (3, 5)
    clf.set_params(backbone__hidden_layer_sizes=(), max_epochs=1).fit(
        digits.images[:60], digits.y[:60]
    )
    assert clf.transform(digits.images[:60]).shape == (60, 5 * 2 * 2)


@pytest.mark.parametrize("factory", [False, True], ids=["module", "factory"])
def test_a_module_or_a_factory_serves_as_the_backbone_and_stays_as_it_was(factory, rows):
    X, y = rows[:2]
    module = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU())
    before = pickle.dumps({k: v.numpy() for k, v in module.state_dict().items()})
    backbone = (lambda shape: nn.Linear(*shape, 16)) if factory else module
    clf = small(backbone=backbone).fit(X, y)
    assert clf.transform(X).shape == (300, 16)
    assert pickle.dumps({k: v.numpy() for k, v in module.state_dict().items()}) == before
    assert module.training
    assert clf.backbone is backbone


def test_a_batch_is_never_a_single_row(rows):
    X, y = rows[:2]
    clf = small(batch_size=32, max_epochs=1, callbacks=[RowsSeen()]).fit(X[:65], y[:65])
    sizes = [len(x) for x in dict(clf.net_.callbacks_)["RowsSeen"].training_]
    assert sizes == [32, 33]


@pytest.mark.parametrize(
    "params",
    [
        {"exogenous": None},
        {"endogenous": None},
        {"backbone": ConvNetBackbone(image_shape=(7, 7))},
        {"depth": 0, "n_experts": 3, "hidden_units": 0},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_set_after_a_fit_wait_for_the_next_one(params, digits):
    X = with_known_column(digits, 100)
    clf = small(known([64]), endogenous=all_but_last(), max_epochs=1).fit(X, digits.y[:100])
    before = clf.predict_proba(X)
    clf.set_params(**params)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


# ----------------------------------------------------------------- augmentation


class Augment:
    """Notes what it is called with, and shifts the images by a pixel."""

    def __init__(self):
        self.batches = []

    def __call__(self, images):
        self.batches.append((images.shape[1:], images.dtype, torch.is_inference_mode_enabled()))
        return images.roll(1, dims=-1)


def test_augment_gets_float_images_and_only_in_training(digits):
    whole = np.round(digits.images[:64] * 255).astype(np.uint8)
    augment = Augment()
    clf = small(augment=augment, backbone="auto", max_epochs=2)
    clf.fit(whole, digits.y[:64], X_val=whole[:8], y_val=digits.y[:8])
    assert augment.batches == [((1, 8, 8), torch.float32, False)] * 4
    clf.predict_proba(whole)
    assert len(augment.batches) == 4


def test_what_augment_returns_is_what_is_learnt_from(digits):
    images, y = digits.images[:200], digits.y[:200]
    clf = small(augment=lambda x: x.flip(-1), backbone=ConvNetBackbone((4,))).fit(images, y)
    flipped = small(backbone=ConvNetBackbone((4,))).fit(images[..., ::-1], y)
    np.testing.assert_allclose(clf.predict_proba(images), flipped.predict_proba(images), atol=1e-5)


class KeepRows(FunctionTransformer):
    """The mean of a row, noting every row that it is asked for."""

    seen = []

    def transform(self, X):
        self.seen.append(np.asarray(X))
        return np.asarray(X).reshape(len(X), -1).mean(1, keepdims=True)


def test_the_exogenous_side_sees_the_augmented_images_in_the_users_shape(digits):
    images, y = digits.images[:64], digits.y[:64]
    KeepRows.seen.clear()
    small(KeepRows(), augment=lambda x: x + 7, backbone=ConvNetBackbone((4,)), max_epochs=2).fit(
        images, y
    )
    plain, augmented = KeepRows.seen[0], KeepRows.seen[1:]
    np.testing.assert_array_equal(plain, images)
    assert sum(map(len, augmented)) == 2 * 64
    assert all(batch.shape[1:] == (8, 8) and batch.min() >= 7 for batch in augmented)


def test_the_dispelling_term_compares_with_the_augmented_images(digits):
    images, y, z = digits.images[:200], digits.y[:200], digits.z[:200]
    encoder = ExogenousEncoder(ConvNetBackbone((4,)), max_epochs=2, random_state=0).fit(images, z)
    clf = small(FrozenEstimator(encoder), lam=0.1, lr=1e-12, backbone=ConvNetBackbone((4,)))
    augmented = clone(clf).set_params(augment=lambda x: x.flip(-1)).fit(images, y)
    flipped = clf.fit(images[..., ::-1].copy(), y)
    assert augmented.history_[-1]["train_dispelling"] == pytest.approx(
        flipped.history_[-1]["train_dispelling"], abs=1e-5
    )


# ----------------------------------------------------------------- types and weights


def test_the_exogenous_side_sees_augmented_images_in_the_users_type(digits):
    images, y = (255 * digits.images[:64]).astype(np.uint8), digits.y[:64]
    KeepRows.seen.clear()
    small(KeepRows(), augment=lambda x: x, backbone=ConvNetBackbone((4,)), max_epochs=1).fit(
        images, y
    )
    plain, augmented = KeepRows.seen[0], np.concatenate(KeepRows.seen[1:])
    assert plain.dtype == augmented.dtype == np.uint8
    np.testing.assert_array_equal(np.sort(augmented.sum((1, 2))), np.sort(plain.sum((1, 2))))


def test_an_augmentation_that_resizes_is_refused_where_another_side_reads_the_images(digits):
    augmented = small(KeepRows(), augment=lambda x: x[..., 1:], backbone=ConvNetBackbone((4,)))
    with pytest.raises(ValueError, match="augment must keep the size of the images"):
        augmented.fit(digits.images[:64], digits.y[:64])


@pytest.mark.parametrize("passed", [np.int64, np.float32])
def test_images_on_another_scale_than_in_fit_are_refused(passed, digits):
    images, y = (255 * digits.images[:100]).astype(np.uint8), digits.y[:100]
    clf = small(backbone="auto").fit(images, y)
    with pytest.raises(ValueError, match="uint8 alone is divided by 255"):
        clf.predict(images.astype(passed))
    np.testing.assert_allclose(
        clf.predict_proba(images / 255), clf.predict_proba(images), atol=1e-5
    )
    with pytest.raises(ValueError, match="uint8 alone is divided by 255"):
        small(backbone="auto").fit(images.astype(np.int64), y).predict(images)


def test_partial_fit_takes_weights_as_they_are(rows):
    X, y, *_ = rows
    clf = small(optimizer="sgd", lr=0.05).partial_fit(X, y)
    rare = y == 1

    def moved(sample_weight=None, **params):
        after = deepcopy(clf).set_params(**params)
        after.partial_fit(X[rare], y[rare], sample_weight=sample_weight)
        pairs = zip(after.module_.parameters(), clf.module_.parameters(), strict=True)
        return torch.cat([(w - before).flatten() for w, before in pairs]).norm().item()

    once = moved()
    assert moved(np.full(rare.sum(), 1e-3)) == pytest.approx(once / 1000, rel=0.1)
    assert moved(np.full(rare.sum(), 5.0)) == pytest.approx(5 * once, rel=0.1)
    assert moved(class_weight={k: 1 + 4 * (k == 1) for k in range(10)}) == pytest.approx(
        5 * once, rel=0.1
    )
    with pytest.raises(ValueError, match="'balanced' is not known in partial_fit"):
        moved(class_weight="balanced")


def test_balanced_classes_are_so_by_their_weight(rows):
    y = rows[1]
    weight = np.where(y < 5, 3.0, 1.0)
    copies = np.repeat(np.arange(len(y)), weight.astype(int))
    expected = compute_class_weight("balanced", classes=np.arange(10), y=y[copies])
    given = row_weights("balanced", y, np.arange(10), weight, mean_one=False)
    np.testing.assert_allclose(given, weight * expected[y], rtol=1e-6)
    # weights that balance already are left
    even = (1 / np.bincount(y))[y]
    given = row_weights("balanced", y, np.arange(10), even, mean_one=False)
    np.testing.assert_allclose(given / even, (given / even)[0], rtol=1e-6)


def test_negative_class_weights_are_refused(rows):
    X, y, *_ = rows
    with pytest.raises(ValueError, match="class_weight must not be negative"):
        small(class_weight={1: -1.0}).fit(X, y)
