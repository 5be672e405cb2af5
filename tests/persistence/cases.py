"""Small fitted estimators of every kind that leaves the package."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINRegressor
from sklearn_thin.model_selection import (
    SeedEnsembleClassifier,
    SeedEnsembleRegressor,
    StackedGridSearchCV,
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
)
from tests.helpers import SMALL, raw, raw_encoder, small, small_encoder

CONV = ConvNetBackbone((4,), hidden_layer_sizes=(16,))
DENSE = {  # parameters of a classifier of tables of numbers, whose encoder is ENCODER
    "baseline": {"exogenous": None, "depth": 0},
    "simple ensemble": {"exogenous": None, "depth": 0, "n_experts": 4},
    "tree gate": {"exogenous": None, "depth": 2},
    "exogenous gate": {"gating": "head", "depth": 2, "hidden_units": 0},
    "THIN": {"gating": "head", "depth": 2, "lam": 0.01},
    "layers": {"gating": "layers", "depth": 2},
    "layers, one map": {"gating": "layers", "depth": 0},
    "three experts of four leaves": {"depth": 2, "n_experts": 3},
    "experts that share a leaf": {"gating": "head", "depth": 1, "n_experts": 4, "hidden_units": 0},
    "hard": {"gating": "head", "inference": "hard", "depth": 2, "n_experts": 3},
    "hard layers": {"gating": "layers", "inference": "hard", "depth": 2},
    "logits": {"gate_input": "logits"},
    "h_exo": {"gate_input": "representation"},
    "erasure": {"dispelling": "erasure", "depth": 2},
    "alignment": {"dispelling": "alignment", "lam": 0.01},
    "input as representation": {"backbone": MLPBackbone(())},
    "scaled columns": {"backbone": MLPBackbone((6,), scale_lr_factor=6.0)},
    "layers of scaled columns": {
        "gating": "layers",
        "depth": 2,
        "backbone": MLPBackbone((6,), scale_lr_factor=6.0),
    },
    "PCA": {"exogenous": PCA(5)},
    "PCA with a predictor": {
        "exogenous": PCA(16),
        "exogenous_predictor": FrozenEstimator(LogisticRegression()),
        "lam": 0.01,
    },
}
ENSEMBLES = [
    "seeds",
    "seeds, given text",
    "seeds between steps",
    "other networks",
    "ensemble of a search",
    "seeds of regressors",
    "other regressors",
    "ensemble of ensembles",
]
OTHERS = [
    *ENSEMBLES,
    "encoder",
    "prepared table",
    "two variables",
    "two variables, alignment",
    "known column",
    "given",
    "given text",
    "given numbers",
    "known number",
    "frame",
    "frame of numbers",
    "pipeline",
    "search",
    "two classes",
    "regressor",
    "two outputs",
]
IMAGES = ["images", "images of an encoder", "gated layers behind convolutions", "uint8"]


def encoders(digits):
    """Frozen encoders of rows and of images."""
    X, _, z = digits.first(100)
    fitted = raw_encoder(random_state=0).fit(X, z)
    of_images = ExogenousEncoder(CONV, max_epochs=1, random_state=0)
    return FrozenEstimator(fitted), FrozenEstimator(of_images.fit(digits.images[:100], z))


def frame(n=120):
    """Numbers, some missing, a number of whole numbers, text, categories and booleans."""
    rng = np.random.RandomState(0)
    table = pd.DataFrame(
        {
            "length": rng.randn(n) * 1e-3,
            "salt": 1e6 * rng.randn(n) + 1e8,
            "site": rng.choice(["a", "b", "c"], n),
            "colour": pd.Categorical(rng.choice(["red", "blue", "green"], n)),
            "age": rng.randint(0, 9, n),
            "wet": rng.rand(n) < 0.5,
            "constant": np.ones(n, np.float32),
        }
    )
    table["width"] = 1000 * table.length + 0.1 * rng.randn(n)
    for name in ("length", "salt", "width", "site", "colour"):
        table.loc[rng.rand(n) < 0.2, name] = None
    return table, (table.wet ^ (table.site == "a")).to_numpy().astype(int)


def number_of(X):
    """A number of each row, with fractions."""
    return 1000 * X.mean(1, dtype=np.float64)


def case(name, digits):
    """A fitted estimator, rows that it did not see, and their given labels or None."""
    X, y, z = digits.first(100)
    rows, one_epoch = digits.X[100:140], {"max_epochs": 1, "depth": 2}
    encoder, of_images = encoders(digits)
    if name in DENSE:
        params = {"exogenous": encoder, **DENSE[name]}
        if "exogenous_predictor" in params:
            h = FrozenEstimator(params["exogenous"].fit(X)).transform(X)
            params["exogenous"] = FrozenEstimator(params["exogenous"])
            params["exogenous_predictor"].estimator.fit(h, z)
        return raw(**one_epoch | params).fit(X, y), rows, None
    if name in IMAGES:
        images, dtype = digits.images, np.float32
        if name == "uint8":
            images, dtype = (16 * images).round(), np.uint8
        params = {
            "images": {},
            "images of an encoder": {"exogenous": of_images, "dispelling": "erasure"},
            "gated layers behind convolutions": {"exogenous": of_images, "gating": "layers"},
            "uint8": {"inference": "hard"},
        }[name]
        images = images.astype(dtype)
        clf = small(**{"backbone": CONV, **one_epoch, **params})
        return clf.fit(images[:100], y), images[100:140], None
    return other(name, digits, encoder, one_epoch, X, y, z, rows)


def ensemble(name, digits, encoder, one_epoch, X, y, z, rows):
    """A case of ENSEMBLES."""
    two = {"n_seeds": 2, "random_state": 0}
    if name == "seeds":
        return SeedEnsembleClassifier(raw(encoder, **one_epoch), **two).fit(X, y), rows, None
    if name == "seeds, given text":
        _, X, labels = other("given text", digits, encoder, one_epoch, X, y, z, rows)
        clf = SeedEnsembleClassifier(raw("given", **one_epoch), **two)
        return clf.fit(X, digits.y[100:140], exogenous_target=labels), X, labels
    if name == "seeds between steps":
        members = make_pipeline(StandardScaler(), raw(encoder, **one_epoch))
        pipe = make_pipeline(MinMaxScaler(), SeedEnsembleClassifier(members, **two))
        return pipe.fit(X, y > 4), rows, None
    table, target = frame()
    train, y, new = table[:80], target[:80], table[80:].copy()
    new.iloc[0, 2] = "new"
    thin, depths = small("site", **one_epoch), [{"depth": 0}, {"depth": 3, "inference": "hard"}]
    if name == "other networks":
        return WeightedEnsembleClassifier(thin, depths, [3, 1]).fit(train, y), new, None
    if name == "ensemble of a search":
        grid = {"lr": [1e-2, 1e-3], "depth": [0, 2]}
        return StackedGridSearchCV(thin, grid, cv=2, refit="ensemble").fit(train, y), new, None
    if name == "ensemble of ensembles":
        depths = [{"estimator__depth": 0}, {"estimator__depth": 1}]
        seeds = WeightedEnsembleClassifier(SeedEnsembleClassifier(thin, **two), depths, [3, 1])
        return seeds.fit(train, y), new, None
    # members with held-out rows of their own, and so with units of their own
    reg = THINRegressor("site", backbone=SMALL, early_stopping=True, random_state=0, **one_epoch)
    if name == "seeds of regressors":
        seeds = SeedEnsembleRegressor(reg, **two)
        return seeds.fit(train, 1e6 + 3 * y + train.age), new, None
    numbers = np.column_stack([1e6 + 3 * y + train.age, train.age / 100, np.ones(80)])
    depths = [{"depth": 0, "random_state": 1}, {"depth": 3, "inference": "hard"}]
    return WeightedEnsembleRegressor(reg, depths, [3, 1]).fit(train, numbers), new, None


def other(name, digits, encoder, one_epoch, X, y, z, rows):
    """A case of OTHERS."""
    if name in ENSEMBLES:
        return ensemble(name, digits, encoder, one_epoch, X, y, z, rows)
    column = np.column_stack([digits.X, digits.z])
    two = [("ink", encoder), ("parts", FrozenEstimator(PCA(3).fit(X)))]
    if name == "encoder":
        return small_encoder(random_state=0).fit(X, z), rows, None
    if name == "prepared table":
        return small(**one_epoch).fit(X, y), rows, None
    if name == "two variables":
        return raw(two, **one_epoch).fit(X, y), rows, None
    if name == "two variables, alignment":
        pair = [("ink", encoder), ("again", encoder)]
        return raw(pair, dispelling="alignment", **one_epoch).fit(X, y), rows, None
    if name == "known column":
        new = column[100:140]
        new[0, 64], new[1, 64] = np.nan, 77  # a missing level, and one that the fit lacked
        return small(64, **one_epoch).fit(column[:100], y), new, None
    if name == "given":
        labels = digits.z[100:140].astype(float)
        labels[0] = np.nan
        clf = raw("given", **one_epoch).fit(X, y, exogenous_target=z)
        return clf, rows, labels
    if name == "given text":
        texts = np.array(["one", "two", "three", "four"])
        labels = np.array(texts[digits.z[100:140]], object)
        labels[:2] = None, "five"
        clf = raw("given", **one_epoch).fit(X, y, exogenous_target=texts[z])
        return clf, rows, labels
    if name == "given numbers":
        numbers, labels = number_of(X), number_of(rows)
        labels[:2] = np.nan, 1e9
        clf = raw("given", **one_epoch).fit(X, y, exogenous_target=numbers)
        return clf, rows, labels
    if name == "known number":
        X, rows = (np.column_stack([part, number_of(part)]) for part in (X, rows))
        X[0, 64], rows[0, 64], rows[1, 64] = -9999, np.nan, 1e9
        return small(64, **one_epoch).fit(X, y), rows, None
    if name == "pipeline":
        pipe = make_pipeline(MinMaxScaler(), StandardScaler(), raw(encoder, **one_epoch))
        return pipe.fit(X, y), rows, None
    if name == "search":
        grid = {"lr": [1e-2, 1e-3]}
        return GridSearchCV(raw(**one_epoch), grid, cv=2).fit(X, y % 2), rows, None
    if name == "two classes":
        return raw(encoder, **one_epoch).fit(X, y > 4), rows, None
    table, target = frame()
    train, new = table[:80], table[80:].copy()
    if name == "frame of numbers":
        names = ["length", "salt", "width", "age"]
        clf = small(["age", "length"], **one_epoch)
        return clf.fit(table[names][:80], target[:80]), table[names][80:], None
    new.iloc[0, 2] = "new"
    if name == "frame":
        return small(["site", "wet"], **one_epoch).fit(train, target[:80]), new, None
    reg = THINRegressor("site", backbone=SMALL, random_state=0, **one_epoch)
    numbers = 1e6 + 3 * target[:80] + train.age
    if name == "two outputs":
        numbers = np.column_stack([numbers, train.age / 100])
    return reg.fit(train, numbers), new, None
