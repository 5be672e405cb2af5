"""Searches on workers of dask and loky: what a worker gets, and what a killed worker loses."""

import importlib
import logging
import os
import pickle
import signal
from contextlib import suppress
from itertools import chain
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from torch import nn

from sklearn_thin import ExogenousEncoder, MLPBackbone, save
from sklearn_thin._sharing import sharing
from sklearn_thin.model_selection import StackedGridSearchCV
from sklearn_thin.model_selection._members import Preparation, train_all
from tests.helpers import small

GRID = {"lr": [0.001, 0.01], "weight_decay": [0.0, 0.1]}
SEARCHES = [(GridSearchCV, {}), (StackedGridSearchCV, {"stack_size": 3})]
FILE = 2**20  # joblib writes larger arrays into files for its workers


class KillsItsWorker(nn.Module):
    """A layer that kills the first process that computes it, other than its own, with a marker."""

    def __init__(self, marker):
        super().__init__()
        self.layer, self.marker, self.parent = nn.Linear(64, 8), str(marker), os.getpid()

    def forward(self, x):
        if os.getpid() != self.parent:
            with suppress(FileNotFoundError):
                os.remove(self.marker)  # by one process alone
                os.kill(os.getpid(), signal.SIGKILL)
        return self.layer(x)


@pytest.fixture
def large(rows):
    """A fitted encoder of 1.6 MB."""
    encoder = ExogenousEncoder(MLPBackbone((600, 600)), max_epochs=1, random_state=0)
    return encoder.fit(rows[0], rows[2])


@pytest.fixture
def client():
    """Of a cluster of two threads."""
    distributed = pytest.importorskip("distributed")
    how = {"processes": False, "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **how) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def workers():
    """A cluster of two processes, whose scheduler drops no copies of scattered arrays."""
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    how = {"processes": True, "dashboard_address": None, "silence_logs": logging.CRITICAL}
    environment = dict(os.environ)
    with (
        dask.config.set({"distributed.scheduler.active-memory-manager.start": False}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **how) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
    os.environ.clear()  # dask sets numbers of threads in it
    os.environ.update(environment)


def assert_same_results(search, other):
    for name in ("split0_test_score", "split1_test_score", "rank_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], other.cv_results_[name])


@pytest.mark.parametrize(("kind", "how"), SEARCHES)
def test_dask_gives_the_results_of_one_process(kind, how, rows, client):
    X, y = rows[:2]
    search, other = (kind(small(), GRID, cv=2, **how) for _ in range(2))
    search.fit(X, y)
    with joblib.parallel_config("dask"):
        other.fit(X, y)
    assert_same_results(search, other)
    np.testing.assert_array_equal(search.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize(("kind", "how"), SEARCHES)
def test_a_killed_worker_changes_no_result(kind, how, rows, workers, tmp_path):
    # a plain search needs copies of its arrays on both workers: see docs/scaling.md
    X, y = rows[:2]
    splits = list(StratifiedKFold(2).split(X, y))
    killing = small(backbone=KillsItsWorker(tmp_path / "marker"), hidden_units=0)
    search, other = (kind(killing, GRID, cv=splits, refit=False, **how) for _ in range(2))
    search.fit(X, y)
    (tmp_path / "marker").touch()
    workers.wait_for_workers(2)
    with joblib.parallel_config("dask", client=workers, scatter=[X, y, *chain(*splits)]):
        other.fit(X, y)
    assert not (tmp_path / "marker").exists()
    assert_same_results(search, other)


def test_the_worker_of_a_stack_gets_no_encoder(rows, large):
    X, y = rows[:2]
    preparation = Preparation(small(FrozenEstimator(large)), X, y, {})
    with sharing():
        members, others = (
            [preparation.member(k, {"lr": lr}) for k, lr in enumerate([0.001, 0.01])]
            for _ in range(2)
        )
    sizes = []

    def elsewhere(calls):
        """Run pickled calls, and give pickled results back, as a process does."""
        results = []
        for call in calls:
            sent = pickle.dumps(call)
            function, arguments, named = pickle.loads(sent)
            back = pickle.dumps(function(*arguments, **named))
            sizes.extend([len(sent), len(back)])
            results.append(pickle.loads(back))
        return results

    train_all(members, elsewhere, stack_size="auto", verbose=0)
    assert len(pickle.dumps(large)) > FILE
    assert sum(sizes) < FILE // 2
    train_all(others, joblib.Parallel(), stack_size="auto", verbose=0)
    for member, other in zip(members, others, strict=True):
        np.testing.assert_array_equal(
            member.estimator.predict_proba(X), other.estimator.predict_proba(X)
        )


def test_joblib_writes_an_encoder_once_for_all_tasks(rows, large, monkeypatch):
    from joblib import _memmapping_reducer

    X, y = rows[:2]
    written, dump = [], _memmapping_reducer.dump
    monkeypatch.setattr(
        _memmapping_reducer,
        "dump",
        lambda array, *more, **how: [written.append(array.nbytes), dump(array, *more, **how)][1],
    )
    how = {"cv": 2, "refit": False}
    search = GridSearchCV(small(FrozenEstimator(large)), GRID, n_jobs=2, **how).fit(X, y)
    assert written == [600 * 600 * 4]
    other = GridSearchCV(small(FrozenEstimator(large)), GRID, **how).fit(X, y)
    assert_same_results(search, other)


def test_an_encoder_can_travel_as_the_path_of_its_file(rows, large, tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    module = (root / "benchmarks" / "_in_file.py").read_text()
    assert module in (root / "docs" / "scaling.md").read_text()
    (tmp_path / "in_file.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    in_file = importlib.import_module("in_file").InFile
    X, y = rows[:2]
    save(large, tmp_path / "encoder.thin")
    sides = FrozenEstimator(large), FrozenEstimator(in_file(tmp_path / "encoder.thin"))
    clf, other = (small(side).fit(X, y) for side in sides)
    np.testing.assert_array_equal(other.predict_proba(X), clf.predict_proba(X))
    other.predict(X, exogenous=rows[2])  # labels of the encoder
    assert len(pickle.dumps(other.exogenous)) < 1000
    assert len(pickle.dumps(clone(other))) < 3000
