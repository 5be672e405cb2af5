"""Classification networks of torchvision, with their weights."""

import difflib
from pathlib import Path

import torch

from sklearn_thin._compat import import_torchvision
from sklearn_thin.modules import TorchvisionFeatures


def check_name(name):
    """Raise ValueError for a name that torchvision has no classification network of."""
    models = import_torchvision().models
    known = models.list_models(module=models)
    if name in known:
        return
    close = difflib.get_close_matches(name, ["auto", *known])
    hint = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
    raise ValueError(
        f"backbone={name!r} is not known.{hint} It must be 'auto', the name of a "
        "torchvision classifier such as 'resnet18', a backbone object such as "
        "ConvNetBackbone(), a torch.nn.Module, or a callable from an input shape to a module."
    )


def load_network(name, weights):
    """The network of that name without its last layer; `weights` as in TorchvisionBackbone."""
    models = import_torchvision().models
    if weights is None:
        return TorchvisionFeatures(models.get_model(name))
    if isinstance(weights, str) and not Path(weights).suffix:
        network = models.get_model(name, weights=weights)
    else:
        network = models.get_model(name)
        _load_weights(network, weights)
    return TorchvisionFeatures(network, normalize=True)


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
