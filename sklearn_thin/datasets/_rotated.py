"""Rotated images: the angle is the exogenous variable, cut into bins as its classes."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_random_state
from torch.nn import functional as F


def make_rotated(images, *, max_angle=90.0, n_bins=18, random_state=None):
    """Rotate every image by an angle of its own.

    Angles are uniform in [−max_angle, max_angle), counter-clockwise around the centre;
    pixels are interpolated bilinearly, and what comes from outside the image is 0.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width)
        uint8 or floating.
    max_angle : float, default=90.0
        In degrees, in (0, 180].
    n_bins : int, default=18
        Equal bins of the angle, the classes of the exogenous variable.
    random_state : int, RandomState instance or None, default=None
        Draws the angles.

    Returns
    -------
    Bunch
        `images`, of the shape and dtype that came; `angles` in degrees and `angle_bins`
        in [0, n_bins), both of shape (n_samples,).

    Raises
    ------
    ValueError
        For images of another shape, or an angle or number of bins out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_thin.datasets import make_rotated
    >>> rotated = make_rotated(np.ones((5, 8, 8)), random_state=0)
    >>> rotated.images.shape, rotated.angle_bins
    ((5, 8, 8), array([ 9, 12, 10,  9,  7]))
    """
    images = np.asarray(images)
    if images.ndim != 3:
        raise ValueError(f"images must have shape (n_samples, height, width), got {images.shape}")
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images must be uint8 or floating, got {images.dtype}; convert them")
    if not 0 < max_angle <= 180:
        raise ValueError(f"max_angle must be in (0, 180] degrees, got {max_angle!r}")
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, got {n_bins!r}")
    angles = check_random_state(random_state).uniform(-max_angle, max_angle, len(images))
    bins = np.floor((angles + max_angle) * n_bins / (2 * max_angle)).astype(np.int64)
    return Bunch(
        images=rotate(images, angles), angles=angles, angle_bins=np.minimum(bins, n_bins - 1)
    )


def rotate(images, angles):
    """Rotate images (n, height, width) counter-clockwise by `angles` (n,) in degrees."""
    rotated = np.empty_like(images)
    for start in range(0, len(images), 4096):  # bounds the memory of the float copies
        block = torch.tensor(np.ascontiguousarray(images[start : start + 4096])).float()
        block = block.unsqueeze(1)  # (b, 1, H, W)
        radians = torch.deg2rad(torch.tensor(angles[start : start + 4096]).float())
        cos, sin, zero = radians.cos(), radians.sin(), torch.zeros_like(radians)
        height, width = images.shape[1:]
        # maps output to input coordinates in [−1, 1], x before y, y pointing down
        top = torch.stack([cos, -sin * height / width, zero], 1)
        bottom = torch.stack([sin * width / height, cos, zero], 1)
        grid = F.affine_grid(torch.stack([top, bottom], 1), block.shape, align_corners=False)
        out = F.grid_sample(block, grid, mode="bilinear", align_corners=False).squeeze(1).numpy()
        rotated[start : start + 4096] = np.rint(out) if images.dtype == np.uint8 else out
    return rotated


def load_rotated_digits(*, max_angle=90.0, n_bins=18, random_state=None):
    """scikit-learn's digits, each rotated by an angle of its own.

    Parameters
    ----------
    max_angle, n_bins, random_state
        As in :func:`make_rotated`.

    Returns
    -------
    Bunch
        `images` of shape (1797, 8, 8), float32 in [0, 1]; `target`, the digit; `angles`
        in degrees and `angle_bins`, each of shape (1797,).

    Examples
    --------
    >>> from sklearn_thin.datasets import load_rotated_digits
    >>> load_rotated_digits(random_state=0).images.shape
    (1797, 8, 8)
    """
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    rotated = make_rotated(images, max_angle=max_angle, n_bins=n_bins, random_state=random_state)
    return Bunch(target=digits.target, **rotated)
