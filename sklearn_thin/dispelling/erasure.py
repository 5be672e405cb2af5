"""Linear erasure: a closed-form map after which no linear probe finds the labels."""

import numpy as np
import torch
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import _num_samples

from sklearn_thin.dispelling.cosine import Cosine
from sklearn_thin.exogenous.variables import target_column
from sklearn_thin.modules import LinearEraser
from sklearn_thin.rows.labels import check_labels, encode_labels, in_one_array


class Erasure(Cosine):
    """Closed-form linear erasure in front of the experts, trained through.

    The map (:class:`~sklearn_thin.modules.LinearEraser`) is fitted anew in each epoch, and at
    last to all training rows. It erases the classes of `exogenous_target`, or without them the
    frozen predictors' probabilities. λ weighs the paper's term beside the map.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.dispelling import Erasure
    >>> X, y = load_digits(return_X_y=True)
    >>> thin = THINClassifier(dispelling=Erasure(), max_epochs=2, random_state=0)
    >>> thin.fit(X / 16, y, exogenous_target=X.mean(1).round()).transform(X[:2] / 16).shape
    (2, 256)
    """

    name = "erasure"

    def asks(self, lam, target):
        """λ, or erasure without labels."""
        if target is None and not lam > 0:
            return "dispelling='erasure' without exogenous_target"
        return super().asks(lam, target)

    def read_target(self, target, before, *, has_side):
        """One-hot encoder of the labels, or None; a continued fit keeps its encoder."""
        if before and (target is None) != (before[0] is None):
            came = "is missing" if target is None else "was passed"
            raise ValueError(
                f"exogenous_target {came} in a fit that goes on, unlike in the one before: "
                "dispelling='erasure' erases the same labels in all of them"
            )
        if target is not None:
            check_erased_labels(target, before[0].categories_ if before else None)
            return before[0] if before else one_hot_encoder(target)
        if not has_side:
            raise ValueError(
                "dispelling='erasure' needs labels to erase: pass "
                "fit(X, y, exogenous_target=...), or an exogenous side with a predictor"
            )
        return None

    def check(self, width, encoder, reads):
        """Raise where erasure would leave nothing of h_endo."""
        super().check(width, encoder, reads)
        if encoder is not None:
            check_room(width, [len(classes) for classes in encoder.categories_])

    def map_labels(self, encoder, target, side, logits):
        """One-hot labels, or the predictors' probabilities."""
        if encoder is None:
            return side.probabilities(logits), side.sizes
        labels = torch.from_numpy(encoder.transform(_columns(target)))
        return labels, [len(classes) for classes in encoder.categories_]

    def make_map(self, width, sizes):
        """The linear eraser."""
        check_room(width, sizes)
        return LinearEraser(width, sum(sizes))


def one_hot_encoder(target):
    """Encoder of the exogenous labels, with one column for each variable."""
    encoder = OneHotEncoder(sparse_output=False, dtype=np.float32)
    # an array, whatever scikit-learn's global setting of outputs is
    return encoder.set_output(transform="default").fit(_columns(target))


def _columns(target):
    """Labels of all variables, (n_samples, n_variables)."""
    columns = [target_column(target, *place) for place in _places(target)]
    return in_one_array([check_labels(column, "exogenous_target") for column in columns])


def _places(target):
    """Place of each variable, and their number."""
    n_variables = (*np.shape(target), 1)[1]
    return [(index, n_variables) for index in range(n_variables)]


def check_room(width, sizes):
    """Raise where erasure takes as many directions as h_endo has."""
    n_free = sum(sizes) - len(sizes)
    if n_free >= width:
        raise ValueError(
            f"dispelling='erasure' would take {n_free} directions out of h_endo, which has "
            f"{width}, and leave none. Merge exogenous classes, or give the backbone a "
            "wider output."
        )


def check_erased_labels(target, known=None):
    """Raise where a variable has fewer than two classes, or classes beyond the `known` ones."""
    places = _places(target)
    if known is not None and len(places) != len(known):
        raise ValueError(
            f"exogenous_target has labels of {len(places)} variables, but had those of "
            f"{len(known)} in the fit before: dispelling='erasure' erases the same in both"
        )
    for index, n_variables in places:
        column = target_column(target, index, n_variables)
        before = None if known is None else known[index]
        encode_labels(column, _num_samples(column), known=before, name="exogenous_target")
