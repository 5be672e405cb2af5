"""The one notion of equal, and the one memo, which makes equal things once while it is open."""

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator
from torch import nn

from sklearn_thin._pickling import pack, with_defaults

# settings of an estimator beside its parameters: metadata requests and `set_output`
BESIDE = ("_metadata_request", "_sklearn_output_config")


@dataclass(eq=False)
class Itself:
    """A key that equals only a key of the same object, which it keeps alive."""

    value: Any

    def __eq__(self, other):
        return isinstance(other, Itself) and other.value is self.value

    def __hash__(self):
        return id(self.value)


def identity(value):
    """A hashable key that is equal for equal values.

    Estimators are equal by class and parameters, modules by structure and weights. Frozen
    estimators, which clones share, are equal by identity. So are objects that cannot be pickled,
    such as lambdas. A later `set_params` of an estimator does not change its key.
    """
    if isinstance(value, (Itself, str, type(None))):
        return value
    if isinstance(value, np.generic):  # of a grid made of an array
        return identity(value.item())
    if type(value) in (bool, int, float) and value == value:  # 1, 1.0 and True differ
        return type(value), value
    if isinstance(value, FrozenEstimator):
        return Itself(value.estimator)
    if isinstance(value, (list, tuple)):
        return tuple(map(identity, value))
    if isinstance(value, dict):
        return frozenset(map(identity, value.items()))
    if isinstance(value, nn.Module):  # hashes of its copies would differ
        return _hashed(value, pack)
    if hasattr(value, "get_params") and not isinstance(value, type):
        beside = [getattr(value, name, None) for name in BESIDE]
        params = sorted(value.get_params(deep=False).items())
        return type(value), identity(params), _hashed(beside)
    return _hashed(value)


def structure(module):
    """A key that is equal for modules that differ only in their weights."""
    return _hashed(module, lambda module: pack(module)[0])


def _hashed(value, part=None):
    """Hash of a value or of a part of it; the value itself if it cannot be pickled."""
    try:
        return joblib.hash(value if part is None else part(value))
    except Exception:  # an object's own methods take part in pickling, and may raise anything
        return Itself(value)


def noted(estimator, names):
    """Identity, value and text of parameters by name, for :func:`check_unchanged`."""
    values = {name: getattr(estimator, name) for name in names}
    return shared(  # as texts take their time
        ("noted", *values.values()),
        lambda: {name: (identity(value), value, repr(value)) for name, value in values.items()},
    )


def check_unchanged(estimator, parameters):
    """Raise ValueError where a parameter has changed since :func:`noted`."""
    for name, (key, was, shown) in parameters.items():
        value = getattr(estimator, name)
        # factories may count their calls
        same = value is was and callable(value) and not hasattr(value, "get_params")
        if not same and (now := identity(value)) != key and now != completed(key):
            raise ValueError(
                f"{name} was {shown} when the network was built, and is {value!r} now: "
                "a fit that goes on cannot change it. Set it back, or start anew with "
                "warm_start=False and fit."
            )


def completed(key):
    """The :func:`identity` of an older version, with defaults of parameters that it lacked."""
    if isinstance(key, frozenset):
        return frozenset(map(completed, key))
    if not isinstance(key, tuple):
        return key
    key = tuple(map(completed, key))
    if not (len(key) == 3 and hasattr(key[0], "get_params")):
        return key
    kind, params, beside = key
    defaults = {name: identity(value) for name, value in with_defaults(kind, {}).items()}
    return kind, tuple(sorted((defaults | dict(params)).items(), key=itemgetter(0))), beside


# ------------------------------------------------------------------------- the memo


@dataclass
class Memo:
    """What a search or an ensemble shares among its fits."""

    made: dict  # of the innermost search or ensemble
    lasting: dict  # of the outermost one
    scope: Any = None  # of the plan that is being made
    owner: Any = None  # the estimator whose plan it is


MEMO = ContextVar("memo", default=None)


@contextmanager
def sharing(scope=None, owner=None):
    """Inside the block :func:`shared` makes equal things once.

    Without an owner it opens a memo, as a search inside another has folds of its own. `scope`
    stands for the rows of the plan that `owner` makes; estimators inside it read other rows.
    """
    memo, made = MEMO.get(), {}
    lasting = made if memo is None else memo.lasting
    token = MEMO.set(Memo(made if owner is None else memo.made, lasting, scope, owner))
    try:
        yield
    finally:
        MEMO.reset(token)


def shared(key, make, *, owner=None, lasting=False):
    """`make()`, or its earlier result under a key of equal :func:`identity`.

    `owner` is the estimator whose rows the result depends on, if it depends on any: it is shared
    within one scope. A `lasting` result is kept as long as the outermost search runs.
    """
    memo = MEMO.get()
    if memo is None or (owner is not None and owner is not memo.owner):
        return make()
    made, key = memo.lasting if lasting else memo.made, identity(key)
    key = key if owner is None else (memo.scope, key)
    if key not in made:
        made[key] = make()
    return made[key]
