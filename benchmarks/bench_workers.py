"""Megabytes that searches send to worker processes of joblib's loky and of a dask cluster.

A frozen encoder with two hidden layers of `--width` units steers the gate of small networks: four
candidates on three folds. "in a file" is the encoder as the path of its file. loky's megabytes are
those of the files that its workers map into memory. dask's megabytes are what this process writes
to its workers, and to the scheduler that it hosts.

    python benchmarks/bench_workers.py
"""

import argparse
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np
from _in_file import InFile
from joblib import _memmapping_reducer
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier, save
from sklearn_thin.model_selection import StackedGridSearchCV

GRID = {"lr": [0.001, 0.01], "weight_decay": [0.0, 0.1]}


def searches(width, folder):
    """Rows, labels, and the unfitted searches by their names."""
    X, y = load_digits(return_X_y=True)
    X, y = (X[:400] / 16).astype(np.float32), y[:400]
    dark = X.sum(1) > np.median(X.sum(1))
    encoder = ExogenousEncoder(MLPBackbone((width, width)), max_epochs=1, random_state=0)
    frozen = FrozenEstimator(encoder.fit(X, dark))
    print(f"the encoder has {len(pickle.dumps(encoder)) / 1e6:.1f} MB")
    save(encoder, folder / "encoder.thin")
    in_file = FrozenEstimator(InFile(folder / "encoder.thin"))
    small = {"backbone": MLPBackbone((16,)), "hidden_units": 8}
    thin, other = (
        THINClassifier(side, **small, max_epochs=1, random_state=0) for side in (frozen, in_file)
    )
    how = {"cv": 3, "refit": False}
    return (
        X,
        y,
        {
            "GridSearchCV": GridSearchCV(thin, GRID, **how),
            "GridSearchCV, in a file": GridSearchCV(other, GRID, **how),
            "StackedGridSearchCV": StackedGridSearchCV(thin, GRID, stack_size=3, **how),
        },
    )


def by_loky(X, y, kinds):
    """Print the files that joblib writes for its workers."""
    written, dump = [], _memmapping_reducer.dump

    def counted(array, *arguments, **named):
        written.append(array.nbytes)
        return dump(array, *arguments, **named)

    _memmapping_reducer.dump = counted
    try:
        for name, search in kinds.items():
            written.clear()
            with joblib.parallel_config("loky", n_jobs=2):
                search.fit(X, y)
            print(f"loky {name:24} {sum(written) / 1e6:7.1f} MB in {len(written)} files")
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
            for name, search in kinds.items():
                written[0] = 0
                search.fit(X, y)
                print(f"dask {name:24} {written[0] / 1e6:7.1f} MB")
    finally:
        TCP.write = write


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=1500)
    parser.add_argument("--engines", nargs="+", default=["loky", "dask"])
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        given = searches(arguments.width, Path(folder))
        for engine in arguments.engines:
            {"loky": by_loky, "dask": by_dask}[engine](*given)


if __name__ == "__main__":
    main()
