"""The class outputs that a `predict_proba` gives."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_thin.rows.arrays import read_dataset


class ClassOutputs(ClassifierMixin):
    """scikit-learn's mixin for a `predict_proba`."""

    def score(self, X, y=None, sample_weight=None):
        """Accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        y : array-like of shape (n_samples,), default=None
            True labels; None takes those of a torch data set.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        X, y = read_dataset(X, y, verbose=self.verbose)
        return super().score(X, y, sample_weight)

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X):
        """Most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels as they were passed to `fit`.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]
