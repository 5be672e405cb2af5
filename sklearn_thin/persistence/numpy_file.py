"""A fitted estimator of dense layers as one Python file that needs NumPy alone."""

import base64
import io
import json
from functools import singledispatch
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import numpy as np
from torch import nn

from sklearn_thin import modules
from sklearn_thin._environment import own_torch_state
from sklearn_thin._writing import checked_path, write_whole
from sklearn_thin.modules import heads
from sklearn_thin.persistence import parts
from sklearn_thin.persistence.agreement import Agreement
from sklearn_thin.persistence.path import built

PLACE = 'read("")'  # of the model in the reader


@own_torch_state()
def to_numpy(estimator, path, X, *, exogenous=None) -> None:
    """Write a fitted estimator of dense layers as a Python file that needs NumPy alone.

    The file has the functions `predict` and `predict_proba`, and holds the model. Import it where
    neither torch nor scikit-learn is installed. It holds all of :func:`to_torch`. The file appears
    whole or not at all, and after its outputs for `X` agree with those of the estimator to 1e-5.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`THINClassifier`, :class:`THINRegressor` or :class:`ExogenousEncoder`, or a
        Pipeline, a search or an ensemble of `sklearn_thin.model_selection` around one of these,
        whose networks have dense layers alone, as those of :class:`MLPBackbone`.
    path : str, bytes or path
        The file, with the suffix `.py`.
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        Rows on which outputs are compared.
    exogenous : array-like of shape (n_samples,), default=None
        Labels of these rows, if the estimator has `exogenous="given"`.

    Raises
    ------
    TypeError
        For layers other than dense ones, and for a transformer that is no affine function of
        numbers; the error names it. For classes other than text, numbers, bools and NumPy's dates.
    ValueError
        If the outputs do not agree.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from runpy import run_path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_thin import THINClassifier, to_numpy
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = THINClassifier(max_epochs=1, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     to_numpy(clf, folder + "/iris_model.py", X)
    ...     model = run_path(folder + "/iris_model.py")  # import iris_model
    >>> model["predict_proba"]([[5.0, 3.4, 1.5, 0.2]]).shape
    (1, 3)
    """
    path = checked_path(path)
    if Path(path).suffix != ".py":
        raise ValueError(f"path must end in .py, as it becomes a Python file, got {path!r}")
    agreement = Agreement(estimator, X, exogenous)
    whole = built(estimator, X, exogenous)
    reader = files("sklearn_thin.persistence").joinpath("numpy_reader.py").read_text("utf-8")
    source = reader.replace(PLACE, f'read("{packed(whole, np.shape(X))}")')
    module = ModuleType("model")
    exec(compile(source, path, "exec"), vars(module))
    predicts = module.predict if whole.classes is None else module.predict_proba
    agreement.check(predicts(X, exogenous), "the file for NumPy")
    write_whole(path, (source.encode(),))


def packed(whole, shape):
    """A whole path as text: base64 of an archive of arrays, and of the steps that name them."""
    numbers = whole.classes is None
    model = {
        "sources": [[name, step(source)] for name, source in whole.sources.items()],
        "net": step(whole.net),
        "X": {
            "texts": whole.samples.texts,
            "shape": list(shape[1:]),
            "columns": whole.samples.columns,
        },
        "exogenous": None,
        "classes": None if numbers else classes(whole.classes),
        "mean": whole.mean.numpy() if numbers else None,
        "scale": whole.scale.numpy() if numbers else None,
        "is_vector": whole.is_vector,
    }
    if whole.given is not None:
        names = whole.given_names
        reader = {"texts": whole.given.texts, "shape": [len(names)], "columns": None}
        model["exogenous"] = {**reader, "names": names}
    arrays, file = {}, io.BytesIO()

    def kept(value):
        if not isinstance(value, np.ndarray):
            return str(value)
        arrays[f"a{len(arrays)}"] = np.ascontiguousarray(value)
        return {"array": f"a{len(arrays) - 1}"}

    text = json.dumps(model, default=kept)
    np.savez(file, model=np.frombuffer(text.encode(), np.uint8), **arrays)
    return base64.b64encode(file.getvalue()).decode()


def classes(labels):
    """Class labels as an array, or as a list of text, numbers and bools."""
    if labels.dtype != object:
        return labels
    labels = [label.item() if isinstance(label, np.generic) else label for label in labels]
    for label in labels:
        if not isinstance(label, (str, bool, int, float)):
            raise TypeError(
                f"a file for NumPy holds no {type(label).__name__} as a class. Fit with labels as "
                "text, such as y.astype(str)"
            )
    return labels


# ------------------------------------------------------------------ networks


def net_parts(net):
    """Arguments of the reader's `net`."""
    *parts_, g = represented_parts(net)
    return [*parts_, g, experts(net.module.experts, g is not None)]


def represented_parts(net):
    """Arguments of the reader's `represented`."""
    module = net.module
    variables = [step(variable) for variable in net.variables]
    eraser = None if module.eraser is None else step(module.eraser)
    rows = step(net.rows)
    if module.gates_layers:
        backbone = ["gated", gated_blocks(module.backbone)]
        if not isinstance(module.backbone.stem, nn.Flatten):
            rows = ["chain", [rows, step(module.backbone.stem)]]
    else:
        backbone = step(module.backbone)
    gate = gate_parts(module.gate, net.hard) if module.gate.n_experts > 1 else None
    return [rows, variables, backbone, eraser, gate]


def gate_parts(gate, hard):
    """Arguments of the reader's `mixture`."""
    n_leaves = 2**gate.depth
    if gate.nodes is None:
        weight, bias = np.zeros((gate.in_features, 0), np.float32), np.zeros(0, np.float32)
    else:
        weight, bias = array(gate.nodes.weight).T, array(gate.nodes.bias)
    paths = np.zeros((gate.depth, n_leaves), np.int64)
    for level in range(gate.depth):
        place = np.arange(n_leaves) >> (gate.depth - level)  # of the node in its level
        right = np.arange(n_leaves) >> (gate.depth - level - 1) & 1
        paths[level] = 2**level - 1 + place + right * (n_leaves - 1)
    shared = None if gate.leaf_to_expert is None else array(gate.leaf_to_expert)
    return [weight, bias, paths, shared, hard]


def experts(ensemble, is_mixed):
    """Arguments of the reader's `mixed`, behind h and g."""
    hidden, weight = None, array(ensemble.weight).transpose(0, 2, 1)  # (L, in, outputs)
    if ensemble.hidden_units:
        layer = array(ensemble.hidden_weight), array(ensemble.hidden_bias)
        hidden = normed(
            layer[0].reshape(-1, ensemble.in_features).T, layer[1].ravel(), ensemble.norm
        )
    if is_mixed and hidden is None:
        weight = weight.transpose(1, 0, 2).reshape(ensemble.in_features, -1)  # (in, L·outputs)
    elif is_mixed:
        weight = weight.reshape(-1, ensemble.n_outputs)  # (L·hidden, outputs)
    return [hidden, weight, array(ensemble.bias)]


def gated_blocks(backbone):
    """Argument of the reader's `gated`; norms become part of the maps."""
    if not isinstance(backbone, modules.GatedMLP):
        refuse(backbone)
    blocks = []
    for maps, norm, modulation in zip(
        backbone.maps, backbone.norms, backbone.modulations, strict=True
    ):
        scale, shift = scale_and_shift(norm)
        weight, bias = array(maps.weight).transpose(1, 2, 0), array(maps.bias).T  # (L, in, out)
        weight, bias = weight * scale, bias * scale + shift
        weight = weight.reshape(-1, maps.out_features)  # (L·in, out)
        by_variable = np.split(array(modulation.scale_and_shift.weight).T, 2, axis=1)
        bias = bias if maps.n_experts > 1 else bias[0]
        blocks.append([narrow(weight), narrow(bias), *by_variable])
    return blocks


# ------------------------------------------------------------------ layers


@singledispatch
def step(module):
    """A module as a step of the reader."""
    return refuse(module)


def refuse(module):
    raise TypeError(
        f"{type(module).__name__} cannot become NumPy code: to_numpy writes networks of dense "
        "layers, as those of MLPBackbone. to_onnx writes others"
    )


@step.register
def _(module: nn.Sequential):
    steps, layers = [], list(module)
    while layers:
        layer = layers.pop(0)
        if isinstance(layer, (nn.Flatten, nn.Identity, nn.Dropout)):
            continue
        if isinstance(layer, nn.Linear) and layers and isinstance(layers[0], nn.BatchNorm1d):
            weight, bias = array(layer.weight).T, 0.0 if layer.bias is None else array(layer.bias)
            steps.append(["linear", *normed(weight, bias, layers.pop(0))])
        else:
            steps.append(step(layer))
    return ["chain", steps]


@step.register
def _(module: nn.Linear):
    weight = array(module.weight).T
    bias = np.zeros(weight.shape[1]) if module.bias is None else array(module.bias)
    return ["linear", narrow(weight), narrow(bias)]


@step.register
def _(module: modules.ScalingLayer):
    return ["scaled", narrow(array(module.scale)), np.zeros(1, np.float32)]


@step.register
def _(module: nn.BatchNorm1d):
    return ["scaled", *map(narrow, scale_and_shift(module))]


ALONE = {
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    heads.BinaryLogits: "two_logits",
    heads.LogProbabilities: "log_proba",
    heads.Logit: "logit",
}
for kind, name in ALONE.items():
    step.register(kind, lambda module, name=name: [name])
for kind in (nn.Identity, nn.Flatten, nn.Dropout):
    step.register(kind, lambda module: ["chain", []])


@step.register
def _(module: heads.ClassLogits):
    return ["class_logits", step(module.network)]


@step.register
def _(module: heads.ExpertHead):
    hidden, weight, bias = experts(module.experts, is_mixed=False)
    last = ["linear", weight[0], bias[0]]
    return ["chain", [last] if hidden is None else [["linear", *hidden], ["relu"], last]]


@step.register
def _(module: modules.LinearEraser):
    return ["erased", array(module.centre), array(module.read).T, array(module.write).T]


@step.register
def _(module: modules.AlignerChain):
    aligners = []
    for part in module:
        rank = part.maps.shape[1]
        maps = array(part.maps).reshape(-1, rank).T
        aligners.append([array(part.basis), maps, array(part.offsets), array(part.shifts)])
    return ["aligned", aligners]


# ------------------------------------------------------------------ parts around the network


@step.register
def _(module: parts.Pick):
    return ["pick", module.name]


@step.register
def _(module: parts.Columns):
    return ["columns", array(module.places)]


@step.register
def _(module: parts.Affine):
    return ["affine", array(module.centre), array(module.weight), array(module.bias)]


@step.register
def _(module: parts.BackboneRows):
    images = [module.fitted, module.unit, module.estimator] if module.images else None
    return ["rows", module.bounds, images]


@step.register
def _(module: parts.Levels):
    return ["levels", array(module.codes), array(module.prior)]


@step.register
def _(module: parts.Number):
    return ["number", array(module.median)]


def clip(module):
    """Arguments of the reader's `clipped`, behind x."""
    return [array(module.centre), 1 / array(module.range)]


@step.register
def _(module: parts.PreparedTable):
    numbers = texts = None
    if len(module.numbers):
        known = (array(module.mean), array(module.precision)) if module.fills else (None, None)
        numbers = [array(module.numbers), clip(module.clip), array(module.missing), *known]
    if len(module.order):
        others = array(module.others) if module.others.shape[1] else None
        texts = [array(module.level_places), array(module.level_codes), others, array(module.order)]
    return ["prepared", numbers, texts]


@step.register
def _(module: parts.VariableOutputs):
    scaled = module.gate_input != "probabilities"
    scales = [array(module.centre), array(module.scale)] if scaled else [None, None]
    head = None if module.head is None else step(module.head)
    clips = None if module.clip is None else clip(module.clip)
    return ["variable", step(module.source), head, module.gate_input, clips, *scales]


@step.register
def _(module: parts.Net):
    return ["net", *net_parts(module)]


@step.register
def _(module: parts.Mean):
    return ["mean", [step(net) for net in module.nets], array(module.weights), module.of_logits]


@step.register
def _(module: parts.Representation):
    return ["representation", *represented_parts(module.net)]


# ------------------------------------------------------------------ arrays


def array(tensor):
    return tensor.numpy()


def narrow(values):
    return np.asarray(values, np.float32)


def scale_and_shift(norm):
    """Batch normalisation in eval mode as an affine map, float64."""
    if norm.running_var is None:
        refuse(norm)
    scale = 1 / np.sqrt(array(norm.running_var).astype(np.float64) + norm.eps)
    scale = scale if norm.weight is None else scale * array(norm.weight)
    shift = -array(norm.running_mean) * scale
    return scale, shift if norm.bias is None else shift + array(norm.bias)


def normed(weight, bias, norm):
    """Weight (in, out) and bias of a linear layer in front of batch normalisation."""
    scale, shift = scale_and_shift(norm)
    return [narrow(weight * scale), narrow(bias * scale + shift)]
