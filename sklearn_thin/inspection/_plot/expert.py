"""How well each expert alone predicts at each level of the nuisance."""

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.validation import _num_samples

from sklearn_thin._environment import own_torch_state
from sklearn_thin.inspection._plot.axes import SEQUENTIAL, axes_for, label_ticks, matplotlib_for
from sklearn_thin.inspection._reading import level_means, read_experts, read_levels
from sklearn_thin.rows.labels import encode_labels
from sklearn_thin.rows.numbers import check_numbers


class ExpertDisplay:
    """Accuracy of each expert alone at each level of the nuisance, or its error for numbers.

    A dot marks the expert that the gate prefers at the level. An expert that is accurate at one
    level alone is a specialist. :meth:`from_estimator` makes it.

    Parameters
    ----------
    scores : ndarray of shape (n_levels, n_experts)
        Accuracy of each expert in [0, 1]. Of a regressor the root of its mean squared error, in
        units of the standard deviation of y, as a mean over the outputs.
    preferred : ndarray of shape (n_levels,)
        Expert with the largest mean weight at each level.
    levels : array-like of shape (n_levels,)
        Labels of the rows.
    score_name : str
        "accuracy" or "error".
    level_name : str, default="level"
        Name of the levels, such as "angle".

    Attributes
    ----------
    im_ : AxesImage
    dots_ : Line2D
        The preferred experts.
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import ExpertDisplay
    >>> X, y = make_sites(n_samples=400, n_sites=4, return_X_y=True, as_frame=True, random_state=0)
    >>> thin = THINClassifier("site", depth=1, max_epochs=2, random_state=0).fit(X, y)
    >>> ExpertDisplay.from_estimator(thin, X, y, X["site"]).scores.shape
    (4, 2)
    """

    def __init__(self, scores, preferred, *, levels, score_name, level_name="level"):
        self.scores = scores
        self.preferred = preferred
        self.levels = levels
        self.score_name = score_name
        self.level_name = level_name

    @classmethod
    @own_torch_state()
    def from_estimator(
        cls, estimator, X, y, levels, *, exogenous=None, level_name="level", ax=None
    ):
        """Draw the experts of a fitted estimator on rows X.

        Parameters
        ----------
        estimator : THINClassifier or THINRegressor
            Fitted, or a Pipeline or a search around one.
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True classes or numbers.
        levels : array-like of shape (n_samples,)
            The level of each row, two at least.
        exogenous : array-like, label, dict or None, default=None
            As in `predict`.
        level_name : str, default="level"
            Name of the levels.
        ax : Axes, default=None
            None makes a new figure. Make your own with `layout="constrained"`.

        Returns
        -------
        display : ExpertDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        NotFittedError, TypeError, ValueError
            For an estimator that is not fitted or has no experts, and for y or levels of another
            length than X.
        """
        matplotlib_for(f"{cls.__name__}.from_estimator")
        rows = read_experts(estimator, X, exogenous)
        n, net, numbers = _num_samples(rows.X), rows.net, is_regressor(rows.net)
        classes, codes = read_levels(levels, n)
        if numbers:
            errors = squared_errors(net, rows, check_numbers(y, "y"))
            scores = np.sqrt(level_means(errors, codes)).mean(2)  # (n_levels, L)
        else:
            y = encode_labels(y, n, known=net.classes_)[1]
            right = net.expert_proba(rows.X, **rows.given).argmax(2) == y[:, None]  # (n, L)
            scores = level_means(right, codes)
        preferred = level_means(net.gate_proba(rows.X, **rows.given), codes).argmax(1)
        name = "error" if numbers else "accuracy"
        display = cls(scores, preferred, levels=classes, score_name=name, level_name=level_name)
        return display.plot(ax=ax)

    def plot(self, ax=None, *, cmap=SEQUENTIAL):
        """Draw the matrix, and a dot at the preferred experts.

        Parameters
        ----------
        ax : Axes, default=None
            None makes a new figure. Make your own with `layout="constrained"`.
        cmap : str or Colormap, default="cividis"

        Returns
        -------
        self : ExpertDisplay
        """
        ax = axes_for(self, ax)
        self.im_ = ax.imshow(self.scores, aspect="auto", interpolation="nearest", cmap=cmap)
        look = {"color": "white", "markeredgecolor": "black", "markersize": 5}
        (self.dots_,) = ax.plot(
            self.preferred, range(len(self.levels)), "o", label="preferred by the gate", **look
        )
        label_ticks(ax.yaxis, self.levels)
        label_ticks(ax.xaxis, range(self.scores.shape[1]))
        ax.set(xlabel="expert", ylabel=self.level_name)
        label = (
            "accuracy" if self.score_name == "accuracy" else "root mean squared error / std of y"
        )
        self.figure_.colorbar(self.im_, ax=ax, label=f"{label}, of the expert alone")
        legend = {"loc": "lower right", "bbox_to_anchor": (1, 1), "frameon": False}
        ax.legend(**legend, fontsize="small", borderaxespad=0.2)
        return self


def squared_errors(net, rows, y):
    """Squared errors of each expert in units of the variance of y: (n, L, n_outputs)."""
    n = _num_samples(rows.X)
    if len(y) != n:
        raise ValueError(f"y must have one number for each of the {n} rows of X, got {len(y)}")
    y = y.reshape(n, 1, -1)
    predicted = net.expert_predict(rows.X, **rows.given).reshape(n, -1, y.shape[2])
    scale = np.where(net.targets_.scale > 0, net.targets_.scale, 1)
    return ((predicted - y) / scale) ** 2
