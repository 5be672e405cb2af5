"""ExpW: faces in photographs from the web, labelled with the basic expressions."""

import re
from collections import Counter
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions, validate_params

from sklearn_thin.datasets._faces import SHARED, Face, Source
from sklearn_thin.datasets._files import find, inside, read_lines

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

    The folder has the layout of the release, with photographs in `image/origin`. A line of
    `label/label.lst` begins with the image name and the number of the face in the image. Top,
    left, right and bottom of its box follow, the confidence of the box, and the expression.

    Parameters
    ----------
    path : str or path-like
        The folder with `label` and `image`; if its name is `data`, its parent works too.
    subset : {"train", "test", "all"}, default="train"
        A part of a random split, stratified by expression. The split depends only on the
        faces kept, `test_size` and `random_state`. Faces of one photograph may come in both
        parts; to prevent that, load "all" and split by `filenames`.
    min_confidence : float, default=60.0
        Keep faces with a larger confidence of the box, as the paper does.
    test_size : float, int or None, default=None
        Share or number of the faces kept for testing. None is the share in the paper: 26,701
        faces are for training and 6,673 for testing.
    random_state : int, RandomState instance or None, default=0
        Draws the split. Both parts belong to one split if both are loaded with the same int.
    side : int, default=64
        Height and width in pixels of the returned images.
    color, on_error, n_jobs, verbose, return_X_y
        See :func:`load_rafdb`, except that photographs without a line are ignored.

    Returns
    -------
    data : Bunch
        See :func:`load_rafdb`. Further arrays are `face_id` and `confidence`, of shape
        (n_samples,). `n_left_out` is the number of faces left out by `min_confidence`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        As in :func:`load_rafdb`.

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
    source = Source(labels, on_error, side=side, color=color, n_jobs=n_jobs, verbose=verbose)
    faces = source.parse_faces(read_lines(labels), lambda line: parse_line(line, folder))
    kept = [face for face in faces if face.extra["confidence"] > min_confidence]
    n_left_out = len(faces) - len(kept)
    if subset != "all":
        kept = split(kept, labels, test_size, random_state)[subset]
    data = source.read_faces(kept, EXPW_NAMES, DESCR, n_left_out=n_left_out)
    return (data.images, data.target) if return_X_y else data


def parse_line(line, folder):
    """The face of one line."""
    try:
        name, face_id, *numbers, label = line.split()
        top, left, right, bottom, confidence = numbers = [float(number) for number in numbers]
        right_line = re.fullmatch(r"\d{1,9}", face_id) and re.fullmatch("[0-6]", label)
        right_line = right_line and np.isfinite(numbers).all()
    except ValueError:
        right_line = False
    if not right_line:
        raise ValueError(
            "expected a name, six numbers (face, top, left, right, bottom, confidence) and a "
            f"label of 0 to 6, got {line[:80]!r}"
        )
    extra = {"face_id": int(face_id), "confidence": confidence}
    box = (left, top, right, bottom)
    return Face(f"{name}, face {int(face_id)}", inside(folder, name), int(label), box, extra)


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
