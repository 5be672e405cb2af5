"""Data sets in small, in the layouts of their owners."""

import hashlib
import re
import shutil
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sklearn_thin.datasets import (
    _owners,
    load_affectnet,
    load_expw,
    load_lfw_pairs,
    load_rafdb,
)
from tests.datasets.owners import OWNERS


class Release:
    """The folder of a data set in small: its list, its images, and their reader.

    `row` is the row in the list of a face whose class has other faces. `name` is this face's
    name in messages, `file` its image, and `lost` the rows of `load()` that need the image. Of
    LFW's last pair they are the second image's.
    """

    def __init__(self, root, reader, list_file, *, columns=(), separator=" ", **options):
        self.root = root
        self.reader = reader
        self.list = list_file
        self.columns = columns
        self.separator = separator
        self.options = options
        self.header, self.lines, self.images = [], [], {}

    def load(self, **options):
        return self.reader(self.root, **{**self.options, **options})

    def write_list(self):
        self.write_lines(self.list, [*self.header, *self.lines])

    def fields(self, row):
        return dict(zip(self.columns, self.lines[row].split(self.separator), strict=True))

    def change(self, row, **fields):
        """Write the list with other fields in one row."""
        self.lines[row] = self.separator.join({**self.fields(row), **fields}.values())
        self.write_list()

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
        """Remove a file, or a folder with its content."""
        path = self.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def truncate(self, name):
        """Cut a file off in its middle."""
        data = (self.root / name).read_bytes()
        (self.root / name).write_bytes(data[: len(data) // 2])


def noise(seed, height, width):
    """Pixels (height, width, 3) of uint8."""
    return np.random.RandomState(seed).randint(256, size=(height, width, 3)).astype(np.uint8)


@pytest.fixture
def rafdb(tmp_path):
    """RAF-DB: 8 images for training, then 7 for testing, of 100 x 100 pixels."""
    columns = ("image", "label")
    rafdb = Release(tmp_path, load_rafdb, "basic/EmoLabel/list_patition_label.txt", columns=columns)
    names = [f"train_{i:05d}" for i in range(1, 9)] + [f"test_{i:04d}" for i in range(1, 8)]
    for seed, (name, label) in enumerate(zip(names, "712345644671235", strict=True)):
        rafdb.lines.append(f"{name}.jpg {label}")
        file = f"basic/Image/aligned/{name}_aligned.jpg"
        rafdb.images[name] = rafdb.write_image(file, noise(seed, 100, 100))
    rafdb.row, rafdb.name, rafdb.lost = 7, "train_00008", [7]
    rafdb.file = "basic/Image/aligned/train_00008_aligned.jpg"
    rafdb.write_list()
    return rafdb


AFFECTNET_COLUMNS = (
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
)


def landmarks(left, top, side):
    """68 points whose smallest box is a square, as the release writes them."""
    points = np.random.RandomState(left).uniform(0, side, size=(68, 2))
    origin = np.array([left, top])
    points[[3, 40]] = [[0, side], [side, 0]]  # two opposite corners
    return ";".join(f"{number:.2f}" for point in points for number in point + origin)


def affectnet_lines(part):
    """Lines of a list: the face in 30 x 30 pixels, its landmarks in 20 x 20."""
    for row, code in enumerate([1, 0, 7, 9, 2, 8, 3, 10, 4, 5, 6, 1]):
        name = f"{row % 3}/{part}{row:052x}.{'png' if row == 4 else 'jpg'}"
        fields = [*["NULL"] * 5, code, -2, -2]
        if code < 8:
            points = landmarks(16 + row, 9 + row, 20)
            fields = [10 + row, 5 + row, 30, 30, points, code, row / 20 - 0.5, 0.5 - row / 10]
        yield ",".join(map(str, [name, *fields]))


@pytest.fixture
def affectnet(tmp_path):
    """AffectNet: 12 rows for training and for testing, in photographs of 70 x 60 pixels."""
    lists = "Manually_Annotated_file_lists/"
    layout = {"columns": AFFECTNET_COLUMNS, "separator": ","}
    affectnet = Release(tmp_path, load_affectnet, f"{lists}training.csv", **layout)
    affectnet.header = [",".join(AFFECTNET_COLUMNS)]
    affectnet.lines = list(affectnet_lines("a"))
    affectnet.test_list, affectnet.test_lines = f"{lists}validation.csv", [*affectnet_lines("b")]
    affectnet.test_lines.reverse()
    for seed, line in enumerate(affectnet.lines + affectnet.test_lines):
        name = line.split(",")[0]
        if "NULL" not in line:
            pixels = noise(seed, 60, 70)
            affectnet.images[name] = affectnet.write_image(
                f"Manually_Annotated_Images/{name}", pixels
            )
    affectnet.row, affectnet.name, affectnet.lost = 11, affectnet.lines[11].split(",")[0], [7]
    affectnet.file = f"Manually_Annotated_Images/{affectnet.name}"
    affectnet.write_list()
    affectnet.write_lines(affectnet.test_list, affectnet.test_lines)  # the release names no columns
    return affectnet


@pytest.fixture
def expw(tmp_path):
    """ExpW: 49 faces of 12 x 12 pixels, two in a photograph of 50 x 40; `cuts` are their pixels.

    There are seven faces of each expression; the first of each is unsure.
    """
    classes = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    columns = ("image", "face_id", "top", "left", "right", "bottom", "confidence", "label")
    options = {"subset": "all", "side": 12, "color": True}
    expw = Release(tmp_path, load_expw, "label/label.lst", columns=columns, **options)
    expw.cuts = []
    for row in range(49):
        top, left = row % 25, 3 * row % 35
        confidence = [60, 12.5, 59.9, 0, 30, 45, 60][row] if row < 7 else 60.01 + row / 2
        name = f"{classes[row // 2 * 2 % 7]}_crowd_{row // 2 * 2}.jpg"
        if row % 2 == 0:
            pixels = expw.write_image(f"image/origin/{name}", noise(row // 2, 40, 50))
            expw.images[name] = pixels
        fields = (name, row % 2, top, left, left + 12, top + 12, confidence, row % 7)
        expw.lines.append(" ".join(map(str, fields)))
        expw.cuts.append(pixels[top : top + 12, left : left + 12].transpose(2, 0, 1))
    photo = expw.fields(20)["image"]
    expw.row, expw.name, expw.lost = 20, f"{photo}, face 0", [13, 14]
    expw.file = f"image/origin/{photo}"
    expw.write_list()
    return expw


@pytest.fixture
def lfw(tmp_path):
    """LFW: two folds, each of two pairs of one person and of two pairs of two persons.

    `images` (12, 3, 50, 50) are in the order of `faces`, of names and numbers.
    """
    lfw = Release(tmp_path, load_lfw_pairs, "pairs.txt", separator="\t", side=50, color=True)
    lfw.header = ["2\t2"]
    lfw.lines = [
        "Abel_Pacheco\t1\t4",
        "Akhmed_Zakayev\t1\t3",
        "Abdel_Madi_Shabneh\t1\tDean_Barker\t1",
        "Akhmed_Zakayev\t3\tDean_Barker\t1",
        "Bob_Hope\t5\t7",
        "Bob_Hope\t7\t10",
        "Eve_Arden\t1\tBob_Hope\t5",
        "Eve_Arden\t2\tYoko_Ono\t3",
    ]
    lfw.faces = [
        *(("Abdel_Madi_Shabneh", 1), ("Abel_Pacheco", 1), ("Abel_Pacheco", 4)),
        *(("Akhmed_Zakayev", 1), ("Akhmed_Zakayev", 3)),
        *(("Bob_Hope", 5), ("Bob_Hope", 7), ("Bob_Hope", 10)),
        *(("Dean_Barker", 1), ("Eve_Arden", 1), ("Eve_Arden", 2), ("Yoko_Ono", 3)),
    ]
    lfw.files = [f"lfw_funneled/{name}/{name}_{number:04d}.jpg" for name, number in lfw.faces]
    pixels = [lfw.write_image(file, noise(seed, 50, 50)) for seed, file in enumerate(lfw.files)]
    lfw.row, lfw.file = 7, lfw.files[-1]
    lfw.name = Path(lfw.file).name
    lfw.images = np.stack(pixels).transpose(0, 3, 1, 2)
    lfw.write_list()
    return lfw


@pytest.fixture(params=["rafdb", "affectnet", "expw", "lfw"])
def any_release(request):
    return request.getfixturevalue(request.param)


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


def write_archive(path, files, folder=""):
    """Write files into a ZIP archive, below a folder."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}{name}", content)


@pytest.fixture
def home_with(data_dir):
    """Function that gives the data home with an owner's file; it skips the test without it."""

    def call(owned):
        if not (data_dir / owned.folder / owned.name).is_file():
            pytest.skip(f"the folder of the data sets has no {owned.folder}/{owned.name}")
        return data_dir

    return call


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a file of OWNERS; its digest is then the right one, and its server this machine."""
    monkeypatch.setattr(_owners, "RETRIES", {"n_retries": 0, "delay": 0})

    def call(name):
        module, entry, reader, files = OWNERS[name]
        owned = getattr(module, entry)
        source = tmp_path / "owner" / owned.name
        if isinstance(files, dict):
            write_archive(source, files, "folder/" if owned.members else "")
        else:
            source.parent.mkdir(exist_ok=True)
            source.write_bytes(files)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        if owned.members:
            digest = _owners.members_digest(source, owned.members)
        url, home = f"file://localhost{source}", tmp_path / "home"
        monkeypatch.setattr(module, entry, owned._replace(url=url, sha256=digest))
        file = home / owned.folder / owned.name
        return SimpleNamespace(
            source=source, url=url, home=home, file=file, reader=reader, sha256=digest, files=files
        )

    return call
