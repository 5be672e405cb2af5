"""torch's state around a call, and scikit-learn's, change no result; no call changes them."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier
from sklearn_thin._environment import own_torch_state
from sklearn_thin.inspection import leakage_score
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from tests.helpers import (
    FITS_LOGISTIC_REGRESSION,
    METHODS,
    SMALL,
    assert_bit_equal,
    global_states,
    small,
    small_encoder,
)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def flushed_denormals():
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


STATES = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "meta": lambda: torch.device("meta"),
    "default meta": lambda: default_device("meta"),
    "deterministic": deterministic,
    "flush denormals": flushed_denormals,
}


def described():
    """torch's state, comparable by ==."""
    sample = torch.empty(0)
    return (
        sample.dtype,
        sample.device,
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
    )


@pytest.fixture(params=STATES)
def state(request):
    """A function whose result is a block in the state; after the block the state is checked."""

    @contextmanager
    def kept():
        with STATES[request.param]():
            before = described()
            yield
            assert described() == before

    return kept


class Make:
    """Makes a backbone whose forward pass makes tensors as well."""

    def __call__(self, shape):
        return nn.Sequential(nn.Linear(shape[0], 16), Scaled(), nn.ReLU())


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.7]))
        self.register_buffer("shift", torch.full((1,), 0.1))

    def forward(self, h):
        return h * self.scale + self.shift + torch.zeros(h.shape[1]) + torch.linspace(0, 1, 16)


KINDS = {
    "plain": (small, {}),
    "encoder, alignment": (
        lambda: small(small_encoder(random_state=0), lam=0.1, dispelling="alignment"),
        {"z": True},
    ),
    "erasure": (lambda: small(dispelling="erasure", early_stopping=0.2), {"z": True}),
    "own backbone": (lambda: small(backbone=Make()), {}),
    "bf16": (lambda: small(mixed_precision="bf16"), {}),
    "encoder": (lambda: ExogenousEncoder(SMALL, max_epochs=1, random_state=0), {}),
}


def fitted(kind, few):
    make, given = KINDS[kind]
    X, y, z = few
    return make().fit(X, y, **({"exogenous_target": z} if given else {}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_is_the_same_in_every_state_of_torch(kind, state, few):
    expected = fitted(kind, few).module_.state_dict()
    with state():
        clf = fitted(kind, few)
    assert_bit_equal(clf.module_.state_dict(), expected)
    clf.set_params(warm_start=True)
    clf.fit(few[0], few[1], **({"exogenous_target": few[2]} if KINDS[kind][1] else {}))


@pytest.mark.parametrize("method", METHODS)
def test_outputs_are_the_same_in_every_state_of_torch(method, state, thin, few):
    expected = getattr(thin, method)(few[0])
    with state():
        np.testing.assert_array_equal(getattr(thin, method)(few[0]), expected)


def test_partial_fits_and_copies_are_the_same_in_every_state_of_torch(state, few):
    def steps():
        clf = small().partial_fit(*few[:2])
        clf = pickle.loads(pickle.dumps(copy.deepcopy(clf)))
        return clf.partial_fit(*few[:2])

    expected = steps().module_.state_dict()
    with state():
        clf = steps()
    assert_bit_equal(clf.module_.state_dict(), expected)
    clf.partial_fit(*few[:2])  # weights made in inference mode would refuse


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_searches_are_the_same_in_every_state_of_torch(n_jobs, state, few):
    def search():
        grid = {"lr": [1e-3, 1e-2]}
        found = StackedGridSearchCV(small(), grid, cv=2, n_jobs=n_jobs, error_score="raise")
        with nullcontext() if n_jobs is None else threads():
            found.fit(few[0], few[1] % 2)
        members = SeedEnsembleClassifier(small(), 2, random_state=0).fit(few[0], few[1])
        return found.predict_proba(few[0]), members.predict_proba(few[0])

    expected = search()
    with state():
        for one, other in zip(search(), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def threads():
    from joblib import parallel_config

    return parallel_config("threading")


@FITS_LOGISTIC_REGRESSION
@pytest.mark.parametrize("c", [LogisticRegression(), MLPClassifier(max_iter=5), nn.Linear(4, 4)])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_predictors_are_the_same_in_every_state_of_torch(c, state, few):
    clf = small(PCA(4), exogenous_predictor=c)
    expected = clone(clf).fit(*few[:2], exogenous_target=few[2]).gate_proba(few[0])
    with state():
        clf.fit(*few[:2], exogenous_target=few[2])
    np.testing.assert_allclose(clf.gate_proba(few[0]), expected, atol=1e-6)


def test_images_are_the_same_in_every_state_of_torch(state, digits):
    clf = small(backbone=ConvNetBackbone((4,)), max_epochs=1)
    X, y = digits.images[:100], digits.y[:100]
    expected = clone(clf).fit(X, y).predict_proba(X)
    with state():
        np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)


def test_casts_of_earlier_weights_are_not_kept_inside_autocast(few):
    clf = small(mixed_precision="bf16", max_epochs=5, lr=0.05)
    expected = clone(clf).fit(*few[:2]).history_[-1]["train_loss"]
    with torch.autocast("cpu", torch.bfloat16):
        assert clf.fit(*few[:2]).history_[-1]["train_loss"] == expected


def test_other_threads_keep_their_state(few):
    seen = []

    def look(_):
        seen.append((torch.empty(0).dtype, torch.empty(0).device.type))

    with default_dtype(torch.float64), ThreadPoolExecutor(1) as pool:
        with own_torch_state():
            assert torch.zeros(1).dtype == torch.float32
            pool.submit(look, None).result()
        assert torch.zeros(1).dtype == torch.float64
    assert seen == [(torch.float64, "cpu")]


# ------------------------------------------------------------------ generators

PREDICTORS = {
    "logistic": lambda: LogisticRegression(),
    "mlp": lambda: MLPClassifier(max_iter=3),
    "skorch": lambda: NeuralNetClassifier(nn.Linear, module__in_features=4, module__out_features=4,
                                          criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0,
                                          iterator_train__shuffle=True),
    "module": lambda: nn.Linear(4, 4),
}  # fmt: skip


@FITS_LOGISTIC_REGRESSION
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", ["logistic", "mlp", "skorch", "module"])
def test_predictors_leave_the_global_generators_alone_and_follow_the_seed(name, few):
    torch.manual_seed(5)
    clf = small(PCA(4, svd_solver="randomized"), exogenous_predictor=PREDICTORS[name]())
    before, gates = global_states(), []
    for seed in range(2):
        one = clone(clf).fit(*few[:2], exogenous_target=few[2])
        assert global_states() == before
        torch.manual_seed(seed)
        before = global_states()
        gates.append(one.gate_proba(few[0]))
    np.testing.assert_array_equal(*gates)


@pytest.mark.parametrize("backbone", [Make(), nn.Sequential(nn.Linear(64, 8), nn.Dropout(0.1))])
def test_backbones_and_searches_leave_the_global_generators_alone(backbone, few):
    before = global_states()
    search = StackedGridSearchCV(small(backbone=backbone), {"lr": [1e-3, 1e-2]}, cv=2)
    search.fit(few[0], few[1] % 2)
    SeedEnsembleClassifier(small(backbone=backbone), 2, random_state=0).fit(*few[:2])
    ExogenousEncoder(backbone, max_epochs=1, random_state=0).fit(few[0], few[2])
    assert global_states() == before


def test_torchvision_leaves_the_global_generators_alone(digits):
    X = np.repeat(np.repeat(digits.images[:20], 4, 1), 4, 2)
    before = global_states()
    small(backbone="resnet18", max_epochs=1).fit(X, digits.y[:20] % 2)
    assert global_states() == before


# ------------------------------------------------------------------ scikit-learn's outputs

SIDES = {
    "encoder": lambda: small(small_encoder(random_state=0), lam=0.1),
    "erasure": lambda: small(dispelling="erasure"),
    "alignment": lambda: small(small_encoder(random_state=0), dispelling="alignment"),
    "transformers": lambda: small(PCA(4), endogenous=StandardScaler()),
    "several": lambda: small([("a", small_encoder(random_state=0)), ("b", small_encoder())]),
}


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("side", SIDES)
def test_a_global_setting_of_outputs_changes_no_fit(side, frame, container, few):
    X, y, z = few
    X = pd.DataFrame(X, columns=[f"x{i}" for i in range(64)]) if frame else X
    z = np.column_stack([z, z % 2]) if side == "several" else z
    expected = SIDES[side]().fit(X, y, exogenous_target=z)
    h = expected.transform(X)
    with sklearn.config_context(transform_output=container):
        clf = SIDES[side]().fit(X, y, exogenous_target=z)
        np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
        out = clf.transform(X)
        assert type(out).__module__.startswith(container)
        np.testing.assert_array_equal(np.asarray(out), h)
        search = StackedGridSearchCV(SIDES[side](), {"lr": [1e-3, 1e-2]}, cv=2, error_score="raise")
        search.fit(X, y % 2, exogenous_target=z)


@FITS_LOGISTIC_REGRESSION
@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_a_global_setting_of_outputs_changes_no_leakage(probe, container, few):
    expected = leakage_score(few[0], few[2], probe=probe, random_state=0)
    with sklearn.config_context(transform_output=container):
        assert leakage_score(few[0], few[2], probe=probe, random_state=0) == expected


@pytest.mark.parametrize("exogenous", [PCA(2), -1], ids=["transformer", "column"])
def test_a_pickle_of_a_gated_net_loads_in_any_state(state, exogenous):
    X = np.column_stack([np.random.RandomState(0).rand(60, 4), np.arange(60) % 3])
    y = (X[:, 0] > 0.5).astype(int)
    clf = THINClassifier(exogenous, max_epochs=1, random_state=0).fit(X, y)
    expected = clf.predict_proba(X)
    with state():
        copied = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copied.predict_proba(X), expected)
    copied.partial_fit(X, y)
