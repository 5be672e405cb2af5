"""What the models of the report predict: classes, or numbers."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from sklearn_thin import THINClassifier, THINRegressor

LEAST = 1e-6  # probability, of classes that the training rows lack


@dataclass(frozen=True)
class Labels:
    """Class codes. The loss is the squared error of the probabilities, and errors are wrong."""

    n_classes: int
    measures = "loss is the squared error of probabilities"
    estimator = THINClassifier

    def predict(self, net, x, **exogenous):
        """Probabilities (n, n_classes), 0 for classes that the training rows lack."""
        whole = np.zeros((len(x), self.n_classes))
        whole[:, net.classes_] = net.predict_proba(x, **exogenous)
        return whole

    def constant(self, y):
        """Frequencies of the classes."""
        return np.bincount(y, minlength=self.n_classes) / len(y)

    def by_level(self, y, z, n_levels):
        """Frequencies (n_levels, n_classes) of the classes, shrunk to those of all levels."""
        counts = np.zeros((n_levels, self.n_classes))
        np.add.at(counts, (z, y), 1)
        counts += self.constant(y) * self.n_classes
        return counts / counts.sum(1, keepdims=True)

    def score(self, predicted, y):
        """Errors and losses (n,)."""
        onehot = np.eye(self.n_classes)[y]
        return predicted.argmax(1) != y, np.square(predicted - onehot).sum(1)

    def regression(self, max_iter):
        """A linear model."""
        return LogisticRegression(C=0.1, max_iter=max_iter)

    def regression_losses(self, regression, design, y):
        """Log-losses (n,)."""
        of_class = regression.predict_proba(design) * (regression.classes_ == y[:, None])
        return -np.log(np.maximum(of_class.sum(1), LEAST))


@dataclass(frozen=True)
class Numbers:
    """Numbers. The loss is the squared error, as a share of the variance of y: 1 - R²."""

    variance: float
    measures = "error is the mean absolute error; loss is the squared error by the variance of y"
    estimator = THINRegressor

    def predict(self, net, x, **exogenous):
        """Predicted numbers (n,)."""
        return net.predict(x, **exogenous)

    def constant(self, y):
        """The mean."""
        return y.mean()

    def by_level(self, y, z, n_levels):
        """Means (n_levels,) of each level, shrunk to that of all by a row."""
        counts = np.bincount(z, minlength=n_levels)
        return (np.bincount(z, y, minlength=n_levels) + y.mean()) / (counts + 1)

    def score(self, predicted, y):
        """Absolute errors, and losses (n,)."""
        return np.abs(predicted - y), np.square(predicted - y) / self.variance

    def regression(self, max_iter):
        """A linear model."""
        return Ridge(10)  # alpha = 1 / C of the logistic regression

    def regression_losses(self, regression, design, y):
        """Squared errors (n,), as losses."""
        return self.score(regression.predict(design), y)[1]
