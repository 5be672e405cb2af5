"""What the readers of files share: finding files, reading images, naming what is wrong."""

import os
import warnings
from collections import Counter
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.lib.npyio import NpzFile
from sklearn.utils import Bunch, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions

N_SHOWN = 5  # entries that a message names before it only counts
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
    """One labelled face: its name in messages, where it is, and what else its row says."""

    name: str
    path: Path
    target: int
    box: tuple | None  # left, top, right, bottom in pixels; None is the whole image
    extra: dict  # becomes arrays of the Bunch


def import_pillow():
    """Pillow's `Image` module, or an ImportError that says how to install it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Pillow reads the images and is not installed: pip install 'sklearn-thin[vision]'"
        ) from error
    return Image


def find(folder, candidates, data, how):
    """The first of `candidates`, paths relative to `folder`, that exists.

    Raises
    ------
    FileNotFoundError
        Naming what was looked for, where, and `how` to get it.
    """
    folder = Path(folder).expanduser()
    for candidate in candidates:
        if (folder / candidate).exists():
            return folder / candidate
    where = f"the folder {folder}" if folder.is_dir() else f"{folder}, which is no folder"
    raise FileNotFoundError(f"{data}: expected {' or '.join(candidates)} in {where}. {how}")


def read_lines(path):
    """The lines of a text file, numbered from 1, without the empty ones.

    Raises
    ------
    ValueError
        For a file that is empty or no text, naming it.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text file ({error}); download or unpack it anew") from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise ValueError(f"{path} is empty; download or unpack it anew")
    return numbered


def read_npz(file, names, anew, how):
    """Arrays of a NumPy archive, in the order of `names`.

    Parameters
    ----------
    file : Path
    names : tuple of str
    anew : str
        What to do about a broken file, as "download it anew".
    how : str
        What such a file holds, or how to get it.

    Raises
    ------
    ValueError
        For a file that is truncated, corrupt or without an array, naming it.
    OSError, MemoryError
        Where the file cannot be opened, or has no room in memory: it can be whole.
    """
    with file.open("rb") as content:  # here, since np.load leaves a broken archive open
        try:
            archive = np.load(content)
            if not isinstance(archive, NpzFile):
                raise ValueError("it is no archive of arrays")
            with archive:
                missing = [name for name in names if name not in archive]
                arrays = [archive[name] for name in names if name not in missing]
        except MemoryError:
            raise
        except Exception as error:  # NumPy and zipfile raise a dozen kinds on a broken file
            if "Object arrays" in str(error):
                raise ValueError(
                    f"{file} holds Python objects, which are not read: save its texts by "
                    "`.astype(str)`"
                ) from error
            raise ValueError(f"{file} is truncated or corrupt ({error}); {anew}") from error
    if missing:
        raise ValueError(f"{file} lacks {', '.join(missing)}. {how}")
    return arrays


def list_arrays(names, arrays):
    """Name, shape and type of each array, for messages."""
    pairs = zip(names, arrays, strict=True)
    return ", ".join(f"{name} {array.shape} of {array.dtype}" for name, array in pairs)


def count_labels(name, values):
    """Labels as an array (n,), the code of each, (n,), and how often each code comes.

    Raises
    ------
    ValueError
        For labels that are missing or cannot be sorted: as one more label, "unknown" would
        be a single person, or a class.
    """
    values = column_or_1d(np.asarray(values))  # an array first, which keeps pandas' NA
    expected = f"expected {name} to be all texts or all numbers, none of them missing"
    try:
        labels, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    except TypeError as error:
        raise ValueError(f"{expected}; they cannot be sorted ({error})") from error
    missing = np.flatnonzero((labels != labels)[codes])  # NaN and NaT differ from themselves
    if len(missing):
        raise ValueError(f"{expected}; {len(missing)} are, the first in row {missing[0]}")
    return values, codes, counts


def first_few(entries):
    """The first entries in one line, and how many more there are."""
    more = f"; and {len(entries) - N_SHOWN} more" if len(entries) > N_SHOWN else ""
    return "; ".join(entries[:N_SHOWN]) + more


def report(problems, source, total, on_error, along="", stacklevel=4):
    """Raise a ValueError that names and counts the problems, or warn of them.

    Parameters
    ----------
    problems : list of str
        "name: reason", one an entry that cannot be used.
    source : path
        The file or folder they come from.
    total : int
        Entries there.
    on_error : "raise" or "warn"
    along : str, default=""
        What else is left out with them.
    stacklevel : int, default=4
        Of the user's call: that of a loader which calls this.
    """
    if not problems:
        return
    text = f"{source}: {len(problems)} of {total} entries cannot be used: {first_few(problems)}."
    if on_error == "raise":
        raise ValueError(f"{text} Restore them, or leave them out with on_error='warn'.")
    named = (
        "; `unusable` of the Bunch (return_X_y=False) names them all"
        if len(problems) > N_SHOWN
        else ""
    )
    warnings.warn(f"{text} They are left out{along}{named}.", UserWarning, stacklevel=stacklevel)


def check_classes(target, target_names, source, on_error, known=(), stacklevel=4):
    """Report classes without an entry, but for those `known`; no entry at all is an error.

    Returns
    -------
    list of str
        All of these classes.
    """
    if not len(target):
        raise ValueError(f"{source}: nothing is left to load, expected entries of every class")
    counts = np.bincount(target, minlength=len(target_names))
    empty = [str(name) for name, count in zip(target_names, counts, strict=True) if not count]
    if set(empty) <= set(known):
        return empty
    text = f"{source}: {len(empty)} of {len(counts)} classes are empty: {', '.join(empty)}."
    if on_error == "raise":
        raise ValueError(f"{text} Restore the files, or go on without with on_error='warn'.")
    warnings.warn(text, UserWarning, stacklevel=stacklevel)
    return empty


def split_repeats(faces):
    """Faces whose name comes for the first time, and problems that name the others."""
    kept, problems = {}, []
    for face in faces:
        first = kept.setdefault(face.name, face)
        if first is not face:
            other = "" if first.target == face.target else ", with another label"
            problems.append(f"{face.name}: listed more than once{other}")
    return list(kept.values()), problems


def pixel_box(box, size):
    """A box rounded to pixels; refused where it is empty or beside an image of `size`."""
    left, top, right, bottom = (round(edge) for edge in box)
    if left >= right or top >= bottom:
        raise ValueError(f"the box {left, top, right, bottom} of the face is empty")
    if left >= size[0] or top >= size[1] or right <= 0 or bottom <= 0:
        raise ValueError(f"the box {left, top, right, bottom} is outside the image of {size}")
    return left, top, right, bottom


def read_image(path, box, side, color):
    """One image as uint8 of shape (side, side) or (3, side, side), or why it cannot be read.

    The box is cut out (what lies outside the image is black), then resized bilinearly, with
    antialiasing, to a square, whatever its own proportions.
    """
    pillow = import_pillow()
    try:
        with pillow.open(path) as file:
            if file.mode.startswith(("I", "F")):  # which convert would cut off at 255
                return f"its pixels are of mode {file.mode}, not of 8 bits; convert them"
            image = file.convert("RGB" if color else "L")
        if box is not None:
            image = image.crop(pixel_box(box, image.size))
        image = image.resize((side, side), pillow.Resampling.BILINEAR)
    except MemoryError:  # says nothing about the file
        raise
    except Exception as error:  # decoders raise whatever they like on a broken file
        return str(error) or type(error).__name__
    array = np.asarray(image)  # (H, W) or (H, W, 3)
    return array.transpose(2, 0, 1) if color else array


def read_images(paths, boxes, *, side, color, n_jobs, verbose):
    """The images that can be read, and why the others cannot.

    Returns
    -------
    images : uint8 ndarray of shape (n_read, side, side) or (n_read, 3, side, side)
        In the order of `paths`.
    unread : dict
        From the index of a path to the reason.
    """
    from tqdm import tqdm

    import_pillow()  # missed here, before any work
    shape = (3, side, side) if color else (side, side)
    images = np.empty((len(paths), *shape), dtype=np.uint8)
    # threads are enough: Pillow decodes and resizes outside the interpreter's lock
    results = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(read_image)(path, box, side, color) for path, box in zip(paths, boxes, strict=True)
    )
    unread = {}
    progress = tqdm(results, total=len(paths), disable=not verbose, unit=" images")
    for index, result in enumerate(progress):
        if isinstance(result, str):
            unread[index] = result
        else:
            images[index - len(unread)] = result  # closed up, so that no copy is needed
    return images[: len(paths) - len(unread)], unread


def read_faces(faces, source, target_names, on_error, **options):
    """A Bunch of the images and labels of `faces`, those unread reported.

    Returns
    -------
    Bunch
        `images`, `target`, `target_names`, `filenames` and an array for each `extra` of
        the faces; with `on_error="warn"` of those faces alone that could be read, the others
        being named in `unusable`.
    """
    level = {"stacklevel": 5}  # of the call of the loader that calls this
    target = [face.target for face in faces]
    empty = check_classes(target, target_names, source, on_error, **level)
    if on_error == "raise":  # before the others are read
        gone = [
            f"{face.name}: No such file: {face.path}" for face in faces if not face.path.is_file()
        ]
        report(gone, source, len(faces), on_error)
    paths, boxes = [face.path for face in faces], [face.box for face in faces]
    images, unread = read_images(paths, boxes, **options)
    problems = [f"{faces[index].name}: {reason}" for index, reason in unread.items()]
    report(problems, source, len(faces), on_error, **level)
    if unread:
        faces = [face for index, face in enumerate(faces) if index not in unread]
        target = [face.target for face in faces]
        check_classes(target, target_names, source, on_error, known=empty, **level)
    return Bunch(
        images=images,
        target=np.array(target, dtype=np.int64),
        target_names=np.array(target_names),
        filenames=np.array([str(face.path) for face in faces]),
        unusable=problems,
        **{key: np.array([face.extra[key] for face in faces]) for key in faces[0].extra},
    )


def describe(text, data):
    """A data set's description, closed by what was read of it: faces in each class."""
    counts = Counter(data.target_names[data.target].tolist())
    listed = ", ".join(f"{name} {counts[name]:,}" for name in data.target_names.tolist())
    return f"{text.strip()}\n\nRead here: {len(data.target):,} images ({listed}).\n"
