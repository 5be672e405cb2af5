"""On a GPU: fits there, loads where there is none, and leaves its generator alone."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset
from torch._dynamo.utils import counters

from sklearn_thin import ExogenousEncoder, THINClassifier
from sklearn_thin._batches import TensorBatches
from sklearn_thin._random import torch_seed
from sklearn_thin.modules import MLP, ExpertEnsemble, THINModule, TreeGate

pytestmark = pytest.mark.gpu
DEVICE = "cuda"


def fit(digits, device=DEVICE):
    params = {"max_epochs": 2, "device": device, "random_state": 0}
    encoder = ExogenousEncoder(hidden_units=8, **params)
    thin = THINClassifier(encoder, lam=0.01, n_experts=5, hidden_units=20, **params)
    return thin.fit(digits.X[:400], digits.y[:400], exogenous_target=digits.z[:400])


def devices(estimator):
    return {p.device.type for p in estimator.module_.parameters()}


def test_auto_trains_on_the_gpu(digits):
    thin = fit(digits, "auto")
    assert devices(thin) == {DEVICE}
    assert thin.predict_proba(digits.X[:5]).dtype == np.float32


def test_the_gpu_learns_what_the_cpu_learns(digits):
    on_gpu, on_cpu = fit(digits), fit(digits, "cpu")
    X, y = digits.X[:400], digits.y[:400]
    assert on_gpu.score(X, y) == pytest.approx(on_cpu.score(X, y), abs=0.05)


def test_the_same_random_state_gives_the_same_model(digits):
    first, second = fit(digits).predict_proba(digits.X), fit(digits).predict_proba(digits.X)
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_the_module_gives_the_same_on_both_devices():
    module = THINModule(MLP(5, (8,)), ExpertEnsemble(8, 3, 5, 6), TreeGate(4, 2, 5)).eval()
    x, gate_input = torch.randn(6, 5), torch.rand(6, 4)
    expected = module(x, gate_input).logits
    logits = module.to(DEVICE)(x.to(DEVICE), gate_input.to(DEVICE)).logits
    torch.testing.assert_close(logits.cpu(), expected, rtol=1e-4, atol=1e-4)


# torch's compiler warns of its own parts, and that float32 products could be less exact
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:TensorFloat32:UserWarning")
@pytest.mark.parametrize("params", [{}, {"lam": 0.1}, {"mixed_precision": "bf16"}], ids=str)
def test_a_captured_step_is_the_eager_step(params, digits):
    X, y = digits.X[:400], digits.y[:400]  # the last batch of an epoch is smaller
    setting = {"max_epochs": 3, "device": DEVICE, "random_state": 0}
    encoder = FrozenEstimator(ExogenousEncoder(**setting).fit(X, digits.z[:400]))
    thin = THINClassifier(encoder, **setting, **params)
    scoring = {"callbacks": [EpochScoring("accuracy", on_train=True, name="accuracy")]}
    eager = clone(thin).set_params(**scoring).fit(X, y)
    counters["inductor"].clear()
    for _ in range(2):  # the second time on what the first has compiled
        captured = clone(thin).set_params(compile=True, **scoring).fit(X, y)
        assert counters["inductor"]["cudagraph_skips"] == 0
        for name, tolerance in (("train_loss", 0.01), ("accuracy", 0.02)):
            ours, theirs = captured.history_[:, name], eager.history_[:, name]
            np.testing.assert_allclose(ours, theirs, rtol=tolerance)
        ours, theirs = (model.predict_proba(digits.X[400:]) for model in (captured, eager))
        np.testing.assert_allclose(ours, theirs, atol=0.02)


@pytest.mark.parametrize("free", [2**40, 0], ids=["all at once", "batch by batch"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_rows_live_on_the_gpu_where_they_fit(shuffled, free, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    x = torch.arange(20.0).view(10, 2)
    generator = torch.Generator().manual_seed(0) if shuffled else None
    batches = TensorBatches(Dataset({"x": x}, torch.arange(10)), 4, generator, DEVICE)
    seen = [(batch["x"], y) for batch, y in batches]
    assert {tensor.device.type for pair in seen for tensor in pair} == {DEVICE}
    for batch, y in seen:
        torch.testing.assert_close(batch.cpu(), x[y.cpu()])
    assert batches._rows[0]["x"].device.type == (DEVICE if free else "cpu")


def test_a_model_of_the_gpu_loads_there_again(digits):
    thin = fit(digits)
    arrived = pickle.loads(pickle.dumps(thin))
    assert devices(arrived) == {DEVICE}
    np.testing.assert_allclose(
        arrived.predict_proba(digits.X), thin.predict_proba(digits.X), atol=1e-6
    )


def test_a_model_of_the_gpu_loads_and_predicts_where_there_is_none(digits, tmp_path):
    thin, X = fit(digits), digits.X[:50]
    file, result = tmp_path / "thin.pkl", tmp_path / "proba.npy"
    file.write_bytes(pickle.dumps((thin, X)))
    script = (
        "import pathlib, pickle, sys, numpy, torch\n"
        "assert not torch.cuda.is_available()\n"
        "thin, X = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "numpy.save(sys.argv[2], thin.predict_proba(X))\n"
    )
    command = [sys.executable, "-c", script, str(file), str(result)]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(result), thin.predict_proba(X), atol=1e-3)


def test_a_fit_leaves_the_generators_of_gpu_and_cpu_as_they_were(digits):
    states = torch.cuda.get_rng_state(), torch.get_rng_state()
    fit(digits)
    assert torch.equal(torch.cuda.get_rng_state(), states[0])
    assert torch.equal(torch.get_rng_state(), states[1])


def test_a_seeded_block_draws_the_same_on_the_gpu_and_gives_its_state_back():
    def draw():
        with torch_seed(0, torch.device(DEVICE)):
            return torch.rand(3, device=DEVICE)

    before = torch.cuda.get_rng_state()
    assert torch.equal(draw(), draw())
    assert torch.equal(torch.cuda.get_rng_state(), before)
