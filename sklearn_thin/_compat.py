"""Differences between the supported versions of scikit-learn, torch and torchvision."""

import copy
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # scikit-learn < 1.9 has no callbacks
    _with_callbacks = None

    class CallbackSupportMixin:
        """Stands in where scikit-learn has no callbacks."""


try:
    from sklearn.compose._column_transformer import _RemainderColsList as RemainderColumns
except ImportError:  # removed from scikit-learn

    class RemainderColumns:
        """Stands in where column transformers hold their columns in plain lists."""


Method = TypeVar("Method", bound=Callable[..., Any])  # which a decorator leaves as it is
# what newer versions of scikit-learn read, and older ones do not have
ADDED = {
    SimpleImputer: lambda fitted: {"_fill_dtype": fitted._fit_dtype},
    MaxAbsScaler: lambda fitted: {"clip": False},
}

# torch 2.6 has the general question alone
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)

__all__ = [
    "CallbackSupportMixin",
    "Method",
    "RemainderColumns",
    "compiled",
    "for_newer_versions",
    "import_torchvision",
    "is_exporting",
    "with_callbacks",
]


def with_callbacks(method: Method) -> Method:
    """Decorate a method: scikit-learn's callbacks follow it, if it has them."""
    return method if _with_callbacks is None else _with_callbacks(method)


def for_newer_versions(transformer):
    """The transformer of a type in ADDED, or a copy with the attributes that it lacks."""
    try:
        added = ADDED[type(transformer)](transformer)
    except (AttributeError, KeyError):  # not fitted; a type of a user
        return transformer
    if added.keys() <= vars(transformer).keys():
        return transformer
    transformer = copy.copy(transformer)
    vars(transformer).update(added)
    return transformer


def compiled(function, most_programs):
    """The function, compiled for each shape; some versions limit the number of programs."""
    options = {"dynamic": False}
    if "recompile_limit" in inspect.signature(torch.compile).parameters:  # torch 2.6 has none
        options["recompile_limit"] = most_programs
    return torch.compile(function, **options)


def import_torchvision():
    """torchvision with its `models` and `datasets`, also beside a torch without CUDA.

    The registry's wheels are built for torch with CUDA. Beside a CPU torch their compiled
    operators do not load, and the import fails because torchvision registers fake kernels for
    them. Declaring these operators is enough for models, transforms and data sets.
    """
    try:
        try:
            import torchvision.datasets
        except RuntimeError:  # "operator torchvision::nms does not exist"
            for name in ("nms", "qnms"):
                schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                torch.library.define(f"torchvision::{name}", schema)
            import torchvision.datasets
        import torchvision.models
    except ImportError as error:
        raise ImportError(
            "torchvision is needed for this: pip install 'sklearn-thin[vision]'"
        ) from error
    return torchvision
