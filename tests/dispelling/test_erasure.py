"""dispelling="erasure": the labels that are erased, their traces after a fit, and refusals."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder
from skorch.callbacks import EarlyStopping

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from tests.helpers import RowsSeen, rows_seen

SMALL = MLPBackbone((32,))


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:400], digits.y[:400], digits.z[:400]


@pytest.fixture(scope="module")
def encoder(rows):
    X, _, z = rows
    return ExogenousEncoder(SMALL, max_epochs=5, random_state=0).fit(X, z)


def erasing(exogenous=None, **params):
    params = {"backbone": SMALL, "max_epochs": 3, "random_state": 0, **params}
    return THINClassifier(exogenous, dispelling="erasure", **params)


def covariance_with(z, h):
    """Largest covariance of a feature with a class, features scaled to variance 1 on average."""
    z = OneHotEncoder(sparse_output=False).fit_transform(np.reshape(z, (len(h), -1)))
    h = (h - h.mean(0)) / h.std()
    return np.abs(h.T @ (z - z.mean(0)) / len(h)).max()


def test_no_linear_trace_of_the_labels_is_left_in_the_training_rows(rows, encoder):
    X, y, z = rows
    plain = clone(erasing(FrozenEstimator(encoder))).set_params(dispelling="cosine").fit(X, y)
    clf = erasing(FrozenEstimator(encoder)).fit(X, y, exogenous_target=z)
    assert covariance_with(z, plain.transform(X)) > 0.05
    assert covariance_with(z, clf.transform(X)) < 1e-5
    probe = LogisticRegression(C=1e-2).fit(clf.transform(X), z)
    assert probe.score(clf.transform(X), z) < 0.4  # four classes of equal size


def test_without_labels_what_the_frozen_predictor_says_is_erased(rows, encoder):
    X, y, _ = rows
    clf = erasing(FrozenEstimator(encoder)).fit(X, y)
    said = encoder.predict_proba(X)
    h = clf.transform(X)
    h = (h - h.mean(0)) / h.std()
    assert np.abs(h.T @ (said - said.mean(0)) / len(h)).max() < 1e-5


def test_the_side_may_be_fitted_in_the_same_fit(rows):
    X, y, z = rows
    clf = erasing(ExogenousEncoder(SMALL, max_epochs=2)).fit(X, y, exogenous_target=z)
    assert covariance_with(z, clf.transform(X)) < 1e-5


def test_labels_are_erased_without_an_exogenous_side_or_beside_one_without_predictor(rows):
    X, y, z = rows
    for exogenous in (None, PCA(3)):
        clf = erasing(exogenous).fit(X, y, exogenous_target=z)
        assert covariance_with(z, clf.transform(X)) < 1e-5


@pytest.mark.parametrize("frame", [False, True], ids=["array", "frame"])
def test_several_variables_of_any_type_are_erased_at_once(rows, frame):
    X, y, z = rows
    right = X[:, 5:8].sum(1) > X[:, 1:4].sum(1)
    target = np.column_stack([np.array(list("abcd"))[z], right.astype(str)])
    passed = pd.DataFrame({"ink": target[:, 0], "side": right}) if frame else target
    sides = [("ink", ExogenousEncoder(SMALL)), ("side", ExogenousEncoder(SMALL))]
    clf = erasing(sides)
    clf.set_params(ink__max_epochs=1, side__max_epochs=1).fit(X, y, exogenous_target=passed)
    assert covariance_with(target[:, 0], clf.transform(X)) < 1e-5
    assert covariance_with(right, clf.transform(X)) < 1e-5


def test_experts_read_the_erased_representation(rows, encoder):
    X, y, z = rows
    clf = erasing(FrozenEstimator(encoder), gating="head").fit(X, y, exogenous_target=z)
    module = clf.module_.cpu()
    h = module.backbone(torch.from_numpy(clf.endogenous_.transform(X)))
    assert not np.allclose(h.detach().numpy(), clf.transform(X), atol=1e-3)
    logits = module.experts(module.eraser(h)).softmax(2).detach().numpy()
    np.testing.assert_allclose(logits, clf.expert_proba(X), rtol=1e-4, atol=1e-6)


def test_the_map_is_fitted_to_weighted_rows(rows):
    X, y, z = rows
    weight = np.where(z == 0, 5.0, 1.0)
    clf = erasing().fit(X, y, exogenous_target=z, sample_weight=weight)
    h, onehot = clf.transform(X), np.eye(4)[z]
    h = (h - np.average(h, axis=0, weights=weight)) / h.std()
    onehot = onehot - np.average(onehot, axis=0, weights=weight)
    assert np.abs((h.T * weight) @ onehot / weight.sum()).max() < 1e-5


def test_early_stopping_erases_in_the_weights_that_it_restores(rows):
    X, y, z = rows
    clf = erasing(early_stopping=0.25, n_iter_no_change=1, lr=0.05, max_epochs=10)
    clf.fit(X, y, exogenous_target=z)
    restored = clf.transform(X)
    assert covariance_with(z, restored) < 0.3 * covariance_with(
        z, clone(clf).set_params(dispelling="cosine").fit(X, y).transform(X)
    )


def test_partial_fit_goes_on_erasing(rows):
    X, y, z = rows
    clf = erasing()
    for _ in range(2):
        clf.partial_fit(X, y, exogenous_target=z)
        assert covariance_with(z, clf.transform(X)) < 1e-5


def test_a_call_of_partial_fit_whose_rows_are_of_one_class_keeps_the_map(rows):
    X, y, z = rows
    clf = erasing().partial_fit(X, y, exogenous_target=z)
    for exogenous_class in (0, 3):
        one = z == exogenous_class
        clf.partial_fit(X[one], y[one], exogenous_target=z[one])
    assert clf.n_iter_ == 3
    h = clf.module_.backbone(torch.tensor(X)).detach().numpy()
    assert covariance_with(z, clf.transform(X)) < 0.4 * covariance_with(z, h)


def test_partial_fit_refuses_exogenous_classes_that_were_not_there_before(rows):
    X, y, z = rows
    clf = erasing().partial_fit(X, y, exogenous_target=z)
    later = np.where(np.arange(len(z)) < 3, 7, z)
    with pytest.raises(ValueError, match=r"exogenous_target .*\[7\], in 3 rows; known are \[0, 1"):
        clf.partial_fit(X, y, exogenous_target=later)
    with pytest.raises(ValueError, match="labels of 2 variables, but had those of 1"):
        clf.partial_fit(X, y, exogenous_target=np.column_stack([z, z]))
    assert clf.n_iter_ == 1


def test_a_warm_start_knows_the_exogenous_classes_of_held_out_rows(rows):
    X, y, z = rows
    z = np.where(np.arange(len(z)) == 5, 7, z)
    params = {"early_stopping": 0.3, "max_epochs": 1, "random_state": 2}
    clf = erasing(warm_start=True, callbacks=[RowsSeen()], endogenous=None, **params)
    _, held_out = rows_seen(clf.fit(X, y, exogenous_target=z))
    assert (held_out == X[5]).all(1).any()  # the only row of its class
    assert clf.fit(X, y, exogenous_target=z).n_iter_ == 2


def test_a_fit_that_goes_on_must_erase_the_same(rows, encoder):
    X, y, z = rows
    clf = erasing(FrozenEstimator(encoder), warm_start=True).fit(X, y, exogenous_target=z)
    with pytest.raises(ValueError, match="exogenous_target is missing in a fit that goes on"):
        clf.fit(X, y)
    with pytest.raises(ValueError, match="dispelling was 'erasure' when the network was built"):
        clf.set_params(dispelling="cosine").fit(X, y, exogenous_target=z)


@pytest.mark.parametrize("exogenous", [None, PCA(3)], ids=["no side", "no predictor"])
def test_without_labels_or_predictor_there_is_nothing_to_erase(exogenous, rows):
    X, y, _ = rows
    clf = erasing(exogenous)
    with pytest.raises(ValueError, match="dispelling='erasure'"):
        clf.fit(X, y)
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_more_classes_than_h_endo_has_features_are_refused(rows):
    X, y, _ = rows
    many = np.arange(len(X)) % 33
    with pytest.raises(ValueError, match="take 32 directions out of h_endo, which has 32"):
        erasing().fit(X, y, exogenous_target=many)


def test_predictors_that_know_more_classes_than_h_endo_has_features_are_refused(rows):
    X, y, _ = rows
    many = np.arange(len(X)) % 33
    encoder = ExogenousEncoder(SMALL, max_epochs=1).fit(X, many)
    with pytest.raises(ValueError, match="take 32 directions out of h_endo, which has 32"):
        erasing(FrozenEstimator(encoder)).fit(X, y)


def test_labels_of_one_class_are_refused(rows):
    X, y, _ = rows
    with pytest.raises(ValueError, match="exogenous_target must have at least two classes"):
        erasing().fit(X, y, exogenous_target=np.zeros(len(X)))


def test_class_weights_are_none_of_the_map(rows, encoder):
    X, _, z = rows
    y = (z == 0) & (np.arange(len(z)) % 3 > 0)  # a class that the label tells much of
    clf = erasing(FrozenEstimator(encoder), class_weight={False: 1, True: 9})
    assert covariance_with(z, clf.fit(X, y, exogenous_target=z).transform(X)) < 1e-5


def test_a_row_of_weight_two_counts_twice_for_the_map(rows, encoder):
    X, y, z = rows
    weight = 1.0 + (np.arange(len(z)) % 5 == 0) * 4
    clf = erasing(FrozenEstimator(encoder)).fit(X, y, exogenous_target=z, sample_weight=weight)
    copies = np.repeat(np.arange(len(z)), weight.astype(int))
    assert covariance_with(z[copies], clf.transform(X[copies])) < 1e-5
    assert covariance_with(z, clf.transform(X)) > 1e-4


def test_the_map_is_of_the_weights_that_a_callback_restores(rows, encoder):
    X, y, z = rows
    # the held-out loss rises from the first epoch on, so that its weights are the best
    restoring = EarlyStopping(monitor="valid_loss", patience=2, load_best=True)
    clf = erasing(FrozenEstimator(encoder), max_epochs=6, lr=0.01, callbacks=[restoring])
    clf.fit(X, y, exogenous_target=z, X_val=X[:50], y_val=9 - y[:50])
    assert covariance_with(z, clf.transform(X)) < 1e-5
