"""Modules travel as NumPy arrays, and predict the same where they arrive."""

import copy
import io
import pickle
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback, Checkpoint
from skorch.dataset import Dataset
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier
from sklearn_thin._pickling import pack, unpack
from sklearn_thin.modules import MLP, ConvNet, ExpertEnsemble, TreeGate
from tests.helpers import assert_bit_equal, run_python, small


class Tied(nn.Module):
    """Two layers that share one weight, a buffer that is not saved, and a plain tensor."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.arange(1.0, 5.0), persistent=False)
        self.register_buffer("absent", None)

    def forward(self, x):
        return self.second(self.first(x) * self.scale)


class Recurrent(nn.Module):
    """A layer that keeps references to its weights outside of its parameters."""

    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x):
        return self.layer(x.unsqueeze(1))[0].squeeze(1)


def travel(module, device="cpu"):
    """The module through pack, pickle and unpack."""
    skeleton, arrays = pickle.loads(pickle.dumps(pack(module)))
    return unpack(skeleton, arrays, torch.device(device))


def tensor_bytes(obj):
    """Bytes of every torch tensor with data that pickling `obj` writes."""
    sizes = []

    class Watching(pickle.Pickler):
        def reducer_override(self, value):
            if isinstance(value, torch.Tensor) and not value.is_meta:
                sizes.append(value.nbytes)
            return NotImplemented

    Watching(io.BytesIO()).dump(obj)
    return sizes


@pytest.fixture(scope="module")
def fitted(digits):
    """A fitted encoder, a THINClassifier on top of it, and what both say of some rows."""
    X, _, y, z = (array[:300] for array in digits)
    encoder = ExogenousEncoder(hidden_units=8, max_epochs=1, random_state=0).fit(X, z)
    params = {"hidden_units": 16, "max_epochs": 1, "random_state": 0}
    thin = THINClassifier(FrozenEstimator(encoder), lam=0.1, n_experts=5, **params).fit(X, y)
    return SimpleNamespace(encoder=encoder, thin=thin, X=X[:20])


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (MLP(4, (6, 3), dropout=0.1), (4,)),
        (ConvNet(1, (3,)), (1, 6, 6)),
        (ExpertEnsemble(4, 3, 5, 6), (4,)),
        (TreeGate(4, 3, 5), (4,)),
        (Tied(), (4,)),
        (Recurrent(), (4,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_module_computes_the_same_after_the_journey(module, shape):
    x = torch.randn(7, *shape)
    module.train()(x)  # BatchNorm's statistics move off their start
    arrived = travel(module.eval())
    assert not arrived.training
    assert torch.equal(arrived(x), module(x))
    torch.testing.assert_close(arrived.state_dict(), module.state_dict(), rtol=0, atol=0)


def test_buffers_that_are_not_in_the_state_dict_arrive_too():
    arrived = travel(TreeGate(4, 3, 5))
    assert torch.equal(arrived.leaf_to_expert, TreeGate(4, 3, 5).leaf_to_expert)
    assert torch.equal(travel(Tied()).scale, Tied().scale)
    assert travel(Tied()).absent is None


def test_parameters_that_layers_share_stay_shared():
    assert len(pack(Tied())[1]) == len(list(Tied().parameters())) + 1
    arrived = travel(Tied())
    assert arrived.first.weight is arrived.second.weight
    assert len(list(arrived.parameters())) == 3


def test_parameters_keep_whether_they_ask_for_a_gradient():
    module = Tied()
    module.first.bias.requires_grad_(False)
    wanted = {name: p.requires_grad for name, p in module.named_parameters()}
    assert {name: p.requires_grad for name, p in travel(module).named_parameters()} == wanted
    assert all(isinstance(p, nn.Parameter) for p in travel(module).parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_tensors_keep_their_type(dtype):
    assert {p.dtype for p in travel(nn.Linear(3, 2).to(dtype)).parameters()} == {dtype}


def test_tensors_keep_their_order_in_memory_which_convolutions_are_fast_by():
    conv = nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last)
    assert travel(conv).weight.stride() == conv.weight.stride() == (36, 1, 12, 4)


def test_packing_leaves_the_module_as_it_was():
    module = Tied()
    x = torch.randn(3, 4)
    before, weights = module(x), list(module.parameters())
    pack(module)
    assert torch.equal(module(x), before)
    assert all(mine is its for mine, its in zip(module.parameters(), weights, strict=True))


def test_unpacking_copies_arrays_that_cannot_be_written_to():
    module = nn.Linear(3, 2)
    skeleton, arrays = pickle.loads(pickle.dumps(pack(module)))
    for _, array in arrays:
        array.flags.writeable = False
    arrived = unpack(skeleton, arrays, torch.device("cpu"))
    nn.init.zeros_(arrived.weight)
    assert all(array.any() for _, array in arrays)


def test_the_weights_of_a_pickled_net_are_numpy_arrays_alone(fitted):
    for estimator in (fitted.encoder, fitted.thin):
        assert tensor_bytes(estimator.net_) == []
        weights = sum(p.nbytes for p in estimator.module_.parameters())
        assert sum(tensor_bytes(estimator.module_)) >= weights  # a bare module does hold them
        assert weights < len(pickle.dumps(estimator.net_)) < 1.1 * weights + 100_000


def test_the_frozen_predictor_travels_as_numpy_arrays_too(fitted):
    gate_scale = 2 * len(fitted.encoder.classes_) * 4
    assert sum(tensor_bytes(fitted.thin.exogenous_side_)) <= gate_scale
    arrived = pickle.loads(pickle.dumps(fitted.thin))
    (variable,), (before,) = (
        arrived.exogenous_side_.variables,
        fitted.thin.exogenous_side_.variables,
    )
    h = torch.rand(4, 256)
    assert torch.equal(variable.head(h), before.head(h))


def test_a_pickled_net_can_be_trained_on(fitted, digits):
    arrived = pickle.loads(pickle.dumps(fitted.thin))
    before = arrived.predict_proba(fitted.X)
    arrived.partial_fit(digits.X[:100], digits.y[:100])
    assert not np.allclose(arrived.predict_proba(fitted.X), before)
    assert np.array_equal(fitted.thin.predict_proba(fitted.X), before)


def test_an_estimator_loads_through_a_memory_map(fitted, tmp_path):
    file = tmp_path / "thin.joblib"
    joblib.dump(fitted.thin, file)
    mapped = joblib.load(file, mmap_mode="r")
    np.testing.assert_array_equal(
        mapped.predict_proba(fitted.X), fitted.thin.predict_proba(fitted.X)
    )


def test_a_module_says_the_same_in_another_process(fitted, digits, tmp_path):
    images = digits.images[:60]
    convnet = ExogenousEncoder(ConvNetBackbone((4,)), max_epochs=1, random_state=0)
    convnet.fit(images, digits.z[:60])
    cases = [(fitted.thin, fitted.X), (fitted.encoder, fitted.X), (convnet, images)]
    file, result = tmp_path / "cases.pkl", tmp_path / "outputs.pkl"
    file.write_bytes(pickle.dumps(cases))
    script = (
        "import pathlib, pickle, sys\n"
        "cases = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "outputs = [estimator.predict_proba(X) for estimator, X in cases]\n"
        "pathlib.Path(sys.argv[2]).write_bytes(pickle.dumps(outputs))\n"
    )
    done = run_python("-c", script, file, result)
    assert done.returncode == 0, done.stderr
    for (estimator, X), output in zip(cases, pickle.loads(result.read_bytes()), strict=True):
        np.testing.assert_allclose(output, estimator.predict_proba(X), rtol=1e-5, atol=1e-7)


def test_an_estimator_that_shows_its_progress_pickles_as_any(digits, capsys):
    silent, shown = (
        ExogenousEncoder(max_epochs=1, random_state=0, verbose=verbose) for verbose in (0, 1)
    )
    X, z = digits.X[:100], digits.z[:100]
    sizes = [len(pickle.dumps(encoder.fit(X, z))) for encoder in (silent, shown)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.01)


def test_a_net_iterates_where_it_is_loaded(fitted, digits):
    net = pickle.loads(pickle.dumps(fitted.thin.net_))
    net.device = "meta"
    X, _ = next(iter(net.get_iterator(Dataset({"x": torch.tensor(digits.X[:4])}, None))))
    assert X["x"].device.type == "meta"


def pickled(net):
    return pickle.loads(pickle.dumps(net))


class Copies(Callback):
    """Copies the net in the middle of its training."""

    def __init__(self, copied, event):
        self.copied, self.event = copied, event

    def on_batch_end(self, net, **kwargs):
        self.copy(net, "on_batch_end")

    def on_epoch_end(self, net, **kwargs):
        self.copy(net, "on_epoch_end")

    def on_train_end(self, net, **kwargs):
        self.copy(net, "on_train_end")

    def copy(self, net, event):
        if event == self.event and not hasattr(self, "copy_"):
            weights = {name: t.clone() for name, t in net.module_.state_dict().items()}
            self.size_ = len(pickle.dumps(net))
            self.copy_, self.weights_ = self.copied(net), weights


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy])
@pytest.mark.parametrize("event", ["on_batch_end", "on_epoch_end", "on_train_end"])
@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_a_callback_may_copy_the_net_that_is_trained(copied, event, verbose, rows, encoder, capsys):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), dispelling="alignment", lam=0.1, early_stopping=True)
    clf.set_params(callbacks=[("copies", Copies(copied, event))], verbose=verbose).fit(X, y)
    copies = dict(clf.net_.callbacks_)["copies"]
    assert_bit_equal(copies.copy_.module_.state_dict(), copies.weights_)
    assert [name for name, _ in copies.copy_.callbacks_] == ["copies"]
    assert copies.copy_.history[0]["epoch"] == 1
    assert clf.predict(X).shape == (200,)


def test_a_net_that_is_pickled_in_training_holds_no_rows(rows, encoder):
    X, y, _ = rows
    sizes = []
    for times in (1, 8):
        clf = small(FrozenEstimator(encoder), dispelling="alignment", early_stopping=True)
        clf.set_params(callbacks=[("copies", Copies(copy.deepcopy, "on_epoch_end"))])
        clf.fit(np.repeat(X, times, 0), np.repeat(y, times))
        sizes.append(dict(clf.net_.callbacks_)["copies"].size_)
    assert abs(sizes[1] - sizes[0]) < X.nbytes / 4  # the history of more batches


def test_skorchs_checkpoint_may_pickle_the_net(rows, tmp_path):
    X, y, _ = rows
    names = {"f_params": None, "f_optimizer": None, "f_criterion": None, "f_history": None}
    kept = Checkpoint(dirname=tmp_path, monitor=None, f_pickle="net.pkl", **names)
    clf = small(callbacks=[kept], early_stopping=True, verbose=1).fit(X, y)
    net = pickle.loads((tmp_path / "net.pkl").read_bytes())
    assert net.history[-1]["valid_loss"] == clf.net_.history[-1]["valid_loss"]


def pickled_arrays(obj):
    """The arrays that pickling `obj` writes, by identity."""
    arrays = []

    class Watching(pickle.Pickler):
        def reducer_override(self, value):
            if isinstance(value, np.ndarray):
                arrays.append(value)
            return NotImplemented

    Watching(io.BytesIO()).dump(obj)
    return arrays


@pytest.mark.parametrize("kind", [nn.Linear, Recurrent], ids=["described", "packed"])
def test_weights_pickle_as_the_same_arrays_until_they_change(kind, few):
    # joblib knows arrays by identity, and writes each once for all tasks
    module = nn.Sequential(nn.Linear(64, 4), Recurrent() if kind is Recurrent else nn.Linear(4, 3))
    clf = small(backbone=module, endogenous=None).fit(*few[:2])
    before, again = (
        [array for array in pickled_arrays(clf.net_) if array.ndim == 2] for _ in range(2)
    )
    assert len(before) >= 3
    assert all(one is other for one, other in zip(before, again, strict=True))
    with torch.no_grad():
        for weight in clf.module_.parameters():
            weight.add_(1)
    after = [array for array in pickled_arrays(clf.net_) if array.ndim == 2]
    assert not {id(array) for array in before} & {id(array) for array in after}
    for weight in clf.module_.parameters():
        weight.data = weight.data + 1
    arrived = pickle.loads(pickle.dumps(clf))
    assert_bit_equal(arrived.module_.state_dict(), clf.module_.state_dict())


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_pickle_has_the_weights_of_further_trainings(optimizer, few):
    clf = small(optimizer=optimizer).fit(*few[:2])
    pickle.dumps(clf)
    clf.partial_fit(*few[:2])
    arrived = pickle.loads(pickle.dumps(clf))
    assert_bit_equal(arrived.module_.state_dict(), clf.module_.state_dict())
