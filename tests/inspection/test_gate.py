"""Measures of gates and experts, on gates with known answers."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.cluster.hierarchy import dendrogram
from sklearn.metrics import mutual_info_score

from sklearn_thin.inspection import (
    class_separation_ratio,
    expert_agreement,
    gate_importances,
    leaf_usage,
    similar_levels,
)
from sklearn_thin.inspection._reading import Rows
from tests.helpers import small


@pytest.fixture
def certain(sites):
    """A gate of two leaves that sends sites 0 to 3 to the left, and 4 to 7 to the right."""
    clf = small("site", depth=1, max_epochs=1).fit(*sites)
    with torch.no_grad():
        clf.module_.gate.nodes.weight.copy_(torch.tensor([[20.0] * 4 + [-20.0] * 4]))
        clf.module_.gate.nodes.bias.zero_()
    return clf


def test_importances_are_the_moves_of_the_logit(certain, sites):
    X, _ = sites
    turned = gate_importances(certain, X)
    assert turned.feature_names.tolist() == [f"site=site {i}" for i in range(8)]
    assert turned.direction.tolist() == [[1] * 4 + [-1] * 4]
    share = X["site"].value_counts(normalize=True).sort_index().to_numpy()
    deviation = np.sqrt(share * (1 - share))
    np.testing.assert_allclose(turned.importances[0], deviation / deviation.sum(), rtol=1e-5)
    one = gate_importances(certain, X[X["site"] == "site 2"])
    np.testing.assert_array_equal(one.importances, 0)  # no feature varies


def test_features_are_named_by_their_variable_or_representation(two_sides, fitted_gate, digits):
    names = gate_importances(two_sides, digits.X[:20]).feature_names
    assert names.tolist() == ["ink=0", "ink=1", "ink=2", "ink=3", "side=0", "side=1"]
    assert gate_importances(fitted_gate, digits.X[:20]).feature_names[0] == "h_endo 0"


@pytest.fixture
def fitted_gate(few):
    return small(depth=1).fit(few[0], few[1])


def test_a_gate_by_the_site_knows_one_bit_of_it(certain, sites):
    X, _ = sites
    used = leaf_usage(certain, X, X["site"])
    left = (X["site"] < "site 4").mean()
    np.testing.assert_allclose(used.usage, [left, 1 - left], atol=1e-6)
    assert used.row_entropy < 1e-6
    assert len(used.dead) == 0
    expected = mutual_info_score(X["site"], certain.apply(X)) / np.log(2)
    assert used.mutual_information == pytest.approx(expected, abs=1e-5)
    assert used.entropy == pytest.approx(expected, abs=1e-5)
    assert leaf_usage(certain, X).mutual_information is None
    unrelated = np.arange(len(X)) % 2
    assert leaf_usage(certain, X, unrelated).mutual_information < 0.05


def test_no_information_is_0_and_not_less(monkeypatch, certain, sites):
    X = sites[0][:90]
    for seed in range(20):  # rounding leaves less than 0 for some of them
        leaf = np.tile(np.random.RandomState(seed).dirichlet([1, 1]), (90, 1))
        monkeypatch.setattr(Rows, "leaf_proba", lambda self, leaf=leaf: leaf)
        assert 0 <= leaf_usage(certain, X, np.arange(90) % 7).mutual_information < 1e-12


def test_leaves_that_no_row_prefers_are_dead(certain, sites):
    X, _ = sites
    assert leaf_usage(certain, X[X["site"] < "site 4"]).dead.tolist() == [1]


def test_sites_that_share_a_leaf_are_neighbours(certain, sites):
    X, _ = sites
    alike = similar_levels(certain, X, X["site"])
    assert alike.leaf.tolist() == [0] * 4 + [1] * 4
    assert alike.distance[:4, :4].max() < 1e-3
    assert alike.distance[:4, 4:].min() > 0.999
    halves = {tuple(sorted(alike.order[:4])), tuple(sorted(alike.order[4:]))}
    assert halves == {tuple(alike.levels[:4]), tuple(alike.levels[4:])}
    drawn = dendrogram(alike.linkage, labels=alike.levels, no_plot=True)
    assert drawn["ivl"] == alike.order.tolist()


def test_levels_are_in_the_order_of_numbers_or_in_their_own(digits):
    levels = np.array(["2", "10", "1"])[np.arange(100) % 3]
    clf = small("given", depth=1).fit(digits.X[:100], digits.y[:100], exogenous_target=levels)
    alike = similar_levels(clf, digits.X[:100], levels, exogenous=levels)
    assert alike.levels.tolist() == ["1", "2", "10"]
    size = pd.Categorical(levels, categories=["2", "10", "1", "none"], ordered=True)
    alike = similar_levels(clf, digits.X[:100], size, exogenous=levels)
    assert alike.levels.tolist() == ["2", "10", "1"]


def test_experts_that_are_copies_agree_on_each_row(certain, sites):
    X, _ = sites
    before = expert_agreement(certain, X)
    assert before.agreement[0, 1] < 1
    votes = certain.expert_proba(X).argmax(2)
    assert before.agreement[0, 1] == pytest.approx((votes[:, 0] == votes[:, 1]).mean())
    assert before.weighted == pytest.approx(1, abs=1e-4)  # the gate draws one expert alone
    with torch.no_grad():
        for weights in certain.module_.experts.parameters():
            if len(weights) == 2:
                weights[1] = weights[0]
            else:  # of a norm over the units of both experts
                weights[len(weights) // 2 :] = weights[: len(weights) // 2]
    for statistics in certain.module_.experts.buffers():
        if statistics.ndim:
            statistics[len(statistics) // 2 :] = statistics[: len(statistics) // 2]
    np.testing.assert_allclose(expert_agreement(certain, X).agreement, 1, atol=1e-6)


def test_numbers_agree_by_their_correlation(regressor, sites):
    found = expert_agreement(regressor, sites[0]).agreement
    values = regressor.expert_predict(sites[0])
    expected = [np.corrcoef(values[:, 0, k], values[:, 2, k])[0, 1] for k in range(2)]
    assert found[0, 2] == pytest.approx(np.mean(expected))
    assert found.shape == (3, 3)


def test_the_separation_of_classes_is_a_ratio_of_scatters():
    rng = np.random.RandomState(0)
    h, y = rng.normal(size=(90, 5)) + 1e6, np.array(list("abc"))[np.arange(90) % 3]
    h[y == "b"] += 3
    within = sum(np.square(h[y == c] - h[y == c].mean(0)).sum() for c in "abc")
    total = np.square(h - h.mean(0)).sum()
    assert class_separation_ratio(h, y) == pytest.approx((total - within) / within)
    assert class_separation_ratio(np.eye(2)[[0, 0, 1]], [0, 0, 1]) == np.inf


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_representation_that_is_the_same_for_all_rows_separates_nothing(value):
    h = np.full((7, 3), value)
    h[::2] *= 1 + 2e-16  # rounding
    assert np.isnan(class_separation_ratio(h, [0, 0, 1, 1, 2, 2, 2]))


@pytest.mark.parametrize("function", [leaf_usage, similar_levels])
def test_levels_of_another_length_are_refused(function, certain, sites):
    with pytest.raises(ValueError, match="one label for each of the 600 rows of X, got 5"):
        function(certain, sites[0], sites[0]["site"][:5])


def test_a_single_level_has_no_neighbours(certain, sites):
    with pytest.raises(ValueError, match="levels must have at least two classes"):
        similar_levels(certain, sites[0], ["a"] * 600)
