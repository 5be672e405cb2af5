"""Ctrl-C: a fit that goes on keeps whole epochs and is marked; other fits change nothing."""

import os
import signal

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from skorch.callbacks import Callback

from sklearn_thin import ExogenousEncoder
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from tests.helpers import (
    SMALL,
    assert_bit_equal,
    fitted_attributes,
    nothing_changes,
    small,
    small_encoder,
)


@pytest.fixture(autouse=True)
def a_handler_as_in_a_terminal():
    """Python's own handler, which a process in the background has not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Press(Callback):
    """Ctrl-C at an event of the epoch of this number."""

    def __init__(self, epoch, event="on_batch_end"):
        self.epoch, self.event = epoch, event

    def on_batch_end(self, net, **kwargs):
        self.press(net, "on_batch_end")

    def on_epoch_end(self, net, **kwargs):
        self.press(net, "on_epoch_end")

    def on_train_end(self, net, **kwargs):
        self.press(net, "on_train_end")

    def press(self, net, event):
        if event == self.event and len(net.history) == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


class Worse(Callback):
    """A rate at which nothing is learnt, from the epoch of this number on."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) >= self.epoch:
            net.optimizer_.param_groups[0]["lr"] = 10.0


def interrupted(call, *args, **params):
    with pytest.raises(KeyboardInterrupt):
        call(*args, **params)


@pytest.mark.parametrize("kind", [small, lambda **params: ExogenousEncoder(SMALL, **params)])
def test_a_warm_start_keeps_whole_epochs_and_is_marked(kind, rows):
    X, y, _ = rows
    params = {"lr_schedule": "constant", "random_state": 0, "warm_start": True}
    clf = kind(max_epochs=9, callbacks=[Press(3)], **params)
    interrupted(clf.fit, X, y)
    whole = kind(max_epochs=2, callbacks=[Press(99)], **params).fit(X, y)
    assert_bit_equal(clf.module_.state_dict(), whole.module_.state_dict())
    assert (clf.n_iter_, clf.interrupted_, whole.interrupted_) == (2, True, False)
    assert clf.history_[-1]["interrupted"]
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))
    clf.set_params(max_epochs=1, callbacks=None).fit(X, y)
    assert (clf.n_iter_, clf.interrupted_) == (3, False)


@pytest.mark.parametrize("epoch", [3, 4])
def test_an_interrupted_warm_start_without_a_whole_epoch_changes_nothing(epoch, rows):
    X, y, _ = rows
    clf = small(warm_start=True, callbacks=[Press(epoch)])
    if epoch == 4:  # after a fit that was interrupted itself
        clf.set_params(max_epochs=9)
        interrupted(clf.fit, X, y)
    else:
        clf.fit(X, y)
    clf.set_params(callbacks=[Press(clf.n_iter_ + 1)])
    with nothing_changes(clf, X):
        interrupted(clf.fit, X, y)


@pytest.mark.parametrize("dispelling", ["erasure", "alignment"])
@pytest.mark.parametrize(
    ("event", "n_whole"), [("on_batch_end", 3), ("on_epoch_end", 4), ("on_train_end", 4)]
)
def test_the_map_fits_the_weights_that_are_kept(dispelling, event, n_whole, rows, encoder):
    X, y, z = rows
    params = {"dispelling": dispelling, "warm_start": True, "lr_schedule": "constant"}
    labels = {"exogenous_target": z} if dispelling == "erasure" else {}
    clf = small(FrozenEstimator(encoder), max_epochs=4, callbacks=[Press(4, event)], **params)
    interrupted(clf.fit, X, y, **labels)
    assert clf.interrupted_
    whole = small(FrozenEstimator(encoder), max_epochs=n_whole, callbacks=[Press(9)], **params)
    expected = whole.fit(X, y, **labels).module_.state_dict()
    for name, value in clf.module_.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=1e-4, rtol=1e-4)


def test_the_best_weights_are_restored_where_early_stopping_runs(rows, more):
    (X, y, _), (X_val, y_val, _) = rows, more
    callbacks = [Worse(4), Press(7)]
    clf = small(warm_start=True, early_stopping=True, max_epochs=20, callbacks=callbacks)
    clf.set_params(lr_schedule="constant", lr=0.01)
    interrupted(clf.fit, X, y, X_val=X_val, y_val=y_val)
    losses = clf.history_[:, "valid_loss"]
    assert (len(losses), np.argmin(losses)) == (6, 2)
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(min(losses), rel=1e-4)


class Diverge(Worse):
    """A weight that is not a number, in the epoch of this number."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            torch.nn.init.constant_(net.module_.experts.weight, torch.nan)


def test_a_loss_that_diverges_keeps_the_best_weights_too_and_is_marked(rows, more):
    (X, y, _), (X_val, y_val, _) = rows, more
    clf = small(early_stopping=True, max_epochs=20, callbacks=[Worse(4), Diverge(6)])
    clf.set_params(lr_schedule="constant", lr=0.01)
    with pytest.raises(FloatingPointError):
        clf.fit(X, y, X_val=X_val, y_val=y_val)
    best = min(clf.history_[:, "valid_loss"])
    assert (clf.n_iter_, clf.interrupted_) == (5, True)
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(best, rel=1e-4)


def test_an_interrupted_partial_fit_changes_nothing(rows):
    X, y, _ = rows
    clf = small(callbacks=[Press(1)])
    interrupted(clf.partial_fit, X, y)
    assert not fitted_attributes(clf)
    clf.set_params(callbacks=[Press(2)]).partial_fit(X, y)
    with nothing_changes(clf, X):
        interrupted(clf.partial_fit, X, y)


@pytest.mark.parametrize("warm_start", [False, True])
def test_ctrl_c_in_an_encoder_inside_leaves_the_classifier_as_it_was(warm_start, fitted, rows):
    X, y, z = rows
    encoder = small_encoder(max_epochs=9, warm_start=warm_start, callbacks=[Press(3)])
    clf = small(encoder, lam=0.1, warm_start=warm_start)
    interrupted(clf.fit, X, y, exogenous_target=z)
    assert not fitted_attributes(clf)
    with nothing_changes(fitted, X):
        fitted.set_params(exogenous=encoder)
        interrupted(fitted.fit, X, y, exogenous_target=z)
        fitted.set_params(exogenous=None)


def stack_that_is_interrupted(monkeypatch, epoch):
    """Presses Ctrl-C in an epoch of a stack."""
    from sklearn_thin.training.stack import Stack

    run = Stack._run_epoch

    def run_epoch(self, number, ctrl_c):
        if number == epoch:
            os.kill(os.getpid(), signal.SIGINT)
        run(self, number, ctrl_c)

    monkeypatch.setattr(Stack, "_run_epoch", run_epoch)


MANY = {
    "search": lambda: StackedGridSearchCV(small(), {"lr": [1e-3, 1e-2]}, cv=2),
    "ensemble": lambda: SeedEnsembleClassifier(small(), 2, random_state=0),
}


@pytest.mark.parametrize("kind", MANY)
@pytest.mark.parametrize("warm_start", [False, True])
def test_ctrl_c_leaves_a_search_and_an_ensemble_as_they_were(kind, warm_start, rows, monkeypatch):
    X, y, _ = rows
    many = MANY[kind]()
    if warm_start:
        many.estimator.set_params(warm_start=True, callbacks=[Press(2)])
    else:
        stack_that_is_interrupted(monkeypatch, 1)
    interrupted(many.fit, X, y)
    assert not fitted_attributes(many)
    with pytest.raises(NotFittedError):
        many.predict(X)
    monkeypatch.undo()
    many.estimator.set_params(callbacks=None)
    proba, before = many.fit(X, y).predict_proba(X), fitted_attributes(many)
    many.estimator.set_params(callbacks=[Press(2)])
    interrupted(many.fit, X[::2], y[::2])
    after = fitted_attributes(many)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before if name != "scorer_")
    np.testing.assert_array_equal(many.predict_proba(X), proba)


class PressInRefit(Callback):
    """Ctrl-C in a training of all rows."""

    def __init__(self, n_rows):
        self.n_rows = n_rows

    def on_train_begin(self, net, X=None, **kwargs):
        if len(X) == self.n_rows:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_in_the_refit_leaves_no_half_of_a_search(rows):
    X, y, _ = rows
    search = StackedGridSearchCV(small(callbacks=[PressInRefit(200)]), {"lr": [1e-3]}, cv=2)
    interrupted(search.fit, X, y)
    assert not fitted_attributes(search)
