"""RAF-DB is read from the layout of its release, and what is wrong there is named and counted."""

import re
import sys

import numpy as np
import pytest
from PIL import Image

from sklearn_thin.datasets import load_rafdb
from sklearn_thin.datasets._faces import read_image

NAMES = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
LIST = "basic/EmoLabel/list_patition_label.txt"
ALIGNED = "basic/Image/aligned"
# codes of the release, from 1; the test images, as there, come after those for training
TRAIN, TEST = [7, 1, 2, 3, 4, 5, 6, 4], [4, 6, 7, 1, 2, 3, 5]


def image_file(name):
    return f"{ALIGNED}/{name}_aligned.jpg"


@pytest.fixture
def rafdb(folder, noise):
    """The release in small: `folder`, its images by name, and how to change a line."""
    labels = {f"train_{i:05d}": label for i, label in enumerate(TRAIN, 1)}
    labels |= {f"test_{i:04d}": label for i, label in enumerate(TEST, 1)}
    folder.images = {
        name: folder.write_image(image_file(name), noise(seed, 100, 100))
        for seed, name in enumerate(labels)
    }
    folder.write_lines(LIST, [f"{name}.jpg {label}" for name, label in labels.items()])
    return folder


def replace_line(rafdb, index, *lines):
    """Put `lines` in the place of one line of the list."""
    old = rafdb.read_lines(LIST)
    rafdb.write_lines(LIST, old[:index] + list(lines) + old[index + 1 :])


def stems(data):
    """Names in the list of what was read."""
    return [re.search(r"(\w+)_aligned\.jpg$", name)[1] for name in data.filenames]


@pytest.mark.parametrize(
    ("subset", "codes"), [("train", TRAIN), ("test", TEST), ("all", TRAIN + TEST)]
)
def test_images_and_labels_come_in_the_order_of_the_list(rafdb, subset, codes):
    data = load_rafdb(rafdb.root, subset=subset, color=True)
    expected = [name for name in rafdb.images if subset == "all" or name.startswith(subset)]
    assert stems(data) == expected
    assert data.target_names.tolist() == NAMES
    np.testing.assert_array_equal(data.target, np.array(codes) - 1)
    pixels = np.stack([rafdb.images[name] for name in expected]).transpose(0, 3, 1, 2)
    assert data.images.dtype == np.uint8
    np.testing.assert_array_equal(data.images, pixels)


def test_gray_images_are_the_luma_of_the_colours(rafdb):
    images = load_rafdb(rafdb.root).images
    for image, pixels in zip(images, rafdb.images.values(), strict=False):
        luma = pixels @ [0.299, 0.587, 0.114]  # ITU-R 601-2
        np.testing.assert_allclose(image, luma, atol=1)


@pytest.mark.parametrize("color", [False, True])
def test_images_are_resized_to_the_side(rafdb, color):
    halves = np.zeros((100, 100, 3), dtype=np.uint8)
    halves[:, 50:] = 200
    halves[50:, :50] = 100
    rafdb.write_image(image_file("train_00001"), halves)
    image = load_rafdb(rafdb.root, side=10, color=color).images[0]
    assert image.shape == ((3, 10, 10) if color else (10, 10))
    assert (image[..., :, 6:] == 200).all()
    assert (image[..., :4, :4] == 0).all()
    assert (image[..., 6:, :4] == 100).all()


def test_fine_patterns_are_averaged_where_an_image_gets_smaller(rafdb):
    stripes = np.zeros((100, 100), dtype=np.uint8)
    stripes[:, ::2] = 200
    rafdb.write_image(image_file("train_00001"), stripes)
    image = load_rafdb(rafdb.root, side=25).images[0]
    np.testing.assert_allclose(image[:, 1:-1], 100, atol=2)


def test_a_gray_jpeg_is_read_in_gray_and_in_colour(rafdb):
    smooth = np.tile(np.arange(100, 200, dtype=np.uint8), (100, 1))
    Image.fromarray(smooth).save(rafdb.root / image_file("train_00001"), format="JPEG")
    np.testing.assert_allclose(load_rafdb(rafdb.root).images[0], smooth, atol=2)
    color = load_rafdb(rafdb.root, color=True).images[0]
    np.testing.assert_allclose(color, np.stack([smooth] * 3), atol=2)


def test_the_folder_basic_may_be_given_and_as_text(rafdb):
    data = load_rafdb(str(rafdb.root / "basic"))
    np.testing.assert_array_equal(data.images, load_rafdb(rafdb.root).images)


def test_the_folder_may_be_given_relative_to_the_home_folder(rafdb, monkeypatch):
    monkeypatch.setenv("HOME", str(rafdb.root))
    assert len(load_rafdb("~/basic").images) == len(TRAIN)


def test_images_and_labels_alone(rafdb):
    data = load_rafdb(rafdb.root)
    images, target = load_rafdb(rafdb.root, return_X_y=True)
    np.testing.assert_array_equal(images, data.images)
    np.testing.assert_array_equal(target, data.target)


def test_the_description_counts_what_was_read(rafdb):
    descr = load_rafdb(rafdb.root).DESCR
    assert descr.startswith("Real-world Affective Faces Database")
    assert "Read here: 8 images (surprise 1, fear 1, disgust 1, happiness 2, sadness 1," in descr


def test_threads_read_the_same_images_in_the_same_order(rafdb):
    alone, threads = load_rafdb(rafdb.root), load_rafdb(rafdb.root, n_jobs=2)
    np.testing.assert_array_equal(threads.images, alone.images)


def test_a_progress_bar_only_where_it_is_asked_for(rafdb, capsys):
    load_rafdb(rafdb.root)
    assert capsys.readouterr().err == ""
    load_rafdb(rafdb.root, verbose=True)
    assert "8/8" in capsys.readouterr().err


@pytest.mark.parametrize(
    "missing", [".", "basic", LIST, ALIGNED], ids=["folder", "basic", "list", "images"]
)
def test_what_is_missing_is_named_with_where_and_how_to_get_it(rafdb, missing):
    rafdb.remove(missing)
    expected = {
        ".": f"{LIST} in {re.escape(str(rafdb.root))}, which is no folder",
        "basic": f"{LIST} in the folder {re.escape(str(rafdb.root))}",
        LIST: f"{LIST} in the folder {re.escape(str(rafdb.root))}",
        ALIGNED: f"Image/aligned in the folder {re.escape(str(rafdb.root / 'basic'))}",
    }[missing]
    with pytest.raises(FileNotFoundError, match=rf"RAF-DB: .*{expected}\. RAF-DB is given out by"):
        load_rafdb(rafdb.root)


@pytest.mark.parametrize(
    ("content", "match"),
    [(b"", "is empty"), (b" \n\n", "is empty"), (b"\xff\xfe\x00t", "is no text")],
)
def test_a_list_that_is_empty_or_no_text_is_named(rafdb, content, match):
    (rafdb.root / LIST).write_bytes(content)
    with pytest.raises(ValueError, match=rf"list_patition_label\.txt {match}"):
        load_rafdb(rafdb.root)


WRONG_LINES = ["train_00004.jpg 0", "train_00004.jpg 8", "train_00004.jpg", "train_00004.jpg x"]


@pytest.mark.parametrize(
    "line", [*WRONG_LINES, "train_00004.png 3", "images 3", "valid_1.jpg 3", "a train_1.jpg 3"]
)
def test_a_wrong_line_is_named_by_its_number(rafdb, line):
    (rafdb.root / image_file("train_00004")).unlink()
    replace_line(rafdb, 3, line)
    match = rf"label\.txt: 1 of 15 entries cannot be used: line 4: expected .*, got '{line}'\. Rest"
    with pytest.raises(ValueError, match=match):
        load_rafdb(rafdb.root)


@pytest.mark.parametrize("line", WRONG_LINES)
def test_a_wrong_line_is_left_out_alone_where_a_warning_is_enough(rafdb, line, warned):
    whole = load_rafdb(rafdb.root)
    replace_line(rafdb, 7, line.replace("4", "8"))
    data = warned(r"1 of 15 .* line 8: .*They are left out\.$", load_rafdb, rafdb.root)
    np.testing.assert_array_equal(data.images, whole.images[:7])
    np.testing.assert_array_equal(data.target, whole.target[:7])
    (entry,) = data.unusable
    assert entry.startswith("line 8: ")


def test_lines_of_the_other_subset_are_checked_too(rafdb):
    replace_line(rafdb, 14, "test_0007.jpg 9")
    with pytest.raises(ValueError, match=r"line 15: .*got 'test_0007\.jpg 9'"):
        load_rafdb(rafdb.root, subset="train")


def test_empty_lines_and_spaces_do_not_matter(rafdb):
    whole = load_rafdb(rafdb.root, subset="all")
    lines = rafdb.read_lines(LIST)
    rafdb.write_lines(LIST, ["", *(f" {line.replace(' ', '  ')} " for line in lines), ""])
    np.testing.assert_array_equal(load_rafdb(rafdb.root, subset="all").target, whole.target)


@pytest.mark.parametrize(("label", "reason"), [(3, ""), (5, ", with another label")])
def test_a_line_that_comes_twice_counts_once(rafdb, label, reason, warned):
    whole = load_rafdb(rafdb.root)
    rafdb.write_lines(LIST, [*rafdb.read_lines(LIST), f"train_00004.jpg {label}"])
    match = rf"1 of 16 entries cannot be used: train_00004: listed more than once{reason}\."
    with pytest.raises(ValueError, match=match):
        load_rafdb(rafdb.root)
    data = warned(match, load_rafdb, rafdb.root)
    np.testing.assert_array_equal(data.images, whole.images)
    np.testing.assert_array_equal(data.target, whole.target)


def test_a_list_cut_off_shows_in_the_images_without_a_label(rafdb, warned):
    rafdb.write_lines(LIST, rafdb.read_lines(LIST)[:-7])
    match = (
        r"7 of 15 entries cannot be used: test_0001: has an image but no label; test_0002: .*"
        r"; test_0005: has an image but no label; and 2 more\."
    )
    with pytest.raises(ValueError, match=match):
        load_rafdb(rafdb.root)
    assert len(warned(match, load_rafdb, rafdb.root).images) == 8


def break_image(rafdb, name, how):
    path = rafdb.root / image_file(name)
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        rafdb.truncate(image_file(name))
    elif how == "truncated jpeg":
        Image.fromarray(rafdb.images[name]).save(path, format="JPEG")
        rafdb.truncate(image_file(name))
    else:
        path.write_bytes(b"" if how == "empty" else b"<html>not found</html>")


REASONS = {
    "missing": "No such file",
    "truncated": "truncated",
    "truncated jpeg": "truncated",
    "empty": "cannot identify image file",
    "no image": "cannot identify image file",
}


@pytest.mark.parametrize("how", REASONS)
def test_an_image_that_cannot_be_read_is_named_and_counted(rafdb, how):
    break_image(rafdb, "train_00005", how)
    match = rf"label\.txt: 1 of 8 entries cannot be used: train_00005: .*{REASONS[how]}"
    with pytest.raises(ValueError, match=match):
        load_rafdb(rafdb.root)
    assert len(load_rafdb(rafdb.root, subset="test").images) == 7


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_images_that_cannot_be_read_are_left_out_alone_with_a_warning(rafdb, n_jobs):
    kept = [0, 1, 2, 3, 5, 6]
    whole = load_rafdb(rafdb.root)
    break_image(rafdb, "train_00005", "truncated")
    break_image(rafdb, "train_00008", "missing")
    with pytest.warns(UserWarning, match="cannot be used|are empty") as caught:
        data = load_rafdb(rafdb.root, on_error="warn", n_jobs=n_jobs)
    unread, empty = (str(entry.message) for entry in caught)
    assert re.search(r"2 of 8 .*train_00005: .*train_00008: .*They are left out\.$", unread)
    assert empty.endswith("1 of 7 classes are empty: happiness.")
    assert [entry[:12] for entry in data.unusable] == ["train_00005:", "train_00008:"]
    for key in ("images", "target", "filenames"):
        np.testing.assert_array_equal(data[key], whole[key][kept])
    assert "Read here: 6 images" in data.DESCR
    assert "happiness 0" in data.DESCR


def test_a_class_without_an_image_is_named(rafdb, warned):
    for index in (4, 7):  # both of happiness
        replace_line(rafdb, index, f"train_{index + 1:05d}.jpg 1")
    with pytest.raises(ValueError, match=r"label\.txt: 1 of 7 classes are empty: happiness\. Rest"):
        load_rafdb(rafdb.root)
    data = warned("1 of 7 classes are empty: happiness", load_rafdb, rafdb.root)
    assert len(data.images) == 8
    assert data.target_names.tolist() == NAMES


def test_nothing_left_is_an_error_even_where_a_warning_is_enough(rafdb):
    rafdb.write_lines(LIST, rafdb.read_lines(LIST)[8:])
    with (
        pytest.warns(UserWarning, match="8 of 15 entries"),
        pytest.raises(ValueError, match="nothing is left to load"),
    ):
        load_rafdb(rafdb.root, on_error="warn")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"subset": "valid"}, "'subset' parameter of load_rafdb must be a str among"),
        ({"side": 0}, "'side' parameter of load_rafdb must be an int in the range"),
        ({"side": 100.0}, "'side' parameter of load_rafdb must be an int in the range"),
        ({"on_error": "ignore"}, "'on_error' parameter of load_rafdb must be a str among"),
        ({"path": 3}, "'path' parameter of load_rafdb must be an instance of"),
    ],
)
def test_parameters_out_of_range_are_refused(rafdb, options, match):
    with pytest.raises(ValueError, match=match):
        load_rafdb(**{"path": rafdb.root, **options})


def test_pillow_is_asked_for_where_it_is_missing(rafdb, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)  # import fails
    with pytest.raises(ImportError, match=r"pip install 'sklearn-thin\[vision\]'"):
        load_rafdb(rafdb.root)


def test_an_image_without_room_in_memory_is_not_called_unusable(folder, noise):
    folder.write_image("face.png", noise(0, 4, 4))
    with pytest.raises(MemoryError):
        read_image(folder.root / "face.png", None, side=2**30, color=False)
