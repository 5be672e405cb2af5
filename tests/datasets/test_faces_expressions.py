"""The archive of expressions is checked row by row, and split so that nobody is on both sides."""

from itertools import pairwise

import numpy as np
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


def test_an_image_of_two_people_is_reported(faces, save):
    faces["images"][[60, 61]] = faces["images"][10]
    faces["expression"][[60, 61]] = faces["expression"][10]
    faces["subject"][[10, 60, 61]] = [100, 101, 102]
    data = load_expressions(save(faces))
    np.testing.assert_array_equal(data.repeated, [[10, 60], [10, 61]])
    assert len(data.images) == 160


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
