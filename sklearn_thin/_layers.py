"""A torch module of known layers as arrays, strings, numbers and dicts, and back.

Nothing of a description is run: its attributes are plain values, and its types are looked up in
three packages. Types of other packages are parts of the description, so that skops audits them.
"""

import importlib
import json
import re
import sys
from inspect import isfunction

import numpy as np
import torch
from torch import nn
from torch.utils.weak import WeakTensorKeyDictionary

from sklearn_thin._compat import import_torchvision
from sklearn_thin._environment import own_torch_state

PACKAGES = ("torch.nn.modules", "sklearn_thin.modules", "torchvision.models", "torchvision.ops")
KNOWN_TO_ALL = tuple(f"{package}." for package in PACKAGES)
NAME = re.compile(r"(torch|sklearn_thin|torchvision)(\.[A-Za-z_][A-Za-z0-9_]*)+")
PLAIN = (type(None), bool, int, float, str)
# parts of a module that a description has in a form of its own
OWN = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
ARRAYS = WeakTensorKeyDictionary()  # of weights that were pickled
STATE = {"__getstate__", "__setstate__", "__reduce__", "__reduce_ex__"}  # which `build` passes by


class UnknownLayerError(TypeError):
    """A module has a layer that a description cannot hold; the message names it."""


def describe(module):
    """A dict of the layers as JSON, of which the last is `module`, and of the tensors they share.

    Types and functions of other packages come beside them. Raises UnknownLayerError for types that
    are not at the top of a module, hooks, and attributes that are not plain.
    """
    tensors, layers, types = {}, {}, {}
    _describe(module, "", tensors, layers, types)
    arrays = [array for _, array, _ in tensors.values()]
    text = {"layers": list(layers.values()), "tensors": [kept for *_, kept in tensors.values()]}
    description = {"layers": json.dumps(text), "arrays": arrays}
    return {**description, "types": list(types.values())} if types else description


def _describe(layer, name, tensors, layers, types):
    """Number of the layer in `layers`, which gets it and its children."""
    if id(layer) in layers:
        return layers[id(layer)]["number"]
    blank = vars(nn.Module())
    children = {
        key: None if child is None else _describe(child, f"{name}.{key}", tensors, layers, types)
        for key, child in layer._modules.items()
    }
    attributes = {}
    for key, value in vars(layer).items():
        if key in OWN or key == "_compiled_call_impl":
            continue
        if key not in blank or key == "training":
            owner = f"{type(layer).__name__} {name.lstrip('.')!r}"
            attributes[key] = _plain(value, owner, key, types)
        elif value != blank[key]:
            raise UnknownLayerError(f"{type(layer).__name__} {name.lstrip('.')!r} has hooks")
    described = {
        "type": type_name(type(layer), types),
        "attributes": attributes,
        "parameters": {k: _numbered(t, tensors) for k, t in layer._parameters.items()},
        "buffers": {k: _numbered(t, tensors) for k, t in layer._buffers.items()},
        "not_persistent": sorted(layer._non_persistent_buffers_set),
        "children": children,
        "number": len(layers),
    }
    layers[id(layer)] = described
    return described["number"]


def _plain(value, owner, key, types):
    """A value for JSON, which has neither tuples nor types of layers."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, (np.bool_, np.integer, np.floating)):  # as np.arange gives to a grid
        return value.item()
    if type(value) is list:
        return [_plain(part, owner, key, types) for part in value]
    if type(value) is tuple:
        return {"tuple": [_plain(part, owner, key, types) for part in value]}
    if type(value) is dict:
        pairs = [[_plain(part, owner, key, types) for part in pair] for pair in value.items()]
        return {"pairs": pairs}
    if isinstance(value, type) and issubclass(value, nn.Module):
        return {"type": type_name(value, types)}
    if isfunction(value):
        return {"function": _custom_name(value, types)}
    raise UnknownLayerError(
        f"the attribute {key!r} of the layer {owner} is a {type(value).__name__}, no plain value"
    )


def type_name(layer, types):
    """Full name of the type of a layer; `types` gets custom types by their names."""
    name = _full_name(layer)
    if name.startswith(KNOWN_TO_ALL):
        return name
    bases = [b for b in layer.__mro__ if b is not object and not b.__module__.startswith("torch.")]
    if any(STATE & vars(base).keys() for base in bases):
        raise UnknownLayerError(f"the layer type {name} pickles in a way of its own")
    return _custom_name(layer, types)


def _custom_name(part, types):
    """Full name of a type or function of another package, which `types` gets."""
    name = _full_name(part)
    if getattr(sys.modules.get(part.__module__), part.__qualname__, None) is not part:
        raise UnknownLayerError(f"{name} is not at the top of its module")
    types[name] = part
    return name


def _full_name(part):
    return f"{part.__module__}.{part.__qualname__}"


def _numbered(tensor, tensors):
    """Number of the tensor in `tensors`, which gets it; None for None."""
    if tensor is None:
        return None
    if id(tensor) not in tensors:
        tensors[id(tensor)] = len(tensors), *_array(tensor)
    return tensors[id(tensor)][0]


def _array(tensor):
    """The array of a tensor; its order in memory, and whether it is trained."""
    # convolutions are fast by their order; sides of 1 come last, as in torch's own orders
    order = sorted(
        range(tensor.dim()), key=lambda d: (tensor.stride(d), tensor.shape[d]), reverse=True
    )
    try:
        array = steady_array(tensor, tensor.detach().permute(order).contiguous())
    except TypeError as error:
        raise UnknownLayerError(f"NumPy has no arrays of {tensor.dtype}") from error
    return array, {"order": order, "grad": tensor.requires_grad}


def steady_array(tensor, view):
    """The array of a view of `tensor`, the same object as long as the values stay.

    joblib writes an array into a file for its workers once, and knows arrays by identity.
    """
    view = view.cpu()
    if view.data_ptr() != tensor.data_ptr() or tensor.is_inference():  # a copy, or no version
        return view.numpy()
    state = view.data_ptr(), view.shape, view.stride(), tensor._version
    kept = ARRAYS.get(tensor)
    if kept is None or kept[0] != state:
        ARRAYS[tensor] = kept = state, view.numpy()
    return kept[1]


@own_torch_state()
def build(description, device):
    """The module of :func:`describe`. Arrays are copied, as joblib's maps are read-only."""
    arrays, text = description["arrays"], json.loads(description["layers"])
    types = {
        f"{kind.__module__}.{kind.__qualname__}": kind for kind in description.get("types", ())
    }
    if not all(type(array) in (np.ndarray, np.memmap) for array in arrays):
        raise ValueError("a tensor of the network is no array")
    pairs = zip(arrays, text["tensors"], strict=True)
    tensors = [_tensor(array, kept["order"], device) for array, kept in pairs]
    layers = []
    for described in text["layers"]:
        kind = layer_type(described["type"], types)
        layer = kind.__new__(kind)
        nn.Module.__init__(layer)
        attributes = {k: _from_plain(v, types) for k, v in described["attributes"].items()}
        if internal := attributes.keys() & vars(layer).keys() - {"training"}:
            raise ValueError(f"a layer sets {sorted(internal)}")
        vars(layer).update(attributes)
        parts = vars(layer)
        for key, number in described["parameters"].items():
            weight = None if number is None else tensors[number]
            if weight is not None and not isinstance(weight, nn.Parameter):
                grad = text["tensors"][number]["grad"]
                weight = tensors[number] = nn.Parameter(weight, requires_grad=grad)
            parts["_parameters"][key] = weight
        for key, number in described["buffers"].items():
            parts["_buffers"][key] = None if number is None else tensors[number]
        for key, number in described["children"].items():
            parts["_modules"][key] = None if number is None else layers[number]
        parts["_non_persistent_buffers_set"].update(described["not_persistent"])
        layers.append(layer)
    return layers[-1]


def _tensor(array, order, device):
    return torch.tensor(np.asarray(array), device=device).permute(np.argsort(order).tolist())


def _from_plain(value, types):
    if type(value) is list:
        return [_from_plain(part, types) for part in value]
    if type(value) is not dict:
        return value
    ((kind, inner),) = value.items()
    if kind == "type":
        return layer_type(inner, types)
    if kind == "function":
        return types[inner]
    if kind == "pairs":
        return {_from_plain(key, types): _from_plain(part, types) for key, part in inner}
    if kind == "tuple":
        return tuple(_from_plain(part, types) for part in inner)
    return {name: _from_plain(part, types) for name, part in inner.items()}  # of older files


def layer_type(name, types):
    """The type of a layer by its full name; `types` are custom types."""
    found = types.get(name)
    if found is None:
        if not (NAME.fullmatch(name) and name.startswith(KNOWN_TO_ALL)):
            raise ValueError(f"{name!r} is no layer of {', '.join(PACKAGES)}")
        module, _, kind = name.rpartition(".")
        if module.startswith("torchvision."):
            import_torchvision()
        found = getattr(importlib.import_module(module), kind, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"{name!r} is no type of a layer")
    return found
