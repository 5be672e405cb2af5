"""Leakage, and the score of the worst level, as scorers of searches."""

import reprlib
from inspect import signature
from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.metrics import (
    check_scoring,
    cohen_kappa_score,
    get_scorer_names,
    matthews_corrcoef,
)
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metadata_routing import UNUSED, _MetadataRequester
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklearn_thin._arguments import validated
from sklearn_thin.exogenous.columns import places_of
from sklearn_thin.inspection._leakage import Audit, checked_probes
from sklearn_thin.inspection._probes import FEWEST, Halves, matrix, refuse_rare
from sklearn_thin.inspection._tally import Tally
from sklearn_thin.rows.columns import as_table
from sklearn_thin.rows.labels import as_array, check_labels, encode_labels, wrong_length

BEYOND_CHANCE = matthews_corrcoef, cohen_kappa_score  # 0 of one class, whatever is predicted


def make_leakage_scorer(*, column=None, probes=("linear", "rbf"), random_state=0):
    """A scorer for searches: minus the leakage of `estimator.transform(X)`.

    The best score is 0: no probe reads z. The worst is -1: a probe predicts z without errors.

    Parameters
    ----------
    column : str, int or None, default=None
        Column of X that holds z, by name or position. None takes z from metadata: with metadata
        routing, `exogenous_target` of the search's `fit` is z.
    probes : list of str or dict from name to classifier, default=("linear", "rbf")
        As in :func:`leakage_report`. The score is that of the probe that reads the most.
    random_state : int, RandomState instance or None, default=0
        Splits the rows that are scored, and seeds the probes.

    Returns
    -------
    LeakageScorer
        A callable `scorer(estimator, X, y, exogenous_target=None, groups=None)`. It raises
        NotFittedError for an estimator that is not fitted, and TypeError for one without
        `transform`. Other errors are those of :func:`leakage_report`.

        `set_score_request(groups=True)` lets probes train and score on different groups.

    Notes
    -----
    The score is minus the balanced accuracy above chance of the best probe (Notes of
    :func:`leakage_report`). Half of the rows that are scored train the probes. Each level of z
    needs four of these rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_thin.inspection import make_leakage_scorer
    >>> X = np.random.RandomState(0).normal(size=(300, 3))
    >>> X[:, 0] = np.arange(300) % 2
    >>> scorer = make_leakage_scorer(column=0)
    >>> scorer(PCA().fit(X), X) < -0.9, scorer(PCA(1).fit(X), X) > -0.5
    (True, True)
    """
    checked_column(column, "make_leakage_scorer")
    check_random_state(random_state)
    return LeakageScorer(column, checked_probes(probes), random_state)


def checked_column(column, maker):
    """Raise ValueError for a column that is neither a name nor a position; bools are ints."""
    if isinstance(column, bool) or not isinstance(column, (str, Integral, type(None))):
        raise ValueError(
            f"The 'column' parameter of {maker} must be the name of a column of X, its position, "
            f"or None, got {column!r}"
        )


class LevelScorer(_MetadataRequester):
    """A scorer that reads the levels z of the rows from a column of X, or from metadata."""

    __metadata_request__score = {"exogenous_target": True, "estimator": UNUSED}
    fewest = 1  # rows of a level

    def __call__(self, estimator, X, y=None, **params):
        """The score, as a scorer of scikit-learn."""
        return self.score(estimator, X, y, **params)

    def _accept_sample_weight(self):
        """Without metadata routing, searches with several scorers ask each of them."""
        return False

    def check_rows(self, X, y=None, *, exogenous_target=None, groups=None):
        """Raise ValueError for rows whose z no estimator can be scored by.

        The stacked searches call it on the held-out rows of each fold, before they train.
        """
        levels, codes = self.read_levels(X, exogenous_target)
        refuse_rare(levels, np.bincount(codes), "rows", self.fewest)

    def read_levels(self, X, exogenous_target):
        """Levels (n_levels,) of z, and codes (n_samples,) of the rows."""
        return encode_labels(self.read_z(X, exogenous_target), _num_samples(X), name="z")

    def read_z(self, X, exogenous_target):
        """z of the rows; ValueError without any, and where some are missing."""
        if self.column is not None:
            table = as_table(X)
            instead = f"z as exogenous_target, with metadata routing and {self.made_by}()"
            (place,) = places_of(self.column, table, "column", instead)
            z = _safe_indexing(table, place, axis=1)
            return check_labels(z, f"z, the column {self.column!r} of X,")
        if exogenous_target is None:
            raise ValueError(
                f"the {self.name} scorer needs z. Either name a column of X, "
                f"{self.made_by}(column=...), or enable metadata routing, "
                "sklearn.set_config(enable_metadata_routing=True), and pass exogenous_target to "
                "fit and score of the search."
            )
        return exogenous_target


class LeakageScorer(LevelScorer):
    """The result of :func:`make_leakage_scorer`."""

    __metadata_request__score = {"groups": False}
    name, made_by, fewest = "leakage", "make_leakage_scorer", FEWEST

    def __init__(self, column, probes, random_state):
        self.column = column
        self.probes = probes
        self.random_state = random_state

    def __repr__(self):
        return f"make_leakage_scorer(column={self.column!r}, probes={list(self.probes)})"

    def score(self, estimator, X, y=None, *, exogenous_target=None, groups=None):
        """Minus the leakage of z from `estimator.transform(X)`.

        Parameters
        ----------
        estimator : fitted estimator with `transform`
        X : array-like of shape (n_samples, ...)
        y : ignored
        exogenous_target : array-like of shape (n_samples,), default=None
            z, unless the scorer takes a column.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group train the probes together, or score them together.

        Returns
        -------
        float
            In [-1, 1]. Noise lifts it above 0.
        """
        z = self.read_z(X, exogenous_target)
        if not hasattr(estimator, "transform"):
            raise TypeError(
                "the leakage scorer reads the representation estimator.transform(X), but "
                f"{type(estimator).__name__} has no transform"
            )
        check_is_fitted(estimator)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        h = matrix(estimator.transform(X), "h")
        halves = Halves.read(z, len(h), groups, seed)
        tally = Tally(halves)
        picks = [tally.picks(proba) for proba in Audit(halves, self.probes, seed, 1).probas(h)]
        return -float(tally.scores(np.array(picks), tally.z[None])[1].max())


@validated({"scoring": [StrOptions(set(get_scorer_names())), callable, None]})
def make_worst_level_scorer(scoring=None, *, column=None):
    """A scorer for searches: the score of the level of z that has the least.

    Parameters
    ----------
    scoring : str, callable or None, default=None
        The score of each level: a name of :func:`sklearn.metrics.get_scorer`, or a callable
        `scorer(estimator, X, y)`. None takes the estimator's `score`, which is the accuracy or R².
    column : str, int or None, default=None
        Column of X that holds z, by name or position. None takes z from metadata: with metadata
        routing, `exogenous_target` of the search's `fit` is z.

    Returns
    -------
    WorstLevelScorer
        A callable `scorer(estimator, X, y, exogenous_target=None)`.

    Raises
    ------
    ValueError
        For an unknown name, and for a `scoring` that requests metadata such as `sample_weight`,
        which the levels do not get. The scorer raises it without z, for z of one level or with
        missing labels, and for z or y of another length than X. It raises it for a score that is
        no number. It raises it for a level that lacks a class, where the score needs all classes.

    See Also
    --------
    level_report : Scores of all levels of held-out rows, with intervals.
    make_leakage_scorer : Whether the variable has left the representation.

    Notes
    -----
    It is `group_min` of :func:`fairlearn.metrics.make_derived_metric`, for searches.

    Each fold has its own worst level. The mean over folds is lower than the score of the worst
    level, above all with few rows in a level.

    Some scores need all classes in each level of each fold: "neg_log_loss", those of "roc_auc",
    "average_precision", and all means over classes ("macro"). "f1", "precision", "recall" and
    "jaccard" need the class 1. "matthews_corrcoef" and Cohen's kappa need two classes. "accuracy"
    and the "weighted" means of these scores do not.

    Examples
    --------
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import make_worst_level_scorer
    >>> X, y = make_sites(n_samples=400, n_sites=4, return_X_y=True, as_frame=True, random_state=0)
    >>> thin = THINClassifier("site", depth=1, max_epochs=2, random_state=0).fit(X, y)
    >>> make_worst_level_scorer(column="site")(thin, X, y) < thin.score(X, y)
    True
    """
    checked_column(column, "make_worst_level_scorer")
    asked = requested(scoring) - {"exogenous_target"}  # of a scorer of levels, which may do without
    if asked:
        raise ValueError(
            f"scoring requests {sorted(asked)}, but the score of a level gets the estimator, X and "
            "y alone. Pass a scorer without set_score_request"
        )
    return WorstLevelScorer(scoring, column)


class WorstLevelScorer(LevelScorer):
    """The result of :func:`make_worst_level_scorer`."""

    name, made_by = "worst-level", "make_worst_level_scorer"

    def __init__(self, scoring, column):
        self.scoring = scoring
        self.column = column

    def __repr__(self):
        return f"{self.made_by}({self.scoring!r}, column={self.column!r})"

    def score(self, estimator, X, y=None, *, exogenous_target=None):
        """The least score of a level.

        Parameters
        ----------
        estimator : fitted estimator
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        exogenous_target : array-like of shape (n_samples,), default=None
            z, unless the scorer takes a column.

        Returns
        -------
        float
            NaN if the score of a level is NaN.
        """
        levels, z = self.read_levels(X, exogenous_target)
        if y is None:
            raise ValueError("the worst-level scorer needs y, with a value for each row of X")
        if _num_samples(y) != len(z):
            raise wrong_length(y, len(z), "y", "X", "value")
        scorer = check_scoring(estimator, self.scoring)
        scores = []
        for code, level in enumerate(levels.tolist()):
            mine = np.flatnonzero(z == code)
            rows = _safe_indexing(X, mine), _safe_indexing(y, mine)
            scores.append(self.score_level(scorer, estimator, rows, level))
        return float(np.min(scores))

    def score_level(self, scorer, estimator, rows, level):
        """Score of the rows of a level; ValueError where the level lacks classes that it needs."""
        lacked = lacked_classes(estimator, rows[1])
        if needs(scorer, lacked, rows[1]):
            raise self.no_score(level, lacked, "the score needs them")
        try:
            score = scorer(estimator, *rows)
        except Exception as error:
            if lacked and not isinstance(error, NotFittedError):
                raise self.no_score(level, lacked, error) from error
            raise
        score = as_number(score, self)
        if lacked and not np.isfinite(score):
            raise self.no_score(level, lacked, "the score is not finite")
        return score

    def no_score(self, level, lacked, why):
        """The error of a level that lacks classes."""
        return ValueError(
            f"{self!r} has no score of the level {level!r} of z, as its rows lack the classes "
            f"{lacked} ({why}). Pass a score that does not need all classes, such as 'accuracy' or "
            "'f1_weighted'. Or merge rare levels, or take fewer folds."
        )


def requested(scoring):
    """Names of the metadata that a scorer requests."""
    if not hasattr(scoring, "get_metadata_routing"):
        return set()
    requests = scoring.get_metadata_routing().score.requests.items()
    return {k for k, v in requests if v is True or (isinstance(v, str) and v.isidentifier())}


def lacked_classes(estimator, y):
    """Classes of a fitted classifier that y lacks, a list; empty for several outputs."""
    classes, y = getattr(estimator, "classes_", None), as_array(y, "y")
    if not isinstance(classes, np.ndarray) or y.size != len(y):
        return []
    return sorted(set(classes.tolist()) - set(y.ravel().tolist()))


def needs(scorer, lacked, y):
    """Whether a metric of scikit-learn would count lacked classes as 0, or has no value."""
    metric = getattr(scorer, "_score_func", None)
    if not lacked or metric is None:
        return False
    if metric in BEYOND_CHANCE:
        return len(set(as_array(y, "y").ravel().tolist())) == 1
    given = {name: p.default for name, p in signature(metric).parameters.items()} | scorer._kwargs
    average = given.get("average")
    return average == "macro" or (average == "binary" and given.get("pos_label", 1) in lacked)


def as_number(score, scorer):
    """A score as a float; ValueError for arrays, dicts and None."""
    number = score.item() if np.size(score) == 1 and hasattr(score, "item") else score
    if not isinstance(number, Real):
        raise ValueError(
            f"the scoring of {scorer!r} must return a number, got {reprlib.repr(score)}, of type "
            f"{type(score).__name__}"
        )
    return float(number)
