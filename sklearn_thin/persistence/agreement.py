"""The estimators that leave the package, and whether their exports predict the same."""

import numpy as np
from sklearn.base import is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_thin._base import BaseNet

TOLERANCE = 1e-5  # of probabilities, and of numbers in standard deviations of y


class Agreement:
    """Outputs of an estimator for sample rows, with which those of its export must agree."""

    def __init__(self, estimator, X, exogenous):
        steps, net = split(estimator)
        X = X if steps is None else steps.transform(X)
        given = {} if exogenous is None else {"exogenous": exogenous}
        self.unit = 1.0
        if is_regressor(net):
            self.outputs = net.predict(X, **given).reshape(len(X), -1)
            self.unit = np.where(net.targets_.scale > 0, net.targets_.scale, 1)
        else:
            self.outputs = net.predict_proba(X, **given)

    def check(self, outputs, what):
        """Raise ValueError where outputs for the first rows differ."""
        right = self.outputs[: len(outputs)]
        off = (np.abs(outputs.reshape(right.shape) - right) / self.unit).max(1)
        if not (off <= TOLERANCE).all():
            row = int(np.nan_to_num(off, nan=np.inf).argmax())
            raise ValueError(
                f"{what} is not exported: its outputs differ from those of the estimator by "
                f"{off[row]:.2g} in row {row} of X, and should agree to {TOLERANCE:g}"
            )


def split(estimator, of_ensemble="export each of estimators_"):
    """The leading steps of a Pipeline or None, and the net; raises for other estimators.

    `of_ensemble` is the way out for an ensemble, which the error names.
    """
    check_is_fitted(estimator)
    inner, steps = unwrapped(estimator), None
    if isinstance(inner, Pipeline):
        steps, inner = (inner[:-1] if len(inner) > 1 else None), unwrapped(inner[-1])
    if not isinstance(inner, BaseNet):
        raise TypeError(
            "the estimator must be a THINClassifier, a THINRegressor or an ExogenousEncoder, or a "
            f"Pipeline or a search around one, got {type(inner).__name__}; "
            f"of an ensemble, {of_ensemble}"
        )
    check_is_fitted(inner, "net_")
    return steps, inner


def unwrapped(estimator):
    """The estimator inside FrozenEstimators and searches."""
    if isinstance(estimator, FrozenEstimator):
        return unwrapped(estimator.estimator)
    return (
        unwrapped(estimator.best_estimator_) if isinstance(estimator, BaseSearchCV) else estimator
    )
