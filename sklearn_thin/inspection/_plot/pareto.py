"""Two scores of the candidates of a search, and the Pareto front."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_thin.inspection._plot.axes import COLOURS, Display, legend_above, matplotlib_for
from sklearn_thin.inspection._plot.scatters import draw_labelled
from sklearn_thin.inspection._reading import natural_order
from sklearn_thin.model_selection._pareto import (
    checked_names,
    mean_scores,
    pareto_front,
    scorer_names,
    standard_errors,
)

SIZE = 30  # of the candidates


class ParetoDisplay(Display):
    """Two scores of the candidates of a search, with the Pareto front as a line.

    Candidates below and left of the line are dominated. Bars are one standard error over the folds
    in both directions, of the candidates on the front. A ring marks the candidate of the refit.
    :meth:`from_estimator` makes it.

    Parameters
    ----------
    scores : ndarray of shape (n_candidates, 2)
        Mean test scores. Candidates with a NaN are not drawn.
    errors : ndarray of shape (n_candidates, 2)
        Standard errors of the scores.
    front : ndarray of int of shape (n_on_front,)
        Indices of the candidates on the front.
    score_names : list of str of length 2
        Names of the scores.
    chosen : int, default=None
        Index of the candidate of the refit.
    labels : array-like of shape (n_candidates,), default=None
        Value of a parameter of each candidate. Up to 20 values, or 10 numbers, have a colour and a
        marker each. More have a scale of colours. Values of candidates that are not drawn are not
        in the legend.
    label_name : str, default=None
        Name of the parameter.

    Attributes
    ----------
    scatters_ : list of PathCollection
        One for each value of the parameter, or one for all.
    front_line_ : Line2D
    bars_ : ErrorbarContainer
    ring_ : Line2D or None
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    sklearn_thin.model_selection.pareto_front : Indices of the candidates on the front.
    sklearn_thin.model_selection.KneeRefit : Chooses the candidate of the refit on the front.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sklearn_thin.inspection import ParetoDisplay
    >>> def small(tree, X, y):
    ...     return -tree.get_n_leaves()
    >>> X, y = load_iris(return_X_y=True)
    >>> tree, grid = DecisionTreeClassifier(random_state=0), {"max_leaf_nodes": [2, 3, 4, 6, 9]}
    >>> scoring = {"accuracy": "accuracy", "small": small}
    >>> search = GridSearchCV(tree, grid, scoring=scoring, refit="accuracy").fit(X, y)
    >>> ParetoDisplay.from_estimator(search).score_names
    ['accuracy', 'small']
    """

    def __init__(
        self, scores, errors, front, *, score_names, chosen=None, labels=None, label_name=None
    ):
        self.scores = scores
        self.errors = errors
        self.front = front
        self.score_names = score_names
        self.chosen = chosen
        self.labels = labels
        self.label_name = label_name

    @classmethod
    def from_estimator(cls, estimator, *, x=None, y=None, parameter=None, ax=None):
        """Draw two scores of a fitted search.

        Parameters
        ----------
        estimator : search
            Fitted, of this package or of scikit-learn, with several scorers.
        x, y : str, default=None
            Names of the scorers of both axes. None takes the first scorer of the search that is
            not the other axis. The front is that of these two scores, also of a search with more.
        parameter : str, default=None
            A parameter of the candidates, as in `cv_results_["params"]`. Its values have colours
            and markers, and a legend.
        ax : Axes, default=None
            None makes a new figure. Make your own with `layout="constrained"`.

        Returns
        -------
        display : ParetoDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        NotFittedError, TypeError, ValueError
            For a search that is not fitted, for an estimator that is no search, and for names of
            scorers or parameters that the search lacks.
        """
        matplotlib_for(f"{cls.__name__}.from_estimator")
        results = read_results(estimator)
        names = two_names(scorer_names(results), x, y)
        labels = None if parameter is None else read_parameter(results, parameter)
        display = cls(
            mean_scores(results, names),
            standard_errors(results, names),
            pareto_front(results, names),
            score_names=names,
            chosen=getattr(estimator, "best_index_", None),
            labels=labels,
            label_name=parameter,
        )
        return display.plot(ax=ax)

    def _draw(self, ax):
        """Draw the candidates and the front."""
        x, y = np.asarray(self.scores).T
        front = np.asarray(self.front, dtype=int)  # a list without entries would be of floats
        front = front[np.lexsort([-y[front], x[front]])]
        x_error, y_error = np.asarray(self.errors)[front].T
        self.scatters_ = self._draw_candidates(ax, x, y)
        by_label = None if self.labels is None else ax.get_legend()
        look = {"color": "0.4", "linewidth": 1, "zorder": 0}
        (self.front_line_,) = ax.step(x[front], y[front], where="pre", label="Pareto front", **look)
        look = {"fmt": "none", "ecolor": "0.75", "elinewidth": 3, "zorder": 0}
        label = "one standard error"
        self.bars_ = ax.errorbar(x[front], y[front], y_error, x_error, label=label, **look)
        self.ring_ = None
        if self.chosen is not None:
            place = [x[self.chosen]], [y[self.chosen]]
            look = {"color": "black", "fillstyle": "none", "linestyle": "none", "markersize": 12}
            (self.ring_,) = ax.plot(*place, marker="o", label="refit", **look)
        ax.set(xlabel=self.score_names[0], ylabel=self.score_names[1])
        drawn = [self.front_line_, self.bars_, *([] if self.ring_ is None else [self.ring_])]
        legend_above(ax, handles=drawn, ncols=3)
        if by_label is not None:
            ax.add_artist(by_label).set_clip_on(False)  # the axes keep the last legend alone

    def _draw_candidates(self, ax, x, y):
        """Draw the candidates, by the parameter if there is one."""
        drawn = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        x, y = x[drawn], y[drawn]
        if self.labels is None or not len(drawn):
            return [ax.scatter(x, y, color=COLOURS[0], s=SIZE)]
        labels, codes = in_order([self.labels[place] for place in drawn])
        return draw_labelled(ax, x, y, codes, labels=labels, label_name=self.label_name, s=SIZE)


def read_results(search):
    """`cv_results_` of a fitted search; errors for others."""
    fits = hasattr(search, "fit") and not isinstance(search, type)
    if fits:
        check_is_fitted(search)
    if not fits or not hasattr(search, "cv_results_"):
        raise TypeError(
            "the estimator must be a fitted search with several scorers, such as "
            f"StackedGridSearchCV, got {type(search).__name__}"
        )
    return search.cv_results_


def two_names(known, x, y):
    """The scorers of both axes."""
    if len(known) < 2:
        raise ValueError(
            f"a Pareto front needs a search with two scorers at least, got {known}. Pass several: "
            "scoring={'accuracy': 'accuracy', 'leakage': make_leakage_scorer()}"
        )
    x = next(name for name in known if name != y) if x is None else x
    y = next(name for name in known if name != x) if y is None else y
    if x == y:
        raise ValueError(f"x and y must be two scorers, got {x!r} for both. Choose among {known}")
    return checked_names([x, y], known)


def read_parameter(results, parameter):
    """Values of a parameter of each candidate."""
    known = dict.fromkeys(key for params in results["params"] for key in params)
    if parameter not in known:
        raise ValueError(
            f"parameter must be one of the candidates' {list(known)}, got {parameter!r}"
        )
    return [params.get(parameter, "not set") for params in results["params"]]


def in_order(values):
    """Different values as text in their order, and the place of each value."""
    texts = [str(value) for value in values]
    different = np.array(list(dict.fromkeys(texts)))
    different = different[natural_order(different)]
    place = {text: code for code, text in enumerate(different.tolist())}
    return list(place), np.array([place[text] for text in texts])
