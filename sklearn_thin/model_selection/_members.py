"""Candidates and folds -> estimators prepared for training, in stacks of equal shape."""

import warnings
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import joblib
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from sklearn_thin._classifier import THINClassifier
from sklearn_thin._net import as_float
from sklearn_thin._random import torch_seed
from sklearn_thin._validation import check_device
from sklearn_thin.model_selection._stack import Stack

# What a stack shares; all else may differ in value, or shows in the shape of a tensor.
SHARED = (
    "backbone",
    "hidden_units",
    "depth",
    "n_experts",
    "gate_input",
    "optimizer",
    "lr_schedule",
    "batch_size",
    "max_epochs",
    "device",
)


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
        self.folds, self.leading, self.sides = {}, {}, {}

    def member(self, candidate, parameters, fold, train):
        """One candidate on one fold, prepared, or with the error of its preparation."""
        member = Member(candidate, fold)
        with share_of([member]):
            # the parameters are cloned as well, as they may hold estimators
            estimator = with_own_frozen(clone(self.estimator), parameters)
            estimator.set_params(**clone(parameters, safe=False))
            member.estimator, member.thin = estimator, last_step(estimator)
            given = self._fold(member, train)
            if isinstance(member.thin, THINClassifier):
                self._prepare(member, given)
            else:
                member.given = given
        return member

    def _fold(self, member, train):
        """Rows, labels and fit parameters of a fold: one copy for all candidates."""
        if member.fold not in self.folds:
            rows = _safe_split(member.estimator, self.X, self.y, train)
            params = _check_method_params(self.X, params=self.fit_params, indices=train)
            self.folds[member.fold] = *rows, params
        return self.folds[member.fold]

    def _prepare(self, member, given):
        X, y, params = self._before_last_step(member, given)
        sides = self.sides.setdefault(member.fold, {})
        member.thin._validate_params()
        member.training = member.thin._prepare(X, y, sides=sides, **params)

    def _before_last_step(self, member, given):
        """What the last step's fit gets; leading steps are fitted once a setting and fold."""
        estimator = member.estimator
        if estimator is member.thin:
            return given
        key = member.fold, joblib.hash(estimator.steps[:-1])
        if key not in self.leading:
            X, y, params = given
            name = estimator.steps[-1][0]
            captured = clone(estimator).set_params(**{name: Capture(member.thin)})
            captured.fit(X, y, **params)
            self.leading[key] = captured.steps[:-1], captured.steps[-1][1].got_
        steps, got = self.leading[key]
        estimator.steps = [*steps, estimator.steps[-1]]
        return got


def stack_key(member):
    """Members of one key can be stacked: equal shapes, and equal numbers of steps."""
    thin, training = member.thin, member.training
    shapes = [(name, tuple(t.shape)) for name, t in training.module.state_dict().items()]
    data = [
        None if part is None else [(k, t.dtype, tuple(t.shape)) for k, t in part.X.items()]
        for part in (training.train, training.valid)
    ]
    dispels = training.net_params["dispeller"] is not None
    shared = [getattr(thin, name) for name in SHARED]
    return joblib.hash([shapes, data, thin.early_stopping is False, dispels, shared])


def step_bytes(member):
    """Memory in bytes that a net adds to a stack's step: weights, moments, activations.

    The activations are measured: they are what autograd keeps of one batch's forward pass.
    """
    training, module = member.training, deepcopy(member.training.module).train()
    batch = slice(member.thin.batch_size)
    # copies, as a module may write into its input
    X = {name: rows[batch].clone() for name, rows in training.train.X.items()}
    kept = {}

    def keep(tensor):
        # the graph gets nothing: an output that it referred to would hold on to it for good
        kept[tensor.untyped_storage().data_ptr()] = tensor.detach().untyped_storage()

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept)
    with torch_seed(0, torch.device("cpu")), hooks:
        module(as_float(X["x"]), X.get("gate_input"), X.get("exogenous_logits"))
    weights = sum(w.numel() * w.element_size() for w in module.parameters())
    for tensor in (*module.parameters(), *X.values()):  # counted apart
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    gathered = sum(rows.numel() * max(4, rows.element_size()) for rows in X.values())
    activations = sum(storage.nbytes() for storage in kept.values())
    # weights in the member, in its copy and in the stack, gradients twice, two moments, the
    # step's scratch; activations with their gradients; the batch, gathered and as floats
    return 8 * weights + 2 * activations + 2 * gathered


def train_alone(member):
    """Train a member as its own fit does."""
    with share_of([member]):
        if member.training is None:
            X, y, params = member.given
            member.estimator.fit(X, y, **params)
        else:
            member.thin._train(member.training)
    member.training, member.given = None, ()


def train_stack(members):
    """Train members of one key together; halves of them where memory runs out.

    Raises
    ------
    RuntimeError
        Where torch.vmap refuses the module.
    """
    start = perf_counter()
    thin = members[0].thin
    # copies, so that the modules can be trained anew if this attempt fails
    trainings = [replace(m.training, module=deepcopy(m.training.module)) for m in members]
    nets = [m.thin._new_net(training) for m, training in zip(members, trainings, strict=True)]
    errors = None
    try:
        stack = Stack(nets, trainings)
        with torch_seed(members[0].training.seed, check_device(thin.device)):
            errors = stack.fit()
    except (MemoryError, RuntimeError) as error:
        if len(members) == 1 or not is_out_of_memory(error):
            raise
    if errors is None:  # outside of the handler, which would hold on to the memory
        half = len(members) // 2
        warnings.warn(
            f"out of memory with a stack of {len(members)} nets; trying two of {half} and "
            f"{len(members) - half}. Set stack_size to avoid the attempt.",
            RuntimeWarning,
            stacklevel=2,
        )
        train_stack(members[:half])
        train_stack(members[half:])
        return
    seconds = (perf_counter() - start) / len(members)
    for member, net in zip(members, nets, strict=True):
        member.seconds += seconds
        member.thin.net_ = net
        member.thin._tidy(net, keep_optimizer=False)
        member.training = None
        if net in errors:
            member.fail(errors[net])


def is_out_of_memory(error):
    """Whether torch or Python could not get the memory that it asked for."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return "can't allocate memory" in str(error)  # torch's CPU allocator has no type of its own
