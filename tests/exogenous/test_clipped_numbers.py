"""A known number: one absurd value ruins neither the fit nor the predictions of other rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sklearn_thin import MLPBackbone, THINClassifier, THINRegressor
from sklearn_thin.exogenous import KnownVariable
from sklearn_thin.inspection import explain
from sklearn_thin.model_selection import StackedGridSearchCV

PARAMS = {"depth": 2, "backbone": MLPBackbone((16,)), "max_epochs": 30, "lr": 1e-2}
PARAMS["random_state"] = 0
SENTINEL = -9999.0


@pytest.fixture(scope="module")
def frame():
    """An age, beyond which a number turns its meaning."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(rng.normal(size=(800, 2)), columns=["a", "b"])
    return frame.assign(age=rng.uniform(20, 80, 800))


@pytest.fixture(scope="module")
def y(frame):
    return frame["a"] * np.where(frame["age"] > 50, 1.0, -1.0)


def spoilt(frame):
    """The first rows, with two sentinels."""
    train = frame[:400].copy()
    train.loc[[3, 77], "age"] = SENTINEL
    return train


@pytest.fixture(scope="module")
def clf(frame, y):
    return THINClassifier("age", **PARAMS).fit(spoilt(frame), y[:400] > 0)


@pytest.mark.parametrize("exogenous", ["age", ["age"], 2, "frozen", "given"], ids=str)
def test_two_sentinels_do_not_ruin_a_fit(exogenous, frame, y):
    train, new, labels, target = spoilt(frame), frame[400:], {}, {}
    if exogenous == "frozen":
        exogenous = FrozenEstimator(KnownVariable("age").fit(train))
    if exogenous == "given":
        target, labels = {"exogenous_target": train["age"]}, {"exogenous": new["age"]}
        train, new = train[["a", "b"]], new[["a", "b"]]
    reg = THINRegressor(exogenous, **PARAMS).fit(train, y[:400], **target)
    assert reg.score(new, y[400:], **labels) > 0.8


@pytest.mark.parametrize("far", [SENTINEL, -1e30])
def test_a_far_number_predicts_as_the_lowest_numbers_of_the_fit(far, frame, clf):
    new = frame[400:]
    for there in (clf.predict(new.assign(age=far)), clf.predict(new, exogenous=far)):
        assert (there == (new["a"] < 0)).mean() > 0.8
    one = clf.predict_proba(new.assign(age=new["age"].where(new.index > 400, far)))
    np.testing.assert_array_equal(one[1:], clf.predict_proba(new)[1:])


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_unit_of_a_number_does_not_matter(unit, frame, y, clf):
    train, new = (part.assign(age=unit * part["age"]) for part in (spoilt(frame), frame[400:]))
    other = THINClassifier(KnownVariable("age", kind="number"), **PARAMS).fit(train, y[:400] > 0)
    agree = other.predict(new) == clf.predict(frame[400:])
    assert agree.mean() > 0.98


def test_a_missing_number_is_the_median(frame, clf):
    new, median = frame[400:], np.median(spoilt(frame)["age"])
    missing = clf.predict_proba(new.assign(age=np.nan))
    np.testing.assert_allclose(missing, clf.predict_proba(new, exogenous=median), atol=1e-6)


def test_a_stacked_search_and_an_adapted_copy_clip_too(frame, y, clf):
    train, new = spoilt(frame), frame[400:]
    scores = [
        search(THINClassifier("age", **PARAMS), {"lr": [1e-2]}, cv=2)
        .fit(train, y[:400] > 0)
        .cv_results_["mean_test_score"]
        for search in (StackedGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_allclose(*scores, atol=0.02)
    assert min(scores[0]) > 0.85
    adapted = clf.adapt(new.assign(age=new["age"].where(new.index > 410, SENTINEL)))
    assert adapted.score(new, y[400:] > 0) > 0.85


def test_rows_are_explained_by_the_numbers_that_were_passed(frame, clf):
    new = frame[400:404].assign(age=[SENTINEL, 25.0, 74.0, 51.0])
    why = explain(clf, new, levels=[70.5, 25.5, 50.5])
    assert why.levels.tolist() == [25.5, 50.5, 70.5]
    assert why.level.tolist() == [0, 0, 2, 1]
    np.testing.assert_allclose(why.by_level[:, 2], clf.predict_proba(new, exogenous=70.5))


def test_numbers_whose_digits_float32_lacks_warn(frame):
    column = frame[["age"]]
    match = r"'age' of X varies by \d.* around 17000000\d\d.*Subtract a"
    with pytest.warns(UserWarning, match=match):
        KnownVariable("age").fit(column + 1.7e9)
    KnownVariable("age").fit(column + 1e6)  # a tenth of a year is a step
    KnownVariable("age", kind="number").fit(column * 0 + 1.7e9)  # all are equal
