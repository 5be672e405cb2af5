"""skorch callbacks of our own: the rate, the progress bar, and the bridge to scikit-learn's."""

from skorch.callbacks import Callback
from torch.optim.lr_scheduler import CosineAnnealingLR

OWN = "sklearn_thin."  # starts the names of our own callbacks, so that a user's may have any


def own_callbacks(net):
    """A net's callbacks that the user did not pass, by their names without OWN."""
    named = dict(net.callbacks_)
    return {name.removeprefix(OWN): named[name] for name in named if name.startswith(OWN)}


class CosineRate(Callback):
    """Lowers the rate along a cosine to 0 over the fit, a step a batch.

    A step a batch, so that a fit of few epochs over many rows ends slowly as well. skorch's
    LRScheduler would ask the history to hold every batch for that.
    """

    def on_train_begin(self, net, X=None, **kwargs):
        n_steps = net.max_epochs * len(net.get_iterator(X, training=True))
        self.schedule_ = CosineAnnealingLR(net.optimizer_, n_steps)

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.schedule_.step()

    def on_epoch_begin(self, net, **kwargs):
        net.history.record("event_lr", self.schedule_.get_last_lr()[0])


class EpochBar(Callback):
    """One progress bar over all epochs of a fit, a tick a training batch."""

    def __init__(self, description, max_epochs):
        self.description = description
        self.max_epochs = max_epochs

    def on_train_begin(self, net, X=None, **kwargs):
        from tqdm.auto import tqdm  # late: a notebook loads its widgets, most fits are silent

        n_batches = len(net.get_iterator(X, training=True))
        self.bar_ = tqdm(total=n_batches * self.max_epochs, desc=self.description, unit="batch")

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.bar_.update()

    def on_epoch_end(self, net, **kwargs):
        last = net.history[-1]
        losses = {k: f"{last[k]:.4f}" for k in ("train_loss", "valid_loss") if k in last}
        self.bar_.set_postfix(epoch=last["epoch"], **losses)

    def close(self):
        """Leave the bar as it is: after the last epoch, or where the fit broke off."""
        if hasattr(self, "bar_"):
            self.bar_.close()


class SklearnCallbacks(Callback):
    """Tells scikit-learn's own callbacks (version 1.9) of every epoch.

    Parameters
    ----------
    estimator : estimator
        The one being fitted.
    context : sklearn.callback.CallbackContext
        Its root task.
    told : dict
        What they are told of the fit: X, y, metadata, reconstruction_attributes.
    """

    def __init__(self, estimator, context, told):
        self.estimator = estimator
        self.context = context
        self.told = told

    def on_train_begin(self, net, **kwargs):
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self.told)

    def on_epoch_begin(self, net, **kwargs):
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator, **self.told)

    def on_epoch_end(self, net, **kwargs):
        if self.epoch_.call_on_fit_task_end(estimator=self.estimator, **self.told):
            raise KeyboardInterrupt  # how a skorch callback ends a training

    def on_train_end(self, net, **kwargs):
        self.context.call_on_fit_task_end(estimator=self.estimator, **self.told)
