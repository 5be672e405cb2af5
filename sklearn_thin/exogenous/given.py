"""Labels or probabilities that a caller passes in place of the exogenous variables of X."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples

from sklearn_thin.exogenous.known import KnownVariable, target_column, values_of
from sklearn_thin.rows.columns import as_levels, as_table
from sklearn_thin.rows.labels import check_labels, places_in


@dataclass
class Probabilities:
    """Probabilities of the exogenous classes (n, classes), where h_exo is not known."""

    proba: torch.Tensor

    def __getitem__(self, rows):
        return Probabilities(self.proba[rows])


def given_representations(variables, exogenous, n_rows):
    """What stands for h_exo of each frozen variable: labels or probabilities.

    A dict names variables, and the others stay as X has them: None.
    """
    names = [variable.name for variable in variables]
    if isinstance(exogenous, dict):
        if not exogenous or not set(exogenous) <= set(names):
            raise ValueError(
                f"a dict as exogenous must name exogenous variables, of {names}, got "
                f"{list(exogenous)}"
            )
        given = ((v, exogenous.get(v.name)) for v in variables)
        return [None if e is None else given_representations([v], e, n_rows)[0] for v, e in given]
    if np.ndim(exogenous) == 0:  # one label for all rows
        exogenous = np.full(n_rows, exogenous, dtype=getattr(exogenous, "dtype", object))
    if (length := _num_samples(exogenous)) != n_rows:
        raise ValueError(
            f"exogenous must have one label for each of the {n_rows} rows of X, got {length}"
        )
    if not hasattr(exogenous, "shape"):
        exogenous = as_table(exogenous)
    if len(variables) == 1 and len(exogenous.shape) == 2 and exogenous.shape[1] > 1:
        return [of_probabilities(variables[0], exogenous)]
    place = len(names), names, "exogenous"
    columns = [target_column(exogenous, i, *place) for i in range(len(names))]
    return [of_labels(v, column) for v, column in zip(variables, columns, strict=True)]


def of_labels(variable, labels):
    """What stands for h_exo of a variable of these labels."""
    known = variable.transformer
    if isinstance(known, KnownVariable):
        values = values_of(labels, "exogenous", exact=known.classes_ is not None)
        return known.read_values(values, "exogenous")
    check_overridden(variable)
    labels = check_labels(labels, "exogenous")
    places = places_in(variable.classes, labels)
    if (places < 0).any():
        unknown = dict.fromkeys(map(str, labels[places < 0]))
        raise ValueError(
            f"exogenous has labels that {variable.name!r} does not know: "
            f"{', '.join(list(unknown)[:5])}; known are {variable.classes.tolist()}"
        )
    proba = np.eye(len(variable.classes), dtype=np.float32)[places]
    return Probabilities(torch.from_numpy(proba))


def of_probabilities(variable, proba):
    """What stands for h_exo of a variable of these probabilities."""
    n_levels, names = variable.n_labels, getattr(proba, "columns", None)
    proba = np.asarray(proba)
    if n_levels is None or proba.shape[1] != n_levels:
        expected = "a column" if n_levels is None else f"a column, or {n_levels} for probabilities"
        raise ValueError(f"exogenous must have {expected}, got shape {proba.shape}")
    if np.iscomplexobj(proba):
        raise ValueError("Complex data not supported: exogenous")
    proba = check_array(proba, dtype=np.float32, input_name="exogenous")
    if proba.min() < 0 or not np.allclose(proba.sum(1), 1, atol=1e-3):
        raise ValueError("probabilities of exogenous must be non-negative rows that sum to 1")
    named = names is not None and variable.classes is not None
    if named or variable.levels is not None:
        proba = proba[:, columns_of(variable, names)]
    if isinstance(variable.transformer, KnownVariable):
        return torch.from_numpy(proba)
    check_overridden(variable)
    return Probabilities(torch.from_numpy(proba))


def columns_of(variable, names):
    """Columns of given probabilities in the order of the classes: by their names, else by place."""
    classes = as_levels(np.asarray(variable.classes).tolist()).tolist()
    levels = classes if variable.levels is None else variable.levels.tolist()
    if names is not None and list(names) != list(range(len(names))):  # which pandas gives to all
        flags = (bool, np.bool_)  # levels 0 and 1 of a known variable
        names = [int(n) if isinstance(n, flags) and str(n) not in levels else n for n in names]
        names = as_levels(names).tolist()
        missing = [level for level in levels if level not in names]
        if not missing:
            levels = names
        elif len(missing) < len(levels):
            raise ValueError(
                f"exogenous has columns for some levels of {variable.name!r}, but none for "
                f"{missing}. Name a column of probabilities after each level, or none"
            )
    return [levels.index(level) for level in classes]


def check_overridden(variable):
    """Raise where labels cannot stand for the output of a transformer."""
    if variable.gate_input != "probabilities" or variable.classes is None:
        raise ValueError(
            f"exogenous cannot stand for {variable.name!r}, as the gate reads its "
            f"{variable.gate_input}. Labels stand for probabilities alone: use an encoder or an "
            "exogenous_predictor with classes_, and gate_input='probabilities'"
        )
