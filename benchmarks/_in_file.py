"""A frozen encoder that travels as the path of its file."""

from functools import cache

from sklearn.base import BaseEstimator, TransformerMixin

from sklearn_thin import load

load_once = cache(load)  # in each process


class InFile(TransformerMixin, BaseEstimator):
    """An encoder that is read from a file of `save` where it is needed."""

    def __init__(self, path):
        self.path = path

    def fit(self, X, y=None):
        """Nothing is fitted."""
        return self

    def transform(self, X):
        return load_once(self.path).transform(X)

    @property
    def predictor_(self):
        return load_once(self.path).predictor_

    @property
    def classes_(self):
        return load_once(self.path).classes_

    def __sklearn_is_fitted__(self):
        return True
