"""On a GPU: fits there, loads where there is none, and leaves its generator alone."""

import gc
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback, EpochScoring, Freezer, GradientNormClipping
from skorch.dataset import Dataset
from torch import nn

from sklearn_thin import (
    ConvNetBackbone,
    ExogenousEncoder,
    MLPBackbone,
    THINClassifier,
    THINRegressor,
    load,
    save,
)
from sklearn_thin._environment import torch_seed
from sklearn_thin.model_selection import StackedGridSearchCV
from sklearn_thin.modules import MLP, ExpertEnsemble, THINModule, TreeGate
from sklearn_thin.training import checkpoints
from sklearn_thin.training.batches import TensorBatches
from sklearn_thin.training.stack import Stack
from tests.helpers import killed_after

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


@pytest.mark.parametrize("captured", [False, True])
def test_a_killed_fit_goes_on(captured, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    monkeypatch.setattr(checkpoints, "SHARE", 0)
    X, y = digits.X[:400], digits.y[:400]
    params = {"max_epochs": 6, "device": DEVICE, "compile": captured, "random_state": 0}
    whole = THINClassifier(backbone=MLPBackbone((64,), dropout=0.2), depth=1, **params)
    kept = clone(whole).set_params(checkpoint_dir=tmp_path)
    with killed_after(3):
        kept.fit(X, y)
    with killed_after(99) as trained:
        kept.fit(X, y)
    assert len(trained) == 3
    np.testing.assert_allclose(kept.predict_proba(X), whole.fit(X, y).predict_proba(X), atol=1e-3)


def test_the_same_random_state_gives_the_same_model(digits):
    first, second = fit(digits).predict_proba(digits.X), fit(digits).predict_proba(digits.X)
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_the_module_gives_the_same_on_both_devices():
    module = THINModule(MLP(5, (8,)), ExpertEnsemble(8, 3, 5, 6), TreeGate(4, 2, 5)).eval()
    x, gate_input = torch.randn(6, 5), torch.rand(6, 4)
    expected = module(x, gate_input).logits
    logits = module.to(DEVICE)(x.to(DEVICE), gate_input.to(DEVICE)).logits
    torch.testing.assert_close(logits.cpu(), expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def replays(monkeypatch):
    """One entry for every replay of a captured graph."""
    done, replay = [], torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda g: (done.append(1), replay(g)))
    return done


@pytest.fixture(scope="module")
def thin(digits):
    """A classifier to be fitted to 400 rows, in 13 batches, the last of which is smaller."""
    setting = {"max_epochs": 4, "device": DEVICE, "random_state": 0}
    encoder = ExogenousEncoder(**setting).fit(digits.X[:400], digits.z[:400])
    return THINClassifier(FrozenEstimator(encoder), **setting)


class LessLam(Callback):
    """Ends the dispelling half-way."""

    def on_epoch_begin(self, net, **kwargs):
        net.lam = 0.0 if len(net.history) > 2 else 0.5


CAPTURED = {
    "no dispelling": {},
    "experts behind the representation": {"gating": "head"},
    "hidden levels": {"backbone": MLPBackbone((30,), modulation_dropout=0.5)},
    "cosine": {"lam": 0.1},
    "alignment": {"dispelling": "alignment"},
    "bf16": {"mixed_precision": "bf16"},
    "dropout": {"backbone": MLPBackbone((30,), dropout=0.5)},
    "convolutions": {"backbone": ConvNetBackbone(channels=(8, 8), image_shape=(8, 8))},
    "erasure": {"dispelling": "erasure"},
    "constant rate": {"lr_schedule": "constant"},
    "clipped": {"callbacks": [GradientNormClipping(0.1)]},
    "frozen": {"callbacks": [Freezer("experts*", at=3)]},
    "λ changes": {"lam": 0.5, "callbacks": [LessLam()]},
    "recorded": {"callbacks": [EpochScoring("accuracy", on_train=True)]},
}


@pytest.mark.parametrize("params", CAPTURED.values(), ids=CAPTURED)
def test_a_captured_step_is_the_eager_step(params, digits, thin, replays):
    X, y = digits.X[:400], digits.y[:400]
    eager = clone(thin).set_params(**params).fit(X, y)
    assert not replays
    captured = clone(thin).set_params(compile=True, **params).fit(X, y)
    assert len(replays) >= 4 * 11  # all full batches but the first, at most of each epoch
    for name in set(captured.history_[-1]) & {"train_loss", "train_dispelling", "accuracy"}:
        ours, theirs = captured.history_[:, name], eager.history_[:, name]
        np.testing.assert_allclose(ours, theirs, rtol=0.01)
    ours, theirs = (model.predict_proba(digits.X[400:]) for model in (captured, eager))
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def with_level(digits):
    """The digits, with the exogenous class as a last column."""
    return np.column_stack([digits.X, digits.z]).astype(np.float32)


@pytest.mark.parametrize("kind", [THINClassifier, THINRegressor])
def test_a_known_variable_steers_a_captured_step(kind, digits, replays):
    X = with_level(digits)
    setting = {"exogenous": [64], "max_epochs": 4, "device": DEVICE, "random_state": 0}
    eager = kind(**setting).fit(X[:400], digits.y[:400])
    assert not replays
    captured = kind(**setting, compile=True).fit(X[:400], digits.y[:400])
    assert replays
    ours, theirs = (model.predict(X[400:]) for model in (captured, eager))
    if kind is THINClassifier:
        assert np.mean(ours == theirs) > 0.97
    else:
        np.testing.assert_allclose(ours, theirs, atol=0.1)


def test_a_captured_stack_is_the_stack(digits, thin, replays):
    grid = {"lam": [0.0, 0.1], "lr": [1e-3, 4e-3]}
    search = StackedGridSearchCV(thin, grid, cv=3, refit=False)
    eager = search.fit(digits.X[:400], digits.y[:400])
    assert not replays
    captured = clone(search).set_params(estimator__compile=True).fit(digits.X[:400], digits.y[:400])
    assert len(replays) >= 4 * 7  # four epochs of eight full batches
    ours, theirs = (s.cv_results_["mean_test_score"] for s in (captured, eager))
    np.testing.assert_allclose(ours, theirs, atol=0.02)


@pytest.mark.parametrize("compiled", [False, True])
def test_images_train_in_one_stack(compiled, digits, thin, replays):
    thin = clone(thin).set_params(compile=compiled, **CAPTURED["convolutions"])
    search = StackedGridSearchCV(thin, {"lr": [1e-3, 4e-3]}, cv=3, refit=False)
    search.fit(digits.X[:400], digits.y[:400])  # nets that vmap refuses would warn
    assert len(replays) >= (4 * 7 if compiled else 0)


class Rebinds(nn.Module):
    """Keeps a mean of what it reads in a new buffer each time."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean()
        return x - self.mean


def test_a_buffer_that_is_replaced_is_refused(digits, thin):
    rebinds = clone(thin).set_params(backbone=Rebinds(), compile=True)
    with pytest.raises(RuntimeError, match=r"buffer\.copy_"):
        rebinds.fit(digits.X[:400], digits.y[:400])


class Waits(nn.Module):
    """Asks on the CPU for a value that the GPU computes."""

    def forward(self, x):
        return x if x.sum().item() > 0 else -x


def test_what_cannot_be_captured_says_so_and_the_next_fit_can(digits, thin):
    X, y = digits.X[:400], digits.y[:400]
    waits = clone(thin).set_params(backbone=Waits(), compile=True)
    with pytest.raises(RuntimeError, match=r"compile=True captures .* or set compile=False"):
        waits.fit(X, y)
    assert not hasattr(waits, "module_")
    assert waits.set_params(compile=False).fit(X, y).score(X, y) > 0.2
    assert clone(thin).set_params(compile=True).fit(X, y).score(X, y) > 0.2


def test_a_captured_fit_gives_its_memory_back(digits, thin):
    def left():
        clone(thin).set_params(compile=True).fit(digits.X[:400], digits.y[:400])
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()

    gc.disable()
    try:
        assert left() == left()
    finally:
        gc.enable()


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
    assert batches.placed[0]["x"].device.type == (DEVICE if free else "cpu")


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


def test_a_saved_model_of_the_gpu_loads_on_both_devices(digits, tmp_path):
    thin, X, path = fit(digits), digits.X[:50], tmp_path / "a.thin"
    save(thin, path)
    for device in (DEVICE, "cpu"):
        arrived = load(path, device=device)
        assert devices(arrived) == {device}
        np.testing.assert_allclose(arrived.predict_proba(X), thin.predict_proba(X), atol=1e-3)


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


@pytest.mark.parametrize("captured", [False, True])
def test_a_killed_stack_goes_on(captured, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    monkeypatch.setattr(checkpoints, "SHARE", 0)
    X, y = digits.X[:400], digits.y[:400]
    params = {"max_epochs": 6, "device": DEVICE, "compile": captured, "random_state": 0}
    thin = THINClassifier(backbone=MLPBackbone((16,), dropout=0.2), depth=1, **params)
    grid = {"lr": [1e-3, 4e-3], "lam": [0.0]}
    whole = StackedGridSearchCV(thin, grid, cv=3, refit=False).fit(X, y)
    kept = StackedGridSearchCV(thin, grid, cv=3, refit=False, checkpoint_dir=tmp_path)
    with killed_after(3, Stack):
        clone(kept).fit(X, y)
    with killed_after(99, Stack) as trained:
        kept.fit(X, y)
    assert len(trained) == 3
    ours, theirs = (s.cv_results_["mean_test_score"] for s in (kept, whole))
    np.testing.assert_allclose(ours, theirs, atol=0.01)
