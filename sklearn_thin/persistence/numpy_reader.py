"""Predict with a model of sklearn_thin. This file needs NumPy alone, and holds the model itself.

`predict_proba(X)` and `predict(X)` accept rows as the estimator does: an array, a frame, or lists.
`exogenous=` passes the labels of a model with `exogenous="given"`. `CLASSES` has the class labels.
"""

import base64
import io
import json

import numpy as np

BOUND, HEIGHT = 3.0, 0.35
MISSING, UNKNOWN = -2.0, -1.0  # codes of texts; levels count from 0


def predict_proba(X, exogenous=None):
    """Probabilities (n_samples, n_classes), in the order of CLASSES."""
    if CLASSES is None:
        raise ValueError("a regressor has no probabilities; use predict")
    return softmax(outputs(X, exogenous))


def predict(X, exogenous=None):
    """Class labels (n_samples,), or numbers in the units and the shape of y."""
    z = outputs(X, exogenous)
    if CLASSES is not None:
        return CLASSES[z.argmax(1)]
    values = z * MODEL["scale"] + MODEL["mean"]
    return values[:, 0] if MODEL["is_vector"] else values


def outputs(X, exogenous):
    """Logits, or standardised numbers."""
    X = table(X, MODEL["X"])
    if MODEL["exogenous"] is not None:
        if exogenous is None:
            raise ValueError("this model reads labels: pass exogenous=...")
        exogenous = table(by_name(exogenous, MODEL["exogenous"]["names"]), MODEL["exogenous"])
    elif exogenous is not None:
        raise ValueError("this model reads no labels in exogenous")
    inputs = {"X": X, "exogenous": exogenous}
    for name, source in MODEL["sources"]:
        inputs[name] = run(source, inputs)
    return run(MODEL["net"], inputs)


def by_name(labels, names):
    """Labels in the order of the variables, if a frame names some of these."""
    columns = list(map(str, getattr(labels, "columns", ())))
    found = [columns.index(name) for name in names if name in columns]
    if not found:
        return labels
    if len(found) < len(names):
        raise ValueError(f"exogenous must have a column for each of {names}, got {columns}")
    return np.stack([np.asarray(labels[labels.columns[i]], object) for i in found], axis=1)


def table(X, reader):
    """Rows as one array, in which codes stand for texts."""
    texts, shape = reader["texts"], reader["shape"]
    check_columns(X, reader["columns"])
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    X = np.asarray(X, object) if texts else np.asarray(X)
    if X.ndim == 1 and shape == [1]:
        X = X[:, None]
    if list(X.shape[1:]) != shape:
        raise ValueError(f"rows must have shape {tuple(shape)}, got {X.shape[1:]}")
    if X.dtype != object:
        return X
    X = X.copy()
    for place, known in texts.items():
        cells = X[:, int(place)]
        cells[:] = [np.nan if is_missing(v) else known.get(text(v), UNKNOWN) for v in cells]
    try:
        return X.astype(np.float64)
    except TypeError:  # of pandas' NA
        X[[[is_missing(value) for value in row] for row in X]] = np.nan
        return X.astype(np.float64)


def check_columns(X, columns):
    """Raise where a frame has other columns than the rows of the export."""
    if columns is None or not hasattr(X, "columns"):
        return
    for place, (came, column) in enumerate(zip(map(str, X.columns), columns, strict=False)):
        if came != column:
            raise ValueError(
                f"column {place} of X is {came!r}, but the exported model reads {column!r} there. "
                "Pass the columns in the order of the fit"
            )


def is_missing(value):
    try:
        return value is None or bool(value != value)
    except TypeError:  # of pandas' NA
        return True


def text(value):
    if isinstance(value, (bool, np.bool_, float, np.floating)) and value == int(value):
        value = int(value)
    return str(value)


# ------------------------------------------------------------------ the steps of a model


def run(step, x):
    """One step, a list of its name and its parts."""
    return STEPS[step[0]](x, *step[1:])


def chain(x, steps):
    for step in steps:
        x = STEPS[step[0]](x, *step[1:])
    return x


def rows(x, bounds, images):
    """Rows for a network, flat; uint8 of images becomes numbers in [0, 1]."""
    dtype, x = x.dtype, x.reshape(len(x), -1)
    if images is not None:
        check_scale(x, *images)
    x = x.astype(np.float32)
    if images is not None and dtype == np.uint8:
        return x / np.float32(255)
    return x if bounds is None else x.clip(*bounds)


def check_scale(x, fitted, unit, estimator):
    """Raise where images have another scale than in fit."""
    came = x.dtype.name
    if fitted is None or "uint8" not in (came, fitted) or came == fitted:
        return
    integers = "int" in came and "int" in fitted
    if integers or not unit or (came != "uint8" and (x > 2).any()):
        raise ValueError(
            f"X has images of {came}, but {estimator} was fitted on {fitted}; "
            "uint8 alone is divided by 255. Convert X to the type of the fit"
        )


def levels(x, codes, prior):
    """Probabilities of the levels of one column."""
    hits = x == codes
    return np.where(hits.any(1, keepdims=True), hits, prior)


def prepared(x, numbers, texts):
    """A table through a TablePreprocessor."""
    parts = [] if numbers is None else scaled(x, *numbers)
    if texts is not None:
        parts.append(one_hot(x, *texts))
    return np.concatenate(parts, axis=1, dtype=np.float32)


def scaled(x, places, clip, marked, mean, precision):
    """Scaled numbers, and marks of missing ones."""
    z, missing = clipped(x[:, places], *clip)
    if mean is not None and missing.any():
        fill(z, missing, mean, precision)
    return [z, missing[:, marked] * HEIGHT] if len(marked) else [z]


def clipped(x, centre, factor):
    """Scaled, smoothly clipped numbers, 0 where missing, and where."""
    z = (x - centre) * factor
    missing = z != z
    if missing.any():
        z[missing] = 0
    z = np.minimum(np.maximum(z, -1e6), 1e6)
    z /= np.sqrt(1 + z * z * (1 / BOUND**2))
    return z, missing


def fill(z, missing, mean, precision):
    """Write the expected values of missing cells, given the others of their row."""
    for row, absent in zip(z, missing, strict=True):
        if absent.any():
            away = np.where(absent, 0, row - mean)
            weights = precision[absent]
            values = mean[absent] - np.linalg.solve(weights[:, absent], weights @ away)
            row[absent] = np.clip(values, -BOUND, BOUND)


def one_hot(x, places, codes, others, order):
    """Levels of texts; columns of `others` stand for all other levels."""
    x = x[:, places].astype(np.float64)
    hits = (np.where(x != x, MISSING, x) == codes) * HEIGHT
    if others is None:
        return hits
    return np.concatenate([hits, HEIGHT - hits @ others], axis=1)[:, order]


def variable(inputs, source, head, kind, clip, centre, scale):
    """The gate's input by one variable, and logits of its classes."""
    h = run(source, inputs).astype(np.float32)
    z = h if head is None else run(head, h)
    if kind == "probabilities":
        return softmax(z) * np.float32(z.shape[1] ** 0.5), z
    h = h if clip is None else clipped(h, *clip)[0].astype(np.float32)
    return ((z if kind == "logits" else h) - centre) / scale, z


def net(inputs, source, variables, backbone, eraser, gate, experts):
    """Mixed outputs of the experts."""
    h, gate_input, g = represented(inputs, source, variables, backbone, eraser, gate)
    if g is None and gate is not None:
        g = mixture(h if gate_input is None else gate_input, *gate)
    return mixed(h, g, *experts)


def mean(inputs, nets, weights, of_logits):
    """Weighted mean of the nets' numbers, or the logarithm of that of their probabilities."""
    z = np.stack([run(net, inputs) for net in nets])
    if not of_logits:
        return (weights * z).sum(0)
    return np.log(np.maximum((weights * softmax(z)).sum(0), np.finfo(np.float32).tiny))


def represented(inputs, source, variables, backbone, eraser, gate):
    """h_endo, the gate's input, and weights of the experts if they mix the layers."""
    x, gate_input, logits, g = run(source, inputs), None, None, None
    if variables:
        gates, zs = zip(*(run(v, inputs) for v in variables), strict=True)
        gate_input = gates[0] if len(gates) == 1 else np.concatenate(gates, axis=1)
        logits = zs[0] if len(zs) == 1 else np.concatenate(zs, axis=1)
    if backbone[0] == "gated":
        if gate is not None:
            g = mixture(gate_input, *gate)
        h = gated(x, g, gate_input, *backbone[1:])
    else:
        h = run(backbone, x)
    if eraser is not None:
        h = STEPS[eraser[0]](h, logits, *eraser[1:])
    return h, gate_input, g


def representation(inputs, *parts):
    return represented(inputs, *parts)[0]


def mixture(v, weight, bias, paths, shared, hard):
    """Weights of the experts, by the products of decisions on the paths to the leaves."""
    turn = 0.5 * np.tanh(0.5 * (v @ weight + bias))
    leaf = np.multiply.reduce(np.concatenate([0.5 + turn, 0.5 - turn], axis=1)[:, paths], axis=1)
    if hard:
        leaf = np.equal(leaf.argmax(1)[:, None], np.arange(leaf.shape[1])).astype(np.float32)
    return leaf if shared is None else leaf @ shared


def mixed(h, g, hidden, weight, bias):
    """Outputs of the experts, mixed; `weight` is (L, in, outputs)."""
    n_experts, n_outputs = bias.shape
    if g is None:
        h = h if hidden is None else np.maximum(h @ hidden[0] + hidden[1], 0)
        return h @ weight[0] + bias[0]
    if hidden is None:
        z = (h @ weight + bias.ravel()).reshape(-1, n_experts, n_outputs)
        return (g[:, None] @ z)[:, 0]
    h = np.maximum(h @ hidden[0] + hidden[1], 0).reshape(len(h), n_experts, -1)
    return (g[:, :, None] * h).reshape(len(h), -1) @ weight + g @ bias


def gated(x, g, v, blocks):
    """Layers of mixed maps, scaled and shifted by the variable."""
    for weight, bias, scale, shift in blocks:
        if g is None:
            x = x @ weight + bias
        else:
            x = (g[:, :, None] * x[:, None]).reshape(len(x), -1) @ weight + g @ bias
        x = np.maximum(x * (1 + v @ scale) + v @ shift, 0)
    return x


def erased(h, logits, centre, read, write):
    return h - (h - centre) @ read @ write


def aligned(h, logits, aligners):
    """The maps of the variables, one after the other."""
    start = 0
    for basis, maps, offsets, shifts in aligners:
        n_classes, rank = offsets.shape
        p = softmax(logits[:, start : start + n_classes])
        start += n_classes
        moved = (h @ basis @ maps).reshape(-1, n_classes, rank) - offsets
        h = h + p @ shifts + (p[:, None] @ moved)[:, 0] @ basis.T
    return h


def log_proba(proba):
    return np.log(proba + np.finfo(np.float32).eps)


def logit(proba):
    eps = np.finfo(np.float32).eps
    proba = np.clip(proba, eps, 1 - eps)
    return np.log(proba / (1 - proba))


def class_logits(h, network):
    z = run(network, h)
    return np.concatenate([-z / 2, z / 2], axis=1) if z.shape[1] == 1 else z


def softmax(z):
    z = np.exp(z - np.maximum.reduce(z, axis=-1, keepdims=True))
    z /= np.add.reduce(z, axis=-1, keepdims=True)
    return z


STEPS = {
    "affine": lambda x, centre, weight, bias: (x - centre) @ weight + bias,
    "aligned": aligned,
    "chain": chain,
    "class_logits": class_logits,
    "columns": lambda x, places: x[:, places],
    "erased": erased,
    "linear": lambda x, weight, bias: x @ weight + bias,
    "levels": levels,
    "log_proba": log_proba,
    "logit": logit,
    "mean": mean,
    "net": net,
    "number": lambda x, median: np.where(x != x, median, x),
    "pick": lambda inputs, name: inputs[name],
    "prepared": prepared,
    "relu": lambda x: np.maximum(x, 0),
    "representation": representation,
    "rows": rows,
    "scaled": lambda x, scale, shift: x * scale + shift,
    "sigmoid": lambda x: 0.5 + 0.5 * np.tanh(0.5 * x),
    "tanh": np.tanh,
    "two_logits": lambda s: np.concatenate([-s / 2, s / 2], axis=1),
    "variable": variable,
}


def read(content):
    """The model from its text in this file, and its classes."""
    if not content:
        return None, None
    with np.load(io.BytesIO(base64.b64decode(content))) as arrays:
        arrays = {name: arrays[name] for name in arrays.files}
    text = bytes(arrays.pop("model")).decode()
    model = json.loads(text, object_hook=lambda part: arrays.get(part.get("array"), part))
    classes = model["classes"]
    return model, None if classes is None else np.array(classes)


MODEL, CLASSES = read("")
