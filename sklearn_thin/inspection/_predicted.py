"""What a report compares with y: probabilities of classes, labels of one type, or numbers."""

from numbers import Number

import numpy as np

from sklearn_thin.rows.labels import check_labels, sorted_classes, wrong_length

SUM = 1e-3  # largest difference of a row's sum from 1


def check_one_output(y):
    """Raise for several outputs, of which `predicted` would pass for probabilities."""
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        raise ValueError(
            f"y must be one output, a label or a number for each row, got shape {np.shape(y)}. "
            "Report each output with its own column of y and of predicted"
        )


def check_proba(predicted):
    """Raise where rows are no probabilities."""
    sums = predicted.sum(1)
    if (wrong := (predicted < 0).any(1) | (np.abs(sums - 1) > SUM)).any():
        row = wrong.argmax()
        raise ValueError(
            "predicted with several columns must hold probabilities, rows that are not negative "
            f"and sum to 1, but {wrong.sum()} of {len(wrong)} rows do not. Row {row} has the least "
            f"value {predicted[row].min():.4g} and the sum {sums[row]:.4g}. Pass "
            "clf.predict_proba(X), or labels, clf.predict(X)"
        )


def classes_of_columns(labels, y, columns):
    """Classes of the columns: `labels`, or the names of a frame's columns, or those of y, sorted.

    ValueError for a class that comes twice.
    """
    if labels is None:
        classes, names = sorted_classes(y, "y")[0], list(columns)
        if len(names) != len(classes) or set(names) != set(classes.tolist()):
            return classes
        labels = names
    labels = check_labels(labels, "labels")
    values = labels.tolist()
    if twice := [label for label in dict.fromkeys(values) if values.count(label) > 1]:
        raise ValueError(
            f"labels must hold each class once, but {twice[:10]} come more than once. Pass "
            "labels=clf.classes_"
        )
    return labels


def check_kinds(y, predicted):
    """Raise for labels of two types."""
    if len(y) and kinds_of(y).isdisjoint(kinds_of(predicted)):
        raise ValueError(
            f"y and predicted must hold labels of one type, got y such as {y.tolist()[0]!r} "
            f"and predicted such as {predicted.tolist()[0]!r}. Pass both as text, or both as "
            "numbers"
        )


def check_shared(classes, predicted):
    """Raise where no predicted label is among the classes of y, unless y has a single class."""
    if len(classes) > 1:
        raise ValueError(
            f"predicted has no label of y: it holds labels such as {predicted.tolist()[0]!r}, and "
            f"y {classes[:10].tolist()}. The order is level_report(y, predicted, z)"
        )


def check_numbers_of(y, predicted, fractions):
    """Raise where the one has fractions, and the other no numbers on a scale."""
    for name, of in (("y", y), ("predicted", predicted)):
        if of.dtype.kind not in "biuf":
            other = "predicted" if name == "y" else "y"
            raise ValueError(
                f"{other} has fractions, but {name} has labels such as {of.tolist()[0]!r}. Pass "
                "predicted labels, or probabilities with a column for each class, predict_proba(X)"
            )
    if not fractions[0] and len(np.unique(y)) == 2:
        raise ValueError(
            "predicted has fractions, but y has two labels. Pass predicted labels, or "
            "probabilities with a column for each class, predict_proba(X)"
        )


def kinds_of(labels):
    """Types of labels; all numbers are of one type."""
    return {
        next((kind for kind in (Number, str) if isinstance(label, kind)), type(label))
        for label in labels.tolist()
    }


def check_same_length(y, predicted):
    """Raise where there is not one label for each row of `predicted`."""
    if len(y) != len(predicted):
        raise wrong_length(y, len(predicted), "y", "predicted")
