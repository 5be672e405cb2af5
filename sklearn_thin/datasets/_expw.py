"""ExpW: faces in photographs from the web, labelled with the basic expressions."""

from collections import Counter
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions, validate_params

from sklearn_thin.datasets._faces import (
    SHARED,
    Face,
    describe,
    find,
    read_faces,
    read_lines,
    report,
    split_repeats,
)

EXPW_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
N_TRAIN, N_TEST = 26_701, 6_673  # the paper's split
HOW = (
    "ExpW is found at http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html; pass the "
    "folder with 'label' and 'image', its images unpacked in 'image/origin'."
)
DESCR = """
Expression in-the-Wild Database (ExpW): 91,793 faces in photographs from the web. Zhang, Luo,
Loy, Tang: From Facial Expression Recognition to Interpersonal Relation Prediction,
International Journal of Computer Vision, 2018. It has no split of its own.
"""


@validate_params(
    {
        **SHARED,
        "subset": [StrOptions({"train", "test", "all"})],
        "min_confidence": [Real],
        "test_size": [
            Interval(RealNotInt, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def load_expw(
    path,
    *,
    subset="train",
    min_confidence=60.0,
    test_size=None,
    random_state=0,
    side=64,
    color=False,
    on_error="raise",
    n_jobs=None,
    verbose=False,
    return_X_y=False,
):
    """ExpW's faces, cut out by their boxes, with the seven basic expressions.

    The layout is that of the release: `label/label.lst` with lines of image name, number of
    the face in the image, top, left, right and bottom of its box, confidence of the box, and
    expression; and the photographs in `image/origin`.

    Parameters
    ----------
    path : str or path-like
        The folder that holds `label` and `image`, or the one above where that is `data`.
    subset : {"train", "test", "all"}, default="train"
        Part of a random split, stratified by expression, that depends on the faces kept,
        `test_size` and `random_state` alone. Faces of one photograph may come in both
        parts; to prevent that, load "all" and split by `filenames`.
    min_confidence : float, default=60.0
        Keep faces whose box has a confidence above this, as the paper does.
    test_size : float, int or None, default=None
        Share or number of the faces kept for testing; None is the share of the paper, which
        has 26,701 faces for training and 6,673 for testing.
    random_state : int, RandomState instance or None, default=0
        Draws the split. The two parts fit together where both are loaded with the same int.
    side : int, default=64
        Height and width in pixels of the images that come back.
    color, on_error, n_jobs, verbose, return_X_y
        As in :func:`load_rafdb`; photographs without a line are not looked for.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n_samples, side, side) or (n_samples, 3, side, side);
        `target` of shape (n_samples,), an index of `target_names` (7,); `filenames`,
        `face_id` and `confidence` (n_samples,); `n_left_out`, the number of faces that
        `min_confidence` leaves out; `unusable`, as of :func:`load_rafdb`; `DESCR`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        Where the labels or the photographs are missing: what, where, and how to get it.
    ValueError
        For entries that cannot be used, named and counted, unless `on_error="warn"`.
    ImportError
        Without Pillow, which comes with the extra `vision`.

    Examples
    --------
    >>> from sklearn_thin.datasets import load_expw
    >>> load_expw("expw")
    Traceback (most recent call last):
    ...
    FileNotFoundError: ExpW: expected label/label.lst or data/label/label.lst in ...
    """
    labels = find(path, ("label/label.lst", "data/label/label.lst"), "ExpW", HOW)
    folder = find(labels.parent.parent, ("image/origin",), "ExpW", HOW)
    lines = read_lines(labels)
    faces, problems = parse_labels(lines, folder)
    report(problems, labels, len(lines), on_error)
    kept = [face for face in faces if face.extra["confidence"] > min_confidence]
    n_left_out = len(faces) - len(kept)
    if subset != "all":
        kept = split(kept, labels, test_size, random_state)[subset]
    options = {"side": side, "color": color, "n_jobs": n_jobs, "verbose": verbose}
    data = read_faces(kept, labels, EXPW_NAMES, on_error, **options)
    data.unusable = problems + data.unusable
    data.update(n_left_out=n_left_out, DESCR=describe(DESCR, data))
    return (data.images, data.target) if return_X_y else data


def parse_labels(lines, folder):
    """Faces of the lines of `label.lst`, and what is wrong with the other lines."""
    faces, problems = [], []
    for number, line in lines:
        face = parse_line(line, folder)
        if face:
            faces.append(face)
        else:
            problems.append(
                f"line {number}: expected a name, six numbers (face, top, left, right, bottom, "
                f"confidence) and a label of 0 to 6, got {line.strip()[:80]!r}"
            )
    faces, repeats = split_repeats(faces)
    return faces, problems + repeats


def parse_line(line, folder):
    """The face of one line, or None where the line is not as it should be."""
    try:
        name, face_id, *numbers, label = line.split()
        numbers = [float(number) for number in numbers]
    except ValueError:
        return None
    if len(numbers) != 5 or not np.isfinite(numbers).all() or label not in set("0123456"):
        return None
    if not face_id.isdecimal():
        return None
    top, left, right, bottom, confidence = numbers
    extra = {"face_id": int(face_id), "confidence": confidence}
    box = (left, top, right, bottom)
    return Face(f"{name}, face {int(face_id)}", folder / name, int(label), box, extra)


def split(faces, source, test_size, random_state):
    """Faces for training and for testing, both in the order of the list."""
    counts = Counter(EXPW_NAMES[face.target] for face in faces)
    single = [name for name, count in counts.items() if count < 2]
    if single or not counts:
        raise ValueError(
            f"{source}: expected at least 2 faces of an expression to split, got "
            f"{'1 of ' + ', '.join(single) if single else 'none'} above min_confidence; lower it, "
            "or load subset='all'"
        )
    if test_size is None:
        test_size = round(len(faces) * N_TEST / (N_TRAIN + N_TEST))
    splitter = StratifiedShuffleSplit(1, test_size=test_size, random_state=random_state)
    target = [face.target for face in faces]
    train, test = next(splitter.split(target, target))
    parts = {"train": np.sort(train), "test": np.sort(test)}
    return {part: [faces[index] for index in indices] for part, indices in parts.items()}
