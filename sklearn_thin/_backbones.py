"""The user's `backbone` parameter -> a torch module and the width of its output.

The specifications are estimators only because of `get_params`: a grid search can then tune
`backbone__channels` or `backbone__hidden_layer_sizes`.
"""

import difflib
import itertools
import math
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from sklearn_thin._compat import import_torchvision
from sklearn_thin._environment import check_memory, torch_seed
from sklearn_thin._pickling import copied
from sklearn_thin._sharing import shared
from sklearn_thin.modules import MLP, ConvNet, TorchvisionFeatures

__all__ = ["ConvNetBackbone", "MLPBackbone", "TorchvisionBackbone", "build_backbone"]


class MLPBackbone(BaseEstimator):
    """Backbone for tables: linear → BatchNorm → ReLU blocks.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(256, 256)
        Width of each block. The last width is that of h_endo.
    dropout : float, default=0.0
        Probability of zeroing a unit after each block, in [0, 1).

    Examples
    --------
    >>> from sklearn_thin import MLPBackbone
    >>> MLPBackbone(hidden_layer_sizes=(128, 64))
    MLPBackbone(hidden_layer_sizes=(128, 64))
    """

    def __init__(self, hidden_layer_sizes=(256, 256), dropout=0.0):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout

    def build(self, input_shape):
        """Module for rows of `input_shape`. Images are flattened first."""
        in_features = math.prod(input_shape)
        widths = _widths(self, "hidden_layer_sizes")
        _check_weights(self, "hidden_layer_sizes", (in_features, *widths))
        module = MLP(in_features, widths, _dropout(self))
        return module if len(input_shape) == 1 else nn.Sequential(nn.Flatten(), module)


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
        _check_image(self, input_shape)
        channels = _widths(self, "channels")
        for name in ("kernel_size", "pool"):
            if not _is_positive_int(getattr(self, name)):
                raise ValueError(
                    f"{name} of ConvNetBackbone must be a positive int, got {getattr(self, name)!r}"
                )
        shrunk = self.pool ** len(channels)
        if min(input_shape[1:]) < shrunk:
            raise ValueError(
                f"images of shape {tuple(input_shape)} are too small for {len(channels)} "
                f"poolings of {self.pool}: at least {shrunk} pixels a side are needed. "
                "Use fewer channels or pool=1."
            )
        sizes = (input_shape[0], *channels)
        _check_weights(self, "channels and kernel_size", sizes, self.kernel_size**2)
        settings, dropout = (channels, self.kernel_size, self.pool), _dropout(self)
        if np.iterable(self.hidden_layer_sizes) and not len(self.hidden_layer_sizes):
            return ConvNet(input_shape[0], *settings, dropout)
        n_features = channels[-1] * math.prod(side // shrunk for side in input_shape[1:])
        widths = _widths(self, "hidden_layer_sizes")
        _check_weights(self, "hidden_layer_sizes", (n_features, *widths))
        hidden = MLP(n_features, widths, dropout)
        return nn.Sequential(ConvNet(input_shape[0], *settings), hidden)


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
        models = import_torchvision().models
        known = models.list_models(module=models)
        if self.name not in known:
            raise ValueError(_unknown_name(self.name, known))
        _check_image(self, input_shape)
        if self.weights is None:
            return TorchvisionFeatures(models.get_model(self.name))
        if isinstance(self.weights, str) and not Path(self.weights).suffix:
            network = models.get_model(self.name, weights=self.weights)
        else:
            network = models.get_model(self.name)
            _load_weights(network, self.weights)
        return TorchvisionFeatures(network, normalize=True)


def folds_images(backbone):
    """Whether the backbone folds rows of X into images."""
    return getattr(backbone, "image_shape", None) is not None


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
    if folds_images(backbone):
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


def build_backbone(backbone, input_shape):
    """Build the module of a backbone and measure the width of its output.

    Parameters
    ----------
    backbone : {"auto"}, str, specification, Module or callable
        See `THINClassifier`.
    input_shape : tuple of int
        (features,) or (channels, height, width).

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
    module = _resolve(backbone, input_shape)
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"backbone must give a torch.nn.Module for inputs of shape {input_shape}, "
            f"got {type(module).__name__} from {backbone!r}"
        )
    module = nn.Sequential(module, nn.Flatten()).cpu()
    try:
        with torch.no_grad():
            width = module.eval()(torch.zeros(2, *input_shape)).shape[1]
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
    n_leaves, n_classes, hidden = 2**depth, len(estimator.classes_), int(estimator.hidden_units)
    n_experts = n_leaves if n_experts is None else int(n_experts)
    units = -(-hidden // n_experts)  # dealt, so that L does not change the size
    n_weights = n_experts * (units * width + n_classes * (units or width) + n_leaves)
    check_memory(n_weights, f"{n_experts=} and hidden_units={hidden} for {n_classes} classes")
    return n_experts, units


def _resolve(backbone, input_shape):
    if isinstance(backbone, str):
        if backbone == "auto":
            backbone = MLPBackbone() if len(input_shape) == 1 else ConvNetBackbone()
        else:
            backbone = TorchvisionBackbone(backbone)
    if isinstance(backbone, nn.Module):
        return copied(backbone)
    if isinstance(backbone, type) and hasattr(backbone, "build"):
        raise TypeError(f"backbone must be an object, such as {backbone.__name__}(), not its class")
    if hasattr(backbone, "build"):
        return backbone.build(input_shape)
    return backbone(input_shape)


def _check_image(backbone, input_shape):
    if len(input_shape) != 3:
        raise ValueError(
            f"{type(backbone).__name__} needs images, X of shape (n, height, width) or "
            f"(n, channels, height, width), got samples of shape {tuple(input_shape)}. "
            "For flattened images give the backbone image_shape=(height, width)."
        )
    if not folds_images(backbone) and input_shape[0] > 4 >= input_shape[-1]:
        raise ValueError(
            f"X with samples of shape {tuple(input_shape)} looks like (n, height, width, "
            f"channels), but {type(backbone).__name__} reads (n, channels, height, width). Move "
            "the channels to axis 1 with np.moveaxis(X, -1, 1). If they are there already, "
            f"give the backbone image_shape={tuple(input_shape)}."
        )


def _checked_image_shape(backbone):
    folded = backbone.image_shape
    sides = tuple(folded) if np.iterable(folded) else ()
    if len(sides) not in (2, 3) or not all(map(_is_positive_int, sides)):
        raise ValueError(
            f"image_shape of {type(backbone).__name__} must be (height, width) or (channels, "
            f"height, width), positive ints, got {folded!r}"
        )
    return sides


def _widths(backbone, name):
    widths = getattr(backbone, name)
    widths = tuple(widths) if np.iterable(widths) else ()
    if not widths or not all(map(_is_positive_int, widths)):
        raise ValueError(
            f"{name} of {type(backbone).__name__} must be a sequence of positive ints, "
            f"got {getattr(backbone, name)!r}"
        )
    return widths


def _check_weights(backbone, names, sizes, window=1):
    """Raise for layers of more weights than memory holds; `window` weights join two units."""
    n_weights = sum(a * b * window for a, b in itertools.pairwise(sizes))
    values = ", ".join(f"{name}={getattr(backbone, name)}" for name in names.split(" and "))
    check_memory(n_weights, f"{values} of {type(backbone).__name__}")


def _dropout(backbone):
    dropout = backbone.dropout
    if not (isinstance(dropout, Real) and 0 <= dropout < 1):
        raise ValueError(
            f"dropout of {type(backbone).__name__} must be a number in [0, 1), got {dropout!r}"
        )
    return dropout


def _is_positive_int(value):
    return isinstance(value, Integral) and not isinstance(value, bool) and value > 0


def _load_weights(network, file):
    """Load the weights of a torchvision network from a file, or name the file's fault."""
    if not Path(file).is_file():
        raise FileNotFoundError(f"weights of the backbone: there is no file {str(file)!r}")
    with open(file, "rb") as content:  # outside of the try: a forbidden file is not broken
        try:
            network.load_state_dict(torch.load(content, map_location="cpu", weights_only=True))
        except MemoryError:
            raise
        except Exception as error:  # torch.load raises a dozen types on a broken file
            raise ValueError(
                f"weights of the backbone: {str(file)!r} does not hold a state dict of "
                f"torchvision's {type(network).__name__} ({type(error).__name__}: {error})"
            ) from error


def _unknown_name(name, known):
    close = difflib.get_close_matches(name, ["auto", *known])
    hint = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
    return (
        f"backbone={name!r} is not known.{hint} It must be 'auto', the name of a "
        "torchvision classifier such as 'resnet18', a backbone object such as "
        "ConvNetBackbone(), a torch.nn.Module, or a callable from an input shape to a module."
    )
