"""Labelled faces: their images are read, and unusable entries are reported by name."""

import os
import warnings
from collections import Counter
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_thin.datasets._files import parse_entries

FORMATS = ("BMP", "JPEG", "PNG", "TIFF")  # of images in the releases
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")  # 8 bits at most
LONGEST_EDGE = 2**16  # pixels; no photograph is as wide
N_SHOWN = 5  # entries that a message names; it only counts the others
STACKLEVEL = 5  # warn <- report <- its caller <- loader <- validate_params <- the user's call
SHARED = {  # constraints of the parameters that all readers of folders have
    "path": [str, os.PathLike],
    "side": [Interval(Integral, 1, None, closed="left")],
    "color": ["boolean"],
    "on_error": [StrOptions({"raise", "warn"})],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
    "return_X_y": ["boolean"],
}


class Face(NamedTuple):
    """A face in an image file, with its label."""

    name: str  # in messages
    path: Path
    target: int | str
    box: tuple | None = None  # left, top, right, bottom in pixels; None is the whole image
    extra: dict | None = None  # becomes arrays of the Bunch


@dataclass
class Source:
    """A list or folder of faces, read with the options of a loader.

    Unusable entries raise an error or a warning, by `on_error`.
    """

    path: Path  # messages name it
    on_error: str
    side: int | None = None
    color: bool = False
    n_jobs: int | None = None
    verbose: bool = False
    unusable: list = field(default_factory=list)  # "name: reason" of entries left out
    empty: list = field(default_factory=list)  # classes that a warning has named

    def report(self, problems, total, along=""):
        """Raise an error for problems, "name: reason", among `total` entries, or warn of them.

        `along` closes the warning; it names further data that are left out.
        """
        if not problems:
            return
        text = f"{self.path}: {len(problems)} of {total} entries cannot be used: "
        text += f"{first_few(problems)}."
        if self.on_error == "raise":
            raise ValueError(f"{text} Restore them, or leave them out with on_error='warn'.")
        self.unusable += problems
        text += f" They are left out{along}"
        if len(problems) > N_SHOWN:
            text += "; `unusable` of the Bunch (return_X_y=False) names them all"
        warnings.warn(f"{text}.", UserWarning, stacklevel=STACKLEVEL)

    def check_classes(self, target, target_names):
        """Report classes without an entry, each once; no entry at all is an error."""
        if not len(target):
            raise ValueError(
                f"{self.path}: nothing is left to load, expected entries of every class"
            )
        counts = np.bincount(target, minlength=len(target_names))
        empty = [str(name) for name, count in zip(target_names, counts, strict=True) if not count]
        if set(empty) <= set(self.empty):
            return
        self.empty = empty
        text = f"{self.path}: {len(empty)} of {len(counts)} classes are empty: {', '.join(empty)}."
        if self.on_error == "raise":
            raise ValueError(f"{text} Restore the files, or go on without with on_error='warn'.")
        warnings.warn(text, UserWarning, stacklevel=STACKLEVEL)

    def parse_faces(self, entries, parse, problems=()):
        """Faces that `parse` makes of the entries, each name once; reports the other entries.

        Further `problems` are reported in the same message.
        """
        faces, wrong = parse_entries(entries, parse)
        kept = {}
        for face in faces:
            first = kept.setdefault(face.name, face)
            if first is not face:
                other = "" if first.target == face.target else ", with another label"
                wrong.append(f"{face.name}: listed more than once{other}")
        wrong += problems
        self.report(wrong, len(kept) + len(wrong))
        return list(kept.values())

    def read_images(self, faces):
        """Images of the faces, the faces that could be read, and problems of the others.

        The images are uint8 of shape (n_read, side, side) or (n_read, 3, side, side).
        """
        from tqdm import tqdm

        pillow = import_pillow()  # raises before any work if Pillow is absent
        if self.on_error == "raise":  # a missing file is noticed before the others are read
            gone = [face for face in faces if not os.path.isfile(face.path)]
            gone = [f"{face.name}: No such file: {face.path}" for face in gone]
            self.report(gone, len(faces))
        shape = (3, self.side, self.side) if self.color else (self.side, self.side)
        images = np.empty((len(faces), *shape), dtype=np.uint8)
        read, problems = [], []
        with warnings.catch_warnings():
            # Pillow warns of huge images without the file's name; read_image refuses them
            warnings.simplefilter("ignore", pillow.DecompressionBombWarning)
            # threads suffice: Pillow decodes and resizes outside the interpreter's lock
            results = Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")(
                delayed(read_image)(face.path, face.box, self.side, self.color) for face in faces
            )
            progress = tqdm(results, total=len(faces), disable=not self.verbose, unit=" images")
            for face, result in zip(faces, progress, strict=True):
                if isinstance(result, str):
                    problems.append(f"{face.name}: {result}")
                else:
                    images[len(read)] = result  # without gaps, which would cost a copy
                    read.append(face)
        return images[: len(read)], read, problems

    def read_faces(self, faces, target_names, description, **more):
        """A loader's Bunch of the faces, with their `extra` and `more`; reports the unreadable."""
        self.check_classes([face.target for face in faces], target_names)
        images, read, problems = self.read_images(faces)
        self.report(problems, len(faces))
        target = np.array([face.target for face in read], dtype=np.int64)
        self.check_classes(target, target_names)
        data = Bunch(
            images=images,
            target=target,
            target_names=np.array(target_names),
            filenames=np.array([str(face.path) for face in read]),
            unusable=self.unusable,
            **{key: np.array([face.extra[key] for face in read]) for key in read[0].extra or ()},
            **more,
        )
        data.DESCR = describe(description, data)
        return data


def import_pillow():
    """Pillow's `Image` module, or an ImportError with the command that installs Pillow."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Pillow reads the images and is not installed: pip install 'sklearn-thin[vision]'"
        ) from error
    return Image


def pixel_box(box, size):
    """A box rounded to pixels; a ValueError if it is empty or outside an image of `size`."""
    if not max(map(abs, box)) <= LONGEST_EDGE:
        raise ValueError(f"the box of the face reaches more than {LONGEST_EDGE} pixels far")
    left, top, right, bottom = (round(edge) for edge in box)
    if left >= right or top >= bottom:
        raise ValueError(f"the box {left, top, right, bottom} of the face is empty")
    if left >= size[0] or top >= size[1] or right <= 0 or bottom <= 0:
        raise ValueError(f"the box {left, top, right, bottom} is outside the image of {size}")
    return left, top, right, bottom


def check_pixels(part, size, most):
    """Refuse a `part` whose size, width and height, has more pixels than Pillow's limit."""
    if most is not None and size[0] * size[1] > most:
        raise ValueError(
            f"{part} has {size[0]} x {size[1]} pixels, more than the {most} of Pillow's "
            "Image.MAX_IMAGE_PIXELS"
        )


def check_image(file, most):
    """Refuse a huge image, other pixels than `MODES`, and frames; no pixel is read yet."""
    check_pixels("the image", file.size, most)
    if file.mode not in MODES:  # convert cuts 16 bits off at 255, and mistakes LAB for RGB
        raise ValueError(f"its pixels are of mode {file.mode}, not of 8 bits; convert them to RGB")
    # cameras store previews behind the photograph as further frames
    if getattr(file, "is_animated", False) and file.format != "MPO":
        raise ValueError("it holds more than one image; save a single one")


def read_image(path, box, side, color):
    """One image as uint8 of shape (side, side) or (3, side, side), or the reason against it.

    The box is cut out; its part outside the image is black. A bilinear interpolation with
    antialiasing resizes it to a square, whatever its own proportions.
    """
    pillow = import_pillow()
    if not os.path.isfile(path):  # a pipe would block
        return f"No such file: {path}"
    try:
        with pillow.open(path, formats=FORMATS) as file:
            check_image(file, pillow.MAX_IMAGE_PIXELS)
            image = file.convert("RGB" if color else "L")
        if box is not None:
            left, top, right, bottom = box = pixel_box(box, image.size)
            check_pixels("the face's box", (right - left, bottom - top), pillow.MAX_IMAGE_PIXELS)
            image = image.crop(box)
        image = image.resize((side, side), pillow.Resampling.BILINEAR)
    except MemoryError:  # the file may be whole
        raise
    except pillow.UnidentifiedImageError:
        return f"cannot identify image file as {', '.join(FORMATS)}"
    except Exception as error:  # decoders raise any type on a broken file
        return str(error)[:200] or type(error).__name__
    array = np.asarray(image)  # (H, W) or (H, W, 3)
    return array.transpose(2, 0, 1) if color else array


def first_few(entries):
    """The first entries in one line, and the number of the others."""
    more = f"; and {len(entries) - N_SHOWN} more" if len(entries) > N_SHOWN else ""
    return "; ".join(entries[:N_SHOWN]) + more


def describe(text, data):
    """A data set's description, closed by the number of images of each class."""
    counts = Counter(data.target_names[data.target].tolist())
    listed = ", ".join(f"{name} {counts[name]:,}" for name in data.target_names.tolist())
    return f"{text.strip()}\n\nRead here: {len(data.target):,} images ({listed}).\n"
