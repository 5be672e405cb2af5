"""The training of one net: settings -> callbacks and optimizer -> a fitted `net_`, or none."""

import copy
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from skorch.callbacks import Callback, EarlyStopping, PrintLog
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from sklearn_thin._callbacks import (
    OWN,
    CosineRate,
    EpochBar,
    SklearnCallbacks,
    own_callbacks,
)
from sklearn_thin._capture import laid_out_as
from sklearn_thin._erasure import RefitEraser
from sklearn_thin._forward import check_compiler, check_precision
from sklearn_thin._net import THINNet
from sklearn_thin._random import torch_seed
from sklearn_thin._specification import specification
from sklearn_thin._validation import check_device, held_out_size

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


@dataclass
class Training:
    """All that the training of one net starts from."""

    module: nn.Module  # a copy of that of the net before, if any
    train: Dataset
    valid: Dataset | None
    rows: Any  # those of `train`, for scikit-learn's callbacks
    seed: int
    erased: torch.Tensor | None = None  # what the module's eraser is fitted to, (n, n_labels)
    before: THINNet | None = None  # the net that this training goes on from
    epochs: int | None = None  # None for a whole fit
    net_params: dict = field(default_factory=dict)

    def __post_init__(self):
        self.seed += 0 if self.before is None else len(self.before.history)
        _check_two_rows(len(self.train), self.module)


class TrainingMixin:
    """How an estimator with the parameters of a NetEstimator trains its module."""

    def _check_device(self):
        """Raise where the device, or what it is asked to do, is not there."""
        device = check_device(self.device)
        check_precision(self.mixed_precision, device)
        if self.compile and device.type != "cuda":  # which captures a graph of its own
            check_compiler(device.type)

    def _to_go_on_from(self, go_on=True):
        """The net of the fit before where this one goes on from it, else None."""
        if not (go_on and hasattr(self, "net_")):
            return None
        for name, built in self.architecture_.items():
            value = specification(getattr(self, name))
            if value != built:
                raise ValueError(
                    f"{name} was {built!r} when the network was built, and is {value!r} now: "
                    "a fit that goes on cannot change it. Set it back, or start anew with "
                    "warm_start=False and fit."
                )
        return self.net_

    def _train(self, training):
        """Train the module of a :class:`Training`; sets `net_`."""
        with torch_seed(training.seed, check_device(self.device)):
            net = self.net_ = self._new_net(training)
            try:
                net.partial_fit(training.train)
            finally:
                self._tidy(net, keep_optimizer=self.warm_start or training.epochs is not None)

    def _new_net(self, training):
        """The net before its first step, or as the one before left it."""
        device = check_device(self.device)
        before, valid = training.before, training.valid
        net = THINNet(
            training.module,
            lr=self.lr,
            max_epochs=training.epochs or self.max_epochs,
            batch_size=self.batch_size,
            iterator_train__generator=torch.Generator().manual_seed(training.seed),
            train_split=None if valid is None else predefined_split(valid),
            callbacks=[
                *self._own_callbacks(training),
                *self._user_callbacks(),
                *_eraser_callback(training),  # last: others may restore weights
            ],
            record_batches=bool(self.callbacks),
            compile=self.compile,
            mixed_precision=self.mixed_precision,
            device=str(device),
            verbose=int(self.verbose > 1),
            **self._optimizer_params(device),
            **training.net_params,
        )
        net.initialize()
        if before is not None:
            _carry_over(before, net)
        return net

    def _optimizer_params(self, device):
        params = {"optimizer__weight_decay": self.weight_decay}
        if callable(self.optimizer):
            return {"optimizer": self.optimizer, **params}
        # callbacks may put weights or gradients of another memory layout in the place of ours,
        # which fused steps would not notice
        if device.type in ("cpu", "cuda") and not self.callbacks:
            params["optimizer__fused"] = True
        return {"optimizer": OPTIMIZERS[self.optimizer], **params}

    def _own_callbacks(self, training):
        rows, epochs = training.rows, training.epochs
        callbacks = []
        if self.lr_schedule == "cosine" and epochs is None:
            callbacks.append(("lr_schedule", CosineRate()))
        if self.verbose == 1:
            bar = EpochBar(type(self).__name__, epochs or self.max_epochs)
            callbacks.append(("progress_bar", bar))
        if self.verbose > 1:
            callbacks.append(("print_log", PrintLog()))
        if hasattr(self, "_init_callback_context") and epochs is None:
            context = self._init_callback_context(max_subtasks=self.max_epochs)
            told = {
                "X": rows.raw,
                "y": self.classes_[rows.codes],
                "metadata": None if rows.weight is None else {"sample_weight": rows.weight},
                "reconstruction_attributes": partial(_fitted_attributes, self),
            }
            callbacks.append(("sklearn", SklearnCallbacks(self, context, told)))
        if held_out_size(self.early_stopping) is not None and training.valid is not None:
            patience = self.n_iter_no_change
            stopping = EarlyStopping(patience=patience, load_best=True)
            callbacks.append(("early_stopping", stopping))
        return [(OWN + name, callback) for name, callback in callbacks]

    def _user_callbacks(self):
        callbacks = self.callbacks or []
        for callback in callbacks:
            named = isinstance(callback, tuple) and len(callback) == 2
            if not isinstance(callback[1] if named else callback, (Callback, type)):
                raise TypeError(
                    "callbacks must be a list of skorch callbacks, or of (name, callback), "
                    f"got {callback!r} in it"
                )
        return copy.deepcopy(callbacks)

    def _tidy(self, net, *, keep_optimizer):
        """Leave the net with what prediction needs, and the user's callbacks."""
        own = own_callbacks(net)
        if "progress_bar" in own:
            own["progress_bar"].close()
        net.callbacks_ = [(name, cb) for name, cb in net.callbacks_ if not name.startswith(OWN)]
        net.callbacks = net.train_split = net.iterator_train__generator = None
        net.dispeller = net.augmentation = None
        net.module_.zero_grad(set_to_none=True)
        if not keep_optimizer:
            net.optimizer_ = None

    @contextmanager
    def _all_or_nothing(self, *, keep_progress=False):
        """Fitted attributes are those of a whole fit, or those of before it.

        Two exceptions keep what was learnt: a loss that turns NaN (the last good
        weights), and Ctrl-C where the fit is to be continued anyway (`keep_progress`).
        """
        before = _fitted_attributes(self)
        try:
            yield
        except BaseException as error:
            net = vars(self).get("net_")
            learnt = net is not before.get("net_") and len(net.history) > 0
            stopped = isinstance(error, KeyboardInterrupt) and keep_progress
            if not (learnt and (stopped or isinstance(error, FloatingPointError))):
                for name in _fitted_attributes(self):
                    delattr(self, name)
                vars(self).update(before)
            raise


def _eraser_callback(training):
    """What refits the eraser, where there is one."""
    if training.erased is None:
        return []
    weight = training.rows.weight
    weight = None if weight is None else torch.from_numpy(weight).float()
    return [(OWN + "eraser", RefitEraser(training.erased, weight))]


def _check_two_rows(n_rows, module):
    """Raise where there is a single row, of which batch normalisation knows no variance."""
    if n_rows < 2 and any(isinstance(part, nn.BatchNorm1d) for part in module.modules()):
        raise ValueError(
            f"there must be at least 2 rows to train on with batch normalisation, got {n_rows} "
            "(rows of weight 0 and held-out rows do not count). Pass more rows at once, or use "
            "a backbone without it and hidden_units=0."
        )


def _fitted_attributes(estimator):
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") and not name.startswith("_")
    }


def _carry_over(before, net):
    """Copies of the history and of the optimizer's moments; its settings are this fit's."""
    net.history_ = type(before.history_)(dict(epoch) for epoch in before.history_)
    if type(before.optimizer_) is type(net.optimizer_):
        state = copy.deepcopy(before.optimizer_.state_dict()["state"])
        groups = net.optimizer_.state_dict()["param_groups"]
        net.optimizer_.load_state_dict({"state": state, "param_groups": groups})
        for weight, moments in net.optimizer_.state.items():
            for name, value in moments.items():
                if torch.is_tensor(value) and value.shape == weight.shape:
                    moments[name] = laid_out_as(weight, value)
