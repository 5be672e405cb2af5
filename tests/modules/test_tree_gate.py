"""The tree gate is the product of decisions down each path, for any depth and experts."""

import math

import pytest
import torch

from sklearn_thin.modules import TreeGate
from sklearn_thin.modules.tree_gate import leaf_to_expert


def path_products(decisions, depth):
    """Leaf probabilities of one row in plain Python: left = d_n, right = 1 − d_n."""
    leaves = []
    for leaf in range(2**depth):
        node, product = 0, 1.0
        for level in range(depth):
            goes_right = (leaf >> (depth - 1 - level)) & 1
            product *= 1 - decisions[node] if goes_right else decisions[node]
            node = 2 * node + 1 + goes_right
        leaves.append(product)
    return leaves


def decisions_by_hand(gate, row):
    """σ(w_n·h + b_n) of every node, with Python floats."""
    weight, bias = gate.nodes.weight.tolist(), gate.nodes.bias.tolist()
    logits = [
        sum(w * h for w, h in zip(node, row, strict=True)) + b
        for node, b in zip(weight, bias, strict=True)
    ]
    return [1 / (1 + math.exp(-logit)) for logit in logits]


def gate_and_rows(depth, n_experts=None, in_features=5, n_rows=4):
    torch.manual_seed(depth)
    gate = TreeGate(in_features, depth, n_experts).double()
    return gate, torch.randn(n_rows, in_features, dtype=torch.float64)


@pytest.mark.parametrize("depth", range(1, 7))
def test_leaf_probability_is_the_product_of_the_decisions_on_its_path(depth):
    gate, h = gate_and_rows(depth)
    expected = [path_products(decisions_by_hand(gate, row), depth) for row in h.tolist()]
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(gate(h), expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(gate.leaf_log_proba(h), expected.log(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("depth", range(1, 7))
def test_decisions_are_the_sigmoids_of_the_nodes(depth):
    gate, h = gate_and_rows(depth)
    expected = [decisions_by_hand(gate, row) for row in h.tolist()]
    torch.testing.assert_close(gate.decisions(h), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(("leaf", "bias"), [(0, [9, 9, -9]), (1, [9, -9, 9]), (3, [-9, 9, -9])])
def test_nodes_count_level_by_level_and_leaves_from_left_to_right(leaf, bias):
    gate = TreeGate(1, depth=2)
    with torch.no_grad():
        gate.nodes.weight.zero_()
        gate.nodes.bias.copy_(torch.tensor(bias))
    assert gate(torch.zeros(1, 1)).argmax().item() == leaf


def test_depth_0_gives_one_leaf_for_certain_and_has_no_parameters():
    gate = TreeGate(5, depth=0)
    h = torch.randn(3, 5)
    assert not list(gate.parameters())
    assert torch.equal(gate(h), torch.ones(3, 1))
    assert gate.decisions(h).shape == (3, 0)
    assert torch.equal(gate.leaf_log_proba(h), torch.zeros(3, 1))


def test_depth_0_does_not_care_for_the_width_of_its_input():
    gate = TreeGate(in_features=0, depth=0, n_experts=4)
    torch.testing.assert_close(gate(torch.randn(2, 7)), torch.full((2, 4), 0.25))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("depth", [*range(9), 12])
def test_weights_sum_to_1_for_every_number_of_experts(depth, dtype):
    # A leaf is the exponential of a sum of logarithms, which are as exact as they are small: the
    # error of the sum over leaves is their entropy, at most depth · log 2. Averages are float32.
    atol = 2e-7 + 4 * torch.finfo(dtype).eps * (1 + depth * math.log(2))
    h = 5 * torch.randn(3, 2, dtype=dtype)
    for n_experts in [*range(1, 71), 2**depth - 1, 2**depth, 2**depth + 1]:
        if n_experts < 1:
            continue
        g = TreeGate(2, depth, n_experts).to(dtype)(h)
        assert g.shape == (3, n_experts)
        assert g.min() >= 0
        torch.testing.assert_close(g.sum(1), torch.ones(3, dtype=dtype), rtol=0, atol=atol)


@pytest.mark.parametrize("depth", range(7))
def test_one_expert_a_leaf_is_the_identity(depth):
    assert torch.equal(leaf_to_expert(2**depth, 2**depth), torch.eye(2**depth))
    assert TreeGate(3, depth).n_experts == 2**depth


@pytest.mark.parametrize("depth", range(1, 7))
def test_neighbouring_leaves_share_an_expert_by_the_floor_rule(depth):
    n_leaves = 2**depth
    for n_experts in range(1, n_leaves):
        expected = torch.zeros(n_leaves, n_experts)
        for leaf in range(n_leaves):
            expected[leaf, math.floor(leaf * n_experts / n_leaves)] = 1
        assert torch.equal(leaf_to_expert(n_leaves, n_experts), expected)


@pytest.mark.parametrize("depth", range(5))
def test_each_leaf_averages_its_own_block_of_experts(depth):
    n_leaves = 2**depth
    for n_experts in range(n_leaves + 1, 3 * n_leaves + 3):
        A = leaf_to_expert(n_leaves, n_experts)
        assert torch.equal((A > 0).sum(0), torch.ones(n_experts, dtype=torch.int64))
        owner = A.argmax(0).tolist()
        assert owner == sorted(owner)
        sizes = [owner.count(leaf) for leaf in range(n_leaves)]
        assert max(sizes) - min(sizes) <= 1
        for expert, leaf in enumerate(owner):
            assert A[leaf, expert].item() == pytest.approx(1 / sizes[leaf])


@pytest.mark.parametrize(("depth", "n_experts"), [(3, 5), (2, 7), (4, 1)])
def test_experts_are_weighed_by_leaves_times_the_map(depth, n_experts):
    gate, h = gate_and_rows(depth, n_experts)
    leaves = gate.leaf_log_proba(h).exp()
    g = torch.zeros(len(h), n_experts, dtype=torch.float64)
    A = leaf_to_expert(2**depth, n_experts).double()
    for leaf in range(2**depth):
        for expert in range(n_experts):
            g[:, expert] += leaves[:, leaf] * A[leaf, expert]
    torch.testing.assert_close(gate(h), g)


@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])
def test_the_deepest_tree_neither_underflows_nor_loses_its_gradient_to_nan(scale):
    torch.manual_seed(0)
    gate = TreeGate(6, depth=12)
    h = (scale * torch.randn(4, 6)).requires_grad_()
    log_leaf = gate.leaf_log_proba(h)
    assert log_leaf.isfinite().all()
    g = gate(h)
    assert g.isfinite().all()
    torch.testing.assert_close(g.sum(1), torch.ones(4), rtol=0, atol=1e-5)
    (log_leaf.mean() + g[:, ::2].sum()).backward()
    for tensor in (h, *gate.parameters()):
        assert tensor.grad.isfinite().all()
        assert tensor.grad.any()


def test_the_map_to_experts_follows_the_gate_but_is_not_in_its_state():
    gate = TreeGate(3, depth=2, n_experts=3).double()
    assert gate.leaf_to_expert.dtype == torch.float64
    assert set(gate.state_dict()) == {"nodes.weight", "nodes.bias"}


@pytest.mark.parametrize("depth", [-1, 13])
def test_depth_out_of_range_says_what_came(depth):
    with pytest.raises(ValueError, match=rf"depth must be an int in \[0, 12\], got {depth}$"):
        TreeGate(3, depth)


@pytest.mark.parametrize("n_experts", [0, -3])
def test_too_few_experts_says_what_came(n_experts):
    with pytest.raises(ValueError, match=f"n_experts must be at least 1, got {n_experts}$"):
        TreeGate(3, 2, n_experts)
