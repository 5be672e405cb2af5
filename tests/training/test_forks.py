"""Processes that fork during or after a fit: no side waits for threads of the other."""

import os

import pytest

from tests.helpers import run_python

SCRIPT = """
import os, signal, threading
import numpy as np
import torch
from joblib import Parallel, delayed
from skorch.callbacks import Callback
from sklearn_thin import MLPBackbone, THINClassifier

X = np.random.RandomState(0).rand(60, 4).astype(np.float32)
y = (X[:, 0] > 0.5).astype(int)

def small(**params):
    params = {"backbone": MLPBackbone((16,)), "max_epochs": 2, "random_state": 0, **params}
    return THINClassifier(**params)

def check():
    return np.array_equal(small().fit(X, y).predict_proba(X), expected)

class Wait(Callback):
    # holds a fit in its first epoch until all forks are done
    def on_epoch_end(self, net, **kwargs):
        running.set()
        ended.wait()

def fork():
    child = os.fork()
    if not child:
        signal.alarm(30)  # a hanging child ends by a signal
        os._exit(0 if check() else 3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

class Rows(torch.utils.data.Dataset):
    # a data set that fits in its worker
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return check()

class Forks(Callback):
    # a fork by the thread that fits
    def on_epoch_end(self, net, **kwargs):
        inside.append(fork())

running, ended, inside = threading.Event(), threading.Event(), []
expected = small().fit(X, y).predict_proba(X)
ended.set()
alone = small(callbacks=[Wait()]).fit(X, y).predict_proba(X)
ended.clear()
running.clear()
other = small(callbacks=[Wait()])
thread = threading.Thread(target=other.fit, args=(X, y), daemon=True)
thread.start()
assert running.wait(60)

print("os.fork", fork(), flush=True)
with Parallel(2, backend="multiprocessing", timeout=30) as parallel:
    print("joblib", all(parallel(delayed(check)() for _ in range(2))), flush=True)
how = {"num_workers": 1, "timeout": 30, "multiprocessing_context": "fork"}
loader = torch.utils.data.DataLoader(Rows(), **how)
print("DataLoader", all(bool(good) for good in loader), flush=True)

ended.set()
thread.join()
print("thread", np.array_equal(other.predict_proba(X), alone))
small(callbacks=[Forks()]).fit(X, y)
print("inside", inside == [True, True])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_fork_while_another_thread_fits_does_not_hang():
    done = run_python("-W", "ignore", "-c", SCRIPT)
    names = ["os.fork", "joblib", "DataLoader", "thread", "inside"]
    assert done.stdout.splitlines() == [f"{name} True" for name in names], done.stderr


THREADS = """
import os, signal
import numpy as np
import torch
from sklearn_thin import ExogenousEncoder, THINClassifier, THINRegressor

X = np.random.RandomState(0).rand(2000, 50)
y = (X[:, 0] > 0.5).astype(int)
assert torch.get_num_threads() == 2
kinds = [THINClassifier, THINRegressor, ExogenousEncoder]
fitted = [kind(max_epochs=1, random_state=0).fit(X, y) for kind in kinds]
for model in fitted:
    for call in (lambda: model.predict(X), lambda: model.fit(X, y)):
        child = os.fork()
        if not child:
            signal.alarm(30)  # a hanging child ends by a signal
            call()
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(torch.get_num_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_fork_after_a_fit_with_two_threads_does_not_hang():
    done = run_python("-W", "ignore", "-c", THREADS, OMP_NUM_THREADS="2")
    assert done.stdout.split() == ["0"] * 6 + ["2"], done.stderr
