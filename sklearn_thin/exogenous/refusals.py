"""What users pass as exogenous side and cannot be one, with the way to a right one."""

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError


def refuse_side(name, side):
    """Raise scikit-learn's ValueError and TypeError in one for a side that is no transformer."""
    if isinstance(side, type):
        wrong = f" object, got the class {side.__name__}. Write {side.__name__}()"
    elif hasattr(side, "predict"):
        wrong = (
            f" (with fit and transform), got {side!r}, which predicts. Pass ExogenousEncoder(), "
            "or a transformer with this classifier as exogenous_predictor"
        )
    elif isinstance(side, dict):
        wrong = " (with fit and transform), got a dict. Pass a list of (name, transformer)"
    elif hasattr(side, "__len__"):
        wrong = (
            f" (with fit and transform), got {type(side).__name__} of shape {np.shape(side)}. "
            "Labels go to fit: THINClassifier(ExogenousEncoder()).fit(X, y, exogenous_target=...)"
        )
    else:
        wrong = f" (with fit and transform), got {side!r}"
    raise InvalidParameterError(f"the exogenous side {name!r} must be a transformer{wrong}")


def refuse_numbers(name):
    """Raise ValueError for a known variable of numbers, which its fit alone shows."""
    raise ValueError(
        f"the exogenous variable {name!r} holds numbers, which have no predictor. Set "
        "gate_input='auto', or bin the numbers to get labels"
    )


def refuse_no_labels(name, *, given):
    """Raise ValueError for a fit without exogenous_target; `given` labels come with each fit."""
    reads = f"exogenous_target is missing: the exogenous side {name!r}"
    if given:
        raise ValueError(
            f"{reads} reads it in each fit. Pass exogenous_target=..., with None for rows whose "
            "label is unknown"
        )
    raise ValueError(
        f"{reads} is to be fitted on it. Pass fit(X, y, exogenous_target=...), or wrap a fitted "
        "encoder in sklearn.frozen.FrozenEstimator to use it as it is."
    )


def refuse_unfitted(name, error):
    """Raise NotFittedError for a frozen side."""
    raise NotFittedError(
        f"the exogenous side {name!r} is frozen but not fitted: {error} Or pass it without "
        "FrozenEstimator, and its labels as exogenous_target"
    ) from error
