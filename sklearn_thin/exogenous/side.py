"""The frozen exogenous side: X -> h_exo -> the gate's input and c's logits, block by block."""

import math
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_array, get_tags
from sklearn.utils.validation import _num_samples
from torch import nn

from sklearn_thin._environment import warn_once
from sklearn_thin._pickling import packed, unpacked
from sklearn_thin._sharing import MEMO, Itself, shared
from sklearn_thin.exogenous.given import Probabilities, given_representations, of_labels
from sklearn_thin.exogenous.known import GivenVariable, KnownVariable, target_column
from sklearn_thin.rows.arrays import (
    BLOCK,
    IN_MEMORY,
    NonFiniteRowsError,
    as_tensor,
    check_finite,
    infer_rows,
    room_for,
    take,
)
from sklearn_thin.rows.columns import as_table
from sklearn_thin.rows.tables import squash

MOST_VALUES = 2**23  # of a block of outputs, in predictions
SCALES = ("centre", "scale")
OUTPUTS, OUTPUT = "the exogenous side's outputs", "the output of the exogenous side"


@dataclass
class ExogenousVariable:
    """One exogenous variable, fitted and frozen."""

    name: str
    transformer: object  # X -> h_exo
    head: nn.Module | None  # c: h_exo -> logits
    gate_input: str  # "probabilities", "logits" or "representation"
    centre: torch.Tensor | None = None  # of logits or h_exo, over the training rows
    scale: torch.Tensor | None = None
    n_labels: int | None = None  # classes of c
    width: int | None = None  # of the gate's input
    classes: np.ndarray | None = None  # labels of c, where it has any
    levels: np.ndarray | None = None  # of given probabilities, where not as `classes`
    spread: tuple | None = None  # median and range of a known number, to scale and clip it

    def __getstate__(self):
        scales = {n: None if (t := getattr(self, n)) is None else t.numpy() for n in SCALES}
        return {**vars(self), **scales, "head": None if self.head is None else packed(self.head)}

    def __setstate__(self, state):
        vars(self).update(state)
        for name in SCALES:
            if state[name] is not None:
                setattr(self, name, torch.from_numpy(np.array(state[name])))  # on no other device
        if self.head is not None:
            self.head = unpacked(self.head)

    def outputs(self, h):
        """The gate's input, (n, classes) or (n, width of h_exo), and c(h_exo), of h_exo.

        Probabilities may stand for h_exo. A number stands for its logits, and its outliers are
        clipped for the gate. Logits and h_exo are scaled for it once their scale is known.
        """
        if isinstance(h, Probabilities):
            proba = h.proba  # (n, exogenous classes)
            logits = proba.clamp(min=torch.finfo(proba.dtype).eps).log()
            return proba * math.sqrt(proba.shape[1]), logits
        logits = h
        if self.head is not None:
            try:
                logits = infer_rows(lambda h: self.head(h), [{"h": h}], len(h), h.device)
            except RuntimeError as error:
                raise ValueError(
                    f"the exogenous predictor of {self.name!r} does not read the "
                    f"{h.shape[1]} features that {self.transformer!r} gives: {error}"
                ) from error
            logits = torch.from_numpy(logits)  # (n, exogenous classes)
            self.n_labels = self.n_labels or logits.shape[1]
        if self.gate_input == "probabilities":
            # as far apart as standardised one-hot labels; the gate learns slowly otherwise
            features = logits.softmax(1) * math.sqrt(logits.shape[1])
        else:
            features = logits if self.gate_input == "logits" else h
        if self.spread is not None:
            features = torch.empty_like(h)  # (n, 1)
            squash(h.numpy(), *self.spread, out=features.numpy())
        self.width = features.shape[1]
        if self.centre is not None:
            features = (features - self.centre) / self.scale
        return features, logits


@dataclass
class ExogenousSide:
    """All exogenous variables: from X to the gate's input and c's logits."""

    variables: list  # of ExogenousVariable
    listed: bool = False  # whether the user passed a list

    @property
    def sizes(self):
        """Exogenous classes of each variable that has a predictor, and 1 for a number."""
        return [v.n_labels or 1 for v in self.variables]

    @property
    def heads(self):
        """The predictor of each variable."""
        return [v.head for v in self.variables]

    @property
    def transformers(self):
        """The frozen transformer, or a list of (name, transformer)."""
        named = [(v.name, v.transformer) for v in self.variables]
        return named if self.listed else named[0][1]

    def probabilities(self, logits):
        """The predictors' probabilities in the shape of `logits`, the variables side by side.

        A number is standardised.
        """
        parts = []
        for variable, z in zip(self.variables, logits.split(self.sizes, dim=1), strict=True):
            if variable.head is None:
                centre, scale = centre_and_scale(z)
                parts.append((z - centre) / scale)
            else:
                parts.append(z.softmax(1))
        return torch.cat(parts, dim=1)

    def outputs(self, X, hs=None, *, logits=False, fit=False):
        """Outputs of the frozen side for X, each row evaluated once.

        "gate_input" is (n_samples, gate width) and, if `logits` are asked for, "exogenous_logits"
        (n_samples, exogenous classes), the variables side by side. `hs` has h_exo of each
        variable, or probabilities in its place, or None. `fit` takes the scale of the gate's
        input from X, the training rows.
        """
        outputs = {}
        for rows, parts in self.blocks(X, hs, logits=logits):
            for name, part in parts.items():
                if name not in outputs:
                    room = room_for(OUTPUTS, (_num_samples(X), part.shape[1]))
                    outputs[name] = torch.from_numpy(room)
                outputs[name][rows] = part
        if fit:
            columns = outputs["gate_input"].split([v.width for v in self.variables], dim=1)
            for variable, features in zip(self.variables, columns, strict=True):
                if variable.gate_input != "probabilities":
                    variable.centre, variable.scale = centre_and_scale(features)
                    features.sub_(variable.centre).div_(variable.scale)
            check_finite(outputs["gate_input"].numpy(), OUTPUT)
        return outputs

    def outputs_of(self, X, target, *, logits):
        """Outputs for X, in which `target` has the labels of variables that are not in X."""
        hs, names = [None] * len(self.variables), [v.name for v in self.variables]
        for i, v in enumerate(self.variables):
            if not isinstance(v.transformer, GivenVariable):
                continue
            if target is None:
                warn_once(
                    f"X_val comes without labels of {v.name!r}, and its loss is that of the gate's "
                    "prior. Pass early_stopping=0.1 without X_val, which holds out rows with their "
                    "labels, or put the labels into a column of X and of X_val"
                )
            else:
                hs[i] = of_labels(v, target_column(target, i, len(hs), names))
        return self.outputs(X, hs, logits=logits)

    def blocks(self, X, hs=None, *, exogenous=None, logits=False):
        """Slices of X, and the outputs of each, as :meth:`outputs` has them.

        `exogenous` has labels or probabilities that stand for the variables in X.
        """
        X, n_rows = X.tocsr() if hasattr(X, "tocsr") else X, _num_samples(X)
        hs = [None] * len(self.variables) if hs is None else hs
        if exogenous is not None:
            hs = given_representations(self.variables, exogenous, n_rows)
        hs = [
            known_levels(v.transformer, X) if h is None and v.levels is not None else h
            for v, h in zip(self.variables, hs, strict=True)
        ]
        held = sum((v.width or 1) + (v.n_labels or 1) * logits for v in self.variables)
        size = min(BLOCK, max(128, MOST_VALUES // held))
        for start in range(0, n_rows, size):
            rows = slice(start, min(start + size, n_rows))
            block, parts = X if n_rows <= size else take(X, rows), []
            try:
                for variable, h in zip(self.variables, hs, strict=True):
                    h = h_exo_of(variable.transformer, block) if h is None else h[rows]
                    parts.append(variable.outputs(h))
                gate, zs = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
                outputs = {"gate_input": gate, **({"exogenous_logits": zs} if logits else {})}
                for part in outputs.values():
                    check_finite(part.numpy(), OUTPUT)
            except NonFiniteRowsError as error:
                raise error.after(start) from None
            yield rows, outputs


def reads_nan(exogenous):
    """Whether the exogenous sides, as the user passed them, read missing values."""
    for item in exogenous if isinstance(exogenous, list) else [exogenous]:
        side = item[-1] if isinstance(item, tuple) else item
        side = side.estimator if isinstance(side, FrozenEstimator) else side  # copies its tags
        has_tags = hasattr(side, "__sklearn_tags__") and not isinstance(side, type)
        if has_tags and not get_tags(side).input_tags.allow_nan:
            return False
    return True


def centre_and_scale(features):
    """Mean and standard deviation of the columns, float32; 1 for a constant column.

    Sums are float64, for any unit. Columns that differ only by rounding are constant.
    """
    mean = features.mean(0, dtype=torch.float64)
    squares = sum((part.double() - mean).square().sum(0) for part in features.split(BLOCK))
    deviation = (squares / len(features)).sqrt()
    constant = deviation <= torch.finfo(features.dtype).eps * mean.abs()
    scale = deviation.float()
    constant |= scale < torch.finfo(scale.dtype).tiny  # a quotient would overflow
    return mean.float(), torch.where(constant, 1.0, scale)


def h_exo_of(transformer, X):
    """h_exo (n_samples, width); in a search a frozen transformer evaluates each row once."""
    evaluate = transformer.transform
    shares = MEMO.get() is not None and isinstance(transformer, FrozenEstimator)
    if shares and type(X) in (np.ndarray, np.memmap) and X.size and not X.dtype.hasobject:
        seen = shared(("rows seen",), RowsSeen, lasting=True)
        evaluate = partial(seen.transform, transformer)
    try:
        h = evaluate(X)
    except (ValueError, KeyError) as error:
        check_columns(transformer, X, error)
        raise
    h = h.toarray() if hasattr(h, "toarray") else np.asarray(h)
    h = h.reshape(len(h), -1) if h.ndim > 2 else h
    name = type(transformer).__name__
    is_plain = h.dtype == np.float32 and h.flags.c_contiguous and h.ndim == 2 and h.size
    if not (is_plain and np.isfinite(h).all()):  # for one row, the check takes as long as a layer
        h = check_array(h, dtype=np.float32, order="C", input_name=f"output of {name}")
    if len(h) != _num_samples(X):
        raise ValueError(
            f"an exogenous transformer must give one row for each row of X, but {name} gave "
            f"{len(h)} for {_num_samples(X)}"
        )
    return as_tensor(h)


def known_levels(transformer, X):
    """Levels of a known variable in all rows, which it judges together; None for a Pipeline."""
    frozen = isinstance(transformer, FrozenEstimator)
    known = transformer.estimator if frozen else transformer
    if type(known) is not KnownVariable:
        return None
    try:
        return known.read(X)
    except (ValueError, KeyError) as error:
        check_columns(transformer, X, error)
        raise


def check_columns(transformer, X, error):
    """Raise where X has other columns than the transformer was fitted on."""
    X = as_table(X)
    names, columns = getattr(transformer, "feature_names_in_", None), getattr(X, "columns", None)
    if names is None or columns is None:
        was, has = getattr(transformer, "n_features_in_", None), math.prod(X.shape[1:])
        was, has = was and f"{was} columns", f"{has} columns"
    else:
        was, has = f"the columns {list(names)}", f"the columns {list(columns)}"
    if was is not None and was != has:
        frozen = isinstance(transformer, FrozenEstimator)
        name = type(transformer.estimator if frozen else transformer).__name__
        raise ValueError(
            f"{name} of the exogenous side was fitted on {was}, but X has {has}. Fit it on the "
            "columns of X, or let a Pipeline or a ColumnTransformer pick its columns"
        ) from error


@dataclass
class RowsSeen:
    """Outputs of frozen transformers for the rows that they have seen, up to IN_MEMORY bytes."""

    transformers: dict = field(default_factory=dict)  # key -> {digest of a row: its output}
    n_bytes: int = 0

    def transform(self, transformer, X):
        """Dense output of the transformer, which transforms new rows alone."""
        key = Itself(transformer.estimator), X.dtype.str, X.shape[1:]
        seen = self.transformers.setdefault(key, {})
        rows = np.ascontiguousarray(X).reshape(len(X), -1).view(np.uint8)
        digests = [blake2b(row, digest_size=16).digest() for row in rows]
        new = [i for i, digest in enumerate(digests) if digest not in seen]
        if not new:
            return np.stack([seen[digest] for digest in digests])
        h = transformer.transform(X if len(new) == len(X) else X[new])
        h = h.toarray() if hasattr(h, "toarray") else np.asarray(h)
        if len(h) != len(new):  # an error elsewhere
            return h
        found = dict(zip([digests[i] for i in new], h, strict=True))
        if self.n_bytes + h.nbytes <= IN_MEMORY:
            self.n_bytes += h.nbytes
            seen.update(found)
        return np.stack([found[d] if d in found else seen[d] for d in digests])
