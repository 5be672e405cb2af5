"""Backbones: modules, factories and their parameters, and backbones that are refused."""

import pickle

import pytest
from torch import nn

from sklearn_thin import ConvNetBackbone, MLPBackbone
from sklearn_thin._compat import import_torchvision
from tests.helpers import assert_refused, small


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
    assert clf.transform(X).shape == (200, 16)
    assert pickle.dumps({k: v.numpy() for k, v in module.state_dict().items()}) == before
    assert module.training
    assert clf.backbone is backbone


@pytest.mark.parametrize("name", ["resnet81", "rasnet18"])
def test_an_unknown_backbone_gets_a_hint(name, digits):
    try:
        import_torchvision()
    except ImportError:
        pytest.skip("needs torchvision")
    match = rf"backbone='{name}' is not known. Did you mean '.*resnet18'"
    assert_refused(small(backbone=name), ValueError, match, digits.images[:50], digits.y[:50])


BAD_BACKBONES = [
    (ConvNetBackbone(), ValueError, r"ConvNetBackbone needs images.*image_shape="),
    (ConvNetBackbone(image_shape=(9, 9)), ValueError, r"image_shape=\(9, 9\).* 81 .*64"),
    (ConvNetBackbone((4,) * 4, image_shape=(8, 8)), ValueError, "at least 16 pixels"),
    (ConvNetBackbone((), image_shape=(8, 8)), ValueError, "channels .*positive ints, got"),
    (MLPBackbone((8, 0)), ValueError, r"hidden_layer_sizes .*positive ints, got \(8, 0\)"),
    (nn.Linear(63, 8), ValueError, r"does not take inputs of shape \(64,\)"),
    (lambda shape: "no module", TypeError, "must give a torch.nn.Module.* got str"),
]


@pytest.mark.parametrize(("backbone", "error", "match"), BAD_BACKBONES)
def test_a_backbone_that_does_not_fit_the_data_is_refused(backbone, error, match, few):
    assert_refused(small(backbone=backbone), error, match, *few[:2])
