"""AffectNet is read from the layout of its release; classes taken in turn are equally frequent."""

import re

import numpy as np
import pytest

from sklearn_thin.datasets import alternate_classes, load_affectnet

NAMES = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]
COLUMNS = [
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
]
TRAIN, TEST = (f"Manually_Annotated_file_lists/{part}.csv" for part in ("training", "validation"))
IMAGES = "Manually_Annotated_Images"
EXPRESSIONS = [1, 0, 7, 9, 2, 8, 3, 10, 4, 5, 6, 1]
KEPT = [row for row, code in enumerate(EXPRESSIONS) if code < 7]  # rows of the basic ones


def landmarks(left, top, side):
    """68 points whose smallest box is a square, as the release writes them."""
    points = np.random.RandomState(left).uniform(0, side, size=(68, 2))
    origin = np.array([left, top])
    points[[3, 40]] = [[0, side], [side, 0]]  # two opposite corners
    return ";".join(f"{number:.2f}" for point in points for number in point + origin)


def make_rows(part):
    """Rows, as lists of fields: the face in 30 x 30 pixels, its landmarks in 20 x 20."""
    rows = []
    for row, code in enumerate(EXPRESSIONS):
        name = f"{row % 3}/{part}{row:052x}.{'png' if row == 4 else 'jpg'}"
        if code >= 8:
            rows.append([name, *["NULL"] * 5, str(code), "-2", "-2"])
        else:
            box = [str(number) for number in (10 + row, 5 + row, 30, 30)]
            points = landmarks(16 + row, 9 + row, 20)
            rows.append([name, *box, points, str(code), str(row / 20 - 0.5), str(0.5 - row / 10)])
    return rows


def write_list(folder, name, rows, columns=None):
    """Write a list, behind a line of the columns where they are given."""
    folder.write_lines(name, [",".join(row) for row in ([columns, *rows] if columns else rows)])


@pytest.fixture
def affectnet(folder, noise):
    """The release in small: `folder`, with the rows of both lists and the images by name."""
    folder.rows = {"train": make_rows("a"), "test": make_rows("b")[::-1]}
    write_list(folder, TRAIN, folder.rows["train"], COLUMNS)
    write_list(folder, TEST, folder.rows["test"])  # the release names no columns here
    folder.images = {
        row[0]: folder.write_image(f"{IMAGES}/{row[0]}", noise(seed, 60, 70))
        for seed, row in enumerate(folder.rows["train"] + folder.rows["test"])
        if row[1] != "NULL"
    }
    return folder


def change(affectnet, row, **fields):
    """Write the training list anew with other fields in one row; line `row` + 2 of the file."""
    for column, value in fields.items():
        affectnet.rows["train"][row][COLUMNS.index(column)] = value
    write_list(affectnet, TRAIN, affectnet.rows["train"], COLUMNS)


def cut(pixels, left, top, side):
    return pixels[top : top + side, left : left + side].transpose(2, 0, 1)


@pytest.mark.parametrize("subset", ["train", "test"])
def test_faces_are_cut_out_by_their_landmarks_in_the_order_of_the_list(affectnet, subset):
    data = load_affectnet(affectnet.root, subset=subset, side=20, color=True)
    rows = KEPT if subset == "train" else KEPT[::-1]
    assert data.target_names.tolist() == NAMES[:7]
    np.testing.assert_array_equal(data.target, np.take(EXPRESSIONS, rows))
    part = "a" if subset == "train" else "b"
    for row, image, file in zip(rows, data.images, data.filenames, strict=True):
        name = next(name for name in affectnet.images if f"/{part}{row:052x}" in name)
        assert file == str(affectnet.root / IMAGES / name)
        np.testing.assert_array_equal(image, cut(affectnet.images[name], 16 + row, 9 + row, 20))


@pytest.mark.parametrize(
    ("crop", "side", "left", "top"), [("box", 30, 10, 5), ("landmarks", 20, 16, 9)]
)
def test_the_crop_is_the_box_or_the_landmarks(affectnet, crop, side, left, top):
    images = load_affectnet(affectnet.root, crop=crop, side=side, color=True).images
    pixels = affectnet.images[affectnet.rows["train"][0][0]]
    np.testing.assert_array_equal(images[0], cut(pixels, left, top, side))


def test_without_a_crop_the_whole_image_is_resized(affectnet):
    pixels = np.zeros((60, 70, 3), dtype=np.uint8)
    pixels[30:, 35:] = 250
    affectnet.write_image(f"{IMAGES}/{affectnet.rows['train'][0][0]}", pixels)
    image = load_affectnet(affectnet.root, crop=None, side=8).images[0]
    assert image.shape == (8, 8)
    assert (image[5:, 5:] == 250).all()
    assert image[:3].sum() + image[:, :3].sum() == 0


def test_a_margin_is_a_share_of_the_shorter_side(affectnet):
    change(affectnet, 0, face_x="20", face_y="15", face_width="20", face_height="30")
    pixels = np.zeros((60, 70, 3), dtype=np.uint8)
    pixels[10:50, 15:45] = 90  # the box, 5 pixels wider on each side
    affectnet.write_image(f"{IMAGES}/{affectnet.rows['train'][0][0]}", pixels)
    images = load_affectnet(affectnet.root, crop="box", margin=0.25, side=40).images
    assert (images[0] == 90).all()
    wider = load_affectnet(affectnet.root, crop="box", margin=0.3, side=40).images
    assert wider[0][0].max() < 90
    assert wider[0][:, 0].max() < 90


def test_what_a_box_has_outside_the_image_is_black(affectnet):
    change(affectnet, 0, face_x="-10", face_y="40", face_width="30", face_height="30")
    image = load_affectnet(affectnet.root, crop="box", side=30, color=True).images[0]
    expected = np.zeros((3, 30, 30), dtype=np.uint8)
    pixels = affectnet.images[affectnet.rows["train"][0][0]]
    expected[:, :20, 10:] = pixels[40:, :20].transpose(2, 0, 1)
    np.testing.assert_array_equal(image, expected)


def test_contempt_is_an_eighth_class_and_what_is_no_expression_is_counted(affectnet):
    others = {"none": 1, "uncertain": 1, "no face": 1}
    data = load_affectnet(affectnet.root)
    assert data.left_out == {"contempt": 1, **others}
    data = load_affectnet(affectnet.root, contempt=True)
    assert data.left_out == others
    assert data.target_names.tolist() == NAMES
    np.testing.assert_array_equal(data.target, [code for code in EXPRESSIONS if code < 8])


def test_valence_and_arousal_go_with_the_faces(affectnet):
    data = load_affectnet(affectnet.root)
    np.testing.assert_allclose(data.valence, np.array(KEPT) / 20 - 0.5)
    np.testing.assert_allclose(data.arousal, 0.5 - np.array(KEPT) / 10)


def test_images_and_labels_alone(affectnet):
    images, target = load_affectnet(affectnet.root, return_X_y=True)
    data = load_affectnet(affectnet.root)
    assert images.shape == (len(KEPT), 64, 64)
    np.testing.assert_array_equal(images, data.images)
    np.testing.assert_array_equal(target, data.target)
    assert "Read here: 8 images (neutral 1, happiness 2," in data.DESCR


def test_lists_beside_the_images_and_images_one_folder_down_are_found(affectnet):
    whole = load_affectnet(affectnet.root).images
    (affectnet.root / TRAIN).rename(affectnet.root / "training.csv")
    (affectnet.root / "Manually_Annotated").mkdir()
    (affectnet.root / IMAGES).rename(affectnet.root / "Manually_Annotated" / IMAGES)
    np.testing.assert_array_equal(load_affectnet(affectnet.root).images, whole)


@pytest.mark.parametrize("more", [[], ["comment"]])
def test_columns_are_found_by_their_names(affectnet, more):
    whole = load_affectnet(affectnet.root)
    rows = [[*row[::-1], *more] for row in affectnet.rows["train"]]
    write_list(affectnet, TRAIN, rows, [*COLUMNS[::-1], *more])
    data = load_affectnet(affectnet.root)
    np.testing.assert_array_equal(data.images, whole.images)
    np.testing.assert_array_equal(data.valence, whole.valence)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (".", "training.csv or training.csv in {root}, which is no folder"),
        (TRAIN, "training.csv or training.csv in the folder {root}"),
        (IMAGES, f"{IMAGES} or Manually_Annotated/{IMAGES} in the folder {{root}}"),
    ],
)
def test_what_is_missing_is_named_with_where_and_how_to_get_it(affectnet, missing, expected):
    affectnet.remove(missing)
    expected = expected.format(root=re.escape(str(affectnet.root)))
    with pytest.raises(FileNotFoundError, match=rf"AffectNet: .*{expected}\. AffectNet is given"):
        load_affectnet(affectnet.root)


def test_a_list_without_a_column_is_named(affectnet):
    rows = [row[:5] + row[6:] for row in affectnet.rows["train"]]
    write_list(affectnet, TRAIN, rows, COLUMNS[:5] + COLUMNS[6:])
    with pytest.raises(ValueError, match=r"training\.csv is no list .*missing facial_landmarks"):
        load_affectnet(affectnet.root)


@pytest.mark.parametrize("columns", [["path", *COLUMNS[1:]], ["path", *COLUMNS[:0:-1]]])
def test_a_line_of_columns_is_known_by_any_of_them(affectnet, columns):
    """Taken for a face, the others would be read in an order that is not theirs."""
    write_list(affectnet, TRAIN, affectnet.rows["train"], columns)
    with pytest.raises(ValueError, match=r"is no list .*missing subDirectory_filePath$"):
        load_affectnet(affectnet.root, on_error="warn")


def test_a_column_that_comes_twice_is_named(affectnet):
    rows = [[*row, "0"] for row in affectnet.rows["train"]]
    write_list(affectnet, TRAIN, rows, [*COLUMNS, "expression"])
    with pytest.raises(ValueError, match=r"is no list .* each once, repeated expression$"):
        load_affectnet(affectnet.root, on_error="warn")


def test_empty_lines_do_not_matter(affectnet):
    whole = load_affectnet(affectnet.root).images
    lines = affectnet.read_lines(TRAIN)
    affectnet.write_lines(TRAIN, ["", "", *lines[:3], "", *lines[3:], ""])
    np.testing.assert_array_equal(load_affectnet(affectnet.root).images, whole)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xff\xfe\x00t", "is no table"),
        (b"<html>", "list"),
    ],
)
def test_a_list_that_is_empty_or_no_table_is_named(affectnet, content, match):
    (affectnet.root / TRAIN).write_bytes(content)
    with pytest.raises(ValueError, match=rf"training\.csv .*{match}"):
        load_affectnet(affectnet.root)


WRONG = {
    "a code above 10": ({"expression": "11"}, "expected an expression of 0 to 10, got '11'"),
    "a negative code": ({"expression": "-1"}, "expected an expression of 0 to 10, got '-1'"),
    "no code": ({"expression": ""}, "expected an expression of 0 to 10, got ''"),
    "no valence": ({"valence": "NULL"}, "expected a number as valence, got 'NULL'"),
    "an arousal of nan": ({"arousal": "nan"}, "expected a number as arousal, got 'nan'"),
    "a valence of none": ({"valence": "-2"}, "expected a number of -1 to 1 as valence, got '-2'"),
    "an arousal above 1": (
        {"arousal": "1.5"},
        "expected a number of -1 to 1 as arousal, got '1.5'",
    ),
    "no path": (
        {COLUMNS[0]: " "},
        "expected the path of an image as subDirectory_filePath, got ' '",
    ),
    "an open quote": ({"face_x": '"7'}, "expected 9 fields, got 2 that begin with '2/a0"),
    "no landmarks": ({"facial_landmarks": "NULL"}, "expected 136 coordinates .*got 'NULL'"),
    "67 landmarks": ({"facial_landmarks": "1;2;" * 66 + "1;2"}, "expected 136 coordinates"),
    "too many fields": ({"arousal": "0.1,0.2"}, "expected 9 fields, got 10 that begin with"),
    "one point": (
        {"facial_landmarks": ";".join(["5"] * 136)},
        "the box .*5, 5, 5.* is empty",
    ),
    "points outside": (
        {"facial_landmarks": ";".join(["90", "10", "95", "20"] * 34)},
        r"the box \(90, 10, 95, 20\) is outside the image of \(70, 60\)",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_row_that_cannot_be_used_is_named_and_left_out_alone(affectnet, wrong, warned):
    whole = load_affectnet(affectnet.root)
    fields, reason = WRONG[wrong]
    change(affectnet, 11, **fields)
    match = rf"training\.csv: 1 of (12|8) entries cannot be used: .*: {reason}"
    with pytest.raises(ValueError, match=match):
        load_affectnet(affectnet.root)
    data = warned(match, load_affectnet, affectnet.root)
    for key in ("images", "target", "valence", "arousal", "filenames"):
        np.testing.assert_array_equal(data[key], whole[key][:-1])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"face_x": "NULL"}, "expected a number as face_x, got 'NULL'"),
        ({"face_width": "0"}, r"box \(21, 16, 21, 46\) of the face is empty"),
        ({"face_y": "60"}, r"box \(21, 60, 51, 90\) is outside the image"),
        ({"face_x": "-30"}, r"box \(-30, 16, 0, 46\) is outside the image"),
    ],
)
def test_a_wrong_box_matters_where_faces_are_cut_by_it(affectnet, fields, reason, warned):
    change(affectnet, 11, **fields)
    assert len(load_affectnet(affectnet.root).images) == len(KEPT)
    data = warned(rf"1 of (12|8) .*{reason}", load_affectnet, affectnet.root, crop="box")
    assert len(data.images) == len(KEPT) - 1


def test_a_wrong_row_is_named_by_its_line_and_image(affectnet):
    change(affectnet, 2, expression="12")
    name = affectnet.rows["train"][2][0]
    with pytest.raises(ValueError, match=rf"cannot be used: line 4 \({name}\): expected an"):
        load_affectnet(affectnet.root)
    affectnet.rows["test"][2][6] = "12"
    write_list(affectnet, TEST, affectnet.rows["test"])
    with pytest.raises(ValueError, match=r"cannot be used: line 3 \("):
        load_affectnet(affectnet.root, subset="test")


def test_a_list_cut_off_within_a_row_is_named(affectnet):
    text = (affectnet.root / TRAIN).read_text()
    (affectnet.root / TRAIN).write_text(text[:-200])
    with pytest.raises(ValueError, match=r"1 of 12 .*line 13 \(cut off or too long\): expected 9"):
        load_affectnet(affectnet.root)


def test_an_image_that_is_listed_twice_counts_once(affectnet, warned):
    whole = load_affectnet(affectnet.root)
    first = affectnet.rows["train"][0]
    other = [*first[:6], "2", *first[7:]]
    write_list(affectnet, TRAIN, [*affectnet.rows["train"], first, other], COLUMNS)
    name = re.escape(first[0])
    match = (
        rf"2 of 14 entries cannot be used: {name}: listed more than once; "
        rf"{name}: listed more than once, with another label\."
    )
    with pytest.raises(ValueError, match=match):
        load_affectnet(affectnet.root)
    data = warned(match, load_affectnet, affectnet.root)
    np.testing.assert_array_equal(data.images, whole.images)
    np.testing.assert_array_equal(data.target, whole.target)


@pytest.mark.parametrize("first", ["a face", "no face"])
def test_an_image_that_is_a_face_here_and_none_there_is_named(affectnet, first, warned):
    """What is labelled none, uncertain or no face is left out, but contradicts all the same."""
    face, rows = affectnet.rows["train"][11], affectnet.rows["train"]
    other = [face[0], *["NULL"] * 5, "10", "-2", "-2"]
    rows = [*rows, other] if first == "a face" else [other, *rows]
    write_list(affectnet, TRAIN, rows, COLUMNS)
    match = rf"1 of 13 entries .*: {face[0]}: listed more than once, with another label\."
    with pytest.raises(ValueError, match=match):
        load_affectnet(affectnet.root)
    data = warned(match, load_affectnet, affectnet.root)
    assert (str(affectnet.root / IMAGES / face[0]) in data.filenames) == (first == "a face")


@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_an_image_that_cannot_be_read_is_named_and_left_out_alone(affectnet, how, warned):
    whole = load_affectnet(affectnet.root)
    name = affectnet.rows["train"][11][0]
    if how == "missing":
        (affectnet.root / IMAGES / name).unlink()
    else:
        affectnet.truncate(f"{IMAGES}/{name}")
    match = rf"training\.csv: 1 of 8 entries cannot be used: {name}: .*(No such file|truncated)"
    with pytest.raises(ValueError, match=match):
        load_affectnet(affectnet.root)
    data = warned(match, load_affectnet, affectnet.root)
    for key in ("images", "target", "valence", "arousal", "filenames"):
        np.testing.assert_array_equal(data[key], whole[key][:-1])


def test_whatever_is_left_out_is_named_in_full(affectnet):
    """A message names five; who restores the files needs all, and those of the list too."""
    change(affectnet, 0, expression="x")
    names = [affectnet.rows["train"][row][0] for row in KEPT[1:]]
    for name in names[:-1]:
        affectnet.remove(f"{IMAGES}/{name}")
    affectnet.truncate(f"{IMAGES}/{names[-1]}")
    change(affectnet, 2, expression="1")  # contempt, whose image stays
    with pytest.warns(UserWarning, match="entries cannot be used|are empty") as caught:
        data = load_affectnet(affectnet.root, on_error="warn")
    assert "and 2 more. They are left out; `unusable` of the Bunch" in str(caught[1].message)
    assert len(data.unusable) == 8
    for name, entry in zip([affectnet.rows["train"][0][0], *names], data.unusable, strict=True):
        assert name in entry
    assert all("No such file" in entry for entry in data.unusable[1:-1])
    assert data.filenames.tolist() == [str(affectnet.root / IMAGES / affectnet.rows["train"][2][0])]


def test_nothing_is_unusable_in_a_whole_folder(affectnet):
    assert load_affectnet(affectnet.root).unusable == []


def test_a_class_without_a_face_is_named(affectnet, warned):
    change(affectnet, 9, expression="6")
    with pytest.raises(ValueError, match=r"1 of 7 classes are empty: disgust\."):
        load_affectnet(affectnet.root)
    data = warned("1 of 7 classes are empty: disgust", load_affectnet, affectnet.root)
    assert len(data.images) == len(KEPT)


@pytest.mark.parametrize(
    "options", [{"crop": "eyes"}, {"margin": -0.1}, {"contempt": "no"}, {"subset": "all"}]
)
def test_parameters_out_of_range_are_refused(affectnet, options):
    with pytest.raises(ValueError, match=f"'{next(iter(options))}' parameter of load_affectnet"):
        load_affectnet(affectnet.root, **options)


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


def test_the_same_random_state_draws_the_same_rows_and_another_does_not():
    first, again, other = (alternate_classes(LABELS, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()
    state = np.random.RandomState(0)
    draws = [alternate_classes(LABELS, random_state=state).tolist() for _ in range(2)]
    assert draws[0] == first.tolist() != draws[1]


def test_a_random_state_leaves_numpys_global_generator_alone():
    before = np.random.mtrand._rand.get_state()[1].copy()
    alternate_classes(LABELS, random_state=0)
    np.testing.assert_array_equal(np.random.mtrand._rand.get_state()[1], before)


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
