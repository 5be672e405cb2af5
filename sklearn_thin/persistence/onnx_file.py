"""A fitted estimator as one ONNX graph in a file, from X to probabilities or numbers."""

import io
import json
import warnings
from contextlib import redirect_stdout

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.fixes import parse_version

from sklearn_thin._environment import own_torch_state
from sklearn_thin._writing import checked_path, write_whole
from sklearn_thin.persistence.agreement import Agreement
from sklearn_thin.persistence.building import active
from sklearn_thin.persistence.parts import UNKNOWN, BackboneRows
from sklearn_thin.persistence.path import built
from sklearn_thin.persistence.samples import given_table
from sklearn_thin.rows.columns import as_table
from sklearn_thin.rows.images import scale_refusal

TORCH = "2.13"  # whose exporter is tried
OPSETS = {"": 18, "ai.onnx.ml": 3}
INPUTS = ("x", "exogenous", "others")  # of the graph that torch makes


@own_torch_state()
def to_onnx(estimator, path, X, *, exogenous=None) -> None:
    """Write a fitted estimator as one ONNX graph, from X to probabilities.

    The graph holds all of :func:`to_torch`, and takes any number of rows. It runs without torch
    and scikit-learn, for example in onnxruntime. The file appears whole or not at all, and after
    onnxruntime's outputs for `X` agree with those of the estimator to 1e-5. Needs the extra `onnx`,
    and torch 2.13.

    The input of an array is "X", in the type of `X`. A frame, or a table with text, has an input
    (n_samples, 1) for each column, with the name and the type of the column. A missing text is the
    empty string: onnxruntime reads NaN in a column of text as the text "nan". Fill missing texts
    with ""; missing numbers stay NaN. The user guide shows how. Labels of `exogenous="given"` are
    the input "exogenous". The output is "probabilities", or "predictions" of a regressor. The
    metadata of the graph have the classes.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`THINClassifier`, :class:`THINRegressor` or :class:`ExogenousEncoder`, or a
        Pipeline, a search or an ensemble of `sklearn_thin.model_selection` around one of these.
    path : str, bytes or path
        The file, by custom with the suffix `.onnx`.
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        Rows on which outputs are compared. They give the names and the types of the inputs.
    exogenous : array-like of shape (n_samples,), default=None
        Labels of these rows, if the estimator has `exogenous="given"`.

    Raises
    ------
    TypeError
        For a transformer that skl2onnx does not convert; the error names it.
    ValueError
        If the outputs do not agree, and for floats where an image was uint8 in `fit`: a graph reads
        any floats, and uint8 alone is divided by 255.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_thin import THINClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = THINClassifier(max_epochs=1, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     to_onnx(clf, folder + "/model.onnx", X)
    ...     session = onnxruntime.InferenceSession(folder + "/model.onnx")
    >>> session.run(["probabilities"], {"X": X[:2]})[0].shape
    (2, 3)
    """
    path, onnx, runtime = checked_path(path), *libraries()
    agreement, foreign = Agreement(estimator, X, exogenous), []
    whole = built(estimator, X, exogenous, foreign=foreign)
    check_scale(whole)
    labels = None if exogenous is None else given_table(exogenous, whole.given_names)
    model = Graph(onnx, whole, X, labels, foreign).model()
    content, feeds = model.SerializeToString(), whole.samples.feeds(X)
    if labels is not None:
        feeds |= whole.given.feeds(labels)
    try:
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        outputs = session.run(None, feeds)[0]
        one = session.run(None, {name: rows[:1] for name, rows in feeds.items()})[0]
    except Exception as error:  # of its own types, such as an operator that it lacks
        raise ValueError(f"onnxruntime does not run the graph: {error}") from error
    hint = hint_of(foreign)
    agreement.check(outputs, "the ONNX graph", hint)
    agreement.check(one, "the ONNX graph of one row", hint)
    write_whole(path, (content,))


def hint_of(foreign):
    """Words for outputs that differ, if skl2onnx converted transformers (name, transformer, …)."""
    if not foreign:
        return ""
    parts = [
        f"{type(step).__name__} of {name}"
        for name, part, _ in foreign
        for step in (active(part) if isinstance(part, Pipeline) else [part])
    ]
    return (
        f". skl2onnx wrote {', '.join(parts)}, and may read missing values or round otherwise. "
        "Transform rows before the graph, and export an estimator of these rows"
    )


def check_scale(whole):
    """Raise for a graph that could not refuse floats in 0..255, of an estimator of uint8 images."""
    came = whole.samples.dtype
    for rows in whole.modules():
        if isinstance(rows, BackboneRows) and rows.fitted == "uint8" != came.name:
            raise ValueError(scale_refusal(came, rows.fitted, rows.estimator))


def libraries():
    """The packages onnx and onnxruntime; raises ImportError where one is missing, or too old."""
    if parse_version(torch.__version__) < parse_version(TORCH):
        raise ImportError(f"to_onnx needs torch {TORCH} or newer, got {torch.__version__}")
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 -- torch's exporter needs it
    except ImportError as error:
        raise ImportError("onnx is needed for this: pip install 'sklearn-thin[onnx]'") from error
    return onnx, onnxruntime


class Graph:
    """The ONNX graph of a whole path: the columns, other libraries' transformers, then torch's.

    Parameters
    ----------
    onnx : module
    whole : WholePath
    X, labels : array-like
        Sample rows, and labels that come with them, or None.
    foreign : list of (name, transformer, columns)
        Transformers that skl2onnx converts.
    """

    def __init__(self, onnx, whole, X, labels, foreign):
        self.onnx, self.helper = onnx, onnx.helper
        self.whole, self.foreign = whole, foreign
        self.tables = [(whole.samples, as_table(X), INPUTS[0])]
        if whole.given is not None:
            self.tables.append((whole.given, labels, INPUTS[1]))
        self.nodes, self.constants, self.inputs = [], [], []

    def model(self):
        """The checked model."""
        outside = [self.outputs_of(*part) for part in self.foreign]
        torchs = self.of_torch(outside)
        used = {name for node in torchs.graph.node for name in node.input}
        for samples, table, name in self.tables:
            self.columns(samples, table, f"thin_{name}" if f"thin_{name}" in used else None)
        for i, (part, rows) in enumerate(zip(self.foreign, outside, strict=True)):
            self.add_foreign(*part, rows, f"thin_{INPUTS[2]}_{i}")
        self.nodes += torchs.graph.node
        (output,) = torchs.graph.output
        name = "predictions" if self.whole.classes is None else "probabilities"
        self.node("Identity", [output.name], name)
        output.name = name
        graph = self.helper.make_graph(
            self.nodes,
            "sklearn_thin",
            self.inputs,
            [output],
            [*self.constants, *torchs.graph.initializer],
        )
        opsets = [self.helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        opsets += [part for part in torchs.opset_import if part.domain not in OPSETS]
        how = {"ir_version": torchs.ir_version, "functions": torchs.functions}
        model = self.helper.make_model(graph, opset_imports=opsets, **how)
        model.producer_name = "sklearn_thin"
        if self.whole.classes is not None:
            classes = self.whole.classes
            classes = classes.astype(str) if classes.dtype.kind in "mM" else classes
            classes = json.dumps(classes.tolist(), default=str)
            self.helper.set_model_props(model, {"classes": classes})
        self.onnx.checker.check_model(model)
        return model

    def of_torch(self, outside):
        """The graph of the torch module, with names that start with "thin_"."""
        samples, X, _ = self.tables[0]
        tensors = [samples.array(X)]
        tensors += [s.array(table) for s, table, _ in self.tables[1:]]
        rows = [torch.from_numpy(two_rows(array)) for array in (*tensors, *outside)]
        n = len(tensors)
        arguments = (rows[0], rows[1] if n > 1 else None, *rows[n:])
        any_rows = {0: torch.export.Dim.DYNAMIC}
        shapes = {INPUTS[0]: any_rows, INPUTS[1]: any_rows if n > 1 else None}
        if outside:
            shapes[INPUTS[2]] = tuple(any_rows for _ in outside)
        names = [*INPUTS[:n], *(f"{INPUTS[2]}_{i}" for i in range(len(outside)))]
        return renamed(exported(self.whole, arguments, shapes, names), "thin_")

    # ------------------------------------------------------------------ columns

    def columns(self, samples, table, target):
        """Inputs for the columns of a table, and the nodes that make one table `target` of them."""
        if not samples.in_columns:
            (name,), (dtype,) = samples.names, samples.dtypes
            self.input(name, dtype, table.shape[1:])
            if target is not None:
                self.cast(name, target, samples.dtype)
            return
        parts = []
        for place, (name, dtype) in enumerate(zip(samples.names, samples.dtypes, strict=True)):
            self.input(name, dtype, (1,))
            parts.append(f"thin_column_{len(self.inputs)}")
            if dtype is None:
                name = self.codes(name, samples.texts[place], f"{parts[-1]}_codes")
            self.cast(name, parts[-1], samples.dtype)
        if target is not None:
            self.node("Concat", parts, target, axis=1)

    def input(self, name, dtype, shape):
        kind = self.onnx.TensorProto.STRING if dtype is None else self.kind(dtype)
        self.inputs.append(self.helper.make_tensor_value_info(name, kind, ["rows", *shape]))

    def codes(self, name, texts, target):
        """A node from texts to their codes; a missing text is the empty one."""
        texts = {"": np.nan, **texts}
        self.node(
            "LabelEncoder",
            [name],
            target,
            domain="ai.onnx.ml",
            keys_strings=list(texts),
            values_floats=list(texts.values()),
            default_float=UNKNOWN,
        )
        return target

    def cast(self, name, target, dtype):
        self.node("Cast", [name], target, to=self.kind(dtype))

    def node(self, kind, inputs, target, **attributes):
        self.nodes.append(self.helper.make_node(kind, inputs, [target], **attributes))

    def kind(self, dtype):
        return self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    # ------------------------------------------------------------------ other transformers

    def outputs_of(self, name, transformer, places):
        """Output for the sample rows, as an array of floats."""
        rows = transformer.transform(self.rest(places))
        rows = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
        return rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float32)

    def rest(self, places):
        X = self.tables[0][1]
        return X if places is None else _safe_indexing(X, places, axis=1)

    def add_foreign(self, name, transformer, places, rows, target):
        """The nodes of skl2onnx, from the inputs to `target`."""
        samples = self.tables[0][0]
        place = int(target.rpartition("_")[2])
        chosen = range(len(samples.names)) if places is None or not samples.in_columns else places
        pairs = [(samples.names[i], samples.dtypes[i]) for i in chosen]
        shape = self.rest(places).shape[1:] if not samples.in_columns else (1,)
        model = converted(transformer, name, [(n, d, shape) for n, d in pairs])
        prefix = f"sklearn{place}_"
        model = renamed(model, prefix)
        for column, dtype in pairs:
            part = column
            if places is not None and not samples.in_columns:
                chosen = self.onnx.numpy_helper.from_array(np.array(places), f"{prefix}places")
                self.constants.append(chosen)
                part = f"{prefix}chosen"
                self.node("Gather", [column, chosen.name], part, axis=1)
            if dtype is None:
                self.node("Identity", [part], prefix + column)
            else:
                self.cast(part, prefix + column, as_sklearn(dtype))
        self.nodes += model.graph.node
        self.constants += model.graph.initializer
        self.cast(model.graph.output[0].name, target, rows.dtype)


def exported(module, arguments, shapes, names):
    """The model of torch for a module with inputs of these names."""
    how = {"dynamo": True, "opset_version": OPSETS[""], "verbose": False, "input_names": names}
    try:
        # the exporter warns of itself, and older versions print what they do
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.export.export(module, arguments, dynamic_shapes=shapes)
            return torch.onnx.export(program, **how).model_proto
    except Exception as error:  # of many types, by torch
        raise TypeError(
            "torch does not export the network. A layer of your own must not fix the number of "
            f"rows: write x.shape[0] in place of len(x). {error}"
        ) from error


def as_sklearn(dtype):
    """Type of numbers that scikit-learn's graphs read; onnxruntime has many for float32 alone."""
    return dtype if dtype in (np.int64, np.int32, np.bool_) else np.dtype(np.float32)


def converted(transformer, name, inputs):
    """The model of skl2onnx for a transformer with inputs (name, type or None, shape)."""
    try:
        import skl2onnx
        from skl2onnx.common import data_types
    except ImportError as error:
        raise ImportError(
            f"skl2onnx is needed for {type(transformer).__name__}: pip install 'sklearn-thin[onnx]'"
        ) from error
    kinds = {
        "float32": data_types.FloatTensorType,
        "int64": data_types.Int64TensorType,
        "int32": data_types.Int32TensorType,
        "bool": data_types.BooleanTensorType,
    }
    types = []
    for column, dtype, shape in inputs:
        text = data_types.StringTensorType
        kind = text if dtype is None else kinds[as_sklearn(dtype).name]
        types.append((column, kind([None, *shape])))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            how = {"initial_types": types, "target_opset": OPSETS}
            return skl2onnx.convert_sklearn(transformer, **how)
    except Exception as error:  # of any type, by converters
        raise TypeError(
            f"{type(transformer).__name__} of {name} cannot become an ONNX graph: {error}"
        ) from error


def renamed(model, prefix):
    """The model, in which all names of values start with the prefix."""
    rename(model.graph, prefix)
    return model


def rename(graph, prefix):
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = prefix + value.name
    for node in graph.node:
        node.name = prefix + node.name
        node.input[:] = [name and prefix + name for name in node.input]
        node.output[:] = [name and prefix + name for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                rename(attribute.g, prefix)


def two_rows(array):
    """The first rows, two at least, as one row would fix the number of rows."""
    return np.ascontiguousarray(np.resize(array[:2], (2, *array.shape[1:])))
