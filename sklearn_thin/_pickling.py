"""A torch module as a skeleton and NumPy arrays, so that joblib shares its weights.

joblib maps NumPy arrays over 1 MB into the memory of its workers, but pickles torch tensors anew
for every task. A frozen encoder goes with every candidate of a search.
"""

import copy
from itertools import chain

import torch
from torch import nn
from torch.nn.utils import parametrize

from sklearn_thin._environment import own_torch_state


def pack(module):
    """A copy of `module` on the "meta" device, and a list of (meta tensor, ndarray) to fill it.

    A tensor that several layers share comes once.
    """
    empty = {}
    for tensor in chain(module.parameters(), module.buffers()):
        hollow = torch.empty_like(tensor, device="meta")
        if isinstance(tensor, nn.Parameter):
            hollow = nn.Parameter(hollow, requires_grad=tensor.requires_grad)
        empty[id(tensor)] = (hollow, tensor.detach().cpu().numpy())
    memo = {key: hollow for key, (hollow, _) in empty.items()}
    skeleton = copied(module, memo)
    for layer in skeleton.modules():
        if parametrize.is_parametrized(layer):  # a class made at run time has no pickle
            layer.__class__ = parametrize.type_before_parametrizations(layer)
            hooks = layer._load_state_dict_pre_hooks  # torch's reads weights of older versions
            own = [key for key, hook in hooks.items() if "<locals>" in _name(hook)]
            for key in own:
                del hooks[key]
    return skeleton, list(empty.values())


def _name(hook):
    return getattr(getattr(hook, "hook", hook), "__qualname__", "")


def copied(module, memo=None):
    """A deep copy, also of modules that hold computed tensors, such as a normed weight."""
    memo = {} if memo is None else memo
    for layer in module.modules():
        for value in vars(layer).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().cpu().clone()  # computed anew in each pass
    return copy.deepcopy(module, memo)


@own_torch_state()
def unpack(skeleton, arrays, device):
    """Fill the skeleton of :func:`pack` in place, with copies, as joblib's maps are read-only."""
    filled = {}
    for hollow, array in arrays:
        tensor = torch.empty_like(hollow, device=device)  # of the same order in memory
        tensor.copy_(torch.tensor(array))
        if isinstance(hollow, nn.Parameter):
            tensor = nn.Parameter(tensor, requires_grad=hollow.requires_grad)
        filled[id(hollow)] = tensor
    for layer in skeleton.modules():
        for tensors in (layer._parameters, layer._buffers):
            tensors.update({k: filled[id(t)] for k, t in tensors.items() if t is not None})
    for layer in skeleton.modules():
        if "parametrizations" in layer._modules:
            parametrize._inject_new_class(layer)
            for name in layer.parametrizations:
                parametrize._inject_property(layer, name)
    return skeleton


class Packed:
    """Stands for a module in a pickle, which gives the module back, on the CPU."""

    def __init__(self, module):
        self.module = module

    def __reduce__(self):
        return unpack, (*pack(self.module), torch.device("cpu"))


def with_packed(value, packed):
    """The value, with its modules replaced by those of `packed`, one for each; by their ids."""
    if isinstance(value, nn.Module):
        return packed.setdefault(id(value), Packed(value))
    if type(value) in (tuple, list):
        return type(value)(with_packed(part, packed) for part in value)
    if type(value) is dict:
        return {key: with_packed(part, packed) for key, part in value.items()}
    return value
