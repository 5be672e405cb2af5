"""The training step, compiled or in bfloat16: the fit that it is without, and what it leaves."""

import copy
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.training.capture import CapturedNetStep

# torch's compiler warns of its own parts when it is imported
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
SMALL = {"backbone": MLPBackbone((8,)), "max_epochs": 2, "device": "cpu", "random_state": 0}
ROWS = slice(200)
needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch compiles with g++ on Linux"
)


class KnowsCompiler(nn.Module):
    """Passes rows on as they are, and zeros where it is compiled."""

    def forward(self, x):
        return x * 0 if torch.compiler.is_compiling() else x


class KeepNet(Callback):
    """Copies the net while it is in training."""

    def on_epoch_end(self, net, **kwargs):
        self.copy_ = pickle.dumps(net)


@pytest.fixture(scope="module")
def thin(digits):
    encoder = ExogenousEncoder(**SMALL).fit(digits.X[ROWS], digits.z[ROWS])
    return THINClassifier(FrozenEstimator(encoder), lam=0.1, depth=1, **SMALL)


@pytest.fixture(scope="module")
def plain(thin, digits):
    return clone(thin).fit(digits.X[ROWS], digits.y[ROWS])


@pytest.fixture(scope="module")
def compiled(thin, digits):
    thin = clone(thin).set_params(compile=True, callbacks=[KeepNet()])
    return thin.fit(digits.X[ROWS], digits.y[ROWS])


def assert_same_training(one, other, tolerance):
    for name in ("train_loss", "train_dispelling"):
        np.testing.assert_allclose(one.history_[:, name], other.history_[:, name], rtol=tolerance)


@needs_compiler
def test_a_compiled_step_is_the_step_it_was_compiled_from(compiled, plain, digits):
    assert_same_training(compiled, plain, 1e-4)
    ours, theirs = (model.predict_proba(digits.X[200:]) for model in (compiled, plain))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@needs_compiler
def test_the_training_step_is_compiled_and_prediction_is_not(digits):
    params = {**SMALL, "backbone": KnowsCompiler(), "depth": 0, "compile": True, "endogenous": None}
    thin = THINClassifier(**params).fit(digits.X[ROWS], digits.y[ROWS])
    # the experts learn from nothing, and all that they learn is a bias
    assert thin.history_[-1, "train_loss"] == pytest.approx(np.log(10), abs=0.1)
    np.testing.assert_array_equal(thin.transform(digits.X[:5]), digits.X[:5])


@needs_compiler
def test_compiling_leaves_names_of_weights_copies_and_pickles_as_they_are(compiled, plain, digits):
    assert list(compiled.module_.state_dict()) == list(plain.module_.state_dict())
    in_training = pickle.loads(compiled.net_.callbacks_[-1][1].copy_)
    copies = [copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))]
    X = digits.X[:5]
    for other in copies:
        np.testing.assert_array_equal(other.predict_proba(X), compiled.predict_proba(X))
    assert list(in_training.module_.state_dict()) == list(plain.module_.state_dict())


class Tricky(nn.Module):
    """Weights of one shape that share a gradient, and one whose gradient comes transposed."""

    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.zeros(())) for _ in range(2))
        self.turn = nn.Parameter(torch.randn(8, 64))

    def forward(self, x):
        return (x.unsqueeze(2) * self.turn.T).sum(1) + (self.a + self.b)  # (n, 8)


class Compare(Callback):
    """Gradients of each batch as a step gives them, and as a graph would."""

    def on_train_begin(self, net, **kwargs):
        self.gradients_ = []

    def on_batch_begin(self, net, batch=None, **kwargs):
        net.module_.zero_grad()
        net.step(*batch)
        self.gradients_.append([weight.grad for weight in net.module_.parameters()])
        self.gradients_.append(CapturedNetStep(net).gradients(*batch)[-1])


def test_what_a_graph_captures_gives_the_gradients_of_the_step(thin, digits):
    thin = clone(thin).set_params(backbone=Tricky(), callbacks=[Compare()])
    thin.fit(digits.X[ROWS], digits.y[ROWS])
    weights = list(thin.module_.parameters())
    gradients = thin.net_.callbacks_[-1][1].gradients_
    for one, other in zip(gradients[::2], gradients[1::2], strict=True):
        torch.testing.assert_close(one, other)
        assert [g.stride() for g in other] == [w.stride() for w in weights]
        assert len({g.data_ptr() for g in other}) == len(weights)


class Relaid(Callback):
    """Puts gradients and weights of another memory layout in the place of the net's."""

    def on_grad_computed(self, net, named_parameters=None, **kwargs):
        for _, weight in named_parameters:
            weight.grad = torch.zeros(weight.shape) + weight.grad

    def on_epoch_end(self, net, **kwargs):
        for weight in net.module_.parameters():
            weight.data = weight.detach().clone(memory_format=torch.contiguous_format)


def sliced(input_shape):
    """A network whose first weights have gaps in memory, as where one for colours is made gray."""
    convolve = nn.Conv2d(3, 6, 3)
    convolve.weight = nn.Parameter(convolve.weight[:, :1].detach())
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), convolve, nn.ReLU(), nn.Flatten())


CONVOLUTIONS = ConvNetBackbone(channels=(4, 5), hidden_layer_sizes=(8,), image_shape=(8, 8))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("how", ["a callback", "between calls", "gaps"])
def test_the_step_does_not_depend_on_the_layout_of_weights_in_memory(how, optimizer, digits):
    X, y = digits.X[ROWS], digits.y[ROWS]
    plain = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]  # not fused
    backbone = sliced if how == "gaps" else CONVOLUTIONS
    # with decay, as the biases in front of batch normalisation follow rounding alone without
    params = {**SMALL, "backbone": backbone, "depth": 0, "weight_decay": 0.05}

    def proba(optimizer, **more):
        clf = THINClassifier(**params, optimizer=optimizer, **more)
        if how != "between calls":
            return clf.fit(X, y).predict_proba(X)
        clf.partial_fit(X, y).module_.to(memory_format=torch.contiguous_format)
        return clf.partial_fit(X, y).predict_proba(X)

    more = {"callbacks": [Relaid()]} if how == "a callback" else {}
    expected = proba(lambda weights, **settings: plain(weights, **settings))
    np.testing.assert_allclose(proba(optimizer, **more), expected, atol=1e-5)


FIT_WITHOUT_COMPILER = """
import numpy as np
from sklearn_thin import ExogenousEncoder
ExogenousEncoder(compile=True, device="cpu").fit(np.ones((40, 3)), np.arange(40) % 2)
"""


def test_a_missing_compiler_is_named_before_anything_is_trained(tmp_path):
    settings = {"PATH": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    environment = {name: value for name, value in os.environ.items() if name != "CXX"}
    done = subprocess.run(
        [sys.executable, "-c", FIT_WITHOUT_COMPILER],
        env={**environment, **settings},
        capture_output=True,
        text=True,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: compile=True needs a C++ compiler")
    assert last.endswith("Install it, or set compile=False")


def test_a_device_without_bfloat16_is_refused(digits, monkeypatch):
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda device: False)
    thin = THINClassifier(device="cpu", mixed_precision="bf16")
    with pytest.raises(ValueError, match=r"mixed_precision='bf16' needs .* device='cpu'"):
        thin.fit(digits.X[ROWS], digits.y[ROWS])


@pytest.mark.parametrize("dispelling", ["cosine", "alignment"])
def test_bfloat16_is_near_float32_and_weights_and_output_stay_float32(dispelling, thin, digits):
    thin = clone(thin).set_params(dispelling=dispelling)
    plain = clone(thin).fit(digits.X[ROWS], digits.y[ROWS])
    mixed = thin.set_params(mixed_precision="bf16").fit(digits.X[ROWS], digits.y[ROWS])
    assert_same_training(mixed, plain, 0.02)
    assert mixed.history_[-1, "train_loss"] != plain.history_[-1, "train_loss"]
    assert {weight.dtype for weight in mixed.module_.parameters()} == {torch.float32}
    ours, theirs = (model.predict_proba(digits.X[200:]) for model in (mixed, plain))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_the_encoder_computes_in_bfloat16_too(digits):
    plain, mixed = (
        ExogenousEncoder(mixed_precision=how, **SMALL).fit(digits.X[ROWS], digits.z[ROWS])
        for how in (None, "bf16")
    )
    losses = mixed.history_[-1, "train_loss"], plain.history_[-1, "train_loss"]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


@pytest.mark.parametrize(
    ("shape", "batch_size", "max_epochs"),
    [
        ((300, 2), 32, 50),
        ((8000, 2), 64, 32),
        ((20_000, 2), 128, 26),
        ((90_000, 2), 256, 11),
        ((20_000, 4, 4), 32, 50),
    ],
)
def test_auto_takes_larger_batches_and_fewer_epochs_for_large_tables(shape, batch_size, max_epochs):
    X = np.random.RandomState(0).rand(*shape).astype(np.float32)
    plan = THINClassifier(random_state=0).plan(X, np.arange(len(X)) % 2)
    assert plan.settings.batch_size == batch_size
    assert plan.settings.max_epochs == max_epochs
    given = THINClassifier(batch_size=50, max_epochs=3).plan(X, np.arange(len(X)) % 2).settings
    assert (given.batch_size, given.max_epochs) == (50, 3)
