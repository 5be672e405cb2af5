"""The models that people use for data with a known nuisance variable, and small searches of each.

Every model reads a frame whose column NUISANCE holds the level, beside the numbers of the table.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from torch import nn

from sklearn_thin import MLPBackbone, TablePreprocessor, THINClassifier
from sklearn_thin._compat import import_torchvision
from sklearn_thin.model_selection import SeedEnsembleClassifier
from sklearn_thin.training.batches import usual_sizes

NUISANCE = "nuisance"
ADVERSARIAL_EPOCHS = 50  # one is fairlearn's default


def frame_of(X, levels):
    """The frame that all models read, from a table (n, p) and the names of the levels (n,)."""
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    return frame.assign(**{NUISANCE: pd.Categorical(levels)})


def without_nuisance(frame):
    """The numbers alone."""
    return frame.drop(columns=NUISANCE)


def levels_of(frame):
    """The levels (n,) as text."""
    return frame[NUISANCE].astype(str).to_numpy()


def pooled(model):
    """A pipeline that hides the nuisance from the model."""
    return make_pipeline(FunctionTransformer(without_nuisance), model)


# ------------------------------------------------------------------ networks of this package


def thin(seed, **params):
    return THINClassifier(NUISANCE, device="cpu", random_state=seed, **params)


def film(seed, **params):
    """FiLM as published, of the default's width: all rows have their scales and shifts."""
    backbone = MLPBackbone((128, 128), dropout=0.2)
    return thin(seed, gating="layers", depth=0, **{"backbone": backbone, **params})


def plain(seed, **params):
    """A network without a gate. It encodes a column of categories as one-hot."""
    shared = {"depth": 0, "n_experts": 1, "device": "cpu", "random_state": seed}
    return THINClassifier(None, **shared, **params)


def five_seeds(make):
    """A maker of the mean of five networks that differ in their seeds, and train together."""
    return lambda seed, **params: SeedEnsembleClassifier(make(seed, **params), random_state=seed)


class GroupDRO(ClassifierMixin, BaseEstimator):
    """Weights of the levels that grow with their losses, anew in each epoch (Sagawa et al., 2020).

    Parameters
    ----------
    network : THINClassifier
    eta : float
        Step of the exponentiated gradient.
    """

    def __init__(self, network, eta=0.1):
        self.network = network
        self.eta = eta

    def fit(self, frame, y):
        X, levels = without_nuisance(frame), levels_of(frame)
        names, codes, counts = np.unique(levels, return_inverse=True, return_counts=True)
        self.classes_, classes = np.unique(y, return_inverse=True)
        self.network_ = clone(self.network)
        weights = np.ones(len(names))  # mean 1
        n_epochs = self.network.max_epochs
        if n_epochs == "auto":
            n_epochs = usual_sizes(X.shape, self.network.batch_size)["max_epochs"]
        for _ in range(n_epochs):
            each = weights[codes] * len(y) / (counts[codes] * len(names))
            self.network_.partial_fit(X, classes, sample_weight=each)
            proba = self.network_.predict_proba(X)[np.arange(len(y)), classes]
            losses = np.bincount(codes, -np.log(np.maximum(proba, 1e-7))) / counts
            weights *= np.exp(self.eta * losses)
            weights /= weights.mean()
        return self

    def predict(self, frame):
        return self.classes_[self.network_.predict(without_nuisance(frame))]


# -------------------------------------------------------------------------- other libraries


def linear(C=1.0):
    """A logistic regression of scaled numbers."""
    imputer = SimpleImputer(add_indicator=True)
    return make_pipeline(imputer, StandardScaler(), LogisticRegression(C=C, max_iter=500))


class PerLevel(ClassifierMixin, BaseEstimator):
    """A model of each level, and a model of all rows for new levels and levels of one class."""

    def __init__(self, model):
        self.model = model

    def fit(self, frame, y):
        X, levels = without_nuisance(frame), levels_of(frame)
        self.classes_ = np.unique(y)
        self.pooled_ = clone(self.model).fit(X, y)
        self.models_ = {}
        for level in np.unique(levels):
            rows = levels == level
            if len(np.unique(y[rows])) > 1:
                self.models_[level] = clone(self.model).fit(X[rows], y[rows])
        return self

    def predict(self, frame):
        X, levels = without_nuisance(frame), levels_of(frame)
        predicted = np.empty(len(X), self.classes_.dtype)
        for level in np.unique(levels):
            rows = levels == level
            predicted[rows] = self.models_.get(level, self.pooled_).predict(X[rows])
        return predicted


class Products(TransformerMixin, BaseEstimator):
    """Numbers, one-hot levels and their products, as a sparse matrix of scaled columns."""

    def fit(self, frame, y=None):
        numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
        self.numbers_ = numbers.fit(without_nuisance(frame))
        self.levels_ = OneHotEncoder(handle_unknown="ignore").fit(frame[[NUISANCE]])
        return self

    def transform(self, frame):
        X = self.numbers_.transform(without_nuisance(frame))  # (n, p)
        onehot = self.levels_.transform(frame[[NUISANCE]]).tocsc()  # (n, m)
        products = [onehot[:, [i]].multiply(X) for i in range(onehot.shape[1])]
        return sparse.hstack([X, onehot, *products], format="csr")


def interactions(seed, C=1.0):
    return make_pipeline(Products(), LogisticRegression(C=C, max_iter=500))


def boosting(seed, **params):
    return HistGradientBoostingClassifier(
        categorical_features="from_dtype", random_state=seed, **params
    )


def tabular(name, seed, **params):
    """A model of pytabkit, which reads the level as a category."""
    import_torchvision()  # which pytabkit imports, and which must fit to torch
    import pytabkit

    imputer = SimpleImputer(add_indicator=True).set_output(transform="pandas")
    numbers = make_column_transformer(
        (imputer, make_column_selector(dtype_include="number")),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    model = getattr(pytabkit, name)(device="cpu", n_threads=1, random_state=seed, **params)
    return make_pipeline(numbers, model)


class Adversarial(ClassifierMixin, BaseEstimator):
    """A network whose logits an adversary cannot tell the level from (Zhang et al., 2018)."""

    def __init__(self, seed=0, alpha=0.1, width=256):
        self.seed = seed
        self.alpha = alpha
        self.width = width

    def fit(self, frame, y):
        from fairlearn.adversarial import AdversarialFairnessClassifier

        self.table_ = TablePreprocessor().fit(without_nuisance(frame))
        self.model_ = AdversarialFairnessClassifier(
            backend="torch",
            predictor_model=[self.width, "relu", self.width, "relu"],
            adversary_model=[64, "relu"],
            alpha=self.alpha,
            epochs=ADVERSARIAL_EPOCHS,
            shuffle=True,
            random_state=self.seed,
        )
        X = self.table_.transform(without_nuisance(frame))
        self.model_.fit(X, y, sensitive_features=levels_of(frame))
        return self

    def predict(self, frame):
        return self.model_.predict(self.table_.transform(without_nuisance(frame)))


# ------------------------------------------------------------------------------ contenders


@dataclass(frozen=True)
class Contender:
    """How a model is made, its parameters in the small search, and what it needs.

    Attributes
    ----------
    make : callable
        `make(seed, **candidate)` is the estimator.
    candidates : tuple of dict
        The small search. `make(seed)` is the default; {} stands for it.
    package : str or None
        Must be installed.
    most_products : int or None
        Most products of columns and levels.
    own : bool
        Whether the model is of this package, and its results depend on the package's source.
    diverges : tuple of str
        Sets whose fits end with a loss that is not finite.
    """

    make: callable
    candidates: tuple = ({},)
    package: str | None = None
    most_products: int | None = None
    own: bool = True
    diverges: tuple = ()


def network(widths=(256, 256), dropout=0.0, epochs=15, weight_decay=1e-3, batch_size=256, **more):
    """A candidate that states all of a network's training, and no default of the package."""
    return {
        "backbone": MLPBackbone(widths, dropout),
        "max_epochs": epochs,
        "weight_decay": weight_decay,
        "batch_size": batch_size,
        "lr": 4e-3,
        **more,
    }


NARROW = (128, 128)
NETWORK = (
    {},
    network(),
    network(epochs=30),
    network(dropout=0.2),
    network(NARROW, dropout=0.2),
)
WAYS = (  # to use a known variable, all of them in one estimator
    {},  # gated layers
    {"max_epochs": 50},
    network((), depth=2, epochs=50, weight_decay=0.0, batch_size=32, lr=3e-3),  # linear experts
    {"gating": "layers", "depth": 0, "backbone": MLPBackbone(NARROW, dropout=0.2)},  # FiLM
    {"gating": "head", "depth": 0, "n_experts": 1},  # none: the variable is ignored
)
PENALTIES = ({"C": 0.01}, {"C": 0.1}, {"C": 1.0}, {"C": 10.0})
pytabkit = {"package": "pytabkit", "own": False}

CONTENDERS = {
    "THIN": Contender(thin, WAYS),
    "pooled network": Contender(lambda seed, **p: pooled(plain(seed, **p)), NETWORK),
    "network, level as feature": Contender(plain, NETWORK),
    "FiLM": Contender(film, NETWORK),
    "THIN, five seeds": Contender(five_seeds(thin)),
    "FiLM, five seeds": Contender(five_seeds(film)),
    "network per level": Contender(lambda seed, **p: PerLevel(plain(seed, **p)), NETWORK),
    "regression per level": Contender(
        lambda seed, **p: PerLevel(linear(**p)), PENALTIES, own=False
    ),
    "regression, interactions": Contender(interactions, PENALTIES, most_products=3000, own=False),
    "boosting": Contender(
        boosting,
        ({}, {"learning_rate": 0.05, "max_iter": 200}, {"max_leaf_nodes": 15}, {"max_depth": 3}),
        own=False,
    ),
    "RealMLP": Contender(
        lambda seed, **p: tabular("RealMLP_TD_Classifier", seed, **p),
        ({}, {"p_drop": 0.3}, {"hidden_width": 512}, {"lr": 0.1}),
        **pytabkit,
    ),
    "TabM": Contender(
        lambda seed, **p: tabular("TabM_D_Classifier", seed, **p),
        ({}, {"dropout": 0.0}, {"d_block": 256}, {"lr": 5e-3}),
        **pytabkit,
    ),
    "adversarial network": Contender(
        lambda seed, **p: Adversarial(seed, **p),
        ({}, {"alpha": 1.0}, {"alpha": 0.01}),
        package="fairlearn",
        own=False,
        diverges=("ecg_pvc",),
    ),
    "group DRO": Contender(
        lambda seed, eta=0.1, **p: GroupDRO(plain(seed, **p), eta),
        tuple({**candidate, "eta": eta} for candidate in NETWORK[3:] for eta in (0.1, 0.01)),
    ),
}


def count_parameters(model):
    """Trained numbers of a fitted model: weights, or leaves of trees; None if not known."""
    if isinstance(model, PerLevel):
        return sum(count_parameters(m) for m in (model.pooled_, *model.models_.values()))
    if isinstance(model, SeedEnsembleClassifier):
        return sum(map(count_parameters, model.estimators_))
    if hasattr(model, "steps"):
        return count_parameters(model.steps[-1][1])
    if isinstance(model, HistGradientBoostingClassifier):
        return sum(tree.get_n_leaf_nodes() for trees in model._predictors for tree in trees)
    if hasattr(model, "coef_"):
        return model.coef_.size + model.intercept_.size
    module = module_of(model)
    return sum(p.numel() for p in module.parameters()) if isinstance(module, nn.Module) else None


def module_of(model):
    """The torch module of a fitted network, or None."""
    if isinstance(model, Adversarial):
        return model.model_.backendEngine_.predictor_model
    part = getattr(model, "alg_interface_", None)  # of pytabkit, with parts in parts
    part = getattr(part, "sub_split_interfaces", [part])[0]
    if part is not None:
        return getattr(part, "model", getattr(part, "model_", None))
    return getattr(getattr(model, "network_", model), "module_", None)
