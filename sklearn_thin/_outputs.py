"""Outputs of any classifier that has a `predict_proba`."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_thin._environment import public
from sklearn_thin.rows.arrays import read_dataset
from sklearn_thin.rows.labels import agreement


class ClassOutputs(ClassifierMixin):
    """scikit-learn's mixin for a `predict_proba`."""

    @public
    def score(self, X, y=None, sample_weight=None, *, exogenous=None):
        """Accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        y : array-like of shape (n_samples,), default=None
            True labels; None takes those of a torch data set.
        sample_weight : array-like of shape (n_samples,), default=None
        exogenous : array-like, label or None, default=None
            As in `predict_proba`.

        Returns
        -------
        float
        """
        X, y = read_dataset(X, y, verbose=self.verbose)
        return agreement(self.classes_, y, self.predict(X, exogenous=exogenous), sample_weight)

    @public
    def predict_log_proba(self, X, *, exogenous=None):
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            As in `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, exogenous=exogenous))

    @public
    def predict(self, X, *, exogenous=None):
        """Most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            As in `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels as they were passed to `fit`.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X, exogenous=exogenous).argmax(1)]
