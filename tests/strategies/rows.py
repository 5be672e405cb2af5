"""Rows, labels and weights of the property-based tests: a name for each way to pass them."""

from tempfile import TemporaryFile

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse

SIDE = 8  # pixels of an image


# ------------------------------------------------------------------------------ rows


def _mapped(X):
    with TemporaryFile() as file:
        rows = np.memmap(file, X.dtype, "w+", shape=X.shape)
    rows[:] = X
    return rows


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def _frame(X, **columns):
    return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]).assign(**columns)


def _polars(X, **columns):
    named = {f"x{i}": column for i, column in enumerate(X.T)}  # pyarrow would convert frames
    return pl.DataFrame({**named, **{name: column.tolist() for name, column in columns.items()}})


def _levels(X, *levels):
    return np.array(levels, dtype=object)[np.arange(len(X)) % len(levels)]


def _holes(X, value):
    X = X.copy()
    X[::3, 0] = value
    return X


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda X: X[::-1],
    "columns reversed": lambda X: X[:, ::-1],
    "read-only": _read_only,
    "memmap": _mapped,
}
NUMBERS = ["float64", "float32", "float16", ">f8", "int64", "int16", "int8", "uint8", "bool"]
FRAMES = {
    "list": lambda X: X.tolist(),
    "object": lambda X: X.astype(object),
    "pandas": _frame,
    "pandas, ints and bools": lambda X: _frame(X, i=np.arange(len(X)), b=X[:, 0] > 0),
    "pandas, nullable": lambda X: _frame(X).convert_dtypes(),
    "pandas, odd index": lambda X: _frame(X).set_index(np.arange(len(X))[::-1] // 2),
    "pandas, numbered columns": lambda X: pd.DataFrame(X),
    "polars": _polars,
    "polars, ints": lambda X: _polars(X, i=np.arange(len(X))),
}
TABLE_FRAMES = {  # need the default side of tables
    "beyond float32": lambda X: _holes(X, 1e300),
    "text alone": lambda X: np.full(X.shape, "a", dtype=object),
    "pandas, missing": lambda X: _frame(_holes(X, np.nan)),
    "pandas, text": lambda X: _frame(X, t=_levels(X, "a", "b", "ü")),
    "pandas, text and missing": lambda X: _frame(_holes(X, np.nan), t=_levels(X, "a", None)),
    "pandas, categorical": lambda X: _frame(X, c=pd.Categorical(_levels(X, "a", "b"))),
    "pandas, all missing": lambda X: _frame(X, m=np.full(len(X), np.nan)),
    "pandas, nullable and missing": lambda X: _frame(_holes(X, np.nan)).convert_dtypes(),
    "polars, text": lambda X: _polars(X, t=_levels(X, "a", "b")),
    "polars, missing": lambda X: _polars(_holes(X, np.nan)),
    "array, missing": lambda X: _holes(X, np.nan),
    "array, dates": lambda X: np.clip(X, -1e9, 1e9).astype("datetime64[s]"),
}
IMAGES = {
    "images": lambda X: X,
    "images, Fortran": np.asfortranarray,
    "images, float64": lambda X: X.astype(np.float64),
    "images, reversed": lambda X: X[:, ::-1],
    "images, read-only": _read_only,
    "images, uint8": lambda X: (np.abs(X) * 80).clip(0, 255).astype(np.uint8),
    "images, with a channel": lambda X: X[:, None],
    "images, three channels": lambda X: np.repeat(X[:, None], 3, axis=1),
    "images, channels moved": lambda X: np.moveaxis(np.repeat(X[..., None], 3, axis=3), 3, 1),
    "images, flattened": lambda X: X.reshape(len(X), -1),
    "images, flattened uint8": lambda X: (X * 80).clip(0, 255).astype(np.uint8).reshape(len(X), -1),
}
WRONG_ROWS = {
    "infinite": lambda X: _holes(X, np.inf),
    "complex": lambda X: X.astype(complex),
    "sparse": sparse.csr_array,
    "one dimension": lambda X: X[:, 0],
    "five dimensions": lambda X: X.reshape(*X.shape, 1, 1, 1),
    "no rows": lambda X: X[:0],
    "no columns": lambda X: X[:, :0],
    "text": lambda X: "rows",
    "None": lambda X: None,
}
VALUES = {
    "normal": lambda X: X,
    "shifted": lambda X: X + 1000,
    "small units": lambda X: X * 1e-6,
    "large units": lambda X: X * 1e6,
    "one sentinel": lambda X: np.where(np.arange(X.size).reshape(X.shape) == 5, -9999, X),
    "constant column": lambda X: np.where(np.arange(X.shape[-1]) == 0, 3.0, X),
    "all equal": np.ones_like,
    "denormal": lambda X: X * 1e-40,
    "absurd units": lambda X: X * 1e30,
}


# ------------------------------------------------------------------- labels and weights

LABELS = {
    "ints": lambda c: c,
    "int8": lambda c: c.astype(np.int8),
    "far apart": lambda c: c * 10**6 - 5,
    "strings": lambda c: np.array(["a", "b", "ü", "d"])[c],
    "objects": lambda c: np.array(["a", "b", "ü", "d"], dtype=object)[c],
    "bools": lambda c: c > 0,
    "whole floats": lambda c: c.astype(float),
    "list": lambda c: c.tolist(),
    "read-only": _read_only,
    "pandas": lambda c: pd.Series(c, index=np.arange(len(c))[::-1]),
    "Categorical": lambda c: pd.Series(pd.Categorical(np.array(list("abcd"))[c])),
    "nullable": lambda c: pd.Series(c).convert_dtypes(),
    "polars": lambda c: pl.Series("label", c),
    "polars text": lambda c: pl.Series("label", np.array(list("abcd"))[c]),
    "tensor": torch.from_numpy,
}
NUMBERS_TO_PREDICT = {  # from floats and codes
    "floats": lambda y, c: y,
    "float32": lambda y, c: y.astype(np.float32),
    "big-endian": lambda y, c: y.astype(">f8"),
    "codes": lambda y, c: c,
    "bools": lambda y, c: c > 0,
    "list": lambda y, c: y.tolist(),
    "objects": lambda y, c: y.astype(object),
    "read-only": lambda y, c: _read_only(y),
    "pandas": lambda y, c: pd.Series(y, index=np.arange(len(y))[::-1]),
    "nullable": lambda y, c: pd.Series(y).convert_dtypes(),
    "polars": lambda y, c: pl.Series("label", y),
    "tensor": lambda y, c: torch.from_numpy(y),
    "one column": lambda y, c: y[:, None],
    "two outputs": lambda y, c: np.column_stack([y, c]),
    "frame": lambda y, c: pd.DataFrame({"a": y, "b": c}),
    "constant": lambda y, c: np.full(len(y), 3.0),
    "large": lambda y, c: y * 1e12,
    "small": lambda y, c: y * 1e-12,
    "far from zero": lambda y, c: y + 1e6,
    "beyond float32": lambda y, c: np.where(c == 1, 1e300, y),
}
WRONG_NUMBERS = {
    "strings": lambda y, c: np.array(["a", "b", "c", "d"])[c],
    "missing": lambda y, c: np.where(c == 1, np.nan, y),
    "None in it": lambda y, c: np.array([None, *y[1:]], dtype=object),
    "infinite": lambda y, c: np.where(c == 1, np.inf, y),
    "complex": lambda y, c: y.astype(complex),
    "too few": lambda y, c: y[:-1],
    "three dimensions": lambda y, c: y[:, None, None],
    "None": lambda y, c: None,
    "text": lambda y, c: "numbers",
}
WRONG_LABELS = {
    "continuous": lambda c: c + np.linspace(0, 0.5, len(c)),
    "one class": np.zeros_like,
    "missing": lambda c: np.where(np.arange(len(c)) == 1, np.nan, c),
    "None in it": lambda c: np.array([None, *c[1:]], dtype=object),
    "infinite": lambda c: np.where(np.arange(len(c)) == 1, np.inf, c),
    "too few": lambda c: c[:-1],
    "two columns": lambda c: np.column_stack([c, c[::-1]]),
    "None": lambda c: None,
    "text": lambda c: "labels",
}
WEIGHTS = {
    "none": lambda c, r: None,
    "ones": lambda c, r: np.ones(len(c)),
    "random": lambda c, r: r.uniform(0.1, 2, len(c)),
    "zeros in places": lambda c, r: (np.arange(len(c)) % 5 > 0).astype(float),
    "one nth": lambda c, r: np.full(len(c), 1 / len(c)),
    "tiny": lambda c, r: r.uniform(1e-30, 2e-30, len(c)),
    "huge": lambda c, r: r.uniform(1e30, 2e30, len(c)),
    "ints": lambda c, r: r.randint(1, 4, len(c)),
    "list": lambda c, r: [1.0] * len(c),
    "pandas": lambda c, r: pd.Series(r.uniform(0.1, 2, len(c))),
    "float32": lambda c, r: np.ones(len(c), np.float32),
}
WRONG_WEIGHTS = {
    "negative": lambda c, r: np.where(np.arange(len(c)) == 0, -1.0, 1.0),
    "missing": lambda c, r: np.where(np.arange(len(c)) == 0, np.nan, 1.0),
    "infinite": lambda c, r: np.where(np.arange(len(c)) == 0, np.inf, 1.0),
    "all zero": lambda c, r: np.zeros(len(c)),
    "too few": lambda c, r: np.ones(len(c) - 1),
    "two columns": lambda c, r: np.ones((len(c), 2)),
    "text": lambda c, r: "balanced",
}
