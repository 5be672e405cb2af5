"""AffectNet: faces from the web, labelled with expressions, valence and arousal."""

import csv
import re
from collections import Counter
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_thin.datasets._faces import SHARED, Face, Source
from sklearn_thin.datasets._files import find, inside, numbered_lines

AFFECTNET_NAMES = (
    *("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
    *("none", "uncertain", "no face"),  # never loaded
)
BOX = ("face_x", "face_y", "face_width", "face_height")
COLUMNS = ("subDirectory_filePath", *BOX, "facial_landmarks", "expression", "valence", "arousal")
FILES = {"train": "training.csv", "test": "validation.csv"}
IMAGES = "Manually_Annotated_Images"
N_LANDMARKS = 68
HOW = (
    "AffectNet is given out by its authors on request (http://mohammadmahoor.com/affectnet/); "
    "pass the folder with 'Manually_Annotated_file_lists' and 'Manually_Annotated_Images', "
    "unpacked. Its later release has no lists, but a file .npy for each image; it is not read."
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

    The folder has the layout of the release. `Manually_Annotated_file_lists` holds
    `training.csv` and `validation.csv`, with or without a line of column names. The images are
    in `Manually_Annotated_Images`, or in this folder inside `Manually_Annotated`.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the lists and the images.
    subset : {"train", "test"}, default="train"
        The training or the validation list.
    contempt : bool, default=False
        Whether contempt is an eighth class beside the seven basic expressions. Rows labelled
        none, uncertain or no face are always left out.
    crop : {"landmarks", "box", None}, default="landmarks"
        The part to cut out: the smallest box around the 68 landmarks, or the face's own box.
        None is the whole image.
    margin : float, default=0.0
        Added to each side of the part, as a share of its shorter side.
    side : int, default=64
        Height and width in pixels of the returned images. The training images take 1.2 GB
        in gray with 64 pixels, 43 GB in colour with 224 pixels.
    color, on_error, n_jobs, verbose, return_X_y
        See :func:`load_rafdb`, except that images without a row are ignored.

    Returns
    -------
    data : Bunch
        See :func:`load_rafdb`. `target_names` has 7 or 8 names. Further arrays are `valence` and
        `arousal` in [-1, 1], of shape (n_samples,). `left_out` maps each label outside the
        classes to its number of rows.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        As in :func:`load_rafdb`.

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
    file = FILES[subset]
    rows = find(path, (f"Manually_Annotated_file_lists/{file}", file), "AffectNet", HOW)
    folder = find(path, (IMAGES, f"Manually_Annotated/{IMAGES}"), "AffectNet", HOW)
    names = AFFECTNET_NAMES[: 8 if contempt else 7]
    source = Source(rows, on_error, side=side, color=color, n_jobs=n_jobs, verbose=verbose)
    # faces of all labels first: an image may be listed as a face, and again as no face
    faces = source.parse_faces(
        read_rows(rows), lambda row: parse_face(row, folder, len(names), crop, margin)
    )
    kept = [face for face in faces if face.target < len(names)]
    left_out = Counter(AFFECTNET_NAMES[f.target] for f in faces if f.target >= len(names))
    data = source.read_faces(kept, names, DESCR, left_out=dict(left_out))
    return (data.images, data.target) if return_X_y else data


def read_rows(path):
    """Yield the place of each row, as "line 2 (image)", and its columns and fields."""
    columns = None
    try:
        for number, line in numbered_lines(path):
            fields = next(csv.reader([line]))  # alone: an open quote would swallow others
            if columns is None:
                columns = column_names(fields, path)
                if fields == columns:
                    continue
            whole = len(fields) == len(columns)
            name = fields[columns.index(COLUMNS[0])] if whole else "cut off or too long"
            yield f"line {number} ({name[:80]})", (columns, fields)
    except csv.Error as error:
        raise ValueError(f"{path} is no table ({error}); download or unpack it anew") from error


def column_names(first, path):
    """The columns named by the first row; the release's own if the row is a face."""
    if len(first) == len(COLUMNS) and not set(COLUMNS) & set(first):
        return list(COLUMNS)  # some lists of the release begin so
    wrong = [f"missing {name}" for name in COLUMNS if name not in first]
    wrong += [f"repeated {name}" for name in COLUMNS if first.count(name) > 1]
    if wrong:
        raise ValueError(
            f"{path} is no list of AffectNet: expected the columns {', '.join(COLUMNS)}, each "
            f"once, {', '.join(wrong)}"
        )
    return first


def parse_face(row, folder, n_classes, crop, margin):
    """The face of a row; outside the first `n_classes` only its name and label are read."""
    columns, fields = row
    if len(fields) != len(columns):
        raise ValueError(
            f"expected {len(columns)} fields, got {len(fields)} that begin with {fields[0][:80]!r}"
        )
    row = dict(zip(columns, fields, strict=True))
    name, label = row[COLUMNS[0]], row["expression"]
    if not re.fullmatch(r"\d{1,2}", label) or int(label) >= len(AFFECTNET_NAMES):
        raise ValueError(f"expected an expression of 0 to 10, got {label[:80]!r}")
    if not name.strip():
        raise ValueError(f"expected the path of an image as {COLUMNS[0]}, got {name[:80]!r}")
    label, path = int(label), inside(folder, name)
    if label >= n_classes:
        return Face(name, path, label)
    # the release writes -2 if a face has no ratings
    extra = {column: parse_number(row, column, 1) for column in ("valence", "arousal")}
    return Face(name, path, label, parse_box(row, crop, margin), extra)


def parse_number(row, column, bound=np.inf):
    """One field as a finite float of at most `bound`, in absolute value."""
    try:
        value = float(row[column])
    except ValueError:
        value = np.nan
    if np.isfinite(value) and abs(value) <= bound:
        return value
    span = f" of -{bound} to {bound}" if np.isfinite(value) else ""
    raise ValueError(f"expected a number{span} as {column}, got {row[column][:80]!r}")


def parse_box(row, crop, margin):
    """The part to cut out: left, top, right, bottom in pixels; None is the whole image."""
    if crop is None:
        return None
    if crop == "box":
        left, top, width, height = (parse_number(row, name) for name in BOX)
        right, bottom = left + width, top + height
    else:
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
        left, top, right, bottom = *points.min(axis=0).tolist(), *points.max(axis=0).tolist()
    added = margin * min(right - left, bottom - top)
    return left - added, top - added, right + added, bottom + added
