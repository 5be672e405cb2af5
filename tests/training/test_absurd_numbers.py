"""Numbers that are finite and absurd are refused by name, before long work."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone
from sklearn_thin.datasets import ImageAugmentation
from sklearn_thin.dispelling import Alignment
from sklearn_thin.model_selection import SeedEnsembleClassifier
from tests.helpers import SMALL, assert_refused, small

HUGE = 10**400  # beyond float64
BEYOND = 2**63  # beyond torch's ints
MUCH = 10**13  # beyond any memory

ABSURD = {
    "n_experts": [MUCH, BEYOND, HUGE],
    "hidden_units": [MUCH, BEYOND, HUGE],
    "lr": [HUGE, 1e39],
    "lam": [HUGE, 1e39],
    "weight_decay": [HUGE, 1e39],
    "batch_size": [HUGE],
    "max_epochs": [HUGE],
    "n_iter_no_change": [HUGE],
    "early_stopping": [HUGE, BEYOND],
    "depth": [HUGE],
    "random_state": [HUGE],
    "device": ["meta", torch.device("meta"), "cuda:99", "cpu:x"],
}
CASES = [(name, value) for name, values in ABSURD.items() for value in values]


def numbered(cases):
    """Short names of the cases, as some values have 400 digits."""
    return [f"{name}-{i}" for i, (name, _) in enumerate(cases)]


@pytest.mark.parametrize(("name", "value"), CASES, ids=numbered(CASES))
def test_an_absurd_number_is_refused_by_name(name, value, few):
    clf = small(ExogenousEncoder(SMALL, max_epochs=10**9), **{name: value})
    assert_refused(clf, (ValueError, TypeError), name, *few[:2], exogenous_target=few[2])


ENCODERS = [case for case in CASES if case[0] not in ("n_experts", "lam", "depth")]


@pytest.mark.parametrize(("name", "value"), ENCODERS, ids=numbered(ENCODERS))
def test_an_encoder_refuses_absurd_numbers_too(name, value, few):
    encoder = ExogenousEncoder(SMALL).set_params(**{name: value})
    assert_refused(encoder, (ValueError, TypeError), name, *few[:2])


BACKBONES = {
    "hidden_layer_sizes": [MLPBackbone((n,)) for n in (MUCH, BEYOND, HUGE)]
    + [MLPBackbone((10**6, 10**6)), ConvNetBackbone(hidden_layer_sizes=(MUCH,))],
    "dropout": [MLPBackbone((8,), p) for p in (HUGE, 1.0, -1, np.nan, "a")]
    + [ConvNetBackbone(dropout=1.5)],
    "scale_lr_factor": [MLPBackbone((8,), scale_lr_factor=f) for f in (HUGE, 1e39, 1e30)],
    "channels": [ConvNetBackbone((n,)) for n in (MUCH, BEYOND, HUGE)],
    "kernel_size": [ConvNetBackbone(kernel_size=n) for n in (10**6, BEYOND, HUGE)],
    "pool": [ConvNetBackbone(pool=n) for n in (BEYOND, HUGE)],
    "image_shape": [ConvNetBackbone(image_shape=(n, 8)) for n in (2**62, BEYOND, HUGE)],
}
BACKBONE_CASES = [(name, backbone) for name, some in BACKBONES.items() for backbone in some]


@pytest.mark.parametrize(("name", "backbone"), BACKBONE_CASES, ids=numbered(BACKBONE_CASES))
def test_an_absurd_backbone_is_refused_by_name_before_an_encoder_is_trained(name, backbone, digits):
    clf = small(ExogenousEncoder(SMALL, max_epochs=10**9), backbone=backbone)
    X = digits.images[:100]
    assert_refused(
        clf, ValueError, f"{name}|pooling", X, digits.y[:100], exogenous_target=digits.z[:100]
    )


@pytest.mark.parametrize("rank", [0, -1, 1.5, "a"])
def test_a_wrong_rank_is_refused_before_an_encoder_is_trained(rank, few):
    clf = small(ExogenousEncoder(SMALL, max_epochs=10**9), dispelling=Alignment(rank))
    assert_refused(clf, ValueError, "rank of Alignment", *few[:2], exogenous_target=few[2])


def test_a_rank_beyond_the_width_is_the_width(rows, encoder):
    clf = small(encoder, dispelling=Alignment(HUGE), max_epochs=1)
    clf.fit(rows[0], rows[1], exogenous_target=rows[2])
    assert clf.module_.eraser[0].basis.shape == (16, 16)


@pytest.mark.parametrize("name", ["rotation", "shift", "brightness", "contrast"])
def test_absurd_augmentation_is_refused_by_name(name, digits):
    clf = small(backbone="auto", augment=ImageAugmentation(**{name: HUGE}))
    assert_refused(clf, ValueError, name, digits.images[:100], digits.y[:100])


@pytest.mark.parametrize("scale", [(HUGE, HUGE), (1, np.nan), (1, np.inf)])
def test_absurd_scales_of_augmentation_are_refused_by_name(scale, digits):
    clf = small(backbone="auto", augment=ImageAugmentation(scale=scale))
    assert_refused(clf, ValueError, "scale", digits.images[:100], digits.y[:100])


@pytest.mark.parametrize("n_seeds", [10**9, HUGE])
def test_an_absurd_number_of_seeds_is_refused_by_name(n_seeds, few):
    with pytest.raises(ValueError, match="n_seeds"):
        SeedEnsembleClassifier(small(), n_seeds).fit(*few[:2])


def test_sizes_are_refused_before_another_predictor_is_fitted(few):
    fits = []

    class Counts(PCA):
        def fit(self, X, y=None):
            fits.append(len(X))
            return super().fit(X, y)

    clf = small(Counts(2), n_experts=MUCH)
    assert_refused(clf, ValueError, "n_experts", *few[:2])
    assert not fits


def test_weights_of_optimizers_that_diverge_name_the_rates(few):
    with pytest.raises(FloatingPointError, match=r"lower lr .*lam or weight_decay"):
        small(optimizer="sgd", weight_decay=1e38).fit(*few[:2])
