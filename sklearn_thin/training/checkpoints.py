"""Trainings in a folder: their results, and states on the way, from which killed ones go on.

A file is a line of magic, a line with the SHA-256 of all bytes after it, and torch's archive of
tensors, numbers and text, which `weights_only` reads without running code. Its name is a digest of
all that the training depends on, so that a training that differs in anything finds no file.
"""

import hashlib
import io
import pickle
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict
from time import perf_counter
from types import FunctionType

import joblib
import numpy
import sklearn
import skorch
import torch

from sklearn_thin._environment import torch_seed
from sklearn_thin._pickling import pack
from sklearn_thin._saving import check_signed, signed
from sklearn_thin._version import __version__
from sklearn_thin._writing import write_whole

MAGIC = b"sklearn_thin.checkpoint.2\n"
VERSIONS = [module.__version__ for module in (torch, numpy, sklearn, skorch)]
# packages whose code changes with their version
PACKAGES = "torch", "torchvision", "sklearn_thin", "numpy", "builtins", "collections", "functools"
PACKAGES += "sklearn", "skorch", "scipy", "pandas", "polars"
# what NumPy's numbers are made of, as rates and numbers of epochs may be such
NUMBERS = [numpy.dtype, numpy.float64(0).__reduce__()[0]]
NUMBERS += [type(numpy.dtype(kind)) for kind in "?bhilqBHILQefd"]
SECONDS = 10.0  # of training, at least, between two states
SHARE = 20  # times as long as the writing of a state, at least, is the training between two


# ------------------------------------------------------------------ a training


class Kept:
    """Files of one training: its result, and on the way the states after two of its epochs."""

    def __init__(self, folder, plans):
        self.folder = folder
        self.key = digest(plans)  # None where nothing is kept
        self.device = plans[0].settings.device
        self.written, self.seconds = perf_counter(), 0.0  # end and length of the last writing

    def result(self):
        """The content of a finished training, or None."""
        return read(self.folder, f"{self.key}.stack")

    def finish(self, content):
        """Keep the result, and remove the states."""
        if write(self.folder, f"{self.key}.stack", content):
            remove(self.states())

    def newest(self):
        """The newest state that can be read, or None; torch's generators go on from it."""
        for path in reversed(self.states()):
            kept = read(self.folder, path.name)
            if kept is not None:
                torch.set_rng_state(kept["generators"][0])
                if self.device.type != "cpu":
                    module = torch.get_device_module(self.device)
                    module.set_rng_state(kept["generators"][1], self.device)
                return kept["state"]
        return None

    def epoch_ended(self, epoch, state):
        """Keep `state()`, if the last one is old enough, and the one before."""
        start = perf_counter()
        if start - self.written < max(SECONDS, SHARE * self.seconds):
            return
        generators = [torch.get_rng_state()]
        if self.device.type != "cpu":
            generators.append(torch.get_device_module(self.device).get_rng_state(self.device))
        content = {"state": state(), "generators": generators}
        write(self.folder, f"{self.key}.{epoch:09d}.epoch", content)
        remove(self.states()[:-2])
        self.written = perf_counter()
        self.seconds = self.written - start

    def states(self):
        """Paths of the states, by their epochs."""
        return sorted(self.folder.glob(f"{self.key}.*.epoch"))


# ------------------------------------------------------------------ files


def write(folder, name, content):
    """Write tensors, numbers and text to a file that appears whole; whether it was written."""
    archive = io.BytesIO()
    torch.save(content, archive)
    try:
        write_whole(folder / name, signed(MAGIC, archive.getbuffer()))
    except OSError as error:  # a full disk must not end a training of hours
        warnings.warn(
            f"checkpoint_dir does not keep a training: {error}. The training goes on.",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def read(folder, name):
    """The content of a file, or None without one; a damaged or foreign file is set aside."""
    path = folder / name
    try:
        with open(path, "rb") as file, torch.serialization.safe_globals(NUMBERS):
            check_signed(file, MAGIC)
            return torch.load(io.BytesIO(file.read()), weights_only=True, map_location="cpu")
    except FileNotFoundError:
        return None
    except Exception as error:  # a foreign file can fail anywhere
        aside = ""
        if not isinstance(error, OSError):  # which another try may not meet
            with suppress(OSError):
                path.replace(f"{path}.spoilt")
                aside = f" It is now {name}.spoilt."
        warnings.warn(
            f"{path} is not used, and its training starts from an older state, or anew: "
            f"{error}{aside}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def remove(paths):
    """Delete files; an equal training beside this one may have done so."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


# ------------------------------------------------------------------ digests


def digest(plans):
    """Name of the files of plans that train together; None where a plan cannot be compared.

    The composition of a stack counts, as sums round and dropout draws by it.
    """
    known = {}  # digests of tensors that plans share, by their memory
    try:
        parts = [_parts_of(plan, known) for plan in plans]
    except Exception as error:  # of objects' own methods, which take part in pickling
        warnings.warn(
            "checkpoint_dir does not keep a training, which starts anew if it is killed, as it "
            f"cannot be compared with another: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    whole = joblib.hash([MAGIC, __version__, VERSIONS, parts])
    return hashlib.sha256(whole.encode()).hexdigest()


def _parts_of(plan, known):
    """Texts and numbers that are equal for plans of equal trainings."""
    if plan.callbacks or plan.followers:
        raise ValueError("its callbacks hold states of any kind")
    settings = {**asdict(plan.settings), "device": str(plan.settings.device)}
    parts, tensors = [_hash_of(settings), plan.seed, plan.keeps_optimizer], _rows_of(plan)
    for module in (plan.module, plan.loss):
        skeleton, arrays = pack(module)
        layers = map(vars, skeleton.modules())
        if any(torch.is_tensor(value) for layer in layers for value in layer.values()):
            raise ValueError("a hook computes weights of the network")
        parts.append(_hash_of(skeleton))
        tensors += [(kind, torch.from_numpy(array)) for kind, (_, array) in enumerate(arrays)]
    if plan.augmentation is not None:
        parts += [_versions(plan.augmentation.side), _hash_of(plan.augmentation.augment)]
        tensors += _augmented(plan).items()
    if plan.before is not None:
        epochs, term = plan.before.history, getattr(plan.before.criterion_, "term", None)
        parts.append([{k: v for k, v in epoch.items() if k != "dur"} for epoch in epochs])
        with_state = [part for part in (plan.before.optimizer_, term) if part is not None]
        tensors += _flat([part.state_dict() for part in with_state])
    return [*parts, [(name, _hash(tensor, known)) for name, tensor in tensors]]


def _rows_of(plan):
    """Names and tensors of all rows that a training reads."""
    parts = [part for part in (plan.train, plan.valid) if part is not None]
    tensors = [pair for part in parts for pair in [*part.X.items(), ("y", part.y)]]
    return [*tensors, ("labels", plan.map_labels), ("weight", plan.map_weight)]


def _augmented(plan):
    """A batch by the augmentation, with the frozen side's outputs: they differ where sides do."""
    batch = {name: rows[:8] for name, rows in plan.train.X.items()}
    with torch_seed(plan.seed, torch.device("cpu")):
        return plan.augmentation(batch)


def _flat(value, name=""):
    """Names and values of nested dicts and lists; other values than tensors are texts."""
    if isinstance(value, dict):
        value = value.items()
    elif not isinstance(value, (list, tuple)):
        return [(name, value)] if torch.is_tensor(value) else [(f"{name} {value!r}", None)]
    else:
        value = enumerate(value)
    return [pair for key, part in value for pair in _flat(part, f"{name}.{key}")]


def _hash_of(part):
    """Hash of an object, and of the versions of the packages whose code it names."""
    return joblib.hash([part, _versions(part)])


def _versions(part):
    """Names and versions of the packages whose code a pickle of the object names."""
    pickler = Versioned(io.BytesIO())
    pickler.dump(part)
    return [(n, getattr(sys.modules[n], "__version__", "")) for n in sorted(pickler.packages)]


class Versioned(pickle.Pickler):
    """Refuses types and functions whose code has no version, as any helper of theirs may change."""

    def __init__(self, file):
        super().__init__(file)
        self.packages = set()

    def reducer_override(self, part):
        """Refuse what the pickle would name."""
        if isinstance(part, (type, FunctionType)):
            package = part.__module__.partition(".")[0]
            if package not in PACKAGES:
                raise ValueError(f"{part.__module__}.{part.__qualname__} is code without a version")
            self.packages.add(package)
        return NotImplemented


def _hash(tensor, known):
    """SHA-256 of the shape, type and bytes of a tensor."""
    if tensor is None:
        return ""
    key = tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
    if key not in known:
        done = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        for part in tensor.split(2**16) if tensor.ndim else [tensor]:
            done.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        known[key] = done.hexdigest(), tensor  # which keeps its memory
    return known[key][0]
