"""Rates, optimizers and the recorded loss."""

import functools

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from skorch.callbacks import Callback
from torch import nn

from tests.helpers import small


class LearningRates(Callback):
    """Remembers the rate of every batch as the optimizer has it, and of every epoch's begin."""

    def on_train_begin(self, net, **kwargs):
        self.rates_, self.first_ = [], []

    def on_epoch_begin(self, net, **kwargs):
        self.first_.append(net.history[-1].get("event_lr"))

    def on_batch_begin(self, net, **kwargs):
        self.rates_.append(net.optimizer_.param_groups[0]["lr"])


def learning_rates(**params):
    rng = np.random.RandomState(0)
    X, y = rng.rand(40, 3).astype(np.float32), np.arange(40) % 2
    clf = small(lr=0.1, max_epochs=4, batch_size=20, callbacks=[LearningRates()], **params)
    clf.fit(X, y)
    callback = dict(clf.net_.callbacks_)["LearningRates"]
    return callback.rates_, callback.first_, clf.history_


def test_the_rate_falls_along_a_cosine_from_batch_to_batch_or_stays():
    rates, first, history = learning_rates()
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(8) / 8))
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    np.testing.assert_allclose(history[:, "event_lr"], expected[::2], rtol=1e-6)
    assert first == history[:, "event_lr"]
    np.testing.assert_allclose(learning_rates(lr_schedule="constant")[0], 0.1)


def test_an_optimizer_may_be_a_callable(rows):
    X, y = rows[:2]
    sgd = functools.partial(torch.optim.SGD, momentum=0.9)
    clf = small(optimizer=sgd, lr=0.05, weight_decay=0.01, warm_start=True).fit(X, y)
    group = clf.net_.optimizer_.param_groups[0]
    assert isinstance(clf.net_.optimizer_, torch.optim.SGD)
    assert (group["momentum"], group["weight_decay"]) == (0.9, 0.01)
    assert clf.history_[-1]["train_loss"] < clf.history_[0]["train_loss"]


def test_an_optimizer_may_evaluate_the_loss_itself(rows):
    """As torch's LBFGS, whose step takes a closure."""
    X, y = rows[:2]
    clf = small(optimizer=lambda w, lr, weight_decay: torch.optim.LBFGS(w, lr=lr), max_epochs=2)
    clf.fit(X, y)
    assert clf.history_[-1]["train_loss"] < clf.history_[0]["train_loss"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)],
)
def test_optimizers_go_by_name(name, kind, rows):
    clf = small(optimizer=name, lr=0.01, warm_start=True).fit(*rows[:2])
    assert type(clf.net_.optimizer_) is kind
    assert clf.history_[-1]["train_loss"] < clf.history_[0]["train_loss"]


def test_weight_decay_makes_the_weights_smaller(rows):
    norms = [
        small(optimizer="adamw", weight_decay=decay, lr=0.01)
        .fit(*rows[:2])
        .module_.experts.hidden_weight.norm()
        .item()
        for decay in (0.0, 10.0)
    ]
    assert norms[1] < 0.8 * norms[0]


def test_the_optimizer_is_dropped_after_a_fit_that_is_not_to_be_continued(thin):
    assert thin.net_.optimizer_ is None


def test_history_has_losses_rate_and_seconds_of_every_epoch(thin):
    assert len(thin.history_) == thin.n_iter_ == 5
    for epoch in thin.history_:
        assert {"train_loss", "train_dispelling", "dur", "event_lr"} <= set(epoch)
        assert 0 <= epoch["train_dispelling"] <= 1


def test_the_recorded_loss_is_that_of_the_rows(rows):
    X, y = rows[:2]
    clf = small(lr=1e-12, max_epochs=1, backbone=nn.Sequential(nn.Linear(64, 8)), hidden_units=0)
    clf.fit(X, y)
    assert clf.history_[-1]["train_loss"] == pytest.approx(
        log_loss(y, clf.predict_proba(X)), rel=1e-4
    )
