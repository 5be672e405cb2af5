"""A number as exogenous variable: erasure removes it, and other ways name erasure."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sklearn_thin import MLPBackbone, THINClassifier
from sklearn_thin.dispelling import Erasure
from sklearn_thin.exogenous.known import KnownVariable
from sklearn_thin.model_selection import StackedGridSearchCV

PARAMS = {"backbone": MLPBackbone((16,)), "depth": 1, "max_epochs": 3, "random_state": 0}
SITES = np.array(["north", "south", "west"])


@pytest.fixture(scope="module")
def frame():
    """Numbers that rise with a temperature, which is no class."""
    rng = np.random.RandomState(0)
    temperature = rng.normal(20, 5, 300)
    frame = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    frame["a"] += 0.3 * temperature
    frame["site"] = SITES[rng.randint(3, size=300)]
    return frame.assign(temperature=temperature)


@pytest.fixture(scope="module")
def y(frame):
    return (frame["b"] + 0.1 * (frame["temperature"] - 20) > 0).to_numpy().astype(int)


def numbers(frame):
    return frame[list("abcd")].to_numpy(np.float32)


def erasing(exogenous=None, **params):
    return THINClassifier(exogenous, **{**PARAMS, "dispelling": Erasure(), **params})


def correlation(h, z, weight=None):
    """Largest covariance of a feature with z, in units of their own."""
    z = np.asarray(z, float)
    h = (h - np.average(h, axis=0, weights=weight)) / h.std()
    z = (z - np.average(z, weights=weight)) / z.std()
    weight = np.ones(len(z)) if weight is None else weight
    return np.abs((weight * z) @ h / weight.sum()).max()


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
def test_a_number_of_any_unit_is_erased(scale, frame, y):
    X, z = numbers(frame), frame["temperature"]
    plain = THINClassifier(**PARAMS).fit(X, y)
    assert correlation(plain.transform(X), z) > 0.2
    clf = erasing().fit(X, y, exogenous_target=scale * z)
    assert correlation(clf.transform(X), z) < 1e-5
    assert clf.erasure_encoder_.categories_ == [None]
    copied = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copied.predict_proba(X), clf.predict_proba(X))


def test_weighted_rows_count_by_their_weight(frame, y):
    X, z, weight = numbers(frame), frame["temperature"], 0.5 + np.arange(300) % 4
    clf = erasing().fit(X, y, exogenous_target=z, sample_weight=weight)
    assert correlation(clf.transform(X), z, weight) < 1e-5
    assert correlation(clf.transform(X), z) > 1e-4


def test_a_number_and_classes_are_erased_at_once(frame, y):
    X = numbers(frame)
    clf = erasing().fit(X, y, exogenous_target=frame[["site", "temperature"]])
    classes, number = clf.erasure_encoder_.categories_
    assert (list(classes), number) == (list(SITES), None)
    h = clf.transform(X)
    assert correlation(h, frame["temperature"]) < 1e-5
    for site in SITES:
        assert correlation(h, frame["site"] == site) < 1e-5


@pytest.mark.parametrize("exogenous", ["temperature", ["site", "temperature"], "given"], ids=str)
def test_a_known_number_is_erased(exogenous, frame, y):
    frame = frame.assign(temperature=1e6 * frame["temperature"])
    z = frame["temperature"]
    X = frame.drop(columns=["site", "temperature"]) if exogenous == "given" else frame
    labels = {"exogenous_target": z} if exogenous == "given" else {}
    clf = erasing(exogenous).fit(X, y, **labels)
    assert correlation(clf.transform(X), z) < 1e-5
    if isinstance(exogenous, list):
        assert correlation(clf.transform(X), frame["site"] == "north") < 1e-5


def test_whole_numbers_are_a_number_on_demand(frame, y):
    ages = frame.assign(temperature=frame["temperature"].round().astype(int))
    clf = erasing(KnownVariable("temperature", kind="number")).fit(ages, y)
    assert correlation(clf.transform(ages), ages["temperature"]) < 1e-5
    with pytest.raises(ValueError, match="directions out of h_endo, which has 16, and leave none"):
        erasing().fit(numbers(frame), y, exogenous_target=ages["temperature"])


def test_as_many_numbers_as_h_endo_has_features_are_refused(frame, y):
    X = numbers(frame)
    with pytest.raises(ValueError, match="take 2 directions out of h_endo, which has 2,"):
        erasing(backbone=MLPBackbone((2,))).fit(X, y, exogenous_target=frame[["a", "b"]])


def test_the_part_that_y_explains_is_kept(frame, y):
    X, z = numbers(frame), frame["temperature"].to_numpy()
    clf = erasing(dispelling=Erasure(keep_target=True)).fit(X, y, exogenous_target=z)
    rest = z - np.array([z[y == k].mean() for k in (0, 1)])[y]
    assert correlation(clf.transform(X), rest) < 1e-5
    assert correlation(clf.transform(X), z) > 0.01


def test_a_stacked_search_trains_as_alone(frame, y):
    X, z = numbers(frame), frame["temperature"]
    estimator = erasing(optimizer="sgd")
    scores = [
        kind(estimator, {"lr": [0.01, 0.1]}, cv=2, scoring="neg_log_loss")
        .fit(X, y, exogenous_target=z)
        .cv_results_["mean_test_score"]
        for kind in (StackedGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-3)


def test_later_calls_of_partial_fit_take_whole_numbers_and_no_words(frame, y):
    X, z = numbers(frame), frame["temperature"]
    clf = erasing().partial_fit(X, y, exogenous_target=z)
    assert correlation(clf.transform(X), z) < 1e-5
    clf.partial_fit(X, y, exogenous_target=z.round())
    assert correlation(clf.transform(X), z.round()) < 1e-5
    with pytest.raises(ValueError, match=r"held numbers in the fit before, .* such as 'south'"):
        clf.partial_fit(X, y, exogenous_target=frame["site"].to_numpy())
    classes = erasing().partial_fit(X, y, exogenous_target=z.round(-1))
    with pytest.raises(ValueError, match="continuous"):
        classes.partial_fit(X, y, exogenous_target=z)


def test_missing_and_infinite_numbers_are_refused(frame, y):
    X, z = numbers(frame), frame["temperature"].to_numpy()
    for absurd, match in ((np.nan, "1 of 300 are missing"), (np.inf, "contains infinity")):
        wrong = np.where(np.arange(300) == 7, absurd, z)
        with pytest.raises(ValueError, match=f"exogenous_target.*{match}|{match}"):
            erasing().fit(X, y, exogenous_target=wrong)
    with pytest.raises(ValueError, match=r"must hold different numbers to erase, got 0\.5 alone"):
        erasing().fit(X, y, exogenous_target=np.full(300, 0.5))


@pytest.mark.parametrize("exogenous", ["temperature", ["site", "temperature"], "given"], ids=str)
def test_alignment_needs_classes_and_names_erasure(exogenous, frame, y):
    clf = clone(erasing(exogenous)).set_params(dispelling="alignment")
    labels = {"exogenous_target": frame["temperature"]} if exogenous == "given" else {}
    name = "given" if exogenous == "given" else "temperature"
    with pytest.raises(ValueError, match=rf"'{name}' holds numbers. Use dispelling='erasure'"):
        clf.fit(frame, y, **labels)


def test_alignment_to_a_frozen_number_names_erasure(frame, y):
    frozen = FrozenEstimator(KnownVariable("temperature").fit(frame))
    with pytest.raises(ValueError, match=r"holds numbers. Use dispelling='erasure'"):
        erasing(frozen).set_params(dispelling="alignment").fit(frame, y)
