"""The archive of expressions is checked row by row, and split so that nobody is on both sides."""

import os
import re
import zipfile
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sklearn_thin.datasets import load_expressions, split_by_subject

NAMES = ["anger", "happiness", "neutral", "sadness", "surprise"]
FILE = "expressions_in_the_wild.npz"
COUNTS = {"neutral": 5366, "happiness": 4274, "surprise": 276, "anger": 189, "sadness": 101}


def make_faces(seed=0):
    """Arrays of an archive in small: 4 subjects with 10 images, and 80 with one or two."""
    rng = np.random.RandomState(seed)
    subject = np.r_[np.repeat([50, 7, 20, 11], 10), np.repeat(np.arange(100, 180), [1, 2] * 40)]
    order = rng.permutation(len(subject))
    return {
        "images": rng.randint(256, size=(len(subject), 8, 6)).astype(np.uint8),
        "expression": np.resize(NAMES, len(subject)),
        "subject": subject[order],
    }


@pytest.fixture
def faces():
    return make_faces()


@pytest.fixture
def save(tmp_path):
    """Function that writes an archive of arrays and returns its folder."""

    def write(arrays):
        np.savez(tmp_path / FILE, **arrays)
        return tmp_path

    return write


@pytest.mark.parametrize("name", ["", FILE])
def test_all_rows_come_in_the_order_of_the_file(faces, save, name):
    data = load_expressions(save(faces) / name)
    assert data.images.dtype == np.uint8
    np.testing.assert_array_equal(data.images, faces["images"])
    np.testing.assert_array_equal(data.target_names[data.target], faces["expression"])
    np.testing.assert_array_equal(data.subject, faces["subject"])
    np.testing.assert_array_equal(data.index, np.arange(160))
    assert data.target_names.tolist() == NAMES
    assert data.repeated.shape == (0, 2)
    assert data.filename.endswith(FILE)
    assert "Read here: 160 images (anger 32, happiness 32," in data.DESCR


@pytest.mark.parametrize("subset", ["train", "test", "encoder"])
def test_a_subset_is_that_part_of_the_split(faces, save, subset):
    options = {"min_images": 9, "test_size": 0.3, "random_state": 1}
    data = load_expressions(save(faces), subset=subset, **options)
    target = np.searchsorted(NAMES, faces["expression"])
    rows = split_by_subject(faces["subject"], target, **options)[subset]
    np.testing.assert_array_equal(data.index, rows)
    np.testing.assert_array_equal(data.images, faces["images"][rows])
    np.testing.assert_array_equal(data.target, target[rows])
    np.testing.assert_array_equal(data.subject, faces["subject"][rows])


@pytest.mark.parametrize("subset", ["all", "test"])
def test_images_and_labels_alone(faces, save, subset):
    images, target = load_expressions(save(faces), subset=subset, return_X_y=True)
    data = load_expressions(save(faces), subset=subset)
    np.testing.assert_array_equal(images, data.images)
    np.testing.assert_array_equal(target, data.target)


@pytest.mark.parametrize("seed", range(5))
def test_people_who_share_an_image_are_on_the_same_side(save, seed):
    faces = make_faces(seed)
    people = [np.flatnonzero(faces["subject"] == number) for number in (131, 101, 165, 143)]
    for (_, row), (shared, _) in pairwise(people):  # the second of each is the first of the next
        faces["images"][shared] = faces["images"][row]
        faces["expression"][shared] = faces["expression"][row]
    path = save(faces)
    test = load_expressions(path, subset="test", test_size=0.4, random_state=seed)
    assert np.isin(people, test.index).sum() in (0, 8)


def test_an_image_of_two_people_is_told(faces, save):
    faces["images"][[60, 61]] = faces["images"][10]
    faces["expression"][[60, 61]] = faces["expression"][10]
    faces["subject"][[10, 60, 61]] = [100, 101, 102]
    data = load_expressions(save(faces))
    np.testing.assert_array_equal(data.repeated, [[10, 60], [10, 61]])
    assert len(data.images) == 160


@pytest.mark.parametrize("name", ["", FILE, "other.npz"])
def test_a_missing_file_is_named_with_how_to_get_it(tmp_path, name):
    file = re.escape(str(tmp_path / (name or FILE)))
    with pytest.raises(FileNotFoundError, match=rf"expected the file {file}, which is not there"):
        load_expressions(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="It is a NumPy archive of the arrays images"):
        load_expressions(tmp_path / name)


def corrupt(file):
    """Change one byte of the pixels, which the archive's checksum shows."""
    data = bytearray(file.read_bytes())
    data[1000] ^= 255
    file.write_bytes(bytes(data))


BROKEN = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "half": lambda file: file.write_bytes(file.read_bytes()[:4000]),
    "corrupt": corrupt,
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("not found"),
    "one array": lambda file: file.write_bytes(save_array(file, np.zeros(3))),
    "no arrays": lambda file: zipfile.ZipFile(file, "w").close(),
}


def test_an_archive_of_python_objects_says_how_to_save_texts(tmp_path):
    np.savez(tmp_path / FILE, images=[], expression=np.array(["joy"], object), subject=[])
    with pytest.raises(ValueError, match=r"holds Python objects, .*astype\(str\)"):
        load_expressions(tmp_path)


def save_array(file, array):
    """The bytes of a file of a single array."""
    np.save(file.with_suffix(".npy"), array)
    return file.with_suffix(".npy").read_bytes()


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_archive_is_named(faces, save, how):
    file = save(faces) / FILE
    BROKEN[how](file)
    match = "lacks images, exp" if how == "no arrays" else r"is truncated or corrupt \(.*copy it"
    with pytest.raises(ValueError, match=f"{re.escape(str(file))} {match}"):
        load_expressions(file)


def test_an_archive_without_room_in_memory_is_not_called_corrupt(save_petabyte, tmp_path):
    save_petabyte(tmp_path / FILE, "images")
    with pytest.raises(MemoryError, match="Unable to allocate"):
        load_expressions(tmp_path)


def test_an_archive_that_may_not_be_read_is_not_called_corrupt(faces, save):
    file = save(faces) / FILE
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(PermissionError, match=re.escape(str(file))):
        load_expressions(file)


@pytest.mark.parametrize("name", ["images", "expression", "subject"])
def test_an_array_that_is_missing_is_named(faces, save, name):
    del faces[name]
    with pytest.raises(ValueError, match=rf"{FILE} lacks {name}\. It is a NumPy archive"):
        load_expressions(save(faces))


@pytest.mark.parametrize(
    ("name", "change", "came"),
    [
        ("images", lambda images: images / 255, r"images \(160, 8, 6\) of float64"),
        ("images", lambda images: images.reshape(160, -1), r"images \(160, 48\) of uint8"),
        ("images", lambda images: images[1:], r"images \(159, 8, 6\) of uint8"),
        ("expression", lambda names: names[:-1], r"expression \(159,\) of <U9"),
        ("expression", lambda names: np.arange(160), r"expression \(160,\) of int64"),
        ("subject", lambda subject: subject[:, None], r"subject \(160, 1\) of int64"),
        ("subject", lambda subject: subject.astype(str), r"subject \(160,\) of <U21"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(faces, save, name, change, came):
    faces[name] = change(faces[name])
    with pytest.raises(ValueError, match=rf"{FILE} holds .*{came}.*It is a NumPy archive"):
        load_expressions(save(faces))


def spoil(faces, how):
    """Make two rows wrong."""
    if how == "unknown":
        faces["expression"] = faces["expression"].astype("<U16")
        faces["expression"][[3, 9]] = ["contempt", "Anger"]
    elif how == "blank":
        faces["images"][[3, 9]] = [[[0]], [[255]]]
    else:
        faces["images"][[53, 59]] = faces["images"][[3, 9]]
        faces["subject"][[3, 9]] = faces["subject"][[53, 59]] = [100, 101]
        if how == "two expressions":
            faces["subject"][[53, 59]] = [102, 103]
            faces["expression"][[53, 59]] = "anger"
            faces["expression"][[3, 9]] = "sadness"


@pytest.mark.parametrize(
    ("how", "reasons"),
    [
        ("unknown", "row 3: unknown expression 'contempt'; row 9: unknown expression 'Anger'"),
        ("blank", "row 3: blank image; row 9: blank image"),
        ("repeated", "row 53: repeats row 3; row 59: repeats row 9"),
        ("two expressions", "row 53: has the image of row 3, but another expression; row 59: "),
    ],
)
def test_rows_that_cannot_be_right_are_named_and_counted(faces, save, how, reasons):
    spoil(faces, how)
    match = rf"{FILE}: 2 of 160 rows cannot be right: {reasons}"
    with pytest.raises(ValueError, match=match):
        load_expressions(save(faces))


def test_the_first_five_of_many_wrong_rows_are_named(faces, save):
    faces["images"][20:40] = 7
    with pytest.raises(ValueError, match=r"20 of 160 .*row 24: blank image; and 15 more"):
        load_expressions(save(faces))


def test_classes_without_an_image_are_named(faces, save):
    faces["expression"][np.isin(faces["expression"], ["anger", "sadness"])] = "neutral"
    with pytest.raises(ValueError, match=rf"{FILE}: no image of anger, sadness, expected some"):
        load_expressions(save(faces))


@pytest.mark.parametrize(
    "options", [{"subset": "valid"}, {"min_images": 0}, {"test_size": 10}, {"random_state": "no"}]
)
def test_parameters_out_of_range_are_refused(faces, save, options):
    with pytest.raises(ValueError, match=f"'{next(iter(options))}' parameter of load_expressions"):
        load_expressions(save(faces), **options)


def test_a_row_that_repeats_another_of_its_subject_is_named_behind_one_of_another(faces, save):
    faces["images"][[50, 51]] = faces["images"][40]
    faces["subject"][[40, 50, 51]] = 101, 100, 100
    faces["expression"][[40, 50, 51]] = "anger"
    with pytest.raises(ValueError, match=r"1 of 160 rows cannot be right: row 51: repeats row 50"):
        load_expressions(save(faces))


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


def test_the_same_random_state_splits_alike_and_another_does_not():
    first, again, other = (split_by_subject(*make_subjects(), random_state=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.test, again.test)
    assert first.test.tolist() != other.test.tolist()


def test_a_random_state_leaves_numpys_global_generator_alone():
    before = np.random.mtrand._rand.get_state()[1].copy()
    split_by_subject(*make_subjects(), random_state=0)
    np.testing.assert_array_equal(np.random.mtrand._rand.get_state()[1], before)


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


@pytest.fixture(scope="module")
def real(data_dir):
    return load_expressions(data_dir)


def test_the_real_file_has_its_images_subjects_and_classes(real):
    assert real.images.shape == (10_206, 64, 64)
    counts = dict(zip(NAMES, np.bincount(real.target).tolist(), strict=True))
    assert counts == COUNTS
    sizes = np.unique(real.subject, return_counts=True)[1]
    assert len(sizes) == 4_479
    assert (sizes >= 8).sum() == 156
    assert sizes[sizes >= 8].sum() == 3_640
    assert "4,479 people" in real.DESCR


def test_the_real_file_has_one_image_under_two_identities(real):
    (first, second) = real.repeated[0]
    assert len(real.repeated) == 1
    np.testing.assert_array_equal(real.images[first], real.images[second])
    assert real.subject[first] != real.subject[second]


def test_the_real_file_is_split_in_proportion_and_without_leaks(real, data_dir):
    test = load_expressions(data_dir, subset="test")
    train = np.setdiff1d(real.index, test.index)
    assert not set(real.subject[train]) & set(test.subject)
    pixels, tested = (
        {image.tobytes() for image in images} for images in (real.images[train], test.images)
    )
    assert not pixels & tested
    sizes = np.bincount(real.subject)
    others = np.bincount(real.target[sizes[real.subject] < 8])
    share = np.bincount(test.target) / others
    np.testing.assert_allclose(share, len(test.target) / others.sum(), atol=0.03)
    assert len(test.images) == pytest.approx(2_550, abs=10)
    assert sizes[test.subject].max() < 8
