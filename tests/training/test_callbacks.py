"""Callbacks of skorch and of scikit-learn, and what a fit prints."""

import numpy as np
import pytest
from sklearn.metrics import log_loss
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    PrintLog,
    ProgressBar,
)

from tests.helpers import HAS_CALLBACKS, assert_refused, run_python, small

new_callbacks = pytest.mark.skipif(
    not HAS_CALLBACKS, reason="scikit-learn has callbacks from 1.9 on"
)


def test_skorch_scores_epochs_on_training_and_held_out_rows(rows, more):
    (X, y, _), (X_val, y_val, _) = rows, more
    callbacks = [
        EpochScoring("accuracy", name="valid_acc", lower_is_better=False),
        EpochScoring("accuracy", name="train_acc", on_train=True, lower_is_better=False),
    ]
    clf = small(callbacks=callbacks, max_epochs=8, lr=0.02).fit(X, y, X_val=X_val, y_val=y_val)
    assert clf.history_[-1]["valid_acc"] == pytest.approx(clf.score(X_val, y_val))
    assert clf.history_[-1]["train_acc"] > clf.history_[0]["train_acc"]
    assert 0.8 < clf.history_[-1]["train_acc"] <= 1


class CountEpochs(Callback):
    """Counts the events."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.calls = []

    def on_train_begin(self, net, **kwargs):
        self.calls.append("begin")

    def on_train_end(self, net, **kwargs):
        self.calls.append("end")

    def on_epoch_end(self, net, **kwargs):
        self.calls.append("epoch")
        if self.calls.count("epoch") == self.stop_after:
            raise KeyboardInterrupt  # how skorch's own callbacks end a training


def test_a_users_callback_is_called_on_a_copy_and_found_on_the_net(rows):
    mine = CountEpochs()
    callbacks = [("mine", mine)]
    clf = small(callbacks=callbacks).fit(*rows[:2])
    assert mine.calls == []
    assert callbacks == [("mine", mine)]
    assert clf.callbacks is callbacks
    assert dict(clf.net_.callbacks_)["mine"].calls == ["begin", "epoch", "epoch", "end"]


NAMES = ["early_stopping", "epoch_timer", "eraser", "lr_schedule", "print_log", "progress_bar"]


@pytest.mark.parametrize("named", [False, True])
def test_a_callback_may_hold_a_file_that_is_open(named, rows, tmp_path):
    class Writes(Callback):
        def __init__(self, file):
            self.file = file

        def on_epoch_end(self, net, **kwargs):
            self.epochs_ = len(net.history)
            print(net.history[-1, "train_loss"], file=self.file)

    with open(tmp_path / "losses.txt", "w") as file:
        users = Writes(file)
        clf = small(callbacks=[("writes", users) if named else users]).fit(*rows[:2])
    losses = [float(line) for line in (tmp_path / "losses.txt").read_text().splitlines()]
    assert losses == clf.history_[:, "train_loss"]
    assert not hasattr(users, "epochs_")


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_users_callback_may_have_any_name(verbose, rows):
    X, y, z = rows
    callbacks = [(name, CountEpochs()) for name in NAMES]
    clf = small(callbacks=callbacks, early_stopping=0.2, dispelling="erasure", verbose=verbose)
    clf.fit(X, y, exogenous_target=z)
    calls = {name: callback.calls for name, callback in clf.net_.callbacks_}
    assert calls == {name: ["begin", "epoch", "epoch", "end"] for name in NAMES}
    assert all("dur" in epoch for epoch in clf.history_)


def test_skorchs_callbacks_work_beside_our_own(rows, capsys):
    callbacks = [EarlyStopping(monitor="train_loss", patience=99), PrintLog(), ProgressBar()]
    clf = small(callbacks=callbacks, early_stopping=0.2, verbose=2).fit(*rows[:2])
    names = [name for name, _ in clf.net_.callbacks_]
    assert names == ["EarlyStopping", "ProgressBar", "PrintLog"]
    assert capsys.readouterr().out.count("train_loss") == 2  # a head of each table


class WorseInTheEnd(Callback):
    """Sets a rate in the last epoch at which nothing is learnt."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == net.max_epochs:
            net.optimizer_.param_groups[0]["lr"] = 10.0


def test_skorchs_checkpoint_keeps_the_best_epoch(rows, more, tmp_path):
    (X, y, _), (X_val, y_val, _) = rows, more
    kept = Checkpoint(dirname=tmp_path, f_history=None, load_best=True)
    params = {"max_epochs": 4, "lr_schedule": "constant"}
    callbacks = [WorseInTheEnd(), kept]
    clf = small(callbacks=callbacks, **params).fit(X, y, X_val=X_val, y_val=y_val)
    for name in ("train_loss", "valid_loss"):
        losses = clf.history_[:, name]
        best = [loss < min(losses[:i], default=np.inf) for i, loss in enumerate(losses)]
        assert clf.history_[:, f"{name}_best"] == best
    losses = clf.history_[:, "valid_loss"]
    assert min(losses) < losses[-1]
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(min(losses), rel=1e-4)


def test_a_callback_may_end_the_training(rows, more):
    clf = small(callbacks=[CountEpochs(stop_after=2)], max_epochs=9).fit(*rows[:2])
    assert clf.n_iter_ == 2
    assert dict(clf.net_.callbacks_)["CountEpochs"].calls == ["begin", "epoch", "epoch", "end"]
    assert clf.predict(more[0]).shape == (100,)


def test_a_callback_that_watches_held_out_rows_needs_some(rows):
    X, y, _ = rows
    scored = EpochScoring("accuracy", name="acc", lower_is_better=False)
    watching = [[EarlyStopping()], [scored, EarlyStopping("acc", lower_is_better=False)]]
    for callbacks, key in zip(watching, ("valid_loss", "acc"), strict=True):
        clf = small(callbacks=callbacks)
        match = f"'{key}' .*early_stopping=0.1, or pass X_val .*monitor='train_loss'"
        assert_refused(clf, ValueError, match, X, y)
        assert clf.set_params(early_stopping=0.1).fit(X, y).n_iter_ == 2


def test_what_is_no_callback_is_refused(few):
    with pytest.raises(TypeError, match=r"[Cc]allback"):
        small(callbacks=[3]).fit(*few[:2])


@pytest.mark.parametrize(("verbose", "expected"), [(1, "THINClassifier"), (2, "train_loss")])
def test_verbose_tells_of_the_training(verbose, expected, rows, capsys):
    small(verbose=verbose).fit(*rows[:2])
    printed = capsys.readouterr()
    assert expected in printed.out + printed.err


def test_a_fit_is_silent_by_default(rows, capsys):
    small().fit(*rows[:2])
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_no_progress_bar_is_loaded_with_the_package():
    # in a notebook it would load the widgets, and warn where there are none
    script = "import sys, sklearn_thin.model_selection\nprint('tqdm.auto' in sys.modules)"
    done = run_python("-c", script)
    assert done.stdout.split() == ["False"], done.stderr


@new_callbacks
def test_scikit_learns_progress_bar_shows_the_epochs(rows, capsys):
    from sklearn.callback import ProgressBar

    clf = small().set_callbacks(ProgressBar())
    clf.fit(*rows[:2])
    printed = capsys.readouterr().out
    assert "THINClassifier" in printed
    assert "100%" in printed


@new_callbacks
def test_scikit_learns_scoring_monitor_scores_every_epoch_on_the_training_rows(rows):
    from sklearn.callback import ScoringMonitor

    X, y = rows[:2]
    monitor = ScoringMonitor(scoring="accuracy")
    clf = small().set_callbacks(monitor).fit(X, y)
    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(epochs) == clf.n_iter_
    assert epochs[-1]["accuracy"] == pytest.approx(clf.score(X, y))


class StopAt:
    """A callback of scikit-learn's kind that stops, and predicts on the way."""

    def __init__(self, epoch, X):
        self.epoch, self.X, self.probas, self.torn_down = epoch, X, [], 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.torn_down += 1

    def on_fit_task_begin(self, estimator, context, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **kwargs):
        if context.task_name != "epoch":
            return False
        self.probas.append(fitted_estimator.predict_proba(self.X))
        return len(self.probas) == self.epoch


@new_callbacks
def test_a_callback_of_scikit_learns_kind_may_end_the_training(rows, more):
    stop = StopAt(2, more[0])
    clf = small(max_epochs=9).set_callbacks(stop).fit(*rows[:2])
    assert clf.n_iter_ == 2
    assert stop.torn_down == 1
    np.testing.assert_allclose(stop.probas[-1], clf.predict_proba(more[0]), atol=1e-6)
    assert not np.allclose(stop.probas[0], stop.probas[1])


@new_callbacks
def test_watching_a_fit_does_not_change_it(rows, more):
    watched = small(max_epochs=2).set_callbacks(StopAt(None, more[0])).fit(*rows[:2])
    np.testing.assert_array_equal(
        watched.predict_proba(more[0]), small().fit(*rows[:2]).predict_proba(more[0])
    )
