"""Sprites: shapes whose scale, orientation and position vary; dSprites, drawn anew or read."""

import os
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_thin.datasets._files import find_file, read_npz

COUNT = [Interval(Integral, 1, None, closed="left")]
SHAPES = ("square", "ellipse", "heart")
SMALLEST = 0.5  # the smallest scale; the largest is 1
RADIUS = 15 / 64  # of the circle around a sprite of scale 1, as a share of the side
ELLIPSE = 0.6  # its short by its long axis
HEART_SIDE = 3 / np.sqrt(2) - 1  # of its square, so that the circle around it has radius 1
HEART_BELOW = (np.sqrt(2) - 1) / 2  # the square's centre, below that of the circle
FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
HOW = (
    f"dSprites is the file {FILE} of https://github.com/google-deepmind/dsprites-dataset (Apache "
    "2.0); make_sprites draws the like without it."
)
DESCR = """
Sprites: a white square, ellipse or heart on black. The shape is the class; scale, orientation
and position are exogenous variables. After dSprites (Matthey, Higgins, Hassabis, Lerchner:
dSprites: Disentanglement testing Sprites dataset, 2017), which has every combination of 3 shapes,
6 scales, 40 orientations and 32 x 32 positions once, 737,280 images of 64 x 64 pixels.
"""


@validate_params(
    {
        "n_samples": [*COUNT, None],
        "side": COUNT,
        "antialias": ["boolean"],
        "n_scales": COUNT,
        "n_orientations": COUNT,
        "n_positions": COUNT,
        "n_scale_bins": COUNT,
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_sprites(
    n_samples=None,
    *,
    side=64,
    antialias=True,
    n_scales=6,
    n_orientations=40,
    n_positions=32,
    n_scale_bins=10,
    random_state=None,
):
    """Draw the sprites of dSprites: the shape is the class, the scale the exogenous variable.

    A sprite of scale 1 fits a circle with a radius of 15/64 of the side. Centres are between a
    quarter and three quarters of the side, so that no sprite leaves the image.

    Parameters
    ----------
    n_samples : int or None, default=None
        None is the whole grid: each combination of shape, scale, orientation and positions
        once, in dSprites' order (the last varies fastest). With the defaults these are 737,280
        images, and take 3 GB (samples · side² bytes). An int draws a sample of this size. Its
        scales are uniform in [0.5, 1), so that all bins are about equally full; the other
        factors are from the grid.
    side : int, default=64
        Height and width in pixels.
    antialias : bool, default=True
        Whether an edge's pixels are gray, by their covered share. Without, all pixels are 0
        or 255, as in dSprites.
    n_scales : int, default=6
        Number of equally spaced scales from 0.5 to 1 of the whole grid. Six scales leave some
        of ten bins empty; with `n_scale_bins=6` each has its own bin.
    n_orientations : int, default=40
        Number of orientations in [0, 2π), equally spaced. (dSprites has both 0 and 2π.)
    n_positions : int, default=32
        Number of positions along each axis; a single position is the centre.
    n_scale_bins : int, default=10
        Number of equal bins of the scale between 0.5 and 1: by default 0.05 wide.
    random_state : int, RandomState instance or None, default=None
        Draws a sample; the whole grid has no random part.

    Returns
    -------
    Bunch
        `images`, uint8 of shape (n_samples, side, side), white on black; `target`, an index
        of `target_names` (3,); `scales` in [0.5, 1]; `scale_bins` in [0, n_scale_bins);
        `orientations`, in radians, counter-clockwise; `x` rightwards and `y` downwards, both
        in [0, 1]; all of shape (n_samples,); `DESCR`.

    Raises
    ------
    ValueError
        For an argument out of range.

    Examples
    --------
    >>> from sklearn_thin.datasets import make_sprites
    >>> sprites = make_sprites(4, random_state=0)
    >>> sprites.images.shape, sprites.target_names[sprites.target].tolist()
    ((4, 64, 64), ['square', 'ellipse', 'square', 'ellipse'])
    >>> len(make_sprites(side=16, n_scales=2, n_orientations=4, n_positions=1).images)
    24
    """
    counts = len(SHAPES), n_scales, n_orientations, n_positions, n_positions
    if n_samples is None:
        codes = [code.ravel() for code in np.meshgrid(*map(np.arange, counts), indexing="ij")]
        scales = np.linspace(SMALLEST, 1, n_scales)[codes[1]]
    else:
        random_state = check_random_state(random_state)
        codes = [random_state.randint(n, size=n_samples, dtype=np.int64) for n in counts]
        scales = random_state.uniform(SMALLEST, 1, n_samples)
    places = np.linspace(0, 1, n_positions) if n_positions > 1 else np.array([0.5])
    orientations = codes[2] * (2 * np.pi / n_orientations)
    x, y = places[codes[3]], places[codes[4]]
    factors = scales, orientations, x, y
    images = draw_sprites(codes[0], *factors, side, antialias)
    return bunch(images, codes[0], factors, n_scale_bins, ", drawn anew")


def bunch(images, target, factors, n_scale_bins, origin):
    """The Bunch of images with their shapes and four factors, each of shape (n,)."""
    scales, orientations, x, y = factors
    return Bunch(
        images=images,
        target=target,
        target_names=np.array(SHAPES),
        scales=scales,
        scale_bins=bin_scales(scales, n_scale_bins),
        orientations=orientations,
        x=x,
        y=y,
        DESCR=f"{DESCR.strip()}\n\nHere: {len(images):,} images{origin}.\n",
    )


def bin_scales(scales, n_bins):
    """The bin of each scale, of n_bins equal parts of [0.5, 1]; 1 is in the last."""
    # a scale on the border of two bins is in the upper bin, whatever its rounding
    bins = np.floor((scales - SMALLEST) / (1 - SMALLEST) * n_bins + 1e-6).astype(np.int64)
    return np.minimum(bins, n_bins - 1)


def draw_sprites(target, scales, orientations, x, y, side, antialias):
    """Images (n, side, side) of uint8 for shape codes and factors, all of shape (n,)."""
    images = np.empty((len(target), side, side), dtype=np.uint8)
    centres = side * (0.25 + 0.5 * np.stack([x, y]))  # (2, n) in pixels
    size = max(1, 2**17 // side**2)  # small enough to stay in the processor's cache
    for code, distance in enumerate((square_distance, ellipse_distance, heart_distance)):
        members = np.flatnonzero(target == code)
        for start in range(0, len(members), size):
            rows = members[start : start + size]
            radius = (RADIUS * side * scales[rows]).astype(np.float32)  # (b,) in pixels
            u, v = sprite_coordinates(orientations[rows], centres[:, rows], radius, side)
            pixels = distance(u, v) * radius[:, None, None]  # (b, H, W), inside < 0
            covered = np.clip(0.5 - pixels, 0, 1) if antialias else pixels <= 0
            images[rows] = np.rint(covered * np.float32(255))
    return images


def sprite_coordinates(orientations, centres, radius, side):
    """Coordinates of every pixel in the sprite's own system: unturned, radius 1, v upwards.

    `orientations` (n,) are in radians, `centres` (2, n) and `radius` (n,) in pixels. The
    coordinates are two float32 arrays of shape (n, side, side).
    """
    pixels = np.arange(side) + 0.5
    right = ((pixels - centres[0][:, None]) / radius[:, None]).astype(np.float32)  # (n, W)
    up = ((centres[1][:, None] - pixels) / radius[:, None]).astype(np.float32)  # (n, H)
    cos, sin = np.cos(orientations), np.sin(orientations)
    cos, sin = (factor.astype(np.float32)[:, None] for factor in (cos, sin))
    u = (cos * right)[:, None, :] + (sin * up)[:, :, None]  # (n, H, W)
    v = (-sin * right)[:, None, :] + (cos * up)[:, :, None]
    return u, v


def square_distance(u, v):
    """From points to the edge of a square with half a diagonal of 1; negative inside."""
    return np.maximum(np.abs(u), np.abs(v)) - np.float32(np.sqrt(0.5))


def ellipse_distance(u, v):
    """From points to the edge of an ellipse along u; exact to first order near the edge."""
    least = np.float32(1e-6)  # at the centre the quotient below is 0/0
    level = np.maximum(np.sqrt(u**2 + (v / ELLIPSE) ** 2), least)
    slope = np.maximum(np.sqrt(u**2 + (v / ELLIPSE**2) ** 2), least)
    return (level - 1) * level / slope


def heart_distance(u, v):
    """From points to the edge of a heart: a square on its corner and two half discs on it."""
    u, v = np.abs(u), v + np.float32(HEART_BELOW)  # from the square's centre
    square = (u + np.abs(v) - np.float32(HEART_SIDE / np.sqrt(2))) * np.float32(np.sqrt(0.5))
    middle = np.float32(HEART_SIDE / np.sqrt(8))  # of an upper edge, in u and in v
    disc = np.sqrt((u - middle) ** 2 + (v - middle) ** 2) - np.float32(HEART_SIDE / 2)
    return np.minimum(square, disc)


@validate_params(
    {
        "path": [str, os.PathLike],
        "n_samples": [*COUNT, None],
        "n_scale_bins": COUNT,
        "random_state": ["random_state"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_dsprites(path, *, n_samples=None, n_scale_bins=10, random_state=None, return_X_y=False):
    """Read the original dSprites: the shape is the class, the scale the exogenous variable.

    Parameters
    ----------
    path : str or path-like
        The file `dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz`, or the folder that holds
        it. Reading takes 3 GB of memory.
    n_samples : int or None, default=None
        Number of rows, drawn without replacement; None is all rows in the file's order.
    n_scale_bins : int, default=10
        See :func:`make_sprites`. The file has six scales.
    random_state : int, RandomState instance or None, default=None
        Draws the sample.
    return_X_y : bool, default=False
        Return `(images, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        See :func:`make_sprites`. Pixels are 0 or 255. Further entries are `index`
        (n_samples,), rows of the file, and `filename`.
    (images, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    FileNotFoundError
        For a missing file; the error explains how to get it.
    ValueError
        For a file that is truncated, corrupt or of another layout, and for more samples than
        it has.

    Examples
    --------
    >>> from sklearn_thin.datasets import load_dsprites
    >>> load_dsprites("dsprites.npz")
    Traceback (most recent call last):
    ...
    FileNotFoundError: dSprites: expected the file dsprites.npz, which is not there. ...
    """
    file = find_file(path, FILE, "dSprites", HOW)
    names = ("imgs", "latents_classes", "latents_values")
    images, classes, values = read_npz(file, names, are_sprites, "download it anew", HOW)
    check_values(images, classes, values, file)
    index = np.arange(len(images))
    if n_samples is not None:
        if n_samples > len(images):
            raise ValueError(f"n_samples={n_samples} is more than the {len(images)} rows of {file}")
        index = check_random_state(random_state).choice(index, n_samples, replace=False)
        images, classes, values = images[index], classes[index], values[index]
    images *= 255
    target = classes[:, 1].astype(np.int64)
    if return_X_y:
        return images, target
    data = bunch(images, target, values[:, 2:].T, n_scale_bins, " of the original")
    data.update(index=index, filename=str(file))
    return data


def are_sprites(images, classes, values):
    """Whether the arrays have the shapes and types of dSprites' archive."""
    right = images.ndim == 3 and images.dtype == np.uint8 and images.size > 0
    right = right and images.shape[1] == images.shape[2]
    right = right and classes.shape == values.shape == (len(images), 6)
    return right and classes.dtype.kind in "iu" and values.dtype.kind == "f"


def check_values(images, classes, values, file):
    """Refuse pixels, shapes and scales that are not in dSprites."""
    wrong = {
        "pixels other than 0 and 1": images.max(initial=0) > 1,
        "shapes other than 0 to 2": not np.isin(classes[:, 1], range(len(SHAPES))).all(),
        **{f"no {name}": code not in classes[:, 1] for code, name in enumerate(SHAPES)},
        "images without a white pixel": not images.any(axis=(1, 2)).all(),
        "scales outside [0.5, 1]": not ((values[:, 2] >= SMALLEST) & (values[:, 2] <= 1)).all(),
        "latent values that are not finite": not np.isfinite(values).all(),
    }
    problems = [problem for problem, found in wrong.items() if found]
    if problems:
        raise ValueError(f"{file} has {', '.join(problems)}; download it anew")
