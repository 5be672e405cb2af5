"""Candidates and folds -> plans of trainings, with shared work done once."""

from collections import Counter, deque
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from time import perf_counter
from typing import Any

import numpy as np
from joblib import delayed
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from sklearn_thin import ExogenousEncoder, TablePreprocessor, THINClassifier, THINRegressor
from sklearn_thin._checkpoints import PLACE
from sklearn_thin._sharing import Itself, shared, sharing
from sklearn_thin.exogenous.known import is_named_list
from sklearn_thin.rows.arrays import take
from sklearn_thin.training.resuming import train_or_read
from sklearn_thin.training.stack import TICK
from sklearn_thin.training.stacks import in_stacks, print_stacks, train_together

# parameters that all stacked searches add to scikit-learn's
CONSTRAINTS = {
    "stack_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "checkpoint_dir": PLACE,
}
THINS = THINClassifier, THINRegressor  # they share one fit
INSIDE = "__estimator"  # ends the name of a FrozenEstimator's content


@dataclass
class Run:
    """State of one fit of a search."""

    rows: list  # X and y
    splitter: Any
    parallel: Any  # runs the stacks
    jobs: dict  # the user's backend, for estimators with n_jobs
    n_jobs: int | None  # the user's
    fitted: deque = field(default_factory=deque)  # of Member, yet to be handed out
    routed: Any = None  # parameters for the estimator's fit, the splitter and the scorer
    preparation: Any = None  # of candidates on folds
    trained: Any = None  # for refit="ensemble"
    seconds: list = field(default_factory=list)  # of all fits
    rungs: Any = None  # of a halving whose trainings go on
    folder: Any = None  # keeps finished stacks


@dataclass
class Member:
    """One candidate on one fold."""

    candidate: int
    fold: int
    estimator: Any = None  # the candidate, at last fitted
    thin: Any = None  # its last step
    plan: Any = None  # of its training, if it is one of THINS
    given: tuple = ()  # else X, y, parameters for its fit
    error: Exception | None = None
    seconds: float = 0.0

    def fail(self, error):
        """Keep the error, which becomes the score of the fold, and nothing else."""
        self.error = error
        self.estimator = self.thin = self.plan = None

    def take(self, result, seconds):
        """Take the trained net of the plan, or its error."""
        self.seconds += seconds
        self.plan = None
        if isinstance(result, Exception):
            self.fail(result)
        else:
            self.thin.keep(result)

    @contextmanager
    def timed(self):
        """Adds the seconds of the block to the member, and keeps an error of the block."""
        start = perf_counter()
        try:
            yield
        except Exception as error:
            self.fail(error)
        self.seconds += perf_counter() - start


class Capture(BaseEstimator):
    """Stands in for an estimator of THINS, and keeps the arguments of its fit."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y=None, **params):
        """Keep the arguments."""
        self.got_ = X, y, params
        return self

    def get_metadata_routing(self):
        """The routing of the estimator."""
        return self.estimator.get_metadata_routing()

    def __sklearn_tags__(self):
        return self.estimator.__sklearn_tags__()


def copied(X):
    """A copy of the rows, as a fit may write into them; a large array goes to a file."""
    return take(X, np.arange(len(X))) if isinstance(X, np.ndarray) else deepcopy(X)


def last_step(estimator):
    """The last step of a Pipeline, with the prefix of its parameters; others as they are."""
    if not isinstance(estimator, Pipeline):
        return estimator, ""
    name, step = estimator.steps[-1]
    return step, f"{name}__"


def may_write(estimator):
    """Whether a fit may write into its rows; ours does if one of its sides does."""
    if getattr(type(estimator), "fit", None) is not THINClassifier.fit:
        return True
    exogenous = estimator.exogenous
    listed = isinstance(exogenous, list) and is_named_list(exogenous)
    named = exogenous if listed else [(None, exogenous)]
    sides = [side for _, side in named]
    sides = [side.preprocessor if isinstance(side, ExogenousEncoder) else side for side in sides]
    harmless = (FrozenEstimator, TablePreprocessor, str, type(None))
    return not all(isinstance(side, harmless) for side in [estimator.endogenous, *sides])


def with_own_frozen(estimator, parameters):
    """The estimator, with copies of those FrozenEstimators whose content `parameters` exchange.

    Clones share frozen estimators, so that one candidate would exchange the content for all.
    """
    names = [name.removesuffix(INSIDE) for name in parameters if name.endswith(INSIDE)]
    values = estimator.get_params() if names else {}  # which takes its time
    frozen = {n: copy(values[n]) for n in names if isinstance(values.get(n), FrozenEstimator)}
    estimator.set_params(**frozen)  # that of FrozenEstimator returns None
    return estimator


@dataclass
class Preparation:
    """Makes plans of candidates on folds, while an open memo shares their work."""

    estimator: Any  # the searched estimator of THINS, or Pipeline that ends in one
    X: Any  # as passed to the search
    y: Any
    fit_params: dict  # routed to the estimator's fit

    def members(self, tasks, verbose, error_score="raise"):
        """Members of tasks, the arguments of :meth:`member`; a progress bar for `verbose` 1."""
        from tqdm.auto import tqdm  # late: a notebook loads its widgets, most searches are silent

        shown = tqdm(tasks, "preparing", disable=verbose != 1, unit="fit")
        members = [self.member(*task) for task in shown]
        if error_score == "raise":
            raise_first(members)
        return members

    def member(self, candidate, parameters, fold=0, train=None):
        """One candidate on the rows `train` of a fold, or on all, with its plan or an error."""
        member = Member(candidate, fold)
        # parameters may hold estimators, which must be cloned too
        estimator = with_own_frozen(clone(self.estimator), parameters)
        estimator.set_params(**clone(parameters, safe=False))
        member.estimator, (member.thin, _) = estimator, last_step(estimator)
        with member.timed():
            given = self.X, self.y, self.fit_params
            if train is not None:
                key = "fold", Itself(self), fold
                given = shared(key, lambda: self._split(estimator, train))
            ours = getattr(type(member.thin), "fit", None) is THINClassifier.fit
            if ours and not getattr(member.thin, "_skl_callbacks", None):  # which follow a fit
                member.plan = self._plan(member, given)
            else:
                member.given = given
        return member

    def _split(self, estimator, train):
        """Rows, labels and fit parameters of a fold; a large array is copied to a file."""
        params = _check_method_params(self.X, params=self.fit_params, indices=train)
        if isinstance(self.X, np.ndarray) and not get_tags(estimator).input_tags.pairwise:
            return take(self.X, train), take(self.y, train), params
        return *_safe_split(estimator, self.X, self.y, train), params

    def _plan(self, member, given):
        """The plan of the last step; leading steps are fitted once for each setting and fold."""
        scope = Itself(self), member.fold, None
        if member.estimator is not member.thin:
            *leading, (name, _) = member.estimator.steps
            key = "leading steps", Itself(self), member.fold, leading

            def fit():
                captured = clone(member.estimator).set_params(**{name: Capture(member.thin)})
                captured.fit(copied(given[0]), *given[1:2], **given[2])
                return captured.steps[:-1], captured.steps[-1][1].got_

            steps, given = shared(key, fit)
            member.estimator.steps = [*steps, member.estimator.steps[-1]]
            scope = Itself(self), member.fold, Itself(steps)
        X, y, params = given
        X = copied(X) if may_write(member.thin) else X
        with sharing(scope, member.thin):
            return member.thin.plan(X, y, **params)


# ------------------------------------------------------------------------- training


def train_all(members, parallel, *, stack_size, verbose, folder=None):
    """Train planned members in stacks, which joblib's `parallel` runs, and fit the others.

    Returns the members, trained or with an error. The `folder` keeps finished stacks.
    """
    planned = [member for member in members if member.error is None and member.plan is not None]
    plans = [member.plan for member in planned]
    stacks = in_stacks(plans, stack_size)
    whole = [member for member in members if member.error is None and member.plan is None]
    if verbose:
        print_stacks(plans, stacks)
        for thin, count in Counter(type(member.thin) for member in whole).items():
            reason = f"{thin.__name__} has no plan of a training"
            if getattr(thin, "fit", None) is THINClassifier.fit:
                reason = "scikit-learn's callbacks follow a single fit"
            print(f"Training {count} fits one by one: {reason}")
    train = train_together
    if folder is not None:
        train = partial(train_or_read, folder=folder, train=train_together)
    # workers get plans and return nets, as estimators hold frozen encoders
    calls = [delayed(train)([plans[index] for index in stack]) for stack in stacks]
    calls += [delayed(fit_whole)(member) for member in whole]
    if verbose == 1:
        epochs = [sum(plans[index].settings.max_epochs for index in stack) for stack in stacks]
        epochs += [1] * len(whole)
        with epochs_bar(sum(epochs)) as progress:
            trained = parallel(followed(calls, epochs, progress))
    else:
        trained = parallel(calls)
    for stack, (results, seconds) in zip(stacks, trained[: len(stacks)], strict=True):
        for index, *result in zip(stack, results, seconds, strict=True):
            planned[index].take(*result)
    for member, fitted in zip(whole, trained[len(stacks) :], strict=True):
        vars(member).update(vars(fitted))  # of a copy, if a process fitted it
    return members


def followed(calls, epochs, progress):
    """The calls; a bar follows joblib, which asks for the next call when it has room."""
    done = 0
    for call, more in zip(calls, epochs, strict=True):
        yield call
        done += more  # also of fits that do not move the bar themselves
        progress.update(max(0, done - progress.n))


def fit_whole(member):
    """Fit a member without a plan; returns it."""
    with member.timed():
        X, y, params = member.given
        X = copied(X) if may_write(member.estimator) else X
        member.estimator.fit(X, y, **params)
    member.given = ()
    return member


@contextmanager
def epochs_bar(total):
    """A bar over the epochs of all nets, which stacks of this thread move."""
    from tqdm.auto import tqdm

    with tqdm(total=total, desc="training", unit="epoch") as progress:
        token = TICK.set(progress.update)
        try:
            yield progress
        finally:
            TICK.reset(token)


def raise_first(members):
    """Raise the first error among the members."""
    for member in members:
        if member.error is not None:
            raise member.error
