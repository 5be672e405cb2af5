"""Data frames that R's `save` wrote, as arrays."""

import bz2

import numpy as np

MAGIC = b"RDX2\nX\n"  # version 2, binary
END, REFERENCE = 254, 255  # types of items, as in R's serialize.c
SYMBOL, PAIRS, TEXT, LOGICAL, INTEGER, REAL, TEXTS, LIST = 1, 2, 9, 10, 13, 14, 16, 19
NUMBERS = {LOGICAL: ">i4", INTEGER: ">i4", REAL: ">f8"}
HAS_ATTRIBUTES, HAS_TAG = 0x200, 0x400  # flags beside the type
MISSING = -(2**31)  # R's NA among integers


def read_frame(file):
    """The columns of the one data frame in a file, packed by bzip2.

    The file must be known by its digest: only the types of plain data frames are read.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        Texts, or numbers with NaN for missing ones.
    """
    content = bz2.decompress(file.read_bytes())
    if not content.startswith(MAGIC):
        raise ValueError(f"{file} holds no data of R's version 2")
    ((_, (columns, attributes)),) = Items(content, len(MAGIC) + 3 * 4).read()  # after 3 versions
    return dict(zip(dict(attributes)["names"][0], map(as_column, columns), strict=True))


def as_column(vector):
    """An array of a vector and its attributes; a factor becomes its labels."""
    values, attributes = vector
    levels = dict(attributes).get("levels")
    if levels:
        return np.array(levels[0])[values - 1]
    if isinstance(values, list):
        return np.array(values)
    if values.dtype.kind == "i":
        return np.where(values == MISSING, np.nan, values)
    return values.astype(np.float64)


class Items:
    """Items of R's binary format, one after another."""

    def __init__(self, content, place):
        self.content = content
        self.place = place
        self.symbols = []

    def integer(self):
        return int(self.numbers(1, ">i4")[0])

    def numbers(self, n, dtype):
        values = np.frombuffer(self.content, dtype, n, self.place)
        self.place += values.nbytes
        return values

    def read(self):
        """The next item: None, a text, pairs (tag, item), or values with their attributes."""
        flags = self.integer()
        kind = flags & 0xFF
        if kind == END:
            return None
        if kind == REFERENCE:
            return self.symbols[(flags >> 8) - 1]
        if kind == SYMBOL:
            self.symbols.append(self.read())
            return self.symbols[-1]
        if kind == PAIRS:
            return self.pairs(flags)
        n = self.integer()
        if kind == TEXT:
            self.place += max(n, 0)
            return self.content[self.place - n : self.place].decode() if n >= 0 else None
        if kind in NUMBERS:
            values = self.numbers(n, NUMBERS[kind])
        elif kind in (TEXTS, LIST):
            values = [self.read() for _ in range(n)]
        else:
            raise ValueError(f"expected a plain data frame of R, got an item of type {kind}")
        return values, self.read() if flags & HAS_ATTRIBUTES else []

    def pairs(self, flags):
        pairs = []
        while flags & 0xFF == PAIRS:
            if flags & HAS_ATTRIBUTES:
                self.read()
            tag = self.read() if flags & HAS_TAG else None
            pairs.append((tag, self.read()))
            flags = self.integer()
        return pairs
