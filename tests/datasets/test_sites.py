"""Drawn sites: one distribution of X, other relations of X and y, and an oracle that holds."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import PolynomialFeatures

from sklearn_thin.datasets import make_rotated_sites, make_sites

both = pytest.mark.parametrize("make", [make_sites, make_rotated_sites])


def accuracy(X, y):
    """Of a logistic regression on held-out rows."""
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    return LogisticRegression().fit(X, y).score(X_test, y_test)


def test_within_a_type_a_regression_reaches_the_oracle_and_pooled_it_is_far_below():
    sites = make_sites(20_000, random_state=0)
    types = sites.site_type[sites.site]
    for hidden in range(4):
        rows = types == hidden
        reached = accuracy(sites.data[rows], sites.target[rows])
        assert reached == pytest.approx(sites.oracle, abs=0.02)
    assert accuracy(sites.data, sites.target) < sites.oracle - 0.15


def test_a_regression_per_site_has_too_few_rows_for_the_oracle():
    sites = make_sites(8000, random_state=0)
    train = np.random.RandomState(0).permutation(8000) < 4000
    right = 0
    for site in range(60):
        rows = sites.site == site
        model = LogisticRegression().fit(sites.data[rows & train], sites.target[rows & train])
        right += np.sum(model.predict(sites.data[rows & ~train]) == sites.target[rows & ~train])
    assert sites.oracle - 0.08 < right / 4000 < sites.oracle - 0.03


def test_turned_back_the_rotated_sites_have_one_relation():
    sites = make_rotated_sites(20_000, random_state=0)
    angle = -np.deg2rad(sites.site_angle[sites.site])[:, None]
    first, second = sites.data[:, ::2], sites.data[:, 1::2]
    back = np.hstack(
        [
            np.cos(angle) * first - np.sin(angle) * second,
            np.sin(angle) * first + np.cos(angle) * second,
        ]
    )
    quadratic = PolynomialFeatures(2)
    reached = accuracy(quadratic.fit_transform(back), sites.target)
    assert reached == pytest.approx(sites.oracle, abs=0.02)
    assert accuracy(quadratic.fit_transform(sites.data), sites.target) < sites.oracle - 0.15


def test_opposite_sites_have_other_relations():
    sites = make_rotated_sites(20_000, n_sites=2, random_state=0)
    assert accuracy(PolynomialFeatures(2).fit_transform(sites.data), sites.target) < 0.7


@both
def test_the_oracle_is_the_accuracy_of_its_probabilities(make):
    sites = make(20_000, random_state=1)
    predicted = sites.oracle_proba.argmax(1)
    assert np.mean(predicted == sites.target) == pytest.approx(sites.oracle, abs=0.01)
    frequency = [np.mean(sites.target == k) for k in range(3)]
    np.testing.assert_allclose(sites.oracle_proba.mean(0), frequency, atol=0.01)
    np.testing.assert_allclose(sites.oracle_proba.sum(1), 1)


@both
def test_features_alone_say_nothing_about_the_site(make):
    sites = make(8000, n_sites=4, random_state=0)
    for site in range(4):
        rows = sites.data[sites.site == site]
        assert min(kstest(feature, "norm").pvalue for feature in rows.T) > 1e-3


@both
def test_sites_and_types_are_equally_large(make):
    sites = make(1001, n_sites=10, random_state=0)
    assert sorted(np.bincount(sites.site)) == [100] * 9 + [101]
    if make is make_sites:
        assert sorted(np.bincount(sites.site_type)) == [2, 2, 3, 3]


@both
def test_a_frame_has_the_site_as_a_column_of_texts(make):
    sites = make(300, n_sites=12, random_state=0)
    framed = make(300, n_sites=12, as_frame=True, random_state=0)
    assert framed.data.columns.tolist() == framed.feature_names
    assert framed.data["site"].tolist() == sites.site_names[sites.site].tolist()
    assert sites.site_names[3] == "site 03"
    np.testing.assert_array_equal(framed.data[sites.feature_names], sites.data)
    pd.testing.assert_frame_equal(framed.frame.drop(columns="target"), framed.data)
    X, y = make(300, n_sites=12, as_frame=True, return_X_y=True, random_state=0)
    pd.testing.assert_frame_equal(X, framed.data)
    pd.testing.assert_series_equal(y, framed.target)


@both
def test_one_seed_draws_the_same_and_another_does_not(make):
    first, again, other = (make(50, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.data, again.data)
    np.testing.assert_array_equal(first.target, again.target)
    assert not np.array_equal(first.data, other.data)
    X, y = make(50, random_state=0, return_X_y=True)
    np.testing.assert_array_equal(X, first.data)
    np.testing.assert_array_equal(y, first.target)


@both
def test_without_noise_the_oracle_never_errs(make):
    sites = make(500, noise=0, random_state=0)
    assert sites.oracle == 1
    np.testing.assert_array_equal(sites.oracle_proba.argmax(1), sites.target)


@both
def test_fewer_rows_than_sites_leave_some_sites_empty(make):
    sites = make(3, n_sites=6, random_state=0)
    assert len(sites.site_names) == 6
    assert len(set(sites.site)) == 3


@pytest.mark.parametrize(
    ("make", "arguments", "match"),
    [
        (make_sites, {"n_types": 61}, r"n_types must be at most n_sites=60, got 61"),
        (make_sites, {"n_types": 0}, r"'n_types' parameter of make_sites must be an int"),
        (make_sites, {"noise": -1}, r"'noise' parameter of make_sites must be a float"),
        (make_sites, {"n_features": 1}, r"'n_features' parameter of make_sites must be an int"),
        (make_rotated_sites, {"n_features": 5}, r"n_features must be even, .* got 5"),
        (make_rotated_sites, {"n_sites": 2.5}, r"'n_sites' parameter of make_rotated_sites"),
    ],
)
def test_arguments_out_of_range_are_named(make, arguments, match):
    with pytest.raises(ValueError, match=match):
        make(**arguments)
