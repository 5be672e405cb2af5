"""The leaves of the gate at each level of the nuisance."""

import numpy as np
from sklearn.utils.validation import _num_samples

from sklearn_thin._environment import own_torch_state
from sklearn_thin.inspection._plot.axes import SEQUENTIAL, axes_for, label_ticks, matplotlib_for
from sklearn_thin.inspection._reading import bits, level_means, read_gate, read_levels


class GateDisplay:
    """Mean probability of each leaf at each level of the nuisance, with the entropy beside.

    The leaves are in the order of the levels that they serve, so that a gate that follows the
    nuisance is near the diagonal. :meth:`from_estimator` makes it.

    Parameters
    ----------
    leaf_proba : ndarray of shape (n_levels, n_leaves)
        Mean probability of each leaf. Rows sum to 1.
    levels : array-like of shape (n_levels,)
        Labels of the rows.
    leaves : array-like of shape (n_leaves,)
        Index of the leaf in each column, counted from left to right in the tree.
    level_name : str, default="level"
        Name of the levels, such as "angle".

    Attributes
    ----------
    entropy : ndarray of shape (n_levels,)
        Entropy of each row of `leaf_proba` in bits: 0 for one leaf, log2(n_leaves) for all alike.
    im_ : AxesImage
        The matrix.
    bars_ : BarContainer
        The entropy.
    ax_ : Axes
        The axes of the matrix.
    entropy_ax_ : Axes
        The axes of the entropy.
    figure_ : Figure

    See Also
    --------
    similar_levels : Levels that share leaves, as a table, and an order of the levels.

    Examples
    --------
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import GateDisplay
    >>> X, y = make_sites(n_samples=400, n_sites=4, return_X_y=True, as_frame=True, random_state=0)
    >>> thin = THINClassifier("site", depth=1, max_epochs=2, random_state=0).fit(X, y)
    >>> display = GateDisplay.from_estimator(thin, X, X["site"], level_name="site")
    >>> display.leaf_proba.shape
    (4, 2)
    """

    def __init__(self, leaf_proba, *, levels, leaves, level_name="level"):
        self.leaf_proba = leaf_proba
        self.levels = levels
        self.leaves = leaves
        self.level_name = level_name

    @property
    def entropy(self):
        """Entropy of each level's leaves, in bits."""
        return bits(self.leaf_proba)

    @classmethod
    @own_torch_state()
    def from_estimator(
        cls,
        estimator,
        X,
        levels,
        *,
        exogenous=None,
        level_order=None,
        level_name="level",
        ax=None,
        **kwargs,
    ):
        """Draw the gate of a fitted estimator on rows X.

        Parameters
        ----------
        estimator : THINClassifier or THINRegressor
            Fitted, or a Pipeline or a search around one.
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        levels : array-like of shape (n_samples,)
            The level of each row: of the nuisance, or any other labels.
        exogenous : array-like, label, dict or None, default=None
            As in `predict`.
        level_order : array-like of shape (n_levels,), default=None
            The levels from top to bottom. None sorts them, as numbers if all are numbers.
        level_name : str, default="level"
            Name of the levels.
        ax : Axes, default=None
            None makes a new figure. Make your own with `layout="constrained"`.
        **kwargs : dict
            As in :meth:`plot`.

        Returns
        -------
        display : GateDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        NotFittedError, TypeError, ValueError
            For an estimator that is not fitted or has no gate, levels of another length than X, or
            a single level.
        """
        matplotlib_for(f"{cls.__name__}.from_estimator")
        rows = read_gate(estimator, X, exogenous)
        classes, codes = read_levels(levels, _num_samples(rows.X), level_order)
        means = level_means(rows.leaf_proba(), codes)
        leaves = order_of_leaves(means)
        display = cls(means[:, leaves], levels=classes, leaves=leaves, level_name=level_name)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, cmap=SEQUENTIAL, colorbar=True):
        """Draw the matrix and the entropy.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a new figure. Make your own with `layout="constrained"`.
        cmap : str or Colormap, default="cividis"
        colorbar : bool, default=True

        Returns
        -------
        self : GateDisplay
        """
        n_levels, n_leaves = self.leaf_proba.shape
        ax = axes_for(self, ax)
        how = {"aspect": "auto", "interpolation": "nearest", "cmap": cmap, "vmin": 0}
        self.im_ = ax.imshow(self.leaf_proba, **how)
        label_ticks(ax.yaxis, self.levels)
        label_ticks(ax.xaxis, self.leaves)
        ax.set(xlabel="leaf", ylabel=self.level_name)
        beside = self.entropy_ax_ = ax.inset_axes([1.02, 0, 0.18, 1], sharey=ax)
        self.bars_ = beside.barh(range(n_levels), self.entropy, color="0.5", height=0.8)
        most = np.log2(n_leaves)
        beside.set(xlabel="entropy, bits", xlim=(0, most), xticks=[most])
        beside.tick_params(labelleft=False, left=False)
        beside.spines[["top", "right"]].set_visible(False)
        if colorbar:
            self.figure_.colorbar(
                self.im_, ax=ax, location="top", label="mean probability of the leaf", aspect=40
            )
        return self


def order_of_leaves(leaf_proba):
    """Leaves in the order of the mean place of the levels that they serve."""
    weight = leaf_proba / np.maximum(leaf_proba.sum(0), np.finfo(float).tiny)
    return np.argsort(np.arange(len(leaf_proba)) @ weight, kind="stable")
