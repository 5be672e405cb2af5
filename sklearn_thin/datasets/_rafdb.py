"""RAF-DB: faces from the web, labelled with the basic expressions."""

import re

from sklearn.utils._param_validation import StrOptions, validate_params

from sklearn_thin.datasets._faces import SHARED, Face, Source
from sklearn_thin.datasets._files import find, inside, read_lines

RAFDB_NAMES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
LABELS = "EmoLabel/list_patition_label.txt"  # the owners' spelling
HOW = (
    "RAF-DB is given out by its authors on request (http://www.whdeng.cn/RAF/model1.html); "
    "pass the unpacked folder 'basic', or its parent."
)
DESCR = """
Real-world Affective Faces Database (RAF-DB), its single-label subset "basic", the aligned
images. Li, Deng, Du: Reliable Crowdsourcing and Deep Locality-Preserving Learning for
Expression Recognition in the Wild, CVPR 2017. In the release 12,271 images for training and
3,068 for testing, each of 100 x 100 pixels.
"""


@validate_params(
    {**SHARED, "subset": [StrOptions({"train", "test", "all"})]},
    prefer_skip_nested_validation=True,
)
def load_rafdb(
    path,
    *,
    subset="train",
    side=100,
    color=False,
    on_error="raise",
    n_jobs=None,
    verbose=False,
    return_X_y=False,
):
    """RAF-DB's aligned faces with the seven basic expressions.

    The folder has the layout of the release: `EmoLabel/list_patition_label.txt` with lines as
    ``train_00001.jpg 5``, and images as `Image/aligned/train_00001_aligned.jpg`.

    Parameters
    ----------
    path : str or path-like
        The folder `basic` of the release, or its parent.
    subset : {"train", "test", "all"}, default="train"
        The owners' split of 12,271 and 3,068 images, as in the paper.
    side : int, default=100
        Height and width in pixels of the returned images.
    color : bool, default=False
        RGB instead of gray.
    on_error : {"raise", "warn"}, default="raise"
        Concerns lines and images that cannot be read, and images that the list repeats or
        lacks. Images are BMP, JPEG, PNG or TIFF files in the folder, whatever their names; a
        symbolic link out of the folder cannot be read. "warn" leaves these entries out; of
        repeated entries the first stays. The warning counts them and names five; `unusable`
        of the Bunch names all. An empty class is an error or a warning too.
    n_jobs : int or None, default=None
        Number of threads that read images, in joblib's sense.
    verbose : bool, default=False
        Show a progress bar.
    return_X_y : bool, default=False
        Return `(images, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n_samples, side, side) or (n_samples, 3, side, side);
        `target` of shape (n_samples,), an index of `target_names` (7,); `filenames`
        (n_samples,); `unusable`, the list of entries left out by `on_error="warn"`, each
        with the reason; `DESCR`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        For a missing list or folder; the error explains how to get the data.
    ValueError
        For unusable entries and empty classes, unless `on_error="warn"`.
    ImportError
        Without Pillow, a part of the extra `vision`.

    Examples
    --------
    >>> from sklearn_thin.datasets import load_rafdb
    >>> load_rafdb("raf-db")
    Traceback (most recent call last):
    ...
    FileNotFoundError: RAF-DB: expected EmoLabel/list_patition_label.txt or ...
    """
    labels = find(path, (LABELS, f"basic/{LABELS}"), "RAF-DB", HOW)
    folder = find(labels.parent.parent, ("Image/aligned",), "RAF-DB", HOW)
    lines = read_lines(labels)
    source = Source(labels, on_error, side=side, color=color, n_jobs=n_jobs, verbose=verbose)
    faces = source.parse_faces(lines, lambda line: parse_line(line, folder), missing(lines, folder))
    faces = [face for face in faces if subset == "all" or face.name.startswith(subset)]
    data = source.read_faces(faces, RAFDB_NAMES, DESCR)
    return (data.images, data.target) if return_X_y else data


def parse_line(line, folder):
    """The face of a line as ``train_00001.jpg 5``."""
    match = re.fullmatch(r"((?:train|test)_\w+)\.jpg\s+([1-7])", line)
    if not match:
        raise ValueError(
            "expected 'train_<number>.jpg' or 'test_<number>.jpg' and a label of 1 to 7, got "
            f"{line[:80]!r}"
        )
    name, label = match.groups()
    return Face(name, inside(folder, f"{name}_aligned.jpg"), int(label) - 1)


def missing(lines, folder):
    """Problems that name images without a line: the list may be cut short."""
    listed = {line.split(".jpg")[0] for _, line in lines}
    names = {image.name.removesuffix("_aligned.jpg") for image in folder.glob("*_aligned.jpg")}
    return [f"{name}: has an image but no label" for name in sorted(names - listed)]
