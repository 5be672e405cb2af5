"""Rows as an estimator takes them -> one array of numbers, in which codes stand for texts."""

import numpy as np

from sklearn_thin.exogenous.known import target_column, values_of
from sklearn_thin.persistence.numpy_reader import check_columns
from sklearn_thin.persistence.parts import UNKNOWN
from sklearn_thin.rows.columns import NUMBERS, as_table, read_column

NARROW = ("float32", "float16", "bool", "int8", "uint8", "int16", "uint16")  # float32 holds all
FLOATS = (np.float32, np.float64)


class Samples:
    """Names and types of the inputs that rows have, and the texts of their columns.

    Parameters
    ----------
    X : array-like
        Sample rows.
    names : sequence of str, default=("X",)
        Name of the input. Columns of arrays of text have this name and their position.

    Attributes
    ----------
    names : list of str
        Names of the inputs. A frame or a table with text has an input for each column, and an array
        of numbers has one input.
    dtypes : list of numpy.dtype or None
        Types of the inputs. None is text.
    texts : dict of int to dict
        Levels of each column of text, with their codes. Readers of the columns add levels.
    columns : list of str or None
        Names of the columns that other frames must have, if the sample rows are a frame.
    dtype : numpy.dtype
        Type of the rows that :meth:`array` returns.
    """

    def __init__(self, X, names=("X",)):
        self.texts, self.in_columns = {}, False
        table = as_table(X)
        self.columns = list(map(str, table.columns)) if hasattr(table, "columns") else None
        if plain(table):
            self.names, self.dtypes = [names[0]], [table.dtype]
            # images stay as they are, also in flat rows
            kept = table.ndim > 2 or table.dtype in (*FLOATS, np.uint8)
            self.dtype = table.dtype if kept else common([table.dtype])
            return
        self.in_columns = True
        n_columns = table.shape[1]
        self.names = [str(name) for name in getattr(table, "columns", names)]
        if len(self.names) != n_columns:
            self.names = [f"{names[0]}_{place}" for place in range(n_columns)]
        self.dtypes = []
        for place in range(n_columns):
            is_text = read_column(table, place).dtype == object
            self.dtypes.append(None if is_text else dtype_of(table, place))
            if is_text:
                self.texts[place] = {}
        self.dtype = common([dtype for dtype in self.dtypes if dtype is not None])

    def codes(self, place, levels):
        """Codes of the levels of a column; those of columns of numbers are the numbers."""
        if place not in self.texts:
            try:
                codes = [float(level) for level in levels]
                if len(set(codes)) < len(codes):
                    raise TypeError(
                        "an export does not keep whole numbers beyond 2^53 apart, which are labels "
                        "here. Fit with labels as text"
                    )
                return codes
            except ValueError:  # text, of which the sample rows have none
                if not self.in_columns:
                    raise TypeError(
                        "the network reads text, and the rows in front are numbers"
                    ) from None
                self.texts[place], self.dtypes[place] = {}, None
        texts = self.texts[place]
        return [float(texts.setdefault(level, len(texts))) for level in levels]

    def array(self, X):
        """Rows as one array; texts become codes, and missing ones NaN."""
        table = as_table(X)
        check_columns(table, self.columns)
        if not self.in_columns:
            # values of images fit in no integers, and uint8 has a scale of its own
            cast = self.dtype in FLOATS and table.dtype != np.uint8
            return np.ascontiguousarray(table, self.dtype if cast else table.dtype)
        columns = [read_column(table, place) for place in range(table.shape[1])]
        for place, texts in self.texts.items():
            codes = [np.nan if t is None else texts.get(t, UNKNOWN) for t in columns[place]]
            columns[place] = np.array(codes, np.float64)
        return np.column_stack(columns).astype(self.dtype)

    def feeds(self, X):
        """Arrays by the names of the inputs; a missing text is the empty one."""
        table = as_table(X)
        if not self.in_columns:
            return {self.names[0]: np.ascontiguousarray(table)}
        columns = [read_column(table, place) for place in range(table.shape[1])]
        for place, dtype in enumerate(self.dtypes):
            if dtype is None:
                texts = ["" if text is None else text for text in columns[place]]
                columns[place] = np.array(texts, object)
            else:
                columns[place] = columns[place].astype(dtype)
        return {n: column[:, None] for n, column in zip(self.names, columns, strict=True)}


def plain(table):
    """Whether rows are an array of numbers."""
    return isinstance(table, np.ndarray) and table.dtype.kind in NUMBERS


def common(dtypes):
    """float32 if it holds all values of these types, else float64."""
    narrow = all(dtype.name in NARROW for dtype in dtypes)
    return np.dtype(np.float32 if narrow else np.float64)


def dtype_of(table, place):
    """Type of a column of numbers; types of other libraries are float64."""
    column = table[:, place] if isinstance(table, np.ndarray) else None
    if column is None:
        column = table.iloc[:, place] if hasattr(table, "iloc") else table.to_series(place)
    dtype = getattr(column, "dtype", None)
    dtype = dtype if isinstance(dtype, np.dtype) else np.asarray(column).dtype
    return dtype if dtype.kind in NUMBERS else np.dtype(np.float64)


def given_table(exogenous, names):
    """Labels that come with each call as a table, with a column for each variable."""
    exogenous = exogenous if hasattr(exogenous, "shape") else as_table(exogenous)
    columns = [
        values_of(target_column(exogenous, i, len(names), names, "exogenous"), "exogenous")
        for i in range(len(names))
    ]
    if all(column.dtype != object for column in columns):
        return np.column_stack(columns)
    table = np.empty((len(columns[0]), len(columns)), object)
    for place, column in enumerate(columns):
        table[:, place] = column
    return table
