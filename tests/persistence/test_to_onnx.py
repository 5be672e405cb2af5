"""One ONNX graph of the whole path, which runs without torch."""

import json
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PowerTransformer,
    StandardScaler,
)

from sklearn_thin import to_onnx, to_torch
from sklearn_thin.model_selection import SeedEnsembleClassifier
from sklearn_thin.persistence import onnx_file
from sklearn_thin.persistence.agreement import Agreement
from tests.helpers import raw, run_python, small
from tests.persistence.cases import DENSE, IMAGES, OTHERS, case, frame

pytest.importorskip("torch", onnx_file.TORCH)
onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
QUICK = [  # each exporter's run takes seconds; the others run with -m long
    "THIN",
    "hard layers",
    "alignment",
    "PCA with a predictor",
    "frame",
    "given text",
    "images of an encoder",
    "two outputs",
    "other networks",
]
ALL = [*DENSE, *OTHERS, *IMAGES]


def feeds_of(X):
    """Inputs of a graph, as a user makes them."""
    if not hasattr(X, "columns"):
        return {"X": X}
    X = X.copy()
    for name in X:
        if X[name].dtype.kind == "O" or hasattr(X[name].dtype, "categories"):
            X[name] = X[name].astype(object).fillna("")
    return {name: X[[name]].to_numpy() for name in X}


def graph(estimator, path, X, exogenous=None):
    to_onnx(estimator, path, X, exogenous=exogenous)
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


def outputs(session, X, n, labels=None):
    feeds = feeds_of(X[:n])
    if labels is not None:
        feeds["exogenous"] = labels[:n]
    return session.run(None, feeds)[0]


@pytest.fixture(scope="module")
def of_case(digits, tmp_path_factory):
    """Export a case, once for all tests: its file and session, and what `case` returns."""

    @cache
    def export(name):
        path = tmp_path_factory.mktemp("graph") / "model.onnx"
        found = case(name, digits)
        return path, graph(found[0], path, *found[1:]), *found

    return export


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.long) for n in ALL]
)
def test_the_graph_predicts_as_the_estimator(name, of_case):
    _, session, estimator, X, exogenous = of_case(name)
    labels = exogenous
    if exogenous is not None:
        missing = "" if exogenous.dtype == object else np.nan
        labels = np.array([missing if v is None else v for v in exogenous], exogenous.dtype)
        labels = labels[:, None]
    agreement = Agreement(estimator, X, exogenous)
    for n in (1, 3, len(X)):
        off = np.abs(outputs(session, X, n, labels).reshape(n, -1) - agreement.outputs[:n])
        assert (off <= 1e-5 * agreement.unit).all()


def test_the_guides_recipe_for_frames_fills_missing_texts_alone(of_case):
    _, session, clf, X, _ = of_case("frame")
    X = X.assign(length=np.nan, colour=np.nan)  # numbers, and a column of text without any text
    assert X["site"].isna().any()
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
    names = {"session": session, "frame": X}
    exec(re.search(r"```python\n(texts = .*?)```", guide, re.DOTALL)[1], names)
    np.testing.assert_allclose(names["proba"], clf.predict_proba(X), rtol=0, atol=1e-5)


def test_inputs_and_output_have_names_types_and_classes(of_case):
    _, session, _, X, _ = of_case("frame")
    types = {part.name: part.type for part in session.get_inputs()}
    assert list(types) == list(X)
    assert types["site"] == types["colour"] == "tensor(string)"
    assert (types["length"], types["age"]) == ("tensor(double)", "tensor(int64)")
    assert [part.name for part in session.get_outputs()] == ["probabilities"]
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == [0, 1]


def test_dates_as_classes_are_text_in_the_metadata(few, tmp_path):
    days = np.array(["2026-01-01", "2026-01-02"], "M8[ns]")
    clf = raw(max_epochs=1, depth=0).fit(few[0], days[few[1] % 2])
    session = graph(clf, tmp_path / "model.onnx", few[0])
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    np.testing.assert_array_equal(np.array(classes, "M8[ns]"), clf.classes_)
    assert classes[0].startswith("2026-01-01")


def test_scikit_learns_steps_and_text_pass_through_skl2onnx(tmp_path):
    pytest.importorskip("skl2onnx")
    table, y = frame()
    table = table[["site", "age", "width"]].assign(site=table.site.fillna("none"))
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    encoder = OneHotEncoder(handle_unknown="ignore")
    steps = ColumnTransformer([("t", encoder, ["site"]), ("n", numbers, ["width"])])
    seeds = SeedEnsembleClassifier(raw(PCA(2), max_epochs=1), n_seeds=2, random_state=0)
    pipe = make_pipeline(steps, seeds).fit(table[:80], y[:80])
    session = graph(pipe, tmp_path / "model.onnx", table[80:])
    kinds = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert kinds.count("OneHotEncoder") == 1  # which the members share
    for n in (1, 40):
        right = pipe.predict_proba(table[80 : 80 + n])
        np.testing.assert_allclose(outputs(session, table[80:], n), right, rtol=0, atol=1e-5)


def test_a_transformer_beside_a_known_column_reads_the_other_columns(tmp_path):
    pytest.importorskip("skl2onnx")
    table, y = frame()
    table = table[["age", "site"]].assign(site=table.site.fillna("none"), month=table.age % 5)
    encoder = OneHotEncoder(sparse_output=False)
    clf = small("site", endogenous=encoder, max_epochs=1).fit(table, y)
    session = graph(clf, tmp_path / "model.onnx", table)
    right = clf.predict_proba(table)
    np.testing.assert_allclose(outputs(session, table, len(table)), right, rtol=0, atol=1e-5)


def test_the_graph_runs_where_torch_is_not_installed(of_case, tmp_path):
    path, _, clf, X, _ = of_case("THIN")
    np.save(tmp_path / "X.npy", X)
    code = """
import sys
sys.modules["torch"] = sys.modules["sklearn"] = None  # an import of them raises
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
numpy.save("proba.npy", session.run(None, {"X": numpy.load("X.npy")})[0])
"""
    done = run_python("-c", f"import os; os.chdir({str(tmp_path)!r}){code}", path)
    assert done.returncode == 0, done.stderr
    proba = np.load(tmp_path / "proba.npy")
    np.testing.assert_allclose(proba, clf.predict_proba(X), rtol=0, atol=1e-5)


# ------------------------------------------------------------------ what is refused


def twice(X):
    return 2 * X


def test_a_transformer_that_skl2onnx_refuses_is_named(rows, tmp_path):
    pytest.importorskip("skl2onnx")
    X, y, _ = rows
    clf = raw(FrozenEstimator(FunctionTransformer(twice).fit(X)), max_epochs=1).fit(X, y)
    with pytest.raises(TypeError, match="FunctionTransformer of exogenous cannot become an ONNX"):
        to_onnx(clf, tmp_path / "model.onnx", X)
    assert not list(tmp_path.iterdir())


def test_a_transformer_that_skl2onnx_converts_otherwise_is_named(few, tmp_path):
    pytest.importorskip("skl2onnx")
    X, y = few[0][:, 10:30].copy(), few[1]
    X[::5, 3] = np.nan  # which skl2onnx's PowerTransformer makes 0
    pipe = make_pipeline(PowerTransformer(), small(max_epochs=1)).fit(X, y)
    with pytest.raises(TypeError, match=r"PowerTransformer.*to_onnx may export it, if skl2onnx"):
        to_torch(pipe, X)
    with pytest.raises(ValueError, match=r"differ .* skl2onnx wrote PowerTransformer of the Pipe"):
        to_onnx(pipe, tmp_path / "model.onnx", X)
    assert not list(tmp_path.iterdir())


class FixesRows(torch.nn.Module):
    def forward(self, x):
        return x.reshape(len(x), -1)  # a number, where x.shape[0] stays open


class KeepsRows(torch.nn.Module):
    def forward(self, x):
        return x.reshape(x.shape[0], -1)


def test_a_custom_layer_is_exported_unless_it_fixes_the_number_of_rows(few, tmp_path):
    X, y, _ = few
    clf = raw(backbone=KeepsRows(), max_epochs=1).fit(X, y)
    session = graph(clf, tmp_path / "model.onnx", X)
    right = clf.predict_proba(X[:3])
    np.testing.assert_allclose(outputs(session, X, 3), right, rtol=0, atol=1e-5)
    clf = raw(backbone=FixesRows(), max_epochs=1).fit(X, y)
    with pytest.raises(TypeError, match=r"must not fix the number of rows: write x\.shape\[0\]"):
        to_onnx(clf, tmp_path / "model.onnx", X)


def test_no_file_is_written_where_outputs_differ(monkeypatch, digits, tmp_path):
    clf, X, _ = case("baseline", digits)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    monkeypatch.setattr("sklearn_thin.persistence.agreement.TOLERANCE", 0)
    with pytest.raises(ValueError, match="the ONNX graph is not exported: its outputs differ"):
        to_onnx(clf, path, X)
    assert path.read_bytes() == b"old"


def test_a_missing_folder_and_a_missing_package_are_named_at_once(monkeypatch, thin, tmp_path):
    with pytest.raises(FileNotFoundError, match="the folder of"):
        to_onnx(thin, tmp_path / "none" / "model.onnx", np.zeros((1, 64)))
    monkeypatch.setattr(onnx_file, "TORCH", "9.9")
    with pytest.raises(ImportError, match=r"to_onnx needs torch 9\.9 or newer"):
        to_onnx(thin, tmp_path / "model.onnx", np.zeros((1, 64)))
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"sklearn-thin\[onnx\]"):
        to_onnx(thin, tmp_path / "model.onnx", np.zeros((1, 64)))
