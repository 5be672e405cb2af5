"""Shared fixtures: digits, downloaded data, scripts to run, and one thread a worker."""

import contextlib
import importlib
import io
import os
import runpy
import sys
from pathlib import Path
from tempfile import gettempdir
from types import SimpleNamespace

# read as torch is imported: two threads of a test would else spin for a core that another test has
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.utils.fixes import parse_version
from threadpoolctl import threadpool_limits

from sklearn_thin.persistence.onnx_file import TORCH
from tests.helpers import BENCHMARKS, small, small_encoder

collect_ignore = ["typed_code.py"]  # mypy reads it, and nobody runs it

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # pytest has a worker for each core
if "ATEN_CPU_CAPABILITY" in os.environ:  # torch's cache of programs does not know the setting
    cache = Path(gettempdir()) / f"inductor_{os.environ['ATEN_CPU_CAPABILITY']}"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache))
# pytest has a worker for each core; further threads would wait for each other's core
threadpool_limits(1)
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that tests start


class Digits(SimpleNamespace):
    """Named arrays that also unpack, in the order X, images, y, z."""

    def __iter__(self):
        return iter((self.X, self.images, self.y, self.z))

    def first(self, n):
        """X, y and z of the first n rows."""
        return self.X[:n], self.y[:n], self.z[:n]


def pytest_collection_modifyitems(items):
    old = parse_version(torch.__version__) < parse_version(TORCH)
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.name.endswith("onnx_file.to_onnx") and old:  # its example
            item.add_marker(pytest.mark.skip(reason=f"needs torch {TORCH}"))


@pytest.fixture(autouse=True)
def closed_figures():
    """Close all figures after each test, since matplotlib warns of more than twenty."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def data_dir():
    """Folder of the real data sets, from the environment variable SKLEARN_THIN_DATA."""
    folder = os.environ.get("SKLEARN_THIN_DATA")
    if not folder:
        pytest.skip("SKLEARN_THIN_DATA does not name a folder with the data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def digits():
    """scikit-learn's digits, with the quartile of the ink as the exogenous label.

    X : float32 array of shape (1797, 64) in [0, 1]; images : the same as (1797, 8, 8);
    y : the digit; z : int array in 0..3, four balanced classes. Read-only arrays: a test that
    writes takes a copy. Unpacks as ``X, images, y, z = digits`` too.
    """
    images, y = load_digits().images, load_digits().target
    images = (images / 16).astype(np.float32)
    X = images.reshape(len(images), -1)
    ink = X.sum(axis=1)
    z = np.searchsorted(np.quantile(ink, [0.25, 0.5, 0.75]), ink, side="right")
    for array in (X, images, y, z):
        array.flags.writeable = False
    return Digits(X=X, images=images, y=y, z=z)


# Fitted estimators that many tests only read; a test that fits takes a clone or a copy.


@pytest.fixture(scope="session")
def rows(digits):
    """X, y and z of 200 rows to fit on."""
    return digits.first(200)


@pytest.fixture(scope="session")
def few(digits):
    """X, y and z of 100 rows, for fits that are to fail."""
    return digits.first(100)


@pytest.fixture(scope="session")
def more(digits):
    """X, y and z of 100 rows that `rows` does not hold."""
    return digits.X[200:300], digits.y[200:300], digits.z[200:300]


@pytest.fixture(scope="session")
def encoder(rows):
    """A fitted encoder, not to be changed."""
    return small_encoder(max_epochs=10, random_state=0).fit(rows[0], rows[2])


@pytest.fixture(scope="session")
def thin(rows, encoder):
    """A fitted THIN of depth 2 on the frozen encoder, not to be changed."""
    clf = small(FrozenEstimator(encoder), depth=2, lam=0.01, max_epochs=5)
    return clf.fit(rows[0], rows[1])


@pytest.fixture
def fitted(few):
    """A classifier without a gate's variable, fitted for the test that asks for it."""
    return small().fit(few[0], few[1])


@pytest.fixture(scope="session")
def two_targets(digits):
    """Of 200 rows: ink in four steps, and whether the left half is the darker one."""
    left = digits.images[:200, :, :4].sum((1, 2)) > digits.images[:200, :, 4:].sum((1, 2))
    return np.column_stack([digits.z[:200], left])


# Scripts of benchmarks/, in this process.


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """Import the benchmarks' modules by name, with a cache of runs, and forget them afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_THIN_CACHE", str(tmp_path_factory.mktemp("runs")))
        patch.setattr(sys, "path", [str(BENCHMARKS), str(BENCHMARKS / "paper"), *sys.path])
        yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def run(modules, monkeypatch):
    """Run a script in this process: the text that it prints."""

    def call(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        printed, progress = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(progress),
            torch.random.fork_rng(devices=[]),
        ):
            runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
        return printed.getvalue()

    return call
