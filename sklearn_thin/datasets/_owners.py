"""Files of data sets as their owners give them out: downloaded once, known by their digests."""

import hashlib
import os
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from sklearn.datasets import fetch_file, get_data_home

RETRIES = {"n_retries": 3, "delay": 1}  # seconds
FETCHING = {  # constraints of the parameters that all readers have
    "data_home": [str, os.PathLike, None],
    "download_if_missing": ["boolean"],
    "return_X_y": ["boolean"],
}


class OwnerFile(NamedTuple):
    """A file of a data set."""

    data: str  # the data set's name in errors
    url: str
    folder: str  # in the data home
    sha256: str
    size: str  # of the download, for people

    @property
    def name(self):
        return self.url.rpartition("/")[2]


def fetch(owned, data_home, download_if_missing):
    """The path of an owner's file, downloaded if need be, whose digest is right.

    Raises
    ------
    OSError
        For a missing file with `download_if_missing=False`, or for a download that fails.
    ValueError
        For a file with another digest.
    """
    home = Path(get_data_home() if data_home is None else data_home).expanduser()
    file = home / owned.folder / owned.name
    by_hand = f"download {owned.url} yourself and put it into {file.parent}"
    if not file.is_file():
        if not download_if_missing:
            raise FileNotFoundError(
                f"{owned.data}: expected {owned.name} in {file.parent}. download_if_missing=True "
                f"downloads {owned.size}; or {by_hand}."
            )
        download(owned, file, by_hand)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != owned.sha256:
        raise ValueError(
            f"{file} is truncated, corrupt or another version of {owned.data}: expected the "
            f"SHA-256 digest {owned.sha256}, got {digest}; delete it and fetch anew, or {by_hand}"
        )
    return file


def download(owned, file, by_hand):
    """Download a file whole, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        fetch_file(owned.url, file.parent, file.name, owned.sha256, **RETRIES)
    except (OSError, HTTPException) as error:
        raise OSError(
            f"{owned.data}: the download of {owned.url} failed, and nothing of it was kept "
            f"({error}). Try again, or {by_hand}."
        ) from error
