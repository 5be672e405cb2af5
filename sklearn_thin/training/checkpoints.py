"""Finished trainings in a folder, from which a search that was killed goes on.

A file is a line of magic, a line with the SHA-256 of all bytes after it, and torch's archive of
tensors, numbers and text, which `weights_only` reads without running code. Its name is a digest of
all that the training depends on, so that a training that differs in anything finds no file.
"""

import hashlib
import io
import json
import pickle
import warnings
from dataclasses import asdict
from types import FunctionType

import joblib
import numpy
import sklearn
import torch

from sklearn_thin._pickling import pack
from sklearn_thin._saving import write_whole
from sklearn_thin._version import __version__
from sklearn_thin.training.net import new_net, tidy

MAGIC = b"sklearn_thin.checkpoint.1\n"
VERSIONS = [module.__version__ for module in (torch, numpy, sklearn)]
# packages whose code changes with their version
PACKAGES = "torch", "torchvision", "sklearn_thin", "numpy", "builtins", "collections", "functools"


# ------------------------------------------------------------------ trainings


def train_or_read(plans, folder, train):
    """`train(plans)`, or its results and seconds from the folder; finished trainings are kept.

    A loss that diverged is a result. Other errors are not kept.
    """
    key = digest(plans) if plans[0].why_alone is None else None
    if key is None:
        return train(plans)
    kept = read(folder, key)
    if kept is not None:
        nets = [_restored(*pair) for pair in zip(kept, plans, strict=True)]
        return nets, [0.0] * len(nets)
    results, seconds = train(plans)
    errors = [result for result in results if isinstance(result, Exception)]
    if all(isinstance(error, FloatingPointError) for error in errors):
        write(folder, key, [_kept(result) for result in results])
    return results, seconds


def _kept(result):
    """A net, or the error of its loss, as tensors and text."""
    if isinstance(result, FloatingPointError):
        return str(result)
    module = result.module_  # a state dict would leave out buffers that are not persistent
    tensors = dict([*module.named_parameters(), *module.named_buffers()])
    history = json.dumps([dict(epoch) for epoch in result.history])
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}, history


@torch.no_grad()
def _restored(kept, plan):
    """The net of a plan, or its error."""
    if isinstance(kept, str):
        return FloatingPointError(kept)
    (tensors, history), net = kept, new_net(plan)
    own = dict([*net.module_.named_parameters(), *net.module_.named_buffers()])
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in tensors.items()}:
        raise ValueError("it holds other tensors")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])
    net.history_ = type(net.history_)(json.loads(history))
    tidy(net, plan)
    return net


# ------------------------------------------------------------------ files


def write(folder, key, content):
    """Write tensors, numbers and text to a file that appears whole or not at all."""
    archive = io.BytesIO()
    torch.save(content, archive)
    archive = archive.getbuffer()
    digest = hashlib.sha256(archive).hexdigest().encode()
    try:
        write_whole(folder / key, (MAGIC, digest + b"\n", archive))
    except OSError as error:  # a full disk must not end a search of hours
        warnings.warn(
            f"checkpoint_dir does not keep a finished training: {error}. The search goes on.",
            RuntimeWarning,
            stacklevel=2,
        )


def read(folder, key):
    """The content of a file, or None without one; a damaged or foreign file warns."""
    start = len(MAGIC) + 65
    try:
        written = (folder / key).read_bytes()
        archive = memoryview(written)[start:]
        if written[:start] != MAGIC + hashlib.sha256(archive).hexdigest().encode() + b"\n":
            raise ValueError("its bytes are not those that were written")
        return torch.load(io.BytesIO(archive), weights_only=True, map_location="cpu")
    except FileNotFoundError:
        return None
    except Exception as error:  # a foreign file can fail anywhere
        warnings.warn(
            f"{folder / key} is not used, and its training starts anew: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


# ------------------------------------------------------------------ digests


def digest(plans, *more):
    """Name of the file of plans that train together; None where a plan cannot be compared.

    The composition of a stack counts, as sums round and dropout draws by it.
    """
    known = {}  # digests of tensors that plans share, by their memory
    try:
        parts = [_parts_of(plan, known) for plan in plans]
    except Exception as error:  # of objects' own methods, which take part in pickling
        warnings.warn(
            "checkpoint_dir does not keep a training, as it cannot be compared with another: "
            f"{error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    whole = joblib.hash([MAGIC, __version__, VERSIONS, parts, *more])
    return hashlib.sha256(whole.encode()).hexdigest() + ".stack"


def _parts_of(plan, known):
    """Texts and numbers that are equal for plans of equal trainings."""
    tensors = [*plan.train.X.items(), ("y", plan.train.y)]
    if plan.valid is not None:
        tensors += [*plan.valid.X.items(), ("y", plan.valid.y)]
    tensors += [("labels", plan.map_labels), ("weight", plan.map_weight)]
    settings = {**asdict(plan.settings), "device": str(plan.settings.device)}
    modules = []
    for module in (plan.module, plan.loss):
        skeleton, arrays = pack(module)
        Versioned(io.BytesIO()).dump(skeleton)
        modules.append(joblib.hash(skeleton))
        tensors += [(kind, torch.from_numpy(array)) for kind, (_, array) in enumerate(arrays)]
    hashes = [(name, _hash(tensor, known)) for name, tensor in tensors]
    return [settings, plan.seed, modules, hashes]


class Versioned(pickle.Pickler):
    """Refuses types and functions whose code has no version, as any helper of theirs may change."""

    def reducer_override(self, part):
        """Refuse what the pickle would name."""
        named = isinstance(part, (type, FunctionType))
        if named and part.__module__.partition(".")[0] not in PACKAGES:
            raise ValueError(f"{part.__module__}.{part.__qualname__} is code without a version")
        return NotImplemented


def _hash(tensor, known):
    """SHA-256 of the shape, type and bytes of a tensor."""
    if tensor is None:
        return ""
    key = tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
    if key not in known:
        done = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        for part in tensor.split(2**16) if tensor.ndim else [tensor]:
            done.update(part.contiguous().reshape(-1).view(torch.uint8).numpy())
        known[key] = done.hexdigest(), tensor  # which keeps its memory
    return known[key][0]
