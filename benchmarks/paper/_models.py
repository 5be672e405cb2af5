"""The models of the paper: THINClassifier under the settings that make each of them."""

import time

import numpy as np
from _data import load, more_rotations
from _runs import memory
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier

# Parameters of THINClassifier; "encoder" says which one steers the gate, "lam" that λ is used.
MODELS = {
    "baseline": {"depth": 0},
    "simple ensemble": {"depth": 0, "n_experts": 8},
    "tree gate on h_endo": {"depth": 3},
    "exogenous gate, as in the paper": {"encoder": "paper", "gate_input": "representation"},
    "exogenous gate": {"encoder": "paper"},
    "THIN, as in the paper": {"encoder": "paper", "gate_input": "representation", "lam": True},
    "THIN": {"encoder": "paper", "lam": True},
    "exogenous gate, free labels": {"encoder": "free"},
    "THIN, free labels": {"encoder": "free", "lam": True},
    "THIN, free labels, erasure": {"encoder": "free", "lam": True, "dispelling": "erasure"},
    "oracle": {"encoder": "oracle"},
}


def common(spec):
    """Parameters that all networks share: the paper's setting."""
    return {
        "backbone": ConvNetBackbone(),
        "batch_size": 32,
        "device": spec["device"],
        "random_state": spec["seed"],
    }


@memory.cache
def fit_encoder(spec, kind):
    """An encoder of the rotation, and the seconds it took.

    "paper": trained on the images of the classifier. "free": trained for as many steps on
    rotations of its own, one for each image and epoch, as their labels cost nothing.
    """
    encoder = ExogenousEncoder(**common(spec), max_epochs=spec["epochs"])
    if kind == "free":
        X, z = more_rotations(spec["data"], spec["epochs"], spec["rows"])
        encoder.set_params(max_epochs=1)
    else:
        train = load(spec["dataset"], spec["data"], True, spec["rows"])
        X, z = train.X, train.z["rotation"]
    start = time.perf_counter()
    return encoder.fit(X, z), time.perf_counter() - start


def score_encoder(task):
    """Exact and within-one-bin accuracy in %."""
    spec, kind = task
    return _score_encoder(spec, kind)


@memory.cache
def _score_encoder(spec, kind):
    encoder, seconds = fit_encoder(spec, kind)
    test = load(spec["dataset"], spec["data"], False)
    off = np.abs(encoder.predict(test.X) - test.z["rotation"])
    return {
        "accuracy": 100 * np.mean(off == 0),
        "within one bin": 100 * np.mean(off <= 1),
        "parameters": n_parameters(encoder),
        "seconds": seconds,
    }


def score_model(task):
    """Test accuracy in %, parameters and seconds of one model."""
    spec, name = task
    return _score_model(spec, name)


@memory.cache
def _score_model(spec, name):
    params = dict(MODELS[name])
    kind = params.pop("encoder", None)
    if params.pop("lam", False):
        params["lam"] = spec["lam"]
    params = {**common(spec), "max_epochs": spec["epochs"], **params}
    train = load(spec["dataset"], spec["data"], True, spec["rows"])
    test = load(spec["dataset"], spec["data"], False)
    X, X_test, target = train.X, test.X, {}
    if kind == "oracle":
        model = oracle(params)
        X, X_test = with_label(train), with_label(test)
    elif kind is None:
        model = THINClassifier(**params)
    else:
        model = THINClassifier(FrozenEstimator(fit_encoder(spec, kind)[0]), **params)
        target = {"exogenous_target": train.z["rotation"]}
    start = time.perf_counter()
    model.fit(X, train.y, **target)
    seconds = time.perf_counter() - start
    return {
        "accuracy": 100 * model.score(X_test, test.y),
        "parameters": n_parameters(model),
        "seconds": seconds,
    }


def oracle(params):
    """A network whose gate reads the true class, one-hot, and whose backbone does not."""
    labels = OneHotEncoder(categories=[list(range(18))], sparse_output=False)
    params = {**params, "backbone": ConvNetBackbone(image_shape=(28, 28))}
    return THINClassifier(
        ColumnTransformer([("label", labels, [-1])]),
        endogenous=FunctionTransformer(pixels),
        **params,
    )


def with_label(part):
    """Flattened images with the true exogenous class as last column."""
    return np.column_stack([part.X.reshape(len(part.X), -1), part.z["rotation"]]).astype(np.uint8)


def pixels(X):
    """All columns but the last."""
    return X[:, :-1]


def n_parameters(estimator):
    """Trained parameters of the network."""
    return sum(weights.numel() for weights in estimator.module_.parameters())
