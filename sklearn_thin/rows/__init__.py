"""Rows, labels and weights as users pass them -> checked arrays, in files if they are large.

Reading order: :class:`ArrayInput` and :class:`TransformedInput` (X), :class:`TablePreprocessor`,
:class:`Classes` and :class:`Numbers` (y), :func:`check_weights`, :class:`Rows` (what belongs to a
row), :func:`read_rows` (a fit's), :func:`hold_out` (early stopping).
"""
