"""Rows, labels and weights as users pass them -> checked arrays, in files if they are large.

Reading order: :func:`check_rows` (images and raw rows), :class:`TablePreprocessor` (tables),
:func:`encode_labels` (y), :func:`check_weights`, :class:`Rows` (what belongs to a row),
:func:`hold_out` (early stopping).
"""
