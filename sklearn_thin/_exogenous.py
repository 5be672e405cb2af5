"""The exogenous side: from X to what the gate reads and what is to be dispelled.

:func:`fit_exogenous` turns whatever the user passed as `exogenous` into a frozen
:class:`ExogenousSide`, and :class:`Dispeller` is its part of the loss.
"""

import copy
import math

import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import has_fit_parameter

from sklearn_thin._exogenous_parameters import (
    BROUGHT,
    is_to_fit,
    last_step,
    named_exogenous,
    needs_target,
    predictor_of,
    target_column,
)
from sklearn_thin._forward import as_float
from sklearn_thin._frozen import ExogenousSide, ExogenousVariable, represent
from sklearn_thin._heads import frozen_head, readable_labels
from sklearn_thin._random import set_missing_random_states
from sklearn_thin._validation import encode_labels
from sklearn_thin.losses import cosine_dispelling


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
        if self.side is None:
            return {**batch, "x": x}
        rows = self._as_passed(x.detach().cpu(), batch["x"].dtype)
        frozen = self.side.outputs(rows, logits="exogenous_logits" in batch)
        return {**batch, "x": x, **{name: z.to(x.device) for name, z in frozen.items()}}

    def _as_passed(self, x, dtype):
        """Augmented images as the transformers know them from fit, and will in predict."""
        if x[0].numel() != math.prod(self.sample_shape):
            raise ValueError(
                f"augment must keep the size of the images, {self.sample_shape}, where an "
                f"exogenous side reads them, got {tuple(x.shape[1:])}"
            )
        if dtype == torch.uint8:
            x = (255 * x).round().clamp(0, 255).byte()
        return x.numpy().reshape(len(x), *self.sample_shape)


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


def labels_of(name, target, index, n_variables, needed):
    """Labels of one variable among the training rows; None where none are there for it.

    A transformer that could do without is told them all the same, as in a Pipeline. They may
    be missing: `exogenous_target` can be what is to be erased, and of other variables.
    """
    if needed:
        z = target_column(target, index, n_variables, name)
        encode_labels(z, len(z), name="exogenous_target")  # of the training rows alone
        return z
    try:
        return None if target is None else target_column(target, index, n_variables, name)
    except ValueError:
        return None


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
        needed = needs_target(transformer) or is_to_fit(c)
        z = labels_of(name, target, index, len(named), needed)
        if not isinstance(transformer, FrozenEstimator):
            transformer = set_missing_random_states(clone(transformer), seed + index)
            told = z is not None and has_fit_parameter(transformer, "y")
            transformer.fit(X, z) if told else transformer.fit(X)
        h = None
        if is_to_fit(c):
            h = represent(transformer, X)
            c = set_missing_random_states(clone(c), seed + index)
            c.fit(h.numpy(), readable_labels(c, z))
        c = last_step(transformer).predictor_ if c is BROUGHT else c
        reads = gate_input
        if reads == "auto":
            reads = "representation" if c is None else "probabilities"
        head = None if c is None else frozen_head(c).cpu()
        variables.append(ExogenousVariable(name, transformer, head, reads))
        hs.append(h)
    side = ExogenousSide(variables, listed=isinstance(exogenous, list))
    return side, side.outputs(X, logits=logits, representations=hs, fit=True)
