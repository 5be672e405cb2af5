"""VGG-16 from a local file of its weights, and the paper's experts behind it.

Three layouts are read: torchvision's state dict (`features.0.weight`, `classifier.0.weight`), and
VGGFace's with the names `conv1_1.weight` or `conv_1_1.weight`, `fc6.weight`. Names may have a
prefix, such as `module.`. The widths of the layers are those of the file.
"""

import itertools
import math
import re
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_thin.modules import ExpertEnsemble
from sklearn_thin.modules.experts import uniform

BLOCKS = (2, 2, 3, 3, 3)  # convolutions in front of each pooling
CONVOLUTIONS = [f"conv{b}_{i}" for b, n in enumerate(BLOCKS, 1) for i in range(1, n + 1)]
DENSE = ["fc6", "fc7", "fc8"]
# places in torchvision's Sequential: a ReLU follows each convolution, a pooling each block
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
NAMES = dict(zip((f"features.{place}" for place in PLACES), CONVOLUTIONS, strict=True))
NAMES |= dict(zip(("classifier.0", "classifier.3", "classifier.6"), DENSE, strict=True))
EXPECTED = (
    "features.0.weight to features.28.bias (torchvision) or conv1_1.weight to conv5_3.bias "
    "(VGGFace; conv_1_1 as well), with classifier.0, .3 and .6, or fc6, fc7 and fc8, for all layers"
)
BLUE_FIRST = "VGGFace, blue first"  # converted from VGG_FACE.t7: images are blue, green, red
HIDDEN = 512  # units of a hidden layer of an expert
N_NAMED = 6  # names in a message
# mean and deviation of red, green and blue, of pixels in [0, 1]
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VGGFACE = (129.1863 / 255, 104.7624 / 255, 93.5940 / 255), (1 / 255, 1 / 255, 1 / 255)


class Weights(NamedTuple):
    """The tensors of a file by VGGFace's names, such as "conv1_1.weight"."""

    file: str
    layout: str  # "torchvision" or "VGGFace"
    tensors: dict

    @property
    def channels(self):
        """Filters of the last convolution."""
        return len(self.tensors["conv5_3.bias"])

    @property
    def n_classes(self):
        """Classes of the last dense layer; None for a file without the dense layers."""
        return len(self.tensors["fc8.bias"]) if "fc8.bias" in self.tensors else None

    def __str__(self):
        sizes = [values.numel() for name, values in self.tensors.items() if name[:4] == "conv"]
        c = f"{self.n_classes:,} classes" if self.n_classes else "no dense layers"
        return f"{self.file} ({self.layout}'s layout, {sum(sizes):,} weights of convolutions, {c})"


# ------------------------------------------------------------------------------ files


def read_weights(file):
    """The weights of a file, checked: FileNotFoundError or ValueError names its fault."""
    if not Path(file).is_file():
        raise FileNotFoundError(f"weights of VGG-16: there is no file {str(file)!r}")
    found, tensors, layouts = open_weights(file), {}, set()
    unknown = [name for name in found if own_name(name)[0] is None]
    if unknown:
        raise refused(file, f"unexpected {first(unknown)}", found)
    for name, values in found.items():
        own, layout = own_name(name)
        tensors[own] = values.float()
        layouts.add(layout)
    layouts.discard(None)
    check_tensors(file, tensors, found)
    if len(layouts) > 1 or len(tensors) < len(found):
        raise refused(file, "its names mix the layouts", found)
    (layout,) = layouts
    if layout == BLUE_FIRST:
        tensors["conv1_1.weight"] = tensors["conv1_1.weight"].flip(1)
    return Weights(str(file), layout.split(",")[0], tensors)


def open_weights(file):
    """The dict of names and tensors that a file holds."""
    with open(file, "rb") as content:
        try:
            found = torch.load(content, map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # torch.load raises a dozen types on a broken file
            raise ValueError(
                f"weights of VGG-16: {str(file)!r} is no file of torch.save with tensors alone "
                f"({type(error).__name__}: {str(error)[:200]})"
            ) from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
        raise refused(file, f"it holds a {type(found).__name__}, not names with tensors")
    return found


def own_name(name):
    """The name "conv1_1.weight" or "fc6.bias" for a file's name, or None; and its layout."""
    match = re.fullmatch(r"(?:.*\.)?((?:features|classifier)\.\d+)\.(weight|bias)", name)
    if match and match[1] in NAMES:
        return f"{NAMES[match[1]]}.{match[2]}", "torchvision"
    match = re.fullmatch(r"(?:.*\.)?(conv|fc)(_?)(\d)(_\d)?\.(weight|bias)", name)
    own = match and f"{match[1]}{match[3]}{match[4] or ''}"
    if own not in (*CONVOLUTIONS, *DENSE):
        return None, None
    if match[1] == "fc":
        return f"{own}.{match[5]}", None  # whatever the convolutions' layout
    return f"{own}.{match[5]}", BLUE_FIRST if match[2] else "VGGFace"


def check_tensors(file, tensors, found):
    """Raise ValueError unless the layers are there and fit each other."""
    lacks = [f"{c}.{part}" for c in CONVOLUTIONS for part in ("weight", "bias")]
    if any(name.startswith("fc") for name in tensors):
        lacks += [f"{layer}.{part}" for layer in DENSE for part in ("weight", "bias")]
    lacks = [name for name in lacks if name not in tensors]
    if lacks:
        raise refused(file, f"missing {first(lacks)}", found)
    width = 3
    for layer in CONVOLUTIONS:
        shape = tuple(tensors[f"{layer}.weight"].shape)
        if len(shape) != 4 or shape[1:] != (width, 3, 3):
            raise refused(file, f"{layer}.weight has the shape {shape}, not (n, {width}, 3, 3)")
        width = shape[0]
        if tensors[f"{layer}.bias"].shape != (width,):
            raise refused(file, f"{layer}.bias does not belong to {width} filters")
    if "fc6.weight" not in tensors:
        return
    shapes = [tuple(tensors[f"{layer}.weight"].shape) for layer in DENSE]
    side = math.isqrt(shapes[0][-1] // width)
    joined = all(a[0] == b[-1] for a, b in itertools.pairwise(shapes))
    joined &= all(tensors[f"{d}.bias"].shape == tensors[f"{d}.weight"].shape[:1] for d in DENSE)
    if not joined or side**2 * width != shapes[0][-1]:
        raise refused(file, f"fc6, fc7 and fc8 of the shapes {shapes} do not follow {width} maps")


def refused(file, fault, found=()):
    """The error for a file of another layout, with the expected names and the names there."""
    held = f" It holds {first(list(found))}." if found else ""
    return ValueError(
        f"{str(file)!r} holds no weights of VGG-16: {fault}. Expected {EXPECTED}.{held}"
    )


def first(names):
    """The first names in one line, and the number of the others."""
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(map(str, names[:N_NAMED])) + more


# ---------------------------------------------------------------------------- modules


class Maps(nn.Module):
    """VGG-16's convolutions, with the file's way to centre and scale the pixels.

    Shape
    -----
    - Input: (n_samples, 1 or 3, height, width) in [0, 1]; gray images are repeated three times
    - Output: (n_samples, channels · (height // 32) · (width // 32))
    """

    def __init__(self, weights):
        super().__init__()
        centre, scale = IMAGENET if weights.layout == "torchvision" else VGGFACE
        self.register_buffer("centre", torch.tensor(centre).view(3, 1, 1))
        self.register_buffer("scale", torch.tensor(scale).view(3, 1, 1))
        layers = []
        for name in CONVOLUTIONS:
            if name.endswith("_1") and layers:
                layers.append(nn.MaxPool2d(2))
            layers += [with_weights(nn.Conv2d, weights, name, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten())

    def forward(self, x):
        x = x.expand(-1, 3, -1, -1)  # (n, 3, H, W)
        return self.layers((x - self.centre) / self.scale)


def dense_layers(weights):
    """c: VGG-16's dense layers behind the flat maps of any side, in eval mode, frozen.

    The maps are averaged to the side that fc6 reads, as torchvision does.
    """
    fc6, fc7, fc8 = (with_weights(nn.Linear, weights, name) for name in DENSE)
    side = math.isqrt(fc6.in_features // weights.channels)
    c = nn.Sequential(
        SquareMaps(weights.channels),
        nn.AdaptiveAvgPool2d(side),
        nn.Flatten(),
        *(fc6, nn.ReLU(), fc7, nn.ReLU(), fc8),
    )
    return c.eval().requires_grad_(False)


class SquareMaps(nn.Module):
    """Flat maps (n, channels · side²) as (n, channels, side, side)."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, h):
        side = math.isqrt(h.shape[1] // self.channels)
        return h.unflatten(1, (self.channels, side, side))


class DeepExperts(nn.Module):
    """L classifiers of pooled maps, each with two hidden layers.

    Linear → BatchNorm → ReLU, twice, then linear. The weights of all experts are packed.

    Shape
    -----
    - Input: (n_samples, channels · side²), flat maps, which a pooling halves
    - Output: (n_samples, n_experts, n_outputs), logits
    """

    def __init__(self, channels, side, n_outputs, n_experts):
        super().__init__()
        pools = side > 1
        self.pool = nn.MaxPool2d(2) if pools else nn.Identity()
        self.square = SquareMaps(channels)
        width = channels * (side // 2 if pools else 1) ** 2
        self.first = nn.Linear(width, n_experts * HIDDEN)
        self.weight = uniform((n_experts, HIDDEN, HIDDEN), HIDDEN)
        self.norms = nn.ModuleList(nn.BatchNorm1d(n_experts * HIDDEN) for _ in range(2))
        self.last = ExpertEnsemble(HIDDEN, n_outputs, n_experts)

    def forward(self, h):
        h = self.pool(self.square(h)).flatten(1)
        h = F.relu(self.norms[0](self.first(h)))  # (n, L·hidden)
        h = h.unflatten(1, (-1, HIDDEN)).transpose(0, 1)  # (L, n, hidden)
        h = h @ self.weight.transpose(1, 2)  # the norm behind it has the bias
        h = F.relu(self.norms[1](h.transpose(0, 1).flatten(1)))
        h = h.unflatten(1, (-1, HIDDEN))  # (n, L, hidden)
        return torch.einsum("nlh,lkh->nlk", h, self.last.weight) + self.last.bias


def with_weights(kind, weights, name, *size, **options):
    """A layer of this kind with a copy of the file's weights."""
    weight, bias = (weights.tensors[f"{name}.{part}"] for part in ("weight", "bias"))
    with torch.device("meta"):  # its first weights draw no random numbers
        layer = kind(weight.shape[1], weight.shape[0], *size, **options)
    state = {"weight": weight.clone(), "bias": bias.clone()}
    layer.load_state_dict(state, assign=True)
    return layer
