"""Files of owners are downloaded whole, known by their digests, or named in an error."""

import hashlib
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sklearn_thin.datasets import _owners, fetch_wine_quality
from tests.datasets.conftest import write_archive
from tests.datasets.owners import OWNERS

ON_GITHUB = ["emg", "spoken"]  # archives whose digest is that of their content


@pytest.fixture(params=OWNERS)
def owned(own, request):
    return own(request.param)


@pytest.fixture(params=ON_GITHUB)
def packed(own, request):
    return own(request.param)


def test_a_file_is_downloaded_once_and_read_without_its_owner(owned):
    first = owned.reader(data_home=owned.home, return_X_y=True)
    owned.source.unlink()
    again = owned.reader(data_home=owned.home, return_X_y=True, download_if_missing=False)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(owned.file.parent.iterdir()) == [owned.file]


def test_a_missing_file_is_named_with_its_source(owned):
    expected = f"expected {owned.file.name} in {owned.file.parent}. download_if_missing=True"
    with pytest.raises(FileNotFoundError, match=re.escape(expected)) as caught:
        owned.reader(data_home=owned.home, download_if_missing=False)
    assert f"download {owned.url} yourself" in str(caught.value)
    assert not owned.home.exists()


@pytest.mark.parametrize("content", ["half", "empty", "foreign"])
def test_a_broken_or_foreign_file_is_refused(owned, content):
    owned.file.parent.mkdir(parents=True)
    whole = owned.source.read_bytes()
    foreign = b"<html>not found</html>"
    changed = {"half": whole[: len(whole) // 2], "empty": b"", "foreign": foreign}[content]
    owned.file.write_bytes(changed)
    with pytest.raises(ValueError, match=r"; delete it and fetch anew, or download") as caught:
        owned.reader(data_home=owned.home)
    assert str(caught.value).startswith(f"{owned.file} is truncated, corrupt or another version")
    assert owned.file.read_bytes() == changed


def test_an_archive_with_a_place_before_its_start_is_refused(packed):
    """zipfile seeks to a negative place, an OSError without a file."""
    content = bytearray(packed.source.read_bytes())
    end = content.rindex(b"PK\5\6")
    content[end + 16 : end + 20] = (2**32 - 2).to_bytes(4, "little")  # of the central directory
    packed.file.parent.mkdir(parents=True)
    packed.file.write_bytes(content)
    with pytest.raises(ValueError, match=r"Invalid argument.*; delete it and fetch") as caught:
        packed.reader(data_home=packed.home)
    assert str(caught.value).startswith(f"{packed.file} is truncated, corrupt or another version")


def test_a_file_that_cannot_be_opened_is_not_called_corrupt(owned, monkeypatch):
    def refuse(path, *args):
        raise PermissionError(13, "Permission denied", str(path))

    owned.reader(data_home=owned.home)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError, match=re.escape(str(owned.file))):
        owned.reader(data_home=owned.home)


@pytest.mark.parametrize(
    ("limit", "message"),
    [("LARGEST_ARCHIVE", "announce .* bytes"), ("MOST_MEMBERS", "has .* files")],
)
def test_an_archive_of_too_much_is_refused_before_its_files_are_read(
    packed, monkeypatch, limit, message
):
    packed.reader(data_home=packed.home)
    monkeypatch.setattr(_owners, limit, 4)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(ValueError, match=f"{message}, more than 4"):
        packed.reader(data_home=packed.home)


def test_both_digests_are_named(own):
    owned = own("vowels")
    owned.file.parent.mkdir(parents=True)
    owned.file.write_bytes(b"another version")
    digest = hashlib.sha256(b"another version").hexdigest()
    with pytest.raises(ValueError, match=f"SHA-256 digest {owned.sha256}, got {digest}; delete"):
        owned.reader(data_home=owned.home)


def test_of_a_download_that_is_cut_or_fails_nothing_is_kept(owned):
    owned.source.write_bytes(owned.source.read_bytes()[:-5])
    with pytest.raises(OSError, match=r"download of file:.* failed, and nothing of it was kept"):
        owned.reader(data_home=owned.home)
    owned.source.unlink()
    with pytest.raises(OSError, match=r"Try again, or download file:.* and put it into"):
        owned.reader(data_home=owned.home)
    assert list(owned.file.parent.iterdir()) == []


def test_a_stopped_download_leaves_nothing_and_a_killed_one_no_hindrance(owned, monkeypatch):
    def stopped(url, folder, name, **options):
        (Path(folder) / name).write_bytes(owned.source.read_bytes()[:50])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_owners, "fetch_file", stopped)
        with pytest.raises(KeyboardInterrupt):
            owned.reader(data_home=owned.home)
    assert list(owned.file.parent.iterdir()) == []
    killed = owned.file.parent / f"{owned.file.name}.part_killed"
    killed.mkdir()
    (killed / owned.file.name).write_bytes(b"half")
    owned.reader(data_home=owned.home)
    assert owned.file.read_bytes() == owned.source.read_bytes()


@pytest.mark.parametrize("depth", [0, 1])
def test_a_file_in_the_place_of_a_folder_is_named_with_the_data_set(owned, depth):
    folder = owned.home / owned.file.relative_to(owned.home).parts[0] if depth else owned.home
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file")
    match = rf"\w: the folder {re.escape(str(owned.file.parent))} .*Pass another data_home\.$"
    with pytest.raises(OSError, match=match):
        owned.reader(data_home=owned.home)
    assert folder.read_text() == "a file"


def test_a_folder_in_the_place_of_a_file_is_named_before_any_download(owned, monkeypatch):
    owned.file.mkdir(parents=True)
    monkeypatch.setattr(_owners, "fetch_file", None)
    match = rf"expected the file {re.escape(str(owned.file))}, got a folder .*Move the folder away"
    with pytest.raises(IsADirectoryError, match=match):
        owned.reader(data_home=owned.home)


def test_the_data_home_is_scikit_learns_by_default(own, monkeypatch):
    wine = own("wine")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(wine.home))
    fetch_wine_quality()
    assert wine.file.is_file()


def test_an_archive_packed_anew_is_the_same_data(packed):
    """As GitHub may do: another folder, order and compression, and files that nobody reads."""
    first = packed.reader(data_home=packed.home, return_X_y=True)
    packed.file.unlink()
    with zipfile.ZipFile(packed.file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in reversed(packed.files.items()):
            archive.writestr(f"another folder/{name}", content)
        archive.writestr("another folder/LICENSE", "new")
    again = packed.reader(data_home=packed.home, return_X_y=True, download_if_missing=False)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("part", ["missing", "renamed", "changed", "longer"])
def test_an_archive_of_other_recordings_is_refused(packed, part):
    files = dict(packed.files)
    name = max(name for name in files if name.endswith((".wav", ".dat")))
    content = files.pop(name)
    other = {
        "missing": {},
        "renamed": {name.replace("27", "26").replace("49", "48"): content},
        "changed": {name: content[:-1] + b"x"},
        "longer": {name: bytes(_owners.LARGEST_MEMBER + 1)},
    }[part]
    write_archive(packed.source, files | other, "folder/")
    with pytest.raises(OSError, match="nothing of it was kept") as caught:
        packed.reader(data_home=packed.home)
    announced = f"{name} announces 1,048,577 bytes"
    assert (announced if part == "longer" else packed.sha256) in str(caught.value)
    assert list(packed.file.parent.iterdir()) == []


def test_an_archive_is_saved_under_its_commit(packed):
    """The last part of the URL is a commit alone."""
    with pytest.raises(FileNotFoundError, match=f"yourself and .* as {packed.file.name}"):
        packed.reader(data_home=packed.home, download_if_missing=False)


@pytest.mark.parametrize("name", ON_GITHUB)
def test_the_digest_is_that_of_sha256sum(own, name):
    packed = own(name)
    pattern = getattr(OWNERS[name][0], OWNERS[name][1]).members
    recordings = sorted(name for name in packed.files if name.endswith((".wav", ".dat")))
    lines = [f"{hashlib.sha256(packed.files[name]).hexdigest()}  {name}\n" for name in recordings]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert _owners.members_digest(packed.source, pattern) == digest
