"""The whole module mixes the experts' logits by the gate, and is plain torch to the outside."""

import copy

import pytest
import torch
from torch import nn

from sklearn_thin.modules import MLP, ConvNet, ExpertEnsemble, THINModule, TreeGate


def small_thin(depth=2, n_experts=None, gate_width=4, hidden_units=6):
    gate = TreeGate(gate_width, depth, n_experts)
    experts = ExpertEnsemble(8, 3, gate.n_experts, hidden_units)
    return THINModule(MLP(5, (8,)), experts, gate)


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_baseline_setting_equals_a_plain_network_of_the_same_weights(training):
    module = small_thin(depth=0, n_experts=1).train(training)
    e = module.experts
    head = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    tensors = (e.hidden_weight[0], e.hidden_bias[0], e.norm.weight, e.norm.bias)
    for mine, its in zip(head.parameters(), (*tensors, e.weight[0], e.bias[0]), strict=True):
        mine.data.copy_(its)
    plain = nn.Sequential(copy.deepcopy(module.backbone), head).train(training)
    x = torch.randn(10, 5)
    torch.testing.assert_close(module(x).logits, plain(x))


@pytest.mark.parametrize(("depth", "n_experts"), [(0, 4), (2, None), (3, 5), (1, 3), (2, 1)])
def test_logits_are_the_experts_logits_weighed_by_the_gate(depth, n_experts):
    module = small_thin(depth, n_experts).eval()
    x, gate_input = torch.randn(6, 5), torch.rand(6, 4)
    logits, h = module(x, gate_input)
    g, Z = module.gate(gate_input), module.experts(h)
    for row in range(6):
        mixed = sum(g[row, expert] * Z[row, expert] for expert in range(g.shape[1]))
        torch.testing.assert_close(logits[row], mixed)


@pytest.mark.parametrize("hidden_units", [0, 6])
@pytest.mark.parametrize(("depth", "n_experts"), [(0, 4), (2, None), (3, 5), (1, 3), (4, 2)])
def test_hard_logits_are_those_of_the_most_probable_leaf(depth, n_experts, hidden_units):
    module = small_thin(depth, n_experts, hidden_units=hidden_units)
    module(torch.randn(50, 5), torch.rand(50, 4))  # so that the statistics are no longer 0 and 1
    module.eval()
    x, gate_input = torch.randn(40, 5), torch.randn(40, 4)
    Z = module.experts(module.backbone(x))
    leaf = module.gate.leaf_log_proba(gate_input).argmax(1)
    L, n_leaves = Z.shape[1], 2**depth
    logits = module.hard_logits(x, gate_input)
    for row in range(40):
        if n_leaves >= L:
            expected = Z[row, leaf[row] * L // n_leaves]
        else:
            expected = Z[row, torch.arange(L) * n_leaves // L == leaf[row]].mean(0)
        torch.testing.assert_close(logits[row], expected)


def test_hard_logits_of_a_row_do_not_depend_on_the_others():
    module = small_thin(hidden_units=0).eval()
    x, gate_input = torch.randn(40, 5), torch.randn(40, 4)
    whole = module.hard_logits(x, gate_input)
    torch.testing.assert_close(module.hard_logits(x[:9], gate_input[:9]), whole[:9])
    assert module.hard_logits(x[:0], gate_input[:0]).shape == (0, 3)


def test_a_gate_that_reads_h_decides_hard_by_it():
    module = small_thin(gate_width=8).eval()
    x = torch.randn(6, 5)
    assert torch.equal(module.hard_logits(x), module.hard_logits(x, module.backbone(x)))


def test_the_second_output_is_what_the_backbone_gives():
    module = small_thin().eval()
    x = torch.randn(6, 5)
    assert torch.equal(module(x, torch.rand(6, 4)).h, module.backbone(x))


def test_a_gate_without_input_of_its_own_reads_h():
    module = small_thin(gate_width=8).eval()
    x = torch.randn(6, 5)
    assert torch.equal(module(x).logits, module(x, module.backbone(x)).logits)


def test_the_gate_input_changes_the_mixture():
    module = small_thin().eval()
    x = torch.randn(6, 5)
    assert not torch.allclose(
        module(x, torch.zeros(6, 4)).logits, module(x, torch.ones(6, 4)).logits
    )


def test_gradients_reach_backbone_experts_and_gate():
    module = small_thin()
    module(torch.randn(6, 5), torch.randn(6, 4)).logits.square().sum().backward()
    last = (module.backbone[0].weight, module.experts.weight, module.gate.nodes.weight)
    assert all(p.grad.any() for p in last)


@pytest.mark.parametrize("n_experts", [None, 3])
def test_many_models_run_as_one_under_vmap(n_experts):
    models = [small_thin(n_experts=n_experts).eval() for _ in range(2)]
    params, buffers = torch.func.stack_module_state(models)
    skeleton = copy.deepcopy(models[0]).to("meta")
    x, gate_input = torch.randn(6, 5), torch.rand(6, 4)

    def call(params, buffers):
        return tuple(torch.func.functional_call(skeleton, (params, buffers), (x, gate_input)))

    logits, h = torch.func.vmap(call)(params, buffers)
    for index, model in enumerate(models):
        expected = model(x, gate_input)
        torch.testing.assert_close(logits[index], expected.logits)
        torch.testing.assert_close(h[index], expected.h)


def test_the_papers_networks_are_about_equally_large():
    baseline = THINModule(ConvNet(1), ExpertEnsemble(784, 10, 1, 256), TreeGate(18, 0))
    thin = THINModule(ConvNet(1), ExpertEnsemble(784, 10, 8, 32), TreeGate(18, 3))
    assert n_parameters(baseline) == pytest.approx(206_000, rel=0.005)
    assert n_parameters(thin) == pytest.approx(n_parameters(baseline), rel=0.01)


class Seen(nn.Module):
    """Passes its first input on, and tells of which types all were."""

    def forward(self, *inputs):
        self.types = [x.dtype for x in inputs]
        return inputs[0]


def test_under_autocast_gate_and_eraser_compute_in_float32():
    module = THINModule(MLP(3, (4,)), ExpertEnsemble(4, 2, 4), TreeGate(4, 2), Seen()).eval()
    weights = []
    module.gate.register_forward_hook(lambda gate, inputs, output: weights.append(output))
    with torch.autocast("cpu", torch.bfloat16):
        logits, _ = module(torch.randn(64, 3), exogenous_logits=torch.randn(64, 5))
    assert logits.dtype == torch.bfloat16  # the rest is cast
    assert module.eraser.types == [torch.float32] * 2
    torch.testing.assert_close(weights[0].sum(1), torch.ones(64), rtol=0, atol=1e-6)
