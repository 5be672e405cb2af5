"""Labels of any type come back as they were passed, and unknown labels are refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sklearn_thin import ExogenousEncoder
from tests.helpers import SMALL, nothing_changes, small, small_encoder


def string_labels(y):
    return np.array([f"digit {label}" for label in y])


@pytest.mark.parametrize("kind", [string_labels, lambda y: string_labels(y).astype(object)])
def test_string_labels_come_back_as_they_were_passed(kind, rows):
    X, y = rows[:2]
    clf, plain = small().fit(X, kind(y)), small().fit(X, y)
    np.testing.assert_array_equal(clf.classes_, np.unique(kind(y)))
    np.testing.assert_array_equal(clf.predict(X), kind(plain.predict(X)))
    assert clf.predict(X).dtype == kind(y).dtype


def test_bool_labels_come_back_as_bools(rows):
    X, y = rows[:2]
    clf = small(max_epochs=10).fit(X, y == 0)
    assert clf.predict(X).dtype == bool
    assert clf.score(X, y == 0) > 0.95


def test_labels_weights_and_exogenous_labels_may_be_pandas_series(rows):
    X, y, z = rows
    index = np.arange(200)[::-1]  # an index that says nothing of the position
    weight = pd.Series(np.ones(200), index=index)
    labels = pd.Series(y, index=index), pd.Series(z, index=index)
    clf = small(ExogenousEncoder(SMALL, max_epochs=1), max_epochs=1)
    plain = clone(clf).fit(X, y, exogenous_target=z, sample_weight=np.ones(200))
    clf.fit(X, labels[0], exogenous_target=labels[1], sample_weight=weight)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_partial_fit_refuses_a_class_that_was_not_announced(few):
    X, y, _ = few
    clf = small().partial_fit(X, y, classes=np.arange(10))
    with nothing_changes(clf, X), pytest.raises(ValueError, match=r"not known: \[77\]"):
        clf.partial_fit(X, np.where(y == 3, 77, y))
    with pytest.raises(ValueError, match=r"not known: \[9\]"):
        small().partial_fit(X, y, classes=np.arange(9))


def test_partial_fit_refuses_other_classes_than_in_the_first_call(few):
    X, y, _ = few
    clf = small().partial_fit(X, y, classes=np.arange(10))
    match = r"classes=\[0, 1\] is not the same as on last call to partial_fit, was: \[0, 1, 2"
    with nothing_changes(clf, X), pytest.raises(ValueError, match=match):
        clf.partial_fit(X, y, classes=[0, 1])
    assert clf.partial_fit(X, y, classes=np.arange(10)[::-1]).n_iter_ == 2


@pytest.mark.parametrize(
    ("dtype", "bits", "boxed"),
    [("f4", 24, False), ("f4", 24, True), ("f2", 11, True), ("f8", 53, False), (object, 53, False)],
)
def test_ids_that_a_float_merges_are_refused_as_labels(dtype, bits, boxed, few):
    X, y, _ = few
    ids = (2.0**bits + 2 * (np.arange(len(X)) % 3)).astype(dtype)
    ids = np.array(list(ids), object) if boxed else ids  # each float in its type
    match = rf"holds labels as floats beyond 2\^{bits}, such as {2**bits}: .*Pass integers or text"
    with pytest.raises(ValueError, match=f"^y {match}"):
        small_encoder().fit(X, ids)
    with pytest.raises(ValueError, match=f"^exogenous_target {match}"):
        small(small_encoder()).fit(X, y, exogenous_target=ids)
    clf = small(small_encoder(), max_epochs=1).fit(X, y, exogenous_target=ids.astype("i8"))
    with pytest.raises(ValueError, match=f"^exogenous {match}"):
        clf.predict(X, exogenous=ids)
    assert clf.predict(X, exogenous=ids.astype("i8")).shape == y.shape
