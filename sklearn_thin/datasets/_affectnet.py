"""AffectNet: faces from the web, labelled with expressions, valence and arousal."""

import csv
from collections import Counter
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_thin.datasets._faces import (
    SHARED,
    Face,
    count_labels,
    describe,
    find,
    read_faces,
    report,
    split_repeats,
)

AFFECTNET_NAMES = (
    *("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
    *("none", "uncertain", "no face"),  # never loaded
)
BOX = ("face_x", "face_y", "face_width", "face_height")
COLUMNS = ("subDirectory_filePath", *BOX, "facial_landmarks", "expression", "valence", "arousal")
FILES = {"train": "training.csv", "test": "validation.csv"}
N_LANDMARKS = 68
HOW = (
    "AffectNet is given out by its authors on request (http://mohammadmahoor.com/affectnet/); "
    "pass the folder with 'Manually_Annotated_file_lists' and 'Manually_Annotated_Images', "
    "unpacked. Its later release, with a file .npy an image, has no such lists and is not read."
)
DESCR = """
AffectNet, the manually annotated part. Mollahosseini, Hasani, Mahoor: AffectNet: A Database for
Facial Expression, Valence, and Arousal Computing in the Wild, IEEE Transactions on Affective
Computing, 2017. Its test set is not public: the validation list, with equal classes, is used
for testing.
"""


@validate_params(
    {
        **SHARED,
        "subset": [StrOptions(set(FILES))],
        "contempt": ["boolean"],
        "crop": [StrOptions({"landmarks", "box"}), None],
        "margin": [Interval(Real, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def load_affectnet(
    path,
    *,
    subset="train",
    contempt=False,
    crop="landmarks",
    margin=0.0,
    side=64,
    color=False,
    on_error="raise",
    n_jobs=None,
    verbose=False,
    return_X_y=False,
):
    """AffectNet's manually annotated faces, cut out by their landmarks or boxes.

    The layout is that of the release: `training.csv` and `validation.csv` (with or without
    its line of column names) in `Manually_Annotated_file_lists`, and the images in
    `Manually_Annotated_Images`, there or in `Manually_Annotated`.

    Parameters
    ----------
    path : str or path-like
        The folder that holds both.
    subset : {"train", "test"}, default="train"
        The training or the validation list.
    contempt : bool, default=False
        Whether contempt is an eighth class beside the seven basic expressions. What is
        labelled none, uncertain or no face is always left out.
    crop : {"landmarks", "box", None}, default="landmarks"
        What is cut out: the smallest box around the 68 landmarks, or the face's own box;
        None is the whole image.
    margin : float, default=0.0
        Added to each side, as a share of the shorter side of what is cut out.
    side : int, default=64
        Height and width in pixels of the images that come back. In gray with 64 pixels the
        training images take 1.2 GB, in colour with 224 pixels 43 GB.
    color, on_error, n_jobs, verbose, return_X_y
        As in :func:`load_rafdb`; images without a row are not looked for.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n_samples, side, side) or (n_samples, 3, side, side);
        `target` of shape (n_samples,), an index of `target_names` (7 or 8); `valence` and
        `arousal` in [-1, 1], and `filenames`, all of shape (n_samples,); `left_out`, from
        the label to the number of rows that the choice of classes leaves out; `unusable`, as
        of :func:`load_rafdb`; `DESCR`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        Where a list or the images are missing: what, where, and how to get it.
    ValueError
        For entries that cannot be used, named and counted, unless `on_error="warn"`.
    ImportError
        Without Pillow, which comes with the extra `vision`.

    See Also
    --------
    alternate_classes : Rows with the classes in turn, for training on unequal classes.

    Examples
    --------
    >>> from sklearn_thin.datasets import load_affectnet
    >>> load_affectnet("affectnet")
    Traceback (most recent call last):
    ...
    FileNotFoundError: AffectNet: expected Manually_Annotated_file_lists/training.csv or ...
    """
    rows, folder = find_release(path, FILES[subset])
    names = AFFECTNET_NAMES[: 8 if contempt else 7]
    faces, problems, left_out = parse_rows(rows, folder, len(names), crop, margin)
    total = len(faces) + len(problems) + sum(left_out.values())
    report(problems, rows, total, on_error)
    options = {"side": side, "color": color, "n_jobs": n_jobs, "verbose": verbose}
    data = read_faces(faces, rows, names, on_error, **options)
    data.unusable = problems + data.unusable
    data.update(left_out=left_out, DESCR=describe(DESCR, data))
    return (data.images, data.target) if return_X_y else data


def find_release(path, file):
    """The list of rows and the folder of images."""
    rows = find(path, (f"Manually_Annotated_file_lists/{file}", file), "AffectNet", HOW)
    images = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images")
    return rows, find(path, images, "AffectNet", HOW)


def read_rows(path):
    """Number, columns and fields of each row of a list, one after the other.

    Raises
    ------
    ValueError
        For a file that is empty, no table of text, or without an expected column.
    """
    columns = None
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                fields = next(csv.reader([line]))  # alone: an open quote would swallow others
                if not fields:
                    continue
                if columns is None:
                    columns = column_names(fields, path)
                    if fields == columns:
                        continue
                yield number, columns, fields
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no table ({error}); download or unpack it anew") from error
    if columns is None:
        raise ValueError(f"{path} is empty; download or unpack it anew")


def column_names(first, path):
    """The columns that the first row names, or those of a list without a row of names."""
    if len(first) == len(COLUMNS) and not set(COLUMNS) & set(first):
        return list(COLUMNS)  # the release has lists that begin with their first face
    wrong = [f"missing {name}" for name in COLUMNS if name not in first]
    wrong += [f"repeated {name}" for name in COLUMNS if first.count(name) > 1]
    if wrong:
        raise ValueError(
            f"{path} is no list of AffectNet: expected the columns {', '.join(COLUMNS)}, each "
            f"once, {', '.join(wrong)}"
        )
    return first


def parse_rows(path, folder, n_classes, crop, margin):
    """Faces of the first classes, what is wrong with other rows, and what is left out."""
    faces, problems = [], []
    for number, columns, fields in read_rows(path):
        complete = len(fields) == len(columns)
        name = fields[columns.index(COLUMNS[0])] if complete else "cut off or too long"
        try:
            row = make_row(columns, fields)
            faces.append(parse_face(row, folder, n_classes, crop, margin))
        except ValueError as error:
            problems.append(f"line {number} ({name}): {error}")
    # repeats are looked for among all labels: an image may be a face here, and no face there
    faces, repeats = split_repeats(faces)
    left_out = Counter(AFFECTNET_NAMES[face.target] for face in faces if face.target >= n_classes)
    faces = [face for face in faces if face.target < n_classes]
    return faces, problems + repeats, dict(left_out)


def make_row(columns, fields):
    """The fields by their columns; refused where their numbers differ."""
    if len(fields) != len(columns):
        raise ValueError(
            f"expected {len(columns)} fields, got {len(fields)} that begin with {fields[0][:80]!r}"
        )
    return dict(zip(columns, fields, strict=True))


def parse_face(row, folder, n_classes, crop, margin):
    """The face of a row, of which nothing but the label is read where its class is left out."""
    name, label = row[COLUMNS[0]], parse_label(row)
    if not name.strip():
        raise ValueError(f"expected the path of an image as {COLUMNS[0]}, got {name!r}")
    if label >= n_classes:
        return Face(name, folder / name, label, None, {})
    extra = {column: parse_rating(row, column) for column in ("valence", "arousal")}
    return Face(name, folder / name, label, widen(parse_box(row, crop), margin), extra)


def parse_label(row):
    """The code of the expression."""
    label = row["expression"]
    if not label.isdecimal() or int(label) >= len(AFFECTNET_NAMES):
        raise ValueError(f"expected an expression of 0 to 10, got {label!r}")
    return int(label)


def parse_rating(row, column):
    """Valence or arousal; the release writes -2 for faces that have none."""
    value = parse_number(row, column)
    if not -1 <= value <= 1:
        raise ValueError(f"expected a number of -1 to 1 as {column}, got {row[column]!r}")
    return value


def parse_number(row, column):
    """One field as a finite float."""
    try:
        value = float(row[column])
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"expected a number as {column}, got {row[column]!r}")
    return value


def parse_box(row, crop):
    """What to cut out: left, top, right, bottom in pixels, or None for the whole image."""
    if crop is None:
        return None
    if crop == "box":
        left, top, width, height = (parse_number(row, name) for name in BOX)
        return left, top, left + width, top + height
    try:
        points = np.array(row["facial_landmarks"].split(";"), dtype=float)
    except ValueError:
        points = np.empty(0)
    if points.size != 2 * N_LANDMARKS or not np.isfinite(points).all():
        raise ValueError(
            f"expected {2 * N_LANDMARKS} coordinates as facial_landmarks, got "
            f"{row['facial_landmarks'][:20]!r}"
        )
    points = points.reshape(-1, 2)  # (68, 2): x, y
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


def widen(box, margin):
    """A box with a margin on each side, a share of its shorter side."""
    if box is None:
        return None
    left, top, right, bottom = box
    added = margin * min(right - left, bottom - top)
    return left - added, top - added, right + added, bottom + added


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

    Each class is gone through in a random order of its own, and anew when it is used up, so
    that rare rows come several times and frequent ones perhaps never; draw anew for each
    epoch. The paper trains so on AffectNet, whose classes are unequal.

    Parameters
    ----------
    y : array-like of shape (n,)
        Class labels.
    n_samples : int or None, default=None
        How many rows to draw; None is as many as `y` has.
    random_state : int, RandomState instance or None, default=None
        Draws the orders.

    Returns
    -------
    ndarray of shape (n_samples,)
        Indices into `y`: the labels there are the first class, the second, ..., the last,
        the first again.

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
