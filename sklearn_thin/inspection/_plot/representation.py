"""The representation on two axes, by class or by level of the nuisance."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import _num_samples

from sklearn_thin._environment import own_torch_state
from sklearn_thin.inspection._plot.axes import SEQUENTIAL, axes_for, matplotlib_for
from sklearn_thin.inspection._plot.scatters import draw_labelled
from sklearn_thin.inspection._reading import read_levels, read_net


class RepresentationDisplay:
    """h_endo by t-SNE or its principal axes, coloured by labels: Figure 12 of the THIN paper.

    Up to 20 labels, or 10 numbers, have a colour and a marker each. More have a scale of colours.
    :meth:`from_estimator` and :meth:`from_representation` make it.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, 2)
        Places of the rows.
    codes : ndarray of shape (n_samples,)
        Index of each row's label in `labels`.
    labels : array-like of shape (n_labels,)
        The labels, such as classes or levels.
    explained_variance_ratio : ndarray of shape (3,) or fewer
        Share of the variance along the first principal axes of the representation.
    method : {"pca", "tsne"}
        Method of the embedding.
    label_name : str, default="label"
        Name of the labels.

    Attributes
    ----------
    scatters_ : list of PathCollection
        One for each label, or one for all with a scale of colours.
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_thin.inspection import RepresentationDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = RepresentationDisplay.from_representation(X, y, label_name="species")
    >>> display.explained_variance_ratio.round(2).tolist()
    [0.92, 0.05, 0.02]
    """

    def __init__(
        self, embedding, codes, *, labels, explained_variance_ratio, method, label_name="label"
    ):
        self.embedding = embedding
        self.codes = codes
        self.labels = labels
        self.explained_variance_ratio = explained_variance_ratio
        self.method = method
        self.label_name = label_name

    @classmethod
    @own_torch_state()
    def from_estimator(cls, estimator, X, labels, *, exogenous=None, **kwargs):
        """Draw the representation of rows X by a fitted estimator or encoder.

        Parameters
        ----------
        estimator : THINClassifier, THINRegressor or ExogenousEncoder
            Fitted, or a Pipeline or a search around one.
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        labels : array-like of shape (n_samples,)
            Classes, or levels of the nuisance, two at least.
        exogenous : array-like, label, dict or None, default=None
            As in `predict`.
        **kwargs : dict
            As in :meth:`from_representation`.

        Returns
        -------
        display : RepresentationDisplay

        Raises
        ------
        ImportError, NotFittedError, TypeError, ValueError
            As in :meth:`from_representation`, and for an estimator that is not fitted.
        """
        matplotlib_for(f"{cls.__name__}.from_estimator")
        rows = read_net(estimator, X, exogenous)
        check_embedding(_num_samples(rows.X), labels, **kwargs)
        return cls.from_representation(rows.net.transform(rows.X, **rows.given), labels, **kwargs)

    @classmethod
    def from_representation(
        cls,
        h,
        labels,
        *,
        method="pca",
        perplexity=30.0,
        random_state=None,
        label_name="label",
        ax=None,
    ):
        """Draw any representation.

        Parameters
        ----------
        h : array-like of shape (n_samples, width)
        labels : array-like of shape (n_samples,)
            Two different labels at least.
        method : {"pca", "tsne"}, default="pca"
            "pca" has the first two principal axes. "tsne" keeps neighbours together; its distances
            between groups mean nothing (:class:`sklearn.manifold.TSNE`).
        perplexity : float, default=30.0
            About the number of neighbours of a row in t-SNE, below the number of rows.
        random_state : int, RandomState instance or None, default=None
            Seeds t-SNE.
        label_name : str, default="label"
            Name of the labels.
        ax : Axes, default=None
            None makes a new figure. Make your own with `layout="constrained"`.

        Returns
        -------
        display : RepresentationDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        ValueError
            For labels of another length than h, a single label, a representation of width 1, and
            fewer rows than the perplexity of t-SNE needs.
        """
        matplotlib_for(f"{cls.__name__}.from_representation")
        names, codes = check_embedding(_num_samples(h), labels, method, perplexity)
        h = check_array(h, dtype=np.float64, ensure_min_features=2, input_name="h")
        with np.errstate(invalid="ignore"):  # of rows that are all the same
            axes = PCA(min(3, *h.shape), svd_solver="full").fit(h)
        embedding = axes.transform(h)[:, :2]
        if method == "tsne":
            seed = check_random_state(random_state).randint(2**31 - 1)
            embedding = TSNE(perplexity=perplexity, random_state=seed).fit_transform(h)
        display = cls(
            embedding,
            codes,
            labels=names,
            explained_variance_ratio=np.nan_to_num(axes.explained_variance_ratio_),
            method=method,
            label_name=label_name,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, *, cmap=SEQUENTIAL):
        """Draw the rows.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a new figure. Make your own with `layout="constrained"`.
        cmap : str or Colormap, default="cividis"
            Scale of the colours of more than 20 labels or 10 numbers.

        Returns
        -------
        self : RepresentationDisplay
        """
        ax = axes_for(self, ax)
        x, y = np.asarray(self.embedding).T
        how = {"labels": self.labels, "label_name": self.label_name, "cmap": cmap, "s": 14}
        self.scatters_ = draw_labelled(ax, x, y, self.codes, **how)
        shares = ", ".join(f"{100 * r:.0f}" for r in self.explained_variance_ratio)
        title = f"variance along the first {len(self.explained_variance_ratio)} axes: {shares} %"
        name = "t-SNE" if self.method == "tsne" else "principal axis"
        ax.set(xlabel=f"{name} 1", ylabel=f"{name} 2")
        ax.set_title(title, fontsize="medium")
        return self


def check_embedding(n_samples, labels, method="pca", perplexity=30.0, **others):
    """The labels in their order and the code of each row; errors before any long work."""
    if method not in ("pca", "tsne"):
        raise InvalidParameterError(f"method must be 'pca' or 'tsne', got {method!r}")
    if method == "tsne" and perplexity >= n_samples:
        raise ValueError(
            f"t-SNE with a perplexity of {perplexity:g} needs more than {perplexity:g} rows, got "
            f"{n_samples}. Pass more rows, a perplexity below {n_samples}, or method='pca'"
        )
    return read_levels(labels, n_samples, name="labels")
