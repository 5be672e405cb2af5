"""Several settings of one estimator -> trained together -> the mean of their outputs."""

import math
from collections.abc import Callable
from copy import copy
from functools import reduce
from numbers import Integral
from typing import Self

import numpy as np
from joblib import Parallel
from scipy.special import log_softmax
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_thin._base import ClassOutputs
from sklearn_thin._compat import CallbackSupportMixin, Method, with_callbacks
from sklearn_thin._environment import public, set_missing_random_states
from sklearn_thin._pickling import Estimator
from sklearn_thin._regressor import NumberOutputs
from sklearn_thin._sharing import sharing
from sklearn_thin.model_selection._members import Preparation, last_step, raise_first, train_all
from sklearn_thin.rows.arrays import read_dataset

FIT_PARAMETERS = ("exogenous_target", "sample_weight", "groups", "X_val", "y_val")


def can_adapt(ensemble):
    """Whether the members have `adapt`."""
    return hasattr(last_step(ensemble.estimator)[0], "adapt")


if_adaptable: Callable[[Method], Method] = available_if(can_adapt)  # which has no types


class Ensemble(CallbackSupportMixin, MetaEstimatorMixin, Estimator):
    """Settings of one estimator that train together, and the mean of their outputs.

    A subclass has the parameters `estimator`, `stack_size`, `n_jobs` and `verbose`.
    """

    _parameter_constraints: dict = {
        "stack_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    # these go to the estimator; the ensemble itself uses none of them
    __metadata_request__fit = dict.fromkeys(FIT_PARAMETERS, UNUSED)

    def fit(
        self,
        X,
        y=None,
        *,
        exogenous_target=None,
        sample_weight=None,
        groups=None,
        X_val=None,
        y_val=None,
        **params,
    ) -> Self:
        """Train the members together.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
            A torch data set of (x, label) is accepted too, and read once for all members.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Class labels, or numbers; None takes the labels of a data set.
        exogenous_target, sample_weight, groups, X_val, y_val : array-like, default=None
            See the estimator's fit. None is not passed on.
        **params : dict
            Further parameters of the estimator's fit, such as those of a Pipeline's steps.

        Returns
        -------
        self : estimator

        Raises
        ------
        Exception
            The error of a member's fit.
        KeyboardInterrupt
            After Ctrl-C. After any error the ensemble is as before.
        """
        self._validate_params()
        given = exogenous_target, sample_weight, groups, X_val, y_val
        given = zip(FIT_PARAMETERS, given, strict=True)
        params |= {name: value for name, value in given if value is not None}
        if _routing_enabled():
            params = process_routing(self, "fit", **params).estimator.fit
        return self.train(*read_dataset(X, y, verbose=self.verbose), params)

    @with_callbacks
    def train(self, X, y, params):
        """The fit, with parameters that are routed already."""
        rows, task = {"estimator": self, "X": X, "y": y}, None
        if getattr(self, "_skl_callbacks", None):
            task = self._init_callback_context().call_on_fit_task_begin(**rows)
        with sharing():
            tasks = list(enumerate(self._settings()))
            members = Preparation(self._base(), X, y, params).members(tasks, self.verbose)
            how = {"stack_size": self.stack_size, "verbose": self.verbose}
            members = train_all(members, Parallel(n_jobs=self.n_jobs), **how)
            raise_first(members)
        self.keep([member.estimator for member in members])
        if task is not None:
            task.call_on_fit_task_end(**rows)
        return self

    def keep(self, estimators):
        """Make fitted estimators the members; returns the ensemble."""
        self.estimators_ = estimators
        for name in ("classes_", "n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(estimators[0], name):
                setattr(self, name, getattr(estimators[0], name))
        return self

    @if_adaptable
    @public
    def adapt(self, X, *, exogenous=None) -> Self:
        """A copy for a site that `fit` lacked, adapted to rows without labels.

        The members become those of their own `adapt`: means and variances of batch normalisation
        become those of X (AdaBN; Li et al., 2016). Steps in front of a member stay as they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
            Rows of one site, two at least, with classes about as frequent as in `fit`.
        exogenous : array-like, label or None, default=None
            See `predict`.

        Returns
        -------
        estimator
            Another fitted ensemble. This ensemble stays as it is.

        Raises
        ------
        ValueError
            If a network has no batch normalisation, or X has fewer than two rows.
        """
        check_is_fitted(self)
        X, _ = read_dataset(X, verbose=self.verbose)
        with sharing():  # the members share the frozen side's outputs
            members = [adapted(member, X, exogenous) for member in self.estimators_]
        return clone(self).keep(members)

    def _base(self):
        """The estimator of which all members are settings."""
        return self.estimator

    def _weights(self):
        """A positive number for each member."""
        return [1] * len(self.estimators_)

    def _mean(self, output, X, exogenous, *, logs=False):
        """Weighted mean of `output(member, X)`; with `logs` logarithms in and out."""
        check_is_fitted(self)
        X, _ = read_dataset(X, verbose=self.verbose)
        given = {} if exogenous is None else {"exogenous": exogenous}  # a Pipeline refuses None
        weights = [float(weight) for weight in self._weights()]
        add, scale = (np.logaddexp, add_log) if logs else (np.add, np.multiply)
        with sharing():  # the members share the frozen side's outputs
            members = zip(self.estimators_, weights, strict=True)
            total = reduce(add, (scale(output(m, X, **given), weight) for m, weight in members))
        return scale(total, 1 / sum(weights))

    def get_metadata_routing(self):
        """Parameters of `fit` go to the estimator's."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)  # for score
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        return tags


def adapted(member, X, exogenous):
    """The member, its last step adapted to rows as they come to the member."""
    last, _ = last_step(member)
    if last is member:
        return member.adapt(X, exogenous=exogenous)
    pipeline = copy(member)
    rows = X if len(member) == 1 else member[:-1].transform(X)
    *leading, (name, _) = member.steps
    pipeline.steps = [*leading, (name, last.adapt(rows, exogenous=exogenous))]
    return pipeline


def add_log(values, factor):
    """Logarithm of the product of a factor and of numbers, given by their logarithms."""
    return values + math.log(factor)


def proba(member, X, **given):
    """Probabilities (n_samples, n_classes) of a member, float32.

    In float64 the mean with a network of float32 would not sum to 1 closely enough for metrics.
    """
    return member.predict_proba(X, **given).astype(np.float32, copy=False)


def log_proba(member, X, **given):
    """Logarithms of probabilities, finite also where a probability rounds to 0."""
    last, _ = last_step(member)
    if not isinstance(last, ClassOutputs):  # whose decision values may not be logits
        p = member.predict_proba(X, **given)
        return np.log(np.maximum(p, np.finfo(p.dtype).tiny))
    logits = member.decision_function(X, **given)
    if logits.ndim == 1:  # two classes: (n,) -> (n, 2)
        logits = np.stack([np.zeros_like(logits), logits], axis=1)
    return log_softmax(logits, axis=1)


class MeanProbabilities(ClassOutputs):
    """Outputs of an ensemble of classifiers, with the docstrings of :class:`ClassOutputs`."""

    @public
    def predict_proba(self, X, *, exogenous=None) -> np.ndarray:
        return self._mean(proba, X, exogenous)

    @public
    def decision_function(self, X, *, exogenous=None) -> np.ndarray:
        log_mean = self._mean(log_proba, X, exogenous, logs=True)
        return log_mean[:, 1] - log_mean[:, 0] if log_mean.shape[1] == 2 else log_mean


class MeanNumbers(NumberOutputs):
    """Outputs of an ensemble of regressors, with the docstrings of `NumberOutputs`."""

    @public
    def predict(self, X, *, exogenous=None) -> np.ndarray:
        return self._mean(lambda member, X, **given: member.predict(X, **given), X, exogenous)


class SeedEnsemble(Ensemble):
    """The part that both ensembles of seeds share."""

    _parameter_constraints: dict = {
        **Ensemble._parameter_constraints,
        "n_seeds": [Interval(Integral, 1, 2**20, closed="both")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        n_seeds=5,
        *,
        stack_size="auto",
        n_jobs=None,
        verbose=0,
        random_state=None,
    ) -> None:
        self.estimator = estimator
        self.n_seeds = n_seeds
        self.stack_size = stack_size
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def _base(self):
        """The estimator, whose leading steps all members share."""
        estimator = clone(self.estimator)
        if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
            seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
            set_missing_random_states(Pipeline(estimator.steps[:-1]), seed)
        return estimator

    def _settings(self):
        """Parameters of each member."""
        drawn = check_random_state(self.random_state).randint(
            np.iinfo(np.int32).max, size=self.n_seeds
        )
        step, prefix = last_step(self.estimator)
        seeded = "random_state" in clone(step).get_params()  # which refuses classes
        if not seeded and not isinstance(step, FrozenEstimator):  # which names itself
            raise ValueError(
                f"estimator must have random_state, in which {type(self).__name__} sets the seeds, "
                f"got {type(step).__name__}. Of a search pass best_estimator_, or let it search "
                "over the ensemble"
            )
        return [{f"{prefix}random_state": int(seed)} for seed in drawn]


class SeedEnsembleClassifier(MeanProbabilities, SeedEnsemble):
    """Mean of classifiers that differ only in their seeds, and train together.

    Predicts as scikit-learn's `BaggingClassifier(bootstrap=False)`. Networks of equal shape are
    stacked and trained as one batched program, as in :class:`StackedGridSearchCV`, which costs
    small networks far less than one by one. Networks with other first weights and another order
    of the rows make other errors; their mean often makes fewer ("deep ensembles";
    Lakshminarayanan, Pritzel and Blundell, 2017).

    Parameters
    ----------
    estimator : THINClassifier, or Pipeline that ends in one
        Its own `random_state` is not used. All seeds share a frozen exogenous side; any other
        side is fitted for each seed.
    n_seeds : int, default=5
        Members of the ensemble.
    stack_size : "auto" or int, default="auto"
        Most networks that train together. "auto" keeps the memory of a step within 1 GiB, or on a
        GPU within half of its free memory.
    n_jobs : int, default=None
        Stacks that joblib runs in parallel.
    verbose : int, default=0
        1 shows progress bars. Above 0 the fit prints which members train together, which alone,
        and why.
    random_state : int, RandomState instance or None, default=None
        Draws the seeds.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted members.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Columns of X, or values in one image.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if X has them.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_thin import MLPBackbone, THINClassifier
    >>> from sklearn_thin.model_selection import SeedEnsembleClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> thin = THINClassifier(backbone=MLPBackbone((32,)), max_epochs=5)
    >>> ensemble = SeedEnsembleClassifier(thin, random_state=0).fit(X[:1000] / 16, y[:1000])
    >>> mean = ensemble.score(X[1000:] / 16, y[1000:])
    >>> alone = [one.score(X[1000:] / 16, y[1000:]) for one in ensemble.estimators_]
    >>> mean > sum(alone) / len(alone)
    True
    """

    _parameter_constraints: dict = {
        **SeedEnsemble._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"])],
    }


class SeedEnsembleRegressor(MeanNumbers, SeedEnsemble):
    """Mean of regressors that differ only in their seeds, and train together.

    As :class:`SeedEnsembleClassifier`, for numbers.

    Parameters
    ----------
    estimator : THINRegressor, or Pipeline that ends in one
    n_seeds, stack_size, n_jobs, verbose, random_state
        See SeedEnsembleClassifier.

    Attributes
    ----------
    estimators_, n_features_in_, feature_names_in_
        See SeedEnsembleClassifier.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_thin import THINRegressor
    >>> from sklearn_thin.model_selection import SeedEnsembleRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> thin = THINRegressor(max_epochs=5)
    >>> ensemble = SeedEnsembleRegressor(thin, random_state=0).fit(X[:300], y[:300])
    >>> mean = ensemble.score(X[300:], y[300:])
    >>> alone = [one.score(X[300:], y[300:]) for one in ensemble.estimators_]
    >>> mean > sum(alone) / len(alone)
    True
    """

    _parameter_constraints: dict = {
        **SeedEnsemble._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"])],
    }
