"""The data sets of the paper, as the commands of this folder use them."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sklearn_thin._compat import import_torchvision
from sklearn_thin.datasets import make_rotated


class Part(NamedTuple):
    """Images with their classes and the classes of each exogenous variable."""

    X: np.ndarray  # (n, height, width), uint8
    y: np.ndarray  # (n,)
    z: dict  # variable -> (n,)


@lru_cache(maxsize=2)
def upright(data, train):
    """MNIST as it is: images and digits."""
    mnist = import_torchvision().datasets.MNIST(data, train=train)
    return mnist.data.numpy(), mnist.targets.numpy()


def mnist_r(data, train, rows=None):
    """MNIST-R: every digit turned once, by a continuous angle in [-90, 90) degrees."""
    images, digits = (part[:rows] for part in upright(data, train))
    rotated = make_rotated(images, random_state=0 if train else 1)
    return Part(rotated.images, digits, {"rotation": rotated.angle_bins})


def more_rotations(data, n_copies, rows=None):
    """The training digits turned `n_copies` times each: the exogenous label is free."""
    images, _ = (part[:rows] for part in upright(data, True))
    copies = [make_rotated(images, random_state=100 + copy) for copy in range(n_copies)]
    return (
        np.concatenate([copy.images for copy in copies]),
        np.concatenate([copy.angle_bins for copy in copies]),
    )


DATASETS = {"mnist_r": mnist_r}


@lru_cache(maxsize=4)
def load(dataset, data, train, rows=None):
    """One part of a data set; kept, as a process trains several models on it."""
    return DATASETS[dataset](data, train, rows)
