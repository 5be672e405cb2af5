"""A torch module as a skeleton and NumPy arrays, so that joblib shares its weights.

joblib maps NumPy arrays over 1 MB into the memory of its workers, but pickles torch tensors anew
for every task. A frozen encoder goes with every candidate of a search. The states of estimators
describe modules of known layers (:mod:`sklearn_thin._layers`), and pack other modules.
"""

import copy
from contextvars import ContextVar
from inspect import Parameter, signature
from itertools import chain

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn.utils import parametrize

from sklearn_thin._environment import own_torch_state
from sklearn_thin._layers import UnknownLayerError, build, describe, steady_array

MODULE, DEVICE = "torch.nn.Module", "torch.device"  # keys that mark what a dict stands for
KNOWN = ContextVar("known", default=None)  # packed modules by id, so that a file holds each once
TARGET = ContextVar("target", default=None)  # device of loaded nets, in place of their own


def pack(module):
    """A copy of `module` on the "meta" device, and a list of (meta tensor, ndarray) to fill it.

    A tensor that several layers share comes once.
    """
    empty = {}
    for tensor in chain(module.parameters(), module.buffers()):
        hollow = torch.empty_like(tensor, device="meta")
        if isinstance(tensor, nn.Parameter):
            hollow = nn.Parameter(hollow, requires_grad=tensor.requires_grad)
        empty[id(tensor)] = (hollow, steady_array(tensor, tensor.detach()))
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
    """Stands for a module of unknown layers in a pickle, which gives it back, on the CPU."""

    def __init__(self, module, reason):
        self.module = module
        self.reason = reason

    def __reduce__(self):
        return unpack, (*pack(self.module), torch.device("cpu"))

    def __getstate__(self):
        raise TypeError(
            f"{self.reason}. Files without code hold layers of torch.nn.modules, "
            "torchvision.models and sklearn_thin.modules, and custom layers at the top of a module "
            "whose attributes are plain values. Build the backbone or the predictor of these, or "
            "keep the estimator by joblib.dump, whose files can run any code when they are loaded"
        )


def packed(module, known=None):
    """The module as a dict of arrays, strings and numbers, or as a :class:`Packed`."""
    known = KNOWN.get() if known is None else known
    if known is not None and id(module) in known:
        return known[id(module)]
    try:
        value = {MODULE: describe(module)}
    except UnknownLayerError as reason:
        value = Packed(module, str(reason))
    return value if known is None else known.setdefault(id(module), value)


def unpacked(value, device="cpu"):
    """The module of :func:`packed`; a pickle gives modules of unknown layers themselves."""
    return value.to(device) if isinstance(value, nn.Module) else build(value[MODULE], device)


def with_packed(value, known):
    """The value, with its modules replaced by :func:`packed`; `known` are those by their ids."""
    if isinstance(value, nn.Module):
        return packed(value, known)
    if isinstance(value, torch.device):
        return {DEVICE: str(value)}
    if type(value) in (tuple, list):
        return type(value)(with_packed(part, known) for part in value)
    if type(value) is dict:
        return {key: with_packed(part, known) for key, part in value.items()}
    return value


def with_unpacked(value, known):
    """The value before :func:`with_packed`; `known` are its modules, by the ids of their dicts."""
    if type(value) in (tuple, list):
        return type(value)(with_unpacked(part, known) for part in value)
    if type(value) is not dict:
        return value
    if value.keys() == {DEVICE}:
        return torch.device(value[DEVICE])
    if value.keys() == {MODULE}:
        if id(value) not in known:
            known[id(value)] = unpacked(value)
        return known[id(value)]
    return {key: with_unpacked(part, known) for key, part in value.items()}


def with_defaults(kind, state):
    """The state of an estimator, with the defaults of parameters that an older version lacked."""
    defaults = {p.name: p.default for p in signature(kind).parameters.values()}
    return {n: v for n, v in defaults.items() if v is not Parameter.empty} | state


class Estimator(BaseEstimator):
    """scikit-learn's base, for parameters that files and pickles of older versions lack."""

    def __setstate__(self, state):
        super().__setstate__(with_defaults(type(self), state))
