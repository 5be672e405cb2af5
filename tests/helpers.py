"""Shared by test files: small estimators, parts that count, assertions, and runs of scripts."""

import io
import os
import random
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.utils import check_random_state
from sklearn.utils.fixes import parse_version
from skorch.callbacks import Callback

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.training.net import THINNet
from sklearn_thin.training.stack import Stack

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = MLPBackbone((16,))
HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "gate_proba",
    "apply",
    "decision_path",
    "expert_proba",
]
# scikit-learn 1.6's LogisticRegression passes options that scipy 1.17 warns of
FITS_LOGISTIC_REGRESSION = pytest.mark.filterwarnings(
    "ignore:scipy.optimize. The `disp` and `iprint` options:DeprecationWarning"
)
NUMPYS_OWN = check_random_state(None)  # the global generator


# ------------------------------------------------------------------ small estimators


def small(exogenous=None, **params):
    """A THINClassifier that fits in milliseconds."""
    defaults = {"backbone": SMALL, "depth": 1, "hidden_units": 8, "max_epochs": 2}
    return THINClassifier(exogenous, **{**defaults, "random_state": 0, **params})


def small_encoder(**params):
    """An ExogenousEncoder whose predictor reads the h_endo of `small`."""
    defaults = {"hidden_units": 8, "max_epochs": 1, "random_state": 0}
    return ExogenousEncoder(SMALL, **{**defaults, **params})


def raw(exogenous=None, **params):
    """`small`, whose backbone reads X as it is."""
    return small(exogenous, **{"endogenous": None, **params})


def raw_encoder(**params):
    """`small_encoder`, whose backbone reads X as it is."""
    return small_encoder(**{"preprocessor": None, **params})


def two_encoders():
    """Named encoders of the two variables of the fixture `two_targets`."""
    return [("ink", small_encoder(random_state=0)), ("side", small_encoder(random_state=1))]


def with_known_column(digits, n=200):
    """A table whose last column is the true exogenous variable."""
    return np.column_stack([digits.X, digits.z])[:n]


def known(columns):
    """An exogenous side that reads known labels from these columns."""
    return ColumnTransformer([("known", OneHotEncoder(sparse_output=False), columns)])


def all_but_last():
    """An endogenous side that drops the known column."""
    return FunctionTransformer(drop_last_column)


def drop_last_column(X):
    return np.asarray(X)[:, :-1]


# ------------------------------------------------------------------- parts that count


class CountingEncoder(ExogenousEncoder):
    """Counts its fits, over all copies of it."""

    fits = []

    def fit(self, X, y, **params):
        self.fits.append(len(X))
        return super().fit(X, y, **params)


class RowsSeen(Callback):
    """Remembers the rows that the first epoch trained and validated on."""

    def on_train_begin(self, net, **kwargs):
        self.training_, self.held_out_ = [], []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if len(net.history) == 1:
            (self.training_ if training else self.held_out_).append(batch[0]["x"].numpy())


def rows_seen(clf):
    """Rows of X trained and validated on, in an epoch of a fitted classifier."""
    callback = dict(clf.net_.callbacks_)["RowsSeen"]
    return np.concatenate(callback.training_), np.concatenate(callback.held_out_)


# ------------------------------------------------------------------------- assertions


def fitted_attributes(clf):
    return {name: value for name, value in vars(clf).items() if name.endswith("_")}


@contextmanager
def nothing_changes(clf, X):
    """A fitted estimator is the same after the block, to the last weight."""
    before, proba = fitted_attributes(clf), clf.predict_proba(X)
    history, weights = list(clf.history_), arrays(clf.module_)
    yield
    after = fitted_attributes(clf)
    assert after.keys() == before.keys()
    assert all(after[name] is value for name, value in before.items())
    assert list(clf.history_) == history
    assert_bit_equal(clf.module_.state_dict(), weights)
    np.testing.assert_array_equal(clf.predict_proba(X), proba)


def assert_refused(clf, error, match, X, *args, **params):
    """Fit raises; what was unfitted stays so."""
    with pytest.raises(error, match=match):
        clf.fit(X, *args, **params)
    assert not fitted_attributes(clf)
    with pytest.raises(NotFittedError):
        clf.predict(X)


def arrays(module):
    """Copies of all parameters and buffers."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_bit_equal(state, other):
    assert state.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in state.items())


def global_states():
    """The states of torch's, NumPy's and Python's global generators, comparable by ==."""
    numpy_state = NUMPYS_OWN.get_state()
    return (
        torch.get_rng_state().tolist(),
        (numpy_state[1].tolist(), *numpy_state[2:]),
        random.getstate(),
    )


# --------------------------------------------------------------------- data and processes


def with_value(X, value):
    """A copy of X with this value in one cell."""
    X = X.copy()
    X[3, 5] = value
    return X


def run_python(*arguments, **environment):
    """A fresh Python with one thread: the completed process, its output as text."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)


def run_script(path, *arguments, smaller=None):
    """Run a script in this process, as `python path arguments` would: its printed output.

    A process of its own would import torch anew. `smaller` maps numbers in the source, with
    their names, to smaller numbers: the script runs as it stands, in less time.
    """
    source = path.read_text()
    for part, replacement in (smaller or {}).items():
        assert part in source, f"{path.name} does not hold {part!r}"
        source = source.replace(part, replacement)
    names, printed = {"__name__": "__main__", "__file__": str(path)}, io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        patch.setattr(sys, "path", [str(path.parent), *sys.path])
        exec(compile(source, str(path), "exec"), names)
    return printed.getvalue()


def cells(printed, row):
    """The cells of the table's row of this name."""
    (line,) = [line for line in printed.splitlines() if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


class KilledError(BaseException):
    """Ends a training as a kill does: no file is written after it."""


@contextmanager
def killed_after(epochs, net=THINNet):
    """Trainings of nets, or of stacks, inside the block die after this number of epochs."""
    name = "_run_epoch" if net is Stack else "run_single_epoch"
    run, trained = getattr(net, name), []

    def run_or_die(self, *args, **kwargs):
        if net is Stack or kwargs["training"]:
            if len(trained) == epochs:
                raise KilledError
            trained.append(self)
        return run(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(net, name, run_or_die)
        with suppress(KilledError):
            yield trained
