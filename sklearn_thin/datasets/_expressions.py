"""Expressions of the LFW people, with their identity: the exogenous variable of the paper."""

import hashlib

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from sklearn_thin.datasets._faces import SHARED, describe, first_few
from sklearn_thin.datasets._files import find_file, read_npz
from sklearn_thin.datasets._selection import SPLIT, split_by_subject

EXPRESSIONS = ("anger", "happiness", "neutral", "sadness", "surprise")
FILE = "expressions_in_the_wild.npz"
HOW = (
    "It is a NumPy archive of the arrays images (n, height, width) of uint8, expression (n,) of "
    f"{', '.join(EXPRESSIONS)}, and subject (n,) of int, the identity. numpy.savez writes it from "
    "any labelled faces."
)
DESCR = """
Facial expressions in the wild: gray crops of the faces in photographs of 4,479 people (those
of LFW), labelled by hand. The expression is the class, the identity the exogenous variable.
Most people have one or two images, 156 have eight or more; neutral and happiness are frequent,
the others rare. Split by subject, never by image.
"""


@validate_params(
    {
        "path": SHARED["path"],
        "subset": [StrOptions({"all", "train", "test", "encoder"})],
        **SPLIT,
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_expressions(
    path,
    *,
    subset="all",
    min_images=8,
    test_size=0.25,
    random_state=0,
    return_X_y=False,
):
    """Facial expressions in the wild, with the identity of each face.

    Parameters
    ----------
    path : str or path-like
        The file `expressions_in_the_wild.npz`, or the folder that holds it.
    subset : {"all", "train", "test", "encoder"}, default="all"
        A part of the split of :func:`split_by_subject` with the parameters below. Subjects of
        "test" are in no other part. "encoder" is a part of "train": people with enough images
        to learn their identity. Subjects who share an image count as one subject.
    min_images, test_size, random_state
        See :func:`split_by_subject`. Parts belong to one split if all are loaded with the
        same values and an int as `random_state`.
    return_X_y : bool, default=False
        Return `(images, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n_samples, height, width), in the file (10,206, 64, 64);
        `target` (n_samples,), an index of `target_names` (5,); `subject` (n_samples,), the
        identity; `index` (n_samples,), rows of the file; `repeated` (n_repeated, 2), rows of
        the file with the same pixels under two identities; `filename`; `DESCR`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        For a missing file; the error explains how to get it.
    ValueError
        For a file that is truncated or corrupt, lacks an array, or unpacks to more than
        4.3 GB. Also for unknown expressions, blank images, repeated rows, images with two
        expressions, and empty classes; the error names and counts the rows.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_thin.datasets import load_expressions
    >>> rng = np.random.RandomState(0)
    >>> faces = {
    ...     "images": rng.randint(256, size=(200, 8, 8)).astype(np.uint8),
    ...     "expression": rng.choice(["anger", "happiness", "neutral", "sadness", "surprise"], 200),
    ...     "subject": np.r_[np.repeat([0, 1, 2], 10), np.arange(3, 173)],
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/expressions_in_the_wild.npz", **faces)
    ...     train = load_expressions(folder, subset="train")
    ...     test = load_expressions(folder, subset="test")
    >>> len(train.images) + len(test.images), set(train.subject) & set(test.subject)
    (200, set())
    """
    file = find_file(path, FILE, "expressions", HOW)
    names = ("images", "expression", "subject")
    images, expression, subject = read_npz(file, names, are_faces, "copy it anew", HOW)
    repeated = check_rows(images, expression, subject, file)
    target = np.searchsorted(EXPRESSIONS, expression)
    index = np.arange(len(images))
    if subset != "all":
        options = {"min_images": min_images, "test_size": test_size, "random_state": random_state}
        index = split_by_subject(join_subjects(subject, repeated), target, **options)[subset]
        images, target, subject = images[index], target[index], subject[index]
    if return_X_y:
        return images, target
    data = Bunch(images=images, target=target, target_names=np.array(EXPRESSIONS), subject=subject)
    data.update(index=index, repeated=repeated, filename=str(file), DESCR=describe(DESCR, data))
    return data


def are_faces(images, expression, subject):
    """Whether the arrays have the shapes and types of labelled faces."""
    right = images.ndim == 3 and images.dtype == np.uint8 and images.size > 0
    right = right and expression.shape == subject.shape == (len(images),)
    return right and expression.dtype.kind == "U" and subject.dtype.kind in "iu"


def check_rows(images, expression, subject, file):
    """Refuse impossible rows; return the rows that share an image, (n_repeated, 2)."""
    unknown = np.flatnonzero(~np.isin(expression, EXPRESSIONS))
    blank = np.ptp(images, axis=(1, 2)) == 0  # (n,)
    problems = [f"row {row}: unknown expression {str(expression[row])!r}" for row in unknown]
    problems += [f"row {row}: blank image" for row in np.flatnonzero(blank)]
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    _, index, codes = np.unique(digests, return_index=True, return_inverse=True)
    firsts = index[codes]  # (n,), the first row with the image of each row
    rows = np.flatnonzero((firsts < np.arange(len(images))) & ~blank)
    repeated = np.stack([firsts[rows], rows], axis=1)
    of_image = {}  # first row of an image and subject -> row
    for first, row in repeated:
        of_image.setdefault((first, subject[first]), first)
        same = of_image.setdefault((first, subject[row]), row)
        if same != row:
            problems.append(f"row {row}: repeats row {same}")
        elif expression[first] != expression[row]:
            problems.append(f"row {row}: has the image of row {first}, but another expression")
    if problems:
        raise ValueError(
            f"{file}: {len(problems)} of {len(images)} rows cannot be right: "
            f"{first_few(problems)}. Mend the file."
        )
    empty = sorted(set(EXPRESSIONS) - set(expression.tolist()))
    if empty:
        raise ValueError(f"{file}: no image of {', '.join(empty)}, expected some of every class")
    return repeated


def join_subjects(subject, repeated):
    """Subjects; those who share an image get one number, or a split would leak it."""
    joined = subject.copy()
    for first, row in repeated:
        joined[joined == joined[row]] = joined[first]
    return joined
