"""Absurd pixels of float images: clipped, while all other values keep their bits."""

import numpy as np
import pytest

from sklearn_thin import ConvNetBackbone, ExogenousEncoder
from sklearn_thin.rows.images import usual_range, within
from tests.helpers import small

NETWORK = {"backbone": ConvNetBackbone((4,)), "max_epochs": 8, "lr": 1e-2}


def with_hot_pixel(images, value):
    """A copy with this value in one pixel of one image."""
    images = images.copy()
    images[7, 4, 4] = value
    return images


@pytest.mark.parametrize("value", [1e6, -1e6, 3e38])
def test_a_hot_pixel_does_not_spoil_a_fit(value, digits):
    images, y = digits.images[:400], digits.y[:400]
    hot, clean = with_hot_pixel(images, value), np.arange(400) != 7
    expected = small(**NETWORK).fit(images, y).score(images[clean], y[clean])
    for kind in (small(**NETWORK), ExogenousEncoder(**NETWORK, random_state=0)):
        assert kind.fit(hot, y).score(images[clean], y[clean]) > expected - 0.03
        assert np.isfinite(kind.predict_proba(hot)).all()


def test_flattened_rows_of_images_are_clipped_too(digits):
    hot = with_hot_pixel(digits.images[:400], 1e6).reshape(400, -1)
    clf = small(**{**NETWORK, "backbone": ConvNetBackbone((4,), image_shape=(8, 8))})
    assert clf.fit(hot, digits.y[:400]).score(digits.X[:400], digits.y[:400]) > 0.7
    assert clf.endogenous_ is None


def test_values_of_the_usual_range_keep_their_bits(digits):
    images = digits.images[:100]
    bounds = usual_range(images)
    assert within(images, bounds) is images
    hot = with_hot_pixel(images, 1e6)
    assert usual_range(hot) == bounds
    clipped = within(hot, bounds)
    np.testing.assert_array_equal(clipped[hot < 2], hot[hot < 2])
    assert clipped[7, 4, 4] == pytest.approx(11)  # ten ranges above 0 to 1


def test_a_fit_without_absurd_values_is_that_on_raw_images(digits):
    images, y = digits.images[:100], digits.y[:100]
    auto, raw = (small(**NETWORK, endogenous=e).fit(images, y) for e in ("auto", None))
    np.testing.assert_array_equal(auto.predict_proba(images), raw.predict_proba(images))
    assert raw.image_range_ is None


@pytest.mark.parametrize("case", ["uint8", "blank", "rare bright pixels"])
def test_ordinary_images_are_not_clipped(case):
    images = np.zeros((50, 8, 8), np.float32)
    if case == "uint8":
        images = images.astype(np.uint8)
        images[0] = 255
    if case == "rare bright pixels":
        images[np.arange(50), np.arange(50) % 8, 3] = np.linspace(500, 1000, 50)
    assert within(images, usual_range(images)) is images


def test_the_range_is_that_of_the_training_images(digits):
    images, y = digits.images[:100], digits.y[:100]
    clf = small(**NETWORK).fit(images, y, X_val=1000 * images, y_val=y)
    assert clf.image_range_ == pytest.approx((-10, 11), abs=0.5)
