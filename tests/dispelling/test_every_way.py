"""Every way of dispelling: it learns, repeats itself, travels, and shows in a search."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sklearn_thin.dispelling import Alignment, Erasure
from tests.helpers import small, small_encoder

WAYS = ["cosine", "erasure", "alignment"]
WAYS += [Erasure(keep_target=True), Alignment(keep_target=True)]


@pytest.fixture(scope="module", params=WAYS, ids=str)
def dispelled(request, rows, encoder):
    """A classifier that dispels in this way beside the paper's term, not to be changed.

    Its gate does not read the logits that the dispelling needs.
    """
    params = {"lam": 0.01, "gate_input": "representation", "max_epochs": 20, "lr": 0.02}
    clf = small(FrozenEstimator(encoder), dispelling=request.param, hidden_units=32, **params)
    return clf.fit(rows[0], rows[1])


def test_it_still_learns_the_classes(dispelled, rows):
    X, y, _ = rows
    assert dispelled.score(X, y) > 0.9


def test_a_fit_is_reproducible_and_a_copy_predicts_the_same(dispelled, rows):
    X, y, _ = rows
    expected = dispelled.predict_proba(X)
    np.testing.assert_array_equal(clone(dispelled).fit(X, y).predict_proba(X), expected)
    copied = pickle.loads(pickle.dumps(dispelled))
    np.testing.assert_array_equal(copied.predict_proba(X), expected)


@pytest.mark.parametrize("method", ["gate_proba", "apply", "expert_proba", "transform"])
def test_views_read_what_prediction_reads(method, dispelled, rows):
    X, clf = rows[0], dispelled
    assert len(getattr(clf, method)(X[:7])) == 7
    mixed = np.einsum("nl,nlk->nk", clf.gate_proba(X), np.log(clf.expert_proba(X)))
    proba = np.exp(mixed - mixed.max(1, keepdims=True))
    proba /= proba.sum(1, keepdims=True)
    np.testing.assert_allclose(proba, clf.predict_proba(X), rtol=1e-3, atol=1e-5)


def test_a_row_is_predicted_alike_alone_and_among_others(dispelled, rows):
    X = rows[0]
    expected = dispelled.predict_proba(X)[:1]
    np.testing.assert_allclose(dispelled.predict_proba(X[:1]), expected, rtol=1e-5)


def test_lam_weighs_the_papers_term_beside_it_and_validation_is_of_the_classes_alone(
    dispelled, rows
):
    X, y, _ = rows
    clf = clone(dispelled).set_params(max_epochs=2).fit(X, y, X_val=X, y_val=y)
    last = clf.history_[-1]
    assert 0 <= last["train_dispelling"] <= 1
    assert "valid_dispelling" not in last


def test_a_search_compares_all_ways(rows):
    X, y, z = rows
    grid = {"dispelling": WAYS, "depth": [0, 1]}
    search = GridSearchCV(small(small_encoder(), max_epochs=1), grid, cv=2, error_score="raise")
    search.fit(X, y, exogenous_target=z)
    assert len(search.cv_results_["params"]) == 10


@pytest.mark.parametrize("dispelling", ["erasure", "alignment"])
def test_weights_that_explode_are_named_by_the_map(dispelling, thin, rows):
    X, y, z = rows
    labels = {"exogenous_target": z} if dispelling == "erasure" else {}
    clf = clone(thin).set_params(dispelling=dispelling, lr=1e30, lam=0.0)
    with pytest.raises(FloatingPointError, match="lower lr"):
        clf.fit(X, y, **labels)
