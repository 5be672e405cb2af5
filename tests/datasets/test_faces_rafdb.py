"""RAF-DB is read from the layout of its release; its images are converted and resized."""

import re
import sys

import numpy as np
import pytest
from PIL import Image

from sklearn_thin.datasets import load_rafdb
from sklearn_thin.datasets._faces import read_image

NAMES = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
# codes of the release, from 1; the test images, as there, come after those for training
TRAIN, TEST = [7, 1, 2, 3, 4, 5, 6, 4], [4, 6, 7, 1, 2, 3, 5]
FIRST = "basic/Image/aligned/train_00001_aligned.jpg"


@pytest.mark.parametrize(
    ("subset", "codes"), [("train", TRAIN), ("test", TEST), ("all", TRAIN + TEST)]
)
def test_images_and_labels_come_in_the_order_of_the_list(rafdb, subset, codes):
    data = rafdb.load(subset=subset, color=True)
    expected = [name for name in rafdb.images if subset == "all" or name.startswith(subset)]
    found = [re.search(r"(\w+)_aligned\.jpg$", name)[1] for name in data.filenames]
    assert found == expected
    assert data.target_names.tolist() == NAMES
    np.testing.assert_array_equal(data.target, np.array(codes) - 1)
    pixels = np.stack([rafdb.images[name] for name in expected]).transpose(0, 3, 1, 2)
    assert data.images.dtype == np.uint8
    np.testing.assert_array_equal(data.images, pixels)


def test_gray_images_are_the_luma_of_the_colours(rafdb):
    images = rafdb.load().images
    for image, pixels in zip(images, rafdb.images.values(), strict=False):
        luma = pixels @ [0.299, 0.587, 0.114]  # ITU-R 601-2
        np.testing.assert_allclose(image, luma, atol=1)


@pytest.mark.parametrize("color", [False, True])
def test_images_are_resized_to_the_side(rafdb, color):
    halves = np.zeros((100, 100, 3), dtype=np.uint8)
    halves[:, 50:] = 200
    halves[50:, :50] = 100
    rafdb.write_image(FIRST, halves)
    image = rafdb.load(side=10, color=color).images[0]
    assert image.shape == ((3, 10, 10) if color else (10, 10))
    assert (image[..., :, 6:] == 200).all()
    assert (image[..., :4, :4] == 0).all()
    assert (image[..., 6:, :4] == 100).all()


def test_fine_patterns_are_averaged_where_an_image_gets_smaller(rafdb):
    stripes = np.zeros((100, 100), dtype=np.uint8)
    stripes[:, ::2] = 200
    rafdb.write_image(FIRST, stripes)
    image = rafdb.load(side=25).images[0]
    np.testing.assert_allclose(image[:, 1:-1], 100, atol=2)


def test_a_gray_jpeg_is_read_in_gray_and_in_colour(rafdb):
    smooth = np.tile(np.arange(100, 200, dtype=np.uint8), (100, 1))
    Image.fromarray(smooth).save(rafdb.root / FIRST, format="JPEG")
    np.testing.assert_allclose(rafdb.load().images[0], smooth, atol=2)
    color = rafdb.load(color=True).images[0]
    np.testing.assert_allclose(color, np.stack([smooth] * 3), atol=2)


def test_the_folder_basic_may_be_given_and_as_text(rafdb):
    data = load_rafdb(str(rafdb.root / "basic"))
    np.testing.assert_array_equal(data.images, rafdb.load().images)


def test_the_folder_may_be_given_relative_to_the_home_folder(rafdb, monkeypatch):
    monkeypatch.setenv("HOME", str(rafdb.root))
    assert len(load_rafdb("~/basic").images) == len(TRAIN)


def test_the_description_counts_the_images(rafdb):
    descr = rafdb.load().DESCR
    assert descr.startswith("Real-world Affective Faces Database")
    assert "Read here: 8 images (surprise 1, fear 1, disgust 1, happiness 2, sadness 1," in descr


def test_threads_read_the_same_images_in_the_same_order(rafdb):
    np.testing.assert_array_equal(rafdb.load(n_jobs=2).images, rafdb.load().images)


def test_a_progress_bar_only_where_it_is_asked_for(rafdb, capsys):
    rafdb.load()
    assert capsys.readouterr().err == ""
    rafdb.load(verbose=True)
    assert "8/8" in capsys.readouterr().err


def test_lines_of_the_other_subset_are_checked_too(rafdb):
    rafdb.change(14, label="9")
    with pytest.raises(ValueError, match=r"line 15: .*got 'test_0007\.jpg 9'"):
        rafdb.load(subset="train")


def test_images_of_the_other_subset_are_not_read(rafdb):
    rafdb.truncate(rafdb.file)
    assert len(rafdb.load(subset="test").images) == 7


def test_empty_lines_and_spaces_do_not_matter(rafdb):
    whole = rafdb.load(subset="all")
    lines = ["", *(f" {line.replace(' ', '  ')} " for line in rafdb.lines), ""]
    rafdb.write_lines(rafdb.list, lines)
    np.testing.assert_array_equal(rafdb.load(subset="all").target, whole.target)


def test_a_list_cut_off_shows_in_the_images_without_a_label(rafdb, warned):
    rafdb.write_lines(rafdb.list, rafdb.lines[:-7])
    match = (
        r"7 of 15 entries cannot be used: test_0001: has an image but no label; test_0002: .*"
        r"; test_0005: has an image but no label; and 2 more\."
    )
    with pytest.raises(ValueError, match=match):
        rafdb.load()
    assert len(warned(match, rafdb.load).images) == 8


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_several_images_are_left_out_with_one_warning(rafdb, n_jobs):
    kept = [0, 1, 2, 3, 5, 6]
    whole = rafdb.load()
    rafdb.truncate(rafdb.file.replace("8", "5"))
    rafdb.remove(rafdb.file)
    with pytest.warns(UserWarning, match="cannot be used|are empty") as caught:
        data = rafdb.load(on_error="warn", n_jobs=n_jobs)
    unread, empty = (str(entry.message) for entry in caught)
    assert re.search(r"2 of 8 .*train_00005: .*train_00008: .*They are left out\.$", unread)
    assert empty.endswith("1 of 7 classes are empty: happiness.")
    assert [entry[:12] for entry in data.unusable] == ["train_00005:", "train_00008:"]
    for key in ("images", "target", "filenames"):
        np.testing.assert_array_equal(data[key], whole[key][kept])
    assert "Read here: 6 images" in data.DESCR
    assert "happiness 0" in data.DESCR


def test_nothing_left_is_an_error_even_where_a_warning_is_enough(rafdb):
    rafdb.write_lines(rafdb.list, rafdb.lines[8:])
    with (
        pytest.warns(UserWarning, match="8 of 15 entries"),
        pytest.raises(ValueError, match="nothing is left to load"),
    ):
        rafdb.load(on_error="warn")


def test_pillow_is_asked_for_where_it_is_missing(rafdb, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)  # import fails
    with pytest.raises(ImportError, match=r"pip install 'sklearn-thin\[vision\]'"):
        rafdb.load()


def test_an_image_without_room_in_memory_is_not_called_unusable(rafdb):
    with pytest.raises(MemoryError):
        read_image(rafdb.root / FIRST, None, side=2**30, color=False)
