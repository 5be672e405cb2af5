"""augment: images as both sides see them in training."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_thin import ConvNetBackbone
from sklearn_thin.datasets import ImageAugmentation
from tests.helpers import SMALL, CountingEncoder, assert_refused, small


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


def test_augment_is_refused_where_the_sides_see_different_rows(digits):
    clf = small(augment=abs, endogenous=StandardScaler())
    assert_refused(clf, ValueError, "augment .*endogenous=StandardScaler", digits.X, digits.y)


def test_augment_is_refused_on_tables(few):
    clf = small(augment=abs)
    assert_refused(clf, ValueError, r"augment takes images.*shape \(64,\).*image_shape", *few[:2])


def test_augment_is_refused_on_tables_before_an_encoder_is_trained(few):
    X, y, z = few
    CountingEncoder.fits.clear()
    clf = small(CountingEncoder(SMALL, max_epochs=1), augment=abs)
    assert_refused(clf, ValueError, "augment takes images", X, y, exogenous_target=z)
    assert CountingEncoder.fits == []


@pytest.mark.parametrize("params", [{"rotation": 500}, {"scale": (1.0, 0.5)}])
def test_an_augmentation_out_of_range_is_refused_before_an_encoder_is_trained(params, digits):
    X, y, z = digits.images[:100], digits.y[:100], digits.z[:100]
    CountingEncoder.fits.clear()
    augment = ImageAugmentation(**params)
    backbone = ConvNetBackbone(channels=(4,))
    clf = small(CountingEncoder(backbone), augment=augment, backbone=backbone)
    with pytest.raises(ValueError, match=next(iter(params))):
        clf.fit(X, y, exogenous_target=z)
    assert CountingEncoder.fits == []
