"""Leakage as a scorer of searches."""

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.metadata_routing import UNUSED, _MetadataRequester
from sklearn.utils.validation import check_is_fitted

from sklearn_thin.exogenous.columns import places_of
from sklearn_thin.inspection._leakage import Audit, checked_probes
from sklearn_thin.inspection._probes import Halves, matrix
from sklearn_thin.inspection._tally import Tally


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
    return LeakageScorer(column, checked_probes(probes), random_state)


class LeakageScorer(_MetadataRequester):
    """The result of :func:`make_leakage_scorer`."""

    __metadata_request__score = {"exogenous_target": True, "groups": False, "estimator": UNUSED}

    def __init__(self, column, probes, random_state):
        self.column = column
        self.probes = probes
        self.random_state = random_state

    def __repr__(self):
        return f"make_leakage_scorer(column={self.column!r}, probes={list(self.probes)})"

    def __call__(self, estimator, X, y=None, **params):
        """The score, as a scorer of scikit-learn."""
        return self.score(estimator, X, y, **params)

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
        z = exogenous_target
        if self.column is not None:
            z = _safe_indexing(X, places_of(self.column, X)[0], axis=1)
        if z is None:
            raise ValueError(
                "the leakage scorer needs z. Either name a column of X, "
                "make_leakage_scorer(column=...), or enable metadata routing, "
                "sklearn.set_config(enable_metadata_routing=True), and pass exogenous_target to "
                "the fit of the search."
            )
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
