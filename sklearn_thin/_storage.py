"""Rows that may not fit into memory: room in a temporary file, data sets read into it."""

import os
from contextlib import contextmanager
from contextvars import ContextVar
from mmap import mmap
from tempfile import TemporaryFile, gettempdir

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from torch.utils.data import Dataset

BLOCK = 4096  # rows that pass together
IN_MEMORY = 2**28  # bytes that a copy, or outputs, may take of the memory
NUMBERS = "biuf"  # kinds of dtypes


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
                    f"no room for {what}: {shape[0]} rows need {n_bytes / 1e6:.0f} MB in "
                    f"{gettempdir()}, but {error.strerror}. Set TMPDIR to a folder with more room",
                ) from error
        file.truncate(n_bytes)
        # no np.memmap, which joblib's workers would look for by a name that the file has not
        return np.ndarray(tuple(shape), dtype, buffer=mmap(file.fileno(), n_bytes))


def take(rows, index):
    """Rows by position, or by a mask, of an array, a frame or None; a large copy is in a file."""
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


CONVERTED = ContextVar("converted", default=None)


@contextmanager
def converting_once(known):
    """As long as this lasts, the same array is converted once; `known` keeps what was."""
    token = CONVERTED.set(known)
    try:
        yield
    finally:
        CONVERTED.reset(token)


def converted(X, dtypes):
    """An array of numbers in C order, and float32 unless of `dtypes`; else X as it is.

    So is a small one, unless `converting_once` shares what it becomes.
    """
    numbers = isinstance(X, np.ndarray) and X.dtype.kind in NUMBERS
    fits = numbers and X.dtype in dtypes
    known = CONVERTED.get()
    if not numbers or (fits and X.flags.c_contiguous):
        return X
    if known is None and X.size * 4 <= IN_MEMORY:  # scikit-learn's own checks convert it
        return X
    if known is not None and id(X) in known:
        return known[id(X)][1]
    rows = room_for("float32 values", X.shape, X.dtype if fits else np.float32)
    for start in range(0, len(X), BLOCK):
        rows[start : start + BLOCK] = X[start : start + BLOCK]
    if known is not None:
        known[id(X)] = X, rows  # as long as X is held, its identity is its own
    return rows


def read_dataset(X, y=None, *, verbose=0):
    """Rows and labels of a torch data set, each item fetched once; rows that can be taken.

    Sparse matrices of any format become CSR, as some have no rows to take; anything else stays
    as it is.

    Parameters
    ----------
    X : torch.utils.data.Dataset or anything else
        With a length; items are x, (x,) or (x, label), x a tensor or an array, all alike.
    y : array-like of shape (n_samples,), default=None
        Labels; None takes those of the data set.
    verbose : int, default=0
        Above 0 shows a progress bar.

    Returns
    -------
    X : ndarray of shape (n_samples, ...), uint8 or float32; or CSR, or as passed
        Of a data set: in a temporary file where it is large.
    y : ndarray of shape (n_samples,), as passed, or None
    """
    if not isinstance(X, Dataset):
        return X.tocsr() if hasattr(X, "tocsr") else X, y
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
        y = np.asarray(labels)
    return rows, y


def split_item(item, i):
    """x as an array, and the label of an item of a data set; None where it has none."""
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
