"""The exogenous side: from X to what the gate reads and what is to be dispelled.

:func:`check_exogenous` says what is wrong before the fit, :func:`fit_exogenous` turns
whatever the user passed as `exogenous` into a frozen :class:`ExogenousSide`, and
:class:`Dispeller` is its part of the loss.
"""

import copy

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from torch import nn

from sklearn_thin._forward import as_float
from sklearn_thin._frozen import ExogenousSide, ExogenousVariable, represent
from sklearn_thin._heads import frozen_head
from sklearn_thin._random import set_missing_random_states
from sklearn_thin._validation import encode_labels
from sklearn_thin.losses import cosine_dispelling

BROUGHT = "brought"  # stands for the predictor that a transformer brings with it


class Dispeller:
    """The dispelling term on a batch: mean over the exogenous variables, one value a row.

    Holds its own frozen copies of the predictors, so that training moves and changes
    nothing that belongs to the user. It is no module, and so out of `train()`'s reach.

    Parameters
    ----------
    heads : list of Module
        c of each variable.
    width : int
        Of h_endo, which every c must read.
    device : torch.device

    Raises
    ------
    ValueError
        Where a predictor does not read `width` features.
    """

    def __init__(self, heads, width, device):
        self.heads = [copy.deepcopy(head).to(device) for head in heads]
        self.sizes = [head_outputs(head, width, device) for head in self.heads]

    def __call__(self, exogenous_logits, h):
        return self.terms(self.heads, exogenous_logits, h)

    def terms(self, heads, exogenous_logits, h):
        """The term with these heads, (n,)."""
        parts = exogenous_logits.split(self.sizes, dim=1)
        values = [cosine_dispelling(z, head(h)) for z, head in zip(parts, heads, strict=True)]
        return torch.stack(values).mean(0)  # (n,)


class Augmentation:
    """A training batch with augmented images, and the frozen side's outputs on these.

    Parameters
    ----------
    augment : callable
        From images (n, channels, height, width) to such images.
    side : ExogenousSide or None
    sample_shape : tuple of int
        Shape of one sample as the exogenous transformers read it.
    """

    def __init__(self, augment, side, sample_shape):
        self.augment = augment
        self.side = side
        self.sample_shape = sample_shape

    def __call__(self, batch):
        x = self.augment(as_float(batch["x"]))  # (n, C, H, W)
        batch = {**batch, "x": x}
        if self.side is not None:
            rows = x.detach().cpu().numpy().reshape(len(x), *self.sample_shape)
            frozen = self.side.outputs(rows, logits="exogenous_logits" in batch)
            batch.update({name: tensor.to(x.device) for name, tensor in frozen.items()})
        return batch


def width_message(width, read):
    """What is wrong where c does not read h_endo."""
    return (
        f"dispelling feeds h_endo to the exogenous predictor, but h_endo has {width} "
        f"features and the predictor reads {read}. Give both sides the same backbone, "
        "choose a backbone of the predictor's width, or set lam=0."
    )


def head_outputs(head, width, device):
    """Number of logits that c gives for h_endo of this width, or an error that it cannot."""
    try:
        with torch.no_grad():
            return head(torch.zeros(2, width, device=device)).shape[1]
    except RuntimeError as error:
        raise ValueError(width_message(width, f"another number ({error})")) from error


# --------------------------------------------------------------------- before the fit


def named_exogenous(exogenous):
    """`exogenous` as a list of (name, transformer)."""
    return exogenous if isinstance(exogenous, list) else [("exogenous", exogenous)]


def check_named(exogenous):
    """Raise where a list of `exogenous` does not hold pairs of a name and a transformer."""
    if not exogenous:
        raise ValueError("exogenous is an empty list; pass None where there is no such side")
    for item in exogenous:
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)):
            raise TypeError(
                f"a list of exogenous must hold (name, transformer) tuples, got {item!r} in it"
            )


def check_exogenous(exogenous, predictor, asked, target):
    """Raise what is wrong with the exogenous side's parameters, before anything is fitted.

    Parameters
    ----------
    exogenous, predictor : as in THINClassifier
        `exogenous` is not None.
    asked : str or None
        The setting that needs a predictor of every variable, if any does.
    target : array-like or None
        `exogenous_target`, of checked length.
    """
    named = named_exogenous(exogenous)
    names = [name for name, _ in named]
    if isinstance(predictor, dict) and not set(predictor) <= set(names):
        raise ValueError(
            f"exogenous_predictor names {sorted(predictor)}, but exogenous has {names}"
        )
    for index, (name, transformer) in enumerate(named):
        if not hasattr(transformer, "transform"):
            raise TypeError(
                f"the exogenous side {name!r} must be a transformer (with fit and transform), "
                f"got {transformer!r}"
            )
        c = predictor_of(name, transformer, predictor, len(named))
        if c is None and asked:
            raise ValueError(
                f"{asked} needs a predictor of the exogenous variable {name!r}, and "
                f"{type(transformer).__name__} brings none. Use an ExogenousEncoder, pass "
                "exogenous_predictor, or set lam=0, gate_input='representation' and "
                "dispelling='cosine'."
            )
        if not (needs_target(transformer) or is_to_fit(c)):
            continue
        if target is None:
            raise ValueError(
                f"exogenous_target is missing: the exogenous side {name!r} is to be fitted "
                "on it. Pass fit(X, y, exogenous_target=...), or wrap a fitted encoder in "
                "sklearn.frozen.FrozenEstimator to use it as it is."
            )
        column = target_column(target, index, len(named))
        encode_labels(column, len(column), name="exogenous_target")


def predictor_of(name, transformer, predictor, n_variables):
    """c for one variable: given by name, given for the only one, or brought along."""
    if isinstance(predictor, dict):
        given = predictor.get(name)
    else:
        given = predictor
        if given is not None and n_variables > 1:
            raise ValueError(
                "exogenous_predictor must be a dict from name to predictor where exogenous "
                f"is a list of {n_variables}, got {type(predictor).__name__}"
            )
    return BROUGHT if given is None and _brings_predictor(transformer) else given


def last_step(estimator):
    """The estimator inside a FrozenEstimator, and at the end of a Pipeline."""
    if isinstance(estimator, FrozenEstimator):
        return last_step(estimator.estimator)
    if hasattr(estimator, "steps"):
        return last_step(estimator.steps[-1][1])
    return estimator


def needs_target(transformer):
    """Whether the transformer is to be fitted on labels of the exogenous variable."""
    frozen = isinstance(transformer, FrozenEstimator)
    return not frozen and get_tags(last_step(transformer)).target_tags.required


def is_to_fit(predictor):
    """Whether a predictor is to be cloned and fitted on h_exo."""
    return predictor not in (None, BROUGHT) and not isinstance(
        predictor, (FrozenEstimator, nn.Module)
    )


def is_to_fit_any(exogenous, predictor):
    """Whether a transformer or a predictor is to be fitted; else a seed makes no difference."""
    predictors = predictor.values() if isinstance(predictor, dict) else [predictor]
    transformers = [transformer for _, transformer in named_exogenous(exogenous)]
    frozen = all(isinstance(transformer, FrozenEstimator) for transformer in transformers)
    return not frozen or any(map(is_to_fit, predictors))


def _brings_predictor(transformer):
    estimator = last_step(transformer)
    return hasattr(type(estimator), "predictor_") or hasattr(estimator, "predictor_")


def target_column(target, index, n_variables):
    """Labels of one exogenous variable, in the order of the list."""
    shape = np.shape(target)
    if n_variables == 1 and len(shape) == 1:
        return target
    if len(shape) != 2 or shape[1] != n_variables:
        hint = ". For several, pass exogenous as a list of (name, transformer)"
        raise ValueError(
            f"exogenous_target must have shape (n_samples, {n_variables}), a column for each "
            f"exogenous variable, got {shape}{hint if n_variables == 1 else ''}"
        )
    return target.iloc[:, index] if hasattr(target, "iloc") else np.asarray(target)[:, index]


def check_erased_labels(target, known=None):
    """Raise where labels say nothing of what is to be erased.

    Parameters
    ----------
    target : array-like of shape (n_samples,) or (n_samples, n_variables)
    known : list of ndarray, default=None
        Classes of each variable in the fit before, which the labels must not go beyond; they
        may then be fewer. None takes any, of at least two classes.
    """
    n_variables = np.shape(target)[1] if np.ndim(target) > 1 else 1
    if known is not None and n_variables != len(known):
        raise ValueError(
            f"exogenous_target has labels of {n_variables} variables, but had those of "
            f"{len(known)} in the fit before: dispelling='erasure' erases the same in both"
        )
    for index in range(n_variables):
        column = target_column(target, index, n_variables)
        before = None if known is None else known[index]
        encode_labels(column, len(column), known=before, name="exogenous_target")


# ----------------------------------------------------------------------- during the fit


def fit_exogenous(exogenous, predictor, gate_input, X, target, seed, *, logits):
    """Fit what is to be fitted, freeze all, and evaluate the training rows.

    Parameters
    ----------
    exogenous, predictor, gate_input : as in THINClassifier
    X : training rows, as the user passed them
    target : exogenous labels of the training rows, or None
    seed : int
    logits : bool
        Whether c's logits on the training rows are wanted.

    Returns
    -------
    side : ExogenousSide
    outputs : dict of Tensor
        Of the training rows, as :meth:`ExogenousSide.outputs` gives them.
    """
    named = named_exogenous(exogenous)
    variables, hs = [], []
    for index, (name, transformer) in enumerate(named):
        c = predictor_of(name, transformer, predictor, len(named))
        z = None
        if needs_target(transformer) or is_to_fit(c):
            z = target_column(target, index, len(named))
            encode_labels(z, len(z), name="exogenous_target")  # of the training rows alone
        if not isinstance(transformer, FrozenEstimator):
            transformer = set_missing_random_states(clone(transformer), seed + index)
            transformer.fit(X, z) if needs_target(transformer) else transformer.fit(X)
        h = None
        if is_to_fit(c):
            h = represent(transformer, X)
            c = set_missing_random_states(clone(c), seed + index).fit(h.numpy(), z)
        c = last_step(transformer).predictor_ if c is BROUGHT else c
        reads = gate_input
        if reads == "auto":
            reads = "representation" if c is None else "probabilities"
        head = None if c is None else frozen_head(c).cpu()
        variables.append(ExogenousVariable(name, transformer, head, reads))
        hs.append(h)
    side = ExogenousSide(variables, listed=isinstance(exogenous, list))
    return side, side.outputs(X, logits=logits, representations=hs, fit=True)
