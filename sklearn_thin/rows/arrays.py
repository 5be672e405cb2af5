"""Rows: read from what users pass, converted, taken in parts; in a file if they are large."""

import math
import os
import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from functools import lru_cache
from mmap import mmap
from tempfile import TemporaryFile, gettempdir
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples
from skorch.dataset import Dataset as Tensors
from torch.utils.data import Dataset

from sklearn_thin._environment import is_out_of_memory, out_of_memory
from sklearn_thin._sharing import MEMO, Itself, shared
from sklearn_thin.rows.columns import NUMBERS, refuse_lazy
from sklearn_thin.rows.labels import as_array, check_weights, encode_groups, row_weights

BLOCK = 4096  # rows that are copied or transformed together
BLOCK_BYTES = 2**24  # bytes that are read together from arrays of other libraries
# inputs and outputs of products that show how few rows are rounded
ROUNDED = ((3, 24), (9, 29), (30, 18), (64, 35), (32, 43), (64, 67), (30, 100), (256, 32))
IN_MEMORY = 2**28  # most bytes of a copy, or of outputs, in memory; more go to a file


def read_dataset(X, y=None, *, verbose=0):
    """Rows and labels of a torch data set, each item fetched once; other X and y as they are.

    Items are x, (x,) or (x, label), with x a tensor or an array of one shape and type. The rows
    become uint8 or float32, in a temporary file if they are large. `y` None takes the labels of
    the data set. Sparse matrices become CSR, as other formats cannot be indexed by rows. Arrays of
    other libraries become NumPy's.
    """
    if not isinstance(X, Dataset):
        y = y if y is None or isinstance(y, np.ndarray) else as_numpy(y)
        if isinstance(X, np.ndarray):
            return X, y
        return X.tocsr() if hasattr(X, "tocsr") else as_numpy(X), y
    if not hasattr(X, "__len__"):
        raise TypeError(
            f"a data set must have a length, to be read in random order, got {type(X).__name__}"
        )
    if not len(X):
        raise ValueError(f"the data set {type(X).__name__} has no items")
    from tqdm.auto import tqdm  # late: a notebook loads its widgets, most rows are arrays

    rows, labels = None, []
    for i in tqdm(range(len(X)), desc="reading the data set", disable=not verbose):
        x, label = split_item(X[i], i)
        if rows is None:
            kind = x.shape, x.dtype
            dtype = np.uint8 if x.dtype == np.uint8 else np.float32
            rows = room_for("the data set", (len(X), *x.shape), dtype)
        if (x.shape, x.dtype) != kind:
            raise ValueError(
                f"items of the data set must be of one shape and type, but item {i} has shape "
                f"{x.shape} and type {x.dtype}, and item 0 {kind[0]} and {kind[1]}"
            )
        rows[i] = x
        labels.append(label)
    if y is None and labels[0] is not None:
        y = as_array(labels, "y")
    return rows, y


def as_numpy(array):
    """An array of a library such as h5py, read in blocks into one of NumPy; others as they are.

    HDF5 takes rows in increasing order alone. A large array goes into a temporary file.
    """
    if hasattr(array, "collect"):
        refuse_lazy(array)
    dtype, shape = getattr(array, "dtype", None), getattr(array, "shape", ())
    known = isinstance(array, (np.ndarray, np.generic)) or not isinstance(dtype, np.dtype)
    if known or not shape or hasattr(array, "to_numpy") or hasattr(array, "tocsr"):
        return array
    if dtype.hasobject or not all(isinstance(length, int) for length in shape):
        return np.asarray(array)
    step = max(1, BLOCK_BYTES // max(1, dtype.itemsize * math.prod(shape[1:])))
    return _copied(array, dtype, step)


def split_item(item, i):
    """x as an array, and the label or None, of an item of a data set."""
    parts = item if isinstance(item, (tuple, list)) else (item,)
    x, label = (*parts, None, None)[:2]
    if len(parts) > 2 or not isinstance(x, (np.ndarray, torch.Tensor)):
        picture = type(x).__module__.startswith("PIL.")
        hint = "; transform it by torchvision's v2.PILToTensor()" if picture else ""
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise TypeError(
            "items of a data set must be x, (x,) or (x, label) with x a tensor or an array, but "
            f"item {i} is ({kinds}){hint}"
        )
    x = x.numpy(force=True) if isinstance(x, torch.Tensor) else x
    if x.dtype.kind not in NUMBERS:
        raise TypeError(f"x must hold real numbers, but that of item {i} has type {x.dtype}")
    if isinstance(label, (torch.Tensor, np.ndarray)):
        if np.prod(label.shape) != 1:
            raise ValueError(
                "labels of a data set must be single values, but that of item "
                f"{i} has shape {tuple(label.shape)}"
            )
        label = label.item()
    return x, label


@dataclass
class Rows:
    """Rows of X, with the labels and weights of each row."""

    raw: Any  # as the user passed them, for the transformers
    x: np.ndarray | None  # the backbone's input; None until `endogenous` is fitted
    y: np.ndarray  # class codes, (n,), or numbers, (n, n_outputs)
    weight: np.ndarray | None = None  # sample weights, (n,)
    groups: np.ndarray | None = None  # rows that early stopping holds out together, (n,)
    target: Any = None  # exogenous labels, (n,) or (n, n_exogenous)
    index: np.ndarray | None = None  # places among all rows of X, (n,)

    def __getitem__(self, index):
        parts = {f.name: take(getattr(self, f.name), index) for f in fields(self) if f.name != "x"}
        one = isinstance(self.raw, np.ndarray) and self.x is not None
        one = one and np.may_share_memory(self.raw, self.x)
        return Rows(x=parts["raw"] if one else take(self.x, index), **parts)

    def tensors(self, net, *, mean_one=True, **frozen):
        """A data set for a training of the net, with the `frozen` tensors of the rows.

        `mean_one` as in :func:`row_weights`.
        """
        X = {**frozen, "x": as_tensor(self.x, net.module_input_shape_)}
        if net.class_weight is not None or self.weight is not None:
            classes = None if net.class_weight is None else net.targets_.classes
            given = net.class_weight, self.y, classes, self.weight
            X["weight"] = torch.from_numpy(row_weights(*given, mean_one=mean_one))
        return Tensors(X, torch.from_numpy(self.y))


def read_rows(
    net,
    X,
    y,
    targets,
    *,
    sample_weight=None,
    groups=None,
    target=None,
    reset=True,
    part="",
    **announced,
):
    """Checked Rows of a net, whose `targets` are `Classes` or `Numbers`.

    `reset` sets targets, shape and names of the net; `part` ends names in errors.
    """
    with naming("X_val") if part else nullcontext():
        x = net.input_.check(X, net, reset=reset)
    if y is None:
        name = type(net).__name__
        raise ValueError(f"{name} requires y to be passed, but the target y is None")
    given = y, _num_samples(X), None if reset else net.targets_
    names = {"name": f"y{part}", "rows": f"X{part}"}
    net.targets_, y = targets.read(*given, **names, **announced)
    groups = None if groups is None else encode_groups(groups, len(y))
    weight = None if sample_weight is None else check_weights(sample_weight, y)
    rows = Rows(X, x, y, weight, groups, target, index=np.arange(len(y)))
    if weight is None or weight.all():
        return rows
    # rows of weight zero must not count in BatchNorm's statistics either
    return rows[np.flatnonzero(weight)]


def read_held_out(net, X_val, y_val, targets):
    """Checked Rows that the user holds out."""
    if X_val is not None:
        X_val, y_val = read_dataset(X_val, y_val, verbose=net.verbose)
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be passed together, got only one of them")
    return read_rows(net, X_val, y_val, targets, reset=False, part="_val")


@contextmanager
def naming(name):
    """Put a name in front of a ValueError in the block."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def converted(X, dtypes):
    """An array of numbers in C order, and float32 unless of `dtypes`; other X as they are.

    Plans of one search share a conversion. scikit-learn's checks convert other small arrays.
    """
    numbers = isinstance(X, np.ndarray) and X.dtype.kind in NUMBERS
    fits = numbers and X.dtype in dtypes
    if not numbers or (fits and X.flags.c_contiguous):
        return X
    dtype = X.dtype if fits else np.dtype(np.float32)
    if MEMO.get() is not None and MEMO.get().owner is not None:
        return shared(("converted", Itself(X), dtype.str), lambda: _copied(X, dtype))
    if X.size * 4 <= IN_MEMORY:
        return X
    return _copied(X, dtype)


def _copied(X, dtype, step=BLOCK):
    rows = room_for("a copy of rows", X.shape, dtype)
    for start in range(0, X.shape[0], step):
        rows[start : start + step] = X[start : start + step]
    return rows


def room_for(what, shape, dtype=np.float32):
    """An empty array for `what`; a large one lies in a temporary file as long as it exists."""
    n_bytes = np.dtype(dtype).itemsize * int(np.prod(shape))
    if n_bytes <= IN_MEMORY:
        return np.empty(shape, dtype)
    try:
        with TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):  # a full disk is an error now, a crash later
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            file.truncate(n_bytes)
            # joblib's workers would look for an np.memmap by its name, and the file has none
            return np.ndarray(tuple(shape), dtype, buffer=mmap(file.fileno(), n_bytes))
    except OSError as error:
        raise OSError(
            error.errno,
            f"no room for {what}: {shape[0]} rows need {n_bytes / 1e6:.0f} MB in {gettempdir()}, "
            f"but {error.strerror}. Set TMPDIR to a folder with more room",
        ) from error


def take(rows, index):
    """Rows of an array, a frame or None, by index or mask; a large copy lies in a file."""
    if rows is None:
        return None
    if not isinstance(rows, np.ndarray) or isinstance(index, slice) or rows.dtype.hasobject:
        return _safe_indexing(rows, index)
    index = np.asarray(index)
    index = np.flatnonzero(index) if index.dtype == bool else index
    taken = room_for("a copy of rows", (len(index), *rows.shape[1:]), rows.dtype)
    for start in range(0, len(index), BLOCK):
        part = slice(start, start + BLOCK)
        taken[part] = rows[index[part]]
    return taken


def infer_rows(function, blocks, n_rows, device, values=0):
    """`function(**block)` over blocks of tensors, as an array; the block bounds the memory.

    `blocks` are dicts of tensors, of `n_rows` rows together. `values` is the number of values that
    the function holds for each row.
    """
    whole, done, halved = None, 0, False
    cpu = torch.device(device).type == "cpu"
    fewest = fewest_rows(torch.get_num_threads()) if cpu else math.inf
    for tensors in blocks:
        first, start = next(iter(tensors.values())), 0
        size = block_rows(first, device, values) >> halved
        while start < len(first):
            size = min(size, max(fewest, 1 << (len(first) - start - 1).bit_length()))
            rows = {name: tensor[start : start + size] for name, tensor in tensors.items()}
            try:
                with torch.inference_mode():
                    block = {name: _block(part, size, device) for name, part in rows.items()}
                    try:
                        part = function(**block)
                    except RuntimeError as error:  # a user's module may need rows without gaps
                        if is_out_of_memory(error):
                            raise
                        block = {name: _block(part, size, device) for name, part in rows.items()}
                        part = function(**{n: part.contiguous() for n, part in block.items()})
                part = part[: len(first) - start].cpu().numpy()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                warn_of_halving(error, size, device, halved)
                halved, size, block = True, size // 2, None
                continue  # behind the handler, which keeps the memory
            if whole is None:
                whole = np.empty((n_rows, *part.shape[1:]), part.dtype)
            whole[done : done + len(part)] = part
            done, start = done + len(part), start + size
    return whole


def warn_of_halving(error, size, device, halved):
    """Warn that blocks of `size` rows do not fit into memory; raise if they are halves already."""
    lack = f"{device} has too little memory for blocks of {size} rows"
    if halved:
        advice = "Free memory on it, or predict on another device: load(path, device='cpu')"
        raise out_of_memory(error, f"{lack} of X. {advice}") from None
    warnings.warn(
        f"{lack}, trying {size // 2}. The outputs may differ in their last bits.",
        RuntimeWarning,
        stacklevel=3,
    )


def block_rows(rows, device, values=0):
    """Rows of every block, by the width of the rows and `values`, and never by their number.

    Libraries choose kernels, and deal rows to threads, by the shape of a matrix product. Kernels
    round differently. In products of one shape a row gets the same bits beside any other rows. A
    power of two leaves no rows over for other kernels.
    """
    cpu = torch.device(device).type == "cpu"
    most, read, held = (128, 2**16, 2**22) if cpu else (4096, 2**20, 2**26)
    fitting = min(read // max(1, math.prod(rows.shape[1:])), held // max(1, values))
    size = min(most, max(16, fitting))
    return 1 << (size.bit_length() - 1)


@lru_cache
def fewest_rows(n_threads):
    """Rows of the smallest block that this processor rounds as a block of 128 rows.

    Several threads divide a product. Where they divide its columns, some kernels round the rest of
    a division differently. Products of `ROUNDED` show it. torch has `n_threads`, the cache's key.
    """
    random = np.random.RandomState(0)
    fewest, whole = 16, 128
    for n_in, n_out in ROUNDED:
        shapes = (4, whole, n_in), (4, n_in, n_out), (4, 1, n_out)
        x, weights, bias = (
            torch.from_numpy(random.standard_normal(shape).astype(np.float32)) for shape in shapes
        )
        layer, experts = torch.addmm(bias[0], x[0], weights[0]), torch.baddbmm(bias, x, weights)
        while fewest < whole:
            few = x[:, :fewest].clone()
            same = torch.equal(torch.addmm(bias[0], few[0], weights[0]), layer[:fewest])
            if same and torch.equal(torch.baddbmm(bias, few, weights), experts[:, :fewest]):
                break
            fewest *= 2
    return fewest


class NonFiniteRowsError(ValueError):
    """Outputs of some rows are infinite or NaN."""

    def __init__(self, name, count, first):
        super().__init__(name, count, first)  # for pickles
        self.name, self.count, self.first = name, count, first

    def after(self, n_rows):
        """The same error where `n_rows` rows come before the block."""
        return NonFiniteRowsError(self.name, self.count, self.first + n_rows)

    def __str__(self):
        return (
            f"{self.name} is infinite or NaN for at least {self.count} rows of X, the first at "
            f"index {self.first}: their values overflow float32 inside the network. Clip these "
            "values, or bring the columns of X to a common scale before the fit."
        )


def check_finite(rows, name):
    """The rows; raises NonFiniteRowsError for infinite ones."""
    if rows.dtype.kind != "f" or not rows.size:
        return rows
    if np.isfinite(rows.min()) and np.isfinite(rows.max()):  # without a copy
        return rows
    parts = (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))
    bad = np.concatenate([~np.isfinite(part.reshape(len(part), -1)).all(1) for part in parts])
    raise NonFiniteRowsError(name, int(bad.sum()), int(bad.argmax()))


def _block(rows, size, device):
    """A copy of the rows, as modules may write into their input, filled up with its first row.

    Rows of a table start at multiples of 64 bytes: products with few outputs round by the address
    of a row, which depends on its place in the block.
    """
    width, *sides = rows.shape[1:]
    room = width if sides else -(-width // 16) * 16
    block = rows.new_empty((size, room, *sides), device=device)[:, :width]
    block[: len(rows)] = rows
    block[len(rows) :] = block[:1]
    return block


def as_tensor(array, shape=None):
    """A read-only tensor over the array's memory, which may be a file; `shape` folds each row."""
    if shape is not None:
        array = array.reshape(len(array), *shape)
    if min(array.strides, default=0) < 0:  # torch refuses them, even on an axis of length 1
        array = array.copy()
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():  # nothing writes to the tensor
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)
