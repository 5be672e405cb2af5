"""Rotated and shrunk images: angle and scale, cut into bins, are the exogenous variables."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from torch.nn import functional as F

COUNT = [Interval(Integral, 1, None, closed="left")]
ROTATION = {  # constraints of the parameters that all rotated data sets have
    "max_angle": [Interval(Real, 0, 180, closed="right")],
    "n_bins": COUNT,
    "scale": "no_validation",  # by check_range, in make_rotated
    "angles": [StrOptions({"continuous", "discrete"})],
    "n_scale_bins": COUNT,
    "interpolation": [StrOptions({"bilinear", "nearest"})],
    "n_copies": COUNT,
    "random_state": ["random_state"],
}


@validate_params({**ROTATION, "images": "no_validation"}, prefer_skip_nested_validation=True)
def make_rotated(
    images,
    *,
    max_angle=90.0,
    n_bins=18,
    angles="continuous",
    scale=None,
    n_scale_bins=10,
    interpolation="bilinear",
    n_copies=1,
    random_state=None,
):
    """Rotate every image by an angle of its own, and shrink it by a scale of its own.

    Angles are in [−max_angle, max_angle), counter-clockwise around the centre. Rotation and
    scale are one resampling. Pixels from outside the image are 0.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width)
        uint8 or floating.
    max_angle : float, default=90.0
        Greatest angle in degrees, in (0, 180].
    n_bins : int, default=18
        Number of equal bins of the angle, the classes of the exogenous variable.
    angles : {"continuous", "discrete"}, default="continuous"
        Whether angles are uniform over the range, or centres of bins.
    scale : (float, float) or None, default=None
        The range [low, high) of a uniform factor, 0 < low < high. Below 1 an image becomes
        smaller about its centre, above 1 larger. None leaves the size as it is.
    n_scale_bins : int, default=10
        Number of equal bins of the scale.
    interpolation : {"bilinear", "nearest"}, default="bilinear"
        Interpolation of the pixels.
    n_copies : int, default=1
        Number of transformations of each image, drawn independently. Bins are known without
        labelling, so an encoder can learn from more rotations than there are images.
    random_state : int, RandomState instance or None, default=None
        Draws the angles, then the scales.

    Returns
    -------
    Bunch
        `images` of shape (n_copies · n_samples, height, width) and the given dtype, copy by
        copy; `angles` in degrees, `angle_bins` in [0, n_bins), and `index`, the row of the
        given images, all of shape (n_copies · n_samples,). With `scale` also `scales`, and
        `scale_bins` in [0, n_scale_bins).

    Raises
    ------
    ValueError
        For images of another shape, or an argument out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_thin.datasets import make_rotated
    >>> rotated = make_rotated(np.ones((5, 8, 8)), random_state=0)
    >>> rotated.images.shape, rotated.angle_bins
    ((5, 8, 8), array([ 9, 12, 10,  9,  7]))
    >>> twice = make_rotated(np.ones((3, 8, 8)), scale=(0.5, 1), n_copies=2, random_state=0)
    >>> twice.index, twice.scale_bins
    (array([0, 1, 2, 0, 1, 2]), array([4, 8, 9, 3, 7, 5]))
    """
    images = check_images(images)
    low, high = check_range("scale", scale)
    random_state = check_random_state(random_state)
    index = np.tile(np.arange(len(images)), n_copies)
    draw = draw_centres if angles == "discrete" else draw_uniform
    n = len(index)
    degrees, angle_bins = draw(random_state, n, -max_angle, max_angle, n_bins)
    scales, scaled = None, {}
    if scale is not None:
        scales, scale_bins = draw_uniform(random_state, n, low, high, n_scale_bins)
        scaled = {"scales": scales, "scale_bins": scale_bins}
    rotated = rotate(images, degrees, scales, index=index, interpolation=interpolation)
    return Bunch(images=rotated, angles=degrees, angle_bins=angle_bins, index=index, **scaled)


def check_images(images):
    """Images as an array (n, height, width) of uint8 or of torch's floating types."""
    images = np.asarray(images)
    if images.ndim != 3:
        raise ValueError(f"images must have shape (n_samples, height, width), got {images.shape}")
    if images.dtype not in (np.uint8, np.float16, np.float32, np.float64):
        raise ValueError(
            "images must be uint8 or floating (float16, float32 or float64, in native byte order), "
            f"got {images.dtype}; convert them"
        )
    if 0 in images.shape[1:] or not np.isfinite(images).all():
        raise ValueError(f"images must have finite pixels, one at least, got shape {images.shape}")
    return images


def check_range(name, value):
    """Both ends of a range of factors; None is (1, 1)."""
    if value is None:
        return 1.0, 1.0
    try:
        low, high = value
    except (TypeError, ValueError):
        low = high = None
    numbers = isinstance(low, Real) and isinstance(high, Real)  # "12" unpacks as well
    if not (numbers and 0 < low < high < np.inf):
        raise ValueError(f"{name} must be None or (low, high) with 0 < low < high, got {value!r}")
    return float(low), float(high)


def draw_uniform(random_state, n_samples, low, high, n_bins):
    """Values uniform in [low, high), and the bin of each, of n_bins equal parts."""
    values = random_state.uniform(low, high, n_samples)
    bins = np.floor((values - low) * n_bins / (high - low)).astype(np.int64)
    return values, np.minimum(bins, n_bins - 1)


def draw_centres(random_state, n_samples, low, high, n_bins):
    """Centres of bins, and the bin of each, of n_bins equal parts of [low, high)."""
    bins = random_state.randint(n_bins, size=n_samples, dtype=np.int64)
    return low + (bins + 0.5) * (high - low) / n_bins, bins


def rotate(images, angles, scales=None, *, index=None, interpolation="bilinear"):
    """Images rotated counter-clockwise and scaled, in one resampling.

    Each sample has an angle in degrees, a scale and the `index` of its image, all of shape
    (n_samples,). Without an index each image is one sample.
    """
    index = np.arange(len(images)) if index is None else index
    scales = np.ones(len(index)) if scales is None else scales
    height, width = images.shape[1:]
    rotated = np.empty((len(index), height, width), dtype=images.dtype)
    for start in range(0, len(index), 4096):  # bounds the memory of the float copies
        rows = slice(start, start + 4096)
        block = torch.from_numpy(images[index[rows]]).float().unsqueeze(1)  # (b, 1, H, W)
        radians = torch.deg2rad(torch.from_numpy(angles[rows]).float())
        matrix = sampling_matrix(radians, torch.from_numpy(scales[rows]).float(), height, width)
        theta = F.pad(matrix, (0, 1))  # (b, 2, 3), without a shift of the centre
        grid = F.affine_grid(theta, block.shape, align_corners=False)
        out = F.grid_sample(block, grid, mode=interpolation, align_corners=False)
        out = out.squeeze(1).numpy()  # (b, H, W)
        rotated[rows] = np.rint(out) if images.dtype == np.uint8 else out
    return rotated


def sampling_matrix(radians, scales, height, width):
    """Linear maps (n, 2, 2) from output to input pixels, for `radians` and `scales` (n,).

    Images turn counter-clockwise. Coordinates are in [−1, 1], x before y, y pointing down.
    """
    cos, sin = radians.cos() / scales, radians.sin() / scales
    top = torch.stack([cos, -sin * height / width], 1)
    bottom = torch.stack([sin * width / height, cos], 1)
    return torch.stack([top, bottom], 1)


@validate_params({**ROTATION, "return_X_y": ["boolean"]}, prefer_skip_nested_validation=True)
def load_rotated_digits(
    *,
    max_angle=90.0,
    n_bins=18,
    angles="continuous",
    scale=None,
    n_scale_bins=10,
    interpolation="bilinear",
    n_copies=1,
    random_state=0,
    return_X_y=False,
):
    """scikit-learn's digits, each rotated by an angle of its own.

    Parameters
    ----------
    max_angle, n_bins, angles, scale, n_scale_bins, interpolation, n_copies
        See :func:`make_rotated`.
    random_state : int, RandomState instance or None, default=0
        Draws the angles.
    return_X_y : bool, default=False
        Return `(images, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `images` of shape (1797 · n_copies, 8, 8), float32 in [0, 1]; `target`, the digit, an
        index of `target_names`; `angles` in degrees, `angle_bins` and `index`, each of shape
        (1797 · n_copies,); with `scale` also `scales` and `scale_bins`; `DESCR`.
    (images, target) : tuple
        With `return_X_y=True`.

    Examples
    --------
    >>> from sklearn_thin.datasets import load_rotated_digits
    >>> load_rotated_digits(random_state=0).images.shape
    (1797, 8, 8)
    """
    digits = load_digits()
    rotated = make_rotated(
        (digits.images / 16).astype(np.float32),
        max_angle=max_angle,
        n_bins=n_bins,
        angles=angles,
        scale=scale,
        n_scale_bins=n_scale_bins,
        interpolation=interpolation,
        n_copies=n_copies,
        random_state=random_state,
    )
    target = digits.target[rotated.index]
    if return_X_y:
        return rotated.images, target
    described = f"{digits.DESCR.rstrip()}\n\nHere: {len(target):,} images, each rotated.\n"
    return Bunch(**rotated, target=target, target_names=digits.target_names, DESCR=described)
