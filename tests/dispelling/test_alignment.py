"""dispelling="alignment": means and covariances of the classes after a fit, and refusals."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.datasets import ImageAugmentation

SMALL = MLPBackbone((16,))


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:600], digits.y[:600], digits.z[:600]


@pytest.fixture(scope="module")
def encoder(rows):
    X, _, z = rows
    # the ink is a sum of raw pixels, of which a raw encoder is certain
    raw = {"preprocessor": None, "max_epochs": 20, "random_state": 0}
    return ExogenousEncoder(MLPBackbone((64, 64)), **raw).fit(X, z)


def aligning(exogenous, **params):
    params = {"backbone": SMALL, "max_epochs": 4, "random_state": 0, **params}
    return THINClassifier(exogenous, dispelling="alignment", **params)


def class_spread(h, z):
    """How far the class means lie apart, and the class covariances, in units of h's own."""
    h = (h - h.mean(0)) / h.std()
    means = np.array([h[z == k].mean(0) for k in np.unique(z)])
    covariances = np.array([np.cov(h[z == k].T) for k in np.unique(z)])
    return means.std(0).max(), covariances.std(0).max()


def test_classes_of_the_variable_have_one_mean_and_one_covariance(rows, encoder):
    X, y, _ = rows
    told = encoder.predict(X)  # so that the encoder's errors are none here
    clf = aligning(FrozenEstimator(encoder), endogenous=None, gating="head")
    plain = clone(clf).set_params(dispelling="cosine").fit(X, y)
    clf.fit(X, y)
    before, after = (class_spread(model.transform(X), told) for model in (plain, clf))
    assert after[0] < 0.3 * before[0]
    assert after[1] < 0.6 * before[1]


def test_readers_that_are_not_linear_find_less(rows, encoder):
    X, y, z = rows
    linear = aligning(FrozenEstimator(encoder)).set_params(dispelling="erasure")
    linear = linear.fit(X, y, exogenous_target=z)
    clf = aligning(FrozenEstimator(encoder)).fit(X, y)
    reader = QuadraticDiscriminantAnalysis(reg_param=0.1)
    scores = [reader.fit(m.transform(X), z).score(m.transform(X), z) for m in (linear, clf)]
    assert scores[1] < scores[0] - 0.05


def test_the_side_may_be_fitted_in_the_same_fit(rows):
    X, y, z = rows
    clf = aligning(ExogenousEncoder(SMALL, max_epochs=2)).fit(X, y, exogenous_target=z)
    assert clf.module_.eraser[0].maps.abs().sum() > 0


def test_a_transformer_needs_a_predictor_and_may_be_given_one(rows):
    X, y, z = rows
    with pytest.raises(ValueError, match="dispelling='alignment' needs a predictor"):
        aligning(PCA(8)).fit(X, y)
    clf = aligning(PCA(8), exogenous_predictor=LogisticRegression(max_iter=2000))
    clf.fit(X, y, exogenous_target=z)
    assert clf.transform(X).shape == (600, 16)


def test_without_an_exogenous_side_nothing_tells_the_class(rows):
    X, y, z = rows
    with pytest.raises(ValueError, match="dispelling='alignment' needs an exogenous side"):
        aligning(None).fit(X, y, exogenous_target=z)


def test_several_variables_are_aligned(rows):
    X, y, z = rows
    right = (X[:, 5:8].sum(1) > X[:, 1:4].sum(1)).astype(int)
    encoder = ExogenousEncoder(MLPBackbone((64, 64)))
    sides = [("ink", encoder), ("side", encoder)]
    clf = aligning(sides).set_params(ink__max_epochs=15, side__max_epochs=15)
    clf.fit(X, y, exogenous_target=np.column_stack([z, right]))
    plain = clone(clf).set_params(dispelling="cosine")
    plain.fit(X, y, exogenous_target=np.column_stack([z, right]))
    named = dict(clf.exogenous_)
    for name in ("ink", "side"):
        told = named[name].predict(X)
        before, after = (class_spread(model.transform(X), told) for model in (plain, clf))
        assert after[0] < 0.5 * before[0]


def test_early_stopping_and_weights(rows, encoder):
    X, y, _ = rows
    clf = aligning(FrozenEstimator(encoder), early_stopping=0.2, lam=0.0, max_epochs=6)
    clf.fit(X, y, sample_weight=np.arange(len(X)) % 3)
    assert np.isfinite(clf.predict_proba(X)).all()
    assert "valid_loss" in clf.history_[-1]


def test_partial_fit_goes_on_aligning(rows, encoder):
    X, y, _ = rows
    clf = aligning(FrozenEstimator(encoder))
    for _ in range(2):
        clf.partial_fit(X, y)
        assert clf.module_.eraser[0].maps.abs().sum() > 0


def test_augmented_images_are_aligned_by_what_is_said_of_them(digits):
    images, y, z = digits.X[:200].reshape(-1, 8, 8), digits.y[:200], digits.z[:200]
    small = ConvNetBackbone(channels=(4,), hidden_layer_sizes=(8,))
    side = ExogenousEncoder(ConvNetBackbone(channels=(4,)), max_epochs=1).fit(images, z)
    clf = aligning(
        FrozenEstimator(side), backbone=small, hidden_units=0, augment=ImageAugmentation(shift=0.1)
    )
    assert clf.fit(images, y).predict(images).shape == (200,)
