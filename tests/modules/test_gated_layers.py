"""Mixed maps, the modulation by the variable, and a whole network whose layers are gated."""

import pytest
import torch
from torch import nn

from sklearn_thin.modules import (
    MLP,
    ConvNet,
    ExpertEnsemble,
    GatedMLP,
    MixedLinear,
    Modulation,
    THINModule,
    TreeGate,
)


def gated_thin(depth=2, n_experts=None, gate_width=4, widths=(8, 6)):
    gate = TreeGate(gate_width, depth, n_experts)
    backbone = GatedMLP(5, widths, gate.n_experts, gate_width)
    experts = ExpertEnsemble(widths[-1], 3, gate.n_experts)
    module = THINModule(backbone, experts, gate, gates_layers=True)
    for modulation in backbone.modulations:
        nn.init.normal_(modulation.scale_and_shift.weight)
    return module


@pytest.mark.parametrize("n_experts", [1, 3, 8])
def test_a_mixed_map_is_the_weighed_sum_of_separate_maps(n_experts):
    layer = MixedLinear(5, 4, n_experts).double()
    x, g = torch.randn(7, 5).double(), torch.rand(7, n_experts).double().softmax(1)
    expected = sum(
        g[:, [e]] * (x @ layer.weight[:, e].T + layer.bias[:, e]) for e in range(n_experts)
    )
    torch.testing.assert_close(layer(x, g), expected)


def test_maps_start_as_linear_layers_do_and_differ():
    torch.manual_seed(0)
    layer = MixedLinear(100, 50, 4)
    assert layer.weight.abs().max() < 0.1 + 1e-6  # 1 / √in_features
    spread = nn.Linear(100, 50).weight.detach().std()
    assert layer.weight.detach().std().item() == pytest.approx(spread.item(), rel=0.05)
    assert not torch.equal(layer.weight[:, 0], layer.weight[:, 1])


def test_a_modulation_scales_and_shifts_each_row_by_its_variable():
    modulation = Modulation(2, 3)
    weight = torch.arange(12.0).view(6, 2)
    modulation.scale_and_shift.weight.data.copy_(weight)
    h = torch.tensor([[1.0, 2.0, 3.0]])
    level = torch.tensor([[0.0, 1.0]])  # column 1 of the weights: 1, 3, 5 and 7, 9, 11
    torch.testing.assert_close(modulation(h, level), torch.tensor([[9.0, 17.0, 29.0]]))


def test_one_map_without_a_variable_is_a_plain_network():
    torch.manual_seed(0)
    gated, plain = GatedMLP(5, (8, 6), 1, 4), MLP(5, (8, 6))
    linear = [layer for layer in plain if isinstance(layer, nn.Linear)]
    for mine, its in zip(gated.maps, linear, strict=True):
        its.weight.data.copy_(mine.weight[:, 0])
        its.bias.data.copy_(mine.bias[:, 0])
    x = torch.randn(10, 5)
    g = torch.ones(10, 1)
    torch.testing.assert_close(gated(x, g, torch.randn(10, 4)), plain(x))


def test_a_stem_gives_the_rows_that_the_gated_layers_read():
    stem = ConvNet(1)
    backbone = GatedMLP(784, (16,), 4, 3, stem=stem)
    out = backbone(torch.randn(5, 1, 28, 28), torch.rand(5, 4), torch.rand(5, 3))
    assert out.shape == (5, 16)


@pytest.mark.parametrize(("depth", "n_experts"), [(0, None), (2, None), (3, 5), (1, 3)])
def test_the_gate_mixes_the_layers_and_the_experts(depth, n_experts):
    module = gated_thin(depth, n_experts).eval()
    x, gate_input = torch.randn(6, 5), torch.rand(6, 4)
    g = module.gate(gate_input)
    h = module.backbone(x, g, gate_input)
    logits, representation = module(x, gate_input)
    torch.testing.assert_close(representation, h)
    torch.testing.assert_close(logits, torch.einsum("nl,nlk->nk", g, module.experts(h)))
    torch.testing.assert_close(module.represent(x, gate_input), h)


@pytest.mark.parametrize(("depth", "n_experts"), [(0, None), (2, None), (3, 5), (1, 3)])
def test_hard_logits_are_those_of_the_most_probable_leaf(depth, n_experts):
    module = gated_thin(depth, n_experts).eval()
    x, gate_input = torch.randn(20, 5), 3 * torch.randn(20, 4)
    leaf = module.gate.most_probable_leaf(gate_input)
    leaves = torch.eye(2**depth)[leaf]
    shared = module.gate.leaf_to_expert
    g = leaves if shared is None else leaves @ shared
    h = module.backbone(x, g, gate_input)
    expected = torch.einsum("nl,nlk->nk", g, module.experts(h))
    torch.testing.assert_close(module.hard_logits(x, gate_input), expected)


def test_every_weight_gets_a_gradient():
    module = gated_thin()
    module(torch.randn(20, 5), torch.randn(20, 4)).logits.square().sum().backward()
    for name, weight in module.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_rows_are_without_modulation_in_training_alone():
    torch.manual_seed(0)
    backbone = GatedMLP(5, (8,), 2, 4, modulation_dropout=0.5)
    nn.init.normal_(backbone.modulations[0].scale_and_shift.weight)
    x, g, level = torch.randn(200, 5), torch.rand(200, 2).softmax(1), torch.eye(4).repeat(50, 1)
    trained = backbone(x, g, level)
    backbone.modulation_dropout = 0.0
    modulated, common = backbone(x, g, level), backbone(x, g, torch.zeros(200, 4))
    is_modulated = (trained == modulated).all(1)
    assert 60 < is_modulated.sum() < 140
    torch.testing.assert_close(trained[~is_modulated], common[~is_modulated])
    plain = backbone.eval()(x, g, level)
    backbone.modulation_dropout = 0.5
    assert torch.equal(backbone(x, g, level), plain)
