"""Rows of a fold -> what the networks of the report read."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from sklearn_thin import ConvNetBackbone, MLPBackbone, TablePreprocessor
from sklearn_thin._pickling import Estimator
from sklearn_thin.modules import MLP, ConvNet
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
    finite = np.isfinite(images).reshape(len(images), -1).all(1)  # (n,)
    if not finite.all():
        raise ValueError(
            f"{np.count_nonzero(~finite)} of {len(images)} images have pixels that are NaN or "
            "infinite. Fill them, or leave these images out"
        )
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


def inputs_of(X, z, train, test, *, unseen):
    """Pairs of training and test rows, by the names in Network.

    "columns" are float32 on the scale of the training rows. "x" are images, or the columns of a
    table. "... and z", for known levels, have their one-hot columns beside, behind an image.
    """
    columns = scaled(X, train, test)
    x = columns if len(X.shape) == 2 else scaled_images(X, train, test)
    if unseen:
        return {"x": x, "columns": columns}
    levels = [np.eye(z.max() + 1, dtype=np.float32)[z[index]] for index in (train, test)]

    def with_z(parts):
        return [np.hstack([p.reshape(len(p), -1), q]) for p, q in zip(parts, levels, strict=True)]

    beside = with_z(columns)
    beside_x = beside if x is columns else with_z(x)
    return {"x": x, "columns": columns, "columns and z": beside, "x and z": beside_x}


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


def backbones_of(shape, width):
    """Backbones of "x" and of "x and z": a hidden layer, behind convolutions of larger images."""
    shortest = min(shape[-2:]) if len(shape) > 2 else 0
    filters = [f for k, f in enumerate(FILTERS, 1) if shortest >> k >= LEAST_SIDE]
    if not filters:
        return MLPBackbone((width,), DROPOUT), MLPBackbone((width,), DROPOUT)
    image = shape[1:] if len(shape) == 4 else (1, *shape[1:])
    convolutions = ConvNetBackbone(filters, hidden_layer_sizes=(width,), dropout=DROPOUT)
    return convolutions, LevelBackbone(filters, image, width)


class LevelBackbone(Estimator):
    """The hidden layer reads what the convolutions find, beside columns of levels."""

    def __init__(self, filters, image, width):
        self.filters = filters
        self.image = image
        self.width = width

    def build(self, input_shape):
        return LevelNet(self.filters, self.image, input_shape[0], self.width)


class LevelNet(nn.Module):
    """From the pixels of an image and columns of levels, (n, pixels + levels), to (n, width)."""

    def __init__(self, filters, image, n_columns, width):
        super().__init__()
        self.image, self.n_pixels = image, math.prod(image)
        self.stem = ConvNet(image[0], filters)
        n_found = filters[-1] * math.prod(side >> len(filters) for side in image[1:])
        self.hidden = MLP(n_found + n_columns - self.n_pixels, (width,), DROPOUT)

    def forward(self, x):
        pixels, levels = x[:, : self.n_pixels], x[:, self.n_pixels :]
        found = self.stem(pixels.unflatten(1, self.image))  # (n, n_found)
        return self.hidden(torch.cat([found, levels], 1))
