"""The erasing side of a fit: exogenous labels -> what is erased of h_endo, epoch by epoch."""

import numpy as np
import torch
from sklearn.preprocessing import OneHotEncoder
from skorch.callbacks import Callback

from sklearn_thin._net import as_float
from sklearn_thin.modules import ErasedBackbone, LinearEraser

BLOCK = 1024  # rows that go through the backbone at once


def one_hot_encoder(target):
    """Encoder of the exogenous labels, one variable a column."""
    encoder = OneHotEncoder(sparse_output=False, dtype=np.float32, handle_unknown="ignore")
    return encoder.fit(_columns(target))


def one_hot(encoder, target):
    """Labels side by side, (n_samples, classes of all variables)."""
    return torch.from_numpy(encoder.transform(_columns(target)))


def _columns(target):
    if hasattr(target, "iloc") and target.ndim == 2:
        return target
    target = np.asarray(target)
    return target.reshape(len(target), -1)


def check_room(width, n_free):
    """Refuse to erase as many directions as the representation has."""
    if n_free >= width:
        raise ValueError(
            f"dispelling='erasure' would take {n_free} directions out of h_endo, which has "
            f"{width}, and leave nothing. Merge exogenous classes, or give the backbone a "
            "wider output."
        )


def add_eraser(module, n_labels):
    """Put an eraser between the backbone of a THINModule and all that reads it."""
    eraser = LinearEraser(module.experts.in_features, n_labels)
    module.backbone = ErasedBackbone(module.backbone, eraser)


class RefitEraser(Callback):
    """Fits the eraser anew: each epoch on some rows, and in the end on all.

    The network is trained through the map, so that it learns to do without what is erased.
    In the first epoch the representation changes too fast for a map to hold: it stays the
    identity there.

    Parameters
    ----------
    labels : Tensor of shape (n_samples, n_labels)
        Of the training rows.
    n_rows : int, default=8192
        Rows that an epoch's map is fitted to; the last one sees all.
    """

    def __init__(self, labels, n_rows=8192):
        self.labels = labels
        self.n_rows = n_rows

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        if len(net.history) > 1:
            self.refit(net, dataset_train, self.n_rows)

    def on_train_end(self, net, X=None, **kwargs):
        self.refit(net, X, len(X))

    def refit(self, net, dataset, n_rows):
        """Fit the eraser to the representation of so many rows, in random order."""
        module = net.module_.eval()
        index = torch.randperm(len(dataset))[:n_rows]
        blocks = (self._block(net, dataset.X, rows) for rows in index.split(BLOCK))
        module.backbone.eraser.refit(blocks)

    @torch.no_grad()
    def _block(self, net, X, rows):
        h = net.module_.backbone.backbone(as_float(X["x"][rows].to(net.device)))
        parts = (self.labels, X["weight"]) if "weight" in X else (self.labels,)
        return h, *(part[rows].to(net.device) for part in parts)
