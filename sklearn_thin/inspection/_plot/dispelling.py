"""How far the exogenous predictor reads h_endo: |cos| with and without dispelling."""

import numpy as np
import torch

from sklearn_thin._environment import own_torch_state
from sklearn_thin.dispelling import Cosine, Off
from sklearn_thin.exogenous.known import KnownVariable
from sklearn_thin.inspection._plot.axes import Display, legend_above, matplotlib_for
from sklearn_thin.inspection._plot.histograms import draw_histogram
from sklearn_thin.inspection._reading import read_net


class DispellingDisplay(Display):
    """Histogram of `|cos(c(h_exo), c(h_endo))|` over rows: Figure 8 of the THIN paper.

    Draw two estimators on one `ax` to compare them, with and without dispelling. A small cosine is
    no proof: a fresh probe may still read the variable (:func:`leakage_score`).
    :meth:`from_estimator` makes it.

    Parameters
    ----------
    cosines : ndarray of shape (n_samples,)
        The cosine's size of each row, in [0, 1]. Several variables have their mean.
    name : str, default=None
        Name in the legend.

    Attributes
    ----------
    mean : float
        Mean of the cosines.
    histogram_ : StepPatch
    line_ : Line2D
        The mean.
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_thin import ExogenousEncoder, THINClassifier
    >>> from sklearn_thin.inspection import DispellingDisplay
    >>> digits = load_digits()
    >>> X, ink = digits.data / 16, digits.data.mean(1).round()
    >>> _, ax = plt.subplots(layout="constrained")
    >>> for lam in (0, 1.0):
    ...     thin = THINClassifier(
    ...         ExogenousEncoder(max_epochs=2), lam=lam, gating="head", max_epochs=2, random_state=0
    ...     )
    ...     thin = thin.fit(X, digits.target, exogenous_target=ink)
    ...     display = DispellingDisplay.from_estimator(thin, X, name=f"λ = {lam}", ax=ax)
    """

    def __init__(self, cosines, *, name=None):
        self.cosines = cosines
        self.name = name

    @property
    def mean(self):
        """Mean of the cosines."""
        return float(np.mean(self.cosines))

    @classmethod
    @own_torch_state()
    def from_estimator(cls, estimator, X, *, exogenous=None, name=None, ax=None):
        """Draw the cosines of a fitted estimator on rows X.

        Parameters
        ----------
        estimator : THINClassifier or THINRegressor
            Fitted, or a Pipeline or a search around one. Its exogenous predictor c must be able to
            read h_endo: both sides have the same backbone. λ may be 0.
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label, dict or None, default=None
            As in `predict`.
        name : str, default=None
            Name in the legend. None names the way to dispel and λ.
        ax : Axes, default=None
            None makes a new figure. Further histograms on the axes get other colours.

        Returns
        -------
        display : DispellingDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        NotFittedError, TypeError, ValueError
            For an estimator that is not fitted, without an exogenous predictor, or whose predictor
            does not read h_endo.
        """
        matplotlib_for(f"{cls.__name__}.from_estimator")
        rows = read_net(estimator, X, exogenous)
        cosines = row_cosines(rows)
        if name is None:
            way, lam = rows.net.dispelling_, rows.net.lam
            off = isinstance(way, Off) or not (way.has_map or lam)
            name = "no dispelling" if off else f"{way.name}, λ = {lam:g}"
        return cls(cosines, name=name).plot(ax=ax)

    def _draw(self, ax):
        """Draw the histogram and its mean."""
        edges = np.linspace(0, 1, 41)
        words = "" if self.name is None else f"{self.name}: "
        label = f"{words}mean {self.mean:.2f}"
        self.histogram_ = draw_histogram(ax, self.cosines, edges, label)
        colour = self.histogram_.get_edgecolor()
        self.line_ = ax.axvline(self.mean, color=colour, linestyle="--")
        ax.set(xlabel="|cos(c(h_exo), c(h_endo))|", ylabel="share of the rows", xlim=(0, 1))
        legend_above(ax)


def row_cosines(rows):
    """|cos| of each row, (n_samples,), as a mean over the exogenous variables."""
    side = getattr(rows.net, "exogenous_side_", None)
    variables = [] if side is None else side.variables
    known = [v.name for v in variables if isinstance(v.transformer, KnownVariable)]
    without = known + [v.name for v in variables if v.head is None and v.name not in known]
    if not variables or without:
        reason = f"the variable {without[0]!r} has none" if without else "it has no exogenous side"
        raise ValueError(
            f"the cosine of {type(rows.net).__name__} needs a predictor c that reads h_endo, but "
            f"{reason}. Fit it with an ExogenousEncoder as exogenous"
        )
    h = torch.from_numpy(rows.net.transform(rows.X, **rows.given))  # (n, width)
    term = Cosine().make_term(side.heads, side.sizes, h.shape[1])
    blocks = side.blocks(rows.X, logits=True, **rows.given)
    with torch.inference_mode():
        parts = [term(block["exogenous_logits"], h[index]) for index, block in blocks]
    return torch.cat(parts).numpy()
