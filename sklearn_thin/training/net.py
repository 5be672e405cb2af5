"""The training of one net on top of skorch: batches -> step -> optimizer, epoch by epoch."""

import copy
import math
from contextlib import suppress
from functools import partial
from time import perf_counter

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import PrintLog
from skorch.helper import predefined_split
from torch.optim.lr_scheduler import CosineAnnealingLR

from sklearn_thin._compat import compiled
from sklearn_thin._environment import CASTS, is_out_of_memory, noting_ctrl_c, torch_seed
from sklearn_thin.losses import batch_losses
from sklearn_thin.modules.tensors import laid_out_as
from sklearn_thin.training.batches import TensorBatches, batch_bounds
from sklearn_thin.training.callbacks import EpochBar, RefitMap, early_stopping
from sklearn_thin.training.capture import CapturedNetStep
from sklearn_thin.training.state import (
    OF_TRAINING,
    OPTIMIZERS,
    OWN,
    checkpoint_of,
    go_on,
    restore,
    state_of,
)

PROGRAMS = 64  # programs that a process compiles; torch computes further ones eagerly
BATCH_EVENTS = {"on_batch_begin", "on_grad_computed", "on_batch_end"}


def new_net(plan):
    """The net of a plan before its first step."""
    settings = plan.settings
    optimizer = {"optimizer": settings.optimizer, "optimizer__weight_decay": settings.weight_decay}
    if isinstance(settings.optimizer, str):
        optimizer["optimizer"] = OPTIMIZERS[settings.optimizer]
        # callbacks may replace weights or gradients by ones of another memory layout, which a
        # fused step would misread
        if settings.device.type in ("cpu", "cuda") and not plan.callbacks:
            optimizer["optimizer__fused"] = True
    net = THINNet(
        plan.module,
        criterion=plan.loss,
        lr=settings.lr,
        lr_schedule=settings.lr_schedule,
        max_epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        iterator_train__generator=torch.Generator().manual_seed(plan.seed),
        train_split=None if plan.valid is None else predefined_split(plan.valid),
        callbacks=callbacks_of(plan),
        augmentation=plan.augmentation,
        record_batches=bool(plan.callbacks),
        fast=settings.compile,
        mixed_precision=settings.mixed_precision,
        device=str(settings.device),
        verbose=int(plan.verbose > 1),
        **optimizer,
    )
    with torch_seed(plan.seed, settings.device):  # callbacks and optimizers may draw
        net.initialize()
    if plan.before is not None:
        _carry_over(plan.before, net)
    return net


def callbacks_of(plan):
    """Copies of the user's callbacks between our own, whose names start with OWN."""
    own, last = {}, {}
    if plan.verbose == 1:
        own["progress_bar"] = EpochBar(plan.name, plan.settings.max_epochs)
    if plan.verbose > 1:
        own["print_log"] = PrintLog()
    own |= plan.followers
    if plan.settings.n_iter_no_change is not None:
        own["early_stopping"] = early_stopping(plan)
    if plan.map_labels is not None:
        last["map"] = RefitMap(plan)  # after callbacks that restore weights
    named = [[(OWN + name, callback) for name, callback in part.items()] for part in (own, last)]
    try:
        users = copy.deepcopy(plan.callbacks)
    except TypeError:  # of locks and files, which a writer of logs holds, and copies share
        users = [
            (item[0], copy.copy(item[1])) if isinstance(item, tuple) else copy.copy(item)
            for item in plan.callbacks
        ]
    return [*named[0], *users, *named[1]]


def train(net, plan):
    """Train the net; a loss that diverges, or Ctrl-C if it can go on, leaves whole epochs."""
    n_before = len(net.history)
    with torch_seed(plan.seed, plan.settings.device):
        try:
            net.partial_fit(plan.train)
        except (KeyboardInterrupt, FloatingPointError) as error:
            diverged = isinstance(error, FloatingPointError)
            if (plan.keeps_optimizer or diverged) and len(net.history) > n_before:
                net.end_early()
            raise (plan.names_rows(error) if diverged else error) from None
        except KeyError as error:
            raise plan.lacks_score(error) from None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise plan.lacks_memory(error) from None
        finally:
            tidy(net, plan)


def tidy(net, plan):
    """Remove from the net all that predictions do not need, except the user's callbacks."""
    users = []
    for name, callback in net.callbacks_:
        if not name.startswith(OWN):
            users.append((name, callback))
        elif name == OWN + "progress_bar":
            callback.close()
    vars(net).update(dict.fromkeys(OF_TRAINING), callbacks_=users)
    net.module_.zero_grad(set_to_none=True)
    if not plan.keeps_optimizer:
        net.optimizer_ = net.criterion_.term = None


def _carry_over(before, net):
    """Copy history, moments and a trained term into `net`; no pickle holds the latter two."""
    net.history_ = type(before.history_)(dict(epoch) for epoch in before.history_)
    term = getattr(before.criterion_, "term", None)
    if term is not None and type(net.criterion_.term) is type(term):
        net.criterion_.term.load_state_dict(term.state_dict())
    if type(before.optimizer_) is type(net.optimizer_):
        state = copy.deepcopy(before.optimizer_.state_dict()["state"])
        groups = net.optimizer_.state_dict()["param_groups"]
        known = {index for group in groups for index in group["params"]}
        state = {index: moments for index, moments in state.items() if index in known}
        net.optimizer_.load_state_dict({"state": state, "param_groups": groups})
        for weight, moments in net.optimizer_.state.items():
            for name, value in moments.items():
                if torch.is_tensor(value) and value.shape == weight.shape:
                    moments[name] = laid_out_as(weight, value)


class StopTraining(Exception):  # noqa: N818 -- no error, but an early end
    """A callback ended the training before the last epoch."""


class THINNet(NeuralNetClassifier):
    """skorch's net for batches of tensors with THIN's loss.

    A batch is a dict of "x", and maybe "gate_input", "exogenous_logits" and "weight"; y
    holds class codes, or standardised numbers. Unlike skorch's net

    - it sums losses on the device, and reads them once an epoch;
    - it raises Ctrl-C, and raises where the loss turns NaN or infinite;
    - after both it has the weights of the last whole epoch.

    Parameters
    ----------
    module : THINModule
        An instance.
    lr_schedule : {"constant", "cosine"}, default="constant"
    augmentation : callable, default=None
        It maps a batch to a batch, in training only.
    record_batches : bool, default=False
        Whether the history holds every batch, as some skorch callbacks need.
    fast : bool, default=False
        Whether to compile or capture the training step.
    mixed_precision : {"bf16"}, default=None
        Type of the training step's forward pass.
    **kwargs
        skorch's own; `criterion` is a THINLoss.
    """

    _default_callbacks = []

    def __init__(
        self,
        module,
        *,
        lr_schedule="constant",
        augmentation=None,
        record_batches=False,
        fast=False,
        mixed_precision=None,
        **kwargs,
    ):
        batches = {"iterator_train": TensorBatches, "iterator_valid": TensorBatches}
        super().__init__(module, **batches, **kwargs)
        self.lr_schedule = lr_schedule
        self.augmentation = augmentation
        self.record_batches = record_batches
        self.fast = fast
        self.mixed_precision = mixed_precision
        self.ctrl_c_ = None
        self.kept_ = None  # gets states of the training
        self.interrupted_ = False

    @property
    def lam(self):
        """λ, which callbacks may change from epoch to epoch."""
        return self.criterion_.lam.item()

    @lam.setter
    def lam(self, value):
        self.criterion_.lam.fill_(value)

    def set_params(self, **kwargs):
        if "lam" in kwargs:
            self.lam = kwargs.pop("lam")
        return super().set_params(**kwargs)

    def load_params(self, *args, checkpoint=None, **kwargs):
        if checkpoint is not None:  # λ and the term are those of this training
            checkpoint = copy.copy(checkpoint)
            checkpoint.f_criterion = None
        return super().load_params(*args, checkpoint=checkpoint, **kwargs)

    def get_all_learnable_params(self):
        # frozen weights of the module may be thawed by a callback; frozen predictors stay frozen
        yield from self.module_.named_parameters()
        yield from ((n, w) for n, w in self.criterion_.named_parameters() if w.requires_grad)

    # ------------------------------------------------------------------ a batch

    def get_iterator(self, dataset, training=False):
        iterator = super().get_iterator(dataset, training=training)
        iterator.device = self.device
        return iterator

    def infer(self, x, **fit_params):
        # skorch cannot move a named tuple between devices
        return tuple(self.module_(x["x"], x.get("gate_input"), x.get("exogenous_logits")))

    def get_loss(self, y_pred, y_true, X=None, training=False):
        terms = X.get("exogenous_logits"), X.get("weight")
        return self.criterion_(y_pred, y_true, *terms)["loss"]

    def train_step_single(self, batch, **fit_params):
        X, y = batch
        if self.augmentation is not None:
            X = self.augmentation(X)
        return self.step_(X, y)

    def step(self, X, y, losses=None):
        """Means and output of a training batch; sets the gradients of the weights."""
        means, output = (losses or self.losses)(X, y)
        means["loss"].backward()
        means = {name: mean.detach() for name, mean in means.items()}
        return {"loss": means["loss"], "y_pred": output, "means": means}

    def losses(self, X, y):
        """Means of the loss and its terms over a training batch, and the output."""
        precision = CASTS.get(self.mixed_precision)
        means, output = batch_losses(self.module_, self.criterion_, X, y, precision=precision)
        return means, tuple(part.detach() for part in output)

    def fast_step(self):
        """`step` as a compiled program or a captured graph; other batch sizes stay eager."""
        if torch.device(self.device).type == "cuda":
            return CapturedNetStep(self)
        # fits of equal shapes share a program, for all λ
        fast = partial(self.step, losses=compiled(self.losses, PROGRAMS))
        return lambda X, y: (fast if len(y) == self.batch_size else self.step)(X, y)

    @torch.no_grad()
    def validation_step(self, batch, **fit_params):
        means, output = batch_losses(self.module_, self.criterion_, *batch, dispelled=False)
        return {"loss": means["loss"], "y_pred": output, "means": means}

    # ------------------------------------------------------------------ an epoch

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        self._set_training(training)
        sizes, terms = [], {"loss": [], "dispelling": []}
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            sizes.append(len(batch[1]))
            for name in terms.keys() & step["means"].keys():
                terms[name].append(step["means"][name])
            if training and self.schedule_ is not None:
                self.schedule_.step()
            if self.record_batches:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", sizes[-1])
            self.notify("on_batch_end", batch=batch, training=training, **step)
        means = {}
        for name, values in terms.items():
            if values:  # read once; each counts as often as its batch has rows
                weight = values[0].new_tensor(sizes)
                means[name] = float(torch.stack(values) @ weight / weight.sum())
        finite = all(bool(part.isfinite().all()) for part in self.module_.state_dict().values())
        record(self.history, prefix, means, len(sizes), finite=finite, lr=self.lr)

    def notify(self, method_name, **cb_kwargs):
        if method_name in BATCH_EVENTS and not self.callbacks_:
            return
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:
            if method_name != "on_epoch_end" or self.ctrl_c_:
                raise
            raise StopTraining from None
        if method_name == "on_epoch_end" and self.kept_ is not None:
            self.kept_.epoch_ended(len(self.history), partial(checkpoint_of, self))

    # ------------------------------------------------------------------ a training

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        if not self.initialized_:
            self.initialize()
        self._keep_weights()
        self.step_ = self.fast_step() if self.fast else self.step
        self.schedule_ = None
        if self.lr_schedule == "cosine":
            # steps of batches also let short fits over many rows end slowly
            n_steps = self.max_epochs * len(batch_bounds(len(X), self.batch_size))
            self.schedule_ = CosineAnnealingLR(self.optimizer_, n_steps)
        try:
            with noting_ctrl_c() as self.ctrl_c_:
                self.notify("on_train_begin", X=X, y=y)
                done = 0 if self.kept_ is None else go_on(self)
                with suppress(StopTraining):
                    self.fit_loop(X, y, self.max_epochs - done)
                self.notify("on_train_end", X=X, y=y)
        except BaseException as error:
            if self.history and "dur" not in self.history[-1]:
                self.history.pop()  # the unfinished epoch
            if isinstance(error, (KeyboardInterrupt, FloatingPointError)):
                self.module_.load_state_dict(self.good_weights_)
            if isinstance(error, FloatingPointError):
                self.optimizer_.state.clear()  # its moments are not finite either
            raise
        finally:
            self.good_weights_ = self.step_ = self.schedule_ = self.kept_ = None
            self._set_training(False)
        return self

    def end_early(self):
        """Restore the best weights and fit the map, as at the end of a training; mark the net."""
        for name, callback in self.callbacks_:
            if name in (OWN + "early_stopping", OWN + "map"):
                callback.on_train_end(self)
        self._set_training(False)
        self.history.record("interrupted", True)
        self.interrupted_ = True

    def on_epoch_begin(self, net, **kwargs):
        super().on_epoch_begin(net, **kwargs)
        self.epoch_start_ = perf_counter()
        if self.schedule_ is not None:
            self.history.record("event_lr", self.schedule_.get_last_lr()[0])

    def on_epoch_end(self, net, **kwargs):
        self._keep_weights()
        self.history.record("dur", perf_counter() - self.epoch_start_)  # the epoch is whole

    def _keep_weights(self):
        """Keep weights to restore if the next epoch does not end well."""
        state = self.module_.state_dict()
        self.good_weights_ = {name: tensor.clone() for name, tensor in state.items()}

    # ------------------------------------------------------------------ a pickle

    def __getstate__(self):
        return state_of(self)

    def __setstate__(self, state):
        restore(self, state)


def record(history, prefix, means, n_batches, *, finite, lr):
    """Write the means of an epoch into the history, and whether its loss is the best so far.

    Raises FloatingPointError where the loss or, by `finite`, the weights are not finite.
    """
    name, loss = f"{prefix}_loss", means["loss"]
    if not (finite and math.isfinite(loss)):
        raise FloatingPointError(
            f"the {name} became {loss} at epoch {history[-1, 'epoch']}; the weights of the epoch "
            f"before are kept. Try a lower lr (got {lr}), lam or weight_decay, or bring the "
            "columns of X to a common scale."
        )
    best = all(loss < epoch[name] for epoch in history if name in epoch)
    for term, mean in means.items():
        history.record(f"{prefix}_{term}", mean)
    history.record(f"{name}_best", best)
    history.record(f"{prefix}_batch_count", n_batches)
