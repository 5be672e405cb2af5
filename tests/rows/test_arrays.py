"""Arrays, images and frames: how a fit reads them, and when it refuses them."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

from sklearn_thin import ConvNetBackbone, ExogenousEncoder
from tests.helpers import (
    HAS_CALLBACKS,
    METHODS,
    SMALL,
    assert_refused,
    nothing_changes,
    small,
    with_value,
)


def test_a_single_row_is_predicted_turned_around_too(thin, rows):
    X = rows[0].copy()
    for turned in (X[:1][::-1], X[:5][::-1][-1:]):
        np.testing.assert_array_equal(thin.predict_proba(turned), thin.predict_proba(X[:1]))


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


FLOATS = {  # made of images in [0, 1]; unlike uint8 after its division by 255
    "0 to 255": lambda x: np.round(255 * x),
    "-1 to 1": lambda x: 2 * x - 1,
    "standardised": lambda x: (x - x.mean()) / x.std(),
}


@pytest.mark.parametrize("scale", FLOATS)
@pytest.mark.parametrize("flat", [False, True], ids=["images", "flattened rows"])
def test_uint8_is_refused_by_a_fit_on_floats_of_another_scale(flat, scale, digits):
    images = digits.images[:60].reshape(60, -1) if flat else digits.images[:60]
    whole, y = np.round(255 * images).astype(np.uint8), digits.y[:60]
    backbone = {"backbone": ConvNetBackbone((4,), image_shape=(8, 8)), "max_epochs": 1}
    clf = small(**backbone).fit(FLOATS[scale](images), y)
    encoder = ExogenousEncoder(**backbone, random_state=0).fit(FLOATS[scale](images), y)
    around = small(FrozenEstimator(encoder), **backbone)
    for call in (clf.predict, clf.transform, encoder.predict, encoder.transform):
        with pytest.raises(ValueError, match=r"fitted on float.*uint8 alone is divided by 255"):
            call(whole)
    with pytest.raises(ValueError, match="uint8 alone is divided by 255"):
        around.fit(whole, y)


def test_a_model_of_an_older_version_reads_the_images_that_it_read(digits):
    clf = small(backbone="auto", max_epochs=1).fit(digits.images[:60], digits.y[:60])
    expected = clf.predict_proba(digits.images[:60])
    del vars(clf.input_)["unit"]
    old = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(old.predict_proba(digits.images[:60]), expected)
    assert old.predict(np.round(255 * digits.images[:60]).astype(np.uint8)).shape == (60,)


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8)])
def test_no_images_at_all_are_no_samples(shape):
    images, y = np.random.RandomState(0).uniform(size=(20, *shape)), np.arange(20) % 2
    clf = small(backbone="auto", max_epochs=1).fit(images, y)
    for call in (clf.predict, clf.transform, lambda X: clone(clf).fit(X, y[:0])):
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
            call(images[:0])


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


BAD_DATA = {
    "infinity": (lambda X, y: (with_value(X, np.inf), y), ValueError, "X contains infinity"),
    "sparse": (lambda X, y: (csr_array(X), y), TypeError, "[Ss]parse data was passed"),
    "empty": (lambda X, y: (X[:0], y[:0]), ValueError, r"0 sample\(s\)"),
    "no columns": (lambda X, y: (X[:, :0], y), ValueError, r"0 feature\(s\)"),
    "one row": (lambda X, y: (X[:1], y[:1]), ValueError, r"1 sample.* minimum of 2"),
    "one dimension": (lambda X, y: (X[:, 0], y), ValueError, "Expected 2D array, got 1D"),
    "five dimensions": (
        lambda X, y: (X.reshape(100, 2, 2, 4, 4), y),
        ValueError,
        r"must have shape .*got \(100, 2, 2, 4, 4\)",
    ),
    "one class": (lambda X, y: (X, y * 0), ValueError, r"at least two classes, got one.*\[0\]"),
    "a number to predict": (lambda X, y: (X, X[:, 20]), ValueError, "Unknown label type"),
    "NaN label": (lambda X, y: (X, np.where(y == 1, np.nan, y)), ValueError, "y .* are missing"),
    "no label": (
        lambda X, y: (X, np.where(y == 1, None, y.astype(str))),
        ValueError,
        "y must have a label for each row, but .* are missing",
    ),
    "infinite label": (lambda X, y: (X, np.where(y == 1, np.inf, y)), ValueError, "infinity"),
    "no labels": (lambda X, y: (X, None), ValueError, "requires y to be passed"),
    "short labels": (lambda X, y: (X, y[:99]), ValueError, "each of the 100 rows of X, got 99"),
    "long labels": (lambda X, y: (X[:99], y), ValueError, "each of the 99 rows of X, got 100"),
    "2-D labels": (lambda X, y: (X, np.column_stack([y, y])), ValueError, r"\(100, 2\)"),
}


@pytest.mark.parametrize("kind", [small, lambda: ExogenousEncoder(SMALL, max_epochs=1)])
@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_cannot_be_learnt_from_is_refused(name, kind, few):
    change, error, match = BAD_DATA[name]
    assert_refused(kind(), error, match, *change(*few[:2]))


@pytest.mark.parametrize("name", BAD_DATA)
def test_refused_data_leaves_a_fitted_classifier_as_it_was(name, fitted, few):
    change, error, match = BAD_DATA[name]
    with nothing_changes(fitted, few[0]), pytest.raises(error, match=match):
        fitted.fit(*change(*few[:2]))


@pytest.mark.parametrize("method", METHODS)
def test_other_columns_than_in_fit_are_refused(method, fitted, few):
    with pytest.raises(ValueError, match=r"X has 63 features.*expecting 64 features"):
        getattr(fitted, method)(few[0][:, 1:])


def test_prediction_refuses_infinite_values(fitted, few):
    with pytest.raises(ValueError, match="X contains infinity"):
        fitted.predict(with_value(few[0], np.inf))


def test_prediction_refuses_no_rows(fitted, few):
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        fitted.predict(few[0][:0])


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((7, 8), r"shape \(7, 8\).*fitted on samples of shape \(8, 8\)"),
        ((1, 8, 8), r"shape \(1, 8, 8\).*fitted on samples of shape \(8, 8\)"),
        ((64,), r"flattened .*shape \(64,\).*fitted on images of shape \(8, 8\)"),
    ],
)
def test_images_of_another_shape_than_in_fit_are_refused(shape, match, digits):
    clf = small(backbone="auto", max_epochs=1).fit(digits.images[:60], digits.y[:60])
    with pytest.raises(ValueError, match=match):
        clf.predict(np.zeros((3, *shape), np.float32))


@pytest.mark.parametrize("params", [{"exogenous": 2}, {"endogenous": StandardScaler()}])
@pytest.mark.parametrize(
    ("one", "match"),
    [
        (np.array([0.1, 0.2, 1.0]), r"Expected 2D array, got 1D.*\n.*\nReshape your data"),
        (pd.Series([0.1, 0.2, 1.0]), "Pass a DataFrame containing a single row"),
        ([0.1, 0.2, 1.0], "Expected 2D array, got 1D"),
        ([{"a": 0.1, "b": 0.2, "c": 1.0}], "Expected 2D array, got 1D"),
        (None, "Expected 2D array, got scalar"),
        ([], "Expected 2D array, got 1D"),
    ],
    ids=["array", "Series", "list", "dict", "none", "no rows"],
)
def test_a_row_in_one_dimension_is_refused_with_the_way_to_reshape_it(params, one, match):
    X = np.column_stack([np.random.RandomState(0).normal(size=(40, 2)), np.arange(40) % 3])
    clf = small(**params, max_epochs=1).fit(X, np.arange(40) % 2)
    with pytest.raises(ValueError, match=match):
        clf.predict(one)


def test_lazy_frames_are_refused_with_the_way_to_read_them(few):
    X, y, z = few
    names = [f"pixel{i}" for i in range(X.shape[1])]
    frame = pl.DataFrame(X, schema=names)
    match = r"LazyFrame, .* Pass \.collect\(\) of it"
    assert_refused(small(), TypeError, match, frame.lazy(), y)
    assert_refused(small("pixel3"), TypeError, match, frame.lazy(), y)
    lazy = pl.LazyFrame({"z": z})
    assert_refused(small("given"), TypeError, match, frame, y, exogenous_target=lazy)
    clf = small(max_epochs=1).fit(frame, y)
    with pytest.raises(TypeError, match=match):
        clf.predict(frame.lazy())


def test_images_are_refused_after_a_fit_on_rows(fitted, digits):
    with pytest.raises(ValueError, match=r"shape \(8, 8\).*fitted on samples of shape \(64,\)"):
        fitted.predict(digits.images)
