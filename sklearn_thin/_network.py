"""The parameters of a network -> a torch module: backbone, gate and experts."""

import torch
from torch import nn

from sklearn_thin._backbones import ConvNetBackbone, MLPBackbone, TorchvisionBackbone
from sklearn_thin._environment import check_memory, torch_seed
from sklearn_thin._pickling import copied
from sklearn_thin._sharing import shared
from sklearn_thin.modules import ExpertEnsemble, THINModule, TreeGate

# "auto" for tables with gated layers; both dropouts keep levels of few rows from overfitting
GATED = MLPBackbone((128, 128), dropout=0.35, modulation_dropout=0.5)


def build_module(net, seed, *, gate_input=None, dispels=False):
    """A THINModule, initialised under `seed`, for an estimator whose rows are read.

    `gate_input` are tensors that the gate reads, (n_samples, width). None is a gate that reads
    h_endo. `dispels` notes that a variable is dispelled, which gated layers would bring back.
    """
    given, layers = (net.backbone, net.module_input_shape_), net.gating == "layers"
    gate_width = None if gate_input is None else gate_input.shape[1]
    if net.gating == "auto" and gate_input is not None and not dispels:  # for tables, if it can
        able = net.backbone == "auto" or hasattr(net.backbone, "build_gated")
        layers = able and len(net.module_input_shape_) == 1
    gated = (int(net.n_experts or 2**net.depth), gate_width) if layers else None
    with torch_seed(seed, torch.device("cpu")):
        backbone, width = build_backbone(*given, gated)
        n_experts, units = deal_experts(net, width, net.depth, net.n_experts)
        gate = TreeGate(gate_width or width, net.depth, n_experts)
        experts = ExpertEnsemble(width, net.targets_.n_outputs, n_experts, units)
        return THINModule(backbone, experts, gate, gates_layers=layers)


def build_backbone(backbone, input_shape, gated=None):
    """Build the module of a backbone and measure the width of its output.

    Parameters
    ----------
    backbone : {"auto"}, str, specification, Module or callable
        See `THINClassifier`.
    input_shape : tuple of int
        (features,) or (channels, height, width).
    gated : tuple (n_experts, gate_features) or None, default=None
        Number of maps that a gate mixes in each layer of the module, and width of the gate's
        input. None is a module of x alone.

    Returns
    -------
    module : Module
        A new object: a module that the user passes is copied.
    width : int
        Number of features of the flattened output.

    Raises
    ------
    ValueError
        For an unknown name, or a module that does not take inputs of `input_shape`.
    TypeError
        For a factory that does not return a module.
    """
    inputs = [torch.zeros(2, *input_shape)]
    if gated is None:
        module = _resolve(backbone, input_shape)
    else:
        module = _gated(backbone, input_shape, *gated)
        inputs += [torch.zeros(2, width) for width in gated]
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"backbone must give a torch.nn.Module for inputs of shape {input_shape}, "
            f"got {type(module).__name__} from {backbone!r}"
        )
    module = (nn.Sequential(module, nn.Flatten()) if gated is None else module).cpu()
    try:
        with torch.no_grad():
            width = module.eval()(*inputs).shape[1]
    except (
        RuntimeError,
        ValueError,
        IndexError,
        TypeError,
        AssertionError,
        AttributeError,
    ) as error:
        raise ValueError(
            f"the backbone does not take inputs of shape {input_shape} (one sample of X, "
            f"behind `endogenous` or `preprocessor`): {error}"
        ) from error
    for weight in module.parameters():
        weight.data = weight.data.clone()  # fused steps need weights without gaps in memory
    return module, width


def backbone_width(backbone, input_shape):
    """Width of the output of a backbone, which is built for it; a search builds each once."""

    def width():
        with torch_seed(0, torch.device("cpu")):
            return build_backbone(backbone, input_shape)[1]

    return shared(("width", backbone, input_shape), width)


def deal_experts(estimator, width, depth, n_experts):
    """Number of experts and hidden units of each; raises where memory does not hold them."""
    n_outputs, hidden = estimator.targets_.n_outputs, int(estimator.hidden_units)
    n_leaves = 2**depth
    n_experts = n_leaves if n_experts is None else int(n_experts)
    units = -(-hidden // n_experts)  # dealt, so that L does not change the size
    n_weights = n_experts * (units * width + n_outputs * (units or width) + n_leaves)
    check_memory(n_weights, f"{n_experts=} and hidden_units={hidden} for {n_outputs} outputs")
    return n_experts, units


def _named(backbone, input_shape):
    """The backbone object of a name."""
    if not isinstance(backbone, str):
        return backbone
    if backbone == "auto":
        return MLPBackbone() if len(input_shape) == 1 else ConvNetBackbone()
    return TorchvisionBackbone(backbone)


def _gated(backbone, input_shape, n_experts, gate_features):
    auto = isinstance(backbone, str) and backbone == "auto" and len(input_shape) == 1
    backbone = GATED if auto else _named(backbone, input_shape)
    if not hasattr(backbone, "build_gated") or isinstance(backbone, type):
        raise ValueError(
            "gating='layers' needs a backbone whose layers the gate can mix: an MLPBackbone(...), "
            "a ConvNetBackbone(...), or an object with build_gated(input_shape, n_experts, "
            "gate_features), which gives a module of (x, g, gate_input) such as "
            f"sklearn_thin.modules.GatedMLP. Got {backbone!r}; gating='head' takes any backbone"
        )
    return backbone.build_gated(input_shape, n_experts, gate_features)


def _resolve(backbone, input_shape):
    backbone = _named(backbone, input_shape)
    if isinstance(backbone, nn.Module):
        return copied(backbone)
    if isinstance(backbone, type) and hasattr(backbone, "build"):
        raise TypeError(f"backbone must be an object, such as {backbone.__name__}(), not its class")
    if hasattr(backbone, "build"):
        return backbone.build(input_shape)
    return backbone(input_shape)
