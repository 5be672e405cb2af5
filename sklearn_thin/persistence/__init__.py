"""Fitted estimators outside this package: as a torch module, an ONNX graph, or a NumPy file."""

from sklearn_thin.persistence.numpy_file import to_numpy
from sklearn_thin.persistence.onnx_file import to_onnx
from sklearn_thin.persistence.path import to_torch

__all__ = ["to_numpy", "to_onnx", "to_torch"]
