"""Backbones: their networks, and the ways to name, give or configure one."""

import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sklearn_thin import ConvNetBackbone, MLPBackbone, THINClassifier, TorchvisionBackbone
from sklearn_thin._backbones import build_backbone, module_input_shape
from sklearn_thin._compat import import_torchvision
from sklearn_thin.modules import MLP, ConvNet, ScalingLayer, TorchvisionFeatures, TreeGate


def part_of(module, kind):
    return next(part for part in module.modules() if isinstance(part, kind))


def small_classifier(in_features=48):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(in_features, 8), nn.ReLU(), nn.Linear(8, 5), nn.Dropout(0.1)
    )


# ------------------------------------------------------------------ modules


@pytest.mark.parametrize("widths", [(4,), (16, 8), (3, 5, 7)])
def test_mlp_gives_the_width_of_its_last_block(widths):
    assert MLP(6, widths)(torch.randn(4, 6)).shape == (4, widths[-1])


def test_mlp_blocks_are_linear_then_batch_norm_then_relu():
    kinds = [type(layer) for layer in MLP(6, (4, 3))]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU] * 2
    with_dropout = MLP(6, (4,), dropout=0.2)
    assert isinstance(with_dropout[-1], nn.Dropout)
    assert with_dropout[-1].p == 0.2


def test_a_scaling_layer_starts_as_the_rows_and_scales_each_column():
    layer, x = ScalingLayer(3, lr_factor=2.0), torch.randn(5, 3)
    assert torch.equal(layer(x), x)
    layer.weight.data.copy_(torch.tensor([0.0, 0.5, -0.5]))
    torch.testing.assert_close(layer(x), x * torch.tensor([1.0, 2.0, 0.0]))
    assert ScalingLayer(12)(torch.randn(5, 3, 2, 2)).shape == (5, 12)


@pytest.mark.parametrize("n_maps", [None, 1, 3])
@pytest.mark.parametrize("widths", [(), (16,)])
def test_scales_learn_which_columns_matter(n_maps, widths):
    """The class is the sign of one of forty columns."""
    X = np.random.RandomState(0).normal(size=(300, 40)).astype(np.float32)
    gates = {"gating": "layers", "n_experts": n_maps, "depth": 1} if n_maps else {}
    X[:, 1] = np.arange(300) % 2  # the exogenous column
    backbone = MLPBackbone(widths, scale_lr_factor=6.0)
    clf = THINClassifier(1, backbone=backbone, max_epochs=30, random_state=0, **gates)
    clf.fit(X, X[:, 0] > 0)
    scale = part_of(clf.module_, ScalingLayer).scale.detach().abs()
    assert scale.argmax() == 0
    assert scale[0] > 1.3 * scale[1:].mean()


def test_tables_with_gated_layers_get_scales_by_default():
    gated, _ = build_backbone("auto", (64,), (2, 3))
    assert part_of(gated, ScalingLayer).lr_factor == 6.0
    for given in ("auto", MLPBackbone()):
        with pytest.raises(StopIteration):
            part_of(build_backbone(given, (64,))[0], ScalingLayer)


@pytest.mark.parametrize(
    ("params", "width"),
    [
        ({}, 16 * 7 * 7),
        ({"channels": (8,)}, 8 * 14 * 14),
        ({"channels": (4, 6, 2)}, 2 * 3 * 3),
        ({"pool": 1}, 16 * 28 * 28),
        ({"pool": 3}, 16 * 3 * 3),
        ({"kernel_size": 5, "dropout": 0.5}, 16 * 7 * 7),
    ],
)
def test_convnet_shrinks_by_its_poolings_alone(params, width):
    assert ConvNet(1, **params)(torch.randn(3, 1, 28, 28)).shape == (3, width)


def test_convnet_takes_images_that_are_not_square():
    assert ConvNet(3, (4,))(torch.randn(2, 3, 10, 7)).shape == (2, 4 * 5 * 3)


def test_the_shared_hidden_layer_makes_the_baselines_network_of_one_experts_own():
    """One expert with 6 hidden units is as large as 6 units in front of a linear one."""
    images, y = np.random.RandomState(0).rand(30, 8, 8).astype(np.float32), np.arange(30) % 3
    sizes = [
        sum(
            w.numel() for w in THINClassifier(depth=0, **params).fit(images, y).module_.parameters()
        )
        for params in (
            {
                "backbone": ConvNetBackbone((4,), hidden_layer_sizes=()),
                "hidden_units": 6,
                "max_epochs": 1,
            },
            {"backbone": ConvNetBackbone((4,), hidden_layer_sizes=(6,)), "max_epochs": 1},
        )
    ]
    assert sizes[0] == sizes[1]


def test_dropout_of_a_convnet_with_linear_blocks_is_in_these_alone():
    module, _ = build_backbone(
        ConvNetBackbone((4,), hidden_layer_sizes=(6,), dropout=0.3), (1, 8, 8)
    )
    kinds = [type(layer) for layer in module.modules()]
    assert kinds.count(nn.Dropout) == 1
    assert kinds.index(nn.Dropout) > kinds.index(nn.Linear)


def test_torchvision_features_are_the_network_without_its_last_linear_layer():
    network = small_classifier().eval()
    expected = copy.deepcopy(network[:3])
    x = torch.randn(5, 3, 4, 4)
    torch.testing.assert_close(TorchvisionFeatures(network).eval()(x), expected(x))


def test_torchvision_features_repeat_a_gray_image_in_every_channel():
    features = TorchvisionFeatures(small_classifier()).eval()
    gray = torch.rand(5, 1, 4, 4)
    torch.testing.assert_close(features(gray), features(gray.repeat(1, 3, 1, 1)))


def test_torchvision_features_normalise_as_imagenet_on_demand():
    network = small_classifier()
    plain = TorchvisionFeatures(copy.deepcopy(network)).eval()
    normalising = TorchvisionFeatures(network, normalize=True).eval()
    x = torch.rand(5, 3, 4, 4)
    by_hand = x.clone()
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        by_hand[:, channel] = (x[:, channel] - mean) / std
    torch.testing.assert_close(normalising(x), plain(by_hand))


# ------------------------------------------------------------------ names


def test_auto_is_an_mlp_for_rows_and_a_convnet_for_images():
    module, width = build_backbone("auto", (64,))
    assert part_of(module, MLP)
    assert width == 256
    module, width = build_backbone("auto", (1, 28, 28))
    assert part_of(module, ConvNet)
    assert width == 256


def test_the_papers_convnet_has_no_hidden_layer():
    module, width = build_backbone(ConvNetBackbone(hidden_layer_sizes=()), (1, 28, 28))
    assert not any(isinstance(part, nn.Linear) for part in module.modules())
    assert width == 784


def test_an_unknown_name_is_answered_with_a_close_one():
    with pytest.raises(ValueError, match=r"'resnet1' is not known. Did you mean .*'resnet18'"):
        build_backbone("resnet1", (3, 32, 32))
    with pytest.raises(ValueError, match="Did you mean 'auto'"):
        build_backbone("aut", (64,))


def test_a_name_like_no_other_is_answered_with_what_would_do():
    with pytest.raises(ValueError, match=r"'qqqq' is not known. It must be 'auto'"):
        build_backbone("qqqq", (64,))


@pytest.mark.parametrize("channels", [1, 3], ids=["gray", "rgb"])
def test_a_torchvision_name_gives_its_last_hidden_layer(channels):
    module, width = build_backbone("resnet18", (channels, 32, 32))
    assert width == 512
    assert module.eval()(torch.rand(2, channels, 32, 32)).shape == (2, 512)


def test_torchvision_weights_are_read_from_a_file(tmp_path):
    torch.manual_seed(0)
    network = import_torchvision().models.get_model("resnet18")
    file = tmp_path / "weights.pt"
    torch.save(network.state_dict(), file)
    module, _ = build_backbone(TorchvisionBackbone("resnet18", weights=str(file)), (3, 32, 32))
    x = torch.rand(2, 3, 32, 32)
    expected = TorchvisionFeatures(network, normalize=True).eval()(x)
    torch.testing.assert_close(module.eval()(x), expected)


@pytest.mark.parametrize("kind", [str, Path])
def test_torchvision_weights_that_are_not_there_are_named(kind, tmp_path):
    missing = kind(tmp_path / "missing.pt")
    with pytest.raises((ValueError, FileNotFoundError), match=r"missing\.pt"):
        build_backbone(TorchvisionBackbone("resnet18", weights=missing), (3, 32, 32))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no weights", b"\x80\x02h\xff.", b"\x80\x02.", b"\x80\x02X\1\0\0\0\xff."),
        pickle.dumps(print, protocol=2),
        *({"other.weight": torch.zeros(2)}, {1: torch.zeros(2)}, [1, 2]),
    ],
    ids=[
        *("empty", "text", "key", "index", "encoding", "function"),
        *("dict", "numbered", "list"),
    ],
)
def test_a_file_without_the_weights_is_named(content, tmp_path):
    file = tmp_path / "weights.pt"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(ValueError, match=r"weights\.pt' does not hold a state dict.*ResNet"):
        build_backbone(TorchvisionBackbone("resnet18", weights=file), (3, 32, 32))


@pytest.mark.parametrize("name", ["squeezenet1_0", "vit_b_16"])
def test_a_torchvision_network_that_cannot_serve_says_why(name):
    with pytest.raises(ValueError, match=r"no torch.nn.Linear|does not take inputs"):
        build_backbone(name, (3, 64, 64))


def test_torchvision_needs_images():
    with pytest.raises(ValueError, match="TorchvisionBackbone needs images"):
        build_backbone("resnet18", (64,))


# ------------------------------------------------------------------ specifications


@pytest.mark.parametrize(
    ("backbone", "shape", "width"),
    [
        (MLPBackbone(hidden_layer_sizes=(32, 8)), (10,), 8),
        (MLPBackbone(hidden_layer_sizes=[4]), (3, 5, 5), 4),
        (ConvNetBackbone(channels=[4], hidden_layer_sizes=[]), (2, 6, 6), 36),
        (ConvNetBackbone(channels=(4, 4), pool=1, hidden_layer_sizes=()), (1, 2, 2), 16),
        (ConvNetBackbone(channels=(4,), pool=3, hidden_layer_sizes=(9, 5)), (2, 7, 8), 5),
    ],
)
def test_a_specification_builds_its_network_for_the_shape_of_the_data(backbone, shape, width):
    module, reported = build_backbone(backbone, shape)
    assert reported == width
    assert module.eval()(torch.rand(3, *shape)).shape == (3, width)


def test_dropout_of_a_specification_reaches_the_network():
    for backbone, shape in [
        (MLPBackbone(dropout=0.3), (8,)),
        (ConvNetBackbone(dropout=0.3), (1, 8, 8)),
    ]:
        module, _ = build_backbone(backbone, shape)
        assert part_of(module, nn.Dropout).p == 0.3


@pytest.mark.parametrize("name", ["dropout", "modulation_dropout"])
@pytest.mark.parametrize("gated", [None, (2, 3)])
def test_a_dropout_that_is_no_probability_is_refused_by_name(name, gated):
    match = rf"^The '{name}' parameter of MLPBackbone must be .* Got 1\.0"
    with pytest.raises(ValueError, match=match):
        build_backbone(MLPBackbone((8,), **{name: 1.0}), (4,), gated)


@pytest.mark.parametrize("factor", [-1.0, np.inf, "6", None])
def test_a_rate_of_scales_that_is_no_multiple_is_refused_by_name(factor):
    match = r"^The 'scale_lr_factor' parameter of MLPBackbone must be a float in the range \[0"
    with pytest.raises(ValueError, match=match):
        build_backbone(MLPBackbone((8,), scale_lr_factor=factor), (4,))


@pytest.mark.parametrize("backbone", [MLPBackbone((8, 8)), ConvNetBackbone((2,))])
def test_more_maps_than_memory_holds_name_the_experts(backbone):
    shape = (4,) if isinstance(backbone, MLPBackbone) else (1, 8, 8)
    with pytest.raises(ValueError, match=rf"and n_experts={10**13} make"):
        build_backbone(backbone, shape, (10**13, 3))


def test_images_too_small_for_the_poolings_are_refused_with_a_way_out():
    message = r"\(1, 3, 8\) are too small for 2 poolings of 2: at least 4 pixels .*pool=1"
    with pytest.raises(ValueError, match=message):
        build_backbone(ConvNetBackbone(), (1, 3, 8))


def test_a_convnet_for_rows_asks_for_an_image_shape():
    with pytest.raises(ValueError, match=r"ConvNetBackbone needs images.*\(64,\).*image_shape"):
        build_backbone(ConvNetBackbone(), (64,))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("backbone", ["auto", ConvNetBackbone(), TorchvisionBackbone("resnet18")])
def test_images_with_channels_last_are_refused_with_both_ways_out(backbone, channels):
    match = rf"\(16, 16, {channels}\) looks like .*channels\).*np.moveaxis.*image_shape=\(16, 16, "
    with pytest.raises(ValueError, match=match):
        build_backbone(backbone, (16, 16, channels))


@pytest.mark.parametrize(
    ("shape", "image_shape"), [((3, 16, 4), None), ((16, 16, 4), (16, 16, 4))], ids=str
)
def test_narrow_images_are_read_where_it_is_plain_which_axis_the_channels_are(shape, image_shape):
    module, _ = build_backbone(ConvNetBackbone(image_shape=image_shape), shape)
    assert part_of(module, nn.Conv2d).in_channels == shape[0]


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        (MLPBackbone(hidden_layer_sizes=5), "hidden_layer_sizes"),
        (MLPBackbone(hidden_layer_sizes=(8, 0)), "hidden_layer_sizes"),
        (ConvNetBackbone(channels=(8, 2.5)), "channels"),
        (ConvNetBackbone(hidden_layer_sizes=(0,)), "hidden_layer_sizes"),
        (ConvNetBackbone(hidden_layer_sizes=7), "hidden_layer_sizes"),
    ],
)
def test_widths_that_are_no_positive_ints_are_named(backbone, name):
    with pytest.raises(ValueError, match=f"{name} of .* must be a sequence of positive ints"):
        build_backbone(backbone, (1, 8, 8))


@pytest.mark.parametrize("name", ["kernel_size", "pool"])
@pytest.mark.parametrize("value", [0, -1, 2.5, None])
def test_sides_of_filters_and_windows_are_positive_ints(name, value):
    with pytest.raises(ValueError, match=f"{name} of ConvNetBackbone must be a positive int"):
        build_backbone(ConvNetBackbone(**{name: value}), (1, 8, 8))


@pytest.mark.parametrize(
    ("image_shape", "sample_shape", "expected"),
    [
        (None, (64,), (64,)),
        (None, (8, 8), (1, 8, 8)),
        (None, (3, 8, 8), (3, 8, 8)),
        ((8, 8), (64,), (1, 8, 8)),
        ((2, 4, 8), (64,), (2, 4, 8)),
        ([4, 16], (8, 8), (1, 4, 16)),
    ],
)
def test_samples_are_folded_into_the_image_shape(image_shape, sample_shape, expected):
    backbone = ConvNetBackbone(image_shape=image_shape)
    assert module_input_shape(backbone, sample_shape) == expected


def test_an_image_shape_of_another_size_says_both_sizes():
    backbone = ConvNetBackbone(image_shape=(8, 9))
    with pytest.raises(ValueError, match=r"image_shape=\(8, 9\) .*holds 72 .*has 64"):
        module_input_shape(backbone, (64,))


@pytest.mark.parametrize("image_shape", [36, (36,), (6.0, 6.0), (1, 1, 6, 6), "6x6"])
@pytest.mark.parametrize("kind", [ConvNetBackbone, TorchvisionBackbone])
def test_an_image_shape_that_is_none_says_what_it_should_be(kind, image_shape):
    match = rf"image_shape of {kind.__name__} must be \(height, width\) or .*got "
    with pytest.raises(ValueError, match=match + re.escape(repr(image_shape))):
        module_input_shape(kind(image_shape=image_shape), (36,))


@pytest.mark.parametrize("backbone", ["auto", nn.Linear(64, 3), MLPBackbone()])
def test_backbones_without_an_image_shape_see_the_shape_of_the_data(backbone):
    assert module_input_shape(backbone, (64,)) == (64,)


@pytest.mark.parametrize(
    "backbone",
    [
        MLPBackbone((8, 4), 0.1, 0.5),
        ConvNetBackbone((4,), 5, 3, 0.1, (8, 8)),
        TorchvisionBackbone("vgg16", "file.pt", (3, 8, 8)),
    ],
)
def test_specifications_are_cloned_and_tuned_like_estimators(backbone):
    params = backbone.get_params()
    assert clone(backbone) is not backbone
    assert clone(backbone).get_params() == params
    assert type(backbone)().set_params(**params).get_params() == params
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        backbone.set_params(nonsense=1)


def test_a_specification_prints_what_was_set():
    assert repr(ConvNetBackbone(channels=(32, 64))) == "ConvNetBackbone(channels=(32, 64))"


# ------------------------------------------------------------------ modules and factories


def test_a_given_module_is_copied_and_left_as_it_was():
    given = MLP(6, (4,)).train()
    before = copy.deepcopy(given.state_dict())
    module, width = build_backbone(given, (6,))
    assert width == 4
    assert {id(p) for p in module.parameters()}.isdisjoint(id(p) for p in given.parameters())
    module.train()(torch.randn(5, 6)).sum().backward()
    assert given.training
    assert all(p.grad is None for p in given.parameters())
    for name, tensor in given.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_building_moves_no_batch_norm_statistics():
    module, _ = build_backbone(MLP(6, (4,)), (6,))
    assert torch.equal(part_of(module, nn.BatchNorm1d).running_mean, torch.zeros(4))


def test_outputs_of_a_module_are_flattened():
    module, width = build_backbone(nn.Conv2d(1, 3, 3), (1, 6, 5))
    assert width == 3 * 4 * 3
    assert module(torch.rand(2, 1, 6, 5)).shape == (2, width)


def test_lazy_layers_take_their_width_from_the_data():
    given = nn.Sequential(nn.LazyLinear(5), nn.ReLU())
    module, width = build_backbone(given, (9,))
    assert width == 5
    assert module(torch.randn(2, 9)).shape == (2, 5)
    assert isinstance(given[0], nn.LazyLinear)


def test_a_factory_is_called_with_the_shape_of_one_input():
    module, width = build_backbone(lambda shape: nn.Linear(shape[0], 7), (9,))
    assert width == 7
    assert module(torch.randn(2, 9)).shape == (2, 7)


def test_a_factory_that_makes_no_module_is_named():
    def factory(shape):
        return "a module"

    with pytest.raises(TypeError, match=r"must give a torch.nn.Module .*got str from .*factory"):
        build_backbone(factory, (9,))


def test_a_module_that_gives_no_tensor_is_refused():
    with pytest.raises(ValueError, match=r"does not take inputs of shape \(9,\)"):
        build_backbone(nn.LSTM(9, 3, batch_first=True), (9,))


def test_the_class_of_a_backbone_is_no_backbone():
    with pytest.raises(TypeError, match=r"such as MLPBackbone\(\), not its class"):
        build_backbone(MLPBackbone, (9,))


def test_a_module_of_another_input_shape_says_the_shape_of_the_data():
    with pytest.raises(ValueError, match=r"does not take inputs of shape \(9,\)"):
        build_backbone(nn.Linear(10, 3), (9,))
    with pytest.raises(ValueError, match=r"does not take inputs of shape \(64,\)"):
        build_backbone(nn.Conv2d(1, 3, 3), (64,))


def test_a_backbone_without_layers_gives_the_experts_the_input():
    module, width = build_backbone(MLPBackbone(hidden_layer_sizes=()), (5,))
    x = torch.randn(4, 5)
    assert width == 5
    torch.testing.assert_close(module(x), x)


@pytest.mark.parametrize(
    ("backbone", "shape", "width"),
    [
        (MLPBackbone((8, 6)), (5,), 6),
        (MLPBackbone(()), (5,), 5),
        (MLPBackbone((8,)), (1, 4, 4), 8),
        (ConvNetBackbone((4,), hidden_layer_sizes=(7,)), (1, 8, 8), 7),
        (ConvNetBackbone((4,), hidden_layer_sizes=()), (1, 8, 8), 64),
    ],
)
def test_a_gated_backbone_has_the_width_of_the_plain_one(backbone, shape, width):
    gate = TreeGate(3, 2)
    module, found = build_backbone(backbone, shape, (gate.n_experts, 3))
    z = torch.rand(4, 3)
    assert module(torch.randn(4, *shape), gate(z), z).shape == (4, width)
    assert found == width == build_backbone(backbone, shape)[1]


@pytest.mark.parametrize("backbone", [nn.Linear(5, 4), "resnet18", lambda shape: nn.Flatten()])
def test_a_backbone_without_gated_layers_is_answered_with_what_it_must_offer(backbone):
    with pytest.raises(ValueError, match=r"build_gated\(input_shape, n_experts, gate_features\)"):
        build_backbone(backbone, (5,), (4, 3))
