"""The readers of faces find their files, and name and leave out the entries they cannot use."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FACES = ["rafdb", "affectnet", "expw"]  # LFW's pairs go beyond these tests


@pytest.fixture(params=FACES)
def release(request):
    return request.getfixturevalue(request.param)


def end(release):
    """The end of the list's path, as a pattern."""
    return re.escape(Path(release.list).name)


def assert_faces(data, whole, lost=()):
    """Check that `data` are the faces of `whole` without the rows `lost`."""
    for key, values in whole.items():
        if isinstance(values, np.ndarray) and key != "target_names":
            np.testing.assert_array_equal(data[key], np.delete(values, lost, axis=0), err_msg=key)
    assert data.target_names.tolist() == whole.target_names.tolist()


def test_images_and_labels_alone(release):
    images, target = release.load(return_X_y=True)
    data = release.load()
    np.testing.assert_array_equal(images, data.images)
    np.testing.assert_array_equal(target, data.target)


def test_nothing_is_unusable_in_a_whole_folder(release):
    assert release.load().unusable == []


RAFDB_LIST = "EmoLabel/list_patition_label.txt"
RAFDB_EXPECTED = f"{RAFDB_LIST} or basic/{RAFDB_LIST}"
IMAGES = "Manually_Annotated_Images"
MISSING = [
    ("rafdb", ".", f"{RAFDB_EXPECTED} in {{root}}, which is no folder"),
    ("rafdb", "basic", f"{RAFDB_EXPECTED} in the folder {{root}}"),
    ("rafdb", f"basic/{RAFDB_LIST}", f"{RAFDB_EXPECTED} in the folder {{root}}"),
    ("rafdb", "basic/Image/aligned", "Image/aligned in the folder {root}/basic"),
    ("affectnet", ".", "training.csv or training.csv in {root}, which is no folder"),
    (
        "affectnet",
        "Manually_Annotated_file_lists/training.csv",
        "training.csv or training.csv in the folder {root}",
    ),
    ("affectnet", IMAGES, f"{IMAGES} or Manually_Annotated/{IMAGES} in the folder {{root}}"),
    ("expw", ".", "label/label.lst or data/label/label.lst in {root}, which is no folder"),
    ("expw", "label/label.lst", "label/label.lst or data/label/label.lst in the folder {root}"),
    ("expw", "image/origin", "expected image/origin in the folder {root}"),
    ("lfw", ".", "expected pairs.txt in {root}, which is no folder"),
    ("lfw", "pairs.txt", "expected pairs.txt in the folder {root}"),
    ("lfw", "lfw_funneled", "lfw_funneled or lfw-funneled in the folder {root}"),
]
TITLES = {
    "rafdb": ("RAF-DB", "RAF-DB is given out by"),
    "affectnet": ("AffectNet", "AffectNet is given"),
    "expw": ("ExpW", "ExpW is found at"),
    "lfw": ("LFW", "LFW was given out at"),
}


@pytest.mark.parametrize(("name", "missing", "expected"), MISSING)
def test_a_missing_file_is_named_with_its_folder_and_source(request, name, missing, expected):
    release, (title, how) = request.getfixturevalue(name), TITLES[name]
    release.remove(missing)
    expected = expected.format(root=re.escape(str(release.root)))
    with pytest.raises(FileNotFoundError, match=rf"{title}: .*{expected}\. {how}"):
        release.load()


@pytest.mark.parametrize("name", [*FACES, "lfw"])
@pytest.mark.parametrize(
    ("content", "match"),
    [(b"", "is empty"), (b" \n\n", "is empty"), (b"\xff\xfe\x00t", "is no (text file|table)")],
)
def test_a_list_that_is_empty_or_no_text_is_named(request, name, content, match):
    release = request.getfixturevalue(name)
    (release.root / release.list).write_bytes(content)
    with pytest.raises(ValueError, match=f"{end(release)} {match}"):
        release.load()


WRONG = [
    *(
        ("rafdb", line, f"line 8: expected .*, got '{line}'")
        for line in (
            *("train_00004.jpg 0", "train_00004.jpg 8", "train_00004.jpg", "train_00004.jpg x"),
            *("train_00004.png 3", "images 3", "valid_1.jpg 3", "a train_1.jpg 3"),
        )
    ),
    *(
        ("expw", line, f"line 21: expected .*, got '{line}'")
        for line in (
            "lonely.jpg",
            "photo.jpg 0 1 2 14 13 80",
            "photo.jpg 0 1 2 14 13 80 7",
            "photo.jpg 0 1 2 14 13 80 -1",
            "photo.jpg 0 1 2 14 13 80 12",
            "photo.jpg 0 1 2 14 13 80 3 3",
            "photo.jpg 0 1 2 14 x 80 3",
            "photo.jpg 0 1 2 14 13 nan 3",
            "photo.jpg 0 1 2 inf 13 80 3",
        )
    ),
    ("expw", {"face_id": "0.5"}, "line 21: expected a name"),
    ("expw", {"face_id": "-1"}, "line 21: expected a name"),
    ("expw", {"face_id": "1_0"}, "line 21: expected a name"),
    (
        "expw",
        {"top": "5", "left": "9", "right": "9", "bottom": "17"},
        r".*, face 0: the box \(9, 5, 9, 17\) of the face is empty",
    ),
    (
        "expw",
        {"top": "40", "left": "5", "right": "17", "bottom": "52"},
        r".*, face 0: the box \(5, 40, 17, 52\) is outside the image of \(50, 40\)",
    ),
    ("affectnet", {"expression": "11"}, ".*: expected an expression of 0 to 10, got '11'"),
    ("affectnet", {"expression": "-1"}, ".*: expected an expression of 0 to 10, got '-1'"),
    ("affectnet", {"expression": ""}, ".*: expected an expression of 0 to 10, got ''"),
    ("affectnet", {"valence": "NULL"}, ".*: expected a number as valence, got 'NULL'"),
    ("affectnet", {"arousal": "nan"}, ".*: expected a number as arousal, got 'nan'"),
    ("affectnet", {"valence": "-2"}, ".*: expected a number of -1 to 1 as valence, got '-2'"),
    ("affectnet", {"arousal": "1.5"}, ".*: expected a number of -1 to 1 as arousal, got '1.5'"),
    (
        "affectnet",
        {"subDirectory_filePath": " "},
        ".*: expected the path of an image as subDirectory_filePath, got ' '",
    ),
    ("affectnet", {"face_x": '"7'}, ".*: expected 9 fields, got 2 that begin with '2/a0"),
    ("affectnet", {"facial_landmarks": "NULL"}, ".*: expected 136 coordinates .*got 'NULL'"),
    ("affectnet", {"facial_landmarks": "1;2;" * 66 + "1;2"}, ".*: expected 136 coordinates"),
    ("affectnet", {"arousal": "0.1,0.2"}, ".*: expected 9 fields, got 10 that begin with"),
    (
        "affectnet",
        {"facial_landmarks": ";".join(["5"] * 136)},
        ".*: the box .*5, 5, 5.* is empty",
    ),
    (
        "affectnet",
        {"facial_landmarks": ";".join(["90", "10", "95", "20"] * 34)},
        r".*: the box \(90, 10, 95, 20\) is outside the image of \(70, 60\)",
    ),
]


@pytest.mark.parametrize(("name", "change", "reason"), WRONG)
def test_a_wrong_line_is_named_and_left_out_alone(request, name, change, reason, warned):
    release = request.getfixturevalue(name)
    whole = release.load()
    if isinstance(change, dict):
        release.change(release.row, **change)
    else:
        release.lines[release.row] = change
        release.write_list()
    if name == "rafdb":  # an image without a line would be reported too
        release.remove(release.file)
    match = rf"{end(release)}: 1 of (15|12|8|49|42) entries cannot be used: {reason}"
    with pytest.raises(ValueError, match=match):
        release.load()
    data = warned(match, release.load)
    assert len(data.unusable) == 1
    assert_faces(data, whole, release.lost[:1])


@pytest.mark.parametrize("other", [False, True])
def test_an_entry_that_comes_twice_counts_once(release, other, warned):
    whole = release.load()
    label = "expression" if "expression" in release.columns else "label"
    release.lines.append(release.lines[release.row])
    release.change(-1, **{label: "3" if other else release.fields(-1)[label]})
    reason = ", with another label" if other else ""
    match = rf"1 of {len(release.lines)} entries cannot be used: {re.escape(release.name)}: listed"
    match += rf" more than once{reason}\."
    with pytest.raises(ValueError, match=match):
        release.load()
    data = warned(match, release.load)
    assert len(data.unusable) == 1
    assert_faces(data, whole)


REASONS = {
    "missing": "No such file",
    "truncated": "truncated",
    "truncated jpeg": "truncated",
    "empty": "cannot identify image file",
    "no image": "cannot identify image file",
}


def break_image(release, how):
    path = release.root / release.file
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        release.truncate(release.file)
    elif how == "truncated jpeg":
        Image.open(path).convert("RGB").save(path, format="JPEG")
        release.truncate(release.file)
    else:
        path.write_bytes(b"" if how == "empty" else b"<html>not found</html>")


@pytest.mark.parametrize("how", REASONS)
def test_an_image_that_cannot_be_read_is_named_and_left_out_alone(release, how, warned):
    whole = release.load()
    break_image(release, how)
    counts = f"{len(release.lost)} of {len(whole.images)}"
    match = rf"{end(release)}: {counts} entries cannot be used: {re.escape(release.name)}: "
    match += f".*{REASONS[how]}"
    with pytest.raises(ValueError, match=match):
        release.load()
    data = warned(match, release.load)
    assert len(data.unusable) == len(release.lost)
    assert_faces(data, whole, release.lost)


@pytest.mark.parametrize(
    ("name", "options", "label", "empty", "other"),
    [
        ("rafdb", {}, "label", ("4", "happiness"), "1"),
        ("affectnet", {}, "expression", ("5", "disgust"), "6"),
        *(
            ("expw", {"subset": part}, "label", ("2", "fear"), "3")
            for part in ("all", "train", "test")
        ),
    ],
)
def test_a_class_without_a_face_is_named(request, name, options, label, empty, other, warned):
    release, (code, class_name) = request.getfixturevalue(name), empty
    whole = release.load(**options)
    for row in range(len(release.lines)):
        if release.fields(row)[label] == code:
            release.change(row, **{label: other})
    match = rf"{end(release)}: 1 of 7 classes are empty: {class_name}\."
    with pytest.raises(ValueError, match=f"{match} Restore"):
        release.load(**options)
    data = warned(match, release.load, **options)
    assert len(data.images) == len(whole.images)
    assert data.target_names.tolist() == whole.target_names.tolist()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("rafdb", {"subset": "valid"}), ("rafdb", {"side": 0}), ("rafdb", {"side": 100.0})),
        *(("rafdb", {"on_error": "ignore"}), ("rafdb", {"path": 3})),
        *(("affectnet", {"crop": "eyes"}), ("affectnet", {"margin": -0.1})),
        *(("affectnet", {"contempt": "no"}), ("affectnet", {"subset": "all"})),
        *(("expw", {"subset": "valid"}), ("expw", {"min_confidence": "60"})),
        *(("expw", {"test_size": 0}), ("expw", {"random_state": "no"})),
        *(("lfw", {"image_set": "aligned"}), ("lfw", {"box": 3})),
    ],
)
def test_parameters_out_of_range_are_refused(request, name, options):
    release = request.getfixturevalue(name)
    match = f"'{next(iter(options))}' parameter of {release.reader.__name__}"
    with pytest.raises(ValueError, match=match):
        release.reader(**{"path": release.root, **options})
