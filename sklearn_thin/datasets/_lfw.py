"""LFW: pairs of faces of the same person or of two, to score an identity network."""

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from sklearn_thin.datasets._faces import (
    SHARED,
    check_classes,
    find,
    read_images,
    read_lines,
    report,
)

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
reported as the mean over the folds, thresholds being chosen on the other nine.
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

    The layout is that of the release, and that of scikit-learn's `lfw_home`: `pairs.txt`,
    whose first line holds the number of folds and of pairs of each kind, and whose other
    lines are ``name 1 4`` (images of one person) or ``name 1 name 2``; and the images, as
    `lfw_funneled/name/name_0001.jpg`.

    Parameters
    ----------
    path : str or path-like
        The folder that holds both.
    pairs_file : str, default="pairs.txt"
        `pairsDevTrain.txt` and `pairsDevTest.txt`, with a single fold, are read too.
    image_set : {"original", "funneled", "deepfunneled"}, default="funneled"
        The images as found, or as aligned by their owners.
    box : tuple of int or None, default=None
        Left, top, right, bottom of what is cut out of the 250 x 250 pixels; None is all.
        The owners enlarged the detected face by 2.2, so (68, 68, 182, 182) gives it back.
    side : int, default=64
        Height and width in pixels of the images that come back.
    color, on_error, n_jobs, verbose
        As in :func:`load_rafdb`. A pair goes where one of its images does.
    return_X_y : bool, default=False
        Return `(images[pairs], target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n_images, side, side) or (n_images, 3, side, side);
        `subject` of shape (n_images,), an index of `subject_names`; `filenames` (n_images,);
        `pairs` of shape (n_pairs, 2), indices into `images`; `target` (n_pairs,), 1 for the
        same person, an index of `target_names`; `fold` (n_pairs,), to be passed as groups
        to scikit-learn's LeaveOneGroupOut; `unusable`, as of :func:`load_rafdb`; `DESCR`.
    (pairs of images, target) : tuple
        With `return_X_y=True`, the first of shape (n_pairs, 2, [3,] side, side).

    Raises
    ------
    FileNotFoundError
        Where the pairs or the images are missing: what, where, and how to get it.
    ValueError
        For a file that holds less or more pairs than its first line says, and for entries
        that cannot be used, named and counted, unless `on_error="warn"`.
    ImportError
        Without Pillow, which comes with the extra `vision`.

    Examples
    --------
    >>> from sklearn_thin.datasets import load_lfw_pairs
    >>> load_lfw_pairs("lfw_home")
    Traceback (most recent call last):
    ...
    FileNotFoundError: LFW: expected pairs.txt in lfw_home, which is no folder. LFW was ...
    """
    check_box(box)
    source = find(path, (pairs_file,), "LFW", HOW)
    folder = find(path, LFW_FOLDERS[image_set], "LFW", HOW)
    pairs, problems, total = parse_pairs(source)
    report(problems, source, total, on_error)
    options = {"side": side, "color": color, "n_jobs": n_jobs, "verbose": verbose}
    data = read_pairs(pairs, source, folder, box, on_error, options)
    data.unusable = problems + data.unusable
    return (data.images[data.pairs], data.target) if return_X_y else data


def check_box(box):
    """Refuse what is no box, which would be wrong with every image."""
    if box is None:
        return
    right = len(box) == 4 and all(isinstance(edge, Integral) for edge in box)
    if not (right and box[0] < box[2] and box[1] < box[3]):
        raise ValueError(
            "box must hold left, top, right and bottom in pixels, ints with left < right and top "
            f"< bottom, got {box!r}"
        )


def parse_pairs(path):
    """Pairs as (fold, same, (name, number), (name, number)), problems, and pairs promised."""
    (_, first), *lines = read_lines(path)
    numbers = first.split()
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise ValueError(
            f"{path} is no list of LFW's pairs: its first line should hold the numbers of folds "
            f"and of pairs of each kind, as '10 300', got {first!r}"
        )
    n_folds, n_each = map(int, ["1", *numbers][-2:])  # one number: a single fold
    total = 2 * n_folds * n_each
    if len(lines) != total:
        raise ValueError(
            f"{path} promises {n_folds} folds of {n_each} + {n_each} pairs in its first line, "
            f"{total} in all, and holds {len(lines)}: it is cut off or mixed; download it anew"
        )
    pairs, problems, seen = [], [], set()
    for index, (number, line) in enumerate(lines):
        fold, place = divmod(index, 2 * n_each)
        faces = parse_pair(line, place < n_each)
        if isinstance(faces, str):
            problems.append(f"line {number}: {faces}, got {line.strip()[:80]!r}")
        elif frozenset(faces) in seen:
            problems.append(f"line {number}: {line.strip()[:80]!r} is listed more than once")
        else:
            seen.add(frozenset(faces))
            pairs.append((fold, place < n_each, *faces))
    return pairs, problems, total


def parse_pair(line, same):
    """The two images, each (name, number), of a line; or what was expected of it."""
    fields = line.split()
    expected = "expected 'name number number'" if same else "expected 'name number name number'"
    if len(fields) != (3 if same else 4):
        return expected
    first, last = fields[:2], [fields[0], fields[2]] if same else fields[2:]
    if not (first[1].isdecimal() and last[1].isdecimal()):
        return expected
    faces = (first[0], int(first[1])), (last[0], int(last[1]))
    if same and faces[0] == faces[1]:
        return "expected two images"
    if not same and first[0] == last[0]:
        return "expected two persons"
    return faces


def read_pairs(pairs, source, folder, box, on_error, options):
    """The Bunch: images of all faces, then the pairs as indices into them."""
    faces = sorted({face for pair in pairs for face in pair[2:]})
    paths = [folder / name / f"{name}_{number:04d}.jpg" for name, number in faces]
    images, unread = read_images(paths, [box] * len(faces), **options)
    problems = [f"{paths[index].name}: {reason}" for index, reason in unread.items()]
    kept = [index for index in range(len(faces)) if index not in unread]
    place = {faces[index]: position for position, index in enumerate(kept)}
    usable = [pair for pair in pairs if pair[2] in place and pair[3] in place]
    along = f", and with them {len(pairs) - len(usable)} pairs"
    report(problems, folder, len(faces), on_error, along, stacklevel=5)
    target = np.array([same for _, same, *_ in usable], dtype=np.int64)
    check_classes(target, PAIR_NAMES, source, on_error, stacklevel=5)
    names = [faces[index][0] for index in kept]
    subject_names, subject = np.unique(names, return_inverse=True)
    return Bunch(
        images=images,
        subject=subject,
        subject_names=subject_names,
        filenames=np.array([str(paths[index]) for index in kept]),
        pairs=np.array([[place[one], place[other]] for _, _, one, other in usable]),
        target=target,
        target_names=np.array(PAIR_NAMES),
        fold=np.array([fold for fold, *_ in usable]),
        unusable=problems,
        DESCR=f"{DESCR.strip()}\n\nRead here: {len(usable):,} pairs of {len(kept):,} images.\n",
    )
