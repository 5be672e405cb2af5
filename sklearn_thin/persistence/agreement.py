"""The estimators that leave the package, and whether their exports predict the same."""

from typing import NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_thin._base import BaseNet

TOLERANCE = 1e-5  # of probabilities, and of numbers in standard deviations of y


class Agreement:
    """Outputs of an estimator for sample rows, with which those of its export must agree."""

    def __init__(self, estimator, X, exogenous):
        steps, inner = split(estimator)
        X = X if steps is None else steps.transform(X)
        given = {} if exogenous is None else {"exogenous": exogenous}
        scale = getattr(members(inner)[0].net.targets_, "scale", None)
        if scale is None:
            self.unit, self.outputs = 1.0, inner.predict_proba(X, **given)
        else:
            self.unit = np.where(scale > 0, scale, 1)
            self.outputs = inner.predict(X, **given).reshape(len(X), -1)

    def check(self, outputs, what, hint=""):
        """Raise ValueError, which ends in the hint, where outputs for the first rows differ."""
        right = self.outputs[: len(outputs)]
        off = (np.abs(outputs.reshape(right.shape) - right) / self.unit).max(1)
        if not (off <= TOLERANCE).all():
            row = int(np.nan_to_num(off, nan=np.inf).argmax())
            raise ValueError(
                f"{what} is not exported: its outputs differ from those of the estimator by "
                f"{off[row]:.2g} in row {row} of X, and should agree to {TOLERANCE:g}{hint}"
            )


class Member(NamedTuple):
    """A network, with its share in the outputs of an estimator."""

    net: BaseNet
    steps: tuple  # Pipelines in front of it
    weight: float  # of all members the weights sum to 1


def members(estimator, steps=(), weight=1.0):
    """The Members of a fitted estimator: those of an ensemble, or its single network."""
    front, inner = split(estimator)
    steps = steps if front is None else (*steps, front)
    if isinstance(inner, BaseNet):
        return [Member(inner, steps, weight)]
    weights = np.array(inner._weights(), np.float64)
    parts = zip(inner.estimators_, weight * weights / weights.sum(), strict=True)
    return [member for part, share in parts for member in members(part, steps, share)]


def split(estimator, of_ensemble=None):
    """The leading steps of a Pipeline or None, and the net or the ensemble; raises for others.

    `of_ensemble` refuses ensembles too. It is the way out, which the error names.
    """
    check_is_fitted(estimator)
    inner, steps = unwrapped(estimator), None
    if isinstance(inner, Pipeline):
        steps, inner = (inner[:-1] if len(inner) > 1 else None), unwrapped(inner[-1])
    if of_ensemble is None and is_ensemble(inner):
        return steps, inner
    if not isinstance(inner, BaseNet):
        around, hint = "a Pipeline, a search or an ensemble", ""
        if of_ensemble is not None:
            around, hint = "a Pipeline or a search", f"; of an ensemble, {of_ensemble}"
        raise TypeError(
            "the estimator must be a THINClassifier, a THINRegressor or an ExogenousEncoder, or "
            f"{around} around one, got {type(inner).__name__}{hint}"
        )
    check_is_fitted(inner, "net_")
    return steps, inner


def is_ensemble(estimator):
    """Whether this is a fitted ensemble of `model_selection`, which cannot be imported here."""
    return hasattr(estimator, "_weights") and hasattr(estimator, "estimators_")


def unwrapped(estimator):
    """The estimator inside FrozenEstimators and searches."""
    if isinstance(estimator, FrozenEstimator):
        return unwrapped(estimator.estimator)
    return (
        unwrapped(estimator.best_estimator_) if isinstance(estimator, BaseSearchCV) else estimator
    )
