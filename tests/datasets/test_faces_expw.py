"""ExpW is read from the layout of its release and split as the paper splits it."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_thin.datasets import load_expw
from sklearn_thin.datasets._expw import split
from sklearn_thin.datasets._faces import Face

NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
LIST, PHOTOS = "label/label.lst", "image/origin"
UNSURE = [60, 12.5, 59.9, 0, 30, 45, 60]  # confidence of the first seven faces
N_FACES, SIDE = 49, 12
PARTS = ("all", "train", "test")


@pytest.fixture
def expw(folder, noise):
    """The release in small: `folder`, with its lines as lists of fields and the faces' pixels.

    Two faces in a photograph; seven of each expression, of which the first is unsure.
    """
    names = [f"{NAMES[row % 7]}_crowd_{row}.jpg" for row in range(N_FACES) if row % 2 == 0]
    photos = [noise(seed, 40, 50) for seed in range(len(names))]
    for name, pixels in zip(names, photos, strict=True):
        folder.write_image(f"{PHOTOS}/{name}", pixels)
    folder.lines, folder.cuts, folder.photos = [], [], photos
    for row in range(N_FACES):
        top, left = row % 25, 3 * row % 35
        confidence = UNSURE[row] if row < 7 else 60.01 + row / 2
        box = (top, left, left + SIDE, top + SIDE)
        fields = (names[row // 2], row % 2, *box, confidence, row % 7)
        folder.lines.append([str(field) for field in fields])
        cut = photos[row // 2][top : top + SIDE, left : left + SIDE]
        folder.cuts.append(cut.transpose(2, 0, 1))
    write_list(folder)
    return folder


def write_list(expw):
    expw.write_lines(LIST, [" ".join(line) for line in expw.lines])


def load_sharp(expw, **options):
    """Load the faces in their own size and colours, so that pixels can be compared."""
    return load_expw(expw.root, **{"subset": "all", "side": SIDE, "color": True, **options})


def test_faces_are_cut_out_by_their_boxes_in_the_order_of_the_list(expw):
    data = load_sharp(expw)
    assert data.target_names.tolist() == NAMES
    np.testing.assert_array_equal(data.images, expw.cuts[7:])
    np.testing.assert_array_equal(data.target, np.arange(7, N_FACES) % 7)
    np.testing.assert_array_equal(data.face_id, np.arange(7, N_FACES) % 2)
    np.testing.assert_allclose(data.confidence, 60.01 + np.arange(7, N_FACES) / 2)
    photos = [str(expw.root / PHOTOS / line[0]) for line in expw.lines[7:]]
    assert data.filenames.tolist() == photos
    assert "Read here: 42 images (angry 6, disgust 6," in data.DESCR


@pytest.mark.parametrize(("bound", "n_left_out"), [(60, 7), (59.9, 5), (-1, 0), (64, 8)])
def test_faces_need_a_confidence_above_the_bound(expw, bound, n_left_out):
    data = load_sharp(expw, min_confidence=bound)
    assert data.n_left_out == n_left_out
    assert len(data.images) == N_FACES - n_left_out
    assert (data.confidence > bound).all()


def test_images_are_gray_and_of_64_pixels_by_default(expw):
    images, target = load_expw(expw.root, return_X_y=True)
    assert images.shape == (34, 64, 64)
    assert images.dtype == np.uint8
    assert target.shape == (34,)


def test_what_a_box_has_outside_the_photograph_is_black(expw):
    expw.lines[10][2:6] = ["-6", "44", "56", "6"]
    write_list(expw)
    expected = np.zeros((3, SIDE, SIDE), dtype=np.uint8)
    expected[:, 6:, :6] = expw.photos[5][:6, 44:].transpose(2, 0, 1)
    np.testing.assert_array_equal(load_sharp(expw).images[3], expected)


def test_the_parts_are_disjoint_together_whole_and_in_proportion(expw):
    options = {"random_state": 3, "test_size": 14}
    whole, train, test = (load_sharp(expw, subset=part, **options) for part in PARTS)
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
        load_sharp(expw, subset="test", random_state=seed).filenames.tolist() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_a_random_state_leaves_numpys_global_generator_alone(expw):
    before = np.random.mtrand._rand.get_state()[1].copy()
    load_expw(expw.root)
    np.testing.assert_array_equal(np.random.mtrand._rand.get_state()[1], before)


@pytest.mark.parametrize(("test_size", "n_test"), [(None, 8), (0.5, 21), (7, 7)])
def test_the_size_of_the_test_part(expw, test_size, n_test):
    assert len(load_sharp(expw, subset="test", test_size=test_size).images) == n_test
    assert len(load_sharp(expw, subset="train", test_size=test_size).images) == 42 - n_test


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
    np.testing.assert_array_equal(load_sharp(expw).images, expw.cuts[7:])


@pytest.mark.parametrize("missing", [".", LIST, PHOTOS])
def test_what_is_missing_is_named_with_where_and_how_to_get_it(expw, missing):
    expw.remove(missing)
    expected = f"{PHOTOS} in the folder" if missing == PHOTOS else f"{LIST} or data/{LIST} in"
    end = ", which is no folder" if missing == "." else ""
    with pytest.raises(
        FileNotFoundError,
        match=rf"ExpW: expected {expected}.* {re.escape(str(expw.root))}{end}\. ExpW is found at",
    ):
        load_expw(expw.root)


WRONG_LINES = [
    "lonely.jpg",
    "photo.jpg 0 1 2 14 13 80",
    "photo.jpg 0 1 2 14 13 80 7",
    "photo.jpg 0 1 2 14 13 80 -1",
    "photo.jpg 0 1 2 14 13 80 12",
    "photo.jpg 0 1 2 14 13 80 3 3",
    "photo.jpg 0 1 2 14 x 80 3",
    "photo.jpg 0 1 2 14 13 nan 3",
    "photo.jpg 0 1 2 inf 13 80 3",
]


@pytest.mark.parametrize("line", WRONG_LINES)
def test_a_wrong_line_is_named_and_left_out_alone(expw, line, warned):
    expw.lines[20] = line.split()
    write_list(expw)
    match = rf"label\.lst: 1 of 49 entries cannot be used: line 21: expected .*, got '{line}'\."
    with pytest.raises(ValueError, match=match):
        load_expw(expw.root)
    images = warned(match, load_sharp, expw).images
    np.testing.assert_array_equal(images, expw.cuts[7:20] + expw.cuts[21:])


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00t"])
def test_a_list_that_is_empty_or_no_text_is_named(expw, content):
    (expw.root / LIST).write_bytes(content)
    with pytest.raises(ValueError, match=r"label\.lst is (empty|no text file)"):
        load_expw(expw.root)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (["5", "9", "9", "17"], r"the box \(9, 5, 9, 17\) of the face is empty"),
        (["40", "5", "17", "52"], r"the box \(5, 40, 17, 52\) is outside the image of \(50, 40\)"),
    ],
)
def test_a_box_without_pixels_is_named_and_left_out_alone(expw, box, reason, warned):
    expw.lines[20][2:6] = box
    write_list(expw)
    name = f"{re.escape(expw.lines[20][0])}, face 0"
    match = rf"label\.lst: 1 of 42 entries cannot be used: {name}: {reason}\."
    with pytest.raises(ValueError, match=match):
        load_sharp(expw)
    images = warned(match, load_sharp, expw).images
    np.testing.assert_array_equal(images, expw.cuts[7:20] + expw.cuts[21:])


@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_all_faces_of_a_photograph_that_cannot_be_read_are_named(expw, how, warned):
    name = expw.lines[20][0]
    if how == "missing":
        (expw.root / PHOTOS / name).unlink()
    else:
        expw.truncate(f"{PHOTOS}/{name}")
    reason = ".*No such file" if how == "missing" else ".*truncated"
    match = rf"2 of 42 entries .*: {name}, face 0: {reason}.*; {name}, face 1: {reason}"
    with pytest.raises(ValueError, match=match):
        load_sharp(expw)
    data = warned(match, load_sharp, expw)
    assert [re.match(r".*, face \d: ", entry)[0] for entry in data.unusable] == [
        f"{name}, face 0: ",
        f"{name}, face 1: ",
    ]
    np.testing.assert_array_equal(data.images, expw.cuts[7:20] + expw.cuts[22:])


@pytest.mark.parametrize(("label", "reason"), [("6", ""), ("0", ", with another label")])
def test_a_face_that_comes_twice_counts_once(expw, label, reason, warned):
    expw.lines.append([*expw.lines[20][:-1], label])
    write_list(expw)
    name = f"{re.escape(expw.lines[20][0])}, face 0"
    match = rf"1 of 50 entries cannot be used: {name}: listed more than once{reason}\."
    with pytest.raises(ValueError, match=match):
        load_sharp(expw)
    data = warned(match, load_sharp, expw)
    assert len(data.unusable) == 1
    np.testing.assert_array_equal(data.images, expw.cuts[7:])
    np.testing.assert_array_equal(data.target, np.arange(7, N_FACES) % 7)


def test_a_class_that_was_empty_before_is_not_named_again(expw, warned):
    for line in expw.lines:
        line[-1] = line[-1].replace("2", "3")
    write_list(expw)
    (expw.root / PHOTOS / expw.lines[20][0]).unlink()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_sharp(expw, on_error="warn")
    told = [str(entry.message) for entry in caught]
    assert ["classes are empty" in message for message in told] == [True, False]


@pytest.mark.parametrize("face_id", ["0.5", "-1", "1_0"])
def test_a_face_number_that_is_none_is_a_wrong_line(expw, face_id, warned):
    expw.lines[20][1] = face_id
    write_list(expw)
    warned("1 of 49 entries .* line 21: expected a name", load_sharp, expw)


def test_an_image_of_16_bits_is_named(expw, warned):
    path = expw.root / PHOTOS / expw.lines[20][0]
    Image.fromarray(np.full((90, 90), 40_000, np.uint16)).save(path, format="PNG")
    warned("its pixels are of mode I;16, not of 8 bits", load_sharp, expw)


def test_a_class_without_a_face_is_named(expw, warned):
    for line in expw.lines:
        line[-1] = line[-1].replace("2", "3")
    write_list(expw)
    for subset in PARTS:
        with pytest.raises(ValueError, match=r"label\.lst: 1 of 7 classes are empty: fear\."):
            load_sharp(expw, subset=subset)
        warned("1 of 7 classes are empty: fear", load_sharp, expw, subset=subset)


@pytest.mark.parametrize(("bound", "rarest"), [(100, "none"), (84, "1 of .*")])
def test_too_few_faces_to_split_are_refused(expw, bound, rarest):
    match = rf"label\.lst: expected at least 2 faces of .* got {rarest} above min_confidence"
    with pytest.raises(ValueError, match=match):
        load_expw(expw.root, min_confidence=bound)


def test_no_face_at_all_is_an_error(expw):
    with pytest.raises(ValueError, match=r"label\.lst: nothing is left to load"):
        load_sharp(expw, min_confidence=100, on_error="warn")


@pytest.mark.parametrize(
    "options",
    [{"subset": "valid"}, {"min_confidence": "60"}, {"test_size": 0}, {"random_state": "no"}],
)
def test_parameters_out_of_range_are_refused(expw, options):
    with pytest.raises(ValueError, match=f"'{next(iter(options))}' parameter of load_expw"):
        load_expw(expw.root, **options)
