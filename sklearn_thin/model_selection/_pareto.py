"""Several scores of a search: the candidates that no other dominates, and the knee among them."""

import re
import sys
from dataclasses import dataclass
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import HasMethods

from sklearn_thin._arguments import validated

MEAN = "mean_test_"


@validated({"cv_results": [HasMethods(["keys"])], "scorers": ["array-like", None]})
def pareto_front(cv_results, scorers=None) -> np.ndarray:
    """Candidates of a search that no other candidate dominates.

    A candidate dominates another if none of its scores is lower, and one is higher. The scores are
    the means over the test folds. Higher is better, as for all scorers of scikit-learn.

    Parameters
    ----------
    cv_results : dict
        `cv_results_` of any fitted search, with several scorers. A DataFrame of it works too.
    scorers : list of str, default=None
        Names of the scorers, at least one. None takes all scorers of the search.

    Returns
    -------
    front : ndarray of int of shape (n_on_front,)
        Sorted indices into `cv_results`. It is empty if all candidates failed.

    Raises
    ------
    ValueError
        For names of scorers that the search lacks, and results without mean test scores.

    See Also
    --------
    KneeRefit : Chooses one candidate of the front.
    sklearn_thin.inspection.ParetoDisplay : Draws two scores of the candidates.

    Notes
    -----
    A candidate with a NaN or an infinite score is not on the front, and dominates nothing. A fit
    that failed on a fold has such a score. Candidates with equal scores are all on the front, or
    all off it.

    The front is that of the means. Noise alone can put a candidate on it.

    Examples
    --------
    >>> from sklearn_thin.model_selection import pareto_front
    >>> scores = {"mean_test_accuracy": [0.9, 0.8, 0.8], "mean_test_leakage": [-0.5, -0.1, -0.2]}
    >>> pareto_front(scores)
    array([0, 1])
    """
    return np.flatnonzero(on_front(mean_scores(cv_results, scorer_names(cv_results, scorers))))


@dataclass(frozen=True)
class KneeRefit:
    """Refit the knee of the Pareto front: `refit=KneeRefit()` of a search with several scorers.

    It works in every search of scikit-learn with several scorers. Searches by halving have a single
    scorer and their own choice. The knee is the candidate from which any step along the front loses
    much of a score and gains little of others.

    Parameters
    ----------
    scorers : list of str, default=None
        Names of the scorers of the trade-off, each once, the most important first. None takes all
        scorers of the search, in their order.
    tolerance : float, default=1.0
        In standard errors, at least 0. Scores that are lower than the best score by so much or
        less count as the best.

    Raises
    ------
    ValueError
        For a `tolerance` that is no number or below 0, and for `scorers` that are no list of
        different names.

    See Also
    --------
    pareto_front : The candidates among which it chooses.

    Notes
    -----
    The rule is:

    1. Of each scorer, scores within `tolerance` standard errors of the best count as the best. The
       standard error is that of the best candidate's mean over the folds. This is the rule of one
       standard error (Breiman, Friedman, Olshen and Stone, 1984).
    2. Candidates on the Pareto front of these scores take part.
    3. Of each scorer, the worst score of these candidates becomes 0 and the best becomes 1.
    4. The knee is the candidate with the greatest sum. With two scorers, it is the farthest beyond
       the line through both ends of the front (Das, 1999).
    5. Equal sums are decided by the scores as they were: by the first scorer, then by the next, at
       last by the order of the candidates.

    The knee is on the front of the scores as they were, too.

    A front that is a line, or bends inwards, has no knee. The rule then chooses the end that the
    first scorer prefers. The rule weighs all scorers alike, whatever their range on the front. A
    scorer whose scores differ by noise therefore deserves no place among them.

    With a single scorer the rule chooses the best candidate. With one fold there is no standard
    error, and no tolerance. Nor is there one where the standard deviation overflows. Folds share
    rows, and the standard error of few folds is too low.

    The `score` method of a search raises an error with several scorers and this rule.
    `search.scorer_["accuracy"](search.best_estimator_, X, y)` scores. `best_score_` is not set.

    References
    ----------
    I. Das, "On characterizing the 'knee' of the Pareto curve based on normal-boundary
    intersection", Structural Optimization 18, 1999.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sklearn_thin.model_selection import KneeRefit
    >>> def small(tree, X, y):
    ...     return -tree.get_n_leaves()
    >>> X, y = load_iris(return_X_y=True)
    >>> tree, grid = DecisionTreeClassifier(random_state=0), {"max_leaf_nodes": [2, 3, 4, 6, 9]}
    >>> scoring = {"accuracy": "accuracy", "small": small}
    >>> GridSearchCV(tree, grid, scoring=scoring, refit=KneeRefit()).fit(X, y).best_params_
    {'max_leaf_nodes': 3}
    """

    scorers: list | None = None
    tolerance: float = 1.0

    def __post_init__(self):
        if not isinstance(self.tolerance, Real) or not 0 <= self.tolerance < np.inf:
            raise ValueError(
                "tolerance must be a number of standard errors, at least 0 and finite, got "
                f"{self.tolerance!r}"
            )
        if hasattr(self.scorers, "tolist"):  # of numpy and pandas
            object.__setattr__(self, "scorers", self.scorers.tolist())
        if self.scorers is not None and not different_names(self.scorers):
            raise ValueError(
                "scorers must be a list of names of scorers, or None, each name once, got "
                f"{self.scorers!r}"
            )

    def __call__(self, cv_results) -> int:
        """Index of the knee.

        Parameters
        ----------
        cv_results : dict
            `cv_results_` of a search.

        Returns
        -------
        index : int

        Raises
        ------
        ValueError
            If each candidate lacks a score, and for names of scorers that the search lacks.
        """
        names = scorer_names(cv_results, self.scorers)
        scores = mean_scores(cv_results, names)  # (n_candidates, n_scorers)
        given = np.isfinite(scores)
        if not (finite := given.all(1)).any():
            failed = [name for name, some in zip(names, given.any(0), strict=True) if not some]
            which = f" No candidate has a finite score of {failed}." if failed else ""
            raise ValueError(
                f"there is no knee, as none of the candidates has finite scores of all of {names}: "
                f"fits or scorers failed.{which} Pass error_score='raise' to the search to see the "
                "errors"
            )
        best = np.where(finite[:, None], scores, -np.inf).argmax(0), np.arange(len(names))
        errors = standard_errors(cv_results, names)
        with np.errstate(over="ignore"):
            enough = scores[best] - self.tolerance * errors[best]
        tolerated = np.minimum(scores, np.maximum(enough, -sys.float_info.max))
        front = np.flatnonzero(on_front(tolerated))
        gains = tolerated[front] / 2 - tolerated[front].min(0) / 2  # halves, as floats may overflow
        width = gains.max(0)
        sums = (gains / np.where(width > 0, width, 1)).sum(1).round(12)  # rounding is no order
        order = np.lexsort([-front, *scores[front].T[::-1], sums])  # the last key counts most
        return int(front[order[-1]])


def scorer_names(cv_results, scorers=None):
    """Names of the scorers of a search: those given, or all in their order."""
    keys = [str(key) for key in cv_results]
    known = [key.removeprefix(MEAN) for key in keys if key.startswith(MEAN)]
    if not known:
        raise ValueError(
            f"cv_results must hold mean test scores, as search.cv_results_ does, got {keys[:10]}"
        )
    return checked_names(scorers, known)


def checked_names(scorers, known):
    """The scorers as a list, or all known ones for None; ValueError for others."""
    names = known if scorers is None else list(scorers)
    if not different_names(names) or any(name not in known for name in names):
        raise ValueError(
            f"scorers must be names among {known}, those of the search, each once, got {names}"
        )
    return names


def different_names(names):
    """Whether these are names, at least one, and each once."""
    listed = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
    return listed and 0 < len(names) == len(set(names))


def mean_scores(cv_results, names):
    """Mean test scores: (n_candidates, n_scorers)."""
    return np.column_stack([np.asarray(cv_results[MEAN + name], dtype=float) for name in names])


def on_front(scores):
    """Whether scores (n_candidates, n_scorers) are finite, and no others dominate them."""
    front = np.isfinite(scores).all(1)
    among = scores[front]
    front[front] = [not ((among >= own).all(1) & (among > own).any(1)).any() for own in among]
    return front


def standard_errors(cv_results, names):
    """Standard errors of the mean test scores: (n_candidates, n_scorers).

    They are 0 with one fold, and where the standard deviation overflows.
    """
    errors = []
    for name in names:
        split = re.compile(rf"split\d+_test_{re.escape(name)}")
        n_splits = sum(split.fullmatch(str(key)) is not None for key in cv_results)
        deviation = np.asarray(cv_results[f"std_test_{name}"], dtype=float)  # of ddof=0
        deviation = np.where(np.isinf(deviation), 0, deviation)
        errors.append(deviation / np.sqrt(max(n_splits - 1, 1)))
    return np.column_stack(errors)


def front_of_search(search):
    """Candidates that no other dominates, of a fitted search with several scorers."""
    if not getattr(search, "multimetric_", False):
        raise AttributeError("a search has a Pareto front after a fit with several scorers")
    return pareto_front(search.cv_results_)
