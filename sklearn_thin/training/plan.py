"""The plan of one training, with all that `training` needs."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from skorch.dataset import Dataset
from torch import nn

from sklearn_thin._environment import out_of_memory
from sklearn_thin._sharing import Itself, shared, structure
from sklearn_thin.losses import THINLoss
from sklearn_thin.rows.arrays import BLOCK, IN_MEMORY
from sklearn_thin.training.batches import batch_bounds
from sklearn_thin.training.padding import family


@dataclass(frozen=True)
class Settings:
    """Settings of a training."""

    optimizer: Any  # a name of OPTIMIZERS, or a callable
    lr: float
    lr_schedule: str  # "cosine" or "constant"
    weight_decay: float
    batch_size: int | str  # "auto" before the rows are read
    max_epochs: int | str
    n_iter_no_change: int | None  # patience of early stopping; None trains to the end
    device: torch.device
    compile: bool
    mixed_precision: str | None  # a name of CASTS


@dataclass
class FitPlan:
    """The start of one training, independent of the estimator that made it.

    Plans of one :attr:`shape_key`, or padded ones of one :attr:`family_key`, can train together,
    except plans with a reason in :attr:`why_alone`.
    """

    module: nn.Module  # a THINModule; to continue a training, a copy of its module
    loss: THINLoss
    train: Dataset
    valid: Dataset | None
    settings: Settings
    seed: int
    architecture: Hashable = None  # if equal, modules of equal shapes compute the same
    term_source: tuple = ()  # if equal, the losses have terms of one structure
    map_labels: torch.Tensor | None = None  # labels for the module's map, (n, n_labels)
    map_weight: torch.Tensor | None = None  # (n,)
    before: Any = None  # the net to continue
    keeps_optimizer: bool = False
    augmentation: Any = None  # batch -> batch
    callbacks: list = field(default_factory=list)  # the user's
    followers: dict = field(default_factory=dict)  # scikit-learn's callbacks, by name
    folder: Any = None  # of the files from which a killed training goes on
    verbose: int = 0
    name: str = ""  # the estimator's, for the progress bar

    def __getstate__(self):
        # the source, which may be an encoder, is a key in this process alone
        return {**vars(self), "term_source": ()}

    @property
    def why_alone(self):
        """The reason that keeps this training out of stacks, or None."""
        if self.callbacks or self.followers:
            return "callbacks follow a single fit"
        if self.augmentation is not None:
            return "augment takes one batch of images"
        if self.keeps_optimizer:
            return "warm_start keeps the optimizer"
        if not isinstance(self.settings.optimizer, str):
            return "a custom optimizer may mix the nets"
        layers = map(vars, self.module.modules())
        if any(isinstance(value, torch.Tensor) for layer in layers for value in layer.values()):
            return "a hook computes weights of the network"  # as of torch.nn.utils.weight_norm
        return None

    @property
    def shape_key(self):
        """Key of equal numbers of steps, and of modules that a stack holds as they are."""
        # the optimizer has a group for each rate, so that rates may differ
        stops = self.settings.n_iter_no_change is not None
        settings = replace(self.settings, lr=None, weight_decay=None, n_iter_no_change=stops)
        parts = [part for part in (self.train, self.valid) if part is not None]
        # large rows are not copied for each net, so that all nets must read the same
        data = tuple(
            (name, rows.dtype, rows.shape[1:])
            if rows.nbytes <= IN_MEMORY
            else (name, rows.dtype, rows.shape, rows.data_ptr())
            for part in parts
            for name, rows in sorted(part.X.items())
        )
        steps = tuple(len(batch_bounds(len(part), settings.batch_size)) for part in parts)
        term = self.loss.term
        if term is not None:
            source = self.term_source or (Itself(term),)
            term = shared(("term", *source), lambda: structure(self.loss.term))
        shapes = tuple((name, tuple(t.shape)) for name, t in self.module.state_dict().items())
        same = self.map_labels is None, self.loss.fit_loss
        return (self.architecture, shapes), settings, data, steps, term, *same

    @property
    def family_key(self):
        """As :attr:`shape_key`, of modules that a stack pads to one size."""
        module, *rest = self.shape_key
        return family(self.module, self.loss.term) or module, *rest

    def lacks_memory(self, error):
        """The error of a training that ran out of memory, with advice.

        A training is not halved by itself: batches of another size train another network.
        """
        return out_of_memory(
            error,
            f"{self.settings.device} has too little memory to train {self.name} with batches of "
            f"{self.settings.batch_size} rows. Set a smaller batch_size, which changes the result, "
            "a smaller network, or another device",
        )

    def lacks_score(self, error):
        """The error of a callback that watches held-out rows, where there are none."""
        if self.valid is not None or "not found in history" not in str(error):
            return error
        return ValueError(
            f"{error.args[0]} A callback watches it, and no rows are held out to compute it. Set "
            "early_stopping=0.1, or pass X_val and y_val to fit, or let the callback watch the "
            "training rows, such as EarlyStopping(monitor='train_loss')"
        )

    def names_rows(self, error):
        """The error of a loss that is not finite, with the training rows that overflow float32."""
        parts = self.train.X["x"].split(BLOCK)
        sums = torch.cat([part.float().flatten(1).square().sum(1) for part in parts])
        bad = ~sums.isfinite()  # variances of batch normalisation hold squares
        if not bad.any():
            return error
        return FloatingPointError(
            f"{error} Values of {int(bad.sum())} of the {len(bad)} training rows overflow float32 "
            f"when squared, the first in row {int(bad.int().argmax())} of these: clip them, or "
            "leave these rows out."
        )
