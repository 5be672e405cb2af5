"""Strategies of the property-based tests: random rows, labels, sides and parameters.

A Case holds names and small objects alone, so that its repr shows the whole configuration.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile, gettempdir

import numpy as np
import pandas as pd
import polars as pl
import torch
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.dispelling import Alignment, Cosine, Erasure

SIDE = 8  # pixels of an image
TABLES = "preprocessor" in ExogenousEncoder().get_params()  # whether a fit encodes tables
# what fails without that: each part of the strategies that is left out until then
PENDING = () if TABLES else ("predictor", "pandas", "text alone", "ambient", "absurd", "far rows")
set_hypothesis_home_dir(Path(gettempdir()) / "hypothesis")  # leaves no folder beside the tests


# ------------------------------------------------------------------------------ rows


def _mapped(X):
    with TemporaryFile() as file:
        rows = np.memmap(file, X.dtype, "w+", shape=X.shape)
    rows[:] = X
    return rows


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def _frame(X, **columns):
    return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]).assign(**columns)


def _polars(X, **columns):
    named = {f"x{i}": column for i, column in enumerate(X.T)}  # pyarrow would convert frames
    return pl.DataFrame({**named, **{name: column.tolist() for name, column in columns.items()}})


def _levels(X, *levels):
    return np.array(levels, dtype=object)[np.arange(len(X)) % len(levels)]


def _holes(X, value):
    X = X.copy()
    X[::3, 0] = value
    return X


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda X: X[::-1],
    "columns reversed": lambda X: X[:, ::-1],
    "read-only": _read_only,
    "memmap": _mapped,
}
NUMBERS = ["float64", "float32", "float16", ">f8", "int64", "int16", "int8", "uint8", "bool"]
FRAMES = {
    "list": lambda X: X.tolist(),
    "object": lambda X: X.astype(object),
    "pandas": _frame,
    "pandas, ints and bools": lambda X: _frame(X, i=np.arange(len(X)), b=X[:, 0] > 0),
    "pandas, nullable": lambda X: _frame(X).convert_dtypes(),
    "pandas, odd index": lambda X: _frame(X).set_index(np.arange(len(X))[::-1] // 2),
    "pandas, numbered columns": lambda X: pd.DataFrame(X),
    "polars": _polars,
    "polars, ints": lambda X: _polars(X, i=np.arange(len(X))),
}
TABLE_FRAMES = {  # need the default side of tables
    "pandas, missing": lambda X: _frame(_holes(X, np.nan)),
    "pandas, text": lambda X: _frame(X, t=_levels(X, "a", "b", "ü")),
    "pandas, text and missing": lambda X: _frame(_holes(X, np.nan), t=_levels(X, "a", None)),
    "pandas, categorical": lambda X: _frame(X, c=pd.Categorical(_levels(X, "a", "b"))),
    "pandas, all missing": lambda X: _frame(X, m=np.full(len(X), np.nan)),
    "pandas, nullable and missing": lambda X: _frame(_holes(X, np.nan)).convert_dtypes(),
    "polars, text": lambda X: _polars(X, t=_levels(X, "a", "b")),
    "polars, missing": lambda X: _polars(_holes(X, np.nan)),
    "array, missing": lambda X: _holes(X, np.nan),
    "array, dates": lambda X: X.astype("datetime64[s]"),
}
IMAGES = {
    "images": lambda X: X,
    "images, Fortran": np.asfortranarray,
    "images, float64": lambda X: X.astype(np.float64),
    "images, reversed": lambda X: X[:, ::-1],
    "images, read-only": _read_only,
    "images, uint8": lambda X: (np.abs(X) * 80).clip(0, 255).astype(np.uint8),
    "images, with a channel": lambda X: X[:, None],
    "images, three channels": lambda X: np.repeat(X[:, None], 3, axis=1),
    "images, channels moved": lambda X: np.moveaxis(np.repeat(X[..., None], 3, axis=3), 3, 1),
    "images, flattened": lambda X: X.reshape(len(X), -1),
    "images, flattened uint8": lambda X: (X * 80).clip(0, 255).astype(np.uint8).reshape(len(X), -1),
}
WRONG_ROWS = {
    "infinite": lambda X: _holes(X, np.inf),
    "complex": lambda X: X.astype(complex),
    "sparse": sparse.csr_array,
    "one dimension": lambda X: X[:, 0],
    "five dimensions": lambda X: X.reshape(*X.shape, 1, 1, 1),
    "no rows": lambda X: X[:0],
    "no columns": lambda X: X[:, :0],
    "text": lambda X: "rows",
    "None": lambda X: None,
}
BARE_ROWS = {  # are wrong unless a fit encodes tables
    "beyond float32": lambda X: _holes(X, 1e300),
    "text alone": lambda X: np.full(X.shape, "a", dtype=object),
}
if TABLES:
    TABLE_FRAMES |= BARE_ROWS
else:
    WRONG_ROWS |= BARE_ROWS
VALUES = {
    "normal": lambda X: X,
    "shifted": lambda X: X + 1000,
    "small units": lambda X: X * 1e-6,
    "large units": lambda X: X * 1e6,
    "one sentinel": lambda X: np.where(np.arange(X.size).reshape(X.shape) == 5, -9999, X),
    "constant column": lambda X: np.where(np.arange(X.shape[-1]) == 0, 3.0, X),
    "all equal": np.ones_like,
    "denormal": lambda X: X * 1e-40,
    "absurd units": lambda X: X * 1e30,
}


# ------------------------------------------------------------------- labels and weights

LABELS = {
    "ints": lambda c: c,
    "int8": lambda c: c.astype(np.int8),
    "far apart": lambda c: c * 10**6 - 5,
    "strings": lambda c: np.array(["a", "b", "ü", "d"])[c],
    "objects": lambda c: np.array(["a", "b", "ü", "d"], dtype=object)[c],
    "bools": lambda c: c > 0,
    "whole floats": lambda c: c.astype(float),
    "list": lambda c: c.tolist(),
    "read-only": _read_only,
    "pandas": lambda c: pd.Series(c, index=np.arange(len(c))[::-1]),
    "Categorical": lambda c: pd.Series(pd.Categorical(np.array(list("abcd"))[c])),
    "nullable": lambda c: pd.Series(c).convert_dtypes(),
    "polars": lambda c: pl.Series("label", c),
    "polars text": lambda c: pl.Series("label", np.array(list("abcd"))[c]),
    "tensor": torch.from_numpy,
}
WRONG_LABELS = {
    "continuous": lambda c: c + np.linspace(0, 0.5, len(c)),
    "one class": np.zeros_like,
    "missing": lambda c: np.where(np.arange(len(c)) == 1, np.nan, c),
    "None in it": lambda c: np.array([None, *c[1:]], dtype=object),
    "infinite": lambda c: np.where(np.arange(len(c)) == 1, np.inf, c),
    "too few": lambda c: c[:-1],
    "two columns": lambda c: np.column_stack([c, c[::-1]]),
    "None": lambda c: None,
    "text": lambda c: "labels",
}
WEIGHTS = {
    "none": lambda c, r: None,
    "ones": lambda c, r: np.ones(len(c)),
    "random": lambda c, r: r.uniform(0.1, 2, len(c)),
    "zeros in places": lambda c, r: (np.arange(len(c)) % 5 > 0).astype(float),
    "one nth": lambda c, r: np.full(len(c), 1 / len(c)),
    "tiny": lambda c, r: r.uniform(1e-30, 2e-30, len(c)),
    "huge": lambda c, r: r.uniform(1e30, 2e30, len(c)),
    "ints": lambda c, r: r.randint(1, 4, len(c)),
    "list": lambda c, r: [1.0] * len(c),
    "pandas": lambda c, r: pd.Series(r.uniform(0.1, 2, len(c))),
    "float32": lambda c, r: np.ones(len(c), np.float32),
}
WRONG_WEIGHTS = {
    "negative": lambda c, r: np.where(np.arange(len(c)) == 0, -1.0, 1.0),
    "missing": lambda c, r: np.where(np.arange(len(c)) == 0, np.nan, 1.0),
    "infinite": lambda c, r: np.where(np.arange(len(c)) == 0, np.inf, 1.0),
    "all zero": lambda c, r: np.zeros(len(c)),
    "too few": lambda c, r: np.ones(len(c) - 1),
    "two columns": lambda c, r: np.ones((len(c), 2)),
    "text": lambda c, r: "balanced",
}


# -------------------------------------------------------------------- exogenous sides


def _known():
    encode = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    return ColumnTransformer([("known", encode, [0])])


def _predictor():
    return LogisticRegression(max_iter=1000)


# name -> (side from an encoder, more parameters, needs labels, brings a predictor, for images too)
SIDES = {
    "none": (lambda e: None, dict, False, False, True),
    "encoder": (lambda e: e, dict, True, True, True),
    "frozen encoder": (lambda e: FrozenEstimator(e), dict, False, True, True),
    "PCA": (lambda e: PCA(1), dict, False, False, False),
    "scaler and predictor": (
        lambda e: StandardScaler(),
        lambda: {"exogenous_predictor": RidgeClassifier()},
        True,
        True,
        False,
    ),
    "PCA and predictor": (
        lambda e: PCA(1),
        lambda: {"exogenous_predictor": _predictor()},
        True,
        True,
        False,
    ),
    "known column": (lambda e: _known(), dict, False, False, False),
    "known column and predictor": (
        lambda e: _known(),
        lambda: {"exogenous_predictor": _predictor()},
        True,
        True,
        False,
    ),
    "list": (lambda e: [("e", e), ("p", PCA(1))], dict, True, False, False),
    "list of encoders": (lambda e: [("e", e), ("f", e)], dict, True, True, True),
    "list and predictor": (
        lambda e: [("p", PCA(1)), ("e", e)],
        lambda: {"exogenous_predictor": {"p": _predictor()}},
        True,
        True,
        False,
    ),
}
WRONG_SIDES = {
    "unknown column": lambda e: "no such column",
    "classifier": lambda e: LogisticRegression(),
    "class": lambda e: PCA,
    "array": lambda e: np.ones(3),
    "empty list": lambda e: [],
    "list without names": lambda e: [e],
    "equal names": lambda e: [("e", e), ("e", e)],
    "not fitted": lambda e: FrozenEstimator(ExogenousEncoder()),
    "number": lambda e: 1.5,
}


# ------------------------------------------------------------------------- parameters


class Seeded(np.random.RandomState):
    """A generator that shows its seed."""

    def __init__(self, seed):
        super().__init__(seed)
        self.seed_ = seed

    def __repr__(self):
        return f"Seeded({self.seed_})"


def make_net(shape):
    """A backbone without batch normalisation."""
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 8), nn.Tanh())


def make_number(shape):
    """Not a module."""
    return 3


def brighter(images):
    """An augmentation that draws nothing."""
    return images + 0.1


MLPS = [MLPBackbone((8,)), MLPBackbone((8, 4)), MLPBackbone((8,), dropout=0.3), make_net]
CONVNETS = [ConvNetBackbone((2,)), ConvNetBackbone((2,), hidden_layer_sizes=(8,))]
FOLDING = [
    ConvNetBackbone((2,), image_shape=(SIDE, SIDE)),
    ConvNetBackbone((2,), image_shape=(1, SIDE, SIDE), dropout=0.2),
]
TRAINING = {
    "hidden_units": [0, 1, 8],
    "optimizer": ["adam", "adamw", "sgd", torch.optim.RMSprop],
    "lr": [1e-4, 1e-2, 0.3, 1, np.float32(0.01), 1e30],
    "lr_schedule": ["cosine", "constant"],
    "weight_decay": [0, 0.01, 1.0],
    "batch_size": [2, 7, 32, 1000, np.int64(5)],
    "max_epochs": [1, 2, 3, np.int32(2)],
    "class_weight": [None, "balanced"],
    "early_stopping": [False, True, 0.3, 8, np.bool_(True)],
    "n_iter_no_change": [1, 10],
    "callbacks": [None, []],
    "warm_start": [False, True, np.bool_(True)],
    "device": ["auto", "cpu", torch.device("cpu")],
    "mixed_precision": [None, "bf16"],
}
GATE = {
    "gate_input": ["auto", "probabilities", "logits", "representation"],
    "depth": [0, 1, 2, 4, np.int64(3)],
    "n_experts": [None, 1, 3, 8],
    "lam": [0, 0.0, 0.005, 1.0, 100, np.float32(0.01)],
    "dispelling": [
        *["cosine", "erasure", "alignment", None],
        *[Cosine(), Erasure(), Alignment(), Alignment(rank=2)],
        *[Erasure(keep_target=True), Alignment(keep_target=True)],
    ],
    "inference": ["soft", "hard"],
}
if TABLES:
    TRAINING["preprocessor"] = GATE["endogenous"] = ["auto", None]
SEEDS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.builds(Seeded, st.integers(0, 9)),
    st.just(np.int64(3)),
    st.none(),
)
WRONG_TRAINING = {
    "backbone": [
        5,
        "resnet19",
        "",
        None,
        MLPBackbone((-1,)),
        MLPBackbone((0,)),
        MLPBackbone(("8",)),
        MLPBackbone((8,), dropout=1.5),
        MLPBackbone,
        make_number,
        nn.Linear(977, 3),
    ],
    "hidden_units": [-1, 1.5, None, "8"],
    "optimizer": ["Adam", None, 3],
    "lr": [0, -1, np.nan, np.inf, "fast", None],
    "lr_schedule": ["linear", None],
    "weight_decay": [-0.1, np.nan, np.inf, None],
    "batch_size": [1, 0, -5, 2.5, "all", None],
    "max_epochs": [0, -1, 1.5, None],
    "class_weight": ["even", 3, {"no such class": 1.0}],
    "early_stopping": [1, -3, 1.5, "yes", 10**6, np.nan],
    "n_iter_no_change": [0, None, 1.5],
    "callbacks": [3, ["early"], "early"],
    "warm_start": [2, "yes", None],
    "device": ["cpu:no", "tpu", 3, None, ""],
    "mixed_precision": ["fp16", True, 3],
    "random_state": [-1, 2**32, "seed", 1.5],
}
WRONG_GATE = {
    "gate_input": ["probability", None],
    "depth": [-1, 13, 1.5, None, "2"],
    "n_experts": [0, -2, 2.0, "8"],
    "lam": [-0.1, np.nan, np.inf, None, "0"],
    "dispelling": ["cosinus", 3, Alignment(rank=0), Alignment(rank=1.5), Erasure],
    "inference": ["harder", None],
    "augment": [3, "flip"],
    "endogenous": ["scaler", 3],
}
ABSURD = {
    "n_experts": [10**13],
    "lr": [10**400],
    "lam": [10**400],
    "weight_decay": [10**400],
    "hidden_units": [2**63],
    "device": ["meta"],
    "random_state": [10**400],
    "endogenous": [StandardScaler],
}
for wrong in (WRONG_TRAINING, WRONG_GATE):
    for name in () if "absurd" in PENDING else wrong.keys() & ABSURD.keys():
        wrong[name] += ABSURD[name]
AMBIENT = ["none", "float64", "inference mode", "no gradients", "autocast", "frames", "meta device"]


# ------------------------------------------------------------------------------ cases


@dataclass
class Case:
    """One configuration of an estimator and its rows."""

    encoder: bool = False  # ExogenousEncoder instead of THINClassifier
    seed: int = 0
    n_rows: int = 30
    n_columns: int = 4
    n_classes: int = 2
    rows: str = "C"
    dtype: str = "float64"  # of an array
    values: str = "normal"
    labels: str = "ints"
    weights: str = "none"
    side: str = "none"
    target: str = "ints"
    ambient: str = "none"  # torch's or scikit-learn's state around the calls
    params: dict = field(default_factory=dict)
    wrong: str | None = None  # the one argument with a value that must be refused

    @property
    def images(self):
        return self.rows in IMAGES

    @property
    def seeded(self):
        """Whether the fit draws nothing from NumPy's global generator."""
        return self.params.get("random_state") is not None

    def given(self):
        """Arguments of `fit`."""
        r = np.random.RandomState(self.seed)
        shape = (SIDE, SIDE) if self.images else (self.n_columns,)
        X = VALUES[self.values](r.normal(size=(self.n_rows, *shape)))
        codes = r.permutation(np.arange(self.n_rows) % self.n_classes)
        z = r.permutation(np.arange(self.n_rows) % 3)
        given = {"X": self._rows(X), "y": {**LABELS, **WRONG_LABELS}[self.labels](codes)}
        weights = {**WEIGHTS, **WRONG_WEIGHTS}[self.weights](codes, r)
        if weights is not None:
            given["sample_weight"] = weights
        if self._labelled:
            given["exogenous_target"] = self._target(z)
        return given

    def _rows(self, X):
        if self.images:
            return IMAGES[self.rows](X.astype(np.float32))
        if self.rows in LAYOUTS:
            with np.errstate(all="ignore"):
                kind = np.dtype(self.dtype).kind
                X = X.clip(*_limits(self.dtype)) if kind in "iu" else X
                return LAYOUTS[self.rows](X.astype(self.dtype))
        return {**FRAMES, **TABLE_FRAMES, **WRONG_ROWS}[self.rows](X)

    @property
    def _labelled(self):
        """Whether `fit` gets exogenous labels."""
        if self.encoder:
            return False
        erases = isinstance(self.params.get("dispelling"), Erasure)
        erases = erases or str(self.params.get("dispelling")) == "erasure"
        return self.wrong == "exogenous_target" or (
            (self.side in SIDES and SIDES[self.side][2]) or (erases and self.seed % 2 == 0)
        )

    def _target(self, z):
        labels = {**LABELS, **WRONG_LABELS}[self.target](z)
        if not self.side.startswith("list") or self.wrong == "exogenous_target":
            return labels
        frame = pd.DataFrame({"e": np.asarray(labels), "p": z})
        return frame.rename(columns={"p": "f"}) if self.side == "list of encoders" else frame

    def estimator(self, given):
        """The estimator before its fit; fits the encoder that it takes frozen."""
        params = {"max_epochs": 1, **self.params}
        if self.encoder:
            return ExogenousEncoder(**params)
        same = ("backbone", "hidden_units")
        encoder = ExogenousEncoder(
            **{name: self.params[name] for name in same if name in self.params},
            max_epochs=1,
            random_state=0,
        )
        if self.side in WRONG_SIDES:
            return THINClassifier(WRONG_SIDES[self.side](encoder), **params)
        make, more, *_ = SIDES[self.side]
        if self.side == "frozen encoder":
            encoder.fit(given["X"], np.arange(self.n_rows) % 3)
        return THINClassifier(make(encoder), **{"depth": 1, **more(), **params})

    def mended(self):
        """The same case without the wrong argument."""
        names = {"X": "rows", "y": "labels", "sample_weight": "weights", "exogenous": "side"}
        names["exogenous_target"] = "target"
        if self.wrong in names:
            name = names[self.wrong]
            return replace(self, wrong=None, **{name: getattr(Case(), name)})
        params = {name: value for name, value in self.params.items() if name != self.wrong}
        if self.wrong == "backbone":
            params["backbone"] = MLPS[0]
        return replace(self, wrong=None, params=params)


def _limits(dtype):
    info = np.iinfo(dtype)
    return info.min / 2, info.max / 2


@st.composite
def cases(draw, encoder=False):
    """Cases of one estimator; at most one argument is wrong by itself."""

    def one_of(names):
        return draw(st.sampled_from(list(names)))

    known = TRAINING if encoder else {**TRAINING, **GATE}
    known = {name: values for name, values in known.items() if encoder or name != "preprocessor"}
    wrong_params = WRONG_TRAINING if encoder else {**WRONG_TRAINING, **WRONG_GATE}
    wrong_arguments = ["X", "y", "sample_weight"]
    if not encoder:
        wrong_arguments += ["exogenous", "exogenous_target"]
    wrong = None
    if draw(st.integers(0, 3)) == 3:
        wrong = one_of([*wrong_arguments, *wrong_params])
    case = Case(encoder=encoder, wrong=wrong, seed=draw(st.integers(0, 9999)))
    case.n_rows, case.n_columns = draw(st.integers(8, 60)), draw(st.integers(2, 9))
    case.n_classes = draw(st.integers(2, 4))
    frames = {**FRAMES, **(TABLE_FRAMES if TABLES else {})}
    kinds = [st.sampled_from(list(part)) for part in (LAYOUTS, LAYOUTS, frames, IMAGES)]
    wrong_rows = [name for name in WRONG_ROWS if name not in PENDING]
    case.rows = one_of(wrong_rows) if wrong == "X" else draw(st.one_of(*kinds))
    case.dtype = one_of(NUMBERS)
    case.values = draw(st.one_of(st.just("normal"), st.sampled_from(list(VALUES))))
    case.labels = one_of(WRONG_LABELS if wrong == "y" else LABELS)
    weights = [name for name in WEIGHTS if name not in PENDING]
    case.weights = draw(st.one_of(st.just("none"), st.sampled_from(weights)))
    if wrong == "sample_weight":
        case.weights = one_of(WRONG_WEIGHTS)
    if not encoder:
        sides = [name for name, side in SIDES.items() if side[4] or not case.images]
        if case.rows in TABLE_FRAMES:  # which PCA does not read
            sides = [name for name in sides if SIDES[name][4]]
        sides = [name for name in sides if not ("predictor" in PENDING and "predictor" in name)]
        case.side = one_of(WRONG_SIDES if wrong == "exogenous" else sides)
        case.target = one_of(LABELS)
        if wrong == "exogenous_target":  # on a side that reads it
            case.side = "encoder"
            case.target = one_of([n for n in WRONG_LABELS if n != "None"])
    optional = {name: st.sampled_from(values) for name, values in known.items()}
    case.params = draw(st.fixed_dictionaries({"random_state": SEEDS}, optional=optional))
    case.params["backbone"] = one_of(_backbones(case))
    if case.rows in TABLE_FRAMES:
        case.params.pop("endogenous", None), case.params.pop("preprocessor", None)
    if "ambient" not in PENDING and draw(st.integers(0, 3)) == 3:
        case.ambient = one_of(AMBIENT)
    _make_possible(case, draw)
    if wrong in wrong_params:
        case.params[wrong] = one_of(wrong_params[wrong])
    return case


def _backbones(case):
    if not case.images:
        return MLPS
    if case.rows.startswith("images, flattened"):
        return FOLDING
    return [*CONVNETS, *MLPS, "auto"]


def _make_possible(case, draw):
    """Most combinations get the parts that they need, so that most cases fit."""
    params = case.params
    if case.encoder or draw(st.integers(0, 4)) == 4:
        return
    predicts = case.side in SIDES and SIDES[case.side][3]
    if not predicts:
        params.pop("lam", None)
        if params.get("gate_input") != "representation":
            params.pop("gate_input", None)
        erases = case.seed % 2 == 0 and str(params.get("dispelling")) in ("erasure", "Erasure()")
        if not erases:
            params.pop("dispelling", None)
    if case.images and draw(st.booleans()):
        params["augment"] = brighter


@st.composite
def searched(draw):
    """Cases of a classifier that fit, for searches and ensembles."""
    case = Case(seed=draw(st.integers(0, 9999)), n_rows=draw(st.integers(24, 60)))
    case.labels = draw(st.sampled_from(["ints", "strings", "bools"]))
    case.weights = draw(st.sampled_from(["none", "random", "zeros in places"]))
    case.side = draw(st.sampled_from(["none", "encoder", "frozen encoder", "PCA"]))
    # Adam would move biases in front of a batch normalisation by their rounding errors
    backbone, optimizer = draw(st.sampled_from([(MLPS[0], "sgd"), (make_net, "adam")]))
    case.params = {
        "backbone": backbone,
        "optimizer": optimizer,
        "max_epochs": draw(st.integers(1, 3)),
        "batch_size": draw(st.sampled_from([5, 32])),
        "random_state": draw(st.integers(0, 99)),
    }
    return case
