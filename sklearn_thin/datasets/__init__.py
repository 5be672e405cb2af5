"""Data sets in which a nuisance variable changes how the classes look."""

from sklearn_thin.datasets._affectnet import load_affectnet
from sklearn_thin.datasets._augmentation import ImageAugmentation
from sklearn_thin.datasets._emg import fetch_emg_gestures
from sklearn_thin.datasets._expressions import load_expressions
from sklearn_thin.datasets._expw import load_expw
from sklearn_thin.datasets._fashion import fetch_fashion_r
from sklearn_thin.datasets._lfw import load_lfw_pairs
from sklearn_thin.datasets._mnist import fetch_mnist_r, fetch_mnist_rs
from sklearn_thin.datasets._rafdb import load_rafdb
from sklearn_thin.datasets._rotated import load_rotated_digits, make_rotated
from sklearn_thin.datasets._selection import alternate_classes, split_by_subject
from sklearn_thin.datasets._sites import make_rotated_sites, make_sites
from sklearn_thin.datasets._spoken import fetch_spoken_digits
from sklearn_thin.datasets._sprites import load_dsprites, make_sprites
from sklearn_thin.datasets._uci import fetch_heart_sites, fetch_hydraulic, fetch_wine_quality
from sklearn_thin.datasets._vowels import fetch_nz_vowels

__all__ = [
    "ImageAugmentation",
    "alternate_classes",
    "fetch_emg_gestures",
    "fetch_fashion_r",
    "fetch_heart_sites",
    "fetch_hydraulic",
    "fetch_mnist_r",
    "fetch_mnist_rs",
    "fetch_nz_vowels",
    "fetch_spoken_digits",
    "fetch_wine_quality",
    "load_affectnet",
    "load_dsprites",
    "load_expressions",
    "load_expw",
    "load_lfw_pairs",
    "load_rafdb",
    "load_rotated_digits",
    "make_rotated",
    "make_rotated_sites",
    "make_sites",
    "make_sprites",
    "split_by_subject",
]
