"""The figures of one run, each a function of a Setting and of a model or an encoder."""

from dataclasses import replace

import numpy as np
import torch
from _build import fit, fit_encoder, inputs, read_by
from _cache import memory
from _command import run_all, run_rows
from _data import FREE, N_LABELS, PASSES, part_of, scored_part
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from sklearn_thin.inspection import leakage_score
from sklearn_thin.losses import cosine_dispelling


def score_models(rows, settings, args):
    """Scores of the encoders that the models read, and of the models: name -> results."""
    read = {model.encoder for _, model in rows.values()}
    encoders = {f"encoder, {kind}": ({}, kind) for kind in PASSES if kind in read}
    scored = run_rows(score_encoder, encoders, settings, args, "encoders")
    return {**scored, **run_models(score_model, rows, settings, args)}


def run_models(function, rows, settings, args):
    """`function(setting, model)` of every row, once the encoders of all models are fitted.

    Models that run side by side then find the encoder that they share.
    """
    encoders = []
    for changes, model in rows.values():
        for setting in settings if model.encoder in PASSES else ():
            changed = replace(setting, **changes)
            for variable in changed.gate_variables:
                encoder = changed.for_encoder(), model.encoder, variable
                if encoder not in encoders:
                    encoders.append(encoder)
    run_all(fit_encoder, encoders, args, "encoders")
    return run_rows(function, rows, settings, args, "classifiers")


def score_encoder(setting, kind):
    """Exact and within-one-bin accuracy in % of one encoder, parameters and seconds."""
    (variable,) = setting.gate_variables
    encoder, seconds = fit_encoder(setting, kind, variable)
    test = scored_part(setting)
    off = np.abs(encoder.predict(test.X) - test.z[variable])
    if variable in ("orientation", "tilt"):  # the last bin is next to the first
        off = np.minimum(off, N_LABELS[variable] - off)
    return {
        "accuracy": 100 * np.mean(off == 0),
        "within one bin": 100 * np.mean(off <= 1),
        "parameters": n_parameters(encoder),
        "seconds": seconds,
    }


@memory.cache
def score_pairs(setting, kind):
    """AUC of the cosine of two images for showing one person, on the scored people.

    By pixels, by h_exo and by the encoder's probabilities, all centred.
    """
    (variable,) = setting.gate_variables
    encoder, _ = fit_encoder(setting, kind, variable)
    test = scored_part(setting)
    rows, other = np.triu_indices(len(test.y), 1)
    same = test.z[variable][rows] == test.z[variable][other]
    read = {
        "pixels": test.X.reshape(len(test.y), -1),
        "h_exo": encoder.transform(test.X),
        "probabilities": encoder.predict_proba(test.X),
    }
    found = {}
    for name, values in read.items():
        centred = normalize(values - values.mean(0, dtype=np.float64))  # (n, width)
        found[name] = roc_auc_score(same, (centred @ centred.T)[rows, other])
    return found


def score_model(setting, model):
    """Accuracy in % on the scored rows, parameters and seconds of one model."""
    return _score_model(read_by(model, setting), model)


@memory.cache
def _score_model(setting, model):
    classifier, seconds = fit(model, setting)
    test = scored_part(setting)
    predicted = classifier.predict(inputs(model, setting, test))
    return {
        "accuracy": 100 * np.mean(predicted == test.y),
        "balanced accuracy": 100 * balanced_accuracy_score(test.y, predicted),
        "parameters": n_parameters(classifier),
        "seconds": seconds,
    }


def n_parameters(estimator):
    """Trained parameters of the network."""
    return sum(weights.numel() for weights in estimator.module_.parameters())


def count_errors(setting, model):
    """Test rows by class and by predicted class: (n_classes, n_classes)."""
    classifier, _ = fit(model, setting)
    test = scored_part(setting)
    predicted = classifier.predict(inputs(model, setting, test))
    return confusion_matrix(test.y, predicted, labels=np.unique(part_of(setting, True).y))


def gate_weights(setting, model):
    """Mixture weights (n, n_experts) and most probable leaves (n,) of the scored rows."""
    classifier, _ = fit(model, setting)
    X = inputs(model, setting, scored_part(setting))
    return {"weights": classifier.gate_proba(X), "leaf": classifier.apply(X)}


@memory.cache
def measure_dispelling(setting, model, probe_c=None):
    """Accuracy of one model in %, and the information on the exogenous variable in its h_endo.

    "cosine" is the mean |cos| of the predictor's outputs for h_exo and for h_endo, on the test
    rows and, where the loss has the term, in training. "leakage" is of fresh probes: trained on
    one half of the test rows' h_endo, scored on the other half. `probe_c` is the linear probe's C.
    """
    classifier, seconds = fit(model, setting)
    test = scored_part(setting)
    (variable,) = setting.gate_variables
    h, z = classifier.transform(test.X), test.z[variable]
    probes = {"linear": "linear", "mlp": "mlp"}
    if probe_c is not None:
        freer = LogisticRegression(C=probe_c, max_iter=1000)
        probes["linear"] = make_pipeline(StandardScaler(), freer)
    leakage = {
        name: dict(leakage_score(h, z, probe=probe, random_state=setting.seed))
        for name, probe in probes.items()
    }
    encoder, _ = fit_encoder(setting, FREE, variable)  # as in the gates that are compared
    return {
        "accuracy": 100 * classifier.score(test.X, test.y),
        "cosine in training": classifier.history_[-1].get("train_dispelling"),
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
