"""Megabytes that searches send to worker processes of joblib's loky and of a dask cluster.

A frozen encoder with two hidden layers of `--width` units steers the gate of small networks: four
candidates on three folds. loky's megabytes are those of the files that its workers map into memory.
dask's megabytes are what this process writes to its workers, and to the scheduler that it hosts.

    python benchmarks/bench_workers.py
"""

import argparse
import pickle

import joblib
import numpy as np
from joblib import _memmapping_reducer
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV

GRID = {"lr": [0.001, 0.01], "weight_decay": [0.0, 0.1]}
SEARCHES = [(GridSearchCV, {}), (StackedGridSearchCV, {"stack_size": 3})]


def searches(width):
    """Rows, labels and the unfitted searches."""
    X, y = load_digits(return_X_y=True)
    X, y = (X[:400] / 16).astype(np.float32), y[:400]
    dark = X.sum(1) > np.median(X.sum(1))
    encoder = ExogenousEncoder(MLPBackbone((width, width)), max_epochs=1, random_state=0)
    frozen = FrozenEstimator(encoder.fit(X, dark))
    print(f"the encoder has {len(pickle.dumps(encoder)) / 1e6:.1f} MB")
    thin = THINClassifier(
        frozen, backbone=MLPBackbone((16,)), hidden_units=8, max_epochs=1, random_state=0
    )
    return X, y, [kind(thin, GRID, cv=3, refit=False, **how) for kind, how in SEARCHES]


def by_loky(X, y, kinds):
    """Print the files that joblib writes for its workers."""
    written, dump = [], _memmapping_reducer.dump

    def counted(array, *arguments, **named):
        written.append(array.nbytes)
        return dump(array, *arguments, **named)

    _memmapping_reducer.dump = counted
    try:
        for search in kinds:
            written.clear()
            with joblib.parallel_config("loky", n_jobs=2):
                search.fit(X, y)
            name, size = type(search).__name__, sum(written) / 1e6
            print(f"loky {name:20} {size:7.1f} MB in {len(written)} files")
    finally:
        _memmapping_reducer.dump = dump
        get_reusable_executor().shutdown(wait=True)


def by_dask(X, y, kinds):
    """Print the bytes that this process writes to its workers and to itself."""
    from distributed import Client, LocalCluster
    from distributed.comm.tcp import TCP

    written, write = [0], TCP.write

    async def counted(self, *arguments, **named):
        n_bytes = await write(self, *arguments, **named)
        written[0] += n_bytes
        return n_bytes

    TCP.write = counted
    try:
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster),
            joblib.parallel_config("dask"),
        ):
            for search in kinds:
                written[0] = 0
                search.fit(X, y)
                print(f"dask {type(search).__name__:20} {written[0] / 1e6:7.1f} MB")
    finally:
        TCP.write = write


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=1500)
    parser.add_argument("--engines", nargs="+", default=["loky", "dask"])
    arguments = parser.parse_args()
    given = searches(arguments.width)
    for engine in arguments.engines:
        {"loky": by_loky, "dask": by_dask}[engine](*given)


if __name__ == "__main__":
    main()
