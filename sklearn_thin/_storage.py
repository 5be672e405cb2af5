"""Rows that may not fit into memory: room in a temporary file, data sets read into it."""

import os
from tempfile import TemporaryFile, gettempdir

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from torch.utils.data import Dataset
from tqdm.auto import tqdm

BLOCK = 4096  # rows that pass together
IN_MEMORY = 2**28  # bytes that a copy, or outputs, may take of the memory


def room_for(what, shape, dtype=np.float32):
    """Array to be filled with `what`; a large one lies in a temporary file until it goes."""
    n_bytes = np.dtype(dtype).itemsize * int(np.prod(shape))
    if n_bytes <= IN_MEMORY:
        return np.empty(shape, dtype)
    with TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):  # a full disk is an error now, a crash later
            try:
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            except OSError as error:
                raise OSError(
                    error.errno,
                    f"{what} of {shape[0]} rows need {n_bytes / 1e6:.0f} MB in {gettempdir()}: "
                    f"{error.strerror}. Set TMPDIR to a folder with more room",
                ) from error
        return np.memmap(file, dtype, "w+", shape=tuple(shape))


def take(rows, index):
    """Rows by position of an array, a frame or None; a large copy lies in a file."""
    if rows is None:
        return None
    if not isinstance(rows, np.ndarray) or isinstance(index, slice) or rows.dtype.hasobject:
        return _safe_indexing(rows, index)
    index = np.asarray(index)
    taken = room_for("a copy", (len(index), *rows.shape[1:]), rows.dtype)
    for start in range(0, len(index), BLOCK):
        part = slice(start, start + BLOCK)
        taken[part] = rows[index[part]]
    return taken


def converted(X, dtypes):
    """A large array of numbers of another type than `dtypes` as float32; else X as it is."""
    numbers = isinstance(X, np.ndarray) and X.dtype.kind in "fiu"
    if not numbers or X.dtype in dtypes or 4 * X.size <= IN_MEMORY:
        return X
    floats = room_for("float32 values", X.shape)
    for start in range(0, len(X), BLOCK):
        floats[start : start + BLOCK] = X[start : start + BLOCK]
    return floats


def read_dataset(X, y=None, *, verbose=0):
    """Rows and labels of a torch data set, each item fetched once; anything else as it is.

    Parameters
    ----------
    X : torch.utils.data.Dataset or anything else
        With a length; items are x, or pairs (x, label), x a tensor or an array.
    y : array-like of shape (n_samples,), default=None
        Labels; None takes those of the data set.
    verbose : int, default=0
        Above 0 shows a progress bar.

    Returns
    -------
    X : ndarray of shape (n_samples, ...), uint8 or float32
        In a temporary file where it is large.
    y : ndarray of shape (n_samples,), as passed, or None
    """
    if not isinstance(X, Dataset):
        return X, y
    if not hasattr(X, "__len__"):
        raise TypeError(
            f"a data set must have a length, to be read in random order, got {type(X).__name__}"
        )
    if not len(X):
        raise ValueError(f"the data set {type(X).__name__} has no items")
    rows, labels = None, []
    for i in tqdm(range(len(X)), desc="reading the data set", disable=not verbose):
        x, label = split_item(X[i], i)
        if rows is None:
            dtype = np.uint8 if x.dtype == np.uint8 else np.float32
            rows = room_for("the items", (len(X), *x.shape), dtype)
        if x.shape != rows.shape[1:]:
            raise ValueError(
                f"items of the data set must be of one shape, but item {i} has shape {x.shape} "
                f"and item 0 {rows.shape[1:]}"
            )
        rows[i] = x
        labels.append(label)
    if y is None and labels[0] is not None:
        y = np.asarray(labels)
    return rows, y


def split_item(item, i):
    """x as an array, and the label of an item of a data set; None where it has none."""
    pair = isinstance(item, (tuple, list)) and len(item) == 2
    x, label = item if pair else (item, None)
    if not isinstance(x, (np.ndarray, torch.Tensor)):
        raise TypeError(
            "items of a data set must be x or (x, label) with x a tensor or an array, but item "
            f"{i} is {type(item).__name__} with {type(x).__name__}; torchvision's data sets take "
            "transform=torchvision.transforms.v2.PILToTensor()"
        )
    x = x.numpy(force=True) if isinstance(x, torch.Tensor) else x
    return x, label.item() if isinstance(label, torch.Tensor) else label
