"""Exogenous predictors c of several libraries as frozen torch heads."""

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from sklearn_thin._pickling import copied
from sklearn_thin.modules.heads import BinaryLogits, ClassLogits, Logit, LogProbabilities
from sklearn_thin.rows.labels import plain_labels

READABLE = (LinearClassifierMixin, MLPClassifier, NeuralNet, nn.Module)
_ACTIVATIONS = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}


def check_predictor(predictor, *, fitted=False):
    """Raise TypeError for a classifier that cannot be c, NotFittedError for an unfitted one."""
    frozen = isinstance(predictor, FrozenEstimator)
    inner = predictor.estimator if frozen else predictor
    if not isinstance(inner, READABLE):
        raise TypeError(
            "exogenous_predictor must be a linear scikit-learn classifier, an MLPClassifier, "
            "a skorch net or a torch.nn.Module, so that gradients can pass through it; got "
            + (f"the class {inner.__name__}" if isinstance(inner, type) else type(inner).__name__)
        )
    if (frozen or fitted) and not isinstance(inner, nn.Module):
        check_is_fitted(inner)


def frozen_head(predictor):
    """A frozen torch copy, in eval mode, of a fitted classifier of h_exo.

    Decision values of a linear one-versus-rest classifier become logits, and a single output of a
    network the logits of two classes. The head raises ValueError where a network does not give a
    row of logits for each row.
    """
    check_predictor(predictor, fitted=True)
    if isinstance(predictor, FrozenEstimator):
        predictor = predictor.estimator
    if isinstance(predictor, nn.Module):
        return ClassLogits.frozen(copied(predictor))
    if isinstance(predictor, NeuralNet):
        head = ClassLogits(_skorch(predictor))
    elif isinstance(predictor, MLPClassifier):
        head = _multilayer(predictor)
    else:
        head = _with_class_logits([_affine(_dense(predictor.coef_), predictor.intercept_)])
    return head.cpu().eval().requires_grad_(False)


def readable_labels(predictor, z):
    """Labels to fit the predictor on; words become codes for skorch, which reads numbers alone."""
    z = plain_labels(z)
    if not isinstance(predictor, NeuralNet) or z.dtype.kind in "iuf":
        return z
    codes = np.unique(z, return_inverse=True)[1]
    binary = isinstance(predictor, NeuralNetBinaryClassifier)
    return codes.astype(np.float32 if binary else np.int64)


def _dense(coef):
    """Coefficients as a 2-D array, from sparse ones or, for two classes, flat ones."""
    return np.atleast_2d(coef.toarray() if hasattr(coef, "toarray") else coef)


def _skorch(net):
    head = copied(net.module_)
    if isinstance(net, NeuralNetClassifier) and isinstance(net.criterion_, nn.NLLLoss):
        return nn.Sequential(head, LogProbabilities())  # as skorch does in its loss
    if isinstance(net, NeuralNetBinaryClassifier) and isinstance(net.criterion_, nn.BCELoss):
        return nn.Sequential(head, Logit())
    return head


def _affine(weight, bias):
    """h ↦ W·h + b with W of shape (out, in)."""
    weight = torch.tensor(np.asarray(weight), dtype=torch.float32)
    bias = torch.tensor(np.broadcast_to(bias, len(weight)).copy(), dtype=torch.float32)
    with torch.device("meta"):  # its first weights draw no random numbers
        layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias}, assign=True)
    return layer


def _with_class_logits(layers):
    """The layers as one module; a single output becomes the logits of two classes."""
    binary = [BinaryLogits()] if layers[-1].out_features == 1 else []
    return nn.Sequential(*layers, *binary)


def _multilayer(classifier):
    layers = []
    for weight, bias in zip(classifier.coefs_, classifier.intercepts_, strict=True):
        layers += [_affine(weight.T, bias), _ACTIVATIONS[classifier.activation]()]
    return _with_class_logits(layers[:-1])  # a softmax comes after the last layer instead
