"""The rows of a fit, from X to a plan."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sklearn_thin.rows.arrays import take


@dataclass
class Rows:
    """Rows of X, with the labels and weights of each row."""

    raw: Any  # as the user passed them, for the transformers
    x: np.ndarray | None  # the backbone's input; None until `endogenous` is fitted
    y: np.ndarray  # class codes, (n,), or numbers, (n, n_outputs)
    weight: np.ndarray | None = None  # sample weights, (n,)
    groups: np.ndarray | None = None  # rows that early stopping holds out together, (n,)
    target: Any = None  # exogenous labels, (n,) or (n, n_exogenous)
    index: np.ndarray | None = None  # places among all rows of X, (n,)

    def __getitem__(self, index):
        parts = {f.name: take(getattr(self, f.name), index) for f in fields(self) if f.name != "x"}
        one = isinstance(self.raw, np.ndarray) and self.x is not None
        one = one and np.may_share_memory(self.raw, self.x)
        return Rows(x=parts["raw"] if one else take(self.x, index), **parts)
