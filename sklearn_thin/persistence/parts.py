"""Torch modules of what happens around a network: tables, levels, affine maps, variables."""

import math

import numpy as np
import torch
from torch import nn

from sklearn_thin._compat import is_exporting
from sklearn_thin._pickling import copied
from sklearn_thin.modules.tensors import as_float
from sklearn_thin.rows.images import scale_refusal
from sklearn_thin.rows.tables import BOUND, HEIGHT

ROWS, GIVEN = "X", "exogenous"  # names of inputs
MISSING, UNKNOWN = -2.0, -1.0  # codes of texts; levels count from 0
TINY = float(np.finfo(np.float64).tiny)


class Pick(nn.Module):
    """One of several inputs, by its name: rows, given labels, or outputs of transformers."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, inputs):
        return inputs[self.name]


class Affine(nn.Module):
    """(x - centre)·W + b in float64: (n, in) -> (n, out), float32."""

    def __init__(self, centre, weight, bias):
        super().__init__()
        self.register_buffer("centre", torch.from_numpy(np.array(centre, np.float64)))
        self.register_buffer("weight", torch.from_numpy(np.array(weight, np.float64)))
        self.register_buffer("bias", torch.from_numpy(np.array(bias, np.float64)))

    def forward(self, x):
        return ((x.double() - self.centre) @ self.weight + self.bias).float()


class Columns(nn.Module):
    """Some columns: (n, all) -> (n, chosen)."""

    def __init__(self, places):
        super().__init__()
        self.register_buffer("places", torch.from_numpy(np.array(places, np.int64)))

    def forward(self, x):
        return x[:, self.places]


class BackboneRows(nn.Module):
    """Rows in the type, the range and the shape that a backbone reads.

    Parameters
    ----------
    shape : tuple
        Of a sample.
    reader : ArrayInput, TransformedInput or TableInput
    estimator : str
        Name of the type, for errors.
    """

    def __init__(self, shape, reader, estimator):
        super().__init__()
        self.shape = tuple(shape)
        bounds = reader.range
        self.bounds = None if bounds is None or np.isinf(bounds).all() else tuple(bounds)
        self.images = getattr(reader, "images", False) or len(reader.shape) > 1
        self.fitted = None if reader.dtype is None else reader.dtype.name  # of images
        self.unit = getattr(reader, "unit", True)
        self.estimator = estimator

    def forward(self, x):
        if self.fitted is not None:
            self._check_scale(x)
        if self.images and x.dtype == torch.uint8:
            x = as_float(x)
        else:
            x = x.float()
            x = x if self.bounds is None else x.clamp(*self.bounds)
        return x.reshape(x.shape[0], *self.shape)

    def _check_scale(self, x):
        """Raise where the estimator refuses images, as their scale is another than in fit."""
        came = str(x.dtype).removeprefix("torch.")
        if "uint8" not in (came, self.fitted) or came == self.fitted:
            return
        words = scale_refusal(came, self.fitted, self.estimator)
        if ("int" in came and "int" in self.fitted) or not self.unit:
            raise ValueError(words)
        if came == "uint8":
            return
        if is_exporting():  # values are known later
            torch._assert_async((x <= 2).all(), words)
        elif (x > 2).any():
            raise ValueError(words)


class VariableOutputs(nn.Module):
    """One exogenous variable: inputs -> the gate's input, and logits of its classes.

    Parameters
    ----------
    source : Module
        It maps the inputs to h_exo.
    variable : ExogenousVariable
    """

    def __init__(self, source, variable):
        super().__init__()
        self.source = source
        self.head = None if variable.head is None else copied(variable.head)
        self.gate_input = variable.gate_input
        scaled = variable.gate_input != "probabilities"
        self.clip = None if variable.spread is None else Clip(*variable.spread)
        self.register_buffer("centre", variable.centre.clone() if scaled else None)
        self.register_buffer("scale", variable.scale.clone() if scaled else None)

    def forward(self, inputs):
        h = self.source(inputs).flatten(1).float()  # (n, width)
        logits = h if self.head is None else self.head(h)  # (n, exogenous classes)
        if self.gate_input == "probabilities":
            return logits.softmax(1) * math.sqrt(logits.shape[1]), logits
        gate = logits if self.gate_input == "logits" else h
        gate = gate if self.clip is None else self.clip(gate)[0].float()
        return (gate - self.centre) / self.scale, logits


class Net(nn.Module):
    """A THINModule with both of its sides: inputs -> logits, or standardised numbers."""

    def __init__(self, rows, variables, module, *, hard, reads_logits):
        super().__init__()
        self.rows = rows
        self.variables = nn.ModuleList(variables)
        self.module = module
        self.hard = hard
        self.reads_logits = reads_logits

    def tensors(self, inputs):
        """The module's inputs: rows, and the gate's input and logits, or None."""
        x = self.rows(inputs)
        if not len(self.variables):
            return x, None, None
        gate, logits = zip(*(variable(inputs) for variable in self.variables), strict=True)
        return x, torch.cat(gate, 1), torch.cat(logits, 1) if self.reads_logits else None

    def represent(self, inputs):
        """h_endo, or h_exo of an encoder."""
        return self.module.represent(*self.tensors(inputs))

    def forward(self, inputs):
        tensors = self.tensors(inputs)
        return self._of_one_leaf(*tensors) if self.hard else self.module.logits(*tensors)

    def _of_one_leaf(self, x, gate_input, logits):
        """`hard_logits` of all experts, since the number of rows of each leaf is not fixed."""
        gate, g = self.module.gate, None
        if self.module.gates_layers:
            g = self._leaf(gate, gate_input)
        h = self.module.represent(x, gate_input, logits, g)
        g = self._leaf(gate, h if gate_input is None else gate_input) if g is None else g
        return torch.einsum("nl,nlk->nk", g, self.module.experts(h))

    def _leaf(self, gate, h):
        leaf = gate.most_probable_leaf(h)[:, None]  # (n, 1)
        g = (leaf == torch.arange(2**gate.depth, device=h.device)).float()  # (n, leaves)
        return g if gate.leaf_to_expert is None else g @ gate.leaf_to_expert


class Mean(nn.Module):
    """Weighted mean of the outputs of several Nets, as outputs of one.

    Parameters
    ----------
    nets : list of Net
    weights : ndarray of shape (n_nets, 1) or (n_nets, n_outputs)
        For each output they sum to 1, or to 0 for a constant.
    of_logits : bool
        Whether the mean is that of probabilities. Their logarithms are logits of the mean.
    """

    def __init__(self, nets, weights, *, of_logits):
        super().__init__()
        self.nets = nn.ModuleList(nets)
        self.register_buffer("weights", torch.from_numpy(np.array(weights, np.float32))[:, None])
        self.of_logits = of_logits

    def forward(self, inputs):
        outputs = torch.stack([net(inputs) for net in self.nets])  # (n_nets, n, outputs)
        if self.of_logits:
            return (outputs.log_softmax(2) + self.weights.log()).logsumexp(0)
        return (outputs * self.weights).sum(0)


class Representation(nn.Module):
    """h of a net as a source of another: inputs -> (n, width)."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, inputs):
        return self.net.represent(inputs)


class Clip(nn.Module):
    """Scaled, smoothly clipped numbers, 0 where missing, and where: (n, numbers), twice."""

    def __init__(self, centre, scale):
        super().__init__()
        ranges = np.concatenate([np.abs(centre), scale[np.isfinite(scale)]])
        self.narrow = bool(np.all(ranges < 1e30) and np.all(scale > 1e-30))
        self.register_buffer("centre", torch.from_numpy(np.array(centre, np.float64)))
        self.register_buffer("range", torch.from_numpy(np.array(scale, np.float64)))

    def forward(self, x):
        x = x if self.narrow and x.dtype == torch.float32 else x.double()
        z = (x - self.centre.to(x.dtype)) / self.range.to(x.dtype)
        missing = z.isnan()
        z = torch.where(missing, 0.0, z).clamp(-1e6, 1e6)
        return z / torch.sqrt(1 + (z / BOUND).square()), missing


class Levels(nn.Module):
    """The codes of one column as probabilities: (n, 1) -> (n, n_levels).

    Codes that are no level give the prior.
    """

    def __init__(self, codes, prior):
        super().__init__()
        self.register_buffer("codes", torch.from_numpy(np.array(codes, np.float64)))
        self.register_buffer("prior", torch.from_numpy(np.array(prior, np.float32)))

    def forward(self, x):
        hits = x.double() == self.codes  # (n, n_levels)
        return torch.where(hits.any(1, keepdim=True), hits.float(), self.prior)


class Number(nn.Module):
    """One column of numbers: (n, 1) -> (n, 1); missing ones become the median."""

    def __init__(self, median):
        super().__init__()
        self.register_buffer("median", torch.from_numpy(np.array(median, np.float32)))

    def forward(self, x):
        x = x.float()
        return torch.where(x.isnan(), self.median, x)


class PreparedTable(nn.Module):
    """A TablePreprocessor: (n, n_features) with codes of texts -> (n, n_columns), float32.

    Parameters
    ----------
    table : TablePreprocessor
    codes : list of (codes of the frequent levels, whether a column stands for all others)
        One item for each column of text.
    """

    def __init__(self, table, codes):
        super().__init__()
        self.clip = Clip(table.centre_, table.scale_)
        self.fills = table.precision_ is not None
        is_level = np.asarray(table.is_level_)
        self._keep("numbers", np.flatnonzero(~is_level))
        self._keep("missing", table.missing_)
        if self.fills:
            self._keep("mean", table.mean_)
            self._keep("precision", table.precision_)
        places, of_levels, rest, order, n_hits = [], [], [], [], sum(len(c) for c, _ in codes)
        for place, (known, others) in zip(np.flatnonzero(is_level), codes, strict=True):
            order += range(len(of_levels), len(of_levels) + len(known))
            if others:  # such a level has the last column
                order.append(n_hits + len(rest))
                rest.append((len(of_levels), len(of_levels) + len(known)))
            places += [place] * len(known)
            of_levels += known
        others = np.zeros((n_hits, len(rest)), np.float32)
        for i, (start, stop) in enumerate(rest):
            others[start:stop, i] = 1
        self._keep("level_places", np.array(places, np.int64))
        self._keep("level_codes", np.array(of_levels, np.float64))
        self._keep("others", others)
        self._keep("order", np.array(order, np.int64))

    def _keep(self, name, array):
        self.register_buffer(name, torch.from_numpy(np.array(array)))

    def forward(self, x):
        parts = [*self._of_numbers(x[:, self.numbers]), *self._of_levels(x)]
        return torch.cat(parts, dim=1)

    def _of_numbers(self, x):
        """Scaled numbers, and marks of missing ones."""
        z, missing = self.clip(x)
        z = z.float()
        if self.fills:
            z = filled(z, missing, self.mean, self.precision)
        return z, missing[:, self.missing].float() * HEIGHT

    def _of_levels(self, x):
        if not len(self.order):
            return ()
        codes = x[:, self.level_places].double()
        codes = torch.where(codes.isnan(), MISSING, codes)
        hits = (codes == self.level_codes).float()  # (n, frequent levels)
        if self.others.shape[1]:
            hits = torch.cat([hits, 1 - hits @ self.others], dim=1)[:, self.order]
        return (hits * HEIGHT,)


def filled(z, missing, mean, precision):
    """z with the expected values of missing cells, by conjugate gradients in float64."""
    scale = precision.diagonal().rsqrt()
    unit = precision * scale * scale[:, None]  # of diagonal 1
    steps = 4 * len(mean)
    away = torch.where(missing, 0.0, z.double() - mean)
    b = torch.where(missing, (away @ precision) * scale, 0.0)  # (n, n_columns)
    least = sums(b * b) * 1e-24

    def goes_on(step, v, r, p):
        return (step < steps) & (sums(r * r) > least).any()

    def advance(step, v, r, p):
        q = torch.where(missing, p @ unit, 0.0)
        rr, pq = sums(r * r), sums(p * q)
        length = torch.where(rr > least, rr / torch.where(pq > 0, pq, 1.0), 0.0)
        rest = r - length * q
        return step + 1, v + length * p, rest, rest + sums(rest * rest) / rr.clamp_min(TINY) * p

    state = (torch.zeros((), dtype=torch.int64, device=z.device), torch.zeros_like(b), b, b + 0)
    if is_exporting():
        state = torch.while_loop(goes_on, advance, state)
    else:
        while goes_on(*state):
            state = advance(*state)
    return torch.where(missing, (mean - state[1] * scale).clamp(-BOUND, BOUND).float(), z)


def sums(rows):
    """(n, n_columns) -> (n, 1)."""
    return rows.sum(1, keepdim=True)
