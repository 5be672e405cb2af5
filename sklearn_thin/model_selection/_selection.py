"""refit="ensemble": networks of a search -> their errors on held-out rows -> the members.

Greedy selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes, 2004) by the squared
error of the mean prediction: of class probabilities (Brier's score), or of numbers. The squared
error of any mean follows from the products of the candidates' errors, a matrix of (n_candidates,
n_candidates). The predictions themselves are dropped, a block of rows at a time.
"""

import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection._validation import _score
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.metadata_routing import _routing_enabled, process_routing
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _num_samples

from sklearn_thin._pickling import Estimator
from sklearn_thin.model_selection._members import THINS, last_step, raise_first
from sklearn_thin.model_selection._pareto import KneeRefit, checked_names, scorer_names
from sklearn_thin.model_selection._weighted import (
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
)
from sklearn_thin.rows.arrays import IN_MEMORY

FEWEST, MOST = 4, 32  # picks
FITS = 15  # of the search for each pick between: small stacks take twice as long a network


def check_refit(refit, scorers):
    """Raise for a `refit` of this package that does not go with several scorers."""
    if refit == "ensemble":
        scorers = ", ".join(scorers) if isinstance(scorers, dict) else scorers
        raise ValueError(
            'refit="ensemble" needs one metric in scoring, by which best_params_ are chosen, '
            f"got {scorers}. Pass one of them as scoring, or another refit."
        )
    if isinstance(refit, KneeRefit):
        checked_names(refit.scorers, list(scorers))


class Scored(Estimator):
    """The part of a search that scores new rows."""

    def score(self, X, y=None, **params):
        """Score of the best estimator, by the scorer of the refit.

        Parameters
        ----------
        X : array-like
        y : array-like, default=None
        **params : dict
            For the scorer, with metadata routing.

        Returns
        -------
        score : float

        Raises
        ------
        ValueError
            For several scorers with a callable as `refit`, as none of them is that of the refit.
        """
        if getattr(self, "multimetric_", False) and callable(self.refit):
            names = scorer_names(self.cv_results_)
            first = repr(names[0])
            one, given = "search.scorer_", "(search.best_estimator_, X, y)"
            of_dict = isinstance(self.scorer_, dict)
            call = f"{one}[{first}]{given}" if of_dict else f"{one}{given}[{first}]"
            raise ValueError(
                f"score needs one scorer, but the search has {names}, and refit={self.refit!r} "
                f"names none of them. Score with {call}. In cross_validate and the like, pass "
                "scoring=..., such as a name."
            )
        return super().score(X, y, **params)

    def _check_refit_name(self):
        """Raise for a slip in "ensemble": of one metric, any text refits the best candidate."""
        refit, single = self.refit, isinstance(self.scoring, str | None)
        near = difflib.get_close_matches(refit.lower(), ["ensemble"])
        if single and near and refit not in ("ensemble", self.scoring):
            raise ValueError(
                "refit must be a bool, a callable, the name of a scorer or 'ensemble', got "
                f"{refit!r}. Did you mean 'ensemble'?"
            )

    def _check_scorers(self, splits):
        """Raise what a scorer that checks rows raises on all folds; before the training.

        With error_score="raise" one fold is enough.
        """
        given = self.scoring if isinstance(self.scoring, dict) else {"score": self.scoring}
        checks = {name: s.check_rows for name, s in given.items() if hasattr(s, "check_rows")}
        (X, y), params = self._run.rows, self._run.routed.scorer.score
        for name, check in checks.items():
            own, errors = params if _routing_enabled() else {}, []
            if own and isinstance(self.scoring, dict):
                own = process_routing(self._get_scorers()[0], "score", **params)[name].score
            for train, test in splits:
                rows = _safe_split(self.estimator, X, y, test, train)
                try:
                    check(*rows, **_check_method_params(X, own, indices=test))
                except ValueError as error:
                    errors.append(error)
            if len(errors) == len(splits) or (errors and self.error_score == "raise"):
                raise errors[0]


def choose_ensemble(search, trained, n_jobs):
    """The ensemble of a search, yet to be fitted; the search gets its weights and its score."""
    how = {"stack_size": search.stack_size, "n_jobs": n_jobs, "verbose": search.verbose}
    ensemble, shares = trained.ensemble(**how)
    if search.error_score == "raise":
        raise_first(trained.members)
    scorer = check_scoring(trained.searched, search.scoring)
    scores = trained.scores(shares, scorer, search.error_score)
    search.ensemble_weights_, search.ensemble_score_ = shares, float(np.mean(scores))
    return ensemble


@dataclass
class Trained:
    """The candidates of a search, fitted on each fold, and the rows of the search."""

    searched: Any  # the estimator
    candidates: list  # of parameters
    splits: list  # of training and test rows
    members: list  # in the order of candidates and folds
    ranks: Any  # of the candidates by their scores, the best 1
    X: Any
    y: Any
    routed: Any  # parameters for the estimator's fit and the scorer

    @property
    def kind(self):
        """Class of the ensemble."""
        classifies = is_classifier(self.searched)
        return WeightedEnsembleClassifier if classifies else WeightedEnsembleRegressor

    def folds(self, most=None):
        """Members, rows, labels and indices of each fold, of at most so many rows at once."""
        for fold, (train, test) in enumerate(self.splits):
            test = np.asarray(test)
            test = np.flatnonzero(test) if test.dtype == bool else test
            for part in gen_batches(len(test), most or max(1, len(test))):
                rows = _safe_split(self.searched, self.X, self.y, test[part], train)
                yield self.members[fold :: len(self.splits)], *rows, test[part]

    def products(self):
        """Mean products (n_candidates, n_candidates) of the candidates' errors on held-out rows.

        A row counts as often as a split holds it out, by its sample weight. NaN stands for a
        candidate that failed on a fold, or that has a rank below MOST.
        """
        n, weight = len(self.candidates), self.sample_weight
        true = Labels(self.members) if is_classifier(self.searched) else Numbers(self.y)
        most = max(16, IN_MEMORY // (4 * n * true.n_values))
        total = np.zeros((n, n))
        for members, X, y, index in self.folds(most):
            errors = np.full((n, len(index), true.n_values), np.nan, np.float32)
            for member, error in zip(members, errors, strict=True):
                if member.error is None and self.ranks[member.candidate] <= MOST:
                    with member.timed():
                        error[:] = true.errors(member.estimator, X, y)
            errors *= np.sqrt(weight[index], dtype=np.float32)[:, None]
            errors = errors.reshape(n, -1)
            with np.errstate(invalid="ignore"):
                total += errors @ errors.T
        return total

    @cached_property
    def sample_weight(self):
        """Weight of each row in the fits, also in those of a Pipeline's step."""
        params = self.routed.estimator.fit.items()
        named = [v for k, v in params if k.rpartition("__")[2] == "sample_weight" and v is not None]
        return np.asarray(named[0], float) if named else np.ones(_num_samples(self.X))

    def ensemble(self, **how):
        """The ensemble, yet to be fitted, and the share of each candidate in it.

        `how` are its `stack_size`, `n_jobs` and `verbose`.
        """
        products = self.products()
        if not np.isfinite(np.diag(products)).any():
            raise ValueError(
                f'refit="ensemble" needs a candidate that is fitted and predicts on each fold, but '
                f"all {len(self.candidates)} failed. error_score='raise' raises the first error."
            )
        picks = greedy(products, min(MOST, max(FEWEST, len(self.members) // FITS)))
        return self.kind(self.searched, *self._members(picks), **how), picks / picks.sum()

    def _members(self, picks):
        """Settings and weights; a candidate of THINS that is picked again gets another seed.

        Candidates share the seeds, and with them the exogenous sides that are fitted. Others train
        one by one, and get a weight instead.
        """
        of_searched, _ = last_step(self.searched)
        rng = check_random_state(getattr(of_searched, "random_state", None))
        seeds = rng.randint(np.iinfo(np.int32).max, size=picks.max())
        settings, weights = [], []
        for place in np.flatnonzero(picks):
            params, times = self.candidates[place], int(picks[place])
            candidate = clone(self.searched).set_params(**clone(params, safe=False))
            step, prefix = last_step(candidate)
            if not isinstance(step, THINS):
                settings.append(params)
                weights.append(times)
                continue
            name = f"{prefix}random_state"
            settings += [params, *({**params, name: int(seed)} for seed in seeds[1:times])]
            weights += [1] * times
        return settings, weights

    def scores(self, shares, scorer, error_score):
        """Score on each fold of the mean of its networks, by the shares of the candidates."""
        scores = []
        for members, X, y, index in self.folds():
            chosen = [m.estimator for m, share in zip(members, shares, strict=True) if share]
            whole = self.kind(self.searched, [], shares[shares > 0].tolist()).keep(chosen)
            params = _check_method_params(self.X, self.routed.scorer.score, indices=index)
            scores.append(_score(whole, X, y, scorer, params, error_score))
        return scores


# --------------------------------------------------------------------- errors


class Labels:
    """Errors of class probabilities."""

    def __init__(self, members):
        fitted = [m.estimator.classes_ for m in members if m.error is None]
        self.classes = np.unique(np.concatenate(fitted))
        self.n_values = len(self.classes)

    def errors(self, estimator, X, y):
        """Probabilities less the true ones, 0 and 1: (n_samples, n_classes)."""
        errors = -(np.asarray(y).reshape(-1, 1) == self.classes).astype(np.float32)
        places = np.searchsorted(self.classes, estimator.classes_)  # a fold may lack classes
        errors[:, places] += estimator.predict_proba(X)
        return errors


class Numbers:
    """Errors of numbers, in units of the standard deviation of each output."""

    def __init__(self, y):
        y = np.asarray(y, float)
        deviation = y.reshape(len(y), -1).std(0)
        self.deviation = np.where(deviation > 0, deviation, 1)
        self.n_values = len(deviation)

    def errors(self, estimator, X, y):
        """Predictions less the true numbers: (n_samples, n_outputs)."""
        errors = np.asarray(estimator.predict(X), float) - np.asarray(y, float)
        return errors.reshape(len(errors), -1) / self.deviation


# ------------------------------------------------------------------ selection


def greedy(products, n_picks):
    """Times that each candidate is picked, by the products of errors; NaN stands for a failure.

    Each pick is of the candidate with which the mean has the least squared error. None is taken
    back: a candidate that is picked again gets another seed, which the products do not know.
    """
    usable = np.isfinite(np.diag(products))
    own = np.where(usable, np.diag(products), np.inf)
    picks = np.zeros(len(own), int)
    of_picks, with_picks = 0.0, np.zeros(len(own))  # sums of products over the picks
    for size in range(1, n_picks + 1):
        errors = (of_picks + 2 * with_picks + own) / size**2  # of the mean with each candidate
        best = errors.argmin()
        of_picks = errors[best] * size**2
        with_picks += np.where(usable, products[best], 0)
        picks[best] += 1
    return picks
