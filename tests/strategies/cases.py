"""A Case, one configuration of an estimator and its rows, and the strategies that draw Cases.

A Case holds names and small objects alone, so that its repr shows the whole configuration.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from sklearn_thin import ExogenousEncoder, THINClassifier, THINRegressor
from sklearn_thin.dispelling import Erasure
from tests.strategies.parameters import (
    AMBIENT,
    COLUMNS,
    CONVNETS,
    FOLDING,
    GATE,
    KNOWN,
    MLPS,
    OF_NAMES,
    SEEDS,
    SIDES,
    TRAINING,
    WRONG_GATE,
    WRONG_SIDES,
    WRONG_TRAINING,
    brighter,
    make_net,
)
from tests.strategies.rows import (
    FRAMES,
    IMAGES,
    LABELS,
    LAYOUTS,
    NUMBERS,
    NUMBERS_TO_PREDICT,
    SIDE,
    TABLE_FRAMES,
    VALUES,
    WEIGHTS,
    WRONG_LABELS,
    WRONG_NUMBERS,
    WRONG_ROWS,
    WRONG_WEIGHTS,
)

ESTIMATORS = {
    "classifier": THINClassifier,
    "regressor": THINRegressor,
    "encoder": ExogenousEncoder,
}


@dataclass
class Case:
    """One configuration of an estimator and its rows."""

    kind: str = "classifier"  # one of ESTIMATORS
    seed: int = 0
    n_rows: int = 30
    n_columns: int = 4
    n_classes: int = 2
    rows: str = "C"
    dtype: str = "float64"  # of an array
    values: str = "normal"
    labels: str = "ints"  # or numbers to predict
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
    def named(self):
        """Whether the rows are a frame with the columns x0, x1, ..."""
        frame = self.rows.startswith(("pandas", "polars"))
        return frame and self.rows != "pandas, numbered columns"

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
        if self.side in COLUMNS and not self.images:
            X[:, -1] = z
        given = {"X": self._rows(X), "y": self._y(codes, r)}
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

    def _y(self, codes, r):
        if self.kind != "regressor":
            return {**LABELS, **WRONG_LABELS}[self.labels](codes)
        numbers = codes + r.normal(size=len(codes))
        return {**NUMBERS_TO_PREDICT, **WRONG_NUMBERS}[self.labels](numbers, codes)

    @property
    def _labelled(self):
        """Whether `fit` gets exogenous labels."""
        if self.kind == "encoder":
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
        params, make = {"max_epochs": 1, **self.params}, ESTIMATORS[self.kind]
        if self.kind == "encoder":
            return make(**params)
        same = ("backbone", "hidden_units")
        encoder = ExogenousEncoder(
            **{name: self.params[name] for name in same if name in self.params},
            max_epochs=1,
            random_state=0,
        )
        if self.side in WRONG_SIDES:
            return make(WRONG_SIDES[self.side](encoder), **params)
        if self.side in COLUMNS:
            return make(COLUMNS[self.side](self.n_columns), **{"depth": 1, **params})
        side, more, *_ = SIDES[self.side]
        if self.side == "frozen encoder":
            encoder.fit(given["X"], np.arange(self.n_rows) % 3)
        return make(side(encoder), **{"depth": 1, **more(), **params})

    def mended(self):
        """The same case without the wrong argument."""
        names = {"X": "rows", "y": "labels", "sample_weight": "weights", "exogenous": "side"}
        names["exogenous_target"] = "target"
        if self.wrong in names:
            name = names[self.wrong]
            right = "floats" if (self.kind, name) == ("regressor", "labels") else None
            return replace(self, wrong=None, **{name: right or getattr(Case(), name)})
        params = {name: value for name, value in self.params.items() if name != self.wrong}
        if self.wrong == "backbone":
            params["backbone"] = MLPS[0]
        return replace(self, wrong=None, params=params)


def _limits(dtype):
    info = np.iinfo(dtype)
    return info.min / 2, info.max / 2


@st.composite
def cases(draw, kind="classifier"):
    """Cases of one estimator; at most one argument is wrong by itself."""

    def one_of(names):
        return draw(st.sampled_from(list(names)))

    owned = ESTIMATORS[kind]().get_params()
    known, wrong_params = (
        {name: values for name, values in parameters.items() if name in owned}
        for parameters in ({**TRAINING, **GATE}, {**WRONG_TRAINING, **WRONG_GATE})
    )
    wrong_arguments = ["X", "y", "sample_weight"]
    if kind != "encoder":
        wrong_arguments += ["exogenous", "exogenous_target"]
    wrong = None
    if draw(st.integers(0, 3)) == 3:
        wrong = one_of([*wrong_arguments, *wrong_params])
    case = Case(kind=kind, wrong=wrong, seed=draw(st.integers(0, 9999)))
    case.n_rows, case.n_columns = draw(st.integers(8, 60)), draw(st.integers(2, 9))
    case.n_classes = draw(st.integers(2, 4))
    frames = {**FRAMES, **TABLE_FRAMES}
    rows = [st.sampled_from(list(part)) for part in (LAYOUTS, LAYOUTS, frames, IMAGES)]
    case.rows = one_of(WRONG_ROWS) if wrong == "X" else draw(st.one_of(*rows))
    case.dtype = one_of(NUMBERS)
    case.values = draw(st.one_of(st.just("normal"), st.sampled_from(list(VALUES))))
    right, bad = (LABELS, WRONG_LABELS)
    if kind == "regressor":
        right, bad = NUMBERS_TO_PREDICT, WRONG_NUMBERS
    case.labels = one_of(bad if wrong == "y" else right)
    case.weights = draw(st.one_of(st.just("none"), st.sampled_from(list(WEIGHTS))))
    if wrong == "sample_weight":
        case.weights = one_of(WRONG_WEIGHTS)
    if kind != "encoder":
        case.side = one_of(WRONG_SIDES) if wrong == "exogenous" else draw(_sides(case))
        case.target = one_of(LABELS)
        if wrong == "exogenous_target":  # on a side that reads it
            case.side = "encoder"
            case.target = one_of([n for n in WRONG_LABELS if n != "None"])
    optional = {name: st.sampled_from(values) for name, values in known.items()}
    case.params = draw(st.fixed_dictionaries({"random_state": SEEDS}, optional=optional))
    case.params["backbone"] = one_of(_backbones(case))
    if case.rows in TABLE_FRAMES:
        case.params.pop("endogenous", None), case.params.pop("preprocessor", None)
    if draw(st.integers(0, 3)) == 3:
        case.ambient = one_of(AMBIENT)
    _make_possible(case, draw)
    if wrong in wrong_params:
        case.params[wrong] = one_of(wrong_params[wrong])
    return case


def _sides(case):
    """Sides that suit the rows; a third are columns of a table."""
    sides = [name for name, side in SIDES.items() if side[4] or not case.images]
    if case.rows in TABLE_FRAMES:  # which PCA does not read
        sides = [name for name in sides if SIDES[name][4]]
    if case.images or case.rows in WRONG_ROWS:
        return st.sampled_from(sides)
    columns = [name for name in COLUMNS if case.named or name not in OF_NAMES]
    return st.one_of(*map(st.sampled_from, (sides, sides, columns)))


def _backbones(case):
    if not case.images:
        return MLPS
    if case.rows.startswith("images, flattened"):
        return FOLDING
    return [*CONVNETS, *MLPS, "auto"]


def _make_possible(case, draw):
    """Most combinations get the parts that they need, so that most cases fit."""
    params = case.params
    if case.kind == "encoder" or draw(st.integers(0, 4)) == 4:
        return
    known = case.side in KNOWN
    predicts = known or (case.side in SIDES and SIDES[case.side][3])
    if known:
        params.pop("lam", None)
    if not predicts:
        params.pop("lam", None)
        if params.get("gate_input") != "representation":
            params.pop("gate_input", None)
        erases = case.seed % 2 == 0 and str(params.get("dispelling")) in ("erasure", "Erasure()")
        if not erases:
            params.pop("dispelling", None)
    if case.side == "none" or params["backbone"] is make_net:
        params.pop("gating", None)
    if case.images and draw(st.booleans()):
        params["augment"] = brighter


@st.composite
def searched(draw):
    """Cases of a classifier that fit, for searches and ensembles."""
    case = Case(seed=draw(st.integers(0, 9999)), n_rows=draw(st.integers(24, 60)))
    case.labels = draw(st.sampled_from(["ints", "strings", "bools"]))
    case.weights = draw(st.sampled_from(["none", "random", "zeros in places"]))
    sides = ["none", "encoder", "frozen encoder", "PCA", "position", "given"]
    case.side = draw(st.sampled_from(sides))
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
