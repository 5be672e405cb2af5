"""Variances of groups are those of the textbook, and jackknifed where groups have one level."""

import numpy as np
import pytest

from sklearn_thin.inspection._clusters import degrees_of_freedom, shares_of_others


def rows(seed=0):
    """Groups and cells (n,) of very different sizes, and a weight for each cell."""
    random = np.random.RandomState(seed)
    groups, cells = random.choice(9, size=(2, 90), p=np.arange(1, 10) / 45)
    cells = np.unique(cells // 2, return_inverse=True)[1]
    return groups, cells, random.uniform(size=cells.max() + 1)[cells] / np.bincount(cells)[cells]


def residual_maker(cells):
    """The matrix (n, n) that subtracts the mean of the row's cell."""
    one_hot = np.eye(cells.max() + 1)[cells]
    return np.eye(len(cells)) - one_hot @ np.linalg.pinv(one_hot)


def of_groups(groups, cells, weight):
    """Vectors (n_groups, n) whose squared products with the rows' values make the variance."""
    return np.eye(groups.max() + 1)[groups].T @ (weight[:, None] * residual_maker(cells))


def test_the_variance_is_unbiased_where_the_rows_of_a_group_are_independent():
    groups, cells, weight = rows()
    adjusted = weight / shares_of_others(groups, cells) ** 0.5
    assert (of_groups(groups, cells, adjusted) ** 2).sum() == pytest.approx((weight**2).sum())
    assert (of_groups(groups, cells, weight) ** 2).sum() < 0.9 * (weight**2).sum()


def test_power_1_leaves_out_each_group_in_turn():
    groups, cells, weight = rows()
    values = np.random.RandomState(1).normal(size=90)
    adjusted = weight / shares_of_others(groups, cells)
    total = weight * np.bincount(cells)[cells]  # of a mean, spread over the rows that are left
    mean = (weight * values).sum()
    for group, change in enumerate(of_groups(groups, cells, adjusted) @ values):
        rest = groups != group
        counts = np.bincount(cells[rest], minlength=cells.max() + 1)
        without = (total[rest] * values[rest] / counts[cells[rest]]).sum()
        assert mean - without == pytest.approx(change)


def test_degrees_of_freedom_are_those_of_bell_and_mccaffrey():
    groups, cells, weight = rows()
    vectors = of_groups(groups, cells, weight)
    roots = np.linalg.eigvalsh(vectors @ vectors.T)
    expected = roots.sum() ** 2 / (roots**2).sum()
    assert degrees_of_freedom(groups, cells, weight) == pytest.approx(expected)


def test_means_of_equal_groups_have_as_many_degrees_as_a_t_test():
    groups = np.arange(60) % 12
    assert degrees_of_freedom(groups, np.zeros(60, int), np.full(60, 1 / 60)) == pytest.approx(11)
    cells = groups % 2  # two means of 6 groups each
    assert degrees_of_freedom(groups, cells, 1 / np.bincount(cells)[cells]) == pytest.approx(10)


def test_a_cell_with_one_group_has_no_variance():
    groups = np.array([0, 0, 1, 1])
    assert shares_of_others(groups, groups).tolist() == [1, 1, 1, 1]
    assert degrees_of_freedom(groups, groups, np.full(4, 0.25)) == 1
