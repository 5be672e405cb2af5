"""Training curves of a fitted estimator."""

import numpy as np

from sklearn_thin.inspection._plot.axes import COLOURS, Display, matplotlib_for
from sklearn_thin.inspection._reading import read_fitted

CURVES = {  # key of the history -> name, place of its colour, style
    "train_loss": ("training loss", 0, "-"),
    "valid_loss": ("held-out loss", 1, "--"),
    "train_dispelling": ("dispelling term, training", 2, ":"),
    "valid_dispelling": ("dispelling term, held out", 3, "-."),
}


class HistoryDisplay(Display):
    """Losses and dispelling term of each epoch, from `history_`.

    :meth:`from_estimator` makes it.

    Parameters
    ----------
    curves : dict of str to ndarray of shape (n_epochs,)
        By name in the history: "train_loss", and as far as there are any "valid_loss",
        "train_dispelling", "valid_dispelling". NaN where an epoch has none.
    best_epoch : int, default=None
        The epoch of the least held-out loss, whose weights early stopping restores; from 1.

    Attributes
    ----------
    lines_ : dict of str to Line2D
    best_line_ : Line2D or None
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.inspection import HistoryDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> thin = THINClassifier(max_epochs=3, early_stopping=0.3, random_state=0).fit(X, y)
    >>> list(HistoryDisplay.from_estimator(thin).curves)
    ['train_loss', 'valid_loss']
    """

    def __init__(self, curves, *, best_epoch=None):
        self.curves = curves
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : THINClassifier, THINRegressor or ExogenousEncoder
            Fitted, or a Pipeline or a search around one.
        ax : Axes, default=None
            None makes a new figure.

        Returns
        -------
        display : HistoryDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        NotFittedError, TypeError
            For an estimator that is not fitted, or has no network.
        """
        matplotlib_for(f"{cls.__name__}.from_estimator")
        history = read_fitted(estimator)[1].history_
        curves = {
            key: np.array([epoch.get(key, np.nan) for epoch in history])
            for key in CURVES
            if any(key in epoch for epoch in history)
        }
        held_out = curves.get("valid_loss")
        best = None if held_out is None else int(np.nanargmin(held_out)) + 1
        return cls(curves, best_epoch=best).plot(ax=ax)

    def _draw(self, ax):
        """Draw the curves."""
        self.lines_, self.best_line_ = {}, None
        for key, values in self.curves.items():
            name, colour, style = CURVES[key]
            epochs, mark = np.arange(1, len(values) + 1), "o" if len(values) == 1 else None
            look = {"color": COLOURS[colour], "linestyle": style, "marker": mark, "label": name}
            (self.lines_[key],) = ax.plot(epochs, values, **look)
        if self.best_epoch is not None:
            label = f"least held-out loss, epoch {self.best_epoch}"
            self.best_line_ = ax.axvline(self.best_epoch, color="0.6", zorder=0, label=label)
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
