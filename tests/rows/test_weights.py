"""Weights of rows and classes: their effect on a fit, and weights that are refused."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import compute_class_weight

from sklearn_thin import ExogenousEncoder
from sklearn_thin.rows.labels import row_weights
from tests.helpers import SMALL, assert_refused, nothing_changes, small


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
    X, y, z = rows
    weight = np.ones(200)
    weight[::3] = 0
    kept = weight > 0
    clf = small(ExogenousEncoder(SMALL, max_epochs=1), lam=0.01, early_stopping=early_stopping)
    weighted = clone(clf).fit(X, y, exogenous_target=z, sample_weight=weight)
    removed = clf.fit(X[kept], y[kept], exogenous_target=z[kept], sample_weight=np.ones(kept.sum()))
    np.testing.assert_array_equal(weighted.predict_proba(X), removed.predict_proba(X))


def test_the_scale_of_the_weights_does_not_matter(rows):
    X, y = rows[:2]
    weight = np.random.RandomState(0).rand(200)
    probas = [
        small(max_epochs=1).fit(X, y, sample_weight=weight * scale).predict_proba(X)
        for scale in (1, 1024)
    ]
    np.testing.assert_allclose(probas[0], probas[1], atol=1e-5)


def test_weights_that_are_all_one_change_nothing(rows):
    X, y = rows[:2]
    weighted = small().fit(X, y, sample_weight=np.ones(200))
    np.testing.assert_allclose(
        weighted.predict_proba(X), small().fit(X, y).predict_proba(X), atol=1e-5
    )


def test_partial_fit_takes_weights_as_they_are(rows):
    X, y, _ = rows
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
    X, y, _ = rows
    with pytest.raises(ValueError, match="class_weight must not be negative"):
        small(class_weight={1: -1.0}).fit(X, y)


BAD_WEIGHTS = {
    "all zero": (np.zeros(100), "at least one non-zero"),
    "negative": (np.linspace(-1, 1, 100), "[Nn]egative"),
    "wrong length": (np.ones(99), r"\(99,\), expected \(100,\)"),
    "NaN": (np.full(100, np.nan), "sample_weight contains NaN"),
    "beyond float64": ([10**400] * 100, "sample_weight must hold a finite number"),
    "text": (["heavy"] * 100, "sample_weight must hold a finite number"),
    "a name": ("balanced", "class_weight takes .balanced."),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_weights_that_mean_nothing_are_refused(name, fitted, few):
    weight, match = BAD_WEIGHTS[name]
    assert_refused(small(), ValueError, match, *few[:2], sample_weight=weight)
    with nothing_changes(fitted, few[0]), pytest.raises(ValueError, match=match):
        fitted.fit(*few[:2], sample_weight=weight)


def test_weights_that_leave_a_single_row_are_refused(few):
    weight = (np.arange(100) == 3).astype(float)
    assert_refused(small(), ValueError, r"\b(1|one)\b", *few[:2], sample_weight=weight)


def test_class_weights_that_leave_no_row_are_refused(few):
    X, y, _ = few
    clf = small(class_weight=dict.fromkeys(range(10), 0))
    assert_refused(clf, ValueError, "class_weight=.* leaves no row", X, y)


COMMON_FACTORS = [1 / 200, 1e-60, 1e-310, 1e300, 1e308]


@pytest.mark.parametrize("factor", COMMON_FACTORS)
@pytest.mark.parametrize("dispelling", ["cosine", "erasure", "alignment"])
def test_weights_of_any_common_factor_are_the_same_weights(dispelling, factor, rows, encoder):
    X, y, z = rows
    weight = 1 + np.random.RandomState(0).rand(200)
    clf = small(FrozenEstimator(encoder), dispelling=dispelling, class_weight={0: 2.0})
    # 1e308 * 2 overflows, so that the largest factor gets equal weights
    weight = weight / weight.max() if factor == 1e308 else weight
    labels = {"exogenous_target": z} if dispelling == "erasure" else {}
    hs = [
        clone(clf).fit(X, y, sample_weight=weight * scale, **labels).transform(X)
        for scale in (1.0, factor)
    ]
    np.testing.assert_allclose(hs[0], hs[1], atol=1e-4)


@pytest.mark.parametrize("factor", COMMON_FACTORS)
@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 3.0}, {1: 3e300, 0: 1e300}])
def test_factors_of_the_loss_are_finite_for_any_weights(class_weight, factor, rows):
    y = rows[1]
    weight = (0.25 + 0.75 * (y == 2)) * factor
    given = row_weights(class_weight, y, np.arange(10), weight)
    assert np.isfinite(given).all()
    assert given.mean() == pytest.approx(1, rel=1e-5)
    one = row_weights(class_weight, y, np.arange(10), weight / factor)
    np.testing.assert_allclose(given, one, rtol=1e-4)


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_partial_fit_refuses_weights_beyond_float32(factor, rows):
    X, y, _ = rows
    with pytest.raises(ValueError, match=r"within float32, got .*Scale sample_weight"):
        small().partial_fit(X, y, sample_weight=np.full(200, factor))


def test_the_maps_of_partial_fit_do_not_depend_on_a_factor_of_the_weights(rows, encoder):
    X, y, _ = rows
    maps = []
    for factor in (1.0, 1 / 200):
        clf = small(FrozenEstimator(encoder), dispelling="alignment", lr=1e-30)
        clf.partial_fit(X, y, sample_weight=np.full(200, factor))
        maps.append(clf.module_.eraser[0].maps)
    torch.testing.assert_close(*maps, atol=1e-4, rtol=1e-3)


BAD_CLASS_WEIGHTS = {"NaN": np.nan, "inf": np.inf, "text": "a", "None": None, "complex": 1j}
BAD_CLASS_WEIGHTS |= {"negative": -1, "beyond float64": 10**400}


@pytest.mark.parametrize("name", BAD_CLASS_WEIGHTS)
@pytest.mark.parametrize("kind", [small, lambda **params: ExogenousEncoder(SMALL, **params)])
def test_class_weights_that_are_no_weights_are_refused_by_name(kind, name, few):
    match = "class_weight must not be negative, and must hold finite numbers, got .* for class 1"
    assert_refused(
        kind(class_weight={0: 1, 1: BAD_CLASS_WEIGHTS[name]}), ValueError, match, *few[:2]
    )
