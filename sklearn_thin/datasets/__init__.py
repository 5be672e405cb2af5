"""Data sets in which a nuisance variable changes how the classes look."""

from sklearn_thin.datasets._rotated import load_rotated_digits, make_rotated

__all__ = ["load_rotated_digits", "make_rotated"]
