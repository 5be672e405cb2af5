"""Rows of a fold -> what the networks of the report read."""

import numpy as np
import torch
from sklearn.preprocessing import OneHotEncoder
from torch.nn.functional import adaptive_avg_pool2d

from sklearn_thin import ConvNetBackbone, MLPBackbone, TablePreprocessor
from sklearn_thin.rows.arrays import BLOCK, NUMBERS, room_for, take
from sklearn_thin.rows.images import usual_range, within

SIDE = 32  # pixels of an image, at most
FILTERS = (8, 16)  # of blocks that halve the side
LEAST_SIDE = 2  # pixels that a block leaves
DROPOUT = 0.2


def small(images):
    """Images whose sides are at most SIDE, as means over windows; small images as they are."""
    if images.dtype.kind not in NUMBERS:
        raise ValueError(f"images must have numbers, got dtype {images.dtype}")
    longest = max(images.shape[-2:])
    if longest <= SIDE:
        return images
    sides = [max(1, round(SIDE / longest * side)) for side in images.shape[-2:]]
    whole = room_for("smaller images", (*images.shape[:-2], *sides), np.float32)
    for start in range(0, len(images), BLOCK):
        part = slice(start, start + BLOCK)
        block = torch.from_numpy(images[part].astype(np.float32))  # (n, [channels,] H, W)
        whole[part] = adaptive_avg_pool2d(block, sides).numpy()
    return whole


def inputs_of(X, z, train, test):
    """Pairs of training and test rows, by the names in Network.

    "columns" are float32 on the scale of the training rows, and "columns and z" have one-hot
    columns of the levels beside. "x" are images, or the columns of a table.
    """
    columns = scaled(X, train, test)
    onehot = OneHotEncoder(sparse_output=False, dtype=np.float32).fit(z[:, None])
    with_z = [
        np.hstack([part, onehot.transform(z[index, None])])
        for part, index in zip(columns, (train, test), strict=True)
    ]
    x = columns if len(X.shape) == 2 else scaled_images(X, train, test)
    return {"x": x, "columns": columns, "columns and z": with_z}


def scaled(X, train, test):
    """Training and test rows as float32 columns, on the scale of the training rows."""
    if len(X.shape) > 2:
        X = X.reshape(len(X), -1)
    preprocessor = TablePreprocessor().fit(take(X, train))
    return preprocessor.transform(take(X, train)), preprocessor.transform(take(X, test))


def scaled_images(X, train, test):
    """Training and test images as float32, by mean and deviation of all training pixels."""
    bounds = usual_range(take(X, train))
    images, held_out = (
        within(take(X, index), bounds).astype(np.float32) for index in (train, test)
    )
    mean, deviation = images.mean(), images.std() or 1
    return (images - mean) / deviation, (held_out - mean) / deviation


def backbone_of(shape, width):
    """A hidden layer of `width` units, behind convolutions of images that are large enough."""
    filters = [f for k, f in enumerate(FILTERS, 1) if min(shape[2:], default=0) >> k >= LEAST_SIDE]
    if not filters:
        return MLPBackbone((width,), DROPOUT)
    return ConvNetBackbone(filters, hidden_layer_sizes=(width,), dropout=DROPOUT)
