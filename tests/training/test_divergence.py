"""A loss that diverges, a callback that fails and Ctrl-C leave a fitted model as it was."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sklearn_thin import ExogenousEncoder
from tests.helpers import SMALL, assert_refused, nothing_changes, run_python, small


class Spoil(Callback):
    """Fills a weight with NaN before the epoch of this number."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            nn.init.constant_(net.module_.experts.weight, torch.nan)


@pytest.mark.parametrize("kind", [small, lambda **params: ExogenousEncoder(SMALL, **params)])
def test_a_loss_that_diverges_at_once_leaves_nothing_fitted(kind, few):
    clf = kind(lr=1e30)
    match = r"loss became .*epoch 1;.*lower lr \(got 1e\+30\)"
    assert_refused(clf, FloatingPointError, match, *few[:2])


def test_a_fit_that_diverges_at_once_leaves_a_fitted_classifier_as_it_was(fitted, few):
    with nothing_changes(fitted, few[0]):
        fitted.set_params(lr=1e30)
        with pytest.raises(FloatingPointError):
            fitted.fit(few[0][:50], few[1][:50] % 3)


def test_the_last_good_weights_are_kept_where_the_loss_diverges_later(few):
    X, y, _ = few
    params = {"lr_schedule": "constant", "callbacks": [Spoil(3)]}
    good = small(max_epochs=2, **params).fit(X, y)
    clf = small(max_epochs=5, **params)
    with pytest.raises(FloatingPointError, match="became nan at epoch 3; the weights of the"):
        clf.fit(X, y)
    assert clf.n_iter_ == len(clf.history_) == 2
    np.testing.assert_allclose(clf.predict_proba(X), good.predict_proba(X), atol=1e-6)


class Explode(Callback):
    """Makes a weight so large, after the training part of this epoch, that logits overflow."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if not training and len(net.history) == self.epoch:
            nn.init.constant_(net.module_.experts.bias, torch.inf)


def test_a_held_out_loss_that_is_not_finite_stops_the_fit(few):
    X, y, _ = few
    clf = small(max_epochs=5, batch_size=4, callbacks=[Explode(2)])
    with pytest.raises(FloatingPointError, match=r"valid_loss became .* at epoch 2"):
        clf.fit(X, y, X_val=X, y_val=y)
    assert clf.n_iter_ == 1
    assert np.isfinite(clf.predict_proba(X)).all()


def test_a_warm_start_that_diverges_at_once_keeps_the_weights_of_before(few):
    X, y, _ = few
    clf = small(warm_start=True, lr_schedule="constant").fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(callbacks=[Spoil(3)])
    with pytest.raises(FloatingPointError, match="epoch 3"):
        clf.fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert clf.n_iter_ == 2
    clf.set_params(callbacks=None).fit(X, y)
    assert clf.n_iter_ == 4
    assert np.isfinite(clf.predict_proba(X)).all()


def test_partial_fit_that_diverges_keeps_the_weights_of_before(few):
    X, y, _ = few
    clf = small().partial_fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(lr=1e30)
    with pytest.raises(FloatingPointError):
        clf.partial_fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    clf.set_params(lr=1e-3).partial_fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_an_encoder_that_diverges_inside_leaves_a_fitted_classifier_as_it_was(fitted, few):
    X, y, z = few
    with nothing_changes(fitted, X):
        fitted.set_params(exogenous=ExogenousEncoder(SMALL, lr=1e30))
        with pytest.raises(FloatingPointError):
            fitted.fit(X, y % 3, exogenous_target=z)
        fitted.set_params(exogenous=None)


class Raise(Callback):
    """Raises in the first batch of the epoch of this number."""

    def __init__(self, error, epoch):
        self.error, self.epoch = error, epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


@pytest.mark.parametrize("kind", [small, lambda **params: ExogenousEncoder(SMALL, **params)])
def test_ctrl_c_leaves_nothing_half_fitted(kind, few):
    clf = kind(callbacks=[Raise(KeyboardInterrupt, 2)])
    assert_refused(clf, KeyboardInterrupt, None, *few[:2])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_fit_that_is_broken_off_leaves_a_fitted_classifier_as_it_was(error, fitted, few):
    with nothing_changes(fitted, few[0]):
        fitted.set_params(callbacks=[Raise(error, 2)])
        with pytest.raises(error):
            fitted.fit(few[0], few[1] % 3)


def test_ctrl_c_keeps_the_progress_of_a_warm_start(few):
    X, y, _ = few
    clf = small(warm_start=True, max_epochs=5, callbacks=[Raise(KeyboardInterrupt, 3)])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert clf.n_iter_ == 2
    assert np.isfinite(clf.predict_proba(X)).all()
    last = clf.history_[-1]["train_loss"]
    clf.set_params(callbacks=None).fit(X, y)
    assert clf.n_iter_ == 7
    assert clf.history_[-1]["train_loss"] < last


def test_a_callback_that_fails_in_a_warm_start_leaves_the_weights_of_before(few):
    X, y, _ = few
    clf = small(warm_start=True, lr_schedule="constant").fit(X, y)
    clf.set_params(callbacks=[Raise(RuntimeError, 4)])
    with nothing_changes(clf, X), pytest.raises(RuntimeError):
        clf.fit(X, y)


def test_a_real_ctrl_c_ends_the_fit():
    script = (
        "import numpy as np, signal\n"
        "from skorch.callbacks import Callback\n"
        "from sklearn_thin import THINClassifier\n"
        "class Press(Callback):\n"
        "    def on_batch_end(self, net, **kwargs):\n"
        "        if len(net.history) == 2:\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        # which a shell ignores in what it starts in the background
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "X = np.random.RandomState(0).rand(40, 3)\n"
        "clf = THINClassifier(max_epochs=10**6, callbacks=[Press()])\n"
        "try:\n"
        "    clf.fit(X, X[:, 0] > 0.5)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', hasattr(clf, 'classes_'))\n"
    )
    done = run_python("-c", script)
    assert done.stdout.split() == ["interrupted", "False"], done.stderr
