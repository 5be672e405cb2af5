"""Outputs of classifiers: of a net, or of anything else with a `predict_proba` of its own."""

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_thin._environment import public
from sklearn_thin.modules import THINModule
from sklearn_thin.rows.arrays import BLOCK, read_dataset
from sklearn_thin.rows.labels import Classes, agreement

LOGITS = {"soft": THINModule.logits, "hard": THINModule.hard_logits}
CLASS_WEIGHT = {"class_weight": [dict, StrOptions({"balanced"}), None]}
FLOAT = float(np.finfo(np.float32).max)


class ClassOutputs(ClassifierMixin):
    """scikit-learn's mixin for a net with targets of classes.

    An ensemble overrides `predict_proba` and `decision_function`.
    """

    _targets = Classes

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
    def predict_proba(self, X, *, exogenous=None):
        """Probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            Labels (n_samples,), or probabilities (n_samples, n_levels), in place of the exogenous
            variable of X: the prediction if each row had come from there. Several variables have
            a column each. `exogenous="given"` needs it, or predicts by the gate's prior.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float32
            Columns in the order of `classes_`.
        """
        proba = self._infer(X, LOGITS[self.inference], exogenous)
        with np.errstate(over="ignore"):  # of differences, whose exponentials are 0 anyway
            for rows in gen_batches(len(proba), BLOCK):  # softmax makes several copies
                proba[rows] = softmax(proba[rows], axis=1)
        return proba

    @public
    def decision_function(self, X, *, exogenous=None):
        """Logits of the classes; their difference for two classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        exogenous : array-like, label or None, default=None
            As in `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes; float32
        """
        logits = self._infer(X, LOGITS[self.inference], exogenous)
        if logits.shape[1] != 2:
            return logits
        difference = logits[:, 1].astype(float) - logits[:, 0]
        return np.clip(difference, -FLOAT, FLOAT).astype(np.float32)

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
