"""Long runs: nothing grows, threads predict the same bits, and forks do not hang.

    python -m tests.reliability.running --fits 500

prints what is expected and what is found. It needs Linux, for forked processes and /proc.
"""

import argparse
import gc
import os
import signal
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator

from sklearn_thin import THINRegressor, load, save
from sklearn_thin.model_selection import StackedGridSearchCV
from tests.helpers import small, small_encoder
from tests.reliability.saving import print_counts

WARM_UP = 0.2  # of the rounds, which fill caches
GROWTH = 2**23  # bytes of memory that all rounds after it may add
SECONDS = 60  # that a forked process may take


class Models:
    """Fitted estimators of several kinds, and rows."""

    def __init__(self):
        digits = load_digits()
        self.X, self.y = digits.data[:200] / 16, digits.target[:200]
        self.z = np.searchsorted([4.5, 4.9, 5.3], digits.data[:200].mean(1))
        self.encoder = small_encoder(random_state=0).fit(self.X, self.z)
        table = np.column_stack([self.X, self.z])
        self.fits = {
            "encoder": (small_encoder(random_state=0), self.X, self.z, {}),
            "frozen encoder": (small(FrozenEstimator(self.encoder), lam=0.1), self.X, self.y, {}),
            "erasure": (small(dispelling="erasure"), self.X, self.y, {"exogenous_target": self.z}),
            "known column": (small(64, gating="layers"), table, self.y, {}),
            "regressor": (THINRegressor(max_epochs=2, random_state=0), self.X, self.y, {}),
            "images": (small(backbone="auto", max_epochs=1), self.X.reshape(-1, 8, 8), self.y, {}),
        }

        for name in self.fits:
            self.fit(name)

    def fit(self, name):
        estimator, X, y, given = self.fits[name]
        return estimator.fit(X, y, **given)

    def outputs(self, name):
        estimator, X, *_ = self.fits[name]
        return getattr(estimator, "predict_proba", estimator.predict)(X)


# ------------------------------------------------------------------ nothing grows


def held():
    """Bytes of memory, open files, threads and temporary files of this process."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    read = {name: int(status.partition(name)[2].split()[0]) for name in ("VmRSS:", "Threads:")}
    return {
        "memory": 1024 * read["VmRSS:"],
        "open files": len(os.listdir("/proc/self/fd")),
        "threads": read["Threads:"],
        "temporary files": len(os.listdir(tempfile.gettempdir())),
    }


def rounds(models, number, folder):
    """What the process holds after the warm-up, and after all rounds of a fit, predictions,
    a file and, now and then, a search."""
    names, start = list(models.fits), None
    for i in range(number):
        if i == int(WARM_UP * number):
            start = held()
        name = names[i % len(names)]
        models.fit(name)
        models.outputs(name)
        save(models.fits[name][0], folder / "model.thin")
        load(folder / "model.thin")
        if i % 20 == 0:
            search = StackedGridSearchCV(small(), {"lr": [1e-2, 1e-3]}, cv=2)
            search.fit(models.X, models.y)
    return start, held()


# ------------------------------------------------------------------ threads


def threads(models, number, *, n_threads=8, while_fitting=False):
    """How many predictions of threads at once have the bits of one thread alone."""
    names = list(models.fits)
    expected = {name: models.outputs(name) for name in names}
    stop = threading.Event()

    def fit():
        while not stop.is_set():
            small(random_state=1).fit(models.X, models.y)

    other = threading.Thread(target=fit)
    if while_fitting:
        other.start()
    try:
        with ThreadPoolExecutor(n_threads) as pool:
            tasks = [names[i // n_threads % len(names)] for i in range(number)]
            found = pool.map(
                lambda name: np.array_equal(models.outputs(name), expected[name]), tasks
            )
            return sum(found)
    finally:
        stop.set()
        if while_fitting:
            other.join()


# ------------------------------------------------------------------ forks


def forks(models, number, folder, *, during):
    """How many forked processes predict, fit, save and search as this process does."""
    X, y = models.X, models.y
    name = "frozen encoder"
    expected, again = models.outputs(name), small().fit(X, y).predict_proba(X)
    stop, endings = threading.Event(), Counter()

    def work():
        good = np.array_equal(models.outputs(name), expected)
        good &= np.array_equal(small().fit(X, y).predict_proba(X), again)
        save(models.fits[name][0], folder / "forked.thin")
        good &= np.array_equal(load(folder / "forked.thin").predict_proba(X), expected)
        StackedGridSearchCV(small(), {"lr": [1e-2, 1e-3]}, cv=2).fit(X, y)
        return good

    def fit():
        while not stop.is_set():
            small(random_state=1).fit(X, y)

    other = threading.Thread(target=fit)
    if during:
        other.start()
    try:
        for _ in range(number):
            child = os.fork()
            if not child:
                signal.alarm(SECONDS)  # a hanging child ends by a signal
                try:
                    os._exit(0 if work() else 3)
                finally:
                    os._exit(4)
            endings[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])] += 1
    finally:
        stop.set()
        if during:
            other.join()
    return endings[0]


# ------------------------------------------------------------------ counts


def count(*, n_fits, n_predictions, n_forks):
    """Rows (promise, expected, found), and remarks."""
    models, before = Models(), tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as kept:
        tempfile.tempdir = folder
        try:
            start, end = rounds(models, n_fits, Path(kept))
            same = threads(models, n_predictions)
            same_during = threads(models, n_predictions, while_fitting=True)
            after = forks(models, n_forks, Path(kept), during=False)
            during = forks(models, n_forks, Path(kept), during=True)
            left = len(os.listdir(folder))
        finally:
            tempfile.tempdir = before
    grown = {name: end[name] - start[name] for name in start}
    rows = [
        (f"growth of memory over {GROWTH // 2**20} MiB: none", 0, int(grown["memory"] > GROWTH)),
        *((f"{name} more than after the warm-up", 0, grown[name]) for name in list(grown)[1:]),
        ("8 threads predict at once: the same bits", n_predictions, same),
        ("the same, while another estimator is fitted", n_predictions, same_during),
        ("forks after a fit: the same bits, no hanging", n_forks, after),
        ("forks during a fit of another thread: the same", n_forks, during),
        ("temporary files at the end", 0, left),
    ]
    remarks = [
        f"{n_fits} fits with predictions, saves and loads added {grown['memory'] / 2**20:.1f} MiB "
        f"after the warm-up, to {end['memory'] / 2**20:.0f} MiB",
        f"{end['open files']} open files and {end['threads']} threads",
    ]
    return rows, remarks


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fits", type=int, default=500)
    parser.add_argument("--predictions", type=int, default=480, help="of threads")
    parser.add_argument("--forks", type=int, default=10, help="after a fit, and during a fit")
    args = parser.parse_args()
    torch.set_num_threads(1)
    given = {"n_fits": args.fits, "n_predictions": args.predictions, "n_forks": args.forks}
    rows, remarks = count(**given)
    print_counts(rows, remarks)
    sys.exit(any(expected != found for _, expected, found in rows))


if __name__ == "__main__":
    main()
