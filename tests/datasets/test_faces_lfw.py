"""LFW's pairs are read from the layout of its release, also that of scikit-learn's cache."""

import numpy as np
import pytest

from sklearn_thin.datasets import load_lfw_pairs

# the pairs of the fixture `lfw`, in its images
ROWS = [[1, 2], [3, 4], [0, 8], [4, 8], [5, 6], [6, 7], [9, 5], [10, 11]]


def test_every_image_is_read_once_and_pairs_point_to_them(lfw):
    data = lfw.load()
    np.testing.assert_array_equal(data.images, lfw.images)
    np.testing.assert_array_equal(data.pairs, ROWS)
    assert data.filenames.tolist() == [str(lfw.root / file) for file in lfw.files]
    assert data.DESCR.endswith("Read here: 8 pairs of 12 images.\n")


def test_targets_folds_and_subjects(lfw):
    data = lfw.load()
    assert data.target.tolist() == [1, 1, 0, 0] * 2
    assert data.target_names.tolist() == ["different persons", "same person"]
    assert data.fold.tolist() == [0] * 4 + [1] * 4
    names = [name for name, _ in lfw.faces]
    assert data.subject_names[data.subject].tolist() == names
    same = data.subject[data.pairs[:, 0]] == data.subject[data.pairs[:, 1]]
    np.testing.assert_array_equal(same, data.target)


def test_pairs_of_images_and_targets_alone(lfw):
    pairs, target = lfw.load(return_X_y=True)
    np.testing.assert_array_equal(pairs, lfw.images[ROWS])
    assert target.tolist() == [1, 1, 0, 0] * 2


def test_images_are_gray_and_of_64_pixels_by_default(lfw):
    data = load_lfw_pairs(lfw.root)
    assert data.images.shape == (12, 64, 64)
    assert data.images.dtype == np.uint8


def test_a_box_is_cut_out_of_every_image(lfw):
    images = lfw.load(box=(10, 5, 40, 35), side=30).images
    np.testing.assert_array_equal(images, lfw.images[:, :, 5:35, 10:40])


@pytest.mark.parametrize(
    ("image_set", "name"),
    [
        ("original", "lfw"),
        ("funneled", "lfw-funneled"),
        ("deepfunneled", "lfw-deepfunneled"),
        ("deepfunneled", "lfw_deepfunneled"),
    ],
)
def test_the_set_of_images_is_found_by_the_names_of_its_folder(lfw, image_set, name):
    (lfw.root / "lfw_funneled").rename(lfw.root / name)
    data = lfw.load(image_set=image_set)
    np.testing.assert_array_equal(data.images, lfw.images)
    assert f"/{name}/" in data.filenames[0]


def test_pairs_for_development_are_a_single_fold(lfw):
    lfw.write_lines("pairsDevTest.txt", ["2", *lfw.lines[:4]])
    data = lfw.load(pairs_file="pairsDevTest.txt")
    assert data.target.tolist() == [1, 1, 0, 0]
    assert data.fold.tolist() == [0] * 4
    np.testing.assert_array_equal(data.images[data.pairs], lfw.images[ROWS[:4]])


@pytest.mark.parametrize("kept", [0, 1, 6, 7])
def test_a_file_cut_off_is_named_with_what_it_promises(lfw, kept):
    lfw.write_lines("pairs.txt", ["2\t2", *lfw.lines[:kept]])
    match = rf"pairs\.txt promises 2 folds of 2 \+ 2 pairs .*, 8 in all, and holds {kept}: it is"
    for on_error in ("raise", "warn"):
        with pytest.raises(ValueError, match=match):
            lfw.load(on_error=on_error)


def test_a_file_with_more_pairs_than_it_promises_is_named(lfw):
    lfw.write_lines("pairs.txt", ["2\t2", *lfw.lines, lfw.lines[0]])
    with pytest.raises(ValueError, match=r"promises .* 8 in all, and holds 9"):
        lfw.load()


@pytest.mark.parametrize("first", ["Abel_Pacheco\t1\t4", "2\ttwo", "-2 2", "1 2 2", "2.0"])
def test_a_file_that_does_not_begin_with_its_numbers_is_named(lfw, first):
    lfw.write_lines("pairs.txt", [first, *lfw.lines])
    with pytest.raises(ValueError, match=r"pairs\.txt is no list of LFW's pairs: its first line"):
        lfw.load()


WRONG_LINES = {
    "a pair of two among those of one": (
        4,
        "Eve_Arden\t1\tBob_Hope\t5",
        "expected 'name number number'",
    ),
    "a pair of one among those of two": (7, "Bob_Hope\t5\t7", "expected 'name number name number'"),
    "a number too few": (4, "Bob_Hope\t5", "expected 'name number number'"),
    "no number": (4, "Bob_Hope\t5\tseven", "expected 'name number number'"),
    "a negative number": (7, "Eve_Arden\t-2\tYoko_Ono\t3", "expected 'name number name number'"),
    "an image with itself": (4, "Bob_Hope\t5\t5", "expected two images"),
    "a person with himself": (7, "Eve_Arden\t1\tEve_Arden\t2", "expected two persons"),
    "a pair again": (5, "Bob_Hope\t5\t7", "'Bob_Hope\t5\t7' is listed more than once"),
    "a pair turned round": (5, "Bob_Hope\t7\t5", "'Bob_Hope\t7\t5' is listed more than once"),
}


@pytest.mark.parametrize("wrong", WRONG_LINES)
def test_a_wrong_line_is_named_and_left_out_alone(lfw, wrong, warned):
    index, line, reason = WRONG_LINES[wrong]
    lfw.write_lines("pairs.txt", ["2\t2", *lfw.lines[:index], line, *lfw.lines[index + 1 :]])
    reason = reason.replace("\t", r"(\\t|\t)")
    match = rf"pairs\.txt: 1 of 8 entries cannot be used: line {index + 2}: {reason}"
    with pytest.raises(ValueError, match=match):
        lfw.load()
    data = warned(match, lfw.load)
    assert len(data.unusable) == 1
    kept = [row for row in range(8) if row != index]
    np.testing.assert_array_equal(data.images[data.pairs], lfw.images[np.take(ROWS, kept, axis=0)])
    assert data.target.tolist() == [[1, 1, 0, 0][row % 4] for row in kept]
    assert data.fold.tolist() == [row // 4 for row in kept]


@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_pairs_go_where_one_of_their_images_cannot_be_read(lfw, how, warned):
    file = lfw.files[5]  # of the pairs 4 and 6, and no other
    if how == "missing":
        (lfw.root / file).unlink()
    else:
        lfw.truncate(file)
    match = rf"lfw_funneled: 1 of 12 entries .*: Bob_Hope_0005\.jpg: .*(No such|{how})"
    with pytest.raises(ValueError, match=match):
        lfw.load()
    data = warned(match + r".*They are left out, and with them 2 pairs\.$", lfw.load)
    (entry,) = data.unusable
    assert entry.startswith("Bob_Hope_0005.jpg: ")
    kept = [0, 1, 2, 3, 5, 7]
    np.testing.assert_array_equal(data.images, np.delete(lfw.images, 5, axis=0))
    np.testing.assert_array_equal(data.images[data.pairs], lfw.images[np.take(ROWS, kept, axis=0)])
    assert data.target.tolist() == [1, 1, 0, 0, 1, 0]
    assert data.fold.tolist() == [0, 0, 0, 0, 1, 1]
    names = [name for index, (name, _) in enumerate(lfw.faces) if index != 5]
    assert data.subject_names[data.subject].tolist() == names
    assert "Read here: 6 pairs of 11 images." in data.DESCR


def test_a_kind_of_pair_that_is_empty_is_named(lfw):
    for row in range(1, 8):  # the images of pairs of one person
        lfw.remove(lfw.files[row])
    with pytest.warns(UserWarning, match="entries cannot be used|are empty") as caught:
        data = lfw.load(on_error="warn")
    assert str(caught[-1].message).endswith("1 of 2 classes are empty: same person.")
    assert data.target.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"box": (1, 2, 3)}, r"box must hold left, top, right and bottom .*, got \(1, 2, 3\)"),
        ({"box": (1, 2, 3, "4")}, r"box must hold .*, ints with .*, got \(1, 2, 3, '4'\)"),
        ({"box": (5, 0, 5, 9)}, r"box must hold .* left < right .*, got \(5, 0, 5, 9\)"),
        ({"box": (0, 9, 5, 3)}, r"box must hold .* top < bottom, got \(0, 9, 5, 3\)"),
        ({"box": (60, 0, 70, 10)}, r"12 of 12 entries .*\(60, 0, 70, 10\) is outside the image"),
    ],
)
def test_boxes_that_are_none_are_refused(lfw, options, match):
    with pytest.raises(ValueError, match=match):
        lfw.load(**options)
