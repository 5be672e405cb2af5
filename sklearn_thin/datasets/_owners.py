"""Files of data sets as their owners give them out: downloaded once, known by their digests."""

import hashlib
import os
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import ZipFile

from sklearn.datasets import fetch_file, get_data_home

RETRIES = {"n_retries": 3, "delay": 1}  # seconds
FETCHING = {  # constraints of the parameters that all readers have
    "data_home": [str, os.PathLike, None],
    "download_if_missing": ["boolean"],
    "return_X_y": ["boolean"],
}

LARGEST_MEMBER = 2**20  # bytes of a file in an archive; a recording has 37,000
LARGEST_ARCHIVE = 2**27  # bytes of an archive's recordings; 40,332 windows have 34 million
MOST_MEMBERS = 2**14  # files in an archive; there are 3,000 spoken digits


class OwnerFile(NamedTuple):
    """A file of a data set."""

    data: str  # the data set's name in errors
    url: str
    folder: str  # in the data home
    sha256: str
    size: str  # of the download, for people
    members: str | None = None  # the pattern of the files in an archive that the digest covers
    saved_as: str | None = None  # the name of the file, if the URL has another one

    @property
    def name(self):
        return self.saved_as or self.url.rpartition("/")[2]


def github(data, repository, commit, members, sha256, size):
    """The archive of a commit on GitHub.

    GitHub may pack the same files anew, into other bytes. The digest is that of `members`: of the
    lines that `sha256sum` prints for them, in the order of their paths.
    """
    url = f"https://github.com/{repository}/archive/{commit}.zip"
    saved_as = f"{repository.rpartition('/')[2]}-{commit}.zip"
    return OwnerFile(data, url, "github", sha256, size, members, saved_as)


def fetch(owned, data_home, download_if_missing):
    """The path of an owner's file, downloaded if need be, whose digest is right.

    Raises
    ------
    OSError
        For a missing file with `download_if_missing=False`, for a download that fails, for a
        folder that cannot be made, or for a folder in the place of the file.
    ValueError
        For a file with another digest.
    """
    home = Path(get_data_home() if data_home is None else data_home).expanduser()
    file = home / owned.folder / owned.name
    by_hand = f"download {owned.url} yourself and put it into {file.parent}"
    if owned.saved_as:
        by_hand = f"{by_hand} as {file.name}"
    refuse_folder(owned.data, file)
    if not file.is_file():
        if not download_if_missing:
            raise FileNotFoundError(
                f"{owned.data}: expected {owned.name} in {file.parent}. download_if_missing=True "
                f"downloads {owned.size}; or {by_hand}."
            )
        download(owned, file, by_hand)
    elif reason := problem(owned, file):
        raise ValueError(
            f"{file} is truncated, corrupt or another version of {owned.data}: {reason}; delete "
            f"it and fetch anew, or {by_hand}"
        )
    return file


def refuse_folder(data, file):
    """Raise where a folder has the name of a file, before a download that could not be moved."""
    if file.is_dir():
        raise IsADirectoryError(
            f"{data}: expected the file {file}, got a folder of this name. Move the folder away, "
            "and fetch anew, or pass another data_home."
        )


def download(owned, file, by_hand):
    """Download a file whole, or not at all."""
    folder = part_folder(owned.data, file.parent, f"{file.name}.part_")
    try:
        with folder as part:
            fetch_file(owned.url, part, file.name, **RETRIES)
            if reason := problem(owned, Path(part) / file.name):
                raise OSError(reason)
            os.replace(Path(part) / file.name, file)
    except (OSError, HTTPException) as error:
        raise OSError(
            f"{owned.data}: the download of {owned.url} failed, and nothing of it was kept "
            f"({error}). Try again, or {by_hand}."
        ) from error


def part_folder(data, folder, prefix):
    """A new temporary folder within a folder, made if need be, for the download of `data`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=prefix, dir=folder)
    except OSError as error:
        raise OSError(
            f"{data}: the folder {folder} cannot be made or written ({error}). Pass another "
            "data_home."
        ) from error


def problem(owned, file):
    """Why a file is not the owner's, or None."""
    covered = f" of {owned.members}" if owned.members else ""
    with file.open("rb") as content:  # a file that cannot be opened may be whole
        if not owned.members:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        else:
            try:
                digest = members_digest(content, owned.members)
            except MemoryError:
                raise
            except Exception as error:  # zipfile raises a dozen types on a broken file
                return f"expected a ZIP archive that can be read ({str(error)[:200]})"
    if digest == owned.sha256:
        return None
    return f"expected the SHA-256 digest {owned.sha256}{covered}, got {digest}"


def members_digest(file, pattern):
    """The digest of the lines of `sha256sum` for the files in an archive."""
    lines = (
        f"{hashlib.sha256(content).hexdigest()}  {path}\n"
        for path, content in read_archive(file, pattern)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_archive(file, pattern):
    """Yield the path and the bytes of the files in an archive, in the order of their paths.

    The archive has one folder, which no path and not the `pattern` names.
    """
    with ZipFile(file) as archive:
        infos = archive.infolist()
        if len(infos) > MOST_MEMBERS:
            raise ValueError(f"it has {len(infos):,} files, more than {MOST_MEMBERS:,}")
        members = {info.filename.partition("/")[2]: info for info in infos}
        paths = sorted(path for path in members if PurePosixPath(path).match(pattern))
        sizes = {path: members[path].file_size for path in paths}
        for path, size in sizes.items():
            if size > LARGEST_MEMBER:
                raise ValueError(f"{path} announces {size:,} bytes")
        if (size := sum(sizes.values())) > LARGEST_ARCHIVE:
            raise ValueError(f"its files announce {size:,} bytes, more than {LARGEST_ARCHIVE:,}")
        for path in paths:
            yield path, archive.read(members[path])
