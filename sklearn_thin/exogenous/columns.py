"""The ways to name columns of X -> their positions."""

import difflib
from numbers import Integral

import numpy as np

GIVEN_INSTEAD = 'exogenous="given", and the labels as exogenous_target'


def places_of(columns, table, name="exogenous", instead=GIVEN_INSTEAD):
    """Positions of the columns that a name, an int, a list, a mask, a slice or a selector means.

    Errors name the parameter by its `name`, and `instead` for X that is no table.
    """
    if callable(columns):
        columns = columns(table)
    if getattr(table, "ndim", 2) != 2 or not hasattr(table, "shape"):
        shape = getattr(table, "shape", ())
        raise ValueError(
            f"{name}={columns!r} names columns of a table, but X has "
            f"{'images' if len(shape) > 2 else f'the shape {shape}'}. Pass {instead}"
        )
    if isinstance(columns, slice):
        return _slice(columns, table, name)
    columns = [columns] if isinstance(columns, (str, Integral)) else list(columns)
    if any(isinstance(column, (bool, np.bool_)) for column in columns):  # bools are ints too
        return _mask(columns, table, name)
    return [_place(column, table, name) for column in columns]


def _place(column, table, name):
    n_columns = table.shape[1]
    if isinstance(column, Integral):
        if -n_columns <= column < n_columns:
            return int(column) % n_columns
        raise ValueError(f"{name} names column {column} of X, but X has {n_columns} columns")
    names = getattr(table, "columns", None)
    if names is None:
        raise ValueError(
            f"{name} names the column {column!r}, but X has no column names. Pass a frame, or "
            f"the position of the column, an int from 0 to {n_columns - 1}. Steps of a Pipeline, "
            "such as a ColumnTransformer, give frames after set_output(transform='pandas')"
        )
    names = list(names)
    if column in names:
        return names.index(column)
    near = difflib.get_close_matches(column, list(map(str, names)))
    near = near or [n for n in names if str(n).endswith(f"__{column}")]  # of a ColumnTransformer
    hint = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
    shown = ", ".join(repr(name) for name in names[:10]) + (", …" if len(names) > 10 else "")
    raise ValueError(f"{name} names the column {column!r}, but X has {shown}.{hint}")


def _mask(marks, table, name):
    """Positions of the True in a list of bools."""
    whole = all(isinstance(mark, (bool, np.bool_)) for mark in marks)
    if not (whole and len(marks) == table.shape[1] and any(marks)):
        raise ValueError(
            f"{name} with bools must be a list of one bool for each of the {table.shape[1]} "
            f"columns of X, some of them True, got {marks}. Or pass the position of the column, "
            "an int"
        )
    return np.flatnonzero(marks).tolist()


def _slice(columns, table, name):
    """Positions of a slice; one of names holds its last name too, as in pandas."""
    start, stop = (
        _place(end, table, name) + add if isinstance(end, str) else end
        for end, add in ((columns.start, 0), (columns.stop, 1))
    )
    places = list(range(table.shape[1])[start : stop : columns.step])
    if not places:
        raise ValueError(f"{name}={columns!r} names no column of X, which has {table.shape[1]}")
    return places
