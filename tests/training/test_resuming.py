"""A fit that was killed goes on from checkpoint_dir, to the last bit of the fit that was not."""

import os
import pickle
import sys
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Checkpoint, EpochScoring, LoadInitState
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINRegressor
from sklearn_thin.datasets import ImageAugmentation
from sklearn_thin.training import checkpoints, net
from tests.helpers import (
    HAS_CALLBACKS,
    assert_bit_equal,
    assert_refused,
    killed_after,
    run_python,
    small,
    small_encoder,
)

DROPPING = MLPBackbone((16,), dropout=0.2)


@pytest.fixture(autouse=True)
def each_epoch(monkeypatch):
    """A state after each epoch, however short it was."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    monkeypatch.setattr(checkpoints, "SHARE", 0)


def fit(estimator, given):
    return estimator.fit(**given)


def assert_same(fitted, other):
    assert_bit_equal(fitted.module_.state_dict(), other.module_.state_dict())
    assert epochs_of(fitted) == epochs_of(other)


def epochs_of(fitted):
    return [{k: v for k, v in epoch.items() if k != "dur"} for epoch in fitted.history_]


def names(folder):
    return sorted(path.name[64:] for path in folder.iterdir())


def weight_normed(shape):
    with warnings.catch_warnings(action="ignore"):  # torch has a newer one
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(shape[0], 16)), nn.Tanh())


def parametrized(shape):
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(shape[0], 16)), nn.Tanh())


# name -> parameters of a classifier, and what it gets from the fixtures
CASES = {
    "cosine": {"backbone": DROPPING},
    "momentum": {"optimizer": partial(torch.optim.SGD, momentum=0.9), "lr": 0.1},
    "no state": {"optimizer": "sgd", "lr_schedule": "constant"},
    "numbers of NumPy": {"lr": np.float32(0.01), "max_epochs": np.int64(5)},
    "bf16": {"mixed_precision": "bf16", "weight_decay": 0.01},
    "early stopping": {"early_stopping": 0.3, "n_iter_no_change": 3, "lr": 3.0, "max_epochs": 9},
    "weights": {"class_weight": "balanced", "sample_weight": True},
    "erasure": {"dispelling": "erasure", "exogenous": "encoder", "lam": 0.1},
    "alignment": {"dispelling": "alignment", "exogenous": "encoder", "backbone": DROPPING},
    "layers": {"exogenous": "given", "gating": "layers", "backbone": MLPBackbone((8,), 0.1, 0.5)},
    "parametrized": {"backbone": parametrized},
    "augment": {
        "backbone": ConvNetBackbone((4,)),
        "augment": ImageAugmentation(rotation=20.0, shift=0.1),
        "exogenous": "images",
    },
}


def case(name, digits, **more):
    """An estimator and the arguments of its fit."""
    params = {"max_epochs": 5, **CASES[name], **more}
    images = "augment" in params
    given = {"X": digits.images[:100] if images else digits.X[:100], "y": digits.y[:100]}
    if params.pop("sample_weight", False):
        given["sample_weight"] = 1 + digits.z[:100]
    side = params.pop("exogenous", None)
    if side == "given":
        given["exogenous_target"] = digits.z[:100]
    elif side is not None:
        encoder = small_encoder(random_state=0, max_epochs=1)
        side = FrozenEstimator(encoder.fit(given["X"], digits.z[:100]))
    return small(side, **params), given


@pytest.mark.parametrize("name", CASES)
def test_a_killed_fit_goes_on_to_the_same_bits(name, digits, tmp_path):
    estimator, given = case(name, digits)
    whole = fit(clone(estimator), given)
    kept = clone(estimator).set_params(checkpoint_dir=tmp_path)
    for epoch in (1, 2):  # killed, and killed again
        with killed_after(epoch):
            fit(kept, given)
    assert names(tmp_path) == [f".{epoch:09d}.epoch" for epoch in (2, 3)]
    with killed_after(99) as trained:
        fit(kept, given)
    assert len(trained) == whole.n_iter_ - 3
    assert_same(kept, whole)
    assert names(tmp_path) == [".stack"]
    with killed_after(0) as trained:
        read = fit(clone(kept), given)
    assert not trained
    assert_same(read, whole)
    assert not read.module_.training


def test_both_stages_go_on(digits, tmp_path):
    X, y, z = digits.first(100)
    thin = small(ExogenousEncoder(DROPPING, hidden_units=8, max_epochs=4), max_epochs=3, lam=0.1)
    thin.set_params(backbone=DROPPING)
    whole = clone(thin).fit(X, y, exogenous_target=z)
    thin.set_params(checkpoint_dir=tmp_path)
    for epochs, found in ((2, 2), (3, 2), (1, 3)):  # in stage 1, in stage 2, in stage 2
        with killed_after(epochs):
            thin.fit(X, y, exogenous_target=z)
        assert len(names(tmp_path)) == found
    with killed_after(99) as trained:
        thin.fit(X, y, exogenous_target=z)
    assert len(trained) == 1
    assert_same(thin, whole)
    assert_same(thin.exogenous_, whole.exogenous_)


@pytest.mark.parametrize("kind", ["encoder", "regressor", "pipeline"])
def test_all_estimators_go_on(kind, digits, tmp_path):
    X, _, z = digits.first(100)
    last = {"encoder": small_encoder, "regressor": partial(THINRegressor, depth=1)}
    make = last.get(kind, small)
    estimator = make(max_epochs=3, random_state=0, checkpoint_dir=tmp_path)
    if kind == "pipeline":
        estimator = make_pipeline(StandardScaler(), estimator)
    whole = clone(estimator)
    (whole[-1] if kind == "pipeline" else whole).set_params(checkpoint_dir=None)
    whole.fit(X, z)
    with killed_after(1):
        estimator.fit(X, z)
    assert len(names(tmp_path)) == 1
    estimator.fit(X, z)
    np.testing.assert_array_equal(estimator.predict(X), whole.predict(X))
    assert names(tmp_path) == [".stack"]


def test_a_warm_start_goes_on(digits, tmp_path):
    X, y, _ = digits.first(100)
    warm = small(warm_start=True, max_epochs=3, backbone=DROPPING)
    whole = clone(warm).fit(X, y)
    assert_same(whole.fit(X, y), whole)
    for epochs in (2, 2, 1):  # in the first fit, in the second, in the second
        kept = clone(warm).set_params(checkpoint_dir=tmp_path)
        with killed_after(epochs):
            kept.fit(X, y)
            kept.fit(X, y)
    with killed_after(99) as trained:
        kept = clone(warm).set_params(checkpoint_dir=tmp_path).fit(X, y).fit(X, y)
    assert len(trained) == 1
    assert_same(kept, whole)
    assert_same(kept.partial_fit(X, y), whole.partial_fit(X, y))


def test_partial_fit_keeps_nothing_as_it_is_one_epoch(digits, tmp_path):
    X, y, _ = digits.first(100)
    small(checkpoint_dir=tmp_path).partial_fit(X, y).partial_fit(X, y)
    assert not names(tmp_path)


def test_ctrl_c_leaves_the_fit_as_it_was_and_the_next_fit_goes_on(digits, tmp_path):
    X, y, _ = digits.first(100)
    kept = small(checkpoint_dir=tmp_path, max_epochs=4)
    with killed_after(3):
        kept.fit(X, y)
    assert not hasattr(kept, "net_")
    with killed_after(99) as trained:
        kept.fit(X, y)
    assert len(trained) == 1
    assert_same(kept, small(max_epochs=4).fit(X, y))


def test_a_loss_that_diverges_after_a_kill_leaves_the_same_weights(digits, tmp_path, monkeypatch):
    X, y, _ = digits.first(100)
    whole, kept = small(max_epochs=6), small(max_epochs=6, checkpoint_dir=tmp_path)
    with killed_after(3):
        kept.fit(X, y)
    record = net.record

    def infinite_in_the_fourth(history, prefix, means, *args, **known):
        means = {**means, "loss": np.inf} if history[-1, "epoch"] == 4 else means
        record(history, prefix, means, *args, **known)

    monkeypatch.setattr(net, "record", infinite_in_the_fourth)
    for estimator in (whole, kept):
        with pytest.raises(FloatingPointError):
            estimator.fit(X, y)
        assert estimator.n_iter_ == 3
        assert estimator.interrupted_
    assert_same(kept, whole)


# ------------------------------------------------------------------ another process


DRIVER = """
import os, signal, sys
import numpy as np
from sklearn_thin.training import checkpoints
from tests.training.test_resuming import given_and_thin

checkpoints.SECONDS = checkpoints.SHARE = 0
life, write = int(sys.argv[2]), checkpoints.write

def last_write(*args):
    global life
    written, life = write(*args), life - 1
    if not life:
        os.kill(os.getpid(), signal.SIGKILL)
    return written

checkpoints.write = last_write
given, thin = given_and_thin()
thin.set_params(checkpoint_dir=sys.argv[1]).fit(**given)
np.save(sys.argv[3], thin.predict_proba(given["X"]))
"""


def given_and_thin():
    """Arguments of a fit of both stages, and its estimator."""
    X, y = load_digits(return_X_y=True)
    given = {"X": X[:200] / 16, "y": y[:200], "exogenous_target": X[:200].mean(1) > 5}
    encoder = ExogenousEncoder(DROPPING, max_epochs=3)
    return given, small(encoder, backbone=DROPPING, early_stopping=0.3, max_epochs=4)


def test_another_process_goes_on(tmp_path):
    script, folder, result = tmp_path / "driver.py", tmp_path / "kept", tmp_path / "proba.npy"
    script.write_text(DRIVER)
    for life in (6, 99):  # killed after the second epoch of stage 2, and not killed
        ended = run_python(script, folder, life, result, PYTHONPATH=os.pathsep.join(sys.path))
        assert (ended.returncode == 0) == (life == 99), ended.stderr
        found = [".epoch", ".epoch", ".stack"] if life == 6 else [".stack", ".stack"]
        assert sorted(path.suffix for path in folder.iterdir()) == found
    given, thin = given_and_thin()
    np.testing.assert_array_equal(np.load(result), thin.fit(**given).predict_proba(given["X"]))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.long
def test_the_command_that_kills_counts_no_other_ending():
    done = run_python("-m", "tests.reliability.fitting", "--kills", "4", "--flips", "20")
    assert done.returncode == 0, done.stdout + done.stderr


# ------------------------------------------------------------------ what differs


def other(X):
    X = X.copy()
    X[17, 20] += 1e-3
    return X


CHANGES = {
    "X": ({}, lambda X, y: (other(X), y)),
    "y": ({}, lambda X, y: (X, np.roll(y, 1))),
    "lr": ({"lr": 1.1e-3}, None),
    "seed": ({"random_state": 1}, None),
    "epochs": ({"max_epochs": 4}, None),
    "dropout": ({"backbone": MLPBackbone((16,), dropout=0.1)}, None),
    "optimizer": ({"optimizer": torch.optim.RMSprop}, None),
    "options": ({"optimizer": partial(torch.optim.RMSprop, alpha=0.9)}, None),
    "augment": ({"augment": ImageAugmentation(rotation=9.0, shift=0.1)}, None),
    "no augment": ({"augment": None}, None),
    "version": ({}, None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_fit_that_differs_starts_anew(change, digits, tmp_path, monkeypatch):
    more, rows = CHANGES[change]
    X, y = digits.images[:60], digits.y[:60]
    backbone = ConvNetBackbone((2,))
    images = "augment" in change
    if not images:
        X, backbone = digits.X[:60], DROPPING
    thin = small(max_epochs=3, backbone=backbone, checkpoint_dir=tmp_path)
    thin.set_params(augment=ImageAugmentation(shift=0.1) if images else None)
    with killed_after(2):
        thin.fit(X, y)
    assert len(names(tmp_path)) == 2
    thin.set_params(**more)
    if change == "version":
        monkeypatch.setattr(checkpoints, "VERSIONS", ["2.0", "2.0"])
    X, y = (X, y) if rows is None else rows(X, y)
    with killed_after(99) as trained:
        thin.fit(X, y)
    assert len(trained) == thin.max_epochs
    assert_same(thin, clone(thin).set_params(checkpoint_dir=None).fit(X, y))


# ------------------------------------------------------------------ what is not kept


class Own(nn.Linear):
    """A layer of a user, whose code may change without a version."""


def shifted(images):
    return images.roll(1, dims=-1)


def own_optimizer(parameters, **options):
    return torch.optim.SGD(parameters, **options)


NOT_KEPT = {
    "backbone": ({"backbone": Own(64, 16)}, r"Own is code without a version"),
    "optimizer": ({"optimizer": own_optimizer}, "own_optimizer is code without a version"),
    "augment": ({"augment": shifted, "backbone": "auto"}, "shifted is code without a version"),
    "hook": ({"backbone": weight_normed}, "a hook computes weights"),
    "callbacks": ({"callbacks": [EpochScoring("accuracy")]}, "its callbacks hold states"),
}


@pytest.mark.parametrize("part", NOT_KEPT)
def test_what_may_change_unseen_is_not_kept(part, digits, tmp_path):
    params, reason = NOT_KEPT[part]
    X, y = digits.images[:60] if part == "augment" else digits.X[:60], digits.y[:60]
    thin = small(**params, checkpoint_dir=tmp_path)
    with pytest.warns(RuntimeWarning, match=f"does not keep a training.*{reason}"):
        thin.fit(X, y)
    assert not names(tmp_path)
    assert_same(thin, small(**params).fit(X, y))


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn < 1.9 has no callbacks")
def test_a_fit_with_scikit_learns_callbacks_is_not_kept(few, tmp_path):
    from sklearn.callback import ProgressBar

    thin = small(checkpoint_dir=tmp_path).set_callbacks(ProgressBar())
    with pytest.warns(RuntimeWarning, match="its callbacks hold states"):
        thin.fit(*few[:2])
    assert not names(tmp_path)


def test_a_seed_that_no_run_repeats_is_named(few, tmp_path):
    with pytest.warns(UserWarning, match=r"the estimator is None.* fit that is killed"):
        small(random_state=None, checkpoint_dir=tmp_path).fit(*few[:2])


def test_a_folder_that_cannot_be_made_is_refused_before_the_fit(few, tmp_path):
    (tmp_path / "file").write_text("")
    with killed_after(0) as trained, pytest.raises(OSError, match="file"):
        small(checkpoint_dir=tmp_path / "file").fit(*few[:2])
    assert not trained


def test_a_folder_of_another_type_is_refused(few):
    assert_refused(small(checkpoint_dir=3), ValueError, "checkpoint_dir", *few[:2])


def test_short_fits_keep_their_result_alone(few, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS", 10.0)
    with killed_after(1):
        small(checkpoint_dir=tmp_path).fit(*few[:2])
    assert not names(tmp_path)
    small(checkpoint_dir=tmp_path).fit(*few[:2])
    assert names(tmp_path) == [".stack"]


def test_states_take_a_small_share_of_the_time(few, tmp_path, monkeypatch):
    now, written, write = [0.0], [], checkpoints.write

    def slow(folder, name, content):
        now[0] += 2.0  # seconds
        written.append(name)
        return write(folder, name, content)

    def epoch_ended(self, *args):
        now[0] += 4.0
        return ended(self, *args)

    ended = checkpoints.Kept.epoch_ended
    monkeypatch.setattr(checkpoints, "SECONDS", 10.0)
    monkeypatch.setattr(checkpoints, "SHARE", 20)
    monkeypatch.setattr(checkpoints, "perf_counter", lambda: now[0])
    monkeypatch.setattr(checkpoints, "write", slow)
    monkeypatch.setattr(checkpoints.Kept, "epoch_ended", epoch_ended)
    small(checkpoint_dir=tmp_path, max_epochs=25).fit(*few[:2])
    epochs = [int(name.split(".")[1]) for name in written[:-1]]
    assert epochs == [3, 13, 23]  # after 10 seconds, then after 20 times 2 seconds


# ------------------------------------------------------------------ spoilt files


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty"])
def test_a_spoilt_state_is_set_aside_and_the_older_one_used(damage, digits, tmp_path):
    estimator, given = case("cosine", digits, checkpoint_dir=tmp_path)
    with killed_after(4):
        fit(estimator, given)
    older, newer = sorted(tmp_path.iterdir())
    content = bytearray(newer.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {"cut": content[:-100], "flipped": content, "foreign": b"PK", "empty": b""}
    newer.write_bytes(damaged[damage])
    with killed_after(99) as trained, pytest.warns(RuntimeWarning, match="spoilt"):
        fit(estimator, given)
    assert len(trained) == 2
    assert newer.with_name(f"{newer.name}.spoilt").read_bytes() == damaged[damage]
    assert not older.exists()
    assert_same(estimator, fit(case("cosine", digits)[0], given))
    with warnings.catch_warnings(action="error"):
        fit(estimator, given)


def test_with_both_states_spoilt_the_fit_starts_anew(digits, tmp_path):
    estimator, given = case("cosine", digits, checkpoint_dir=tmp_path)
    with killed_after(3):
        fit(estimator, given)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with killed_after(99) as trained, pytest.warns(RuntimeWarning, match="spoilt"):
        fit(estimator, given)
    assert len(trained) == 5


def test_a_full_disk_does_not_end_a_fit(few, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_whole", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        kept = small(checkpoint_dir=tmp_path).fit(*few[:2])
    assert_same(kept, small().fit(*few[:2]))


# ------------------------------------------------------------------ beside scikit-learn and skorch


def test_parallel_fits_of_a_search_share_a_folder(rows, tmp_path):
    X, y = rows[:2]
    grid = {"lr": [1e-3, 1e-2]}
    whole = GridSearchCV(small(), grid, cv=2).fit(X, y)
    for jobs in (2, None):  # the second search reads
        search = GridSearchCV(small(checkpoint_dir=tmp_path), grid, cv=2, n_jobs=jobs).fit(X, y)
        scores = [s.cv_results_["mean_test_score"] for s in (search, whole)]
        np.testing.assert_array_equal(*scores)
    assert names(tmp_path) == [".stack"] * 5


def test_a_fit_that_was_read_is_pickled_and_cloned(few, tmp_path):
    thin = small(checkpoint_dir=tmp_path).fit(*few[:2])
    read = clone(thin).fit(*few[:2])
    assert str(read.get_params()) == str(thin.get_params())
    copied = pickle.loads(pickle.dumps(read))
    np.testing.assert_array_equal(copied.predict_proba(few[0]), thin.predict_proba(few[0]))
    assert copied.checkpoint_dir == tmp_path


def test_skorchs_checkpoint_starts_a_fit_from_the_best_epoch(rows, tmp_path):
    X, y = rows[:2]
    kept = Checkpoint(monitor=None, dirname=tmp_path)
    with killed_after(3):
        small(max_epochs=5, callbacks=[kept]).fit(X, y)
    resumed = small(max_epochs=2, callbacks=[LoadInitState(kept)]).fit(X, y)
    assert resumed.history_[:, "epoch"] == [1, 2, 3, 4, 5]
    losses = resumed.history_[:, "train_loss"]
    assert losses[3] < losses[0]


@pytest.mark.parametrize(
    ("place", "error", "match"),
    [
        ("", ValueError, "checkpoint_dir must name a folder, got an empty text"),
        (__file__, FileExistsError, "checkpoint_dir must be a folder that can be written to"),
        (f"{__file__}/below", NotADirectoryError, "checkpoint_dir must be a folder"),
    ],
)
def test_a_place_that_is_no_folder_is_refused_by_name(place, error, match, digits):
    with pytest.raises(error, match=match):
        small(checkpoint_dir=place).fit(digits.X[:40], digits.y[:40])
