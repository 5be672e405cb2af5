"""Differences between the supported versions of scikit-learn, torch and torchvision."""

import inspect

import torch

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method):
        return method


__all__ = ["CallbackSupportMixin", "compiled", "import_torchvision", "with_callbacks"]


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
