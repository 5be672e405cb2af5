"""Exogenous sides and parameters of the property-based tests, right ones and wrong ones."""

from functools import partial

import numpy as np
import torch
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone
from sklearn_thin.dispelling import Alignment, Cosine, Erasure
from sklearn_thin.exogenous import KnownVariable
from tests.strategies.rows import SIDE

# -------------------------------------------------------------------- exogenous sides


def _known():
    encode = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    return ColumnTransformer([("known", encode, [0])])


def _predictor():
    return LogisticRegression(max_iter=1000)


# name -> (side from an encoder, more parameters, needs labels, brings a predictor, for images too)
SIDES = {
    "none": (lambda e: None, dict, False, False, True),
    "given": (lambda e: "given", dict, True, True, True),
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


def _pick(place, X):
    """A selector of one column."""
    return [place]


# name -> what names the last of n columns of X, which then holds levels; maybe others beside it
COLUMNS = {
    "position": lambda n: n - 1,
    "positions": lambda n: [n - 1, 0],
    "slice": lambda n: slice(n - 1, n),
    "selector": lambda n: partial(_pick, n - 1),
    "known variable": lambda n: KnownVariable(n - 1),
    "number": lambda n: KnownVariable(n - 1, kind="number"),
    "name": lambda n: f"x{n - 1}",
    "names": lambda n: [f"x{n - 1}", "x0"],
    "names, slice": lambda n: slice(f"x{n - 1}", f"x{n - 1}"),
}
OF_NAMES = [name for name in COLUMNS if name.startswith("name")]
KNOWN = [*COLUMNS, "given"]  # sides whose predictor does not read h_endo
WRONG_SIDES = {
    "no such position": lambda e: 99,
    "no such positions": lambda e: [0, 99],
    "empty slice": lambda e: slice(0, 0),
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


MLPS = [MLPBackbone((8,)), MLPBackbone((8, 4)), MLPBackbone((8,), 0.3, 0.5), make_net]
CONVNETS = [ConvNetBackbone((2,)), ConvNetBackbone((2,), hidden_layer_sizes=(8,))]
FOLDING = [
    ConvNetBackbone((2,), image_shape=(SIDE, SIDE)),
    ConvNetBackbone((2,), image_shape=(1, SIDE, SIDE), dropout=0.2),
]
TRAINING = {
    "hidden_units": [0, 1, 8],
    "preprocessor": ["auto", None],
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
    "endogenous": ["auto", None],
    "gating": ["auto", "head", "layers"],
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
        MLPBackbone((8,), modulation_dropout=1.0),
        MLPBackbone((8,), scale_lr_factor=-1.0),
        MLPBackbone,
        make_number,
        nn.Linear(977, 3),
    ],
    "hidden_units": [-1, 1.5, None, "8", 2**63],
    "optimizer": ["Adam", None, 3],
    "lr": [0, -1, np.nan, np.inf, "fast", None, 10**400],
    "lr_schedule": ["linear", None],
    "weight_decay": [-0.1, np.nan, np.inf, None, 10**400],
    "batch_size": [1, 0, -5, 2.5, "all", None],
    "max_epochs": [0, -1, 1.5, None],
    "class_weight": ["even", 3, {"no such class": 1.0}],
    "early_stopping": [1, -3, 1.5, "yes", 10**6, np.nan],
    "n_iter_no_change": [0, None, 1.5],
    "callbacks": [3, ["early"], "early"],
    "warm_start": [2, "yes", None],
    "device": ["cpu:no", "tpu", 3, None, "", "meta"],
    "mixed_precision": ["fp16", True, 3],
    "random_state": [-1, 2**32, "seed", 1.5, 10**400],
}
WRONG_GATE = {
    "gating": ["leaves", None, 2],
    "gate_input": ["probability", None],
    "depth": [-1, 13, 1.5, None, "2"],
    "n_experts": [0, -2, 2.0, "8", 10**13],
    "lam": [-0.1, np.nan, np.inf, None, "0", 10**400],
    "dispelling": ["cosinus", 3, Alignment(rank=0), Alignment(rank=1.5), Erasure],
    "inference": ["harder", None],
    "augment": [3, "flip"],
    "endogenous": ["scaler", 3, StandardScaler],
}
AMBIENT = ["none", "float64", "inference mode", "no gradients", "autocast", "frames", "meta device"]
