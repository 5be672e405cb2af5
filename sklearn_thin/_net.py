"""The training: batches -> module -> weighted loss terms -> gradient, epoch by epoch."""

import math
from contextlib import suppress
from functools import partial

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochTimer

from sklearn_thin._batches import TensorBatches
from sklearn_thin._callbacks import OWN
from sklearn_thin._capture import CapturedNetStep
from sklearn_thin._forward import as_float, in_precision
from sklearn_thin._pickling import pack, unpack
from sklearn_thin._validation import check_device
from sklearn_thin.losses import cross_entropy
from sklearn_thin.modules.thin import widened

PROGRAMS = 64  # that a process compiles before torch computes further ones as they are
BATCH_EVENTS = {"on_batch_begin", "on_grad_computed", "on_batch_end"}


class StopTraining(Exception):  # noqa: N818 -- no error: it says that the training is done
    """A callback ended the training before the last epoch."""


class THINNet(NeuralNetClassifier):
    """skorch's net for batches of tensors with THIN's loss.

    A batch is a dict: "x", and where they exist "gate_input", "exogenous_logits" and
    "weight"; labels are class codes. Differs from skorch's in that

    - losses are summed on the device and read once an epoch, which is then told whether it is
      the best so far, as skorch's own scoring tells it;
    - Ctrl-C is raised instead of handing back a half-trained net;
    - a loss that turns NaN or infinite raises, after the last good weights are restored.

    Parameters
    ----------
    module : THINModule
        An instance.
    lam : float, default=0.0
        λ, weight of the dispelling term.
    dispeller : callable, default=None
        (exogenous_logits, h_endo) -> values of shape (n_samples,); None for no such term.
    augmentation : callable, default=None
        Batch -> batch, in training only.
    record_batches : bool, default=False
        Whether the history holds every batch, as some skorch callbacks need.
    mixed_precision : {"bf16"}, default=None
        What the forward pass of a training step computes in.
    **kwargs
        skorch's own; `compile` compiles or captures the training step, not the module.
    """

    def __init__(
        self,
        module,
        *,
        lam=0.0,
        dispeller=None,
        augmentation=None,
        record_batches=False,
        mixed_precision=None,
        **kwargs,
    ):
        super().__init__(
            module,
            criterion=torch.nn.CrossEntropyLoss,  # tells skorch's callbacks of the softmax
            iterator_train=TensorBatches,
            iterator_valid=TensorBatches,
            **kwargs,
        )
        self.lam = lam
        self.dispeller = dispeller
        self.augmentation = augmentation
        self.record_batches = record_batches
        self.mixed_precision = mixed_precision

    @property
    def _default_callbacks(self):
        return [(OWN + "epoch_timer", EpochTimer())]

    def get_iterator(self, dataset, training=False):
        iterator = super().get_iterator(dataset, training=training)
        iterator.device = torch.device(self.device)
        return iterator

    def infer(self, x, **fit_params):
        # a plain tuple, as skorch cannot move a named one between devices
        frozen = x.get("gate_input"), x.get("exogenous_logits")
        return tuple(self.module_(as_float(x["x"]), *frozen))

    def loss_terms(self, output, y, X):
        """Values of each term, (n_samples,) each."""
        logits, h = output
        terms = {"cross_entropy": cross_entropy(logits, y)}
        if self.dispeller is not None and "exogenous_logits" in X:
            terms["dispelling"] = self.dispeller(X["exogenous_logits"], h)
        return terms

    def get_loss(self, y_pred, y_true, X=None, training=False):
        return self.total_loss(mean_terms(self.loss_terms(y_pred, y_true, X), X))

    def total_loss(self, means):
        """The loss CE + λ·dispelling."""
        if "dispelling" not in means:
            return means["cross_entropy"]
        return means["cross_entropy"] + self.lam * means["dispelling"]

    def train_step_single(self, batch, **fit_params):
        X, y = batch
        if self.augmentation is not None:
            X = self.augmentation(X)
        return self.step_(X, y)

    def step(self, X, y, forward_terms=None):
        """Loss, output and terms of a training batch; the weights get their gradients."""
        means, output = (forward_terms or self.forward_terms)(X, y)
        loss = self.total_loss(means)
        loss.backward()
        return {"loss": loss.detach(), "y_pred": output, "means": means}

    def forward_terms(self, X, y):
        """Of a training batch the mean of each term of the loss, and the output."""
        with in_precision(self.mixed_precision, self.device):
            output = self.infer(X)
        output = tuple(widened(part) for part in output)
        means = mean_terms(self.loss_terms(output, y, X), X)
        return means, tuple(part.detach() for part in output)

    def fast_step(self):
        """`step` as one compiled program, or on a GPU as a graph that is captured and replayed.

        A batch of another size, the last of an epoch, is computed as it is.
        """
        if torch.device(self.device).type == "cuda":
            return CapturedNetStep(self)
        # fits of equal shapes share what is compiled, whatever their λ
        options = {"dynamic": False, "recompile_limit": PROGRAMS}
        fast = partial(self.step, forward_terms=torch.compile(self.forward_terms, **options))
        return lambda X, y: (fast if len(y) == self.batch_size else self.step)(X, y)

    def torch_compile(self, module, name):
        return module  # the step is compiled instead, so that names of weights stay as they are

    @torch.no_grad()
    def validation_step(self, batch, **fit_params):
        X, y = batch
        output = self.infer(X)
        means = mean_terms({"cross_entropy": cross_entropy(output[0], y)}, X)
        return {"loss": means["cross_entropy"], "y_pred": output, "means": means}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        self._set_training(training)
        self.listeners_ = self._listeners()
        sizes, losses, dispelling = [], [], []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            sizes.append(len(batch[1]))
            losses.append(step["loss"].detach())
            if "dispelling" in step["means"]:
                dispelling.append(step["means"]["dispelling"].detach())
            if self.record_batches:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", sizes[-1])
            self.notify("on_batch_end", batch=batch, training=training, **step)
        means = {"loss": weighted_mean(losses, sizes)}
        if dispelling:
            means["dispelling"] = weighted_mean(dispelling, sizes)
        self._check_finite(means["loss"], prefix)
        best = is_best(self.history, f"{prefix}_loss", means["loss"])
        for name, mean in means.items():
            self.history.record(f"{prefix}_{name}", mean)
        self.history.record(f"{prefix}_loss_best", best)
        self.history.record(f"{prefix}_batch_count", len(iterator))

    def notify(self, method_name, **cb_kwargs):
        if method_name in BATCH_EVENTS and not self.record_batches:
            for method in self.listeners_[method_name]:
                method(self, **cb_kwargs)
            return
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as stop:
            if method_name != "on_epoch_end" or not raised_in("on_epoch_end", stop):
                raise
            raise StopTraining from stop

    def _listeners(self):
        """Methods of the callbacks that have one of their own, by event: a batch is short."""
        methods = {
            name: [getattr(callback, name) for _, callback in self.callbacks_]
            for name in BATCH_EVENTS
        }
        return {
            name: [m for m in own if getattr(m, "__func__", None) is not getattr(Callback, name)]
            for name, own in methods.items()
        }

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        if not self.initialized_:
            self.initialize()
        self._keep_weights()
        self.step_ = self.fast_step() if self.compile else self.step
        try:
            self.notify("on_train_begin", X=X, y=y)
            with suppress(StopTraining):
                self.fit_loop(X, y)
            self.notify("on_train_end", X=X, y=y)
        except BaseException as error:
            if self.history and "dur" not in self.history[-1]:
                self.history.pop()  # the epoch that did not end
            if isinstance(error, FloatingPointError):
                self.module_.load_state_dict(self.good_weights_)
                self.optimizer_.state.clear()  # its moments are spoilt as well
            raise
        finally:
            self.good_weights_ = self.listeners_ = self.step_ = None
            self._set_training(False)
        return self

    def _check_finite(self, loss, prefix):
        weights = self.module_.parameters()
        if not math.isfinite(loss) or not all(bool(w.isfinite().all()) for w in weights):
            epoch = f"{self.history[-1, 'epoch']}; the weights of the epoch before are kept"
            raise divergence(f"{prefix}_loss", loss, epoch, self.lr)

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net, **kwargs)
        self._keep_weights()

    def _keep_weights(self):
        """To go back to where the loss of the next epoch is not finite."""
        state = self.module_.state_dict()
        self.good_weights_ = {name: tensor.clone() for name, tensor in state.items()}

    def __getstate__(self):
        # The optimizer refers to the tensors themselves, which do not travel; nor does a program.
        names = ("module", "module_", "optimizer_", "criterion_", "step_")
        return {**vars(self), **dict.fromkeys(names), "packed_module_": pack(self.module_)}

    def __setstate__(self, state):
        state = dict(state)
        skeleton, arrays = state.pop("packed_module_")
        try:
            device = check_device(state["device"])
        except ValueError:  # trained on a device that this machine does not have
            device = torch.device("cpu")
        vars(self).update(state, device=str(device))
        module = unpack(skeleton, arrays, device)
        vars(self).update(module=module, module_=module)


def mean_terms(terms, X):
    """Mean of the values of each term over the samples of a batch, which may have weights."""
    weight = X.get("weight")
    return {
        name: (values if weight is None else values * weight).mean()
        for name, values in terms.items()
    }


def weighted_mean(values, sizes):
    """Mean of scalars on a device, read once; each counts as often as its batch has rows."""
    sizes = torch.tensor(sizes, dtype=values[0].dtype, device=values[0].device)
    return float(torch.stack(values) @ sizes / sizes.sum())


def is_best(history, name, loss):
    """Whether a loss, not recorded yet, is below those of all epochs: what Checkpoint asks."""
    return all(loss < epoch[name] for epoch in history if name in epoch)


def divergence(name, loss, epoch, lr):
    """The error of a training whose loss or weights are not finite."""
    return FloatingPointError(
        f"the {name} became {loss} at epoch {epoch}. Try a lower lr (got {lr}), or bring the "
        "columns of X to a common scale."
    )


def raised_in(name, error):
    """Whether `error` was raised by a function of this name itself, not below it."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_name == name
