"""What a parameter says, kept to be compared with what it says later."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from torch import nn


@dataclass
class Specification:
    """What an estimator was set to: its class and its parameters."""

    kind: type
    params: dict

    def __repr__(self):
        params = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"{self.kind.__name__}({params})"


@dataclass(eq=False)
class ArrayParameter:
    """An array, a frame or a tensor, whose own == gives no single answer."""

    array: Any

    def __eq__(self, other):
        if not isinstance(other, ArrayParameter):
            return False
        return self.array is other.array or np.array_equal(self.array, other.array)

    def __repr__(self):
        return repr(self.array)


def specification(value):
    """A parameter as it is now, to be compared by == with what it is later.

    `set_params` changes a backbone in place, so that the same object may say something else
    later, and another one the same. A frozen estimator is told by identity: its parameters
    do not say what it has learnt.
    """
    if isinstance(value, FrozenEstimator):
        return Specification(FrozenEstimator, {"estimator": value.estimator})
    if hasattr(value, "get_params") and not isinstance(value, (type, nn.Module)):
        return Specification(type(value), specification(value.get_params(deep=False)))
    if isinstance(value, dict):
        return {name: specification(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(map(specification, value))
    if getattr(value, "ndim", 0):
        return ArrayParameter(value)
    return "nan" if isinstance(value, float) and value != value else value
