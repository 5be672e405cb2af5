"""A pretrained face-recognition network as an ordinary scikit-learn transformer.

Five landmarks turn and scale each face as in the training of the network. Without this alignment
the network confuses many people. The instance does not hold the network, so it can be cloned and
pickled like any other transformer. It needs `pip install 'sklearn-thin[faces]'`.
"""

import atexit
import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from joblib import Memory
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_memory

from sklearn_thin.datasets import load_expressions

HINT = "FaceDescriptor needs dlib and its weights: pip install 'sklearn-thin[faces]'"
try:
    import dlib
except ImportError as error:
    raise ImportError(HINT) from error


class FaceDescriptor(TransformerMixin, BaseEstimator):
    """Identity of a face as 128 numbers: near for one person, far for two people.

    Parameters
    ----------
    batch_size : int, default=128
        Faces that pass the network together.
    memory : str, joblib.Memory or None, default=None
        Cache of the descriptors. None computes them anew.
    """

    def __init__(self, batch_size=128, memory=None):
        self.batch_size = batch_size
        self.memory = memory

    def fit(self, X, y=None):
        """Check the images. The network is trained already."""
        check_faces(X)
        return self

    def transform(self, X):
        """Descriptors of shape (n_samples, 128) of uint8 crops (n_samples, height, width)."""
        return check_memory(self.memory).cache(describe)(check_faces(X), self.batch_size)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def check_faces(X):
    """X as an array of gray images."""
    X = np.asarray(X)
    if X.ndim != 3 or X.dtype != np.uint8:
        raise ValueError(
            "expected gray face crops, uint8 of shape (n_samples, height, width), got "
            f"{X.dtype} of shape {X.shape}; do not scale or flatten them"
        )
    return X


def describe(images, batch_size):
    """Descriptors of gray images, batch by batch."""
    starts = range(0, len(images), batch_size)
    return np.concatenate([describe_batch(images[i : i + batch_size]) for i in starts])


def describe_batch(images):
    landmarks, network = open_models()
    height, width = images.shape[1:]
    whole = dlib.rectangle(0, 0, width - 1, height - 1)
    faces = np.repeat(images[..., np.newaxis], 3, axis=3)  # (n, height, width, RGB)
    chips = [dlib.get_face_chip(face, landmarks(face, whole), size=150) for face in faces]
    return np.array(network.compute_face_descriptor(chips), dtype=np.float32)  # (n, 128)


@cache
def open_models():
    """Landmarks and network, from the files of `face_recognition_models`, opened once.

    The package is located, not imported: its import needs the former `pkg_resources`.
    """
    package = find_spec("face_recognition_models")
    if package is None:
        raise ImportError(HINT)
    models = Path(package.submodule_search_locations[0]) / "models"
    landmarks = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
    weights = models / "dlib_face_recognition_resnet_model_v1.dat"
    return landmarks, dlib.face_recognition_model_v1(str(weights))


def from_photographs(folder, per_class):
    """The descriptor with a cache, and faces to train and to test; no person is in both.

    `per_class` are the numbers of images of each expression, for the training and for the test.
    """
    cached = mkdtemp()  # of the descriptors: the network does not run anew in each fit
    atexit.register(shutil.rmtree, cached, ignore_errors=True)
    parts = zip(("train", "test"), per_class, strict=True)
    train, test = (draw(load_expressions(folder, subset=name), n) for name, n in parts)
    return FaceDescriptor(memory=Memory(cached, verbose=0)).fit(train.images), train, test


def draw(data, per_class, seed=0):
    """At most `per_class` images of each expression, person by person in a random order.

    Most images are neutral or happy. People are drawn rather than images, so that some people have
    several images.
    """
    people, person = np.unique(data.subject, return_inverse=True)
    order = np.argsort(np.random.RandomState(seed).permutation(len(people))[person])
    classes = range(len(data.target_names))
    rows = np.concatenate([order[data.target[order] == k][:per_class] for k in classes])
    return Bunch(**{name: data[name][rows] for name in ("images", "target", "subject")})
