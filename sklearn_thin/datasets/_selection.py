"""Rows for training and testing: split by subject, or drawn with the classes in turn."""

from fractions import Fraction
from numbers import Integral

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import Bunch, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, RealNotInt, validate_params

SPLIT = {  # constraints of the parameters of the split by subject
    "min_images": [Interval(Integral, 1, None, closed="left")],
    "test_size": [Interval(RealNotInt, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}


@validate_params(
    {"subject": ["array-like"], "target": ["array-like"], **SPLIT},
    prefer_skip_nested_validation=True,
)
def split_by_subject(subject, target, *, min_images=8, test_size=0.25, random_state=0):
    """Split images so that a model is tested on unseen people.

    People with many images are for training only: an encoder learns their identity.
    scikit-learn's StratifiedGroupKFold deals the others into folds; a person's images stay
    together, and the classes keep their proportions. The test part is the number of folds
    whose share is nearest to `test_size`, at least a twentieth. For a validation part, split
    the training part again.

    Parameters
    ----------
    subject : array-like of shape (n_samples,)
        Identity of the face.
    target : array-like of shape (n_samples,)
        Class of the image.
    min_images : int, default=8
        The encoder learns people with at least this number of images.
    test_size : float, default=0.25
        Share of all images that is for testing. It is met approximately, as folds hold whole
        persons. In `expressions_in_the_wild.npz` it is about 2,550 of 10,206 images.
    random_state : int, RandomState instance or None, default=0
        Deals the folds.

    Returns
    -------
    Bunch
        Ascending indices. `train` and `test` share no subject. `encoder` is the part of
        `train` whose subjects have at least `min_images` images.

    Raises
    ------
    ValueError
        For missing labels, or lengths that differ. Also if no subject has `min_images` images,
        if the others are too few for a test part, or if a part would lack a class.

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
    # StratifiedGroupKFold(shuffle=True) would lose the proportions of the classes in older
    # versions of scikit-learn, and deal otherwise in newer ones
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
    """Number of folds for testing, and of all folds; their ratio is nearest to `share`.

    There are at most 20 folds, and at most as many as the rarest class has subjects.
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


@validate_params(
    {
        "y": ["array-like"],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def alternate_classes(y, *, n_samples=None, random_state=None):
    """Rows in an order that takes the classes in turn, each as often as the others.

    Each class is gone through in a random order, and in a new one when it is used up. Rare
    rows come several times, frequent rows perhaps never; draw anew for each epoch. The paper
    trains on AffectNet in this way, as its classes are unequal.

    Parameters
    ----------
    y : array-like of shape (n,)
        Class labels.
    n_samples : int or None, default=None
        Number of rows to draw; None is the length of `y`.
    random_state : int, RandomState instance or None, default=None
        Draws the orders.

    Returns
    -------
    ndarray of shape (n_samples,)
        Indices into `y`. Their labels are the first class, the second, ..., the last, the
        first again.

    Raises
    ------
    ValueError
        For labels that are not 1-D, empty or missing, or less than one sample.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_thin.datasets import alternate_classes
    >>> y = np.array(["joy", "joy", "joy", "joy", "fear"])
    >>> y[alternate_classes(y, n_samples=6, random_state=0)]
    array(['fear', 'joy', 'fear', 'joy', 'fear', 'joy'], dtype='<U4')
    """
    y, codes, counts = count_labels("y", y)
    if not len(y):
        raise ValueError("expected the labels of at least one row, got none")
    n_samples = len(y) if n_samples is None else n_samples
    random_state = check_random_state(random_state)
    n_rounds = -(-n_samples // len(counts))
    turns = np.empty((n_rounds, len(counts)), dtype=np.intp)
    for code in range(len(counts)):
        members = np.flatnonzero(codes == code)
        orders = [random_state.permutation(members) for _ in range(-(-n_rounds // len(members)))]
        turns[:, code] = np.concatenate(orders)[:n_rounds]
    return turns.ravel()[:n_samples]


def count_labels(name, values):
    """Labels as an array (n,), the code of each, (n,), and the count of each code.

    Raises
    ------
    ValueError
        For labels that are missing or cannot be sorted. Counted as a label, "missing" would
        be a single person, or a class.
    """
    values = column_or_1d(np.asarray(values))  # as an array first, which keeps pandas' NA
    expected = f"expected {name} to be all texts or all numbers, none of them missing"
    try:
        labels, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    except TypeError as error:
        raise ValueError(f"{expected}; they cannot be sorted ({error})") from error
    missing = np.flatnonzero((labels != labels)[codes])  # NaN and NaT differ from themselves
    if len(missing):
        raise ValueError(f"{expected}; {len(missing)} are, the first in row {missing[0]}")
    return values, codes, counts
