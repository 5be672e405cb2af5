"""The numbers of each level are scikit-learn's, and their intervals cover."""

import json
from datetime import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, r2_score, root_mean_squared_error

from sklearn_thin.inspection import leakage_report, level_report


def predicted(n=900, seed=0, served=(2.0, 2.0, 0.5)):
    """y, probabilities that serve each level of z by its own factor, and z."""
    random = np.random.RandomState(seed)
    y, z = random.randint(3, size=n), random.randint(len(served), size=n)
    logits = random.normal(size=(n, 3)) + np.asarray(served)[z][:, None] * np.eye(3)[y]
    proba = np.exp(logits)
    return y, proba / proba.sum(1, keepdims=True), z


def test_each_level_has_the_numbers_of_its_rows():
    y, proba, z = predicted()
    report = level_report(y, proba, np.array(["a", "b", "c"])[z], random_state=0)
    assert [row["level"] for row in report.rows] == ["a", "b", "c"]
    for level, row in enumerate(report.rows):
        here = z == level
        guess, confidence = proba[here].argmax(1), proba[here].max(1)
        right = guess == y[here]
        assert row["n_rows"] == here.sum()
        assert row["accuracy"] == pytest.approx(right.mean())
        assert row["low"] < row["accuracy"] < row["high"]
        expected = balanced_accuracy_score(y[here], guess)
        assert row["balanced_accuracy"] == pytest.approx(expected)
        assert row["confidence"] == pytest.approx(confidence.mean())
        true, of_bins = calibration_curve(right, confidence, n_bins=10)
        bins = [one for one in report.reliability if one["level"] == row["level"]]
        np.testing.assert_allclose([one["accuracy"] for one in bins], true)
        np.testing.assert_allclose([one["confidence"] for one in bins], of_bins)
        rows = np.array([one["n_rows"] for one in bins])
        error = np.abs(true - of_bins) @ rows / here.sum()
        assert row["calibration_error"] == pytest.approx(error)
        assert row["calibration_low"] < error < row["calibration_high"]
    accuracies = [row["accuracy"] for row in report.rows]
    assert (report.worst_level, report.worst) == ("c", min(accuracies))
    assert (report.worst_low, report.worst_high) == (report.rows[2]["low"], report.rows[2]["high"])
    assert report.gap == pytest.approx(np.ptp(accuracies))
    assert report.gap_low < report.gap < report.gap_high
    assert report.p_value == 0.001
    assert report.overall["accuracy"] == pytest.approx((proba.argmax(1) == y).mean())


def test_levels_are_in_the_order_that_people_read():
    y, proba, z = predicted()
    ages = pd.Series(pd.cut(np.array([5, 12, 30])[z], [2, 10, 20, 90]))
    report = level_report(y, proba, ages, random_state=0)
    assert [row["level"] for row in report.rows] == ["(2, 10]", "(10, 20]", "(20, 90]"]
    report = level_report(y, proba, np.array(["2", "10", "1"])[z], random_state=0)
    assert [row["level"] for row in report.rows] == ["1", "2", "10"]


def test_categories_keep_their_order_whatever_their_type():
    y, proba, z = predicted()
    sizes = ["small", "large", "huge"]
    enum = pl.Series(np.array(sizes)[z], dtype=pl.Enum([*sizes, "none"]))
    report = level_report(y, proba, enum, random_state=0)
    assert [row["level"] for row in report.rows] == sizes
    # as numbers of nanoseconds and of timedelta64, these values are not those of the categories
    dates = pd.to_datetime(["2021-03-01", "2019-12-01", "2020-01-01"]).astype("datetime64[ns]")
    for values in (dates, pd.to_timedelta([9, 1, 5], unit="D")):
        ordered = pd.Series(pd.Categorical(values[z], categories=values, ordered=True))
        report = level_report(y, proba, ordered, random_state=0)
        rows = [(z == code).sum() for code in range(3)]
        assert [row["n_rows"] for row in report.rows] == rows


@pytest.mark.parametrize("predicted_too", [True, False])
def test_several_outputs_are_reported_one_by_one(predicted_too):
    y = np.random.RandomState(0).normal(size=(30, 2))
    with pytest.raises(ValueError, match=r"one output.* got shape \(30, 2\)"):
        level_report(y, y if predicted_too else y[:, 0], np.arange(30) % 3)


def test_labels_have_no_calibration():
    y, proba, z = predicted()
    names = np.array(["x", "y", "z"])
    report = level_report(names[y], names[proba.argmax(1)], z, random_state=0)
    assert set(report.rows[0]) == {
        "level",
        "n_rows",
        "accuracy",
        "low",
        "high",
        "balanced_accuracy",
    }
    assert report.reliability == []
    with_proba = level_report(names[y], proba, z, random_state=0)
    assert report.worst == with_proba.worst


def test_numbers_have_errors_in_units_of_y():
    random = np.random.RandomState(0)
    z = random.randint(2, size=400)
    y = 1000 * random.normal(size=400)
    guess = y + np.where(z, 200, 100) * random.normal(size=400) + 30
    report = level_report(y, guess, z, random_state=0)
    for level, row in enumerate(report.rows):
        of_level = y[z == level], guess[z == level]
        assert row["rmse"] == pytest.approx(root_mean_squared_error(*of_level))
        assert row["r2"] == pytest.approx(r2_score(*of_level))
        assert row["bias"] == pytest.approx(np.mean(of_level[1] - of_level[0]))
        assert row["low"] < row["rmse"] < row["high"]
    assert report.worst_level == 1
    assert report.gap == pytest.approx(report.rows[1]["rmse"] - report.rows[0]["rmse"])
    assert report.p_value == 0.001


def test_equal_levels_have_no_small_p_value():
    p_values = [
        level_report(*predicted(300, seed, (1.0, 1.0, 1.0)), random_state=seed).p_value
        for seed in range(20)
    ]
    assert sum(p < 0.05 for p in p_values) <= 4
    assert max(p_values) > 0.5


def test_rows_of_a_group_count_as_one():
    y, proba, z = predicted(90, served=(1.0, 1.0))
    groups = np.arange(90)
    alone = level_report(y, proba, z, groups, random_state=0)
    copies = [np.repeat(of, 20, axis=0) for of in (y, proba, z, groups)]
    grouped = level_report(*copies, random_state=0)
    naive = level_report(*copies[:3], random_state=0)
    for of_groups, of_rows, of_copies in zip(alone.rows, naive.rows, grouped.rows, strict=True):
        width = of_groups["high"] - of_groups["low"]
        assert of_copies["high"] - of_copies["low"] == pytest.approx(width, rel=0.1)
        assert of_rows["high"] - of_rows["low"] < 0.4 * width
        assert of_copies["n_groups"] == of_groups["n_rows"]
    assert grouped.p_value > naive.p_value or naive.p_value < 0.01


def test_a_level_with_one_row_is_listed_without_an_interval():
    y, proba, z = predicted(200, served=(1.0, 1.0))
    z[0] = 2
    row = level_report(y, proba, z, random_state=0).rows[2]
    assert row["n_rows"] == 1
    assert np.isnan([row["low"], row["high"], row["calibration_low"]]).all()


def test_few_right_rows_prove_little():
    y = np.repeat([0, 1], [5, 95])
    report = level_report(y, y, y, random_state=0)
    assert report.rows[0]["accuracy"] == 1
    assert report.rows[0]["low"] < 0.6
    assert report.rows[1]["low"] > 0.95


def test_a_report_is_a_table_a_text_and_json():
    y, proba, z = predicted(200)
    z[0] = 3
    report = level_report(y, proba, z, random_state=0)
    assert list(report.table["level"]) == [0, 1, 2, 3]
    assert "worst level: " in str(report)
    read = json.loads(report.to_json())
    assert read["rows"][3]["low"] is None
    assert read["gap"] == report.gap


def test_classes_that_the_rows_lack_are_named_by_labels():
    y, proba, z = predicted()
    few = y < 2
    report = level_report(y[few], proba[few], z[few], labels=[0, 1, 2], random_state=0)
    assert report.overall["accuracy"] == pytest.approx((proba.argmax(1) == y)[few].mean())
    with pytest.raises(ValueError, match=r"one column for each of the 2 classes .* labels=clf.cl"):
        level_report(y[few], proba[few], z[few])


def test_columns_are_in_the_order_of_labels():
    y, proba, z = predicted()
    names, order = np.array(["a", "b", "c"]), [2, 0, 1]
    expected = level_report(names[y], proba, z, random_state=0)
    given = level_report(names[y], proba[:, order], z, labels=names[order], random_state=0)
    for row, other in zip(given.rows, expected.rows, strict=True):
        assert row == pytest.approx(other)
    assert given.overall["accuracy"] == pytest.approx((proba.argmax(1) == y).mean())


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_columns_of_a_frame_have_the_classes_of_their_names(make):
    y, proba, z = predicted()
    names, order = np.array(["a", "b", "c"]), [2, 0, 1]
    expected = level_report(names[y], proba, z, random_state=0)
    frame = make({names[place]: proba[:, place] for place in order})
    other = make({f"p {names[place]}": proba[:, place] for place in range(3)})
    for found in (frame, other):
        report = level_report(names[y], found, z, random_state=0)
        for row, as_expected in zip(report.rows, expected.rows, strict=True):
            assert row == pytest.approx(as_expected)
    swapped = level_report(names[y], frame, z, labels=names, random_state=0)
    assert swapped.worst < expected.worst


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        (pd.cut([5, 15, 25], [0, 10, 20, 30]), ["(0, 10]", "(10, 20]", "(20, 30]"]),
        (pd.period_range("2020", periods=3, freq="M"), ["2020-01", "2020-02", "2020-03"]),
        (np.array([True, False]), [False, True]),
    ],
)
def test_levels_of_any_type_are_named(levels, shown):
    y, proba, z = predicted(300)
    named = levels[z % len(levels)]
    report = level_report(y, proba, named, random_state=0)
    assert [row["level"] for row in report.rows] == shown
    assert f"worst level: {report.worst_level}," in str(report)
    assert [row["level"] for row in json.loads(report.to_json())["rows"]] == shown
    assert leakage_report(proba, named, probes=["linear"], random_state=0).levels == shown


def test_instants_of_nanoseconds_are_dates_in_a_report():
    y, proba, z = predicted(300)
    days = np.array(["2020-01-01", "2020-02-01", "2020-03-01"], "M8[ns]")
    report = level_report(y, proba, days[z], random_state=0)
    assert report.rows[1]["level"] == datetime(2020, 2, 1)


def test_predicted_labels_that_y_lacks_are_wrong():
    y, _, z = predicted(90)
    report = level_report(y, np.where(z == 1, 7, y), z, random_state=0)
    assert [row["accuracy"] for row in report.rows] == [1, 0, 1]


@pytest.mark.parametrize("numbers", [False, True])
def test_the_gap_to_a_level_with_one_row_has_no_interval(numbers):
    y = np.repeat([0.5, 1.5], 20) if numbers else np.repeat([0, 1], 20)
    guess, z = y.copy(), np.repeat([0, 1], [39, 1])
    guess[-1] = 3 * numbers
    report = level_report(y, guess, z, random_state=0)
    assert report.gap == (1.5 if numbers else 1)
    assert np.isnan([report.gap_low, report.gap_high]).all()
    levels = np.repeat([0, 1, 2], [20, 19, 1])
    grouped = level_report(y, guess, levels, levels, random_state=0)
    assert np.isnan([grouped.gap_low, grouped.gap_high]).all()
    several = level_report(y, guess, np.repeat([0, 1], 20), random_state=0)
    assert several.gap_low < several.gap < several.gap_high


def scores_of_rows(n=300):
    return np.random.RandomState(0).normal(size=(n, 3))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"z": np.zeros(300)}, "z must have at least two classes"),
        ({"z": np.where(np.arange(300) % 2, np.nan, 1.0)}, "z must have a label for each row"),
        ({"z": np.arange(9)}, "z must have one label for each of the 300 rows of y"),
        ({"groups": np.arange(9)}, "groups must have one label for each"),
        ({"y": np.arange(9) % 3}, "y must have one label for each of the 300 rows of predicted"),
        ({"predicted": np.arange(9)}, "y must have one label for each of the 9 rows of predicted"),
        ({"predicted": np.full((300, 3), np.nan)}, "predicted contains NaN"),
        ({"labels": [1, 2, 3]}, r"y has labels that are not in labels: \[0\]"),
        ({"y": np.arange(300) % 2, "predicted": np.full(300, 0.3)}, "a column for each class"),
        ({"labels": [1, 0, 1]}, r"labels must hold each class once, but \[1\] come more"),
        ({"predicted": scores_of_rows()}, r"300 of 300 rows do not.*Pass clf.predict_proba\(X\)"),
        ({"predicted": np.full((300, 3), 0.34)}, "300 of 300 rows do not"),
        (
            {"predicted": np.full(300, "1")},
            "labels of one type, got y such as . and predicted .* '1'",
        ),
        ({"y": np.full(300, "1"), "predicted": np.full(300, True)}, "labels of one type"),
        (
            {"predicted": np.arange(300) % 2 + 7},
            r"no label of y: .*\(y, predicted, z\)",
        ),
        ({"y": np.array(["a", "b", "c"] * 100), "predicted": np.arange(300) / 2}, "y has labels"),
        ({"y": np.arange(300) / 2, "predicted": np.full(300, "a")}, "predicted has labels such"),
        ({"y": [], "predicted": [], "z": []}, "z must have at least two classes"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change, match):
    given = dict(zip(("y", "predicted", "z"), predicted(300), strict=True)) | change
    with pytest.raises(ValueError, match=match):
        level_report(given.pop("y"), given.pop("predicted"), given.pop("z"), **given)


def test_a_few_rows_of_another_level_do_not_hide_a_gap():
    """A person has one site, except for six rows."""
    random = np.random.RandomState(0)
    person = np.repeat(np.arange(100), 6)
    site = random.randint(3, size=100)[person]
    site[::100] = (site[::100] + 1) % 3
    right = random.uniform(size=600) > np.where(site == 0, 0.35, 0.1)
    report = level_report(np.ones(600), right.astype(float), site, groups=person, random_state=0)
    assert report.worst_level == 0
    assert report.p_value < 0.01


def test_groups_of_several_levels_make_no_gap_of_equal_levels():
    """Without a gap, 5 % of the p-values are below 0.05."""
    found = 0
    for seed in range(100):
        random = np.random.RandomState(seed)
        person = np.repeat(np.arange(40), 5)
        site = np.where(random.uniform(size=200) < 0.1, person % 3, person % 2)
        right = random.uniform(size=200) < random.beta(18, 2, size=40)[person]
        y = np.ones(200, int)
        found += level_report(y, right.astype(int), site, person, random_state=0).p_value < 0.05
    assert binomtest(int(found), 100, 0.05).pvalue > 0.01


@pytest.mark.parametrize(("accuracies", "n"), [([0.8] * 18, 25), ([0.9, 0.8, 0.6], 100)])
def test_the_interval_of_a_gap_holds_the_gap_and_the_true_gap(accuracies, n):
    """Noise makes a gap of equal levels, and greater gaps of their resamples."""
    z, held = np.repeat(np.arange(len(accuracies)), n), 0
    for seed in range(40):
        right = np.random.RandomState(seed).uniform(size=len(z)) < np.asarray(accuracies)[z]
        report = level_report(np.ones(len(z), int), right.astype(int), z, random_state=0)
        assert report.gap_low <= report.gap <= report.gap_high
        held += report.gap_low <= np.ptp(accuracies) <= report.gap_high
    assert held >= 34  # of 40: fewer have a chance of 0.3 % at 95 %
