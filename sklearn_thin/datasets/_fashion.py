"""Fashion-MNIST, rotated: its owner's files, in torchvision's layout."""

import gzip

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions, validate_params

from sklearn_thin.datasets._mnist import SIDE, SUBSETS, turn_subset
from sklearn_thin.datasets._owners import FETCHING, OwnerFile, fetch
from sklearn_thin.datasets._rotated import ROTATION

OWNER = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
DIGESTS = {  # SHA-256 of the owner's files, packed
    "train-images-idx3-ubyte": "08dc20ab1689590a0bcd66e874647b6ee8464e2d501b5a3f1f78831db19a3fdc",
    "train-labels-idx1-ubyte": "b0197879cbda89f3dc7b894f9fd52b858e68ea4182b6947c9d8c2b67e5f18dcc",
    "t10k-images-idx3-ubyte": "78dcbbfb5a27efaf1b6c1d616caca68560be8766c5bffcb2791df9273a534229",
    "t10k-labels-idx1-ubyte": "42bd18137a62d5998cdeae52bf3a0676ac6b706f5cf8439b47bb5b151ae3dccf",
}
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
DESCR = """
Fashion-MNIST: articles of clothing in gray, 60,000 images for training and 10,000 for testing, of
28 x 28 pixels. Xiao, Rasul, Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms, 2017. The MIT License.
"""


@validate_params(
    {
        **FETCHING,
        **{name: ROTATION[name] for name in ROTATION if name not in ("scale", "n_scale_bins")},
        "subset": [StrOptions(set(SUBSETS))],
    },
    prefer_skip_nested_validation=True,
)
def fetch_fashion_r(
    *,
    data_home=None,
    subset="train",
    angles="continuous",
    interpolation="bilinear",
    max_angle=180.0,
    n_bins=8,
    n_copies=1,
    download_if_missing=True,
    random_state=0,
    return_X_y=False,
):
    """Rotated Fashion-MNIST: the article is the class, the angle the exogenous variable.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder that holds `FashionMNIST/raw`, torchvision's layout, with the packed files.
        None is scikit-learn's data home, `sklearn.datasets.get_data_home()`.
    subset : {"train", "test"}, default="train"
        Fashion-MNIST's own split. Each subset has its own stream of the same `random_state`.
    angles, interpolation, n_copies
        See :func:`make_rotated`.
    max_angle : float, default=180.0
        See :func:`make_rotated`. By default an image turns by any angle.
    n_bins : int, default=8
        See :func:`make_rotated`. By default a bin is 45 degrees wide.
    download_if_missing : bool, default=True
        Whether to download missing files (26 MB for training, 4 MB for testing) from their
        owner. False raises an OSError instead. SHA-256 digests are checked in either case.
    random_state : int, RandomState instance or None, default=0
        Draws the angles.
    return_X_y : bool, default=False
        Return `(images, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `images`, uint8 of shape (n, 28, 28), where n is 60,000 or 10,000 times `n_copies`;
        `target`, the article, an index of `target_names`; `angles` in degrees; `angle_bins` in
        [0, n_bins); `index`, the image of Fashion-MNIST; all of shape (n,); `DESCR`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError
        For missing files with `download_if_missing=False`, or for a download that fails.
    ValueError
        For a file that is truncated, corrupt or another version, or an argument out of range.

    Examples
    --------
    >>> from sklearn_thin.datasets import fetch_fashion_r
    >>> fetch_fashion_r(data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: Fashion-MNIST: expected train-images-idx3-ubyte.gz in no_such_folder...
    """
    images = read(f"{SUBSETS[subset][0]}-images-idx3-ubyte", data_home, download_if_missing)
    labels = read(f"{SUBSETS[subset][0]}-labels-idx1-ubyte", data_home, download_if_missing)
    rotated = turn_subset(
        images[16:].reshape(-1, SIDE, SIDE),  # the header goes before the pixels
        subset,
        random_state,
        angles=angles,
        interpolation=interpolation,
        max_angle=max_angle,
        n_bins=n_bins,
        n_copies=n_copies,
    )
    target = labels[8:][rotated.index].astype(np.int64)
    if return_X_y:
        return rotated.images, target
    text = (
        f"Here: {len(target):,} images, rotated by {angles} angles of -{max_angle:g} to "
        f"{max_angle:g} degrees in {n_bins} bins; {interpolation} interpolation.\n"
    )
    descr = f"{DESCR.strip()}\n\n{text}"
    return Bunch(**rotated, target=target, target_names=np.array(CLASSES), DESCR=descr)


def read(name, data_home, download_if_missing):
    """The bytes (n,) of an unpacked file."""
    size = "26 MB" if name == "train-images-idx3-ubyte" else "5 MB at most"
    owned = OwnerFile("Fashion-MNIST", f"{OWNER}{name}.gz", "FashionMNIST/raw", DIGESTS[name], size)
    packed = fetch(owned, data_home, download_if_missing).read_bytes()
    return np.frombuffer(gzip.decompress(packed), np.uint8)
