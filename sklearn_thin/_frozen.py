"""The frozen exogenous side: X -> h_exo -> the gate's input and c's logits, block by block."""

import math
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples
from torch import nn

from sklearn_thin._pickling import pack, unpack
from sklearn_thin._storage import BLOCK, IN_MEMORY, room_for, take
from sklearn_thin._validation import as_tensor, dense

OUTPUTS = "the exogenous side's outputs"


@dataclass
class ExogenousVariable:
    """One exogenous variable, fitted and frozen."""

    name: str
    transformer: object  # X -> h_exo
    head: nn.Module | None  # c: h_exo -> logits
    gate_input: str  # what the gate reads: "probabilities", "logits", "representation"
    centre: torch.Tensor | None = None  # of logits or h_exo, over the training rows
    scale: torch.Tensor | None = None
    n_labels: int | None = None  # exogenous classes that c knows

    def __getstate__(self):
        return {**vars(self), "head": None if self.head is None else pack(self.head)}

    def __setstate__(self, state):
        vars(self).update(state)
        if self.head is not None:
            self.head = unpack(*self.head, torch.device("cpu"))

    @torch.inference_mode()
    def logits(self, h):
        try:
            # a copy, as h may be the user's own rows, and a module may write into its input
            return self.head(h.clone())  # (n, exogenous classes)
        except RuntimeError as error:
            raise ValueError(
                f"the exogenous predictor of {self.name!r} does not read the "
                f"{h.shape[1]} features that {self.transformer!r} gives: {error}"
            ) from error

    def gate_features(self, h, logits):
        """What the gate reads, yet to be scaled: (n, classes) or (n, width of h_exo)."""
        if self.gate_input == "probabilities":
            # as far apart as standardised one-hot labels: else the gate learns but slowly
            return logits.softmax(1) * math.sqrt(logits.shape[1])
        return logits if self.gate_input == "logits" else h

    def scale_(self, features, *, fit=False):
        """Centre and scale logits or h_exo in place; on `fit`, the training rows, by their own."""
        if self.gate_input == "probabilities":
            return
        if fit:
            self.centre, self.scale = centre_and_scale(features)
        features.sub_(self.centre).div_(self.scale)


class ExogenousSide:
    """All exogenous variables: from X to the gate's input and c's logits.

    Parameters
    ----------
    variables : list of ExogenousVariable
    listed : bool, default=False
        Whether the user passed a list of them.
    """

    def __init__(self, variables, listed=False):
        self.variables = variables
        self.listed = listed

    def unpredicted(self):
        """Transformers of the variables without a predictor, by name."""
        return {v.name: v.transformer for v in self.variables if v.head is None}

    def probabilities(self, logits):
        """What the predictors say, the variables side by side: as `logits` in shape."""
        parts = logits.split([v.n_labels for v in self.variables], dim=1)
        return torch.cat([z.softmax(1) for z in parts], dim=1)

    def outputs(self, X, *, logits=False, representations=None, fit=False):
        """Tensors of the frozen side, each row evaluated once, block by block.

        Parameters
        ----------
        X : what the transformers read, of n_samples rows
        logits : bool, default=False
            Whether the logits are wanted, for dispelling.
        representations : list of Tensor or None, default=None
            h_exo of each variable where it has been computed already, else None.
        fit : bool, default=False
            Whether X are the training rows, which give the gate's input its scale.

        Returns
        -------
        dict
            "gate_input" of shape (n_samples, gate width), and on demand
            "exogenous_logits" of shape (n_samples, exogenous classes), the variables
            side by side.
        """
        hs = representations or [None] * len(self.variables)
        n_rows, outputs = _num_samples(X), {}
        for rows, block in row_blocks(X, n_rows):
            known = [None if h is None else h[rows] for h in hs]
            parts, widths = self._block(block, known, logits)
            for name, part in parts.items():
                if name not in outputs:
                    room = room_for(OUTPUTS, (n_rows, part.shape[1]))
                    outputs[name] = torch.from_numpy(room)
                outputs[name][rows] = part
        columns = outputs["gate_input"].split(widths, dim=1)
        for variable, features in zip(self.variables, columns, strict=True):
            variable.scale_(features, fit=fit)
        return outputs

    def _block(self, X, hs, logits):
        """Outputs of some rows, not scaled yet, and the gate's columns of each variable."""
        gate, zs = [], []
        for variable, known in zip(self.variables, hs, strict=True):
            h = represent(variable.transformer, X) if known is None else known
            z = None if variable.head is None else variable.logits(h)
            if z is not None and variable.n_labels is None:
                variable.n_labels = z.shape[1]
            gate.append(variable.gate_features(h, z))
            zs.append(z)
        parts = {"gate_input": torch.cat(gate, dim=1)}
        if logits:
            parts["exogenous_logits"] = torch.cat(zs, dim=1)
        return parts, [features.shape[1] for features in gate]


def centre_and_scale(features):
    """Mean and standard deviation of the columns, float32; 1 for one that is constant.

    Summed in float64, whatever the unit; what rounding alone tells apart is constant.
    """
    mean = features.mean(0, dtype=torch.float64)
    squares = sum((part.double() - mean).square().sum(0) for part in features.split(BLOCK))
    deviation = (squares / len(features)).sqrt()
    constant = deviation <= torch.finfo(features.dtype).eps * mean.abs()
    return mean.float(), torch.where(constant, 1.0, deviation).float()


def row_blocks(X, n_rows):
    """(slice, rows) of X in blocks; X itself where one block holds all of it."""
    if n_rows <= BLOCK:
        yield slice(0, n_rows), X
        return
    X = X.tocsr() if hasattr(X, "tocsr") else X
    for start in range(0, n_rows, BLOCK):
        rows = slice(start, min(start + BLOCK, n_rows))
        yield rows, take(X, rows)


def represent(transformer, X):
    """h_exo as a tensor of shape (n_samples, width)."""
    remembered = REMEMBERED.get()
    if remembered is not None and isinstance(transformer, FrozenEstimator):
        rows = rows_of(X)
        if rows is not None:
            return torch.from_numpy(remembered.represent(transformer, X, rows))
    return as_tensor(evaluate(transformer, X))


def evaluate(transformer, X):
    """h_exo as an array."""
    h = dense(transformer.transform(X))
    h = h.reshape(len(h), -1) if h.ndim > 2 else h
    name = type(transformer).__name__
    h = check_array(h, dtype=np.float32, order="C", input_name=f"output of {name}")
    if len(h) != _num_samples(X):
        raise ValueError(
            f"an exogenous transformer must give one row for each row of X, but {name} gave "
            f"{len(h)} for {_num_samples(X)}"
        )
    return h


# ----------------------------------------------------------------------- during a search


class Remembered:
    """h_exo of the rows that frozen transformers have seen, up to a number of bytes."""

    def __init__(self):
        self.transformers = {}  # key -> (what is frozen, {digest of a row: its h_exo})
        self.n_bytes = 0

    def represent(self, transformer, X, rows):
        """As `evaluate`, but for the rows that are new; `rows` are those of X as bytes."""
        frozen = transformer.estimator
        key = id(frozen), X.dtype.str, X.shape[1:]
        # held beside its rows, so that nothing else gets its id
        _, seen = self.transformers.setdefault(key, (frozen, {}))
        digests = [blake2b(row, digest_size=16).digest() for row in rows]
        new = [i for i, digest in enumerate(digests) if digest not in seen]
        if not new:
            return np.stack([seen[digest] for digest in digests])
        h = evaluate(transformer, X if len(new) == len(X) else X[new])
        found = dict(zip([digests[i] for i in new], h, strict=True))
        if self.n_bytes + h.nbytes <= IN_MEMORY:
            self.n_bytes += h.nbytes
            seen.update(found)
        return np.stack([found[d] if d in found else seen[d] for d in digests])


REMEMBERED = ContextVar("remembered", default=None)


@contextmanager
def remembering():
    """Frozen transformers evaluate each row of an array once, as long as this lasts.

    A search asks for the same rows again and again: in the fits of other folds, and in
    the scoring of every candidate.
    """
    token = REMEMBERED.set(Remembered())
    try:
        yield
    finally:
        REMEMBERED.reset(token)


def rows_of(X):
    """Rows of an array as bytes, (n_samples, n_bytes); None for what is no array of numbers."""
    if type(X) not in (np.ndarray, np.memmap) or X.dtype.hasobject or not X.size:
        return None
    return np.ascontiguousarray(X).reshape(len(X), -1).view(np.uint8)
