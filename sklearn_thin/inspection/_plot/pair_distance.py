"""Distances of pairs in the representation: same or different, such as two photos of one person."""

from numbers import Integral

import numpy as np
from sklearn.metrics.pairwise import paired_distances
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import _num_samples, column_or_1d

from sklearn_thin._environment import own_torch_state
from sklearn_thin.inspection._plot.axes import Display, legend_above, matplotlib_for
from sklearn_thin.inspection._plot.histograms import draw_histogram
from sklearn_thin.inspection._reading import read_net

N_BINS = 40


def pair_distance_iou(distances, same, *, n_bins=N_BINS):
    """Overlap of the distances of same and of different pairs: intersection over union.

    Both histograms have area 1. The overlap is 1 where the distance knows nothing of the pairs, and
    0 where it separates them. With few pairs the overlap of equal distributions is below 1.

    Parameters
    ----------
    distances : array-like of shape (n_pairs,)
        Non-negative.
    same : array-like of shape (n_pairs,)
        Whether both rows of a pair have the same identity, level or class; 0 and 1, or booleans.
    n_bins : int, default=40
        Equal bins from the least to the greatest distance.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        For `same` of another length than the distances, values other than 0 and 1, pairs of one
        kind alone, and `n_bins` below 1.

    Examples
    --------
    >>> from sklearn_thin.inspection import pair_distance_iou
    >>> pair_distance_iou([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0])
    0.0
    """
    distances, same = check_pairs(distances, same)
    edges = pair_edges(distances, n_bins)
    p, q = (np.histogram(distances[same == kind], edges)[0] for kind in (True, False))
    p, q = p / p.sum(), q / q.sum()
    return float(np.minimum(p, q).sum() / np.maximum(p, q).sum())


class PairDistanceDisplay(Display):
    """Histograms of the distances of same and of different pairs: Figures 9 and 11 of the paper.

    Where an overlap of 1 is wanted for the nuisance, h_endo has lost it.
    :meth:`from_estimator` makes it, for the pairs of :func:`load_lfw_pairs` among others.

    Parameters
    ----------
    distances : ndarray of shape (n_pairs,)
        Non-negative.
    same : ndarray of bool of shape (n_pairs,)
        Whether both rows of a pair are the same.
    n_bins : int, default=40
        Equal bins from the least to the greatest distance.
    metric : str, default="euclidean"
        Name of the distance.

    Attributes
    ----------
    iou : float
        Overlap, as :func:`pair_distance_iou`.
    histograms_ : list of StepPatch
        Distances of the same pairs, and of the different pairs.
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_thin.inspection import PairDistanceDisplay
    >>> display = PairDistanceDisplay(np.array([0.1, 0.3, 0.2, 0.9]), np.array([1, 1, 0, 0]) > 0)
    >>> display.plot().iou
    0.0
    """

    def __init__(self, distances, same, *, n_bins=N_BINS, metric="euclidean"):
        self.distances = distances
        self.same = same
        self.n_bins = n_bins
        self.metric = metric

    @property
    def iou(self):
        """Overlap of both histograms, in [0, 1]."""
        return pair_distance_iou(self.distances, self.same, n_bins=self.n_bins)

    @classmethod
    @own_torch_state()
    def from_estimator(
        cls,
        estimator,
        X,
        pairs,
        same,
        *,
        metric="euclidean",
        n_bins=N_BINS,
        exogenous=None,
        ax=None,
    ):
        """Draw the distances of pairs of rows of X, in the representation of a fitted estimator.

        Parameters
        ----------
        estimator : THINClassifier, THINRegressor or ExogenousEncoder
            Fitted, or a Pipeline or a search around one.
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        pairs : array-like of int of shape (n_pairs, 2)
            Indices of the rows of each pair.
        same : array-like of shape (n_pairs,)
            Whether both rows are the same; 0 and 1, or booleans.
        metric : {"euclidean", "cosine"}, default="euclidean"
            Distance of two rows of h.
        n_bins : int, default=40
            Bins of the histograms.
        exogenous : array-like, label, dict or None, default=None
            As in `predict`.
        ax : Axes, default=None
            None makes a new figure.

        Returns
        -------
        display : PairDistanceDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        NotFittedError, TypeError, ValueError
            For an estimator that is not fitted, pairs of another shape or beyond the rows, and
            `same` as in :func:`pair_distance_iou`.
        """
        matplotlib_for(f"{cls.__name__}.from_estimator")
        if metric not in ("euclidean", "cosine"):
            raise InvalidParameterError(f"metric must be 'euclidean' or 'cosine', got {metric!r}")
        rows = read_net(estimator, X, exogenous)
        pairs = check_indices(pairs, _num_samples(rows.X))
        same = check_pairs(np.zeros(len(pairs)), same)[1]
        h = rows.net.transform(rows.X, **rows.given).astype(np.float64)
        distances = paired_distances(*h[pairs.T], metric=metric)
        return cls(distances, same, n_bins=n_bins, metric=metric).plot(ax=ax)

    def _draw(self, ax):
        """Draw both histograms."""
        edges, self.histograms_ = pair_edges(self.distances, self.n_bins), []
        for name, kind in (("same", True), ("different", False)):
            mine = self.distances[np.asarray(self.same) == kind]
            label = f"{name}: {len(mine):,} pairs"
            self.histograms_.append(draw_histogram(ax, mine, edges, label))
        ax.set(xlabel=f"{self.metric} distance of h", ylabel="share of the pairs")
        legend_above(ax, title=f"overlap (IoU): {self.iou:.2f}")


def pair_edges(distances, n_bins):
    """Edges of equal bins from the least to the greatest distance."""
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"n_bins must be an int of at least 1, got {n_bins!r}")
    low, high = np.min(distances), np.max(distances)
    return np.linspace(low, high if high > low else low + 1, n_bins + 1)


def check_pairs(distances, same):
    """Distances as float64, and `same` as booleans, of both kinds."""
    distances = check_array(distances, ensure_2d=False, dtype=np.float64, input_name="distances")
    distances, same = column_or_1d(distances), column_or_1d(same)
    check_consistent_length(distances, same)
    if set(np.unique(same).tolist()) != {0, 1}:
        raise ValueError(
            "same must hold both 1 (or True), for two rows of one identity, and 0 (or False), got "
            f"{np.unique(same)[:5].tolist()}"
        )
    return distances, same.astype(bool)


def check_indices(pairs, n_samples):
    """Pairs (n_pairs, 2) of indices of the rows."""
    pairs = np.asarray(pairs)
    right = pairs.ndim == 2 and pairs.shape[1] == 2 and pairs.dtype.kind in "iu" and pairs.size
    if not right or pairs.min() < 0 or pairs.max() >= n_samples:
        raise ValueError(
            f"pairs must hold ints of shape (n_pairs, 2), indices in [0, {n_samples}) of the rows "
            f"of X, got {pairs.dtype} of shape {pairs.shape}"
            + (f", from {pairs.min()} to {pairs.max()}" if right else "")
        )
    return pairs
