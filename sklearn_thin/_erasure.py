"""The erasing side of a fit: what is said of the exogenous variable -> erased, epoch by epoch."""

import numpy as np
import torch
from sklearn.preprocessing import OneHotEncoder
from skorch.callbacks import Callback

from sklearn_thin._forward import as_float
from sklearn_thin.modules import AlignerChain, LinearEraser

BLOCK = 1024  # rows that go through the backbone at once


def one_hot_encoder(target):
    """Encoder of the exogenous labels, one variable a column."""
    return OneHotEncoder(sparse_output=False, dtype=np.float32).fit(_columns(target))


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


def make_eraser(dispelling, width, sizes):
    """The map in front of all that reads h_endo, of so many classes a variable; or None."""
    if dispelling == "erasure":
        return LinearEraser(width, sum(sizes))
    if dispelling == "alignment":
        return AlignerChain(width, sizes)
    return None


def reads_logits(module):
    """Whether the eraser of a THINModule has to be told what the frozen predictors say."""
    return isinstance(module.eraser, AlignerChain)


class RefitEraser(Callback):
    """Fits the eraser anew: each epoch on some rows, and in the end on all.

    The network is trained through the map, so that it learns to do without what is erased.
    In the first epoch the representation changes too fast for a map to hold: it stays the
    identity there. Rows that are all told alike, such as those of one class, say nothing of
    what to erase: they leave the map as it is.

    Parameters
    ----------
    told : Tensor of shape (n_samples, n_labels)
        What is erased of the training rows: labels or probabilities for a LinearEraser, the
        frozen predictors' logits for an AlignerChain.
    weight : Tensor of shape (n_samples,), default=None
        What each row counts: sample weights alone, as those of the classes would have the map
        promise something of rows that are not there.
    n_rows : int, default=8192
        Rows that an epoch's map is fitted to; the last one sees all.
    """

    def __init__(self, told, weight=None, n_rows=8192):
        self.told = told
        self.weight = weight
        self.n_rows = n_rows

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        if len(net.history) > 1:
            self.refit(net, dataset_train, self.n_rows)

    def on_train_end(self, net, X=None, **kwargs):
        self.refit(net, X, len(X))

    def refit(self, net, dataset, n_rows, generator=None):
        """Fit the eraser to the representation of so many rows, in random order."""
        if (self.told == self.told[0]).all():
            return
        module = net.module_.eval()
        index = torch.randperm(len(dataset), generator=generator)[:n_rows]
        told = [self.told] if self.weight is None else [self.told, self.weight]
        module.eraser.refit(Blocks(module.backbone, dataset.X["x"], told, index, net.device))


class Blocks:
    """Rows of a data set as an eraser is fitted to them, computed anew each time through.

    Parameters
    ----------
    backbone : Module
        Gives what is to be erased from.
    x : Tensor of shape (n_samples, ...)
    told : list of Tensor
        What goes along with each row: (n_samples, n_labels), and maybe weights (n_samples,).
    index : Tensor of shape (n_rows,)
        Rows to take, in this order.
    device : str or torch.device
    """

    def __init__(self, backbone, x, told, index, device):
        self.backbone = backbone
        self.x = x
        self.told = told
        self.index = index
        self.device = device

    @torch.no_grad()
    def __iter__(self):
        for rows in self.index.split(BLOCK):
            h = self.backbone(as_float(self.x[rows].to(self.device)))
            yield h, *(part[rows].to(self.device) for part in self.told)
