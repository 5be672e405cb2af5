"""Expressions of the LFW people, their identity beside: the exogenous variable of the paper."""

import hashlib
from fractions import Fraction
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import Bunch, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions, validate_params

from sklearn_thin.datasets._faces import (
    SHARED,
    count_labels,
    describe,
    first_few,
    list_arrays,
    read_npz,
)

EXPRESSIONS = ("anger", "happiness", "neutral", "sadness", "surprise")
FILE = "expressions_in_the_wild.npz"
HOW = (
    "It is a NumPy archive of the arrays images (n, height, width) of uint8, expression (n,) of "
    f"{', '.join(EXPRESSIONS)}, and subject (n,) of int, the identity; numpy.savez writes one "
    "from any labelled faces."
)
DESCR = """
Facial expressions in the wild: gray crops of the faces in photographs of 4,479 people (those
of LFW), labelled by hand. The expression is the class, the identity the exogenous variable.
Most people have one or two images, 156 have eight or more; neutral and happiness are frequent,
the others rare. Split by subject, never by image.
"""
SPLIT = {  # constraints of the parameters of the split
    "min_images": [Interval(Integral, 1, None, closed="left")],
    "test_size": [Interval(RealNotInt, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}


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
        A part of the split that :func:`split_by_subject` makes with the parameters below.
        Subjects of "test" are in no other part; "encoder", a part of "train", has the images
        of those who have enough of them to learn their identity. Subjects who share an
        image count as one here.
    min_images, test_size, random_state
        As in :func:`split_by_subject`. The parts fit together where all are loaded with the
        same values, `random_state` being an int.
    return_X_y : bool, default=False
        Return `(images, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n_samples, height, width), in the file (10,206, 64, 64);
        `target` (n_samples,), an index of `target_names` (5,); `subject` (n_samples,), the
        identity; `index` (n_samples,), rows of the file; `repeated` (n_repeated, 2), rows of
        the file that hold the same pixels under two identities; `filename`; `DESCR`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        Where there is no such file: what was looked for, where, and how to get it.
    ValueError
        For a file that is truncated, corrupt or without an array; and, named and counted,
        for unknown expressions, blank images, rows that come twice, images with two
        expressions, and classes without an image.

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
    file = find_archive(path)
    images, expression, subject = read_archive(file)
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


def find_archive(path):
    """The archive that a file's or a folder's path means."""
    path = Path(path).expanduser()
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"expressions: expected the file {file}, which is not there. {HOW}")
    return file


def read_archive(file):
    """Images, expressions and subjects of an archive, their shapes and types checked."""
    names = ("images", "expression", "subject")
    arrays = read_npz(file, names, "copy it anew", HOW)
    images, expression, subject = arrays
    right = images.ndim == 3 and images.dtype == np.uint8 and images.size > 0
    right = right and expression.shape == subject.shape == (len(images),)
    if not (right and expression.dtype.kind == "U" and subject.dtype.kind in "iu"):
        raise ValueError(f"{file} holds {list_arrays(names, arrays)}. {HOW}")
    return images, expression, subject


def check_rows(images, expression, subject, file):
    """Refuse rows that cannot be right; return those that share an image, (n_repeated, 2)."""
    unknown = np.flatnonzero(~np.isin(expression, EXPRESSIONS))
    blank = np.flatnonzero(np.ptp(images, axis=(1, 2)) == 0)
    problems = [f"row {row}: unknown expression {str(expression[row])!r}" for row in unknown]
    problems += [f"row {row}: blank image" for row in blank]
    repeated = repeated_images(images, skip=set(blank.tolist()))
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
    return np.array(repeated, dtype=np.int64).reshape(-1, 2)


def repeated_images(images, skip):
    """Pairs (first row, later row) of equal images."""
    first, pairs = {}, []
    for row, image in enumerate(images):
        if row not in skip:
            earlier = first.setdefault(hashlib.sha256(image.tobytes()).digest(), row)
            if earlier != row:
                pairs.append((earlier, row))
    return pairs


def join_subjects(subject, repeated):
    """Subjects, those who share an image under one number: else a split would leak it."""
    joined = subject.copy()
    for first, row in repeated:
        joined[joined == joined[row]] = joined[first]
    return joined


@validate_params(
    {"subject": ["array-like"], "target": ["array-like"], **SPLIT},
    prefer_skip_nested_validation=True,
)
def split_by_subject(subject, target, *, min_images=8, test_size=0.25, random_state=0):
    """Split images so that a test shows how a model does on people it never saw.

    People with many images teach the identity encoder, and are never tested. The others are
    dealt into folds by scikit-learn's StratifiedGroupKFold, which keeps the images of a
    person together and the classes in proportion; as many folds as come nearest to
    `test_size` are for testing, at least a twentieth. Call it again on the training part for a
    validation part.

    Parameters
    ----------
    subject : array-like of shape (n_samples,)
        Identity of the face.
    target : array-like of shape (n_samples,)
        Class of the image.
    min_images : int, default=8
        Images from which on a person's identity is learned.
    test_size : float, default=0.25
        Share of all the images that is for testing, nearly: folds hold whole persons. In
        `expressions_in_the_wild.npz` about 2,550 of 10,206 images.
    random_state : int, RandomState instance or None, default=0
        Deals the folds.

    Returns
    -------
    Bunch
        Indices, ascending: `train` and `test`, which share no subject, and `encoder`, those
        of `train` whose subjects have at least `min_images` images.

    Raises
    ------
    ValueError
        For labels that are missing, lengths that differ, nobody with `min_images` images, too
        few others for a test part of that size, or a class that training or test part would lack.

    Examples
    --------
    >>> from sklearn_thin.datasets import split_by_subject
    >>> subject = ["ann"] * 8 + ["bob", "bob", "cy", "cy", "dee", "dee", "eve", "eve"]
    >>> target = ["joy", "fear"] * 8
    >>> parts = split_by_subject(subject, target, test_size=0.25, random_state=0)
    >>> len(parts.train), len(parts.test), parts.encoder.tolist()
    (12, 4, [0, 1, 2, 3, 4, 5, 6, 7])
    """
    subject, codes, counts = count_labels("subject", subject)
    target, *_ = count_labels("target", target)
    check_consistent_length(subject, target)
    known = counts[codes] >= min_images  # (n_samples,)
    others = np.flatnonzero(~known)
    if not known.any():
        raise ValueError(
            f"no subject has min_images={min_images} images, the most is {counts.max(initial=0)}"
        )
    if test_size * len(subject) >= len(others):
        raise ValueError(
            f"test_size={test_size!r} of {len(subject)} images must be less than the "
            f"{len(others)} images of subjects with fewer than min_images={min_images}"
        )
    # shuffled here: StratifiedGroupKFold(shuffle=True) loses the proportions of the classes
    # in older versions of scikit-learn, and deals otherwise in newer ones
    groups = check_random_state(random_state).permutation(len(counts))[codes[others]]
    share = test_size * len(subject) / len(others)
    n_test, n_folds = folds_for(share, groups, target[others])
    folds = StratifiedGroupKFold(n_folds)
    parts = [part for _, part in folds.split(others, target[others], groups)]
    test = np.sort(others[np.concatenate(parts[:n_test])])
    train = np.setdiff1d(np.arange(len(subject)), test)
    for name, part in {"training": train, "test": test}.items():
        lacks = np.setdiff1d(target, target[part])
        if len(lacks):
            raise ValueError(
                f"the {name} part would have no image of class {', '.join(map(str, lacks))}; try "
                "another random_state or test_size, or leave such classes out"
            )
    return Bunch(train=train, test=test, encoder=np.flatnonzero(known))


def folds_for(share, groups, target):
    """Folds for testing, and folds in all, whose ratio comes nearest to `share`.

    No more folds than 20, or than the rarest class has subjects.
    """
    people = {label: len(np.unique(groups[target == label])) for label in np.unique(target)}
    rarest = min(people, key=people.get)
    most = min(20, people[rarest])
    if most < 2:
        raise ValueError(
            f"expected at least 2 subjects of every class among those with fewer than min_images "
            f"images, got 1 of class {rarest}; raise min_images, or leave the class out"
        )
    ratio = Fraction(share).limit_denominator(most)
    if not 0 < ratio < 1:
        ratio = Fraction(1 if ratio <= 0 else most - 1, most)
    if not share / 2 <= ratio <= 2 * share:
        raise ValueError(
            f"expected a test part of {share:.2g} of the images of subjects with fewer than "
            f"min_images images, but whole subjects in {most} folds, as many as class {rarest} "
            f"allows, give {float(ratio):.2g} at the nearest; choose another test_size"
        )
    return ratio.numerator, ratio.denominator
