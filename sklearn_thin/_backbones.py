"""Backbone objects -> torch modules.

They are estimators only because of `get_params`: a grid search can then tune
`backbone__channels` or `backbone__hidden_layer_sizes`.
"""

import itertools
import math
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

from sklearn_thin._environment import check_memory
from sklearn_thin._torchvision import check_name, load_network
from sklearn_thin.modules import MLP, ConvNet, GatedMLP

__all__ = ["ConvNetBackbone", "MLPBackbone", "TorchvisionBackbone"]


class MLPBackbone(BaseEstimator):
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

    Examples
    --------
    >>> from sklearn_thin import MLPBackbone
    >>> MLPBackbone(hidden_layer_sizes=(128, 64))
    MLPBackbone(hidden_layer_sizes=(128, 64))
    """

    def __init__(self, hidden_layer_sizes=(256, 256), dropout=0.0, modulation_dropout=0.0):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.modulation_dropout = modulation_dropout

    def build(self, input_shape):
        """Module for rows of `input_shape`. Images are flattened first."""
        in_features = math.prod(input_shape)
        widths = _widths(self, "hidden_layer_sizes", in_features, least=0)
        module = MLP(in_features, widths, self._dropouts()[0])
        return module if len(input_shape) == 1 else nn.Sequential(nn.Flatten(), module)

    def build_gated(self, input_shape, n_experts, gate_features):
        """The same layers, each of `n_experts` maps that the gate mixes."""
        in_features = math.prod(input_shape)
        more = {"least": 0, "maps": n_experts}
        widths = _widths(self, "hidden_layer_sizes", in_features, **more)
        return GatedMLP(in_features, widths, n_experts, gate_features, *self._dropouts())

    def _dropouts(self):
        return _dropout(self), _dropout(self, "modulation_dropout")


class ConvNetBackbone(BaseEstimator):
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

    def __init__(
        self,
        channels=(16, 16),
        kernel_size=3,
        pool=2,
        dropout=0.0,
        image_shape=None,
        hidden_layer_sizes=(256,),
    ):
        self.channels = channels
        self.kernel_size = kernel_size
        self.pool = pool
        self.dropout = dropout
        self.image_shape = image_shape
        self.hidden_layer_sizes = hidden_layer_sizes

    def build(self, input_shape):
        """Module for images of `input_shape`, (channels, height, width)."""
        n_features, widths = self._sizes(input_shape)
        if not widths:
            return self._stem(input_shape, _dropout(self))
        hidden = MLP(n_features, widths, _dropout(self))
        return nn.Sequential(self._stem(input_shape), hidden)

    def build_gated(self, input_shape, n_experts, gate_features):
        """The same network; each linear block has `n_experts` maps that the gate mixes."""
        n_features, widths = self._sizes(input_shape, n_experts)
        stem = self._stem(input_shape, 0.0 if widths else _dropout(self))
        return GatedMLP(n_features, widths, n_experts, gate_features, _dropout(self), stem=stem)

    def _stem(self, input_shape, dropout=0.0):
        return ConvNet(input_shape[0], self.channels, self.kernel_size, self.pool, dropout)

    def _sizes(self, input_shape, n_experts=1):
        """Width of the convolutions' output, and widths of the linear blocks, checked."""
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
        more = {"least": 0, "maps": n_experts}
        return n_features, _widths(self, "hidden_layer_sizes", n_features, **more)


class TorchvisionBackbone(BaseEstimator):
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

    def __init__(self, name="resnet18", weights=None, image_shape=None):
        self.name = name
        self.weights = weights
        self.image_shape = image_shape

    def build(self, input_shape):
        """Module for images of `input_shape`, (1 or 3, height, width)."""
        check_name(self.name)
        _check_image(self, input_shape)
        return load_network(self.name, self.weights)


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
    if getattr(backbone, "image_shape", None) is not None:
        folded = _checked_image_shape(backbone)
        if math.prod(folded) != math.prod(sample_shape):
            raise ValueError(
                f"image_shape={folded} of the backbone holds "
                f"{math.prod(folded)} values, but a sample of X has "
                f"{math.prod(sample_shape)} (shape {tuple(sample_shape)})"
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


def _checked_image_shape(backbone):
    folded = backbone.image_shape
    sides = tuple(folded) if np.iterable(folded) else ()
    if len(sides) not in (2, 3) or not _are_positive_ints(sides):
        raise ValueError(
            f"image_shape of {type(backbone).__name__} must be (height, width) or (channels, "
            f"height, width), positive ints, got {folded!r}"
        )
    return sides


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


def _dropout(backbone, name="dropout"):
    dropout = getattr(backbone, name)
    if not (isinstance(dropout, Real) and 0 <= dropout < 1):
        raise ValueError(
            f"{name} of {type(backbone).__name__} must be a number in [0, 1), got {dropout!r}"
        )
    return dropout


def _are_positive_ints(values):
    return all(isinstance(v, Integral) and not isinstance(v, bool) and v > 0 for v in values)
