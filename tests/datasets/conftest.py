"""A folder of small face images and lists, into which tests write the layouts of the owners."""

import re
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


class Folder:
    """A folder whose files are named relative to it."""

    def __init__(self, root):
        self.root = root

    def write_image(self, name, pixels):
        """Write uint8 pixels (H, W) or (H, W, 3), losslessly whatever the name, and return them."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, format="PNG", compress_level=1)
        return pixels

    def write_lines(self, name, lines):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def remove(self, name):
        """Remove a file, or a folder with all that is in it."""
        path = self.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def read_lines(self, name):
        return (self.root / name).read_text(encoding="utf-8").splitlines()

    def truncate(self, name):
        """Cut a file off in its middle."""
        data = (self.root / name).read_bytes()
        (self.root / name).write_bytes(data[: len(data) // 2])


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="session")
def noise():
    """Function that draws pixels (height, width, 3) of uint8 from a seed."""

    def draw(seed, height, width):
        return np.random.RandomState(seed).randint(256, size=(height, width, 3)).astype(np.uint8)

    return draw


@pytest.fixture(scope="session")
def warned():
    """Function that calls a reader with on_error="warn" and checks that it warns so, once."""

    def load(match, reader, *args, **options):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data = reader(*args, on_error="warn", **options)
        assert [entry.category for entry in caught] == [UserWarning]
        assert re.search(match, str(caught[0].message)), str(caught[0].message)
        assert Path(caught[0].filename).is_relative_to(Path(__file__).parent)  # the reader's caller
        return data

    return load


@pytest.fixture(scope="session")
def save_petabyte():
    """Function that writes an archive whose array `name` would fill a petabyte of memory."""

    def write(file, name):
        with zipfile.ZipFile(file, "w") as archive, archive.open(f"{name}.npy", "w") as content:
            header = {"descr": "|u1", "fortran_order": False, "shape": (2**50,)}
            np.lib.format.write_array_header_1_0(content, header)

    return write
