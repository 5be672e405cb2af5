"""
=====================================
Scale out: a search, then one network
=====================================

A search runs on a cluster of dask. Then two processes train one network together. Both run on this
machine, with two processes each. It needs the extra `distributed`.
"""

import subprocess
import sys

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_thin import DataParallel, MLPBackbone, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV

EPOCHS = 20


def rows():
    """Digits, split into training and test rows."""
    X, y = load_digits(return_X_y=True)
    return train_test_split((X / 16).astype(np.float32), y, stratify=y, random_state=0)


def estimator(**params):
    """A small network with a tree gate."""
    backbone = MLPBackbone((64,))
    return THINClassifier(backbone=backbone, max_epochs=EPOCHS, random_state=0, **params)


def search():
    """Each stack of six networks is a task for a worker of the cluster."""
    from distributed import Client, LocalCluster

    X, X_test, y, y_test = rows()
    grid = {"depth": [0, 1, 2], "lr": [0.001, 0.01]}
    stacked = StackedGridSearchCV(estimator(), grid, cv=3, stack_size=6)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster), joblib.parallel_config("dask"):
        stacked.fit(X, y)
    print(f"search on dask: {stacked.best_params_}, accuracy {stacked.score(X_test, y_test):.3f}")


def one_network():
    """Each process runs this function; the processes divide each batch."""
    from accelerate import PartialState

    X, X_test, y, y_test = rows()
    clf = estimator(depth=2, lr=0.01, device="cpu", callbacks=[DataParallel()]).fit(X, y)
    process = PartialState()
    if process.is_main_process:
        n_processes = process.num_processes
        print(f"one network, {n_processes} processes: accuracy {clf.score(X_test, y_test):.3f}")
    process.destroy_process_group()


if __name__ == "__main__":
    if sys.argv[1:] == ["--one-network"]:
        one_network()
    else:
        search()
        launch = "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"
        subprocess.run([sys.executable, *launch, __file__, "--one-network"], check=True)
