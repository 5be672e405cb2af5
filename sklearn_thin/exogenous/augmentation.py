"""Augmented training batches, and the frozen side's outputs on them."""

import math

import torch

from sklearn_thin.modules.tensors import as_float


def check_augment(augment, endogenous):
    """Raise for a callable that cannot augment, before any row is read."""
    if not (endogenous is None or isinstance(endogenous, str)):
        raise ValueError(
            "augment changes the images that both sides see, but with "
            f"endogenous={endogenous!r} they do not see the same X; augment inside "
            "the backbone, or set endogenous=None"
        )
    if hasattr(augment, "_validate_params"):  # other callables fail in the first batch
        augment._validate_params()


class Augmentation:
    """A training batch with augmented images, and the frozen side's outputs on them.

    `augment` maps images (n, channels, height, width) to such images. The exogenous transformers
    read samples of `sample_shape`.
    """

    def __init__(self, augment, side, sample_shape):
        self.augment = augment
        self.side = side
        self.sample_shape = sample_shape

    def __call__(self, batch):
        x = self.augment(as_float(batch["x"]))  # (n, C, H, W)
        if self.side is None:
            return {**batch, "x": x}
        rows = self._as_passed(x.detach().cpu(), batch["x"].dtype)
        frozen = self.side.outputs(rows, logits="exogenous_logits" in batch)
        return {**batch, "x": x, **{name: z.to(x.device) for name, z in frozen.items()}}

    def _as_passed(self, x, dtype):
        """Augmented images in the shape and type that the transformers read."""
        if x[0].numel() != math.prod(self.sample_shape):
            raise ValueError(
                f"augment must keep the size of the images, {self.sample_shape}, where an "
                f"exogenous side reads them, got {tuple(x.shape[1:])}"
            )
        if dtype == torch.uint8:
            x = (255 * x).round().clamp(0, 255).byte()
        return x.numpy().reshape(len(x), *self.sample_shape)
