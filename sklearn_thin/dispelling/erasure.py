"""Linear erasure: a closed-form map after which no linear probe finds the labels."""

import numpy as np
import torch

from sklearn_thin.dispelling.cosine import Cosine
from sklearn_thin.exogenous.known import has_parts
from sklearn_thin.exogenous.variables import target_column
from sklearn_thin.modules import LinearEraser
from sklearn_thin.rows.labels import check_labels, encode_labels, places_in, sorted_classes
from sklearn_thin.rows.numbers import mean_and_scale

ROUNDING = 1e-5  # of labels and standardised numbers in float32


class Erasure(Cosine):
    """Closed-form linear erasure in front of the experts, trained through.

    The map (:class:`~sklearn_thin.modules.LinearEraser`) is fitted anew in each epoch, and at
    last to all training rows. It erases `exogenous_target`, or without it the frozen predictors'
    probabilities. A column of numbers with fractions, such as temperatures, is erased as a number,
    and all else as classes. λ weighs the paper's term beside the map.

    Parameters
    ----------
    keep_target : bool, default=False
        Whether to erase only the part of the variable that y does not explain. Where y depends on
        the variable, plain erasure also removes information about y. With True, no linear probe
        within a class of y finds the variable. A probe of all classes still finds the part that
        the class implies.

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

    def __init__(self, keep_target=False) -> None:
        self.keep_target = keep_target

    def asks(self, lam, target):
        """λ, or erasure without labels."""
        if target is None and not lam > 0:
            return "dispelling='erasure' without exogenous_target"
        return super().asks(lam, target)

    def read_target(self, target, before, *, has_side):
        """Encoder of the labels, or None; a continued fit keeps its encoder."""
        if before and (target is None) != (before[0] is None):
            came = "is missing" if target is None else "was passed"
            raise ValueError(
                f"exogenous_target {came} in a fit that goes on, unlike in the one before: "
                "dispelling='erasure' erases the same labels in all of them"
            )
        if target is not None:
            check_erased_labels(target, before[0].categories_ if before else None)
            return before[0] if before else ErasedVariables(_columns(target))
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
            check_room(width, encoder.sizes)

    def map_labels(self, encoder, target, side, logits):
        """One-hot labels and standardised numbers, or the predictors' probabilities."""
        if encoder is None:
            return side.probabilities(logits), side.sizes
        return torch.from_numpy(encoder.transform(_columns(target))), encoder.sizes

    def keep(self, labels, sizes, y, weight, *, goes_on):
        """The part of the labels that y does not explain."""
        rest = unexplained(labels, torch.from_numpy(y), weight)
        if not (goes_on or rest.any()):
            raise ValueError(
                "y determines the exogenous variable, which leaves nothing to erase to "
                "dispelling=Erasure(keep_target=True): rows of equal y have equal exogenous "
                "labels. Erasure() erases the variable, and with it the information about y"
            )
        return rest, weight

    def make_map(self, width, sizes):
        """The linear eraser."""
        check_room(width, sizes)
        return LinearEraser(width, sum(sizes))


class ErasedVariables:
    """Variables of `exogenous_target` -> the columns to erase.

    Attributes
    ----------
    categories_ : list of ndarray or None
        Sorted classes of each variable, or None for a number.
    """

    def __init__(self, columns):
        self.categories_ = [
            None if is_number(column) else sorted_classes(column, "exogenous_target")[0]
            for column in columns
        ]

    @property
    def sizes(self):
        """Columns of each variable: its classes, or 1 for a number."""
        return [1 if classes is None else len(classes) for classes in self.categories_]

    def transform(self, columns):
        """One-hot classes and standardised numbers side by side, (n_samples, n_labels), float32."""
        parts = []
        for column, classes in zip(columns, self.categories_, strict=True):
            if classes is None:
                mean, scale = mean_and_scale(column.astype(np.float64)[:, None], None)
                part = (column[:, None] - mean) / np.where(scale > 0, scale, 1)
            else:
                part = places_in(classes, column)[:, None] == np.arange(len(classes))
            parts.append(part.astype(np.float32))
        return np.hstack(parts)


def unexplained(labels, y, weight):
    """Residuals (n_samples, n_labels) of labels: from class means, or from a regression on y."""
    labels, y = labels.double(), y if y.ndim == 1 else y.double()
    weight = torch.ones(len(y), dtype=torch.float64) if weight is None else weight.double()
    if y.ndim == 1:  # class codes
        sums = labels.new_zeros(int(y.max()) + 1, labels.shape[1])
        counts = labels.new_zeros(len(sums)).index_add_(0, y, weight)
        sums.index_add_(0, y, labels * weight[:, None])
        explained = (sums / counts.clamp_min(1e-12)[:, None])[y]
    else:
        design = torch.cat([y.new_ones(len(y), 1), y], 1)  # (n, 1 + outputs)
        root = weight.sqrt()[:, None]
        fitted = torch.linalg.lstsq(root * design, root * labels, driver="gelsd").solution
        explained = design @ fitted
    rest = (labels - explained).float()
    return rest.where(rest.abs() > ROUNDING, 0.0)


def is_number(column):
    """Whether a variable is a number, as for a known column: it has fractions."""
    return column.dtype.kind == "f" and has_parts(column)


def _columns(target):
    """Labels of each variable, (n_samples,)."""
    n_variables = (*np.shape(target), 1)[1]
    columns = [target_column(target, index, n_variables) for index in range(n_variables)]
    return [check_labels(column, "exogenous_target", numbers=True) for column in columns]


def check_room(width, sizes):
    """Raise where erasure takes as many directions as h_endo has."""
    n_free = sum(max(1, size - 1) for size in sizes)
    if n_free >= width:
        raise ValueError(
            f"dispelling='erasure' would take {n_free} directions out of h_endo, which has "
            f"{width}, and leave none. Merge exogenous classes, or give the backbone a "
            "wider output."
        )


def check_erased_labels(target, known=None):
    """Raise where a variable has fewer than two classes, or classes beyond the `known` ones."""
    columns = _columns(target)
    if known is not None and len(columns) != len(known):
        raise ValueError(
            f"exogenous_target has labels of {len(columns)} variables, but had those of "
            f"{len(known)} in the fit before: dispelling='erasure' erases the same in both"
        )
    for values, before in zip(columns, known or [None] * len(columns), strict=True):
        if is_number(values) if known is None else before is None:
            check_erased_numbers(values, goes_on=known is not None)
        else:
            encode_labels(values, len(values), known=before, name="exogenous_target")


def check_erased_numbers(values, *, goes_on):
    """Raise for numbers of one value, and for labels in a fit that goes on with numbers."""
    if goes_on and values.dtype.kind not in "biuf":
        raise ValueError(
            "exogenous_target held numbers in the fit before, and now holds labels such as "
            f"{str(values[0])!r}: dispelling='erasure' erases the same in both"
        )
    if not goes_on and (values == values[0]).all():
        raise ValueError(
            f"exogenous_target must hold different numbers to erase, got {values[0]:.4g} alone"
        )
