"""A column of X that is the exogenous variable."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder

from tests.helpers import all_but_last, known, small, with_known_column

NETWORK = {"depth": 2, "hidden_units": 16, "lr": 5e-3}


def test_an_oracle_gates_by_the_known_column_and_its_backbone_never_sees_it(digits):
    X = with_known_column(digits)
    clf = small(known([64]), endogenous=all_but_last(), gating="head").fit(X, digits.y[:200])
    other = X.copy()
    other[:, -1] = (other[:, -1] + 1) % 4
    np.testing.assert_array_equal(clf.transform(other), clf.transform(X))
    np.testing.assert_array_equal(clf.expert_proba(other), clf.expert_proba(X))
    assert not np.allclose(clf.gate_proba(other), clf.gate_proba(X))
    same_value = clf.gate_proba(X)[X[:, -1] == 2]
    np.testing.assert_allclose(same_value, same_value[:1].repeat(len(same_value), 0), atol=1e-6)
    assert clf.input_shape_ == (64,)
    assert clf.n_features_in_ == 65


@pytest.fixture(scope="module")
def sites():
    """A frame with a column of strings, which says how the sign of one number is meant."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    frame.insert(1, "site", rng.choice(["north", "south", "west"], 300))
    y = (frame["a"] > 0) ^ (frame["site"] == "south")
    return frame, y


def by_site(**params):
    pick = ColumnTransformer([("site", OneHotEncoder(**params), ["site"])])
    drop = ColumnTransformer([("drop", "drop", ["site"])], remainder="passthrough")
    return small(pick, endogenous=drop, gating="head", max_epochs=40, **NETWORK)


@pytest.mark.parametrize("sparse_output", [False, True], ids=["dense", "sparse"])
def test_a_column_of_strings_steers_the_gate_and_stays_out_of_the_backbone(sparse_output, sites):
    frame, y = sites
    clf = by_site(sparse_output=sparse_output).fit(frame, y)
    assert clf.module_.gate.in_features == 3
    assert clf.input_shape_ == (3,)
    assert clf.score(frame, y) > 0.9
    moved = frame.assign(site="north")
    np.testing.assert_array_equal(clf.transform(moved), clf.transform(frame))
    assert not np.allclose(clf.gate_proba(moved), clf.gate_proba(frame))
    assert list(clf.feature_names_in_) == ["a", "site", "b", "c"]


def test_a_gate_on_the_site_learns_what_the_backbone_alone_cannot(sites):
    frame, y = sites
    without = small(max_epochs=40, **NETWORK).fit(frame.drop(columns="site"), y)
    assert without.score(frame.drop(columns="site"), y) < 0.9


def test_sparse_output_of_the_exogenous_side_is_the_same_as_dense(sites):
    frame, y = sites
    probas = [
        by_site(sparse_output=how).set_params(max_epochs=2).fit(frame, y).predict_proba(frame)
        for how in (False, True)
    ]
    np.testing.assert_array_equal(*probas)


def test_the_backbone_reads_sparse_output_of_endogenous(sites):
    words, y = sites[0][["site"]], sites[1]
    by_word, dense = (
        small(endogenous=OneHotEncoder(sparse_output=how)).fit(words, y).predict_proba(words)
        for how in (True, False)
    )
    np.testing.assert_array_equal(by_word, dense)


def test_frames_are_held_out_by_position_not_by_index(sites):
    frame, y = sites
    shuffled = frame.set_index(np.arange(300)[::-1] + 1000)
    probas = [
        by_site().set_params(max_epochs=2, early_stopping=0.2).fit(f, y.to_numpy()).predict_proba(f)
        for f in (frame, shuffled)
    ]
    np.testing.assert_array_equal(*probas)


@pytest.mark.parametrize("as_passed", [np.asarray, lambda frame: frame.to_numpy().tolist()])
def test_rows_without_names_are_refused_where_the_fit_had_a_named_column(as_passed, sites):
    frame, y = sites
    rows = as_passed(frame[:5].assign(site=1.0))
    clf = small("site", max_epochs=1).fit(frame, y)
    for call in (clf.predict, clf.transform, clf.gate_proba):
        with (
            pytest.warns(UserWarning, match="valid feature names"),
            pytest.raises(ValueError, match=r"no column names\. Pass a frame"),
        ):
            call(rows)
