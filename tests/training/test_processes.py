"""Processes that train one network together, by gloo on the CPU."""

import os
import pickle
from itertools import chain

import numpy as np
import pytest
import torch
from skorch.dataset import Dataset
from torch import nn

from sklearn_thin import DataParallel, THINClassifier
from sklearn_thin.training.batches import TensorBatches
from tests.helpers import run_python

N_TRAIN = 600
PLAIN = {
    "hidden_units": 0,
    "depth": 1,
    "batch_size": 33,  # the last batch has six rows
    "endogenous": None,
}
USUAL = {"dispelling": "alignment", "early_stopping": True, "n_iter_no_change": 3}

# each process runs it; argument: the folder for its results
SCRIPT = """
import sys
from tests.training import test_processes
test_processes.train_in_this_process(sys.argv[1])
"""


def fitted(params, data, **more):
    X, y, z = data
    how = {"max_epochs": 5, "device": "cpu", "random_state": 0, **params, **more}
    return THINClassifier("given", **how).fit(X, y, exogenous_target=z)


def train_in_this_process(folder):
    """Fit both estimators, and one on other rows; write weights, predictions and the error."""
    torch.set_num_threads(1)
    process = int(os.environ["RANK"])
    with np.load(f"{folder}/rows.npz") as rows:
        X, y, z = rows["X"], rows["y"], rows["z"]
    how, data = {"callbacks": [DataParallel()]}, (X[:N_TRAIN], y[:N_TRAIN], z[:N_TRAIN])
    models = {
        "plain": fitted({**PLAIN, "backbone": backbone()}, data, **how),
        "usual": fitted(USUAL, data, **how),
    }
    results = {}
    for name, clf in models.items():
        pickle.loads(pickle.dumps(clf))
        results[f"{name} proba"] = clf.predict_proba(X[N_TRAIN:], exogenous=z[N_TRAIN:])
        results[f"{name} losses"] = clf.history_[:, "train_loss"]
        for key, tensor in clf.module_.state_dict().items():
            results[f"{name} {key}"] = tensor.numpy()
    try:
        fitted(USUAL, [part[process : 500 + process] for part in data], **how)
    except ValueError as error:
        results["error"] = str(error)
    np.savez(f"{folder}/{process}.npz", **results)
    torch.distributed.destroy_process_group()  # else an exit can abort in gloo's threads


def backbone():
    """A module without batch normalisation, with the same weights each time."""
    module = nn.Sequential(nn.Linear(64, 16), nn.ReLU())
    draw = torch.Generator().manual_seed(0)
    for weight in module.parameters():
        weight.data.uniform_(-0.1, 0.1, generator=draw)
    return module


@pytest.fixture(scope="module")
def two(digits, tmp_path_factory):
    """Results of two processes on the first rows of the digits."""
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("processes")
    np.savez(folder / "rows.npz", X=digits.X, y=digits.y, z=digits.z)
    (folder / "script.py").write_text(SCRIPT)
    launch = "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"
    path = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    done = run_python(*launch, folder / "script.py", folder, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    return [dict(np.load(folder / f"{process}.npz")) for process in range(2)]


@pytest.fixture(scope="module")
def parts(digits):
    X, y, z = digits.X, digits.y, digits.z
    return (X[:N_TRAIN], y[:N_TRAIN], z[:N_TRAIN]), (X[N_TRAIN:], y[N_TRAIN:], z[N_TRAIN:])


def test_all_processes_have_the_same_model(two):
    names = [name for name in two[0] if not name.endswith("losses")]
    assert len(names) > 20
    for name in names:
        np.testing.assert_array_equal(two[0][name], two[1][name], err_msg=name)


def test_each_process_trains_on_rows_of_its_own(two):
    assert not np.array_equal(two[0]["plain losses"], two[1]["plain losses"])


def test_the_model_is_that_of_one_process_except_for_rounding(two, parts):
    train, (X, _, z) = parts
    clf = fitted({**PLAIN, "backbone": backbone()}, train)
    np.testing.assert_allclose(
        two[0]["plain proba"], clf.predict_proba(X, exogenous=z), rtol=0, atol=1e-4
    )
    losses = np.mean([process["plain losses"] for process in two], axis=0)
    np.testing.assert_allclose(losses, clf.history_[:, "train_loss"], rtol=1e-2)


def test_normalised_networks_score_as_in_one_process(two, parts):
    train, (X, y, z) = parts
    score = fitted(USUAL, train).score(X, y, exogenous=z)
    together = np.mean(two[0]["usual proba"].argmax(1) == y)
    assert together > score - 0.03


def test_processes_with_other_rows_are_refused(two):
    assert all("the same rows" in str(process["error"]) for process in two)


@pytest.mark.parametrize(
    ("n_processes", "sizes"), [(1, [5, 3]), (2, [[3, 2], [3, 3]]), (3, [[5, 5, 5], [3, 3, 3]])]
)
def test_batches_are_shared_where_each_process_gets_two_rows(n_processes, sizes):
    data = Dataset({"x": torch.arange(8)}, torch.zeros(8))
    shares = [
        [batch["x"].tolist() for batch, _ in TensorBatches(data, 5, share=(k, n_processes))]
        for k in range(n_processes)
    ]
    for whole, parts, expected in zip(
        ([0, 1, 2, 3, 4], [5, 6, 7]), zip(*shares, strict=True), sizes, strict=True
    ):
        assert [len(part) for part in parts] == np.ravel(expected).tolist()
        assert set(chain(*parts)) == set(whole)
