"""RAF-DB: faces from the web, labelled with the basic expressions."""

import re

from sklearn.utils._param_validation import StrOptions, validate_params

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

RAFDB_NAMES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
LABELS = "EmoLabel/list_patition_label.txt"  # spelt so by its owners
HOW = (
    "RAF-DB is given out by its authors on request (http://www.whdeng.cn/RAF/model1.html); "
    "pass the unpacked folder 'basic', or the one that holds it."
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

    The layout is that of the release: `EmoLabel/list_patition_label.txt` with lines as
    ``train_00001.jpg 5``, and the images as `Image/aligned/train_00001_aligned.jpg`.

    Parameters
    ----------
    path : str or path-like
        The folder `basic` of the release, or the one that holds it.
    subset : {"train", "test", "all"}, default="train"
        The owners' split, 12,271 and 3,068 images, which the paper uses.
    side : int, default=100
        Height and width in pixels of the images that come back.
    color : bool, default=False
        RGB instead of gray.
    on_error : {"raise", "warn"}, default="raise"
        What happens where a line of the list or an image cannot be used, an image is listed
        twice or not at all, or a class is empty. "warn" leaves such entries out (of those
        listed twice the first stays), with a warning that names the first five of them and
        counts them all; `unusable` of the Bunch names them all.
    n_jobs : int or None, default=None
        Threads that read images, in joblib's sense.
    verbose : bool, default=False
        Show a progress bar.
    return_X_y : bool, default=False
        Return `(images, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n_samples, side, side) or (n_samples, 3, side, side);
        `target` of shape (n_samples,), an index of `target_names` (7,); `filenames`
        (n_samples,); `unusable`, the list of what `on_error="warn"` left out, each entry
        with the reason; `DESCR`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        Where the list or the folder of images is missing: what, where, and how to get it.
    ValueError
        For entries that cannot be used, named and counted, unless `on_error="warn"`.
    ImportError
        Without Pillow, which comes with the extra `vision`.

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
    faces, problems = parse_list(lines, folder)
    missing = unlabelled(lines, folder)
    problems += missing
    report(problems, labels, len(lines) + len(missing), on_error)
    faces = [face for face in faces if subset == "all" or face.name.startswith(subset)]
    options = {"side": side, "color": color, "n_jobs": n_jobs, "verbose": verbose}
    data = read_faces(faces, labels, RAFDB_NAMES, on_error, **options)
    data.update(unusable=problems + data.unusable, DESCR=describe(DESCR, data))
    return (data.images, data.target) if return_X_y else data


def parse_list(lines, folder):
    """Faces of the lines ``train_00001.jpg 5``, and what is wrong with the other lines."""
    faces, problems = [], []
    for number, line in lines:
        match = re.fullmatch(r"((?:train|test)_\w+)\.jpg\s+([1-7])", line.strip())
        if match:
            name, label = match.groups()
            faces.append(Face(name, folder / f"{name}_aligned.jpg", int(label) - 1, None, {}))
        else:
            problems.append(
                f"line {number}: expected 'train_<number>.jpg' or 'test_<number>.jpg' and a "
                f"label of 1 to 7, got {line.strip()[:80]!r}"
            )
    faces, repeats = split_repeats(faces)
    return faces, problems + repeats


def unlabelled(lines, folder):
    """Problems that name the images no line speaks of: a list cut short shows in them."""
    labelled = {line.split(".jpg")[0].strip() for _, line in lines}
    names = {image.name.removesuffix("_aligned.jpg") for image in folder.glob("*_aligned.jpg")}
    return [f"{name}: has an image but no label" for name in sorted(names - labelled)]
