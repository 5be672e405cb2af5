"""The models of the paper: THINClassifier under the settings that make each of them."""

import sys
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from _data import (
    EXOGENOUS,
    FACES,
    N_LABELS,
    TRAINED_ON,
    encoder_part,
    part_of,
    scored_part,
    shrunk,
)
from _penalties import CovarianceTHIN, ReversalTHIN
from _runs import memory, run_named
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.inspection import leakage_score
from sklearn_thin.losses import cosine_dispelling

sys.path.append(str(Path(__file__).parents[2] / "examples"))  # where face_descriptor.py is
# Hidden units in each expert, or in the encoder's c, and none in the backbone.
PAPER_NETWORK = {"backbone": {"hidden_layer_sizes": ()}, "hidden_units": 256}
# The hidden layer in front of the experts, in the backbone, instead of a part of it in each of
# them; narrower than the baseline's 256, as eight experts of its width cost more parameters.
SHARED = {"backbone": {"hidden_layer_sizes": (240,)}, "hidden_units": 0}
DROPOUT = {"backbone": {"dropout": 0.5}}  # of h_endo; see docs/experiments.md
SHARED_DROPOUT = {**SHARED, "backbone": {**SHARED["backbone"], **DROPOUT["backbone"]}}
FREE = {"encoder": "free"}
ENCODERS = {"encoder, own images": "paper", "encoder, free labels": "free"}
OWN = {"encoder": "paper", **SHARED}
ALONE = "encoder alone, free labels"
# Parameters of THINClassifier; "encoder" says which one steers the gate, "lam" that λ is used,
# "penalty" which term λ weighs if not the paper's, "other_draws" that the classifier itself is
# trained on what an encoder with free labels is.
MODELS = {
    "baseline": {"depth": 0},
    "simple ensemble": {"depth": 0, "n_experts": 8},
    "tree gate on h_endo": {"depth": 3},
    "exogenous gate, as in the paper": {"encoder": "paper", "gate_input": "representation"},
    "THIN, as in the paper": {"encoder": "paper", "gate_input": "representation", "lam": True},
    "oracle": {"encoder": "oracle"},
    "exogenous gate": {"encoder": "paper"},
    "exogenous gate, free labels": FREE,
    ALONE: FREE,
    "baseline, shared layer": {"depth": 0, **SHARED},
    "baseline, as large as gate and encoder": {"depth": 0, "hidden_units": 512},
    "baseline, other draws": {"depth": 0, "other_draws": True},
    "exogenous gate, shared layer, other draws": {**FREE, **SHARED, "other_draws": True},
    "oracle, other draws": {"encoder": "oracle", "other_draws": True},
    "exogenous gate, own images, shared layer": OWN,
    "exogenous gate, shared layer": {**FREE, **SHARED},
    "exogenous gate, temperature 10": {**FREE, **SHARED, "temperature": 10.0},
    "exogenous gate, two leaves": {**FREE, **SHARED, "depth": 1},
    "THIN, cosine": {**FREE, **SHARED, "lam": True},
    "THIN, covariance": {**FREE, **SHARED, "lam": True, "penalty": CovarianceTHIN},
    "THIN, reversal": {**FREE, **SHARED, "lam": True, "penalty": ReversalTHIN},
    "THIN, erasure": {**FREE, **SHARED, "dispelling": "erasure"},
    "THIN, erasure and reversal": {
        **FREE,
        **SHARED,
        "lam": True,
        "dispelling": "erasure",
        "penalty": ReversalTHIN,
    },
    "THIN": {**FREE, **SHARED, "dispelling": "alignment"},
    "THIN and cosine": {**FREE, **SHARED, "dispelling": "alignment", "lam": True},
    "oracle, shared layer": {"encoder": "oracle", **SHARED},
    "exogenous gate, free labels, logits": {**FREE, "gate_input": "logits"},
    "exogenous gate, free labels, h_exo": {**FREE, "gate_input": "representation"},
    "baseline, dropout": {"depth": 0, **DROPOUT},
    "exogenous gate, free labels, dropout": {**FREE, **DROPOUT},
    "exogenous gate, shared layer, dropout": {**FREE, **SHARED_DROPOUT},
    "oracle, dropout": {"encoder": "oracle", **DROPOUT},
    "THIN, own images": {**OWN, "dispelling": "alignment"},
    "baseline, balanced": {"depth": 0, "class_weight": "balanced"},
    "exogenous gate, balanced": {**OWN, "class_weight": "balanced"},
    "THIN, balanced": {**OWN, "dispelling": "alignment", "class_weight": "balanced"},
    "pretrained gate, balanced": {
        "encoder": "pretrained",
        **SHARED,
        "gate_input": "representation",
        "class_weight": "balanced",
    },
}


def with_common(spec, params):
    """Parameters of a network with those that all share, the paper's network and setting."""
    params = {**PAPER_NETWORK, **params}
    backbone = {**PAPER_NETWORK["backbone"], **spec.get("backbone", {}), **params.pop("backbone")}
    on_gpu = spec["device"] != "cpu" and torch.cuda.is_available()
    return {
        "backbone": ConvNetBackbone(**backbone),
        "batch_size": 32,
        "device": spec["device"],
        "compile": on_gpu,  # a graph, as launches cost a small network most of its time there
        "random_state": spec["seed"],
        **params,
    }


def score_encoder(task):
    """Exact and within-one-bin accuracy in % of one encoder, parameters and seconds."""
    spec, kind = task
    (variable,) = variables(spec)
    encoder, seconds = encoder_of(spec, variable, kind)
    test = scored_part(spec)
    off = np.abs(encoder.predict(test.X) - test.z[variable])
    if variable in ("orientation", "tilt"):  # the last bin is next to the first
        off = np.minimum(off, N_LABELS[variable] - off)
    return {
        "accuracy": 100 * np.mean(off == 0),
        "within one bin": 100 * np.mean(off <= 1),
        "parameters": n_parameters(encoder),
        "seconds": seconds,
    }


def score_all(names, specs, args, description="", by=None):
    """Results of the models of these names, behind those of the encoders that they read.

    `by` is what each run is told of the gate; models without one are not told it.
    """
    by, names = by or {}, dict.fromkeys(names)
    read = {MODELS[name].get("encoder") for name in names}
    kinds = {name: (by, kind) for name, kind in ENCODERS.items() if kind in read}
    encoders = run_named(score_encoder, specs, kinds, args, f"{description}encoders")
    tasks = {name: (by if "encoder" in MODELS[name] else {}, name) for name in names}
    return {**encoders, **run_named(score_model, specs, tasks, args, f"{description}classifiers")}


def score_model(task):
    """Accuracy in % on the scored rows, parameters and seconds of one model."""
    spec, name = task
    if name == ALONE:
        return _score_alone(training(spec), scored(spec))
    params = model_params(spec, name)
    return _score_model(training(spec), params, scored(spec))


def oracle(params, n_labels, image_shape):
    """A network whose gate reads the true class, one-hot, and whose backbone does not."""
    labels = OneHotEncoder(categories=[list(range(n_labels))], sparse_output=False)
    model = THINClassifier(
        ColumnTransformer([("label", labels, [-1])]),
        endogenous=FunctionTransformer(pixels),
        **params,
    )
    return clone(model).set_params(backbone__image_shape=image_shape)


def with_label(part, variable):
    """Flattened images with the true exogenous class as last column."""
    return np.column_stack([part.X.reshape(len(part.X), -1), part.z[variable]]).astype(np.uint8)


def pixels(X):
    """All columns but the last."""
    return X[:, :-1]


def n_parameters(estimator):
    """Trained parameters of the network."""
    return sum(weights.numel() for weights in estimator.module_.parameters())


def variables(spec):
    """The exogenous variables that the gate reads."""
    return spec.get("variables", EXOGENOUS[spec["dataset"]])


def scored(spec):
    """What says which rows are scored, and nothing of the model."""
    return {name: spec[name] for name in ("dataset", "test_rows", "unseen") if name in spec}


def training(spec):
    """The setting without what the fitted model does not depend on."""
    rest = ("lam", "test_rows", "unseen", "probe_c")
    spec = {name: value for name, value in spec.items() if name not in rest}
    return {**spec, "dataset": TRAINED_ON.get(spec["dataset"], spec["dataset"])}


def model_params(spec, name):
    """Parameters of one of MODELS; those of the models and λ that come to the same are equal."""
    params = dict(MODELS[name])
    if params.pop("lam", False) and spec["lam"] > 0:
        params["lam"] = spec["lam"]
    if spec.get("augment"):
        params["augment"] = FACES
    if params.get("encoder") == "pretrained":  # it reads larger images than the backbone
        params["endogenous"] = FunctionTransformer(shrunk, kw_args={"side": spec["side"]})
    return params


def encoder_of(spec, variable, kind):
    """The encoder of one variable, and the seconds it took.

    "paper": trained on the images of the classifier. "free": trained for as many steps on
    other draws of the data, whose exogenous labels cost nothing; its hidden layer is part of
    h_exo, so that it reads the h_endo of the models that share theirs.
    """
    spec = {name: value for name, value in training(spec).items() if name != "variables"}
    return _fit_encoder(spec, variable, kind)


@memory.cache
def _fit_encoder(spec, variable, kind):
    part, n_copies = encoder_part(spec, kind)
    params = {"max_epochs": spec["epochs"] // n_copies, **(SHARED if kind == "free" else {})}
    encoder = ExogenousEncoder(**with_common(spec, params))
    start = time.perf_counter()
    return encoder.fit(part.X, part.z[variable]), time.perf_counter() - start


def prepare_encoder(task):
    """Train an encoder, for models that are to find it, and say what it took."""
    spec, kind = task
    (variable,) = variables(spec)
    encoder, seconds = encoder_of(spec, variable, kind)
    return {"classes": len(encoder.classes_), "seconds": seconds}


def exogenous(spec, kind):
    """The exogenous side of a model: none, one encoder, or a list of them with their names."""
    if kind is None:
        return None
    if kind == "pretrained":
        from face_descriptor import FaceDescriptor  # needs sklearn-thin[faces]

        return FaceDescriptor(memory=memory)
    named = [(v, FrozenEstimator(encoder_of(spec, v, kind)[0])) for v in variables(spec)]
    return named if len(named) > 1 else named[0][1]


def softened(predictor, temperature):
    """A linear predictor, its logits divided by the temperature: softer probabilities."""
    softer = deepcopy(predictor)
    with torch.no_grad():
        for weights in softer.parameters():
            weights.div_(temperature)
    return softer


@memory.cache
def fit_model(spec, params):
    """A model of any data set, and the seconds it took."""
    params = dict(params)
    kind, penalty = params.pop("encoder", None), params.pop("penalty", None)
    temperature = params.pop("temperature", None)
    if params.pop("other_draws", False):
        train, n_copies = encoder_part(spec, "free")
    else:
        train, n_copies = part_of(spec, True, spec["rows"]), 1
    params = with_common(spec, {"max_epochs": spec["epochs"] // n_copies, **params})
    if penalty is ReversalTHIN:  # whose adversary takes steps of its own inside of a step
        params["compile"] = False
    X, target = train.X, {}
    if kind == "oracle":
        (variable,) = variables(spec)
        X = with_label(train, variable)
        model = oracle(params, N_LABELS[variable], train.X.shape[1:])
    else:
        side = exogenous(spec, kind)
        if temperature is not None:
            params["exogenous_predictor"] = softened(side.predictor_, temperature)
        model = (penalty or THINClassifier)(side, **params)
    if model.dispelling == "erasure":
        target["exogenous_target"] = np.column_stack([train.z[v] for v in variables(spec)])
    start = time.perf_counter()
    model.fit(X, train.y, **target)
    return model, time.perf_counter() - start


def predictions(spec, params, model, test):
    """Classes of the test rows; the oracle is told the exogenous one."""
    told = params.get("encoder") == "oracle"
    return model.predict(with_label(test, *variables(spec)) if told else test.X)


def count_errors(task):
    """How many test rows of each class (n_classes, n_classes) are taken for each."""
    spec, name = task
    params = model_params(spec, name)
    test = scored_part(spec)
    predicted = predictions(spec, params, fit_model(training(spec), params)[0], test)
    return confusion_matrix(test.y, predicted, labels=np.unique(part_of(spec, True).y))


@memory.cache
def _score_model(spec, params, scored):
    model, seconds = fit_model(spec, params)
    test = scored_part({**spec, **scored})
    predicted = predictions(spec, params, model, test)
    return {
        "accuracy": 100 * np.mean(predicted == test.y),
        "balanced accuracy": 100 * balanced_accuracy_score(test.y, predicted),
        "parameters": n_parameters(model),
        "seconds": seconds,
    }


@memory.cache
def _score_alone(spec, scored):
    """What an MLP makes of the encoder's probabilities, which do not mean to tell the class."""
    (variable,) = variables(spec)
    encoder, _ = encoder_of(spec, variable, "free")
    said = FrozenEstimator(FunctionTransformer(encoder.predict_proba))
    params = {"max_epochs": spec["epochs"], **SHARED, "depth": 0, "endogenous": said}
    params = {**with_common(spec, params), "backbone": MLPBackbone((256,))}
    train = part_of(spec, True, spec["rows"])
    model, start = THINClassifier(**params), time.perf_counter()
    model.fit(train.X, train.y)
    seconds = time.perf_counter() - start
    test = scored_part({**spec, **scored})
    return {
        "accuracy": 100 * model.score(test.X, test.y),
        "parameters": n_parameters(model),
        "seconds": seconds,
    }


def measure_dispelling(task):
    """Accuracy of one model in %, and what is still said of the exogenous variable.

    The mean |cos| of what c says of h_exo and of h_endo, in training (where the loss has the
    term) and on the test rows; and how much fresh probes, trained on one half of the test
    rows' h_endo, read on the other half (`leakage_score`, whose linear probe may get another C).
    """
    spec, name = task
    more = spec.get("test_rows"), spec.get("probe_c")
    return _measure_dispelling(training(spec), model_params(spec, name), *more)


@memory.cache
def _measure_dispelling(spec, params, test_rows, probe_c):
    model, seconds = fit_model(spec, params)
    test = part_of(spec, False).first(test_rows)
    (variable,) = variables(spec)
    h, z = model.transform(test.X), test.z[variable]
    probes = {"linear": "linear", "mlp": "mlp"}
    if probe_c is not None:
        freer = LogisticRegression(C=probe_c, max_iter=1000)
        probes["linear"] = make_pipeline(StandardScaler(), freer)
    leakage = {
        name: dict(leakage_score(h, z, probe=probe, random_state=spec["seed"]))
        for name, probe in probes.items()
    }
    encoder, _ = encoder_of(spec, variable, "free")  # as in the gates that are compared
    return {
        "accuracy": 100 * model.score(test.X, test.y),
        "cosine in training": model.history_[-1].get("train_dispelling"),
        "cosine": mean_cosine(encoder, test.X, h),
        "leakage": leakage,
        "seconds": seconds,
    }


@torch.inference_mode()
def mean_cosine(encoder, X, h):
    """Mean |cos(c(h_exo), c(h_endo))| over the rows."""
    c = encoder.predictor_
    device = next(c.parameters()).device
    z_exo, z_endo = (c(torch.from_numpy(rows).to(device)) for rows in (encoder.transform(X), h))
    return cosine_dispelling(z_exo, z_endo).mean().item()


def gate_weights(task):
    """Mixture weights (n, n_experts) and most probable leaves (n,) of one model, on scored rows."""
    spec, name = task
    model, _ = fit_model(training(spec), model_params(spec, name))
    X = scored_part(spec).X
    return {"weights": model.gate_proba(X), "leaf": model.apply(X)}
