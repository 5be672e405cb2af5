"""A search that was killed goes on from its folder, and has the results of one that was not."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold, ShuffleSplit
from torch import nn

from sklearn_thin import MLPBackbone
from sklearn_thin.model_selection import (
    StackedGridSearchCV,
    StackedHalvingSearchCV,
    StackedRandomizedSearchCV,
)
from sklearn_thin.training import checkpoints
from sklearn_thin.training.checkpoints import read, write
from sklearn_thin.training.stack import Stack
from tests.helpers import killed_after, run_python, small, small_encoder

GRID = {"lr": [1e-3, 1e-2], "depth": [0, 1]}
EPOCHS = {"resource": "max_epochs", "max_resources": 8, "factor": 2}
DRIVER = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from sklearn.datasets import load_digits
from sklearn_thin import MLPBackbone, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV, StackedHalvingSearchCV
from sklearn_thin.training.stack import Stack

X, y = load_digits(return_X_y=True)
X, y = X[:300] / 16, y[:300]
backbone = MLPBackbone((16,), dropout=0.2)
thin = THINClassifier(backbone=backbone, max_epochs=8, random_state=0)
grid = {"lr": [1e-3, 3e-3, 1e-2, 3e-2], "depth": [0, 1]}
how = {"resource": "max_epochs", "max_resources": 8, "factor": 2}

def make(kind, folder):
    if kind == "halving":
        return StackedHalvingSearchCV(thin, grid, cv=2, checkpoint_dir=folder, **how)
    return StackedGridSearchCV(thin, grid, cv=2, stack_size=3, checkpoint_dir=folder)

def files(folder):
    return len(list(folder.glob("*.stack")) + list(folder.glob("*.rung")))

epochs, run_epoch = [], Stack._run_epoch
Stack._run_epoch = lambda self, *args: epochs.append(1) or run_epoch(self, *args)
for kind in ("grid", "halving"):
    folder = Path(sys.argv[1], kind)
    whole = make(kind, None).fit(X, y)
    n_whole, _ = len(epochs), epochs.clear()
    for n_files in (0, 1, 3):  # killed when it has so many
        child = os.fork()
        if not child:
            make(kind, folder).fit(X, y)
            os._exit(0)
        while not folder.exists() or files(folder) < n_files:
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert status == signal.SIGKILL, "it had ended before"
    assert n_files <= files(folder)
    resumed = make(kind, folder).fit(X, y)
    print(kind, "trained", 0 < len(epochs) < n_whole, end=" ")
    epochs.clear()
    again = make(kind, folder).fit(X, y)
    print("anew", len(epochs), end=" ")
    for search in (resumed, again):
        assert list(search.cv_results_) == list(whole.cv_results_)
        for name, values in whole.cv_results_.items():
            if "time" not in name:
                assert np.array_equal(search.cv_results_[name], values), name
    print("same")
"""


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:200], digits.y[:200]


@pytest.fixture
def epochs(monkeypatch):
    """Numbers of nets of all epochs that stacks train."""
    trained, run_epoch = [], Stack._run_epoch

    def counting(self, *args):
        trained.append(len(self.nets))
        run_epoch(self, *args)

    monkeypatch.setattr(Stack, "_run_epoch", counting)
    return trained


def grid_search(folder, thin=None, grid=None, **params):
    params = {"cv": 2, "checkpoint_dir": folder, "refit": False, **params}
    return StackedGridSearchCV(thin or small(), grid or GRID, **params)


def assert_same(search, other):
    for name, values in other.cv_results_.items():
        if "time" not in name:
            np.testing.assert_array_equal(search.cv_results_[name], values)


def test_searches_that_are_killed_and_resumed_have_the_same_results(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    ended = run_python(script, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        f"{kind} trained True anew 0 same" for kind in ("grid", "halving")
    ]


@pytest.mark.parametrize(
    "thin",
    [
        small(early_stopping=0.3, n_iter_no_change=2, max_epochs=5),
        small(dispelling="erasure"),
        small(dispelling="alignment", lam=0.5, class_weight="balanced"),
    ],
)
def test_all_kinds_of_trainings_are_read_as_they_were(thin, rows, digits, epochs, tmp_path):
    X, y = rows
    if thin.dispelling != "cosine":
        encoder = small_encoder(random_state=0).fit(X, digits.z[:200])
        thin.set_params(exogenous=FrozenEstimator(encoder))
    for how in ({}, EPOCHS):
        kind = StackedHalvingSearchCV if how else StackedGridSearchCV
        setting = {"cv": 2, "refit": False, **how}
        grid = {"lr": [0.1, 0.2, 0.4]}  # losses go up and down
        first = kind(thin, grid, checkpoint_dir=tmp_path, **setting).fit(X, y)
        n_trained, _ = len(epochs), epochs.clear()
        last = [path for path in tmp_path.glob("*.rung") if read(tmp_path, path.name)["epoch"] > 4]
        for path in last:  # as if it was killed in the last rung
            path.unlink()
        resumed = kind(thin, grid, checkpoint_dir=tmp_path, **setting).fit(X, y)
        assert_same(resumed, first)
        assert bool(last) == bool(how)
        assert (0 < len(epochs) < n_trained) if how else not epochs
        epochs.clear()
        again = kind(thin, grid, checkpoint_dir=str(tmp_path), **setting).fit(X, y)
        assert not epochs
        assert_same(again, first)
        assert_same(kind(thin, grid, **setting).fit(X, y), first)
        epochs.clear()


@pytest.mark.parametrize(
    ("params", "enough"),
    [
        ({"backbone": MLPBackbone((16,), dropout=0.2)}, 3),  # the step is traced
        ({"backbone": MLPBackbone((16,), dropout=0.2), "optimizer": "sgd"}, 300),
        ({"early_stopping": 0.3, "n_iter_no_change": 2}, 3),
        ({"dispelling": "erasure", "mixed_precision": "bf16"}, 3),
    ],
)
def test_a_killed_stack_goes_on_from_its_epoch(params, enough, rows, digits, tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_thin.training.stack.ENOUGH", enough)
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    monkeypatch.setattr(checkpoints, "SHARE", 0)
    thin = small(max_epochs=6, **params)
    if "dispelling" in params:
        encoder = small_encoder(random_state=0).fit(rows[0], digits.z[:200])
        thin.set_params(exogenous=FrozenEstimator(encoder))
    grid = {"lr": [0.1, 0.2], "depth": [0, 1]}
    whole = grid_search(None, thin, grid).fit(*rows)
    for epochs in (2, 2):
        with killed_after(epochs, Stack):
            grid_search(tmp_path, thin, grid).fit(*rows)
    assert {path.suffix for path in tmp_path.iterdir()} == {".epoch"}
    assert len(list(tmp_path.iterdir())) == 2
    with killed_after(99, Stack) as trained:
        assert_same(grid_search(tmp_path, thin, grid).fit(*rows), whole)
    assert len(trained) <= 2
    assert [path.suffix for path in tmp_path.iterdir()] == [".stack"]


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_rates_may_be_numbers_of_numpy(kind, rows, epochs, tmp_path):
    grid = {"lr": np.logspace(-3, -1, 4).astype(kind)}
    search = StackedHalvingSearchCV(
        small(), grid, cv=2, refit=False, checkpoint_dir=tmp_path, **EPOCHS
    )
    first = clone(search).fit(*rows)
    epochs.clear()
    assert_same(search.fit(*rows), first)
    assert not epochs


def test_a_custom_optimizer_that_trains_alone_is_kept(rows, epochs, tmp_path):
    thin = small(optimizer=torch.optim.RMSprop)
    first = grid_search(tmp_path, thin).fit(*rows)
    assert len(list(tmp_path.iterdir())) == 8
    with killed_after(0) as trained:
        assert_same(grid_search(tmp_path, thin).fit(*rows), first)
    assert not trained


def worst_first(estimator, X, y):
    return -estimator.score(X, y)


def test_a_halving_that_keeps_other_candidates_trains_these(rows, epochs, tmp_path):
    def search(scoring, folder):
        grid = {"lr": [1e-4, 1e-3, 1e-2, 3e-2]}
        how = {"cv": 2, "refit": False, "scoring": scoring, **EPOCHS}
        return StackedHalvingSearchCV(small(), grid, checkpoint_dir=folder, **how).fit(*rows)

    search("accuracy", tmp_path)
    n_first, _ = len(epochs), epochs.clear()
    other = search(worst_first, tmp_path)
    assert 0 < len(epochs) < n_first  # the first rung is the same
    assert_same(other, search(worst_first, None))


def test_a_loss_that_diverged_is_read_as_an_error(rows, epochs, tmp_path):
    grid = {"lr": [1e-2, 1e30]}
    for trained in (True, False):
        epochs.clear()
        with pytest.warns(Warning, match="fits failed|non-finite"):
            search = grid_search(tmp_path, grid=grid).fit(*rows)
        assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
        assert bool(epochs) == trained
    with pytest.raises(FloatingPointError, match="lower lr"):
        grid_search(tmp_path, grid=grid, error_score="raise").fit(*rows)


def changed(X):
    X = X.copy()
    X[17, 20] += 1e-3
    return X


@pytest.mark.parametrize(
    "change",
    ["X", "y", "lr", "seed", "epochs", "dropout", "class_weight", "optimizer"],
)
def test_what_differs_is_trained_anew(change, rows, epochs, tmp_path):
    X, y = rows
    base = {"grid": {"lr": [1e-3, 1e-2]}, "thin": small()}
    other = {
        "lr": {"grid": {"lr": [1e-3, 1.1e-2]}},
        "seed": {"thin": small(random_state=1)},
        "epochs": {"thin": small(max_epochs=3)},
        "dropout": {"thin": small(backbone=MLPBackbone((16,), dropout=0.1))},
        "class_weight": {"thin": small(class_weight="balanced")},
        "optimizer": {"thin": small(optimizer="sgd")},
    }
    grid_search(tmp_path, **base).fit(X, y)
    epochs.clear()
    X = changed(X) if change == "X" else X
    y = np.roll(y, 1) if change == "y" else y
    search = grid_search(tmp_path, **(base | other.get(change, {}))).fit(X, y)
    assert len(epochs) >= 2
    assert_same(search, grid_search(None, **(base | other.get(change, {}))).fit(X, y))


class Own(nn.Linear):
    """A layer of a user, whose code may change without a version."""


@pytest.mark.parametrize("backbone", [Own(64, 16), nn.Sequential(nn.Linear(64, 16), Own(16, 16))])
def test_code_of_the_user_is_not_kept_as_it_may_change(backbone, rows, epochs, tmp_path):
    thin = small(backbone=backbone, max_epochs=2)
    for _ in range(2):
        epochs.clear()
        with pytest.warns(RuntimeWarning, match=r"Own is code without a version"):
            grid_search(tmp_path, thin, {"lr": [1e-2, 2e-2]}).fit(*rows)
        assert epochs
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_read_is_named_and_not_used(rows, tmp_path):
    first = grid_search(tmp_path).fit(*rows)
    for file in list(tmp_path.iterdir()):
        file.unlink()
        file.mkdir()
    with pytest.warns(RuntimeWarning):
        assert_same(grid_search(tmp_path).fit(*rows), first)


def test_a_training_that_cannot_be_compared_is_not_kept(rows, tmp_path):
    layer = nn.Linear(64, 16)
    layer.own = lambda x: x  # has no pickle
    with pytest.warns(RuntimeWarning, match="does not keep a training"):
        grid_search(tmp_path, small(backbone=layer), {"lr": [1e-2]}).fit(*rows)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty", "pickle"])
def test_damaged_and_foreign_files_are_named_and_not_used(damage, rows, epochs, tmp_path):
    first = grid_search(tmp_path).fit(*rows)
    for path in tmp_path.iterdir():
        content = bytearray(path.read_bytes())
        content[-9] ^= 1
        damaged = {"cut": content[:-100], "flipped": content, "foreign": b"PK", "empty": b""}
        if damage == "pickle":
            torch.save(Hostile(), path)
        else:
            path.write_bytes(damaged[damage])
    epochs.clear()
    with pytest.warns(RuntimeWarning, match=r"\.stack is not used"):
        search = grid_search(tmp_path).fit(*rows)
    assert epochs
    assert_same(search, first)
    with warnings.catch_warnings(action="error"):  # the files are whole again
        grid_search(tmp_path).fit(*rows)


class Hostile:
    def __reduce__(self):
        return exec, ("raise SystemExit('code ran')",)


def test_a_file_with_a_right_digest_runs_no_code_either(rows, tmp_path):
    first = grid_search(tmp_path).fit(*rows)
    for path in list(tmp_path.iterdir()):
        write(tmp_path, path.name, Hostile())
    with pytest.warns(RuntimeWarning, match="is not used"):
        assert_same(grid_search(tmp_path).fit(*rows), first)


def test_other_files_of_the_folder_stay(rows, tmp_path):
    own = tmp_path / "notes.txt"
    own.write_text("mine")
    grid_search(tmp_path).fit(*rows)
    assert own.read_text() == "mine"
    assert any(path.suffix == ".stack" for path in tmp_path.iterdir())


def test_workers_keep_their_stacks(rows, epochs, tmp_path):
    first = grid_search(tmp_path, n_jobs=2).fit(*rows)
    again = grid_search(tmp_path).fit(*rows)
    assert not epochs
    assert_same(again, first)


def test_a_folder_that_cannot_be_made_is_refused_before_the_training(rows, epochs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        grid_search(tmp_path / "file").fit(*rows)
    assert not epochs


def test_a_disk_that_is_full_does_not_end_the_search(rows, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sklearn_thin.training.checkpoints.write_whole", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        search = grid_search(tmp_path).fit(*rows)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_random_states_that_no_run_repeats_are_named(rows, tmp_path):
    unset = small(random_state=None)
    named = {
        "the estimator": grid_search(tmp_path, unset),
        "cv": grid_search(tmp_path, cv=ShuffleSplit(2)),
        "the search": StackedRandomizedSearchCV(
            small(), {"lr": [1e-2]}, n_iter=1, cv=2, checkpoint_dir=tmp_path
        ),
    }
    for name, search in named.items():
        with pytest.warns(UserWarning, match=f"random_state of {name} is None"):
            search.fit(*rows)
    grid = {"random_state": [0, 1]}
    grid_search(tmp_path, unset, grid, cv=KFold(2)).fit(*rows)
