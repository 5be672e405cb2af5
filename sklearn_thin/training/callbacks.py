"""skorch callbacks of our own: the progress bar, the map's refits, the bridge to scikit-learn's."""

from functools import partial

from skorch.callbacks import Callback, EarlyStopping

from sklearn_thin._environment import fitted_attributes
from sklearn_thin.training.maps import refit_map


class RefitMap(Callback):
    """Fits the map in front of the experts anew in each epoch, and at last to all rows.

    The network is trained through the map, and learns to do without the removed information. In
    the first epoch the representation changes too fast for a map, which stays the identity.
    """

    def __init__(self, plan):
        self.plan = plan

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > 1:
            refit_map(net.module_, self.plan)

    def on_train_end(self, net, **kwargs):
        refit_map(net.module_, self.plan, n_rows=None)


class EpochBar(Callback):
    """One progress bar over all epochs of a fit, with a tick for each training batch."""

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
        """Leave the bar as it is, also after a fit that failed."""
        if hasattr(self, "bar_"):
            self.bar_.close()


class StopAfter(Callback):
    """Ends a training after some epochs of its schedule."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epochs:
            raise KeyboardInterrupt  # skorch's callbacks end a training by it


class SklearnCallbacks(Callback):
    """Passes every epoch on to scikit-learn's own callbacks (version 1.9).

    The root task of the estimator holds a task for each epoch. The callbacks get the `rows` of
    the training.
    """

    def __init__(self, estimator, rows, max_epochs):
        self.estimator = estimator
        self.context = estimator._init_callback_context(max_subtasks=max_epochs)
        self.fit = {
            "X": rows.raw,
            "y": estimator.targets_.values(rows.y),
            "metadata": None if rows.weight is None else {"sample_weight": rows.weight},
            "reconstruction_attributes": partial(fitted_attributes, estimator),
        }

    def on_train_begin(self, net, **kwargs):
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self.fit)

    def on_epoch_begin(self, net, **kwargs):
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator, **self.fit)

    def on_epoch_end(self, net, **kwargs):
        if self.epoch_.call_on_fit_task_end(estimator=self.estimator, **self.fit):
            raise KeyboardInterrupt  # skorch's callbacks end a training by it

    def on_train_end(self, net, **kwargs):
        self.context.call_on_fit_task_end(estimator=self.estimator, **self.fit)


def check_callback(callback):
    """Raise TypeError for an item of the user's list that is no skorch callback."""
    named = isinstance(callback, tuple) and len(callback) == 2
    if not isinstance(callback[1] if named else callback, (Callback, type)):
        raise TypeError(
            "callbacks must be a list of skorch callbacks, or of (name, callback), "
            f"got {callback!r} in it"
        )


def early_stopping(plan):
    """skorch's, which keeps the best weights."""
    return EarlyStopping(patience=plan.settings.n_iter_no_change, load_best=True)
