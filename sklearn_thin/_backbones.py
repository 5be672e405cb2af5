"""The parameters of a network -> a torch module: backbone, gate and experts.

Backbone objects are estimators only because of `get_params`: a grid search can then tune
`backbone__channels` or `backbone__hidden_layer_sizes`.
"""

import itertools
import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import nn

from sklearn_thin import modules
from sklearn_thin._environment import check_memory, torch_seed
from sklearn_thin._pickling import Estimator, copied
from sklearn_thin._sharing import shared
from sklearn_thin._torchvision import check_name, load_network

DROPOUT = [Interval(Real, 0, 1, closed="left")]
WRONG_SHAPE = RuntimeError, ValueError, IndexError, TypeError, AssertionError, AttributeError


class MLPBackbone(Estimator):
    """Backbone for tables: linear → BatchNorm → ReLU blocks.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(256, 256)
        Width of each block. The last width is that of h_endo. If empty, h_endo is the input, and
        the experts read it.
    dropout : float, default=0.0
        Probability of zeroing a unit after each block, in [0, 1).
    modulation_dropout : float, default=0.0
        Probability of a row without scales and shifts by the variable in training, in [0, 1).
        Only `gating="layers"` has them. It helps levels with few rows, and levels never seen.
    scale_lr_factor : float, default=0.0
        Columns are multiplied by scales, which Adam learns at this multiple of `lr`; 0 for none.
        It helps where few of many columns matter (:class:`~sklearn_thin.modules.ScalingLayer`).

    Examples
    --------
    >>> from sklearn_thin import MLPBackbone
    >>> MLPBackbone(hidden_layer_sizes=(128, 64))
    MLPBackbone(hidden_layer_sizes=(128, 64))
    """

    _parameter_constraints: dict = {
        **dict.fromkeys(("dropout", "modulation_dropout"), DROPOUT),
        "scale_lr_factor": [Interval(Real, 0, 1e10, closed="both")],  # Adam squares it, in float32
    }

    def __init__(
        self,
        hidden_layer_sizes=(256, 256),
        dropout=0.0,
        modulation_dropout=0.0,
        scale_lr_factor=0.0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.modulation_dropout = modulation_dropout
        self.scale_lr_factor = scale_lr_factor

    def build(self, input_shape) -> nn.Module:
        """Module for rows of `input_shape`. Images are flattened first."""
        self._validate_params()
        in_features = math.prod(input_shape)
        widths = _widths(self, "hidden_layer_sizes", in_features, least=0)
        module = modules.MLP(in_features, widths, self.dropout, self.scale_lr_factor)
        return module if len(input_shape) == 1 else nn.Sequential(nn.Flatten(), module)

    def build_gated(self, input_shape, n_experts, gate_features):
        """The same layers, each of `n_experts` maps that the gate mixes."""
        self._validate_params()
        in_features = math.prod(input_shape)
        widths = _widths(self, "hidden_layer_sizes", in_features, least=0, maps=n_experts)
        factor, dropouts = self.scale_lr_factor, (self.dropout, self.modulation_dropout)
        stem = modules.ScalingLayer(in_features, factor) if factor else None
        return modules.GatedMLP(in_features, widths, n_experts, gate_features, *dropouts, stem)


class ConvNetBackbone(Estimator):
    """Backbone for images: convolution → BatchNorm → ReLU → max-pooling blocks.

    The convolutions are the paper's for digits. The paper's network has hidden units in each expert
    and no hidden layer in the backbone. That network is `hidden_layer_sizes=()` with
    `hidden_units=256` of THINClassifier and ExogenousEncoder. A layer that all experts share
    serves the gate better (`docs/results.md`).

    Parameters
    ----------
    channels : sequence of int, default=(16, 16)
        Filters of each block.
    kernel_size : int, default=3
        Side of the filters, in pixels.
    pool : int, default=2
        Side of the pooling windows, in pixels; 1 for no pooling.
    dropout : float, default=0.0
        Probability of zeroing a feature of h_endo, and of each linear block, in [0, 1).
    image_shape : tuple (height, width) or (channels, height, width), default=None
        Shape of the images into which rows of X are folded, for pipelines that hold flattened
        images. None takes the shape of X.
    hidden_layer_sizes : sequence of int, default=(256,)
        Widths of linear → BatchNorm → ReLU blocks behind the convolutions. The last width is
        that of h_endo. If empty, h_endo is the output of the convolutions.

    Examples
    --------
    >>> from sklearn_thin import ConvNetBackbone
    >>> ConvNetBackbone(channels=(32, 64), image_shape=(28, 28))
    ConvNetBackbone(channels=(32, 64), image_shape=(28, 28))
    """

    _parameter_constraints: dict = {"dropout": DROPOUT}

    def __init__(
        self,
        channels=(16, 16),
        kernel_size=3,
        pool=2,
        dropout=0.0,
        image_shape=None,
        hidden_layer_sizes=(256,),
    ) -> None:
        self.channels = channels
        self.kernel_size = kernel_size
        self.pool = pool
        self.dropout = dropout
        self.image_shape = image_shape
        self.hidden_layer_sizes = hidden_layer_sizes

    def build(self, input_shape) -> nn.Module:
        """Module for images of `input_shape`, (channels, height, width)."""
        n_features, widths = self._sizes(input_shape)
        if not widths:
            return self._stem(input_shape, self.dropout)
        hidden = modules.MLP(n_features, widths, self.dropout)
        return nn.Sequential(self._stem(input_shape), hidden)

    def build_gated(self, input_shape, n_experts, gate_features):
        """The same network; each linear block has `n_experts` maps that the gate mixes."""
        n_features, widths = self._sizes(input_shape, n_experts)
        stem = self._stem(input_shape, 0.0 if widths else self.dropout)
        sizes = n_features, widths, n_experts, gate_features
        return modules.GatedMLP(*sizes, self.dropout, stem=stem)

    def _stem(self, input_shape, dropout=0.0):
        return modules.ConvNet(input_shape[0], self.channels, self.kernel_size, self.pool, dropout)

    def _sizes(self, input_shape, n_experts=1):
        """Width of the convolutions' output, and widths of the linear blocks, checked."""
        self._validate_params()
        _check_image(self, input_shape)
        for name in ("kernel_size", "pool"):
            if not _are_positive_ints([getattr(self, name)]):
                raise ValueError(
                    f"{name} of ConvNetBackbone must be a positive int, got {getattr(self, name)!r}"
                )
        channels = _widths(self, "channels", input_shape[0], "kernel_size")
        shrunk = self.pool ** len(channels)
        if min(input_shape[1:]) < shrunk:
            raise ValueError(
                f"images of shape {tuple(input_shape)} are too small for {len(channels)} "
                f"poolings of {self.pool}: at least {shrunk} pixels a side are needed. "
                "Use fewer channels or pool=1."
            )
        n_features = channels[-1] * math.prod(side // shrunk for side in input_shape[1:])
        hidden = _widths(self, "hidden_layer_sizes", n_features, least=0, maps=n_experts)
        return n_features, hidden


class TorchvisionBackbone(Estimator):
    """Classification network of torchvision, without its last layer.

    Parameters
    ----------
    name : str, default="resnet18"
        A classification network of `torchvision.models`, such as "vgg16".
    weights : str or path, default=None
        None trains from scratch. A path, or a string with a suffix such as ".pth", is a file
        with the state dict of the whole network. Any other string is a name of torchvision's
        weights, such as "DEFAULT" or "IMAGENET1K_V1"; torchvision downloads these. With
        weights, images are normalised like those of ImageNet.
    image_shape : tuple (height, width) or (channels, height, width), default=None
        Shape of the images into which rows of X are folded. None takes the shape of X.

    Examples
    --------
    >>> from sklearn_thin import TorchvisionBackbone
    >>> TorchvisionBackbone("vgg16")
    TorchvisionBackbone(name='vgg16')
    """

    def __init__(self, name="resnet18", weights=None, image_shape=None) -> None:
        self.name = name
        self.weights = weights
        self.image_shape = image_shape

    def build(self, input_shape) -> nn.Module:
        """Module for images of `input_shape`, (1 or 3, height, width)."""
        check_name(self.name)
        _check_image(self, input_shape)
        return load_network(self.name, self.weights)


# "auto" for tables with gated layers; both dropouts keep levels of few rows from overfitting
GATED = MLPBackbone((128, 128), dropout=0.35, modulation_dropout=0.5, scale_lr_factor=6.0)


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
        n_experts, units = deal_experts(net, width)
        gate = modules.TreeGate(gate_width or width, net.depth, n_experts)
        experts = modules.ExpertEnsemble(width, net.targets_.n_outputs, n_experts, units)
        return modules.THINModule(backbone, experts, gate, gates_layers=layers)


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
    module = _resolve(backbone, input_shape, gated)
    inputs = [torch.zeros(2, *shape) for shape in (input_shape, *((n,) for n in gated or ()))]
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"backbone must give a torch.nn.Module for inputs of shape {input_shape}, "
            f"got {type(module).__name__} from {backbone!r}"
        )
    module = (nn.Sequential(module, nn.Flatten()) if gated is None else module).cpu()
    try:
        with torch.no_grad():
            width = module.eval()(*inputs).shape[1]
    except WRONG_SHAPE as error:
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


def deal_experts(net, width):
    """Number of experts and hidden units of each; raises where memory does not hold them."""
    n_outputs, hidden = net.targets_.n_outputs, int(net.hidden_units)
    n_experts = int(net.n_experts or 2**net.depth)
    units = -(-hidden // n_experts)  # dealt, so that L does not change the size
    n_weights = n_experts * (units * width + n_outputs * (units or width) + 2**net.depth)
    check_memory(n_weights, f"{n_experts=} and hidden_units={hidden} for {n_outputs} outputs")
    return n_experts, units


def _resolve(backbone, input_shape, gated):
    """The module of a backbone; `gated` as in :func:`build_backbone`."""
    if isinstance(backbone, str) and backbone == "auto":
        auto = MLPBackbone() if gated is None else GATED
        backbone = auto if len(input_shape) == 1 else ConvNetBackbone()
    elif isinstance(backbone, str):
        backbone = TorchvisionBackbone(backbone)
    is_class = isinstance(backbone, type)
    if gated is not None:
        if hasattr(backbone, "build_gated") and not is_class:
            return backbone.build_gated(input_shape, *gated)
        raise ValueError(
            "gating='layers' needs a backbone whose layers the gate can mix: an MLPBackbone(...), "
            "a ConvNetBackbone(...), or an object with build_gated(input_shape, n_experts, "
            "gate_features), which gives a module of (x, g, gate_input) such as "
            f"sklearn_thin.modules.GatedMLP. Got {backbone!r}; gating='head' takes any backbone"
        )
    if isinstance(backbone, nn.Module):
        return copied(backbone)
    if not hasattr(backbone, "build"):
        return backbone(input_shape)
    if is_class:
        raise TypeError(f"backbone must be an object, such as {backbone.__name__}(), not its class")
    return backbone.build(input_shape)


# ------------------------------------------------------------------ checks


def module_input_shape(backbone, sample_shape):
    """Shape of one input of the backbone, from the shape of one sample of X.

    Parameters
    ----------
    backbone : any value of the `backbone` parameter
    sample_shape : tuple of int
        (features,), (height, width) or (channels, height, width).

    Returns
    -------
    tuple of int
        (features,) or (channels, height, width).
    """
    if (given := getattr(backbone, "image_shape", None)) is not None:
        folded = tuple(given) if np.iterable(given) else ()
        if len(folded) not in (2, 3) or not _are_positive_ints(folded):
            raise ValueError(
                f"image_shape of {type(backbone).__name__} must be (height, width) or (channels, "
                f"height, width), positive ints, got {given!r}"
            )
        if math.prod(folded) != math.prod(sample_shape):
            raise ValueError(
                f"image_shape={folded} of the backbone holds {math.prod(folded)} values, but a "
                f"sample of X has {math.prod(sample_shape)} (shape {tuple(sample_shape)})"
            )
        sample_shape = folded
    sample_shape = tuple(int(side) for side in sample_shape)
    return (1, *sample_shape) if len(sample_shape) == 2 else sample_shape


def _check_image(backbone, input_shape):
    if len(input_shape) != 3:
        raise ValueError(
            f"{type(backbone).__name__} needs images, X of shape (n, height, width) or "
            f"(n, channels, height, width), got samples of shape {tuple(input_shape)}. "
            "For flattened images give the backbone image_shape=(height, width)."
        )
    if backbone.image_shape is None and input_shape[0] > 4 >= input_shape[-1]:
        raise ValueError(
            f"X with samples of shape {tuple(input_shape)} looks like (n, height, width, "
            f"channels), but {type(backbone).__name__} reads (n, channels, height, width). Move "
            "the channels to axis 1 with np.moveaxis(X, -1, 1). If they are there already, "
            f"give the backbone image_shape={tuple(input_shape)}."
        )


def _widths(backbone, name, n_inputs, side=None, *, least=1, maps=1):
    """Widths of `least` or more layers; raises where memory does not hold their weights.

    `side` names the side of square windows, whose weights join two units. `maps` of each layer
    are mixed.
    """
    given = getattr(backbone, name)
    widths = tuple(given) if np.iterable(given) else (None,)
    if len(widths) < least or not _are_positive_ints(widths):
        raise ValueError(
            f"{name} of {type(backbone).__name__} must be a sequence of positive ints, "
            f"got {given!r}"
        )
    values = {n: getattr(backbone, n) for n in (name, side) if n}
    window = maps if side is None else values[side] ** 2
    n_weights = sum(a * b * window for a, b in itertools.pairwise((n_inputs, *widths)))
    shown = ", ".join(f"{name}={value}" for name, value in values.items())
    experts = f" and n_experts={maps}" if maps > 1 else ""
    check_memory(n_weights, f"{shown} of {type(backbone).__name__}{experts}")
    return widths


def _are_positive_ints(values):
    return all(isinstance(v, Integral) and not isinstance(v, bool) and v > 0 for v in values)
