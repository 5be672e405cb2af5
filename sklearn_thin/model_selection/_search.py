"""scikit-learn's searches, with candidates that train together."""

from typing import Self

import numpy as np
from joblib import Parallel, parallel_config
from joblib.parallel import get_active_backend
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv
from sklearn.utils import indexable

from sklearn_thin._environment import all_or_nothing
from sklearn_thin._sharing import sharing
from sklearn_thin.model_selection._checkpoints import checked_folder
from sklearn_thin.model_selection._ensemble import Ensemble
from sklearn_thin.model_selection._members import (
    CONSTRAINTS,
    Member,
    Preparation,
    Run,
    raise_first,
    train_all,
    with_own_frozen,
)
from sklearn_thin.model_selection._pareto import front_of_search
from sklearn_thin.model_selection._selection import Scored, Trained, check_refit, choose_ensemble
from sklearn_thin.rows.arrays import read_dataset

FOLLOWED = ("_skl_callbacks", "_parent_callback_ctx")  # of scikit-learn's callbacks, in a search


class HandedOut:
    """Stands in for the searched estimator; its `fit` hands out an estimator that is fitted.

    scikit-learn's search clones it, sets a candidate's parameters, fits and scores it, in a known
    order. All copies share the deque of fitted Members in this order. An Ensemble at its end trains
    in the refit. Until `fit` the stand-in passes everything on to `estimator`; then it becomes the
    fitted one, as scorers expect. `jobs` configures joblib for the refit.
    """

    __class__ = property(lambda self: type(self.estimator))  # which errors name

    def __init__(self, estimator, fitted, jobs):
        vars(self).update(estimator=estimator, fitted=fitted, jobs=jobs)

    def __sklearn_clone__(self):
        if not self.fitted:
            return HandedOut(clone(self.estimator), self.fitted, self.jobs)
        alike = object.__new__(type(self.estimator))  # a fitted one has its parameters already
        vars(alike).update(vars(self.estimator))
        return HandedOut(alike, self.fitted, self.jobs)

    def __sklearn_tags__(self):
        return self.estimator.__sklearn_tags__()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(vars(self)["estimator"], name)

    def __setattr__(self, name, value):
        setattr(self.estimator, name, value)

    def __delattr__(self, name):
        delattr(self.estimator, name)

    def set_params(self, **params):
        """Set parameters of the searched estimator."""
        if not self.fitted:
            with_own_frozen(self.estimator, params).set_params(**params)
        return self

    def __repr__(self):
        return repr(self.estimator)

    def fit(self, X, y=None, **params):
        """Become the next fitted estimator, or raise its error; after the last one, really fit."""
        fitted = self.fitted.popleft() if self.fitted else self.estimator
        followed = {k: v for k, v in vars(self.estimator).items() if k in FOLLOWED}
        if isinstance(fitted, Member):
            if fitted.error is not None:
                raise fitted.error
            fitted = fitted.estimator
        elif isinstance(fitted, Ensemble):
            vars(fitted).update(followed)
            with parallel_config(**self.jobs):
                fitted.train(X, y, params)
        else:
            with parallel_config(**self.jobs):
                fitted.fit(X, y, **params)
        vars(self).clear()
        vars(self).update(vars(fitted), **followed)
        vars(object)["__class__"].__set__(self, type(fitted))
        return self


class StackedSearch(Scored):
    """The part that both stacked searches add to scikit-learn's."""

    pareto_front_ = property(front_of_search)

    def fit(self, X, y=None, **params) -> Self:
        """Train all candidates on all folds, in stacks, score them, and refit the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
            A torch data set of (x, label) is accepted too, and read once for all candidates.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Class labels, or numbers; None takes the labels of a data set.
        **params : dict
            `exogenous_target` and `sample_weight` for the estimator, `groups` for the splitter,
            as in scikit-learn's search.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            For an empty grid, or for splits or a `stack_size` that are not valid.
        OSError
            If `checkpoint_dir` cannot be written to.
        KeyboardInterrupt
            After Ctrl-C, which leaves the search as it was.
        """
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()  # first, as in scikit-learn's fit
        if isinstance(self.refit, str):
            self._check_refit_name()
        folder = None if self.checkpoint_dir is None else checked_folder(self)
        X, y = read_dataset(X, y, verbose=self.verbose)
        before = {name: getattr(self, name) for name in ("estimator", "n_jobs", "cv")}
        splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        # outside of the sequential context below, so that it has the user's backend
        parallel = Parallel(n_jobs=self.n_jobs, pre_dispatch=self.pre_dispatch)
        jobs = dict(zip(("backend", "n_jobs"), get_active_backend(), strict=True))
        self._run = Run(indexable(X, y), splitter, parallel, jobs, self.n_jobs, folder=folder)
        try:
            # cloned before the splitter draws, as both may share a random generator
            searched = clone(self.estimator)
            self.estimator = HandedOut(searched, self._run.fitted, self._run.jobs)
            self.n_jobs, self.cv = 1, splitter
            # other errors leave what they leave in scikit-learn's search
            whole = all_or_nothing(self, errors=KeyboardInterrupt)
            with whole, parallel_config(backend="sequential"), sharing():
                for name in ("ensemble_weights_", "ensemble_score_"):
                    vars(self).pop(name, None)
                super().fit(X, y, **params)
        finally:
            vars(self).update(before)
            del self._run
            # a failed refit, or a scorer, may still hold the stand-in
            if isinstance(getattr(self, "best_estimator_", None), HandedOut):
                self.best_estimator_ = self.best_estimator_.estimator
            if self.scoring is None and hasattr(self, "scorer_"):
                self.scorer_ = check_scoring(self.estimator)
        return self

    def _get_routed_params_for_fit(self, params):
        self._run.routed = routed = super()._get_routed_params_for_fit(params)
        searched = self.estimator.estimator
        self._run.preparation = Preparation(searched, *self._run.rows, routed.estimator.fit)
        return routed

    def _run_search(self, evaluate_candidates, callback_ctx=None):
        told = {} if callback_ctx is None else {"callback_ctx": callback_ctx}

        def evaluate(candidate_params, cv=None, more_results=None, **more):
            candidates = list(candidate_params)
            searched, cv = self.estimator.estimator, self._run.splitter if cv is None else cv
            splits = list(cv.split(*self._run.rows, **self._run.routed.splitter.split))
            if not isinstance(self.scoring, str | None):
                self._check_scorers(splits)
            with parallel_config(**self._run.jobs), sharing():  # which goes before the scoring
                members = self._train(candidates, splits)
            if self.error_score == "raise":
                raise_first(members)
            self._run.fitted.extend(members)
            # score on the splits of the training, as a splitter may draw others each time
            more |= {"cv": check_cv(splits), "more_results": more_results}
            results = evaluate_candidates(candidates, **more)
            if self.refit == "ensemble":
                if "rank_test_score" not in results:  # a callable that gives several scores
                    self._check_refit_for_multimetric(self.scoring)
                given = results["rank_test_score"], *self._run.rows, self._run.routed
                self._run.trained = Trained(searched, candidates, splits, members, *given)
            self._run.seconds += [member.seconds for member in members]
            seconds = np.reshape(self._run.seconds, (-1, len(splits)))
            results["mean_fit_time"] = seconds.mean(1)
            results["std_fit_time"] = seconds.std(1)
            return results

        super()._run_search(evaluate, **told)
        if self.refit == "ensemble":
            given = self._run.trained, self._run.n_jobs
            self._run.fitted.append(choose_ensemble(self, *given))  # which the refit trains

    def _check_refit_for_multimetric(self, scores):
        check_refit(self.refit, scores)
        super()._check_refit_for_multimetric(scores)

    # ------------------------------------------------------------------ training

    def _train(self, candidates, splits):
        """Fitted members, in the order of candidates and folds."""
        tasks = [(c, p, f, s[0]) for c, p in enumerate(candidates) for f, s in enumerate(splits)]
        members = self._run.preparation.members(tasks, self.verbose, self.error_score)
        how = {"stack_size": self.stack_size, "verbose": self.verbose, "folder": self._run.folder}
        return train_all(members, self._run.parallel, **how)


class StackedGridSearchCV(StackedSearch, GridSearchCV):
    """GridSearchCV whose candidates and folds train together.

    Fits of one family and equal numbers of steps are stacked and trained as one batched program.
    This costs small networks far less than one by one. Such candidates may differ in depth,
    `n_experts`, widths of layers, λ, rate, weight decay, class weights or seed, on folds of
    equally many batches. Smaller networks are padded with zeros, where this costs less than
    another stack.
    The scores are those of a plain search with the same seeds, except for rounding, and for
    dropout, which draws other units. Equal candidates, which a plain search ties, may therefore
    differ a little. Scoring, ranking and refitting are scikit-learn's.

    Other numbers of layers, other kinds of layers or ways of `gating`, and other batch sizes or
    epochs make stacks of their own. λ = 0 trains beside higher λ, except beside a term of your own,
    and except on tables with `gating="auto"`, where λ = 0 has gated layers. Backbones of your own
    stack with backbones of equal parameters and shapes alone.

    Frozen exogenous transformers evaluate each row of an array once, also for scoring and the
    refit, up to 256 MB of outputs. Other transformers are fitted once a fold for all candidates
    that share them. Leading steps of a Pipeline are fitted once for each setting and fold. Fits
    that cannot be stacked train alone; `verbose` prints which, and why.

    Parameters
    ----------
    estimator : THINClassifier or THINRegressor, or Pipeline that ends in one
        Grids may replace it by other estimators, which are fitted one by one.
    param_grid, scoring, n_jobs, cv, verbose, pre_dispatch, error_score, return_train_score
        See :class:`~sklearn.model_selection.GridSearchCV`. `n_jobs` and joblib's backends
        run stacks, not candidates, in parallel; scoring is sequential.
    refit : bool, str or callable, default=True
        See GridSearchCV. "ensemble" refits several candidates, which train together, as a
        :class:`WeightedEnsembleClassifier` or :class:`WeightedEnsembleRegressor`. They are chosen
        by the squared error of their mean on the held-out rows of all folds, one by one and with
        replacement (Caruana, Niculescu-Mizil, Crew and Ksikes, 2004). A candidate that is chosen
        again gets another network, with another seed. There is a network for 15 fits of the
        search, at least 4 and at most 32. Candidates that fail on a fold, that predict no
        probabilities, or that are not among the best 32, take no part. `scoring` must be a single
        metric. :class:`KneeRefit` chooses among several scorers.
    stack_size : "auto" or int, default="auto"
        Most networks in a stack. "auto" keeps the memory of a step, measured on one network,
        within 1 GiB, or on a GPU within half of its free memory.
    checkpoint_dir : str, path or None, default=None
        Folder that keeps finished stacks, and states of the others, as in THINClassifier. A search
        that was killed goes on from them, when it is fitted again with the same folder. It then has
        the same results, except for the times. Stacks of other data, settings, seeds, networks or
        versions are not used. Fits with callbacks or code of your own train anew. On a GPU give
        `stack_size` as a number, as "auto" follows the free memory. Delete the folder afterwards.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
            refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        See GridSearchCV. The fit time of a stack is shared equally among its fits. With
        `refit="ensemble"`, `best_params_` and `best_score_` are those of the best candidate alone.
    ensemble_weights_ : ndarray of shape (n_candidates,)
        Share of each candidate in the ensemble, with `refit="ensemble"`.
    pareto_front_ : ndarray of int of shape (n_on_front,)
        With several scorers: :func:`pareto_front` of `cv_results_`.
    ensemble_score_ : float
        Score of the ensemble on held-out rows, the mean over the folds. It is optimistic, as the
        same rows chose the shares; a search inside cross-validation has an honest score.

    See Also
    --------
    StackedRandomizedSearchCV : The same for random candidates.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_thin import MLPBackbone, THINClassifier
    >>> from sklearn_thin.model_selection import StackedGridSearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> thin = THINClassifier(backbone=MLPBackbone((32,)), max_epochs=3, random_state=0)
    >>> grid = {"depth": [0, 2], "lr": [0.001, 0.003, 0.01]}
    >>> search = StackedGridSearchCV(thin, grid, cv=3).fit(X / 16, y)
    >>> search.best_params_["lr"] > 0.001
    True
    """

    _parameter_constraints: dict = {**GridSearchCV._parameter_constraints, **CONSTRAINTS}

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        error_score=np.nan,
        return_train_score=False,
        stack_size="auto",
        checkpoint_dir=None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.stack_size = stack_size
        self.checkpoint_dir = checkpoint_dir


class StackedRandomizedSearchCV(StackedSearch, RandomizedSearchCV):
    """RandomizedSearchCV whose candidates and folds train together.

    As :class:`StackedGridSearchCV`, for candidates from distributions.

    Parameters
    ----------
    estimator : THINClassifier or THINRegressor, or Pipeline that ends in one
    param_distributions, n_iter, scoring, n_jobs, cv, verbose, pre_dispatch, random_state, \
error_score, return_train_score
        See :class:`~sklearn.model_selection.RandomizedSearchCV`.
    refit, stack_size, checkpoint_dir
        See StackedGridSearchCV.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
            refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        See RandomizedSearchCV.
    ensemble_weights_, ensemble_score_, pareto_front_
        See StackedGridSearchCV.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_thin import MLPBackbone, THINClassifier
    >>> from sklearn_thin.model_selection import StackedRandomizedSearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> thin = THINClassifier(backbone=MLPBackbone((32,)), depth=1, max_epochs=3)
    >>> rates = {"lr": loguniform(1e-3, 1e-1)}
    >>> search = StackedRandomizedSearchCV(thin, rates, n_iter=4, cv=3, random_state=0)
    >>> len(search.fit(X / 16, y).cv_results_["params"])
    4
    """

    _parameter_constraints: dict = {**RandomizedSearchCV._parameter_constraints, **CONSTRAINTS}

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_iter=10,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        stack_size="auto",
        checkpoint_dir=None,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.stack_size = stack_size
        self.checkpoint_dir = checkpoint_dir
