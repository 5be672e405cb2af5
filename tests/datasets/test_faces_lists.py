"""Lists of faces are refused by line: names outside a folder, and absurd numbers and lines."""

import os
import re
import tracemalloc

import numpy as np
import pytest


def change_field(release, position, value):
    """Write the list with another field in the row of `release`, and return the line's number."""
    fields = release.lines[release.row].split(release.separator)
    fields[position] = value
    release.lines[release.row] = release.separator.join(fields)
    release.write_list()
    return len(release.header) + release.row + 1


OUTSIDE = {
    "absolute": "/etc/passwd.jpg",
    "parent": "../x.jpg",
    "parent within": "a/../../x.jpg",
    "backslashes": "..\\x.jpg",
    "drive": "C:/x.jpg",
    "drive alone": "C:x.jpg",
    "host": "//host/share/x.jpg",
    "NUL": "x\0.jpg",
    "escape": "x\x1b[2J.jpg",
    "long": "x" * 5_000,
    "long and accented": "é" * 128,
}


@pytest.mark.parametrize("how", OUTSIDE)
def test_a_name_of_no_file_in_the_folder_is_named_with_its_line(any_release, how):
    number = change_field(any_release, 0, OUTSIDE[how])
    match = (
        rf"{re.escape(any_release.list)}: [12] of .* cannot be used: line {number}\b.*: expected "
    )
    with pytest.raises(ValueError, match=match) as caught:
        any_release.load()
    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize("name", ["affectnet", "expw"])
def test_the_folder_itself_is_no_image(request, name):
    release = request.getfixturevalue(name)
    change_field(release, 0, ".")
    with pytest.raises(ValueError, match=r"expected the name of a file in .*, got '\.'"):
        release.load()


def test_an_image_that_is_a_link_to_outside_of_its_folder_is_named(any_release):
    path = any_release.root / any_release.file
    outside = path.rename(any_release.root / "outside.jpg")
    path.symlink_to(outside)
    match = rf"line \d+.*: .*{re.escape(path.name)} is a symbolic link to outside of .*; copy"
    with pytest.raises(ValueError, match=match):
        any_release.load()


def test_links_within_the_folder_and_a_link_in_its_place_are_followed(any_release):
    whole = any_release.load().images
    path = any_release.root / any_release.file
    path.symlink_to(path.rename(path.with_suffix(".png")).name)
    folder = any_release.root / path.relative_to(any_release.root).parts[0]
    folder.symlink_to(folder.rename(any_release.root / "elsewhere"))
    np.testing.assert_array_equal(any_release.load().images, whole)


LONG = "9" * 5_000
NUMBERS = [
    ("rafdb", 1),
    *(("affectnet", column) for column in (1, 3, 6, 7, 8)),
    *(("expw", column) for column in range(1, 8)),
    ("lfw", 1),
    ("lfw", 3),
]


@pytest.mark.parametrize(("name", "position"), NUMBERS)
def test_a_number_of_5000_digits_is_named_with_its_line(request, name, position):
    release = request.getfixturevalue(name)
    number = change_field(release, position, LONG)
    options = {"crop": "box"} if name == "affectnet" else {}
    match = rf"{re.escape(release.list)}: .*line {number}\b.*: expected "
    with pytest.raises(ValueError, match=match) as caught:
        release.load(**options)
    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize("first", [LONG, f"2\t{LONG}", f"{LONG}\t2", "9" * 4_000])
def test_a_number_of_pairs_of_5000_digits_is_named(lfw, first):
    lfw.header = [first]
    lfw.write_list()
    with pytest.raises(ValueError, match=r"pairs\.txt is no list of LFW's pairs") as caught:
        lfw.load()
    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize("size", [70_000, 2**32])
def test_a_line_of_gigabytes_is_named_before_it_is_read(any_release, size):
    path = any_release.root / any_release.list
    n_lines = len(path.read_text().splitlines())
    os.truncate(path, path.stat().st_size + size)  # a file with a hole, which holds zeros
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"{path.name}, line {n_lines + 1}: expected fewer"):
        any_release.load()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**24


def test_a_field_beyond_the_limit_of_the_csv_module_is_named(affectnet):
    change_field(affectnet, 5, "1;2;" * 40_000)
    with pytest.raises(ValueError, match=r"training\.csv, line 13: expected fewer"):
        affectnet.load()
