"""Rows do not see each other: a row's outputs are the same bits beside any other rows."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer

from sklearn_thin import (
    ConvNetBackbone,
    ExogenousEncoder,
    MLPBackbone,
    THINClassifier,
    THINRegressor,
)

SIZES = (1, 3, 11, 40, 129)  # below and above the rows that a kernel, a thread or a block takes
N_ROWS = 300
SMALL = MLPBackbone((16,))
EXPERTS = {"depth": 5, "n_experts": 32, "hidden_units": 128, "inference": "hard"}
GATED = {"depth": 3, "hidden_units": 64}


def first_columns(X):
    return X[:, :7]


def five_levels(X):
    return np.eye(5, dtype=np.float32)[np.digitize(X[:, 0], [-1, -0.3, 0.3, 1])]


def first_column_in_five():
    """Five levels of the first column as the variable."""
    return FrozenEstimator(FunctionTransformer(five_levels).fit(np.zeros((2, 1))))


CASES = {  # shape of a sample, parameters
    "1 column": ((1,), {}),
    "4 columns": ((4,), {"backbone": SMALL}),
    "30 columns, few outputs": ((30,), {"backbone": MLPBackbone((4,))}),
    "64 columns, 8 experts": ((64,), {"backbone": SMALL, "depth": 3, "hidden_units": 64}),
    "64 columns, 32 experts": ((64,), EXPERTS),
    "64 columns, linear experts": ((64,), {"depth": 3, "hidden_units": 0, "inference": "hard"}),
    "64 columns, 43 units an expert": ((64,), {"depth": 3, "n_experts": 6, "hidden_units": 256}),
    "784 columns": ((784,), {}),
    "5000 columns": ((5000,), {"backbone": SMALL, "depth": 3, "hidden_units": 0}),
    "30 columns, gated layers": ((30,), {"exogenous": first_column_in_five()}),
    "6 columns, narrow gated layers": (
        (6,),
        {"exogenous": first_column_in_five(), "backbone": MLPBackbone((5, 3)), "n_experts": 3},
    ),
    "30 columns, odd widths": (
        (30,),
        {"backbone": MLPBackbone((35, 9)), "depth": 2, "n_experts": 3, "hidden_units": 3},
    ),
    "30 columns, odd linear experts": ((30,), {"backbone": MLPBackbone((9,)), "depth": 0}),
    "30 columns, odd hard experts": (
        (30,),
        {"backbone": MLPBackbone((9,)), "depth": 1, "hidden_units": 12, "inference": "hard"},
    ),
    "30 columns, odd maps": (
        (30,),
        {"exogenous": first_column_in_five(), "backbone": MLPBackbone((9, 7)), "depth": 0},
    ),
    "5 × 7 pixels": ((5, 7), {"backbone": MLPBackbone((4,))}),
    "16 leaves, 6 experts": ((30,), {"backbone": SMALL, "depth": 4, "n_experts": 6}),
    "45 experts": ((30,), {"backbone": SMALL, "depth": 3, "n_experts": 45}),
    "45 hard experts": (
        (30,),
        {"backbone": SMALL, "depth": 3, "n_experts": 45, "inference": "hard"},
    ),
    "30 columns, one map": ((30,), {"exogenous": first_column_in_five(), "depth": 0}),
    "small images": ((8, 8), {"backbone": ConvNetBackbone(hidden_layer_sizes=()), **EXPERTS}),
    "images": ((28, 28), {"depth": 2, "hidden_units": 32}),
}
SIDES = {  # what the gate reads, of rows of 30 columns
    "encoder's probabilities": lambda: ExogenousEncoder(SMALL, max_epochs=1, random_state=0),
    "odd width": lambda: FunctionTransformer(first_columns),
}
SETTINGS = {  # of torch and of MKL, and what /proc/cpuinfo calls the abilities they need
    # AMD's processors heed of MKL's variables MKL_CBWR alone
    ("ATEN_CPU_CAPABILITY=default", "MKL_ENABLE_INSTRUCTIONS=SSE4_2"): {"sse4_2"},
    ("ATEN_CPU_CAPABILITY=avx2", "MKL_ENABLE_INSTRUCTIONS=AVX2"): {"avx2"},
    ("ATEN_CPU_CAPABILITY=avx512",): {"avx512dq"},
    ("MKL_CBWR=COMPATIBLE",): set(),  # kernels that all processors have
}


@cache
def data(shape):
    random = np.random.RandomState(0)
    X = random.standard_normal((N_ROWS, *shape)).astype(np.float32)
    return X, np.arange(N_ROWS) % 10, np.arange(N_ROWS) % 5


@cache
def fitted(name):
    """Not to be changed."""
    shape, params = CASES[name]
    X, y, _ = data(shape)
    return THINClassifier(**params, max_epochs=1, batch_size=100, random_state=0).fit(X, y)


@cache
def gated(side):
    """Gated by a frozen transformer; not to be changed."""
    X, y, z = data((30,))
    frozen = FrozenEstimator(SIDES[side]().fit(X, z))
    return THINClassifier(frozen, **GATED, max_epochs=1, batch_size=100, random_state=0).fit(X, y)


def methods(model):
    names = ["predict_proba", "transform"]
    if getattr(model, "depth", 0):
        names += ["gate_proba", "expert_proba", "decision_path"]
    return [getattr(model, name) for name in names]


def assert_rows_do_not_see_each_other(call, X):
    together = call(X)
    last_first = call(X[::-1])[::-1]
    np.testing.assert_array_equal(last_first, together, "in the other order")
    some = np.sort(np.random.RandomState(0).permutation(len(X))[:101])
    np.testing.assert_array_equal(call(X[some]), together[some], "some of the rows")
    for size in SIZES:
        for start in (1, 150):
            rows = slice(start, start + size)
            np.testing.assert_array_equal(call(X[rows]), together[rows], f"{rows}")


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", CASES)
def test_rows_do_not_see_each_other(name, threads):
    for call in methods(fitted(name)):
        assert_rows_do_not_see_each_other(call, data(CASES[name][0])[0])


@pytest.mark.parametrize("side", SIDES)
def test_rows_on_the_exogenous_side_do_not_see_each_other(side, threads):
    for call in methods(gated(side)):
        assert_rows_do_not_see_each_other(call, data((30,))[0])


def test_rows_of_an_encoder_do_not_see_each_other(threads):
    X, _, z = data((30,))
    for call in methods(ExogenousEncoder(max_epochs=1, random_state=0).fit(X, z)):
        assert_rows_do_not_see_each_other(call, X)


@pytest.mark.parametrize("dispelling", ["erasure", "alignment"])
@pytest.mark.parametrize(("width", "n_levels"), [(5, 2), (9, 9), (47, 9)])
def test_rows_whose_variable_is_erased_do_not_see_each_other(width, n_levels, dispelling, threads):
    X, y, _ = data((30,))
    encoder = ExogenousEncoder(SMALL, max_epochs=1, random_state=0)
    encoder = FrozenEstimator(encoder.fit(X, np.arange(N_ROWS) % n_levels))
    params = {"backbone": MLPBackbone((width,)), "dispelling": dispelling, "max_epochs": 1}
    model = THINClassifier(encoder, **params, gating="head", random_state=0).fit(X, y)
    for call in methods(model):
        assert_rows_do_not_see_each_other(call, X)


@pytest.mark.parametrize("units", [1, 4, 12, 24])
def test_rows_of_small_experts_do_not_see_each_other(units, threads):
    X, y, _ = data((4,))
    params = {"depth": 3, "hidden_units": 8 * units, "max_epochs": 1, "random_state": 0}
    for call in methods(THINClassifier(backbone=SMALL, **params).fit(X, y % 2)):
        assert_rows_do_not_see_each_other(call, X)


def test_a_row_of_one_hard_expert_does_not_see_rows_of_others(threads):
    X = data((4,))[0]
    params = {"depth": 3, "hidden_units": 8 * 40, "max_epochs": 1, "random_state": 0}
    model = THINRegressor(backbone=SMALL, inference="hard", **params).fit(X, X[:, 0])
    assert len(set(model.apply(X))) > 1
    alone = [model.predict(X[[i]]) for i in range(0, N_ROWS, 5)]
    np.testing.assert_array_equal(np.concatenate(alone), model.predict(X)[::5])


def test_how_an_array_lies_in_memory_makes_no_difference(threads):
    model, X = fitted("64 columns, 8 experts"), data((64,))[0]
    expected = model.predict_proba(X)
    wide = np.zeros((N_ROWS, 65), np.float32)
    wide[:, 1:] = X
    np.testing.assert_array_equal(model.predict_proba(np.asfortranarray(X)), expected)
    np.testing.assert_array_equal(model.predict_proba(wide[:, 1:]), expected)


def test_many_rows_are_the_same_bits_as_few():
    model = fitted("4 columns")
    X = np.random.RandomState(1).standard_normal((10_001, 4)).astype(np.float32)
    together = model.predict_proba(X)
    for rows in (slice(9_990, None), slice(5_000, 5_001), slice(0, 1_000)):
        np.testing.assert_array_equal(model.predict_proba(X[rows]), together[rows])


def abilities():
    """Of the processor, as Linux calls them."""
    cpu = Path("/proc/cpuinfo")
    return set(cpu.read_text().split()) if cpu.exists() else set()


@pytest.mark.parametrize("settings", SETTINGS, ids=" ".join)
def test_no_setting_of_the_processor_lets_rows_see_each_other(settings):
    if lacking := SETTINGS[settings] - abilities():
        pytest.skip(f"the processor has no {lacking}")
    package = Path(__file__).parents[2]
    env = {**os.environ, **dict(setting.split("=") for setting in settings)}
    env |= {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, __file__], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":  # the core of it, in a process that has such a setting
    names = ["64 columns, 32 experts", "784 columns", "4 columns", "small images"]
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        for name in names:
            for call in methods(fitted(name)):
                assert_rows_do_not_see_each_other(call, data(CASES[name][0])[0])
        for call in methods(gated("odd width")):
            assert_rows_do_not_see_each_other(call, data((30,))[0])
