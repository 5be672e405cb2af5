"""Stacked batch normalisation computes what each network would compute."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from sklearn_thin.modules.norms import StackedNorms


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("kind", "shape"), [(nn.BatchNorm1d, (5,)), (nn.BatchNorm2d, (5, 2, 3))])
def test_each_network_is_normalised_as_alone(kind, shape, training):
    norms = [kind(5).double().train(training) for _ in range(3)]
    x = torch.randn(3, 8, *shape, dtype=torch.float64)  # of three networks
    for norm in norms:
        for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            tensor.uniform_(1, 2)
    parameters, buffers = stack_module_state(norms)

    def of_one(parameters, buffers, x):
        return functional_call(norms[0], (parameters, buffers), x).square().mean()

    with StackedNorms():
        losses = torch.vmap(of_one)(parameters, buffers, x)
    losses.sum().backward()
    for i, norm in enumerate(norms):
        loss = norm(x[i]).square().mean()
        loss.backward()
        torch.testing.assert_close(losses[i], loss)
        for name, parameter in norm.named_parameters():
            torch.testing.assert_close(parameters[name].grad[i], parameter.grad)
        for name, buffer in norm.named_buffers():
            torch.testing.assert_close(buffers[name][i], buffer)
