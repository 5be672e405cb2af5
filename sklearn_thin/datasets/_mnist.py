"""MNIST-R and MNIST-RS: torchvision's MNIST, rotated, and rotated and shrunk."""

import os
import zlib
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from shutil import rmtree
from time import time

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import StrOptions, validate_params

from sklearn_thin._compat import import_torchvision
from sklearn_thin.datasets._owners import part_folder, refuse_folder
from sklearn_thin.datasets._rotated import ROTATION, check_range, make_rotated

SUBSETS = {"train": ("train", 60_000), "test": ("t10k", 10_000)}  # name in files, images
SIDE = 28
DIGESTS = {  # SHA-256 of MNIST's own files, unpacked
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
DOWNLOADS = ".mnist-"  # begin of the name of a temporary folder
ABANDONED = 24 * 3600  # seconds after which a download has been killed
FETCHING = {
    **ROTATION,
    "data_home": [str, os.PathLike, None],
    "subset": [StrOptions(set(SUBSETS))],
    "download_if_missing": ["boolean"],
    "own_files": ["boolean"],
    "return_X_y": ["boolean"],
}
HOW = (
    "download_if_missing=True downloads 12 MB from torchvision's mirrors; or put MNIST's four "
    "files there yourself, unpacked, as torchvision.datasets.MNIST keeps them."
)
DESCR = """
MNIST: handwritten digits in gray, 60,000 for training and 10,000 for testing, of 28 x 28 pixels.
LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition,
Proceedings of the IEEE, 1998.
"""


@validate_params(
    {name: FETCHING[name] for name in FETCHING if name not in ("scale", "n_scale_bins")},
    prefer_skip_nested_validation=True,
)
def fetch_mnist_r(
    *,
    data_home=None,
    subset="train",
    angles="continuous",
    interpolation="bilinear",
    max_angle=90.0,
    n_bins=18,
    n_copies=1,
    download_if_missing=True,
    own_files=False,
    random_state=0,
    return_X_y=False,
):
    """MNIST-R: the digit is the class, the angle of its rotation the exogenous variable.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder that holds `MNIST/raw`, torchvision's layout. None is scikit-learn's data
        home, `sklearn.datasets.get_data_home()`.
    subset : {"train", "test"}, default="train"
        MNIST's own split. Each subset has its own stream of the same `random_state`.
    angles, interpolation, max_angle, n_bins, n_copies
        See :func:`make_rotated`.
    download_if_missing : bool, default=True
        Whether to download missing files, checked by torchvision's MD5 sums. False raises an
        OSError instead.
    own_files : bool, default=False
        Whether the files are your own, in MNIST's format and under its names, as those of
        Fashion-MNIST. Such files are never downloaded. False checks that the files are
        MNIST's, by their SHA-256 digests.
    random_state : int, RandomState instance or None, default=0
        Draws the angles.
    return_X_y : bool, default=False
        Return `(images, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n, 28, 28), where n is 60,000 or 10,000 times `n_copies`;
        `target`, the digit, an index of `target_names`; `angles` in degrees; `angle_bins` in
        [0, n_bins); `index`, the image of MNIST; all of shape (n,); `DESCR`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError
        For missing files with `download_if_missing=False` or `own_files=True`, or for a
        download that fails.
    ValueError
        For a file that is truncated, corrupt or not MNIST's, or an argument out of range.
    ImportError
        For a download without torchvision, a part of the extra `vision`.

    Examples
    --------
    >>> from sklearn_thin.datasets import fetch_mnist_r
    >>> fetch_mnist_r(data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: MNIST: expected train-images-idx3-ubyte, ... in no_such_folder...
    """
    return fetch_mnist_rs(
        data_home=data_home,
        subset=subset,
        angles=angles,
        interpolation=interpolation,
        max_angle=max_angle,
        n_bins=n_bins,
        scale=None,
        n_copies=n_copies,
        download_if_missing=download_if_missing,
        own_files=own_files,
        random_state=random_state,
        return_X_y=return_X_y,
    )


@validate_params(FETCHING, prefer_skip_nested_validation=True)
def fetch_mnist_rs(
    *,
    data_home=None,
    subset="train",
    angles="continuous",
    interpolation="bilinear",
    max_angle=90.0,
    n_bins=18,
    scale=(0.5, 1.0),
    n_scale_bins=10,
    n_copies=1,
    download_if_missing=True,
    own_files=False,
    random_state=0,
    return_X_y=False,
):
    """MNIST-RS: digits rotated and shrunk; angle and scale are two exogenous variables.

    Under one `random_state` its angles are those of :func:`fetch_mnist_r`.

    Parameters
    ----------
    data_home, subset, download_if_missing, own_files, random_state, return_X_y
        See :func:`fetch_mnist_r`.
    angles, interpolation, max_angle, n_bins, scale, n_scale_bins, n_copies
        See :func:`make_rotated`.

    Returns
    -------
    data : Bunch
        See :func:`fetch_mnist_r`. Unless `scale` is None, it has also `scales`, and
        `scale_bins` in [0, n_scale_bins), both of shape (n,).
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError, ValueError, ImportError
        As in :func:`fetch_mnist_r`.

    Examples
    --------
    >>> from sklearn_thin.datasets import fetch_mnist_rs
    >>> fetch_mnist_rs(data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: MNIST: expected train-images-idx3-ubyte, ... in no_such_folder...
    """
    check_range("scale", scale)  # before a download
    root = Path(get_data_home() if data_home is None else data_home).expanduser()
    require_files(root, subset, download_if_missing and not own_files)
    images, target = read_mnist(root, subset, own_files)
    rotated = turn_subset(
        images,
        subset,
        random_state,
        max_angle=max_angle,
        n_bins=n_bins,
        angles=angles,
        scale=scale,
        n_scale_bins=n_scale_bins,
        interpolation=interpolation,
        n_copies=n_copies,
    )
    target = target[rotated.index]
    if return_X_y:
        return rotated.images, target
    text = (
        f"Here: {len(target):,} images, rotated by {angles} angles of -{max_angle:g} to "
        f"{max_angle:g} degrees in {n_bins} bins"
    )
    if scale is not None:
        text += f", scaled by {scale[0]:g} to {scale[1]:g} in {n_scale_bins} bins"
    described = f"{DESCR.strip()}\n\n{text}; {interpolation} interpolation.\n"
    return Bunch(**rotated, target=target, target_names=np.arange(10), DESCR=described)


def turn_subset(images, subset, random_state, **rotation):
    """Rotated images of a subset; equal rows of the subsets do not turn alike."""
    seeds = check_random_state(random_state).randint(2**31 - 1, size=len(SUBSETS))
    seed = seeds[list(SUBSETS).index(subset)]
    return make_rotated(images, random_state=seed, **rotation)


def require_files(root, subset, download_if_missing):
    """Download missing files of MNIST, or refuse to go on without those of the subset."""
    where = root / "MNIST" / "raw"
    missing = [name for name in file_names() if not (where / name).is_file()]
    wanted = [name for name in missing if name in file_names([subset])]
    if wanted and not download_if_missing:
        raise FileNotFoundError(f"MNIST: expected {', '.join(wanted)} in {where}. {HOW}")
    if wanted:
        for name in missing:
            refuse_folder("MNIST", where / name)
        download(root, missing)


def file_names(subsets=tuple(SUBSETS)):
    """Names of the files of the subsets: images, then labels."""
    prefixes = [SUBSETS[subset][0] for subset in subsets]
    kinds = ("images-idx3", "labels-idx1")
    return [f"{prefix}-{kind}-ubyte" for prefix in prefixes for kind in kinds]


def download(root, missing):
    """Download MNIST beside the target, then move the missing files there, each one whole.

    torchvision checks the archives, but unpacks them in place and takes any existing file for
    whole. It would never notice a download that was cut off.
    """
    parts = part_folder("MNIST", root, DOWNLOADS)
    remove_abandoned(root)
    try:
        with parts as folder:
            import_torchvision().datasets.MNIST(folder, download=True)
            (root / "MNIST" / "raw").mkdir(parents=True, exist_ok=True)
            for name in missing:
                file = Path(folder) / "MNIST" / "raw" / name
                with file.open("rb+") as content:
                    os.fsync(content.fileno())  # else a crash leaves names without content
                os.replace(file, root / "MNIST" / "raw" / name)
    # half an archive raises the last three
    except (OSError, RuntimeError, HTTPException, EOFError, ValueError, zlib.error) as error:
        raise OSError(
            f"MNIST: the download to {root} failed, and no part of a file was kept ({error}). "
            f"Try again, or put MNIST's four files, unpacked, into {root / 'MNIST' / 'raw'}."
        ) from error


def remove_abandoned(root):
    """Remove the temporary folders of killed downloads; a younger folder may be in use."""
    for folder in root.glob(f"{DOWNLOADS}*"):
        try:
            abandoned = time() - folder.stat().st_mtime > ABANDONED
        except FileNotFoundError:  # its download has ended meanwhile
            continue
        if abandoned:
            rmtree(folder, ignore_errors=True)


def read_mnist(root, subset, own_files=False):
    """Images (n, 28, 28) of uint8 and digits (n,) of a subset, from checked files."""
    n_images = SUBSETS[subset][1]
    shapes = (n_images, SIDE, SIDE), (n_images,)
    files = [root / "MNIST" / "raw" / name for name in file_names([subset])]
    images, target = (
        read_idx(file, shape, own_files) for file, shape in zip(files, shapes, strict=True)
    )
    blank = int((images.reshape(n_images, -1).max(1) == 0).sum())
    if blank:
        raise ValueError(
            f"{files[0]} is corrupt: {blank} images are blank; delete it and fetch anew"
        )
    found = np.unique(target)
    if not np.array_equal(found, np.arange(10)):
        raise ValueError(
            f"{files[1]} is corrupt: expected all digits of 0 to 9 and no other, got "
            f"{', '.join(map(str, found))}; delete it and fetch anew"
        )
    return images, target.astype(np.int64)


def read_idx(file, shape, own_files):
    """The array in an IDX file of uint8 of this shape; other files are refused."""
    header = np.array([0x800 + len(shape), *shape], dtype=">i4").tobytes()  # 8 is uint8
    expected, size = len(header) + int(np.prod(shape)), file.stat().st_size
    if size != expected:
        raise ValueError(
            f"{file} is truncated or corrupt: expected {expected} bytes, got {size}; delete it "
            "and fetch anew"
        )
    content = file.read_bytes()
    start = content[: len(header)]
    if start != header:
        raise ValueError(
            f"{file} is corrupt: expected it to begin with {header.hex(' ', 4)}, got "
            f"{start.hex(' ', 4)}; delete it and fetch anew"
        )
    digest = sha256(content).hexdigest()
    if not own_files and digest != DIGESTS[file.name]:
        raise ValueError(
            f"{file} is not MNIST's: expected the SHA-256 digest {DIGESTS[file.name]}, got "
            f"{digest}; delete it and fetch anew, or pass own_files=True for files of your own"
        )
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)
