"""Rows are split so that nobody is on both sides, or drawn with the classes in turn."""

import numpy as np
import pandas as pd
import pytest

from sklearn_thin.datasets import alternate_classes, split_by_subject


def make_subjects(seed=0, n_others=800):
    """Subjects and classes, 80 and 20 % frequent, of 20 known people and of many others."""
    rng = np.random.RandomState(seed)
    subject = np.r_[np.repeat(np.arange(20), 15), rng.randint(20, 20 + n_others // 2, n_others)]
    target = (rng.uniform(size=len(subject)) < 0.2).astype(int)
    order = rng.permutation(len(subject))
    return subject[order], target[order]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("test_size", [0.05, 0.25, 0.6])
def test_no_subject_is_on_both_sides_and_nothing_is_lost(test_size, seed):
    subject, target = make_subjects(seed)
    parts = split_by_subject(subject, target, test_size=test_size, random_state=seed)
    assert not set(subject[parts.train]) & set(subject[parts.test])
    together = np.concatenate([parts.train, parts.test])
    np.testing.assert_array_equal(np.sort(together), np.arange(len(subject)))
    for part in parts.values():
        assert (np.diff(part) > 0).all()


def test_a_class_that_a_part_would_lack_is_named():
    subject, target = make_subjects()
    target[subject < 20] = np.where(target[subject < 20] > 0, 2, 0)  # of known people alone
    with pytest.raises(ValueError, match="the test part would have no image of class 2"):
        split_by_subject(subject, target)


@pytest.mark.parametrize("test_size", [0.001, 0.01])
def test_a_test_part_that_whole_subjects_cannot_give_is_refused(test_size):
    with pytest.raises(ValueError, match=r"in 20 folds, .* give 0\.05 at the nearest"):
        split_by_subject(*make_subjects(), test_size=test_size)


@pytest.mark.parametrize("min_images", [8, 15])
def test_the_encoder_has_all_images_of_those_with_enough(min_images):
    subject, target = make_subjects()
    parts = split_by_subject(subject, target, min_images=min_images)
    counts = np.bincount(subject)
    np.testing.assert_array_equal(parts.encoder, np.flatnonzero(counts[subject] >= min_images))
    assert set(parts.encoder) < set(parts.train)


@pytest.mark.parametrize("test_size", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_test_part_has_its_size_and_the_classes_in_proportion(test_size, seed):
    subject, target = make_subjects()
    parts = split_by_subject(subject, target, test_size=test_size, random_state=seed)
    assert len(parts.test) / len(subject) == pytest.approx(test_size, abs=0.01)
    others = np.setdiff1d(np.arange(len(subject)), parts.encoder)
    assert target[parts.test].mean() == pytest.approx(target[others].mean(), abs=0.01)


def test_subjects_and_classes_may_be_texts():
    subject, target = make_subjects()
    texts = np.array([f"p{number:04d}" for number in subject]), np.array(["no", "yes"])[target]
    parts, of_texts = split_by_subject(subject, target), split_by_subject(*texts)
    for name, part in parts.items():
        np.testing.assert_array_equal(of_texts[name], part)


ENOUGH = [0] * 8 + [1, 2, 3, 4]  # one known subject, four images of others


@pytest.mark.parametrize(
    ("subject", "target", "options", "match"),
    [
        (ENOUGH, [0, 1] * 5, {}, "inconsistent numbers of samples"),
        (ENOUGH[5:], [0] * 7, {}, "no subject has min_images=8 images, the most is 3"),
        ([], [], {}, "no subject has min_images=8 images, the most is 0"),
        (ENOUGH, [0] * 12, {"test_size": 0.4}, "must be less than the 4 images of subjects with"),
        (
            ENOUGH,
            [0] * 11 + [1],
            {"test_size": 0.1},
            "at least 2 subjects of every class .* got 1 of class 1",
        ),
        ([0] * 8 + [1] * 4, [0] * 12, {"test_size": 0.1}, "expected at least 2 subjects"),
        (ENOUGH, [0] * 12, {"test_size": 1.0}, "'test_size' parameter of split_by_subject"),
        (ENOUGH, [0] * 12, {"min_images": 0}, "'min_images' parameter of split_by_subject"),
    ],
)
def test_what_cannot_be_split_is_refused(subject, target, options, match):
    with pytest.raises(ValueError, match=match):
        split_by_subject(subject, target, **options)


MISSING = {
    "nan": [np.nan] * 8 + [1, 2, 3, 4.0],
    "None": [None] * 8 + [1, 2, 3, 4],
    "nan beside texts": np.array([np.nan, *"abbbbbbbbcd"], dtype=object),
    "NaT": np.array(["NaT"] * 8 + ["2020-01-01"] * 4, dtype="M8[D]"),
    "NA": pd.array([None] * 8 + [1, 2, 3, 4], dtype="Int64"),
    "NA beside texts": pd.Series([*"aaaaaaaabcd", None], dtype="string"),
}


@pytest.mark.parametrize("missing", MISSING)
def test_people_and_classes_that_are_missing_are_refused(missing):
    """All who are unknown would count as one person, who teaches the encoder."""
    expected = "to be all texts or all numbers, none of them missing; "
    with pytest.raises(ValueError, match=f"expected subject {expected}"):
        split_by_subject(MISSING[missing], [0] * 12)
    with pytest.raises(ValueError, match=f"expected target {expected}"):
        split_by_subject(ENOUGH, MISSING[missing])


def test_the_first_person_who_is_missing_is_named():
    with pytest.raises(ValueError, match="none of them missing; 2 are, the first in row 5"):
        split_by_subject([0, 0, 0, 0, 0, np.nan, 1, np.nan], [0] * 8)


LABELS = np.repeat(["fear", "joy", "awe"], [3, 40, 7])


@pytest.mark.parametrize("n_samples", [None, 1, 3, 100, 1000])
def test_classes_come_in_turn_and_equally_often(n_samples):
    rows = alternate_classes(LABELS, n_samples=n_samples, random_state=0)
    drawn = LABELS[rows]
    assert len(rows) == (n_samples or len(LABELS))
    expected = np.resize(["awe", "fear", "joy"], len(rows))
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("label", ["fear", "joy", "awe"])
def test_no_row_comes_again_before_all_of_its_class_have_come(label):
    rows = alternate_classes(LABELS, n_samples=360, random_state=0)  # 120 of each class
    members = np.flatnonzero(np.isin(LABELS, label))
    whole = 120 // len(members)
    rounds = rows[np.isin(rows, members)][: whole * len(members)].reshape(whole, -1)
    for order in rounds:
        np.testing.assert_array_equal(np.sort(order), members)
    assert len(np.unique(rounds, axis=0)) > 1  # the orders differ


def test_one_class_alone_is_shuffled():
    rows = alternate_classes(np.zeros(50), random_state=0)
    assert rows.tolist() != list(range(50))
    np.testing.assert_array_equal(np.sort(rows), np.arange(50))


@pytest.mark.parametrize(
    ("y", "n_samples", "match"),
    [
        ([], None, "labels of at least one row, got none"),
        (LABELS, 0, "'n_samples' parameter of alternate_classes"),
        (np.zeros((3, 2)), None, "1d array"),
        ([1, np.nan, 2, np.nan], None, "expected y .*missing; 2 are, the first in row 1"),
        (["joy", None, "fear"], None, "expected y .*missing; they cannot be sorted"),
    ],
)
def test_labels_that_cannot_be_taken_in_turn_are_refused(y, n_samples, match):
    with pytest.raises(ValueError, match=match):
        alternate_classes(y, n_samples=n_samples)


SELECTIONS = {
    "split": lambda seed: split_by_subject(*make_subjects(), random_state=seed).test,
    "turns": lambda seed: alternate_classes(LABELS, random_state=seed),
}


@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
def test_a_random_state_decides_and_leaves_the_global_generator_alone(select):
    before = np.random.mtrand._rand.get_state()[1].copy()
    state = np.random.RandomState(0)
    first, again, other, *drawn = (select(seed).tolist() for seed in (0, 0, 1, state, state))
    assert first == again == drawn[0]
    assert first != other
    assert first != drawn[1]
    np.testing.assert_array_equal(np.random.mtrand._rand.get_state()[1], before)
