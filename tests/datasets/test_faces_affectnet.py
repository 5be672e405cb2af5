"""AffectNet is read from the layout of its release, with or without names of the columns."""

import numpy as np
import pytest

NAMES = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]
IMAGES = "Manually_Annotated_Images"
EXPRESSIONS = [1, 0, 7, 9, 2, 8, 3, 10, 4, 5, 6, 1]
KEPT = [row for row, code in enumerate(EXPRESSIONS) if code < 7]  # rows of the basic ones


def name(affectnet, row=0):
    """The image in a row of the training list."""
    return affectnet.lines[row].split(",")[0]


def write(affectnet, columns, rows):
    """Write the training list with a line of columns, and rows as lists of fields."""
    affectnet.write_lines(affectnet.list, [",".join(row) for row in [columns, *rows]])


def cut(pixels, left, top, side):
    return pixels[top : top + side, left : left + side].transpose(2, 0, 1)


@pytest.mark.parametrize("subset", ["train", "test"])
def test_faces_are_cut_out_by_their_landmarks_in_the_order_of_the_list(affectnet, subset):
    data = affectnet.load(subset=subset, side=20, color=True)
    rows = KEPT if subset == "train" else KEPT[::-1]
    assert data.target_names.tolist() == NAMES[:7]
    np.testing.assert_array_equal(data.target, np.take(EXPRESSIONS, rows))
    part = "a" if subset == "train" else "b"
    for row, image, file in zip(rows, data.images, data.filenames, strict=True):
        source = next(name for name in affectnet.images if f"/{part}{row:052x}" in name)
        assert file == str(affectnet.root / IMAGES / source)
        np.testing.assert_array_equal(image, cut(affectnet.images[source], 16 + row, 9 + row, 20))


@pytest.mark.parametrize(
    ("crop", "side", "left", "top"), [("box", 30, 10, 5), ("landmarks", 20, 16, 9)]
)
def test_the_crop_is_the_box_or_the_landmarks(affectnet, crop, side, left, top):
    images = affectnet.load(crop=crop, side=side, color=True).images
    pixels = affectnet.images[name(affectnet)]
    np.testing.assert_array_equal(images[0], cut(pixels, left, top, side))


def test_without_a_crop_the_whole_image_is_resized(affectnet):
    pixels = np.zeros((60, 70, 3), dtype=np.uint8)
    pixels[30:, 35:] = 250
    affectnet.write_image(f"{IMAGES}/{name(affectnet)}", pixels)
    image = affectnet.load(crop=None, side=8).images[0]
    assert image.shape == (8, 8)
    assert (image[5:, 5:] == 250).all()
    assert image[:3].sum() + image[:, :3].sum() == 0


def test_a_margin_is_a_share_of_the_shorter_side(affectnet):
    affectnet.change(0, face_x="20", face_y="15", face_width="20", face_height="30")
    pixels = np.zeros((60, 70, 3), dtype=np.uint8)
    pixels[10:50, 15:45] = 90  # the box, 5 pixels wider on each side
    affectnet.write_image(f"{IMAGES}/{name(affectnet)}", pixels)
    images = affectnet.load(crop="box", margin=0.25, side=40).images
    assert (images[0] == 90).all()
    wider = affectnet.load(crop="box", margin=0.3, side=40).images
    assert wider[0][0].max() < 90
    assert wider[0][:, 0].max() < 90


def test_what_a_box_has_outside_the_image_is_black(affectnet):
    affectnet.change(0, face_x="-10", face_y="40", face_width="30", face_height="30")
    image = affectnet.load(crop="box", side=30, color=True).images[0]
    expected = np.zeros((3, 30, 30), dtype=np.uint8)
    pixels = affectnet.images[name(affectnet)]
    expected[:, :20, 10:] = pixels[40:, :20].transpose(2, 0, 1)
    np.testing.assert_array_equal(image, expected)


def test_contempt_is_an_eighth_class_and_rows_without_an_expression_are_counted(affectnet):
    others = {"none": 1, "uncertain": 1, "no face": 1}
    data = affectnet.load()
    assert data.left_out == {"contempt": 1, **others}
    data = affectnet.load(contempt=True)
    assert data.left_out == others
    assert data.target_names.tolist() == NAMES
    np.testing.assert_array_equal(data.target, [code for code in EXPRESSIONS if code < 8])


def test_valence_and_arousal_go_with_the_faces(affectnet):
    data = affectnet.load()
    np.testing.assert_allclose(data.valence, np.array(KEPT) / 20 - 0.5)
    np.testing.assert_allclose(data.arousal, 0.5 - np.array(KEPT) / 10)


def test_images_are_gray_and_of_64_pixels_by_default(affectnet):
    data = affectnet.load()
    assert data.images.shape == (len(KEPT), 64, 64)
    assert "Read here: 8 images (neutral 1, happiness 2," in data.DESCR


def test_lists_beside_the_images_and_images_one_folder_down_are_found(affectnet):
    whole = affectnet.load().images
    (affectnet.root / affectnet.list).rename(affectnet.root / "training.csv")
    (affectnet.root / "Manually_Annotated").mkdir()
    (affectnet.root / IMAGES).rename(affectnet.root / "Manually_Annotated" / IMAGES)
    np.testing.assert_array_equal(affectnet.load().images, whole)


@pytest.mark.parametrize("more", [[], ["comment"]])
def test_columns_are_found_by_their_names(affectnet, more):
    whole = affectnet.load()
    rows = [[*line.split(",")[::-1], *more] for line in affectnet.lines]
    write(affectnet, [*affectnet.columns[::-1], *more], rows)
    data = affectnet.load()
    np.testing.assert_array_equal(data.images, whole.images)
    np.testing.assert_array_equal(data.valence, whole.valence)


def test_a_list_without_a_column_is_named(affectnet):
    columns, *rows = [row.split(",") for row in affectnet.header + affectnet.lines]
    write(affectnet, columns[:5] + columns[6:], [row[:5] + row[6:] for row in rows])
    with pytest.raises(ValueError, match=r"training\.csv is no list .*missing facial_landmarks"):
        affectnet.load()


@pytest.mark.parametrize("step", [1, -1])
def test_a_line_of_columns_is_known_by_any_of_them(affectnet, step):
    """Taken for a face, the line would leave the others in an order that is not theirs."""
    affectnet.header = [",".join(["path", *affectnet.columns[1:][::step]])]
    affectnet.write_list()
    with pytest.raises(ValueError, match=r"is no list .*missing subDirectory_filePath$"):
        affectnet.load(on_error="warn")


def test_a_column_that_comes_twice_is_named(affectnet):
    rows = [[*line.split(","), "0"] for line in affectnet.lines]
    write(affectnet, [*affectnet.columns, "expression"], rows)
    with pytest.raises(ValueError, match=r"is no list .* each once, repeated expression$"):
        affectnet.load(on_error="warn")


def test_empty_lines_do_not_matter(affectnet):
    whole = affectnet.load().images
    header, first, *lines = affectnet.header + affectnet.lines
    affectnet.write_lines(affectnet.list, ["", " ", header, first, "", *lines, ""])
    np.testing.assert_array_equal(affectnet.load().images, whole)


def test_a_list_of_other_columns_is_named(affectnet):
    affectnet.write_lines(affectnet.list, ["<html>"])
    with pytest.raises(ValueError, match=r"training\.csv is no list"):
        affectnet.load()


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
    affectnet.change(11, **fields)
    assert len(affectnet.load().images) == len(KEPT)
    data = warned(rf"1 of (12|8) .*{reason}", affectnet.load, crop="box")
    assert len(data.images) == len(KEPT) - 1


def test_a_wrong_row_is_named_by_its_line_and_image(affectnet):
    affectnet.change(2, expression="12")
    place = rf"line 4 \({name(affectnet, 2)}\)"
    with pytest.raises(ValueError, match=rf"cannot be used: {place}: expected an"):
        affectnet.load()
    affectnet.header = []
    affectnet.write_list()
    with pytest.raises(ValueError, match=r"cannot be used: line 3 \("):
        affectnet.load()


def test_a_list_cut_off_within_a_row_is_named(affectnet):
    affectnet.lines[-1] = affectnet.lines[-1][:-200]
    affectnet.write_list()
    with pytest.raises(ValueError, match=r"1 of 12 .*line 13 \(cut off or too long\): expected 9"):
        affectnet.load()


@pytest.mark.parametrize("first", ["a face", "no face"])
def test_an_image_that_is_a_face_here_and_none_there_is_named(affectnet, first, warned):
    """A row labelled none, uncertain or no face is left out, but contradicts all the same."""
    face = affectnet.name
    affectnet.lines.insert(12 if first == "a face" else 0, f"{face},{'NULL,' * 5}10,-2,-2")
    affectnet.write_list()
    match = rf"1 of 13 entries .*: {face}: listed more than once, with another label\."
    with pytest.raises(ValueError, match=match):
        affectnet.load()
    data = warned(match, affectnet.load)
    assert (str(affectnet.root / affectnet.file) in data.filenames) == (first == "a face")


def test_whatever_is_left_out_is_named_in_full(affectnet):
    """A message names five entries; a user who restores the files needs all of them."""
    affectnet.change(0, expression="x")
    names = [name(affectnet, row) for row in KEPT[1:]]
    for lost in names[:-1]:
        affectnet.remove(f"{IMAGES}/{lost}")
    affectnet.truncate(f"{IMAGES}/{names[-1]}")
    affectnet.change(2, expression="1")  # contempt, whose image stays
    with pytest.warns(UserWarning, match="entries cannot be used|are empty") as caught:
        data = affectnet.load(on_error="warn")
    assert "and 2 more. They are left out; `unusable` of the Bunch" in str(caught[1].message)
    assert len(data.unusable) == 8
    for lost, entry in zip([name(affectnet), *names], data.unusable, strict=True):
        assert lost in entry
    assert all("No such file" in entry for entry in data.unusable[1:-1])
    assert data.filenames.tolist() == [str(affectnet.root / IMAGES / name(affectnet, 2))]
