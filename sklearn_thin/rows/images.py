"""The range of images: one absurd pixel must not ruin what a network learns of its input."""

import numpy as np

from sklearn_thin.rows.arrays import BLOCK, room_for

REACH = 10  # times the range of the training images, on either side


def usual_range(images):
    """Least and greatest value to let pass, from the images of a training.

    A tenth of the images may hold any values: of the images' greatest values counts the one below
    which nine tenths lie, and accordingly of their least values. (-inf, inf) for images of uint8,
    and for images without different values.
    """
    if images.dtype == np.uint8:
        return -np.inf, np.inf
    least, greatest = extremes(images)
    low = float(np.quantile(least, 0.1, method="higher"))
    high = float(np.quantile(greatest, 0.9, method="lower"))
    if high <= low:
        return -np.inf, np.inf
    return low - REACH * (high - low), high + REACH * (high - low)


def within(images, bounds):
    """The images themselves, or a clipped copy where values lie outside the bounds."""
    low, high = bounds
    if np.isinf([low, high]).all() or images.dtype == np.uint8:
        return images
    least, greatest = extremes(images)
    if least.min() >= low and greatest.max() <= high:
        return images
    clipped = room_for("the clipped images", images.shape, images.dtype)
    for start in range(0, len(images), BLOCK):
        part = slice(start, start + BLOCK)
        np.clip(images[part], low, high, out=clipped[part])
    return clipped


def scale_refusal(came, fitted, estimator):
    """Words for images whose scale is another than in fit, of types by their names."""
    return (
        f"X has images of {came}, but {estimator} was fitted on {fitted}; "
        "uint8 alone is divided by 255. Convert X to the type of the fit"
    )


def extremes(images):
    """Least and greatest value of each image."""
    flat = images.reshape(len(images), -1)
    return flat.min(1), flat.max(1)
