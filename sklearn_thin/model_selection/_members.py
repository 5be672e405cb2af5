"""Candidates and folds -> estimators prepared for training; what they share is done once."""

from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass
from inspect import signature
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from sklearn_thin._classifier import THINClassifier
from sklearn_thin._encoder import ExogenousEncoder
from sklearn_thin._fingerprint import fingerprint
from sklearn_thin._storage import converting_once, take


@dataclass
class Member:
    """One candidate on one fold."""

    candidate: int
    fold: int
    estimator: Any = None  # the candidate, in the end fitted
    thin: Any = None  # the last step of it
    training: Any = None  # what its training starts from, if it is a THINClassifier
    given: tuple = ()  # else what its fit gets: X, y, parameters
    error: Exception | None = None
    seconds: float = 0.0  # its share

    def fail(self, error):
        """Keep the error, of which the fold's score will be made, and nothing else."""
        self.error = error
        self.estimator = self.thin = self.training = None


@contextmanager
def share_of(members):
    """Adds the time inside the block to the members; an error is that of all of them."""
    start = perf_counter()
    try:
        yield
    except Exception as error:
        for member in members:
            member.fail(error)
    seconds = perf_counter() - start
    for member in members:
        member.seconds += seconds / len(members)


class Capture(BaseEstimator):
    """Stands in the place of a THINClassifier, and keeps what its fit would get."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y=None, **params):
        """Keep it."""
        self.got_ = X, y, params
        return self

    def get_metadata_routing(self):
        """As the estimator in whose place it stands."""
        return self.estimator.get_metadata_routing()

    def __sklearn_tags__(self):
        return self.estimator.__sklearn_tags__()


def last_step(estimator):
    """The estimator that is trained in the end."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def copied(X):
    """Rows of one's own, as a fit may write into them; many rows of an array in a file."""
    return take(X, np.arange(len(X))) if isinstance(X, np.ndarray) else deepcopy(X)


def is_prepared(thin):
    """Whether all but the training of its fit can be done apart, as that is THINClassifier's."""
    return (
        isinstance(thin, THINClassifier)
        and type(thin).fit is THINClassifier.fit
        and not getattr(thin, "_skl_callbacks", None)
    )


def may_write(estimator):
    """Whether its fit may write into its rows: others' may, ours where a side of it does."""
    if type(estimator).fit is not THINClassifier.fit:
        return True
    exogenous = estimator.exogenous
    named = exogenous if isinstance(exogenous, list) else [(None, exogenous)]
    sides = [estimator.endogenous, *(side for _, side in named)]
    harmless = (FrozenEstimator, ExogenousEncoder, type(None))
    return not all(isinstance(side, harmless) for side in sides)


def why_alone(thin):
    """Why a fit cannot be part of a stack; None where it can."""
    if type(thin) is not THINClassifier:
        return f"{type(thin).__name__} may train otherwise than THINClassifier"
    if thin.callbacks or getattr(thin, "_skl_callbacks", None):
        return "callbacks follow a single fit"
    if thin.augment is not None:
        return "augment takes one batch of images"
    if thin.warm_start:
        return "warm_start keeps the optimizer"
    if not isinstance(thin.optimizer, str):
        return "a custom optimizer may mix the nets"
    return None


def with_own_frozen(estimator, parameters):
    """The estimator with a FrozenEstimator of its own wherever `parameters` exchange what is in it.

    Clones share frozen estimators, so that one candidate's exchange would be that of all.
    """
    for name, value in estimator.get_params().items():
        if isinstance(value, FrozenEstimator) and f"{name}__estimator" in parameters:
            estimator.set_params(**{name: copy(value)})
    return estimator


class Preparation:
    """Candidates on folds, up to their training; what candidates share is done once.

    Parameters
    ----------
    estimator : estimator
        The one searched, a THINClassifier or a Pipeline that ends in one.
    X, y : as passed to the search
    fit_params : dict
        Routed to the estimator's fit.
    """

    def __init__(self, estimator, X, y, fit_params):
        self.estimator = estimator
        self.X = X
        self.y = y
        self.fit_params = fit_params
        self.folds, self.leading, self.sides, self.converted = {}, {}, {}, {}

    def member(self, candidate, parameters, fold=0, train=None):
        """One candidate on one fold, prepared, or with the error of its preparation.

        `train` are the indices of the fold's rows; None takes all.
        """
        member = Member(candidate, fold)
        # the parameters are cloned as well, as they may hold estimators
        estimator = with_own_frozen(clone(self.estimator), parameters)
        estimator.set_params(**clone(parameters, safe=False))
        member.estimator, member.thin = estimator, last_step(estimator)
        with share_of([member]):
            given = self._fold(member, train)
            if is_prepared(member.thin):
                self._prepare(member, given)
            else:
                member.given = given
        return member

    def _fold(self, member, train):
        """Rows, labels and fit parameters of a fold: one copy for all candidates."""
        if train is None:
            return self.X, self.y, self.fit_params
        if member.fold not in self.folds:
            rows = self._split(member.estimator, train)
            params = _check_method_params(self.X, params=self.fit_params, indices=train)
            self.folds[member.fold] = *rows, params
        return self.folds[member.fold]

    def _split(self, estimator, train):
        """Rows and labels of a fold; many rows of an array are copied to a file."""
        if isinstance(self.X, np.ndarray) and not get_tags(estimator).input_tags.pairwise:
            return take(self.X, train), take(self.y, train)
        return _safe_split(estimator, self.X, self.y, train)

    def _prepare(self, member, given):
        (X, y, params), leading = self._before_last_step(member, given)
        sides = self.sides.setdefault((member.fold, leading), {})
        signature(member.thin.fit).bind(X, y, **params)  # what it does not know is its TypeError
        member.thin._validate_params()
        X = copied(X) if may_write(member.thin) else X
        with converting_once(self.converted):
            member.training = member.thin._prepare(X, y, sides=sides, **params)

    def _before_last_step(self, member, given):
        """What the last step's fit gets, and what tells the leading steps' settings apart.

        Leading steps are fitted once a setting and fold.
        """
        estimator = member.estimator
        if estimator is member.thin:
            return given, None
        key = member.fold, fingerprint(estimator.steps[:-1])
        if key not in self.leading:
            X, y, params = given
            name = estimator.steps[-1][0]
            captured = clone(estimator).set_params(**{name: Capture(member.thin)})
            captured.fit(copied(X), y, **params)
            self.leading[key] = captured.steps[:-1], captured.steps[-1][1].got_
        steps, got = self.leading[key]
        estimator.steps = [*steps, estimator.steps[-1]]
        return got, key
