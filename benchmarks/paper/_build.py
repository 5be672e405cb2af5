"""One builder for all models: a Model and a Setting become a fitted classifier."""

import time
from copy import deepcopy
from dataclasses import replace
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import torch
from _cache import memory
from _data import FACES, FREE, LONG, N_LABELS, PASSES, encoder_part, part_of
from _models import ORACLE, PRETRAINED
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier
from sklearn_thin.dispelling import Erasure
from sklearn_thin.training.stacks import in_stacks, train_together

EXAMPLES = Path(__file__).parents[2] / "examples"
HIDDEN_UNITS = 256  # the paper's, divided among the experts
SHARED_WIDTH = 240  # narrower, as eight experts of the full width have more parameters


def fit(model, setting):
    """The fitted classifier, and the seconds of its fit; kept in the cache."""
    setting = read_by(model, setting).for_training()
    if setting.stack is None:
        return _fit(model, setting)
    return _fit_stack(model, replace(setting, seed=0))[setting.seed]


@memory.cache
def _fit(model, setting):
    classifier, rows, labels = unfitted(model, setting)
    start = time.perf_counter()
    classifier.fit(*rows, **labels)
    return classifier, time.perf_counter() - start


@memory.cache
def _fit_stack(model, setting):
    return train_stack([unfitted(model, each) for each in setting.seeds_of_stack()])


def train_stack(fits):
    """Estimators, trained together, each with its share of the seconds.

    `fits` are (estimator, (X, y), parameters of its plan).
    """
    start = time.perf_counter()
    plans = [plan(estimator, *rows, **labels) for estimator, rows, labels in fits]
    planning = (time.perf_counter() - start) / len(fits)
    trained = [None] * len(fits)
    for stack in in_stacks(plans):
        results, seconds = train_together([plans[index] for index in stack])
        for index, net, share in zip(stack, results, seconds, strict=True):
            if isinstance(net, Exception):
                raise net
            trained[index] = fits[index][0].keep(net), planning + share
    return trained


def plan(estimator, X, y, **labels):
    """The plan of a fit; encoders have no public one."""
    if isinstance(estimator, ExogenousEncoder):
        return estimator._plan(X, y, before=None, epochs=None)
    return estimator.plan(X, y, **labels)


def unfitted(model, setting):
    """The classifier, its rows, and the labels that its fit gets."""
    if model.other_draws:
        train, n_copies = encoder_part(setting, FREE)
    else:
        train, n_copies = part_of(setting, True, setting.rows), 1
    classifier = build(model, setting, train.X.shape[1:])
    classifier.set_params(max_epochs=setting.epochs // n_copies)
    labels = {}
    if isinstance(classifier.dispelling, Erasure):
        columns = [train.z[variable] for variable in setting.gate_variables]
        labels["exogenous_target"] = np.column_stack(columns)
    return classifier, (inputs(model, setting, train), train.y), labels


def build(model, setting, image_shape):
    """The classifier, unfitted, and its exogenous side, fitted."""
    params = network(setting, model.shared_layer, model.dropout, model.width, model.modulated)
    if setting.augment:
        params["augment"] = FACES
    exogenous = exogenous_side(model, setting)
    if model.encoder == ORACLE:
        params["backbone"].set_params(image_shape=image_shape)
        params["endogenous"] = FunctionTransformer(pixels)
    if model.encoder_alone:
        params["endogenous"] = FrozenEstimator(FunctionTransformer(exogenous.predict_proba))
        exogenous = None
    if model.temperature is not None:
        params["exogenous_predictor"] = softened(exogenous.predictor_, model.temperature)
    classifier = clone(THINClassifier(exogenous, **{**params, **model.params}))
    if "dispelling__random_state" in classifier.get_params():  # of an adversary
        classifier.set_params(dispelling__random_state=setting.seed)
    return classifier


def network(setting, shared_layer, dropout=0.0, width=None, modulated=False):
    """Parameters that encoders and classifiers share: the paper's network and training."""
    on_gpu = setting.device != "cpu" and torch.cuda.is_available()
    widths = (width or SHARED_WIDTH,) if shared_layer else ()
    kind = ModulatedConvNet if modulated else ConvNetBackbone
    return {
        "backbone": kind(hidden_layer_sizes=widths, dropout=dropout, **setting.backbone),
        "hidden_units": 0 if shared_layer else HIDDEN_UNITS,
        "batch_size": 32,
        "device": setting.device,
        "compile": on_gpu,  # a graph, as launches take most of a small network's time there
        "random_state": setting.seed,
    }


class ModulatedConvNet(ConvNetBackbone):
    """Its linear blocks have one map each, which the gate's input scales and shifts (FiLM)."""

    def build_gated(self, input_shape, n_experts, gate_features):
        return super().build_gated(input_shape, 1, gate_features)


def read_by(model, setting):
    """The setting with the variables that the gate of the model reads: none without an encoder."""
    return replace(setting, variables=setting.gate_variables if model.encoder else ())


# ----------------------------------------------------------------------- exogenous side


def exogenous_side(model, setting):
    """None, a transformer, a frozen encoder, or a list of named frozen encoders."""
    if model.encoder is None:
        return None
    if model.encoder == PRETRAINED:
        return FunctionTransformer(face_descriptors)
    if model.encoder == ORACLE:
        (variable,) = setting.gate_variables
        categories = [list(range(N_LABELS[variable]))]
        labels = OneHotEncoder(categories=categories, sparse_output=False)
        return ColumnTransformer([("label", labels, [-1])])
    named = [
        (variable, FrozenEstimator(fit_encoder(setting, model.encoder, variable)[0]))
        for variable in setting.gate_variables
    ]
    return named if len(named) > 1 else named[0][1]


def fit_encoder(setting, kind, variable):
    """The encoder of one variable, OWN or FREE, and the seconds of its fit; kept in the cache.

    The hidden layer of FREE is part of h_exo, so that its predictor reads the h_endo of the models
    with a shared layer.
    """
    setting = setting.for_encoder()
    if setting.stack is None:
        return _fit_encoder(setting, kind, variable)
    return _fit_encoder_stack(replace(setting, seed=0), kind, variable)[setting.seed]


@memory.cache
def _fit_encoder(setting, kind, variable):
    encoder, rows = unfitted_encoder(setting, kind, variable)
    start = time.perf_counter()
    return encoder.fit(*rows), time.perf_counter() - start


@memory.cache
def _fit_encoder_stack(setting, kind, variable):
    part = encoder_part(setting, kind) if kind in (FREE, LONG) else None  # of all seeds
    settings = setting.seeds_of_stack()
    return train_stack([(*unfitted_encoder(each, kind, variable, part), {}) for each in settings])


def unfitted_encoder(setting, kind, variable, part=None):
    """The encoder, and its rows."""
    part, n_copies = part or encoder_part(setting, kind)
    params = network(setting, shared_layer=kind in (FREE, LONG))
    epochs = setting.epochs * PASSES[kind] // n_copies
    return ExogenousEncoder(**params, max_epochs=epochs), (part.X, part.z[variable])


def softened(predictor, temperature):
    """A linear predictor with its logits divided by the temperature: softer probabilities."""
    softer = deepcopy(predictor)
    with torch.no_grad():
        for weights in softer.parameters():
            weights.div_(temperature)
    return softer


def face_descriptors(images):
    """Descriptors of the pretrained network in `examples/face_descriptor.py`."""
    return face_descriptor_example().FaceDescriptor(memory=memory).transform(images)


@cache
def face_descriptor_example():
    """The example's module, which needs sklearn-thin[faces]; examples/ is no package."""
    spec = spec_from_file_location("face_descriptor", EXAMPLES / "face_descriptor.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------------------- rows


def inputs(model, setting, part):
    """The X of a model: images, and for the oracle flattened images beside the true label."""
    if model.encoder != ORACLE:
        return part.X
    (variable,) = setting.gate_variables
    return np.column_stack([part.X.reshape(len(part.X), -1), part.z[variable]]).astype(np.uint8)


def pixels(X):
    """All columns except the last."""
    return X[:, :-1]
