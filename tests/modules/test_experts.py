"""Packed experts compute what separate networks with the same weights compute."""

import pytest
import torch
from torch import nn

from sklearn_thin.modules import ExpertEnsemble


def separate_networks(packed):
    """One `nn.Sequential` an expert, with the weights and statistics of the packed ones."""
    return [_separate(packed, expert) for expert in range(packed.n_experts)]


@torch.no_grad()
def _separate(packed, expert):
    last = nn.Linear(packed.hidden_units or packed.in_features, packed.n_outputs)
    last.weight.copy_(packed.weight[expert])
    last.bias.copy_(packed.bias[expert])
    if not packed.hidden_units:
        return last
    first = nn.Linear(packed.in_features, packed.hidden_units)
    first.weight.copy_(packed.hidden_weight[expert])
    first.bias.copy_(packed.hidden_bias[expert])
    norm = nn.BatchNorm1d(packed.hidden_units)
    own = slice(expert * packed.hidden_units, (expert + 1) * packed.hidden_units)
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, name).copy_(getattr(packed.norm, name)[own])
    return nn.Sequential(first, norm, nn.ReLU(), last)


def random_ensemble(hidden_units, n_experts=5):
    torch.manual_seed(0)
    packed = ExpertEnsemble(7, 3, n_experts, hidden_units).double()
    if hidden_units:
        for tensor in (packed.norm.weight, packed.norm.bias, packed.norm.running_mean):
            nn.init.normal_(tensor)
        nn.init.uniform_(packed.norm.running_var, 0.5, 2)
    return packed, torch.randn(6, 7, dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("hidden_units", [0, 1, 4])
@pytest.mark.parametrize("n_experts", [1, 5])
def test_packed_experts_equal_separate_networks(hidden_units, n_experts, training):
    packed, h = random_ensemble(hidden_units, n_experts)
    packed.train(training)
    networks = [network.double().train(training) for network in separate_networks(packed)]
    expected = torch.stack([network(h) for network in networks], dim=1)
    torch.testing.assert_close(packed(h), expected)


def test_training_moves_the_statistics_of_each_expert_as_if_it_were_alone():
    packed, h = random_ensemble(4)
    networks = [network.double() for network in separate_networks(packed)]
    packed(h)
    for network in networks:
        network(h)
    for name in ("running_mean", "running_var"):
        alone = torch.cat([getattr(network[1], name) for network in networks])
        torch.testing.assert_close(getattr(packed.norm, name), alone)


@pytest.mark.parametrize("hidden_units", [0, 4])
def test_gradients_equal_those_of_separate_networks(hidden_units):
    packed, h = random_ensemble(hidden_units)
    networks = [network.double() for network in separate_networks(packed)]
    packed(h).square().sum().backward()
    torch.stack([network(h) for network in networks], 1).square().sum().backward()
    last = [network[-1] if hidden_units else network for network in networks]
    torch.testing.assert_close(packed.weight.grad, torch.stack([m.weight.grad for m in last]))


@pytest.mark.parametrize("hidden_units", [0, 4])
def test_every_expert_starts_from_weights_of_its_own(hidden_units):
    packed = ExpertEnsemble(7, 3, n_experts=6, hidden_units=hidden_units)
    tensors = [packed.weight, packed.bias]
    if hidden_units:
        tensors += [packed.hidden_weight, packed.hidden_bias]
    for tensor in tensors:
        assert len(tensor.flatten(1).unique(dim=0)) == 6


def test_weights_start_in_the_range_of_a_linear_layer():
    packed = ExpertEnsemble(100, 50, n_experts=4, hidden_units=25)
    for tensor, bound in [(packed.hidden_weight, 0.1), (packed.weight, 0.2)]:
        assert 0.99 * bound < tensor.abs().max() <= bound
        assert tensor.mean().abs() < 0.05 * bound


@pytest.mark.parametrize("hidden_units", [0, 4])
@pytest.mark.parametrize("n_experts", [1, 3])
@pytest.mark.parametrize("n_rows", [1, 2, 9])
def test_output_is_rows_by_experts_by_classes(hidden_units, n_experts, n_rows):
    packed = ExpertEnsemble(7, 2, n_experts, hidden_units).eval()
    assert packed(torch.randn(n_rows, 7)).shape == (n_rows, n_experts, 2)
