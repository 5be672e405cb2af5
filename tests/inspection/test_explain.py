"""Explanations are predictions: each number in them is that of a public method."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_thin import THINRegressor
from sklearn_thin.inspection import explain
from sklearn_thin.model_selection import SeedEnsembleClassifier
from tests.helpers import SMALL, small, small_encoder

DATA = ["by_site", "thin", "two_sides", "of_images", "regressor"]
CLASSIFIERS = DATA[:-1]


@pytest.fixture
def case(request, digits, sites):
    """A fitted estimator, 60 rows, and the arguments of `explain` that it needs."""

    def make(name):
        estimator = request.getfixturevalue(name)
        X = {"by_site": sites[0][:60], "regressor": sites[0][:60]}.get(name)
        X = X if X is not None else (digits.images if name == "of_images" else digits.X)[:60]
        return estimator, X, {"exogenous": digits.z[:60]} if name == "of_images" else {}

    return make


@pytest.mark.parametrize("name", DATA)
def test_predictions_and_the_path_are_those_of_the_estimator(name, case):
    clf, X, given = case(name)
    why = explain(clf, X, **given)
    np.testing.assert_array_equal(why.prediction, clf.predict(X, **given))
    np.testing.assert_array_equal(why.decision_path, clf.decision_path(X, **given))
    np.testing.assert_array_equal(why.leaf, clf.apply(X, **given))
    np.testing.assert_array_equal(why.leaf_proba.argmax(1), why.leaf)
    np.testing.assert_allclose(why.leaf_proba.sum(1), 1, atol=1e-6)
    assert len(why.text) == 60
    # down the path: child 2n + 1 is left, and 2n + 2 right
    node = np.zeros(60, int)
    for step in range(2):
        np.testing.assert_array_equal(why.path[:, step], node)
        node = 2 * node + 1 + (why.leaf >> (1 - step) & 1)


@pytest.mark.parametrize("name", DATA)
def test_a_leaf_that_has_all_the_weight_predicts_as_hard_inference_does(name, case):
    clf, X, given = case(name)
    why = explain(clf, X, **given)
    assert why.by_leaf.shape[1] == 4
    hard = small_copy(clf, inference="hard")
    expected = (getattr(hard, "predict_proba", None) or hard.predict)(X, **given)
    np.testing.assert_allclose(why.by_leaf[np.arange(60), why.leaf], expected, atol=1e-4)


def small_copy(clf, **params):
    """The fitted estimator with other parameters of prediction."""
    copied = object.__new__(type(clf))
    vars(copied).update(vars(clf), **params)
    return copied


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_counterfactual_is_what_the_classifier_predicts_there(name, case):
    clf, X, given = case(name)
    why = explain(clf, X, **given)
    side = clf.exogenous_side_.variables[0].name
    changed = [i for i in range(60) if why.counterfactual[i] is not None]
    assert 0 < len(changed) < 60
    for i in changed:
        there = clf.predict(X[i : i + 1], exogenous={side: why.counterfactual_level[i]})
        assert there == why.counterfactual[i] != why.prediction[i]
    for i in set(range(60)) - set(changed):
        everywhere = [clf.predict(X[i : i + 1], exogenous={side: z})[0] for z in why.levels]
        assert set(everywhere) == {why.prediction[i]}


def test_the_counterfactual_is_the_nearest_level_of_an_ordered_variable(case):
    clf, X, given = case("of_images")
    why = explain(clf, X, **given, level_name="ink")
    np.testing.assert_array_equal(why.level, given["exogenous"])
    places = np.arange(4)
    for i, own in enumerate(why.level):
        other = why.by_level[i].argmax(1) != why.proba[i].argmax()
        if other.any():
            found = list(why.levels).index(why.counterfactual_level[i])
            assert abs(found - own) == np.abs(places - own)[other].min()
            predicted = why.by_level[i].argmax(1)
            beyond = predicted[found:] if found > own else predicted[: found + 1]
            assert why.lasts[i] == (len(beyond) > 1 and len(set(beyond)) == 1)
            assert f"becomes {why.counterfactual[i]} " in why.text[i]
            assert f" ink {why.counterfactual_level[i]}" in why.text[i]
            assert why.text[i].endswith((" on", " down")) == why.lasts[i]


@pytest.mark.parametrize("name", DATA)
def test_the_interval_holds_the_prediction_under_each_level(name, case):
    clf, X, given = case(name)
    why = explain(clf, X, **given)
    side = clf.exogenous_side_.variables[0].name
    predict = clf.predict if name == "regressor" else clf.predict_proba
    for place, level in enumerate(why.levels):
        there = predict(X, exogenous={side: level})
        np.testing.assert_array_equal(why.by_level[:, place], there)
        of_class = there if name == "regressor" else there[np.arange(60), why.proba.argmax(1)]
        assert (why.interval[:, 0] <= of_class).all()
        assert (of_class <= why.interval[:, 1]).all()


def test_the_other_variables_stay_as_they_are(two_sides, digits):
    X = digits.X[:40]
    why = explain(two_sides, X, variable="side")
    np.testing.assert_array_equal(why.levels, two_sides.exogenous_[1][1].classes_)
    certain = two_sides.exogenous_[1][1].predict_proba(X).max(1) > 0.999
    own = why.by_level[np.arange(40), why.level]
    np.testing.assert_allclose(own[certain], why.proba[certain], atol=0.01)


def test_given_labels_of_several_variables_stay_too(sites):
    X, y = sites
    both = X.assign(half=np.arange(600) % 2)
    clf = small(["site", "half"], depth=2).fit(both, y)
    # labels in place of the columns: the same as in a frame that holds them
    other = pd.DataFrame({"site": "site 3", "half": both["half"]})[:20]
    why = explain(clf, both[:20], exogenous=other, variable="half")
    for place, half in enumerate(["0", "1"]):
        rows = both[:20].assign(site="site 3", half=int(half))
        np.testing.assert_allclose(why.by_level[:, place], clf.predict_proba(rows), atol=1e-6)


def test_numbers_need_levels_and_have_them_in_order(sites):
    X, y = sites
    warm = X.assign(heat=np.random.RandomState(0).normal(size=600)).drop(columns="site")
    clf = small("heat", depth=1, gate_input="auto").fit(warm, y)
    assert explain(clf, warm[:5]).by_level is None
    why = explain(clf, warm[:5], levels=[1.5, -1.5, 0.0])
    assert why.levels.tolist() == [-1.5, 0.0, 1.5]
    nearest = np.abs(warm["heat"].to_numpy()[:5, None] - why.levels).argmin(1)
    np.testing.assert_array_equal(why.level, nearest)


def by_column(site, exogenous="site"):
    """A classifier by a column of the values `site`, or by given labels, and its rows."""
    random = np.random.RandomState(0)
    X = pd.DataFrame(random.normal(size=(len(site), 2)), columns=["a", "b"])
    y = (X["a"] > 0) ^ (np.arange(len(site)) % 2 == 0)
    if exogenous == "given":
        return small("given", depth=1, max_epochs=20, lr=0.03).fit(X, y, exogenous_target=site), X
    X = X.assign(site=site)
    return small("site", depth=1, max_epochs=20, lr=0.03).fit(X, y), X


@pytest.mark.parametrize("exogenous", ["site", "given"])
@pytest.mark.parametrize(
    ("site", "levels"),
    [
        (np.arange(80) % 4, [0.0, 1.0, 2.0, 3.0]),
        (np.arange(80) % 4 * 1.0, [0, 1, 2, 3]),
        (np.arange(80) % 2 == 1, [False, True]),
        (np.arange(80) % 2, [False, True]),
        (np.array(["a", "b"])[np.arange(80) % 2], ["a", "b"]),
    ],
)
def test_the_own_level_is_found_in_levels_of_another_type(site, levels, exogenous):
    clf, X = by_column(site, exogenous)
    given = {"exogenous": site[:8]} if exogenous == "given" else {}
    why = explain(clf, X[:8], levels=levels, **given)
    np.testing.assert_array_equal(why.level, np.arange(8) % len(levels))
    own = why.by_level[np.arange(8), why.level]
    np.testing.assert_allclose(own, why.proba, atol=1e-6)


def test_the_own_level_of_an_encoder_is_found_in_floats(two_sides, digits):
    why = explain(two_sides, digits.X[:20], levels=[0.0, 1.0, 2.0, 3.0])
    expected = two_sides.exogenous_[0][1].predict(digits.X[:20])
    np.testing.assert_array_equal(why.level, expected)


def test_a_row_without_a_known_level_has_none_of_its_own():
    clf, X = by_column(np.array(["1", "2", "2", "3"])[np.arange(80) % 4])
    X = X[:24].copy()
    X.loc[:7, "site"], X.loc[8:15, "site"] = None, "new"
    why = explain(clf, X)
    assert why.levels.tolist() == ["1", "2", "3"]
    assert why.level.tolist() == [-1] * 16 + [0, 1, 1, 2] * 2
    some = explain(clf, X, levels=["1", "3"])  # level 2 is not tried
    assert some.level.tolist() == [-1] * 16 + [0, -1, -1, 1] * 2
    for of in (why, some):
        assert not of.lasts[of.level < 0].any()
        for i in np.flatnonzero(of.level < 0):
            other = of.by_level[i].argmax(1) != of.proba[i].argmax()
            first = of.levels[other.argmax()] if other.any() else None
            assert of.counterfactual_level[i] == first
            assert of.text[i].endswith("first that changes it") == other.any()
        assert any(level is not None for level in of.counterfactual_level[of.level < 0])


def test_the_text_says_which_levels_are_tried(by_site, sites):
    X = sites[0][:60]
    every = explain(by_site, X, level_name="site")
    some = explain(by_site, X, levels=["site 0", "site 7"], level_name="site")
    for why, words in ((every, "over all levels"), (some, "over these levels")):
        leaf = why.leaf_proba.max(1)
        for i, text in enumerate(why.text):
            assert words in text
            assert f"leaf {why.leaf[i]} (probability {leaf[i]:.2f})" in text
            if (level := why.counterfactual_level[i]) is not None:
                assert text.endswith(f" at site {level}, the first that changes it")
    assert any(text.endswith("; no level changes the class") for text in every.text)
    assert any(text.endswith("; none of these levels changes the class") for text in some.text)


def test_a_level_that_the_column_lacked_is_refused(by_site, sites):
    X = sites[0][:9]
    with pytest.raises(ValueError, match=r"levels must be among .* \['site 0'.*got \['Site 7'\]"):
        explain(by_site, X, levels=["site 0", "Site 7"])


def test_many_levels_of_numbers_are_tried_without_a_warning(digits):
    angles = np.arange(120) % 30 * 12
    clf = small("given", max_epochs=1).fit(digits.X[:120], digits.y[:120], exogenous_target=angles)
    why = explain(clf, digits.X[:3], levels=np.unique(angles))
    assert why.by_level.shape == (3, 30, 10)


def test_without_an_exogenous_side_there_are_no_levels(digits):
    clf = small(depth=2).fit(digits.X[:100], digits.y[:100])
    why = explain(clf, digits.X[:5])
    assert why.levels is why.by_level is why.interval is why.counterfactual is None
    assert why.by_leaf.shape == (5, 4, 10)


@pytest.mark.parametrize("depth", [1, 3])
def test_one_output_of_a_regressor_has_an_interval_of_two_numbers(depth, sites):
    X, _ = sites
    reg = THINRegressor("site", backbone=SMALL, depth=depth, max_epochs=1, random_state=0)
    why = explain(reg.fit(X, X.iloc[:, 0]), X[:7])
    assert why.by_level.shape == (7, 8)
    assert why.interval.shape == (7, 2)
    assert why.by_leaf.shape == (7, 2**depth)
    np.testing.assert_allclose(
        (why.gate_proba * why.experts).sum(1), why.prediction, rtol=1e-4, atol=1e-5
    )


def test_pipelines_and_searches_are_opened(sites):
    X, y = sites
    pipe = make_pipeline(FunctionTransformer(), small("site", depth=1))
    search = GridSearchCV(pipe, {"thinclassifier__lr": [0.01]}, cv=2)
    search.fit(X, y)
    np.testing.assert_array_equal(explain(search, X[:9]).prediction, search.predict(X[:9]))


def unfitted(X, y, z):
    return small(depth=1), {}


def no_tree(X, y, z):
    return small(depth=0).fit(X, y), {}


def unknown_variable(X, y, z):
    return small("given").fit(X, y, exogenous_target=z), {"variable": "ink"}


def no_network(X, y, z):
    return DummyClassifier().fit(X, y), {}


def an_encoder(X, y, z):
    return small_encoder(random_state=0).fit(X, z), {}


def an_ensemble(X, y, z):
    return SeedEnsembleClassifier(small(), 2, random_state=0).fit(X, y), {}


def levels_without_variable(X, y, z):
    return small(depth=1).fit(X, y), {"levels": [0]}


def no_levels(X, y, z):
    return small("given").fit(X, y, exogenous_target=z), {"levels": []}


def levels_of_a_pca(X, y, z):
    return small(PCA(3), depth=1).fit(X, y), {"levels": [0, 1]}


def too_few_labels(X, y, z):
    return small("given").fit(X, y, exogenous_target=z), {"exogenous": z[:5]}


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (unfitted, NotFittedError, "not fitted"),
        (no_tree, ValueError, "THINClassifier has no gate: it was fitted with depth=0"),
        (unknown_variable, ValueError, r"of \['given'\], got 'ink'"),
        (no_network, TypeError, "got DummyClassifier"),
        (an_encoder, TypeError, "ExogenousEncoder has no gate"),
        (an_ensemble, TypeError, "one of estimators_"),
        (levels_without_variable, ValueError, "THINClassifier has none"),
        (no_levels, ValueError, "at least one level to try, got none"),
        (levels_of_a_pca, ValueError, "cannot stand for"),
        (too_few_labels, ValueError, "one label for each of the 60 rows"),
    ],
)
def test_where_an_explanation_makes_no_sense_the_error_says_why(make, error, words, digits):
    estimator, given = make(*digits.first(60))
    with pytest.raises(error, match=words):
        explain(estimator, digits.X[:60], **given)
