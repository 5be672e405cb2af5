"""What differs between the versions of scikit-learn and torchvision that we support."""

import torch

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:
        """Stands in where scikit-learn has no callbacks: nothing can be set."""

    def with_callbacks(method):
        return method


__all__ = ["CallbackSupportMixin", "import_torchvision", "with_callbacks"]


def import_torchvision():
    """Import torchvision, beside a torch without CUDA too.

    The registry's wheels are built for torch with CUDA; beside a CPU torch their
    compiled operators do not load, and the import fails because torchvision registers
    fake kernels for operators that do not exist. Declaring those is enough for its
    models, transforms and data sets, which call none of them.

    Returns
    -------
    module
        `torchvision`, its `models` and `datasets` imported.

    Raises
    ------
    ImportError
        Where torchvision is not installed, with the command that installs it.
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
