"""Exogenous predictors c, whatever they came from, as frozen torch heads."""

import copy

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

READABLE = (LinearClassifierMixin, MLPClassifier, NeuralNet, nn.Module)
_ACTIVATIONS = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}


class ExpertHead(nn.Module):
    """The one expert of an encoder as c: h -> logits, (n, width) -> (n, classes)."""

    def __init__(self, experts):
        super().__init__()
        self.experts = experts

    def forward(self, h):
        return self.experts(h).squeeze(1)


class BinaryLogits(nn.Module):
    """One decision value as the logits of two classes: (n, 1) -> (n, 2).

    ∓s/2 has the softmax of (0, s), and a direction that means something to a cosine.
    """

    def forward(self, s):
        return torch.cat([-s / 2, s / 2], dim=1)


class LogProbabilities(nn.Module):
    """Probabilities as logits."""

    def forward(self, proba):
        return torch.log(proba + torch.finfo(proba.dtype).eps)


class Logit(nn.Module):
    """Probabilities of the second of two classes as decision values."""

    def forward(self, proba):
        return torch.logit(proba, torch.finfo(proba.dtype).eps)


class ClassLogits(nn.Module):
    """A network whose one value a row, if it gives no more, becomes the logits of two classes.

    Of a single logit the softmax is 1 and the cosine ±1 whatever it is, which would tell a gate
    nothing and dispel nothing.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.binary = BinaryLogits()

    def forward(self, h):
        z = self.network(h)
        if z.ndim < 2 and z.numel() == len(h):  # skorch's binary nets may give a flat output
            z = z.reshape(len(h), 1)
        if z.ndim != 2:
            raise ValueError(
                "exogenous_predictor must give logits of shape (n_samples, n_classes), or one for "
                f"two classes, (n_samples, 1) or (n_samples,), but {type(self.network).__name__} "
                f"gave {tuple(z.shape)} for {len(h)} rows; flatten its output"
            )
        return self.binary(z) if z.shape[1] == 1 else z


def check_predictor(predictor, *, fitted=False):
    """Raise where a classifier is none that can be c, before anything is fitted.

    Raises
    ------
    TypeError
        Where gradients cannot pass through it.
    NotFittedError
        Where it is frozen, or to be `fitted`, and is not.
    """
    frozen = isinstance(predictor, FrozenEstimator)
    inner = predictor.estimator if frozen else predictor
    if not isinstance(inner, READABLE):
        raise TypeError(
            "exogenous_predictor must be a linear scikit-learn classifier, an MLPClassifier, "
            "a skorch net or a torch.nn.Module, so that gradients can pass through it; got "
            f"{type(inner).__name__}"
        )
    if (frozen or fitted) and not isinstance(inner, nn.Module):
        check_is_fitted(inner)


def frozen_head(predictor):
    """A frozen torch copy of a fitted classifier of h_exo.

    Parameters
    ----------
    predictor : Module, skorch net, FrozenEstimator, linear classifier or MLPClassifier
        Fitted. Of a linear one-versus-rest classifier the decision values are read as
        logits; a network's single output is that of two classes.

    Returns
    -------
    Module
        In eval mode, no parameter of which asks for a gradient.

    Raises
    ------
    TypeError, NotFittedError
        As :func:`check_predictor`.
    ValueError
        By the head, where a network gives no row of logits for a row.
    """
    check_predictor(predictor, fitted=True)
    if isinstance(predictor, FrozenEstimator):
        predictor = predictor.estimator
    if isinstance(predictor, nn.Module):
        head = ClassLogits(copy.deepcopy(predictor))
    elif isinstance(predictor, NeuralNet):
        head = ClassLogits(_skorch(predictor))
    elif isinstance(predictor, MLPClassifier):
        head = _multilayer(predictor)
    else:
        head = _with_class_logits([_affine(_dense(predictor.coef_), predictor.intercept_)])
    return head.eval().requires_grad_(False)


def readable_labels(predictor, z):
    """Labels that the predictor can be fitted on: skorch reads numbers alone, so words get codes.

    Parameters
    ----------
    predictor : classifier
    z : array-like of shape (n_samples,)

    Returns
    -------
    array-like of shape (n_samples,)
        Numbers as they are: which of them a net takes, skorch says itself.
    """
    if not isinstance(predictor, NeuralNet) or np.asarray(z).dtype.kind in "iuf":
        return z
    codes = np.unique(z, return_inverse=True)[1]
    binary = isinstance(predictor, NeuralNetBinaryClassifier)
    return codes.astype(np.float32 if binary else np.int64)


def _dense(coef):
    """Coefficients as a 2-D array: some classifiers have them sparse, or flat for two classes."""
    return np.atleast_2d(coef.toarray() if hasattr(coef, "toarray") else coef)


def _skorch(net):
    head = copy.deepcopy(net.module_)
    if isinstance(net, NeuralNetClassifier) and isinstance(net.criterion_, nn.NLLLoss):
        return nn.Sequential(head, LogProbabilities())  # as skorch itself does in its loss
    if isinstance(net, NeuralNetBinaryClassifier) and isinstance(net.criterion_, nn.BCELoss):
        return nn.Sequential(head, Logit())
    return head


def _affine(weight, bias):
    """h ↦ W·h + b with W of shape (out, in)."""
    weight = torch.tensor(np.asarray(weight), dtype=torch.float32)
    bias = torch.tensor(np.broadcast_to(bias, len(weight)).copy(), dtype=torch.float32)
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _with_class_logits(layers):
    """The layers as one module; a single output becomes the logits of two classes."""
    binary = [BinaryLogits()] if layers[-1].out_features == 1 else []
    return nn.Sequential(*layers, *binary)


def _multilayer(classifier):
    layers = []
    for weight, bias in zip(classifier.coefs_, classifier.intercepts_, strict=True):
        layers += [_affine(weight.T, bias), _ACTIVATIONS[classifier.activation]()]
    return _with_class_logits(layers[:-1])  # the last activation is the softmax's
