"""LFW: pairs of faces of the same person or of two, to score an identity network."""

import re
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from sklearn_thin.datasets._faces import SHARED, Face, Source
from sklearn_thin.datasets._files import find, inside, parse_entries, read_lines

LFW_FOLDERS = {
    "original": ("lfw",),
    "funneled": ("lfw_funneled", "lfw-funneled"),
    "deepfunneled": ("lfw-deepfunneled", "lfw_deepfunneled"),
}
PAIR_NAMES = ("different persons", "same person")
HOW = (
    "LFW was given out at http://vis-www.cs.umass.edu/lfw/; scikit-learn's fetch_lfw_pairs still "
    "downloads the original and the funneled images to <its data home>/lfw_home."
)
DESCR = """
Labeled Faces in the Wild (LFW): 13,233 photographs of 5,749 people. Huang, Ramesh, Berg,
Learned-Miller: Labeled Faces in the Wild: A Database for Studying Face Recognition in
Unconstrained Environments, University of Massachusetts, Amherst, 2007. `pairs.txt` has ten folds
of 300 pairs of the same person and 300 of two persons, no person in two folds; figures are
reported as the mean over the folds; the threshold of a fold is chosen on the other nine.
"""


@validate_params(
    {
        **SHARED,
        "pairs_file": [str],
        "image_set": [StrOptions(set(LFW_FOLDERS))],
        "box": [tuple, None],
    },
    prefer_skip_nested_validation=True,
)
def load_lfw_pairs(
    path,
    *,
    pairs_file="pairs.txt",
    image_set="funneled",
    box=None,
    side=64,
    color=False,
    on_error="raise",
    n_jobs=None,
    verbose=False,
    return_X_y=False,
):
    """LFW's pairs of faces, each image read once.

    The folder has the layout of the release, or of scikit-learn's `lfw_home`. The first line
    of `pairs.txt` holds the numbers of folds and of pairs of each kind. Its other lines are
    ``name 1 4``, two images of one person, or ``name 1 name 2``. The images are files as
    `lfw_funneled/name/name_0001.jpg`.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the pairs and the images.
    pairs_file : str, default="pairs.txt"
        `pairsDevTrain.txt` and `pairsDevTest.txt`, with a single fold, are read too.
    image_set : {"original", "funneled", "deepfunneled"}, default="funneled"
        The original images, or those that their owners aligned.
    box : tuple of int or None, default=None
        Left, top, right, bottom of the part to cut out of the 250 x 250 pixels; None is all.
        The owners enlarged the detected face by 2.2, so (68, 68, 182, 182) gives it back.
    side : int, default=64
        Height and width in pixels of the returned images.
    color, on_error, n_jobs, verbose
        See :func:`load_rafdb`. A pair is left out if one of its images is.
    return_X_y : bool, default=False
        Return `(images[pairs], target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n_images, side, side) or (n_images, 3, side, side);
        `subject` of shape (n_images,), an index of `subject_names`; `filenames` (n_images,);
        `pairs` of shape (n_pairs, 2), indices into `images`; `target` (n_pairs,), 1 for the
        same person, an index of `target_names`; `fold` (n_pairs,), the groups for
        scikit-learn's LeaveOneGroupOut; `unusable`, as of :func:`load_rafdb`; `DESCR`.
    (pairs of images, target) : tuple
        With `return_X_y=True`, the first of shape (n_pairs, 2, [3,] side, side).

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        As in :func:`load_rafdb`. A file with fewer or more pairs than its first line
        promises is always an error.

    Examples
    --------
    >>> from sklearn_thin.datasets import load_lfw_pairs
    >>> load_lfw_pairs("lfw_home")
    Traceback (most recent call last):
    ...
    FileNotFoundError: LFW: expected pairs.txt in lfw_home, which is no folder. LFW was ...
    """
    check_box(box)
    source = Source(find(path, (pairs_file,), "LFW", HOW), on_error)
    folder = find(path, LFW_FOLDERS[image_set], "LFW", HOW)
    photos = Source(folder, on_error, side=side, color=color, n_jobs=n_jobs, verbose=verbose)
    pairs = parse_pairs(source, folder)
    data = read_pairs(pairs, source, photos, box)
    return (data.images[data.pairs], data.target) if return_X_y else data


def check_box(box):
    """Refuse a tuple that is no box; it would be wrong for every image."""
    if box is None:
        return
    right = len(box) == 4 and all(isinstance(edge, Integral) for edge in box)
    if not (right and box[0] < box[2] and box[1] < box[3]):
        raise ValueError(
            "box must hold left, top, right and bottom in pixels, ints with left < right and top "
            f"< bottom, got {box!r}"
        )


class Pair(NamedTuple):
    """Two images of one person, or of two."""

    fold: int
    same: bool
    images: list  # two paths


def parse_pairs(source, folder):
    """Pairs of a list; reports wrong lines and repeated pairs."""
    (_, first), *lines = read_lines(source.path)
    numbers = re.fullmatch(r"(?:(\d{1,9})\s+)?(\d{1,9})", first)  # a number alone: one fold
    if not numbers:
        raise ValueError(
            f"{source.path} is no list of LFW's pairs: its first line should hold the numbers of "
            f"folds and of pairs of each kind, as '10 300', got {first[:80]!r}"
        )
    n_folds, n_each = int(numbers[1] or 1), int(numbers[2])
    total = 2 * n_folds * n_each
    if len(lines) != total:
        raise ValueError(
            f"{source.path} promises {n_folds} folds of {n_each} + {n_each} pairs in its first "
            f"line, {total} in all, and holds {len(lines)}: it is cut off or mixed; download it "
            "anew"
        )
    entries = [(place, (index, line)) for index, (place, line) in enumerate(lines)]
    seen = set()
    pairs, problems = parse_entries(entries, lambda e: parse_pair(*e, n_each, folder, seen))
    source.report(problems, total)
    return pairs


def parse_pair(index, line, n_each, folder, seen):
    """The pair at `index` of the list, whose images join the pairs `seen`."""
    fold, position = divmod(index, 2 * n_each)
    same = position < n_each  # a fold begins with the pairs of one person
    images = parse_images(line, same, folder)
    if frozenset(images) in seen:
        raise ValueError(f"{line[:80]!r} is listed more than once")
    seen.add(frozenset(images))
    return Pair(fold, same, images)


def parse_images(line, same, folder):
    """Paths of the two images of a line."""
    fields = line.split()
    expected = "expected 'name number number'" if same else "expected 'name number name number'"
    if same:
        fields[2:2] = fields[:1]
    if len(fields) != 4 or not all(re.fullmatch(r"\d{1,9}", number) for number in fields[1::2]):
        raise ValueError(f"{expected}, got {line[:80]!r}")
    persons, numbers = fields[::2], map(int, fields[1::2])
    if not same and persons[0] == persons[1]:
        raise ValueError(f"expected two persons, got {line[:80]!r}")
    images = [
        inside(folder, f"{person}/{person}_{number:04d}.jpg")
        for person, number in zip(persons, numbers, strict=True)
    ]
    if images[0] == images[1]:
        raise ValueError(f"expected two images, got {line[:80]!r}")
    return images


def read_pairs(pairs, source, photos, box):
    """The Bunch: the images of all faces, and the pairs as indices into them."""
    paths = sorted({path for pair in pairs for path in pair.images})
    faces = [Face(path.name, path, path.parent.name, box) for path in paths]
    images, read, problems = photos.read_images(faces)
    index = {face.path: position for position, face in enumerate(read)}
    usable = [pair for pair in pairs if index.keys() >= set(pair.images)]
    photos.report(problems, len(faces), f", and with them {len(pairs) - len(usable)} pairs")
    target = np.array([pair.same for pair in usable], dtype=np.int64)
    source.check_classes(target, PAIR_NAMES)
    subject_names, subject = np.unique([face.target for face in read], return_inverse=True)
    return Bunch(
        images=images,
        subject=subject,
        subject_names=subject_names,
        filenames=np.array([str(face.path) for face in read]),
        pairs=np.array([[index[path] for path in pair.images] for pair in usable]),
        target=target,
        target_names=np.array(PAIR_NAMES),
        fold=np.array([pair.fold for pair in usable]),
        unusable=source.unusable + photos.unusable,
        DESCR=f"{DESCR.strip()}\n\nRead here: {len(usable):,} pairs of {len(read):,} images.\n",
    )
