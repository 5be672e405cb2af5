"""A report finds codes that a family can read, and no more where there are none."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import binomtest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_thin.inspection import class_separation_ratio, leakage_report, leakage_score
from sklearn_thin.inspection._probes import Halves
from sklearn_thin.inspection._tally import Tally, mid_quantiles

FAST = {"probes": ["linear", "rbf"], "n_repeats": 1, "random_state": 0}


def noise(n=400, seed=0, width=4):
    return np.random.RandomState(seed).normal(size=(n, width))


def parity(h):
    return (h[:, 0] * h[:, 1] > 0).astype(int)


def radius(h):
    return ((h[:, :2] ** 2).sum(1) > 2 * np.log(2)).astype(int)


def through_y(n=800, seed=0):
    """h shows y, and z follows y in 80 % of the rows."""
    random = np.random.RandomState(seed)
    y = random.randint(4, size=n)
    z = np.where(random.uniform(size=n) < 0.8, y % 2, 1 - y % 2)
    return noise(n, seed) + 3 * np.eye(4)[y], z, y


def scores(report, features="h", given=""):
    """Scores by probe of one part of the table."""
    rows = [row for row in report.rows if (row["features"], row["given"]) == (features, given)]
    return {row["probe"]: row["score"] for row in rows}


@pytest.mark.parametrize("labels", [np.array([3, 1, 2]), np.array(["b", "a", "c"])])
def test_a_copy_of_z_scores_1(labels):
    codes = np.arange(300) % 3
    report = leakage_report(np.eye(3)[codes], labels[codes], random_state=0)
    assert scores(report) == dict.fromkeys(["linear", "mlp", "rbf", "forest"], 1.0)
    assert (report.score, report.high) == (1.0, 1.0)
    assert report.p_value == 0.001
    assert report.bits == pytest.approx(np.log2(3), abs=0.02)
    assert report.levels == sorted(labels.tolist())


@pytest.mark.parametrize("code", [parity, radius])
def test_a_nonlinear_code_is_missed_by_the_linear_family_alone(code):
    h = noise(1000)
    report = leakage_report(h, code(h), random_state=0)
    rows = {row["probe"]: row for row in report.rows if row["features"] == "h"}
    assert rows["linear"]["p_value"] > 0.01
    assert rows["linear"]["bits"] < 0.01
    for probe in ("mlp", "rbf", "forest"):
        assert rows[probe]["p_value"] < 0.01
        assert rows[probe]["bits"] > 0.02
    assert report.low > 0.3


def test_a_shift_that_depends_on_the_class_is_missed_by_the_linear_family():
    random = np.random.RandomState(0)
    y, z = random.randint(2, size=(2, 1000))
    h = noise(1000) + np.column_stack([(2 * y - 1) * (2 * z - 1), 3 * y, 0 * y, 0 * y])
    found = scores(leakage_report(h, z, **FAST))
    assert abs(found["linear"]) < 0.1
    assert found["rbf"] > 0.3


def test_what_is_read_through_y_alone_is_marginal_and_not_conditional():
    h, z, y = through_y()
    report = leakage_report(h, z, y, **FAST)
    assert report.p_value < 0.01
    assert report.conditional.p_value > 0.01
    assert abs(report.conditional.score) < 0.2
    assert report.conditional.bits < 0.01 < report.bits < report.bits_of_y + 0.1
    assert report.bits_of_y == pytest.approx(1 + 0.8 * np.log2(0.8) + 0.2 * np.log2(0.2), abs=0.05)


def test_what_h_adds_to_y_is_conditional():
    h, z, y = through_y()
    h[:, 0] += 2 * z
    report = leakage_report(h, z, y, **FAST)
    assert report.conditional.p_value < 0.01
    assert report.conditional.bits > 0.1


def test_independent_rows_score_nothing():
    h, random = noise(), np.random.RandomState(1)
    reports = [leakage_report(h, random.randint(3, size=400), **FAST) for _ in range(20)]
    assert sum(report.low <= 0 <= report.high for report in reports) >= 16
    assert sum(report.p_value < 0.05 for report in reports) <= 4
    assert abs(np.mean([report.bits for report in reports])) < 0.01


@pytest.mark.parametrize("n_rows", [100, 200, 400])
def test_scores_of_few_values_have_intervals_that_are_not_wide(n_rows):
    """Hits of a fixed probe among the rows of a level, which are half of the rows."""
    random, held = np.random.RandomState(0), []
    for picked in range(int(0.4 * n_rows), int(0.6 * n_rows)):
        drawn = random.hypergeometric(picked, n_rows - picked, n_rows // 2, size=(2, 999))
        low, high = mid_quantiles(drawn[0] / n_rows)
        held.append(np.mean((low <= drawn[1] / n_rows) & (drawn[1] / n_rows <= high)))
    assert np.mean(held) == pytest.approx(0.95, abs=0.01)


def test_a_probe_that_names_one_level_alone_has_an_interval_of_0():
    assert mid_quantiles(np.zeros(999)).tolist() == [0, 0]


@pytest.mark.parametrize("n", [8, 10, 12, 16, 40])
def test_intervals_of_a_few_perfect_rows_hold_0_where_p_is_above_5_percent(n):
    z = np.arange(n) % 2
    for h in (9.0 * z, 9.0 * np.arange(n)):  # a copy, and what no linear probe reads
        row = leakage_report(h[:, None], z, probes=["linear"], random_state=0).rows[0]
        assert row["low"] <= row["score"] <= row["high"]
        assert row["p_value"] <= 0.05 or max(row["low"], row["bits_low"]) <= 0 <= row["high"]


FEW = {  # z, and with what it comes
    "groups": (np.arange(80) // 10 % 2, {"groups": np.arange(80) // 10}),
    "given y": (np.arange(16) % 2, {"y": np.arange(16) // 8}),
}


@pytest.mark.parametrize(("z", "given"), FEW.values(), ids=FEW)
def test_intervals_of_few_perfect_groups_and_cells_hold_0_too(z, given):
    report = leakage_report(9.0 * np.eye(2)[z], z, **given, **FAST)
    few = [row for row in report.rows if row["score"] == 1 and row["p_value"] > 0.05]
    assert few
    assert all(max(row["low"], row["bits_low"]) <= 0 < row["high"] for row in few)


def test_the_interval_of_perfect_rows_is_that_of_clopper_and_pearson():
    z = np.arange(200) % 2
    row = leakage_report(9.0 * z[:, None], z, **FAST).rows[0]
    exact = binomtest(100, 100).proportion_ci(0.95, "exact").low
    assert row["low"] == pytest.approx(2 * exact - 1, abs=0.005)
    assert row["high"] == 1


def test_rare_levels_count_as_much_as_frequent_ones():
    z = np.repeat([0, 1], [360, 40])
    h = noise()
    row = leakage_report(h, z, **FAST).rows[0]
    assert row["chance"] == row["accuracy"] == pytest.approx(0.9)
    assert row["balanced_accuracy"] == pytest.approx(0.5, abs=0.15)
    assert row["score"] == pytest.approx(2 * row["balanced_accuracy"] - 1)


# ----------------------------------------------------------------------------- groups


def test_groups_train_and_score_apart():
    """Each group has a place of its own in h, by which rows alone would show its level."""
    groups = np.arange(800) % 40
    z = groups % 2
    h = 5 * np.random.RandomState(0).normal(size=(40, 4))[groups] + noise(800)
    assert leakage_report(h, z, **FAST).score > 0.8
    report = leakage_report(h, z, groups=groups, **FAST)
    assert report.low < 0
    assert report.p_value > 0.01


def test_rows_of_a_group_are_not_independent():
    """A group repeats one row: the interval is that of the groups."""
    h, z = noise(60), np.arange(60) % 2
    h[:, 0] += z
    alone = leakage_report(h, z, **FAST)
    copies = [np.repeat(of, 20, axis=0) for of in (h, z, np.arange(60))]
    grouped = leakage_report(*copies[:2], groups=copies[2], **FAST)
    assert grouped.high - grouped.low > 0.6 * (alone.high - alone.low)
    naive = leakage_report(*copies[:2], **FAST)
    assert naive.high - naive.low < 0.4 * (alone.high - alone.low)


def test_an_interval_knows_that_groups_show_z_in_different_degrees():
    """h shows z in half of the groups, and nothing in the others."""
    groups, z = np.arange(2000) % 40, np.arange(2000) // 40 % 2
    h = noise(2000)
    h[:, 0] += np.where(groups < 20, 4 * z, 2)
    grouped, naive = (leakage_report(h, z, groups=of, **FAST) for of in (groups, None))
    assert grouped.low > 0.1
    assert grouped.high - grouped.low > 2 * (naive.high - naive.low)


def test_a_level_that_varies_within_groups_is_found():
    groups, h, z = np.arange(400) % 20, noise(), np.arange(400) % 3 % 2
    h[:, 0] += 2 * z
    assert leakage_report(h, z, groups=groups, **FAST).p_value < 0.01
    y = np.arange(400) % 7 % 2
    assert leakage_report(h, z, y, groups, **FAST).conditional.p_value < 0.01


@pytest.mark.parametrize("n_groups", [60, 300, 500])
def test_an_interval_of_small_groups_of_mixed_levels_lies_around_the_score(n_groups):
    """z varies within groups of few rows: exchanges within a group leave most of z as it is."""
    random = np.random.RandomState(0)
    z, groups = random.randint(4, size=800), random.randint(n_groups, size=800)
    report = leakage_report(noise(800) + 1.5 * np.eye(4)[z], z, groups=groups, **FAST)
    alone = leakage_report(noise(800) + 1.5 * np.eye(4)[z], z, **FAST)
    for row, of_rows in zip(report.rows[:2], alone.rows[:2], strict=True):
        assert row["low"] < row["score"] < row["high"]
        assert row["high"] - row["low"] < 1.5 * (of_rows["high"] - of_rows["low"])


def test_a_few_rows_of_another_level_do_not_hide_what_groups_show():
    """A person has one site, except for six rows."""
    groups = np.repeat(np.arange(150), 4)
    z = np.random.RandomState(0).randint(4, size=150)[groups]
    z[::100] = (z[::100] + 1) % 4
    report = leakage_report(noise(600) + 1.5 * np.eye(4)[z], z, groups=groups, **FAST)
    assert report.low > 0.4
    assert report.p_value < 0.01


def test_sites_with_y_have_a_p_value_without_a_permutation():
    groups = np.arange(400) % 40
    z, h, y = groups % 2, noise(), np.arange(400) % 3
    report = leakage_report(h, z, y, groups, **FAST)
    alone = [row["p_value"] for row in report.rows if row["given"] == "y"]
    assert report.conditional.p_value > max(0.01, min(alone))
    h[:, 0] += 3 * z
    assert leakage_report(h, z, y, groups, **FAST).conditional.p_value < 0.01


def people(random):
    """Groups of very different sizes, each with a habit of its own, z, and y."""
    share = random.gamma(1, size=20) + 0.1
    groups = np.unique(random.choice(20, size=200, p=share / share.sum()), return_inverse=True)[1]
    y, follows = random.randint(4, size=200), random.beta(2, 1, size=20)[groups]
    return groups, np.where(random.uniform(size=200) < follows, y % 2, 1 - y % 2), y


def sites(random):
    """Groups of one level each, z, and y, which follows z."""
    groups = np.arange(200) % 30
    z, y = random.permutation(np.arange(30) % 2)[groups], random.randint(4, size=200)
    return groups, z, np.where(random.uniform(size=200) < 0.7, y // 2 * 2 + z, y)


@pytest.mark.parametrize("case", [people, sites])
def test_intervals_given_y_hold_0_where_groups_hold_much_of_a_cell(case):
    """A fixed probe reads the group, and nothing of z."""
    held = []
    for draw in range(400):
        random = np.random.RandomState(draw)
        groups, z, y = case(random)
        shown = random.normal(size=200) + random.normal(size=30)[groups]
        proba = np.column_stack([shown, -shown])
        rows, proba = np.arange(200), np.exp(proba) / np.exp(proba).sum(1, keepdims=True)
        halves = Halves(np.arange(2), z, groups, rows, rows, nested=case is sites)
        row = Tally(halves, y).describe([proba[None]], draw)[0][0]
        held.append(row["low"] <= 0 <= row["high"])
    assert 0.93 <= np.mean(held) <= 0.97


# --------------------------------------------------------------------------- controls


def test_controls_stand_beside_h():
    X = noise()
    z = (X[:, 0] > 0).astype(int)
    report = leakage_report(0 * X, z, X=X, **FAST)
    assert abs(scores(report)["linear"]) < 0.01
    assert scores(report, "X")["linear"] > 0.8
    assert scores(report, "random layer")["linear"] > 0.2
    assert abs(scores(report, "permuted z")["linear"]) < 0.01
    report = leakage_report(X, z, X=X, untrained=X[:, 1:], **FAST)
    assert scores(report, "untrained")["linear"] < 0.3
    assert scores(report, "random layer") == {}
    assert abs(scores(report, "permuted z")["linear"]) < 0.3


@pytest.mark.parametrize("kind", ["images", "frame"])
def test_the_raw_input_may_be_images_or_a_table(kind):
    h, z = noise(), np.arange(400) % 2
    X = h.reshape(400, 2, 2) + z[:, None, None]
    if kind == "frame":
        X = pd.DataFrame({"number": h[:, 0], "text": np.array(["a", "b"])[z]})
        X.loc[0, "number"] = np.nan
    assert scores(leakage_report(h, z, X=X, **FAST), "X")["linear"] > 0.4


@pytest.mark.parametrize("frame", [pd.DataFrame, lambda h: pl.DataFrame(h.tolist(), orient="row")])
def test_a_representation_in_a_frame_has_the_scores_of_its_array(frame):
    z = np.arange(400) % 2
    h = np.random.RandomState(0).standard_t(2, size=(400, 4)) + z[:, None]  # with far rows
    assert leakage_report(frame(h), z, **FAST).rows == leakage_report(h, z, **FAST).rows


# ----------------------------------------------------------------------------- results


def test_a_report_is_a_table_a_text_and_json():
    h, z, y = through_y(200)
    report = leakage_report(h, z, y, **FAST)
    assert list(report.table["probe"]) == ["linear", "rbf"] * 3
    assert set(report.table["features"]) == {"h", "permuted z"}
    assert "z from h given y: score" in str(report)
    assert len(str(report).splitlines()) == 11
    read = json.loads(report.to_json())
    assert read["rows"] == report.rows
    assert read["conditional"]["score"] == report.conditional.score


def test_a_random_state_makes_it_reproducible_and_another_does_not():
    h, z = noise(), np.arange(400) % 2
    first, second, other = (
        leakage_report(h, z, **{**FAST, "random_state": seed}).rows for seed in (0, 0, 1)
    )
    assert first == second != other


def test_repetitions_are_averaged():
    h, z = noise(), np.arange(400) % 2
    h[:, 0] += z
    report = leakage_report(h, z, probes=["forest"], n_repeats=3, random_state=0)
    assert report.score * 200 * 3 == pytest.approx(round(report.score * 200 * 3))
    assert report.p_value == 0.001


def test_probes_may_be_classifiers():
    probe = LogisticRegression()
    report = leakage_report(noise(), np.arange(400) % 2, probes={"mine": probe}, random_state=0)
    assert report.probe == "mine"
    assert not hasattr(probe, "coef_")


def test_levels_with_few_rows_are_probed():
    z = np.repeat(np.arange(10), 4)
    h = np.eye(10)[z]
    assert leakage_report(h, z, probes=["mlp", "linear", "rbf"], random_state=0).score > 0.8


# ----------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"z": np.zeros(400)}, "z must have at least two classes"),
        ({"z": np.where(np.arange(400) % 2, np.nan, 1.0)}, "z must have a label for each row"),
        ({"z": np.arange(399) % 2}, "z must have one label for each of the 400 rows of h"),
        ({"z": np.repeat([0, 1, 2], [3, 197, 200])}, "at least 4 rows, .* have fewer: {'0': 3}"),
        ({"z": np.random.RandomState(0).normal(size=400)}, "continuous"),
        ({"groups": np.arange(400) % 2}, "groups and z must differ"),
        ({"groups": np.where(np.arange(400) % 2, 0, np.arange(400))}, "at least 2 groups"),
        # older versions of scikit-learn shuffle groups otherwise
        ({"groups": np.arange(400) % 4}, "more groups than levels|each half of the groups"),
        ({"groups": np.arange(10)}, "groups must have one label for each"),
        ({"y": np.arange(400) % 2}, "y determines z"),
        ({"y": np.arange(10)}, "y must have one label for each of the 400 rows"),
        ({"X": noise(10)}, "X must have one row for each of the 400 rows of h, got 10"),
        ({"untrained": noise(10)}, "untrained must have one row for each of the 400 rows"),
        ({"h": np.full((400, 2), np.nan)}, "h contains NaN"),
        ({"probes": ["kernel"]}, "probes must be names among"),
        ({"probes": []}, "probes must be names among"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change, match):
    given = {"h": noise(), "z": np.arange(400) % 2, **FAST, **change}
    with pytest.raises(ValueError, match=match):
        leakage_report(given.pop("h"), given.pop("z"), **given)


def test_a_probe_without_probabilities_is_refused():
    with pytest.raises(TypeError, match="probe 'ridge' must be a classifier with predict_proba"):
        leakage_report(noise(), np.arange(400) % 2, probes={"ridge": RidgeClassifier()})


def test_wrong_parameters_are_named():
    with pytest.raises(InvalidParameterError, match=r"'n_repeats' parameter .* Got 0"):
        leakage_report(noise(), np.arange(400) % 2, n_repeats=0)


@pytest.mark.parametrize("of", [leakage_report, leakage_score, class_separation_ratio])
@pytest.mark.parametrize("model", [PCA(), make_pipeline(PCA(), LogisticRegression())])
def test_an_estimator_in_the_place_of_its_representation_is_refused(of, model):
    with pytest.raises(TypeError, match=rf"got the estimator {type(model).__name__}.*transform"):
        of(model, np.arange(400) % 2)


def test_a_frame_is_a_representation_and_a_word_is_none():
    frame = pd.DataFrame(noise())
    assert abs(leakage_score(frame, np.arange(400) % 2, random_state=0).excess) < 0.2
    with pytest.raises(InvalidParameterError, match=r"'h' .* must be an array-like. Got 'h'"):
        leakage_score("h", np.arange(400) % 2)
