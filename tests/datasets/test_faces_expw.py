"""ExpW is read from the layout of its release and split as the paper splits it."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_thin.datasets import load_expw
from sklearn_thin.datasets._expw import split
from sklearn_thin.datasets._faces import Face

NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
N_FACES, SIDE = 49, 12


def test_faces_are_cut_out_by_their_boxes_in_the_order_of_the_list(expw):
    data = expw.load()
    assert data.target_names.tolist() == NAMES
    np.testing.assert_array_equal(data.images, expw.cuts[7:])
    np.testing.assert_array_equal(data.target, np.arange(7, N_FACES) % 7)
    np.testing.assert_array_equal(data.face_id, np.arange(7, N_FACES) % 2)
    np.testing.assert_allclose(data.confidence, 60.01 + np.arange(7, N_FACES) / 2)
    photos = [str(expw.root / "image/origin" / line.split()[0]) for line in expw.lines[7:]]
    assert data.filenames.tolist() == photos
    assert "Read here: 42 images (angry 6, disgust 6," in data.DESCR


@pytest.mark.parametrize(("bound", "n_left_out"), [(60, 7), (59.9, 5), (-1, 0), (64, 8)])
def test_faces_need_a_confidence_above_the_bound(expw, bound, n_left_out):
    data = expw.load(min_confidence=bound)
    assert data.n_left_out == n_left_out
    assert len(data.images) == N_FACES - n_left_out
    assert (data.confidence > bound).all()


def test_images_are_gray_and_of_64_pixels_by_default(expw):
    images, target = load_expw(expw.root, return_X_y=True)
    assert images.shape == (34, 64, 64)
    assert images.dtype == np.uint8
    assert target.shape == (34,)


def test_what_a_box_has_outside_the_photograph_is_black(expw):
    expw.change(10, top="-6", left="44", right="56", bottom="6")
    expected = np.zeros((3, SIDE, SIDE), dtype=np.uint8)
    expected[:, 6:, :6] = expw.images[expw.fields(10)["image"]][:6, 44:].transpose(2, 0, 1)
    np.testing.assert_array_equal(expw.load().images[3], expected)


def test_the_parts_are_disjoint_together_whole_and_in_proportion(expw):
    options = {"random_state": 3, "test_size": 14}
    whole, train, test = (expw.load(subset=part, **options) for part in ("all", "train", "test"))
    np.testing.assert_array_equal(np.bincount(test.target), np.full(7, 2))
    np.testing.assert_array_equal(np.bincount(train.target), np.full(7, 4))
    parts = np.sort(np.concatenate([train.confidence, test.confidence]))
    np.testing.assert_array_equal(parts, whole.confidence)  # a number of its own for each face
    for part in (train, test):
        rows = np.searchsorted(whole.confidence, part.confidence)
        assert (np.diff(rows) > 0).all()
        np.testing.assert_array_equal(part.images, whole.images[rows])


def test_the_same_random_state_splits_alike_and_another_does_not(expw):
    first, again, other = (
        expw.load(subset="test", random_state=seed).filenames.tolist() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_a_random_state_leaves_numpys_global_generator_alone(expw):
    before = np.random.mtrand._rand.get_state()[1].copy()
    load_expw(expw.root)
    np.testing.assert_array_equal(np.random.mtrand._rand.get_state()[1], before)


@pytest.mark.parametrize(("test_size", "n_test"), [(None, 8), (0.5, 21), (7, 7)])
def test_the_size_of_the_test_part(expw, test_size, n_test):
    assert len(expw.load(subset="test", test_size=test_size).images) == n_test
    assert len(expw.load(subset="train", test_size=test_size).images) == 42 - n_test


def test_the_split_of_as_many_faces_as_in_the_paper_has_its_sizes():
    faces = [Face(str(row), Path("photo.jpg"), row % 7, None, {}) for row in range(33_374)]
    parts = split(faces, "label.lst", None, 0)
    assert {part: len(of_part) for part, of_part in parts.items()} == {
        "train": 26_701,
        "test": 6_673,
    }


def test_the_folder_above_data_may_be_given(expw):
    (expw.root / "data").mkdir()
    for name in ("label", "image"):
        (expw.root / name).rename(expw.root / "data" / name)
    np.testing.assert_array_equal(expw.load().images, expw.cuts[7:])


def test_a_class_that_was_empty_before_is_not_named_again(expw):
    for row in range(2, N_FACES, 7):
        expw.change(row, label="3")
    expw.remove(expw.file)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        expw.load(on_error="warn")
    empty = ["classes are empty" in str(entry.message) for entry in caught]
    assert empty == [True, False]


def test_an_image_of_16_bits_is_named(expw, warned):
    path = expw.root / expw.file
    Image.fromarray(np.full((90, 90), 40_000, np.uint16)).save(path, format="PNG")
    warned("its pixels are of mode I;16, not of 8 bits", expw.load)


@pytest.mark.parametrize(("bound", "rarest"), [(100, "none"), (84, "1 of .*")])
def test_too_few_faces_to_split_are_refused(expw, bound, rarest):
    match = rf"label\.lst: expected at least 2 faces of .* got {rarest} above min_confidence"
    with pytest.raises(ValueError, match=match):
        load_expw(expw.root, min_confidence=bound)


def test_no_face_at_all_is_an_error(expw):
    with pytest.raises(ValueError, match=r"label\.lst: nothing is left to load"):
        expw.load(min_confidence=100, on_error="warn")
