"""The data sets of the paper, as the commands of this folder use them."""

from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _cache import memory
from sklearn.model_selection import train_test_split

from sklearn_thin._environment import torch_seed
from sklearn_thin.datasets import (
    ImageAugmentation,
    fetch_mnist_rs,
    load_expressions,
    make_rotated,
    make_sprites,
    split_by_subject,
)
from sklearn_thin.datasets._mnist import read_mnist

SPRITE_SIDE = 32  # pixels
SPRITES_BY = ("scale", "orientation", "tilt")
SPRITE_COPIES = 6  # 60,000 sprites take 61 MB
DIGIT_COPIES = 24  # 60,000 digits take 47 MB
N_LABELS = {"rotation": 18, "scale": 10, "orientation": 40, "tilt": 10, "subject": 156}
FACES = ImageAugmentation(rotation=10, shift=0.05, flip=True, brightness=0.2, contrast=0.2)


# Images for an encoder: the classifier's, or other draws, whose exogenous labels are free.
OWN, FREE = "own images", "free labels"
LONG = "free labels, long"  # as FREE, for twice as many steps
SHUFFLED = "shuffled labels"  # as OWN, with labels that say nothing about the image
PASSES = {OWN: 1, SHUFFLED: 1, FREE: 1, LONG: 2}  # multiple of the classifier's steps


@dataclass(frozen=True)
class Setting:
    """What a run depends on, apart from its model."""

    dataset: str  # one of DATASETS
    data: str | None = None  # folder of the data set; sprites need none
    seed: int = 0
    epochs: int = 12
    rows: int | None = None  # for training; None is all
    test_rows: int | None = None  # to score on; None is all
    unseen: bool = False  # leaves out test images that equal an image of the training
    device: str = "auto"
    options: dict = field(default_factory=dict)  # of the data set's function
    variables: tuple | None = None  # exogenous; None is those of the data set
    backbone: dict = field(default_factory=dict)  # parameters of ConvNetBackbone
    augment: bool = False  # changes the images by FACES
    stack: int | None = None  # the seeds below it train together
    redrawn: bool = False  # each seed splits the people anew

    @property
    def gate_variables(self):
        """The exogenous variables that the gate reads."""
        return EXOGENOUS[self.dataset] if self.variables is None else self.variables

    def for_training(self):
        """The part of the setting that a fitted classifier depends on."""
        dataset = TRAINED_ON.get(self.dataset, self.dataset)
        return replace(self, dataset=dataset, test_rows=None, unseen=False)

    def seeds_of_stack(self):
        """The settings that train together."""
        return [replace(self, seed=seed) for seed in range(self.stack)]

    def for_encoder(self):
        """The part of the setting that a fitted encoder depends on."""
        return replace(self.for_training(), variables=None)


class Part(NamedTuple):
    """Images with their classes and the classes of each exogenous variable."""

    X: np.ndarray  # (n, height, width), uint8
    y: np.ndarray  # (n,)
    z: dict  # variable -> (n,)

    def first(self, n):
        """The first n rows; None is all."""
        return Part(self.X[:n], self.y[:n], {name: z[:n] for name, z in self.z.items()})


# ----------------------------------------------------------------------------- digits


@lru_cache(maxsize=2)
def upright(data, train):
    """MNIST as it is: images and digits."""
    return read_mnist(Path(data).expanduser(), "train" if train else "test")


def mnist_r(data, train, rows=None, **rotation):
    """MNIST-R: every digit turned once, by a continuous angle in [-90, 90) degrees.

    `rotation` are `angles` and `interpolation` of make_rotated.
    """
    images, digits = (part[:rows] for part in upright(data, train))
    rotated = make_rotated(images, random_state=0 if train else 1, **rotation)
    return Part(rotated.images, digits, {"rotation": rotated.angle_bins})


def mnist_r_choice(data, train, rows=None):
    """MNIST-R for choosing: the training digits alone, 10,000 of them held out for scoring."""
    digits = mnist_r(data, True)
    order = np.random.RandomState(0).permutation(len(digits.y))
    index = order[10_000:][:rows] if train else order[:10_000]
    return Part(digits.X[index], digits.y[index], {"rotation": digits.z["rotation"][index]})


def more_choice(data, n_copies, rows=None):
    """Other rotations of the training digits that are not held out, `n_copies` of each."""
    images, digits = upright(data, True)
    index = np.random.RandomState(0).permutation(len(digits))[10_000:][:rows]
    copies = [make_rotated(images[index], random_state=100 + copy) for copy in range(n_copies)]
    z = np.concatenate([copy.angle_bins for copy in copies])
    y = np.tile(digits[index], n_copies)
    return Part(np.concatenate([copy.images for copy in copies]), y, {"rotation": z})


def mnist_rs(data, train, rows=None):
    """MNIST-RS: digits turned and shrunk to between a half and the whole of their size."""
    subset = "train" if train else "test"
    digits = fetch_mnist_rs(data_home=data, subset=subset, download_if_missing=False)
    return as_digits(digits, digits.target).first(rows)


def more_digits(data, n_copies, rows=None, **rotation):
    """The training digits turned (and shrunk) anew, `n_copies` times each."""
    images, digits = (part[:rows] for part in upright(data, True))
    copies = [make_rotated(images, random_state=100 + copy, **rotation) for copy in range(n_copies)]
    parts = [as_digits(copy, digits) for copy in copies]
    z = {name: np.concatenate([part.z[name] for part in parts]) for name in parts[0].z}
    return Part(np.concatenate([part.X for part in parts]), np.tile(digits, n_copies), z)


def as_digits(rotated, digits):
    """Rotated images as a Part; its exogenous variables include the digit."""
    z = {"digit": digits, "rotation": rotated.angle_bins}
    if "scale_bins" in rotated:
        z["scale"] = rotated.scale_bins
    return Part(rotated.images, digits, z)


# ---------------------------------------------------------------------------- sprites


def sprites(data, train, rows=None):
    """60,000 sprites for training and 10,000 for testing, drawn anew; needs no files."""
    n, seed = (60_000, 0) if train else (10_000, 1)
    return draw_sprites(min(n, rows or n), seed)


def sprites_choice(data, train, rows=None):
    """The sprites for training, and 10,000 others than those of the test to choose on."""
    return sprites(data, True, rows) if train else draw_sprites(10_000, 2)


def more_sprites(data, n_copies, rows=None):
    """Other sprites, `n_copies` times as many as for training: their exogenous labels are free."""
    return draw_sprites(n_copies * (rows or 60_000), 100)


def draw_sprites(n, seed):
    """Sprites whose shape is the class; their scale, orientation or tilt is exogenous.

    Edges are hard, as in dSprites: smooth edges give away the shape of all but one in 10,000. The
    scale is in 10 bins, the orientation one of 40, as dSprites labels it. The tilt is the
    orientation within a quarter turn: a square looks the same after each.
    """
    drawn = make_sprites(n, side=SPRITE_SIDE, antialias=False, random_state=seed)
    orientation = np.rint(drawn.orientations / (np.pi / 20)).astype(np.int64) % 40
    z = {"scale": drawn.scale_bins, "orientation": orientation, "tilt": orientation % 10}
    return Part(drawn.images, drawn.target, z)


# ------------------------------------------------------------------------ expressions


@memory.cache
def expressions_split(data, choose, split=0):
    """Rows for training, for testing and for the identity encoder, split by subject.

    `split` deals the people. With `choose` the rows of the first split's training part, split again
    in the same way. The test part has none of the encoder's people. Returned too is the subject of
    each row; two subjects of one photograph are one.
    """
    faces = load_expressions(data)
    subject = faces.subject.copy()
    for first, row in faces.repeated:
        subject[subject == subject[row]] = subject[first]
    parts = split_by_subject(subject, faces.target, random_state=split)
    train, test = parts.train, parts.test
    if choose:
        inner = split_by_subject(subject[train], faces.target[train])
        train, test = train[inner.train], train[inner.test]
    return {"train": train, "test": test, "encoder": parts.encoder}, subject


def expressions(data, part, rows=None, *, side=64, choose=False, split=0):
    """Facial expressions in the wild; the part may be "encoder" besides True and False."""
    parts, subject = expressions_split(data, choose, split)
    index = parts[{True: "train", False: "test"}.get(part, part)][:rows]
    faces = load_expressions(data)
    images = shrunk(faces.images[index], side)
    return Part(images, faces.target_names[faces.target[index]], {"subject": subject[index]})


def known_people(data, train, rows=None, *, side=64, split=0):
    """Images of the identity encoder's people, a quarter of each person's for testing.

    The test part shows known people: it tells whether knowing them helps.
    """
    part = expressions(data, "encoder", side=side)
    people = np.unique(part.z["subject"], return_inverse=True)[1]
    halves = train_test_split(np.arange(len(people)), stratify=people, random_state=split)
    index = np.sort(halves[0 if train else 1])[:rows]
    return Part(part.X[index], part.y[index], {"subject": people[index]})


def shrunk(images, side):
    """Means over squares of pixels, of the same type."""
    n, block = len(images), images.shape[1] // side
    squares = images.reshape(n, side, block, side, block)
    return np.rint(squares.mean((2, 4))).astype(images.dtype)


def augmented(part, n_copies, seed):
    """`n_copies` changed copies of each image, as the classifiers' augmentation changes it."""
    images = torch.from_numpy(part.X).unsqueeze(1)  # (n, 1, H, W)
    with torch_seed(seed, torch.device("cpu")):
        copies = [FACES(images.float() / 255) for _ in range(n_copies)]
    copies = [(255 * copy).round().byte().squeeze(1).numpy() for copy in copies]
    z = {name: np.tile(z, n_copies) for name, z in part.z.items()}
    return Part(np.concatenate(copies), np.tile(part.y, n_copies), z)


# ------------------------------------------------------------------------------- all

DATASETS = {
    "mnist_r": mnist_r,
    "mnist_r_choice": mnist_r_choice,
    "mnist_rs": mnist_rs,
    "sprites": sprites,
    "sprites_choice": sprites_choice,
    "expressions": expressions,
    "known_people": known_people,
}
TRAINED_ON = {"sprites_choice": "sprites"}  # they differ only in the rows to score
# other draws of the training images, whose exogenous labels come with them
MORE = {
    "mnist_r": more_digits,
    "mnist_r_choice": more_choice,
    "mnist_rs": partial(more_digits, scale=(0.5, 1.0)),
    "sprites": more_sprites,
}
EXOGENOUS = {  # unless the setting has variables
    "mnist_r": ("rotation",),
    "mnist_r_choice": ("rotation",),
    "mnist_rs": ("rotation", "scale"),
    "sprites": ("scale",),
    "sprites_choice": ("scale",),
    "expressions": ("subject",),
    "known_people": ("subject",),
}


@lru_cache(maxsize=4)
def load(dataset, data, train, rows=None, **options):
    """One part of a data set; kept, as a process trains several models on it."""
    return DATASETS[dataset](data, train, rows, **options)


def part_of(setting, train, rows=None):
    """The part that a run trains on, or the part that it is scored on."""
    split = {"split": setting.seed} if setting.redrawn else {}
    return load(setting.dataset, setting.data, train, rows, **setting.options, **split)


def encoder_part(setting, kind):
    """Images and labels for an encoder, and how many copies of the data set they are.

    OWN: the classifier's own images; of the expressions, those of the people with enough of
    them. FREE and LONG: other draws, one for each epoch, where memory allows.
    """
    dataset, epochs = setting.dataset, setting.epochs * PASSES[kind]
    if kind in (FREE, LONG):
        most = SPRITE_COPIES if dataset == "sprites" else min(epochs, DIGIT_COPIES)
        n_copies = max(n for n in range(1, most + 1) if epochs % n == 0)
        return MORE[dataset](setting.data, n_copies, setting.rows, **setting.options), n_copies
    part = part_of(setting, "encoder" if dataset == "expressions" else True, setting.rows)
    if kind == SHUFFLED:
        order = np.random.RandomState(setting.seed).permutation(len(part.y))
        part = part._replace(z={name: z[order] for name, z in part.z.items()})
    if setting.augment:
        return augmented(part, epochs, setting.seed), epochs
    return part, 1


def scored_part(setting):
    """The rows that a run is scored on."""
    part = part_of(setting, False).first(setting.test_rows)
    if not setting.unseen:
        return part
    drawn = ("dataset", "data", "epochs", "rows", "options")
    kept = unseen_rows(Setting(**{name: getattr(setting, name) for name in drawn}))
    kept = kept[kept < len(part.y)]
    return Part(part.X[kept], part.y[kept], {name: z[kept] for name, z in part.z.items()})


@memory.cache
def unseen_rows(setting):
    """Test images that equal, pixel for pixel, no image of the classifier or the encoder."""
    seen = set(map(bytes, part_of(setting, True, setting.rows).X))
    seen.update(map(bytes, encoder_part(setting, FREE)[0].X))
    return np.flatnonzero([bytes(image) not in seen for image in part_of(setting, False).X])
