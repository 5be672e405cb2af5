"""The display of a trade-off shows the scores of the search, its front, errors and refit."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

from sklearn_thin.inspection import ParetoDisplay
from sklearn_thin.model_selection import KneeRefit, StackedGridSearchCV, pareto_front
from tests.helpers import small


def leaves(tree, X, y):
    """A score that is higher for smaller trees."""
    return -tree.get_n_leaves()


SCORING = {"accuracy": "accuracy", "leaves": leaves, "recall": "recall_macro"}
GRID = {"max_leaf_nodes": [2, 5, 10, 20, 60], "criterion": ["gini", "entropy"]}


@pytest.fixture(scope="module")
def search(rows):
    """A plain search with three scorers, of which two are traded."""
    tree, refit = DecisionTreeClassifier(random_state=0), KneeRefit(["accuracy", "leaves"])
    return GridSearchCV(tree, GRID, scoring=SCORING, refit=refit, cv=4).fit(*rows[:2])


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_candidates_have_the_means_of_the_search(search):
    display = ParetoDisplay.from_estimator(search)
    results = search.cv_results_
    x, y = results["mean_test_accuracy"], results["mean_test_leaves"]
    (scatter,) = display.scatters_
    np.testing.assert_array_equal(scatter.get_offsets(), np.column_stack([x, y]))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("accuracy", "leaves")
    np.testing.assert_array_equal(
        display.ring_.get_xydata(), [[x[search.best_index_], y[search.best_index_]]]
    )
    assert texts(display.ax_.get_legend()) == ["Pareto front", "one standard error", "refit"]


def test_the_line_bounds_the_dominated_candidates(search):
    display = ParetoDisplay.from_estimator(search)
    assert (
        display.front.tolist() == pareto_front(search.cv_results_, ["accuracy", "leaves"]).tolist()
    )
    line, scores = display.front_line_, display.scores
    x, y = line.get_xydata().T
    assert line.get_drawstyle() == "steps-pre"  # down at a candidate, then along to the next
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) <= 0).all()
    for own in np.delete(scores, display.front, axis=0):
        assert ((x >= own[0]) & (y >= own[1])).any()


def test_bars_are_one_standard_error_over_the_folds(search):
    display = ParetoDisplay.from_estimator(search, x="accuracy", y="recall")
    results = search.cv_results_
    folds = np.stack([results[f"split{k}_test_accuracy"] for k in range(4)])
    error = folds.std(0, ddof=1) / 2
    np.testing.assert_allclose(display.errors[:, 0], error)
    across, _ = display.bars_.lines[2]
    drawn = sorted(np.ptp(segment[:, 0]) / 2 for segment in across.get_segments())
    np.testing.assert_allclose(drawn, sorted(error[display.front]))


def test_values_of_a_parameter_have_a_legend_in_their_order(search, overlaps):
    display = ParetoDisplay.from_estimator(search, parameter="max_leaf_nodes")
    legend = next(a for a in display.ax_.artists if a is not display.ax_.get_legend())
    assert texts(legend) == ["2", "5", "10", "20", "60"]
    assert legend.get_title().get_text() == "max_leaf_nodes"
    of_5 = np.ma.getdata(search.cv_results_["param_max_leaf_nodes"]) == 5
    np.testing.assert_array_equal(display.scatters_[1].get_offsets(), display.scores[of_5])
    both = [*legend.get_texts(), *display.ax_.get_legend().get_texts()]
    assert not overlaps(display.figure_, both)
    inside = display.figure_.get_tightbbox()
    width, height = display.figure_.get_size_inches()
    assert inside.x1 <= width * 1.01
    assert inside.y1 <= height * 1.01


def test_many_numbers_have_a_scale_of_colours(rows):
    grid = {"max_leaf_nodes": list(range(2, 16))}
    how = {"scoring": SCORING, "refit": False, "cv": 2}
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, **how).fit(*rows[:2])
    display = ParetoDisplay.from_estimator(search, parameter="max_leaf_nodes")
    (scatter,) = display.scatters_
    np.testing.assert_array_equal(scatter.get_array(), grid["max_leaf_nodes"])
    assert display.ring_ is None
    assert display.figure_.axes[1].get_ylabel() == "max_leaf_nodes"


def test_candidates_that_lack_a_parameter_or_a_score_are_named_or_left_out(rows):
    X, y, _ = rows
    grid = [{"dispelling": [None, "cosine"]}, {"dispelling": ["cosine"], "lam": [0.0]}]
    seen = []

    def broken(clf, X, y):
        seen.append(clf)
        return np.nan if len(seen) == 1 else 0.5

    scoring = {"accuracy": "accuracy", "broken": broken}
    search = StackedGridSearchCV(small(), grid, scoring=scoring, refit=KneeRefit(), cv=2)
    with pytest.warns(UserWarning, match="test scores are non-finite"):
        search.fit(X, y)
    display = ParetoDisplay.from_estimator(search, parameter="lam")
    assert search.best_index_ in display.front
    assert 0 not in display.front
    legend = next(a for a in display.ax_.artists if a is not display.ax_.get_legend())
    assert texts(legend) == ["not set", "0.0"]


def test_a_value_without_a_candidate_that_is_drawn_is_not_in_the_legend():
    scores = np.array([[0.5, 1], [np.nan, np.nan], [0.9, 0.2], [0.9, np.nan]])
    how = {"score_names": ["a", "b"], "label_name": "way"}
    labels = np.array(["x", "failed", "y", "half"])
    display = ParetoDisplay(scores, scores * 0, [0, 2], labels=labels, **how).plot()
    legend = next(a for a in display.ax_.artists if a is not display.ax_.get_legend())
    assert texts(legend) == ["x", "y"]
    np.testing.assert_array_equal(display.scatters_[1].get_offsets(), [[0.9, 0.2]])


@pytest.mark.parametrize("labels", [None, ["x", "y"]])
def test_a_search_that_failed_has_axes_without_a_front(labels):
    scores = np.full((2, 2), np.nan)
    display = ParetoDisplay(scores, scores, [], score_names=["a", "b"], labels=labels).plot()
    assert len(display.front_line_.get_xdata()) == 0
    assert display.ax_.get_ylabel() == "b"


def test_the_axis_that_is_not_given_takes_another_score(search):
    assert ParetoDisplay.from_estimator(search, y="accuracy").score_names == ["leaves", "accuracy"]
    assert ParetoDisplay.from_estimator(search, x="leaves").score_names == ["leaves", "accuracy"]


@pytest.mark.parametrize("kind", [dict, type])
def test_results_and_classes_are_no_search_and_are_not_printed(search, kind):
    other = search.cv_results_ if kind is dict else GridSearchCV
    with pytest.raises(TypeError, match="must be a fitted search") as caught:
        ParetoDisplay.from_estimator(other)
    assert len(str(caught.value)) < 150


def test_it_is_drawn_on_given_axes(search):
    display = ParetoDisplay.from_estimator(search)
    assert display.figure_ is display.ax_.figure
    _, ax = plt.subplots(layout="constrained")
    assert display.plot(ax=ax) is display
    assert display.ax_ is ax
    assert ax.has_data()


def test_what_is_no_search_with_two_scorers_is_refused(thin, rows, search):
    draw = ParetoDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted"):
        draw(GridSearchCV(small(), {"lr": [0.1]}))
    with pytest.raises(
        TypeError, match=r"must be a fitted search with several scorers, .* THINClassifier"
    ):
        draw(thin)
    tree = DecisionTreeClassifier()
    with pytest.raises(ValueError, match=r"two scorers at least, got \['score'\]"):
        draw(GridSearchCV(tree, {"max_depth": [1, 2]}).fit(*rows[:2]))
    with pytest.raises(ValueError, match=r"names among \['accuracy', 'leaves', 'recall'\]"):
        draw(search, y="leakage")
    with pytest.raises(ValueError, match="two scorers, got 'leaves' for both"):
        draw(search, x="leaves", y="leaves")
    with pytest.raises(ValueError, match=r"one of the candidates' \['criterion', 'max_leaf_nodes'"):
        draw(search, parameter="depth")


def test_without_matplotlib_the_error_says_how_to_install_it(search, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"ParetoDisplay.from_estimator needs .*thin\[plot\]"):
        ParetoDisplay.from_estimator(search)
