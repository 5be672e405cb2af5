"""Labels or probabilities that a caller passes in place of the exogenous variables of X."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples

from sklearn_thin.exogenous.known import KnownVariable, target_column, values_of
from sklearn_thin.rows.columns import as_table
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
        return [of_probabilities(variables[0], np.asarray(exogenous))]
    columns = [target_column(exogenous, i, len(names), name) for i, name in enumerate(names)]
    return [of_labels(v, column) for v, column in zip(variables, columns, strict=True)]


def of_labels(variable, labels):
    """What stands for h_exo of a variable of these labels."""
    known = variable.transformer
    if isinstance(known, KnownVariable):
        values = known.transform_values(values_of(labels, "exogenous"), "exogenous")
        return torch.from_numpy(values)
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
    n_levels = variable.n_labels
    if n_levels is None or proba.shape[1] != n_levels:
        expected = "a column" if n_levels is None else f"a column, or {n_levels} for probabilities"
        raise ValueError(f"exogenous must have {expected}, got shape {proba.shape}")
    if np.iscomplexobj(proba):
        raise ValueError("Complex data not supported: exogenous")
    proba = check_array(proba, dtype=np.float32, input_name="exogenous")
    if proba.min() < 0 or not np.allclose(proba.sum(1), 1, atol=1e-3):
        raise ValueError("probabilities of exogenous must be non-negative rows that sum to 1")
    if isinstance(variable.transformer, KnownVariable):
        return torch.from_numpy(proba)
    check_overridden(variable)
    return Probabilities(torch.from_numpy(proba))


def check_overridden(variable):
    """Raise where labels cannot stand for the output of a transformer."""
    if variable.gate_input != "probabilities" or variable.classes is None:
        raise ValueError(
            f"exogenous cannot stand for {variable.name!r}, as the gate reads its "
            f"{variable.gate_input}. Labels stand for probabilities alone: use an encoder or an "
            "exogenous_predictor with classes_, and gate_input='probabilities'"
        )
