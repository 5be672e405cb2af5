"""What tells estimators and modules apart, where equal ones are to be trained or fitted once."""

import joblib
from sklearn.frozen import FrozenEstimator
from torch import nn

from sklearn_thin._pickling import pack

# What users set on an estimator besides its parameters: its requests, and `set_output`.
BESIDE = ("_metadata_request", "_sklearn_output_config")


class Itself:
    """An object that nothing but itself equals; held, so that its identity stays its own."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Itself) and other.value is self.value

    def __hash__(self):
        return id(self.value)


def fingerprint(value):
    """A key that is equal for values from which equal estimators are fitted.

    Parameters
    ----------
    value : object
        Estimators count by their parameters, modules by their weights as well, frozen
        estimators, which clones share, by identity; so does what cannot be pickled, as lambdas.

    Returns
    -------
    hashable
    """
    if isinstance(value, FrozenEstimator):
        return Itself(value.estimator)
    if isinstance(value, (list, tuple)):
        return tuple(map(fingerprint, value))
    if isinstance(value, nn.Module):  # the hashes of its copies would differ
        return hashed(value, pack)
    if hasattr(value, "get_params") and not isinstance(value, type):
        params = sorted(value.get_params(deep=False).items())
        beside = [getattr(value, name, None) for name in BESIDE]
        return type(value), fingerprint(params), hashed(beside)
    return hashed(value)


def architecture(module):
    """A key that is equal for modules that differ in their weights alone."""
    return hashed(module, lambda module: pack(module)[0])


def hashed(value, part=None):
    """Hash of a value, or of a part of it; the value itself where that cannot be pickled."""
    try:
        return joblib.hash(value if part is None else part(value))
    except Exception:  # whatever pickling raises: the object's own methods have a say in it
        return Itself(value)
