"""The report ends in the right word where it is known, and refuses rows that cannot decide."""

import numpy as np
import pandas as pd
import pytest

from sklearn_thin.datasets import make_sites
from sklearn_thin.inspection import nuisance_report
from sklearn_thin.inspection._report.advice import TOO_LITTLE, advise
from sklearn_thin.inspection._report.inputs import small
from sklearn_thin.inspection._report.models import (
    CONSTANT,
    DISPELS,
    FEATURES,
    GATES,
    POOLS,
    Scores,
)
from sklearn_thin.inspection._report.ratios import compare
from sklearn_thin.inspection._report.report import refuse_counts
from sklearn_thin.inspection._report.rows import read_rows

POOLED, LINEAR = POOLS
FEATURE, FEATURE_LINEAR = FEATURES
GATE, GATE_LINEAR = GATES
DISPELLED, DISPELLED_LINEAR = DISPELS
WORDS = ["gate", "feature", "ignore", TOO_LITTLE]
QUICK = {"n_splits": 2, "n_repeats": 1, "random_state": 0}


def rows(n_rows=240, n_levels=3, seed=0):
    """X, y that depends on X alone, and z without meaning."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_rows, 3))
    return X, (X[:, 0] > 0).astype(int), np.arange(n_rows) % n_levels


@pytest.fixture(scope="module", autouse=True)
def _short_trainings():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn_thin.inspection._report.models.STEPS", 200)
        yield


@pytest.fixture
def few_steps(monkeypatch):
    """Enough for convolutions to find a bar, and for what does not depend on the accuracy."""
    monkeypatch.setattr("sklearn_thin.inspection._report.models.STEPS", 60)


@pytest.fixture(scope="module")
def gated(_short_trainings):
    """A report of sites of two types, in a frame with text."""
    made = make_sites(600, n_sites=12, n_types=3, n_features=12, noise=0.05, random_state=0)
    frame = pd.DataFrame(made.data).assign(text="same").rename(columns=str)
    y = np.array(["a", "b", "c"])[made.target]
    return nuisance_report(frame, y, made.site_names[made.site], **QUICK)


def test_sites_of_hidden_types_want_a_gate(gated):
    assert gated.advice == "gate"
    assert "of the loss with z as a feature" in gated.reason
    assert gated.drift.high < 1
    loss = gated.table.set_index("model")["loss"]
    assert min(loss[GATE], loss[GATE_LINEAR]) < loss[FEATURE] < loss[POOLED]


def test_sites_cannot_be_recognised_from_their_features(gated):
    """Features have one distribution at all sites."""
    assert gated.recognition.accuracy == pytest.approx(gated.recognition.chance, abs=0.08)
    assert gated.recognition.kept < 0.2


def test_an_encoder_that_recognises_each_of_many_levels_replaces_them():
    """The levels are told by twelve columns of X, and turn the relation of the thirteenth."""
    rng = np.random.RandomState(0)
    z = np.arange(600) % 12
    X = np.column_stack([5 * np.eye(12)[z], rng.normal(size=600)])
    y = X[:, 12] * np.where(z % 3, 1, -1) > 0
    report = nuisance_report(X, y, z, **QUICK)
    loss = report.table.set_index("model")["loss"]
    assert report.recognition.accuracy == 1
    assert loss["gate by encoder, layers"] == pytest.approx(loss["gate by z, layers"], abs=0.02)
    assert loss["encoder alone"] == pytest.approx(loss["z alone"], abs=0.02)


def test_a_variable_that_is_an_offset_of_the_target_is_a_feature():
    rng = np.random.RandomState(0)
    X, z = rng.normal(size=(500, 3)), np.arange(500) % 2
    y = X[:, 0] + 3 * z + 0.3 * rng.normal(size=500) > 1.5
    report = nuisance_report(X, y, z, **QUICK)
    assert report.advice == "feature"
    assert report.drift.low > 0.95
    loss = report.table.set_index("model")["loss"]
    assert loss["z alone"] < loss["encoder alone"]


def test_levels_without_meaning_are_ignored():
    rng = np.random.RandomState(1)
    X = rng.normal(size=(1000, 3))
    y = X[:, 0] + 0.7 * rng.normal(size=1000) > 0
    report = nuisance_report(X, y, rng.randint(2, size=1000), **QUICK)
    assert report.advice == "ignore"
    assert report.drift.low < 1


@pytest.mark.parametrize("numbers", [False, True])
def test_many_small_levels_without_meaning_say_nothing_of_y(numbers, few_steps):
    """Folds that are dealt by level and y let each level show the y of its held-out rows."""
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(600, 3)), rng.normal(size=600)
    y = y if numbers else (y > 0).astype(int)
    report = nuisance_report(X, y, np.arange(600) % 40, n_splits=5, n_repeats=1, random_state=0)
    alone = report.table.set_index("model").loc["z alone"]
    assert alone.loss > (1 if numbers else 0.5)  # the loss of a constant


def test_repeats_hold_out_other_pairs_of_new_levels():
    X, y, z = rows(n_levels=10)
    found = read_rows(X, y, z, None, unseen=True, n_splits=5)
    held_out = [{tuple(np.unique(z[test])) for _, test in found.folds(seed)} for seed in range(3)]
    assert all(len(levels) == 2 for pairs in held_out for levels in pairs)
    assert held_out[0] != held_out[1] != held_out[2]


def bars(n_rows=400, side=8, channels=()):
    """Images of a bar anywhere, upright (1) or not (0), and two levels without meaning."""
    rng = np.random.RandomState(0)
    upright, place = rng.randint(2, size=n_rows), rng.randint(side - 1, size=(n_rows, 2))
    images = np.zeros((n_rows, side, side))
    for image, (row, column), is_upright in zip(images, place, upright, strict=True):
        image[row : row + (2 if is_upright else 1), column : column + (1 if is_upright else 2)] = 1
    images += 0.05 * rng.normal(size=images.shape)
    shape = (n_rows, *channels, side, side)
    return np.broadcast_to(images.reshape(n_rows, *[1] * len(channels), side, side), shape), upright


def test_networks_of_images_find_a_pattern_anywhere(few_steps):
    X, y = bars()
    report = nuisance_report(X, y, np.arange(len(y)) % 2, **QUICK)
    assert report.advice == "ignore"
    error = report.table.set_index("model")["error"]
    assert error[POOLED] < 0.1  # the columns of pixels alone show nothing
    assert error[LINEAR] > 0.35


def test_images_whose_classes_change_with_the_level_want_a_gate(few_steps):
    X, upright = bars(600)
    z = np.arange(600) % 3
    report = nuisance_report(X, np.where(z == 1, 1 - upright, upright), z, **QUICK)
    assert report.advice == "gate"
    assert report.recognition.kept < 0.2


@pytest.mark.parametrize(
    ("unseen", "channels"), [(False, ()), (True, (3,))], ids=["gray", "colour"]
)
def test_images_of_numbers_and_of_new_levels(unseen, channels, few_steps):
    X, y = bars(120, side=6, channels=channels)
    y = y + np.random.RandomState(0).normal(size=120)
    report = nuisance_report(X, y, np.arange(120) % 6, unseen=unseen, **QUICK)
    loss = report.table.set_index("model")["loss"]
    assert 0 < loss[DISPELLED if unseen else GATE] < np.inf


def test_large_images_are_means_of_pixels():
    images = np.random.RandomState(0).randint(256, size=(5, 3, 64, 32), dtype=np.uint8)
    expected = images.reshape(5, 3, 32, 2, 16, 2).mean((3, 5))
    np.testing.assert_allclose(small(images), expected, rtol=1e-6)
    assert small(expected) is expected


@pytest.mark.parametrize("shape", [(3, 3), (3, 40)])
def test_few_images_and_low_ones_have_a_report(shape, few_steps):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(50, *shape)), np.arange(50) // 2 % 2  # folds of 25 images
    assert nuisance_report(X, y, np.arange(50) % 2, **QUICK).advice in WORDS


@pytest.mark.parametrize("odd", [0, 1], ids=["all rows", "training rows"])
def test_equal_images_leave_what_z_says(odd, few_steps):
    """Warnings are errors: components of equal images have no variance."""
    z = np.arange(120) % 3
    y = (z == 1) ^ (np.arange(120) % 10 == 0)
    images = np.full((120, 8, 8), 7, np.uint8)
    images[:odd, 0, 0] = 9
    report = nuisance_report(images, y, z, **QUICK)
    assert report.advice == "feature"
    assert report.drift.ratio == pytest.approx(1, abs=0.01)


def test_a_class_of_few_rows_is_refused_where_no_model_can_learn_it():
    X, z = np.random.RandomState(0).normal(size=(90, 3)), np.arange(90) % 3
    with pytest.raises(ValueError, match="rarest value has 1 of 90 rows; take more"):
        nuisance_report(X, np.arange(90) == 0, z, **QUICK)


def test_images_must_have_numbers():
    X, y = bars(60)
    spoilt = X.copy()
    spoilt[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="1 of 60 images have pixels that are NaN or infinite"):
        nuisance_report(spoilt, y, np.arange(60) % 2)
    with pytest.raises(ValueError, match="images must have numbers, got dtype <U"):
        nuisance_report(X.astype(str), y, np.arange(60) % 2)


def numbers(slopes):
    """Numbers with a slope for each of three levels."""
    X, _, z = rows(600)
    noise = np.random.RandomState(1).normal(scale=0.3, size=600)
    return X, 40 + 10 * (X[:, 0] * np.take(slopes, z) + noise), z


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda X, y, z: y, "ignore"),
        (lambda X, y, z: y + 10 * z, "feature"),
        (lambda X, y, z: y - 20 * X[:, 0] * (z == 1), "gate"),
    ],
)
def test_numbers_end_in_the_same_words(make, word):
    X, y, z = numbers([1, 1, 1])
    y = make(X, y, z)
    report = nuisance_report(X, y, z, **QUICK)
    assert report.advice == word
    assert (report.drift.high < 0.9) == (word == "gate")
    table = report.table.set_index("model")
    assert table["loss"]["z alone"] == pytest.approx(1 - between(y, z), abs=0.03)
    assert table["error"]["pooled"] > 0.7 * 3 * np.sqrt(2 / np.pi)  # units of y
    assert "the squared error by the variance of y" in str(report)
    assert "y is read as numbers" in str(report)


def between(y, z):
    """Share of the variance of y that lies between the levels."""
    means = np.array([y[z == level].mean() for level in range(3)])
    return means.var() / y.var()


def test_units_of_numbers_do_not_matter(few_steps):
    X, y, z = numbers([1, -1, 1])
    first, other = (nuisance_report(X, values, z, **QUICK) for values in (y, 1e4 * y - 3.5))
    assert first.reason == other.reason
    np.testing.assert_allclose(first.table["loss"], other.table["loss"], rtol=1e-3)
    np.testing.assert_allclose(1e4 * first.table["error"], other.table["error"], rtol=1e-3)


def test_numbers_of_levels_to_come_are_compared_with_their_mean(few_steps):
    X, y, _ = numbers([1, 1, 1])
    report = nuisance_report(X, y, np.arange(600) % 6, unseen=True, **QUICK)
    assert report.advice == "ignore"
    assert report.table.set_index("model")["loss"]["constant"] == pytest.approx(1, abs=0.02)


def test_levels_to_come_are_held_out_whole(few_steps):
    X, y, z = rows(n_levels=6)
    report = nuisance_report(X + z[:, None], y, z, unseen=True, **QUICK)
    models = [*POOLS, *DISPELS, CONSTANT]
    assert list(report.table["model"]) == models
    assert "levels that training lacked" in report.reason
    assert report.drift is report.recognition is None


def test_levels_that_stand_for_the_target_are_dispelled():
    """Ten columns show y. Others show the level, of which each has its own share of y."""
    rng, z, sign = np.random.RandomState(0), np.arange(800) % 20, np.tile([-1.0, 1.0], 10)
    y = (rng.uniform(size=800) < 0.5 + 0.45 * sign[z]).astype(int)
    means = rng.normal(size=(20, 20))
    means -= np.outer(sign, sign @ means / 20)
    X = rng.normal(size=(800, 30))
    X[:, :10] += (2 * y - 1)[:, None] / np.sqrt(10)
    X[:, 10:] += 3 * means[z]
    report = nuisance_report(X, y, z, unseen=True, **{**QUICK, "n_splits": 5})
    assert report.advice == "dispel"
    loss = report.table.set_index("model")["loss"]
    assert loss[DISPELLED_LINEAR] < loss[CONSTANT] < min(loss[POOLED], loss[LINEAR])


def test_more_levels_to_come_than_units_of_the_network(few_steps):
    """Erasure takes a direction for each level: of the hidden layer, and of the columns of X."""
    X, y, z = rows(n_levels=100)
    report = nuisance_report(X, y, z, unseen=True, **{**QUICK, "n_splits": 5})
    assert list(report.table["model"]) == [*POOLS, DISPELLED, CONSTANT]


def test_the_report_is_the_same_for_equal_seeds(few_steps):
    X, y, z = rows(n_levels=4)
    first, again = (nuisance_report(X, y, z, unseen=True, **QUICK) for _ in range(2))
    other = nuisance_report(X, y, z, unseen=True, **{**QUICK, "random_state": 1})
    pd.testing.assert_frame_equal(first.table, again.table)
    assert (first.table["loss"] != other.table["loss"])[:4].all()  # the fifth is a constant


# ------------------------------------------------------------------------------ its forms


def test_text_and_html_have_word_reason_and_models(gated):
    html = gated._repr_html_()
    assert "y is read as 3 classes" in html
    for text in (str(gated), repr(gated)):
        assert text.startswith(f"gate: {gated.reason}")
        for model in gated.table["model"]:
            assert model in text
            assert model in html
    assert html.count("<tr>") == 1 + len(gated.table)


def test_the_figure_shows_ratios_with_intervals(gated):
    assert gated.plot() is gated
    ax = gated.ax_
    assert ax.figure is gated.figure_
    assert [label.get_text() for label in ax.get_yticklabels()] == list(gated.table["model"])
    points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() in "os"]
    np.testing.assert_allclose(points, gated.table["loss_ratio"])
    assert len(ax.get_xticks()) > 1
    assert "ax_" not in gated  # the Bunch holds results alone


def test_without_pandas_the_table_is_arrays(monkeypatch, few_steps):
    monkeypatch.setattr("sklearn_thin.inspection._report.view.find_spec", lambda name: None)
    X, y, z = rows(n_levels=4)
    report = nuisance_report(X, y, z, unseen=True, **QUICK)
    assert isinstance(report.table["loss"], np.ndarray)
    assert "pooled" in str(report)


# ------------------------------------------------------------------------------ the word


def scores(n_rows=2000, spread=0.3, seed=0, **means):
    """Scores of models with losses of these means; the losses of a row are correlated."""
    rng, made = np.random.RandomState(seed), Scores(n_rows, 1)
    base = rng.gamma(2, 0.25, n_rows)
    for model in (*POOLS, *FEATURES, *GATES, *DISPELS, CONSTANT):
        made.losses[model] = means.get(model, 0.5) * 2 * (base + spread * rng.normal(size=n_rows))
        made.errors[model] = made.losses[model] > 1
    return made


@pytest.mark.parametrize(
    ("means", "word"),
    [
        ({}, "ignore"),
        ({FEATURE: 0.4}, "feature"),
        ({FEATURE: 0.485, GATE: 0.485}, "ignore"),  # less than min_gain
        ({GATE: 0.4}, "gate"),
        ({FEATURE: 0.4, GATE: 0.4}, "feature"),  # the simpler word
        ({FEATURE: 0.4, GATE: 0.3}, "gate"),
        ({FEATURE: 0.4, FEATURE_LINEAR: 0.3, GATE: 0.3}, "feature"),
        ({LINEAR: 0.3, FEATURE_LINEAR: 0.3, GATE_LINEAR: 0.3}, "ignore"),  # linear without z, too
        ({LINEAR: 0.4, FEATURE_LINEAR: 0.3, GATE_LINEAR: 0.3}, "feature"),
        ({GATE: 0.46, FEATURE: 0.479}, "too little data to say"),  # neither is clearly simpler
        ({DISPELLED: 0.1}, "ignore"),  # of levels to come alone
    ],
)
def test_a_more_complex_word_must_beat_the_simpler(means, word):
    made = scores(20_000, **means)
    assert advise(made, np.arange(20_000), 0.05, unseen=False)[0] == word


@pytest.mark.parametrize(
    ("means", "word"),
    [
        ({}, "ignore"),
        ({DISPELLED: 0.4}, "dispel"),
        ({DISPELLED_LINEAR: 0.4}, "dispel"),
        ({DISPELLED: 0.4, CONSTANT: 0.3}, "ignore"),  # than a constant, it is worse
        ({DISPELLED: 0.25, CONSTANT: 0.25}, "ignore"),  # a constant is as good
        ({DISPELLED_LINEAR: 0.4, LINEAR: 0.4}, "ignore"),  # linear, without dispelling
        ({GATE: 0.1, FEATURE: 0.1}, "ignore"),
    ],
)
def test_dispelling_must_beat_both_pooled_models_and_a_constant(means, word):
    made = scores(20_000, **means)
    assert advise(made, np.arange(20_000) // 10, 0.05, unseen=True)[0] == word


@pytest.mark.parametrize("unseen", [False, True])
def test_few_rows_are_too_little_to_say(unseen):
    word, reason = advise(scores(30, spread=1), np.arange(30), 0.05, unseen=unseen)
    assert word == "too little data to say"
    assert "interval" in reason


def test_a_network_without_errors_needs_no_nuisance():
    made = scores(**{FEATURE: 0.1})
    made.errors[POOLED][:] = False
    assert advise(made, np.arange(2000), 0.05, unseen=False)[0] == "ignore"


def test_equally_good_models_are_rarely_told_apart():
    """Wrong words by chance, at a size where the least gain does not prevent them."""
    words = [
        advise(scores(150, spread=0.1, seed=seed), np.arange(150), 0, unseen=False)[0]
        for seed in range(400)
    ]
    assert 0 < sum(word in ("feature", "gate") for word in words) <= 0.05 * len(words)


# ------------------------------------------------------------------------------ intervals


def test_intervals_hold_the_true_ratio():
    """The losses are correlated, and of groups; 95 % of intervals hold the ratio 0.9."""
    rng, held = np.random.RandomState(0), 0
    groups = np.repeat(np.arange(100), 3)
    for _ in range(1000):
        base = rng.gamma(2, size=100)[groups] + rng.gamma(2, size=300)
        losses = 0.9 * base + rng.normal(0, 0.3, 100)[groups]
        found = compare(losses, base, groups)
        held += found.low < 0.9 < found.high
    assert held / 1000 == pytest.approx(0.95, abs=0.02)


def test_groups_count_once():
    rng = np.random.RandomState(0)
    base, losses = rng.gamma(2, size=50), rng.gamma(2, size=50)
    once = compare(losses, base, np.arange(50))
    thrice = compare(np.tile(losses, 3), np.tile(base, 3), np.tile(np.arange(50), 3))
    assert (once.low, once.high) == pytest.approx((thrice.low, thrice.high))


# ------------------------------------------------------------------------------ bad input


def bad(**changes):
    X, y, z = rows()
    return {"X": X, "y": y, "z": z, **changes}


def one_to_one():
    """A frame whose column "site" has a value of its own for each level of z."""
    X, y, z = rows()
    return pd.DataFrame(X, columns=list("abc")).assign(site=z), y, z


@pytest.mark.parametrize(
    "spelt", [np.asarray, list, pd.Series, lambda y: pd.Series(y, dtype="Int64")]
)
def test_whole_numbers_of_a_regression_are_not_taken_for_classes(spelt):
    y = np.random.RandomState(0).normal(0, 100, 240).round().astype(int)
    match = r"y has 1\d\d different whole numbers in 240 rows.*y / y.std\(\).*y.astype\(str\)"
    with pytest.raises(ValueError, match=match):
        nuisance_report(**bad(y=spelt(y)), **QUICK)
    refuse_counts(y / y.std())


@pytest.mark.parametrize(
    "y", [np.arange(240) // 5, np.arange(240) % 20, np.arange(240) // 3 % 70 + 0.5, ["a"] * 240]
)
def test_classes_and_fractions_are_no_whole_numbers_of_a_regression(y):
    refuse_counts(y)
    refuse_counts(np.array(y).astype(str))


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("y", "X['hospital'], z)"),
        ("z", "y, X['hospital'])"),
        ("groups", "y, z, groups=X['hospital'])"),
    ],
)
def test_the_name_of_a_column_is_no_array_of_labels(argument, call):
    given = bad(**{argument: "hospital"})
    given["X"] = pd.DataFrame(given["X"], columns=list("abc")).assign(hospital=1)
    with pytest.raises(ValueError, match=f"{argument} must be an array of labels, got") as error:
        nuisance_report(**given)
    assert str(error.value).endswith(f": nuisance_report(X.drop(columns='hospital'), {call}")
    with pytest.raises(ValueError, match=r"got the text 'clinic'\. Pass one label for each row"):
        nuisance_report(**given | {argument: "clinic"})


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize(
    "codes",
    [[0, 1, 2], ["x", "y", "z"], [3.0, np.nan, 1.0], ["x", None, "z"]],
)
def test_z_within_a_frame_is_named_and_dropped(codes, unseen):
    X, y, z = one_to_one()
    X["site"] = pd.Series(codes)[z].to_numpy()
    with pytest.raises(ValueError, match=r"column 'site' of X is one-to-one with z") as error:
        nuisance_report(X, y, np.array(["p", "q", "r"])[z], unseen=unseen, **QUICK)
    assert "nuisance_report(X.drop(columns='site'), y, X['site'])" in str(error.value)


def test_z_within_an_array_is_named_by_its_index():
    X, y, z = one_to_one()
    with pytest.raises(ValueError, match=r"column 3 of X .*np.delete\(X, 3, axis=1\), y, X\[:, 3"):
        nuisance_report(X.to_numpy(), y, z, **QUICK)


def test_a_column_that_z_determines_or_that_determines_z_is_a_feature():
    X, y, z = one_to_one()
    X["site"] = np.where(z == 2, 1, z)
    assert len(read_rows(X, y, z, None, unseen=False, n_splits=2).levels) == 3
    X["site"] = 2 * z + y
    assert len(read_rows(X, y, z, None, unseen=False, n_splits=2).levels) == 3


MISSING = np.where(np.arange(240) == 7, np.nan, np.arange(240) % 3)
RARE = np.where(np.arange(240) < 238, "usual", "rare").astype(object)
RARE[:100] = "other"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (bad(z=np.zeros(240)), "z must have at least two classes"),
        (bad(z=MISSING), "z must have a label for each row, but 1 of 240"),
        (bad(z=np.linspace(0, 1, 240)), "z: Unknown label type: continuous"),
        (bad(y=rows()[2] + 0.5), "z determines y"),
        (bad(y=np.full(240, 0.5)), "y must differ between rows"),
        (bad(y=np.linspace(0, 1, 200)), "y must have one number for each of the 240 rows"),
        (bad(z=np.arange(200) % 3), "z must have one label for each of the 240 rows of X, got 200"),
        (bad(y=np.arange(200) % 3), "y must have one label for each of the 240 rows"),
        (bad(groups=np.arange(9)), "groups must have one label for each of the 240 rows"),
        (bad(z=RARE), r"at least 5 rows for 5 folds, but 1 of 3 .*: rare \(2\)"),
        (bad(z=rows()[1]), "z determines y"),
        (bad(z=np.where(rows()[1], "dog", "cat")), "z determines y"),
        (bad(z=rows()[1] + 2 * (np.arange(240) % 2)), "z determines y"),
        (bad(z=np.arange(240) // 2, n_splits=2), "a fold has 120 levels in 120 rows.*unseen=True"),
        (
            bad(z=np.arange(240) // 2, groups=np.arange(240), n_splits=2),
            "Merge levels of z, or bin",
        ),
        (bad(groups=rows()[2]), "Pass unseen=True"),
        (bad(groups=rows()[2] // 2), "Pass unseen=True|at least 2 groups"),
        (bad(groups=np.where(rows()[2] == 1, 0, 1 + np.arange(240))), "at least 2 groups"),
        (bad(groups=np.arange(240) % 4), "n_splits=5 folds need as many groups, got 4"),
        (bad(unseen=True, y=np.arange(240) % 12), "y determines z"),
        (bad(unseen=True), "n_splits=5 folds need as many levels of z, got 3"),
        (bad(unseen=True, n_splits=2), "at least 2 levels of z to train on, got 1"),
        (bad(unseen=True, groups=np.arange(240) % 4), "each group must lie within one level"),
        (bad(X=np.zeros(240)), "X must be a table"),
        (bad(n_splits=1), "The 'n_splits' parameter"),
        (bad(min_gain=1.5), "The 'min_gain' parameter"),
    ],
)
def test_rows_that_cannot_decide_are_refused_before_any_training(given, message, monkeypatch):
    monkeypatch.setattr("sklearn_thin.inspection._report.report.score_models", None)
    with pytest.raises(ValueError, match=message):
        nuisance_report(**given)
