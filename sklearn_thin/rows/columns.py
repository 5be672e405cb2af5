"""Tables of any library -> their columns, as numbers or as levels of text."""

import datetime
import math
from numbers import Integral, Number

import numpy as np
from sklearn.utils._missing import is_pandas_na

NUMBERS = "biuf"  # kinds of dtypes
MERGED = 2**53  # from which float64 holds several whole numbers as one
NARROW = np.float32, np.float16  # whose own limits are lower


def as_table(X):
    """X as a frame or an array; sparse matrices as they are, for `check_array` to refuse."""
    if hasattr(X, "columns") or hasattr(X, "tocsr"):
        return X
    array = np.asarray(X)
    # NumPy makes text of the numbers in a list with text
    mixed = array.dtype.kind in "US" and not isinstance(X, np.ndarray)
    return np.asarray(X, dtype=object) if mixed else array


def refuse_lazy(X):
    """Raise TypeError for a frame whose rows are yet to be read, such as a LazyFrame of polars."""
    raise TypeError(
        f"arrays or frames with their rows in memory were expected, got a {type(X).__name__}, "
        "whose rows are yet to be read. Pass .collect() of it"
    )


def read_columns(table, is_level=None, ignored=()):
    """Numbers (n, n_numbers), levels (n, n_levels) as objects, and which columns are levels.

    `is_level` of an earlier table says what each column must hold. `ignored` numbers are not read.
    """
    n_rows, n_columns = table.shape
    if is_level is None:
        columns = [read_column(table, i) for i in range(n_columns)]
        found = np.array([c.dtype == object and len(set(c)) > 1 for c in columns], bool)
        columns = [  # text without different values becomes 0
            np.zeros(n_rows) if values.dtype == object and not level else values
            for values, level in zip(columns, found, strict=True)
        ]
    else:
        found, skips = is_level, np.zeros(n_columns, bool)
        skips[np.flatnonzero(~is_level)[ignored]] = True
        columns = [
            np.zeros(n_rows) if skips[i] else _read_as_before(table, i, found[i])
            for i in range(n_columns)
        ]
    numbers, levels = np.empty((n_rows, np.sum(~found))), np.empty((n_rows, found.sum()), object)
    for part, chosen in ((numbers, ~found), (levels, found)):
        for place, i in enumerate(np.flatnonzero(chosen)):
            part[:, place] = columns[i]
    return numbers, levels, found


def as_array(table):
    """A frame that holds numbers of NumPy's types alone as one array; other tables as they are."""
    if hasattr(table, "iloc"):
        dtypes = set(table.dtypes)
        if all(isinstance(dtype, np.dtype) and dtype.kind in NUMBERS for dtype in dtypes):
            return table.to_numpy(dtype=np.result_type(*dtypes))
    polars = hasattr(table, "to_series")
    if polars and all(dtype.is_float() or dtype.is_integer() for dtype in table.dtypes):
        return table.to_numpy()
    return table


def _read_as_before(table, i, is_level):
    """A column as numbers, or as levels, as it was in fit."""
    values = read_column(table, i)
    if is_level:
        return as_levels(values)
    if values.dtype == object:
        text = next(value for value in values if value is not None)
        raise ValueError(
            f"{name_of(table, i)} held numbers in fit, and now holds text, such as {text!r}. "
            "Make numbers or missing values of it"
        )
    return values


def read_column(table, i, name=None, *, exact=False):
    """A column as float64, or as objects if it holds text: str, or None for missing values.

    `name` stands for the column in errors. `exact` keeps the values of columns that float64 would
    merge, and of categories, as objects, and floats of less precision as they are, for
    :func:`check_exact` to find labels that are merged already.
    """
    name = name or name_of(table, i)
    if isinstance(table, np.ndarray):
        values, is_category = table[:, i], False
    elif hasattr(table, "iloc"):  # pandas
        column = table.iloc[:, i]
        is_category = hasattr(column.dtype, "categories")
        values = _pandas_values(column, exact=exact)
    else:  # polars
        column, is_category = table.to_series(i), False
        gaps = exact and column.dtype.is_integer() and column.null_count()
        values = np.array(column.to_list(), object) if gaps else np.asarray(column.to_numpy())
    kind = values.dtype.kind
    if kind in NUMBERS and not is_category:
        if exact and values.dtype.type in NARROW:
            return values
        numbers = values.astype(np.float64)
        merged = exact and kind in "iu" and (np.abs(numbers) >= MERGED).any()
        return values.astype(object) if merged else numbers
    if kind == "m":
        seconds = values.astype("timedelta64[ns]").astype(np.float64) / 1e9
        return np.where(np.isnat(values), np.nan, seconds)
    if kind == "M":
        raise TypeError(DATES.format(name))
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name}")
    return _objects(values.astype(object), name, is_category=is_category, exact=exact)


DATES = (
    "{} holds dates. A date is no number for a network: make columns of it that repeat in new "
    "rows, such as month, weekday or hour, or days since an event, or leave the column out. A date "
    "that labels a batch may become text: .astype(str)"
)


def _pandas_values(column, *, exact):
    """A pandas column as an array; extension types of numbers become float64, or stay exact."""
    dtype = column.dtype
    if getattr(dtype, "kind", "O") in "mM" or hasattr(dtype, "freq"):
        return np.empty(len(column), "M8[ns]") if dtype.kind != "m" else column.to_numpy("m8[ns]")
    if isinstance(dtype, np.dtype):
        return column.to_numpy()
    numbers = getattr(dtype, "_is_numeric", False) or getattr(dtype, "_is_boolean", False)
    if numbers and not (exact and dtype.kind in "iu"):
        narrow = exact and dtype.kind == "f" and dtype.itemsize == 4  # Float32
        return column.to_numpy(dtype=np.float32 if narrow else np.float64, na_value=np.nan)
    values = column.astype(object).to_numpy()
    of = getattr(getattr(dtype, "categories", None), "dtype", None)
    if exact and getattr(of, "kind", "O") == "f" and of.itemsize < 8:
        kind = np.dtype(f"f{of.itemsize}").type
        return np.array([v if is_missing(v) else kind(v) for v in values], object)
    return values


def _objects(values, name, *, is_category, exact):
    """Objects as float64 if all are numbers or missing, else as text or None.

    `exact` keeps categories, numbers beside text, and whole numbers of which some are large, as
    they are.
    """
    for value in values:
        if isinstance(value, (datetime.date, np.datetime64)) and value == value:  # not NaT
            raise TypeError(DATES.format(name))
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"{name} holds {type(value).__name__} objects: the argument must be a string or a "
                "real number in each cell"
            ) from None
    missing = np.array([is_missing(value) for value in values], bool)
    numbers = all(isinstance(v, (Number, np.bool_)) or is_missing(v) for v in values)
    if exact and (is_category or not numbers or _are_merged(values[~missing])):
        return values
    if numbers and not is_category:
        kinds = set(map(type, values[~missing]))
        narrow = exact and kinds and kinds <= set(NARROW)
        return np.array(
            [np.nan if none else float(v) for v, none in zip(values, missing, strict=True)],
            np.result_type(*kinds) if narrow else np.float64,
        )
    return as_levels(values)


def _are_merged(numbers):
    """Whether float64 may hold several of these objects, all of them whole numbers, as one."""
    whole = all(isinstance(number, Integral) for number in numbers)
    return whole and any(abs(int(number)) >= MERGED for number in numbers)


def check_exact(values, name, hint=""):
    """Raise ValueError for labels as floats that stand for several whole numbers each.

    `hint` ends the error.
    """
    parts = [values]
    if values.dtype == object:
        floats = [value for value in values if isinstance(value, (float, np.floating))]
        kinds = set(map(type, floats))
        parts = [np.array([v for v in floats if type(v) is kind]) for kind in kinds]
    for part in parts:
        bits = np.finfo(part.dtype).nmant + 1
        merged = part[np.isfinite(part) & (np.abs(part) >= 2.0**bits)]
        if len(merged):
            raise ValueError(
                f"{name} holds labels as floats beyond 2^{bits}, such as {merged[0]:.17g}: "
                f"a {part.dtype} holds several whole numbers there as one. "
                f"Pass integers or text{hint}"
            )


def as_levels(values):
    """Values as an object array of str, and None where they are missing."""
    levels = np.empty(len(values), object)
    levels[:] = [None if is_missing(value) else _text(value) for value in values]
    return levels


def is_missing(value):
    """Whether a hashable value stands for a missing one: None, NaN, NA or NaT."""
    return value is None or is_pandas_na(value) or value != value


def _text(value):
    """A level as text; whole numbers are the same level as int, as float and as bool."""
    if isinstance(value, (bool, np.bool_)):  # columns of bools alone are read as numbers
        value = int(value)
    if isinstance(value, (float, np.floating)) and math.isfinite(value):
        value = int(value) if value == int(value) else float(value)
    return value if type(value) is str else str(value)


def name_of(table, i):
    """Words for a column in an error."""
    names = getattr(table, "columns", None)
    return f"column {i} of X" if names is None else f"column {names[i]!r} of X"
