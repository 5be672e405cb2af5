"""A Python file with the whole path, which needs NumPy alone."""

import ast
import sys
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from sklearn_thin import THINClassifier, to_numpy
from sklearn_thin.persistence import numpy_reader
from sklearn_thin.persistence.agreement import Agreement
from tests.helpers import run_python, small
from tests.persistence.cases import DENSE, IMAGES, OTHERS, case, frame


def model_of(estimator, folder, X, exogenous=None):
    to_numpy(estimator, folder / "model.py", X, exogenous=exogenous)
    return run_path(str(folder / "model.py"))


@pytest.mark.parametrize("name", [*DENSE, *OTHERS])
def test_the_file_predicts_as_the_estimator(name, digits, tmp_path):
    estimator, X, exogenous = case(name, digits)
    model = model_of(estimator, tmp_path, X, exogenous)
    agreement = Agreement(estimator, X, exogenous)
    predicts = model["predict" if model["CLASSES"] is None else "predict_proba"]
    for n in (1, 3, len(X)):
        outputs = predicts(X[:n], None if exogenous is None else exogenous[:n])
        off = np.abs(outputs.reshape(n, -1) - agreement.outputs[:n])
        assert (off <= 1e-5 * agreement.unit).all()
    if model["CLASSES"] is not None:
        given = {} if exogenous is None else {"exogenous": exogenous}
        np.testing.assert_array_equal(model["predict"](X, **given), estimator.predict(X, **given))


def test_images_through_dense_layers(digits, tmp_path):
    images = (16 * digits.images[:100]).astype(np.uint8)
    clf = small(max_epochs=1).fit(images, digits.y[:100])
    proba = model_of(clf, tmp_path, images)["predict_proba"](images)
    np.testing.assert_allclose(proba, clf.predict_proba(images), rtol=0, atol=1e-5)


def test_rows_may_be_a_frame_or_lists_with_gaps(tmp_path):
    table, y = frame()
    table["age"] = table.age.astype("Int64")  # whose missing values are pandas' NA
    table.loc[3, "age"] = None
    clf = THINClassifier("site", max_epochs=1, random_state=0).fit(table, y)
    model, lists = model_of(clf, tmp_path, table), table.to_numpy().tolist()
    right = clf.predict_proba(table)
    for rows in (table, lists, table.to_numpy()):
        np.testing.assert_allclose(model["predict_proba"](rows), right, rtol=0, atol=1e-5)


def test_bools_beside_text_have_their_levels(tmp_path):
    table, y = frame()
    answers = np.array([True, False, "unknown"] * len(table), object)[: len(table)]
    table = table.assign(answer=answers)
    clf = THINClassifier("answer", max_epochs=1, random_state=0).fit(table, y)
    model, right = model_of(clf, tmp_path, table), clf.predict_proba(table)
    for part in (slice(None), answers != "unknown"):
        proba = model["predict_proba"](table[part])
        np.testing.assert_allclose(proba, right[part], rtol=0, atol=1e-5)


def test_the_file_runs_where_torch_and_scikit_learn_are_not_installed(digits, tmp_path):
    clf, X, _ = case("layers", digits)
    to_numpy(clf, tmp_path / "digits_model.py", X)
    np.save(tmp_path / "X.npy", X)
    code = """
import sys
sys.path.insert(0, "")
for name in ("torch", "sklearn", "scipy", "sklearn_thin"):
    sys.modules[name] = None  # an import of it raises
import numpy, digits_model
numpy.save("proba.npy", digits_model.predict_proba(numpy.load("X.npy")))
"""
    done = run_python("-c", f"import os; os.chdir({str(tmp_path)!r}){code}")
    assert done.returncode == 0, done.stderr
    proba = np.load(tmp_path / "proba.npy")
    np.testing.assert_allclose(proba, clf.predict_proba(X), rtol=0, atol=1e-5)


def test_the_reader_imports_numpy_and_the_standard_library_alone():
    tree = ast.parse(Path(numpy_reader.__file__).read_text())
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert set(names) - sys.stdlib_module_names == {"numpy"}


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("name", IMAGES)
def test_convolutions_are_named(name, digits, tmp_path):
    estimator, X, _ = case(name, digits)
    with pytest.raises(TypeError, match=r"(Conv2d|ConvNet|Sequential) cannot become NumPy code"):
        to_numpy(estimator, tmp_path / "model.py", X)


def test_wrong_paths_and_rows_are_refused(digits, tmp_path):
    clf, X, _ = case("given", digits)
    with pytest.raises(ValueError, match=r"must end in \.py"):
        to_numpy(clf, tmp_path / "model.npz", X)
    with pytest.raises(FileNotFoundError, match="the folder of"):
        to_numpy(clf, tmp_path / "none" / "model.py", X)
    model = model_of(clf, tmp_path, X, digits.z[100:140])
    with pytest.raises(ValueError, match=r"rows must have shape \(64,\), got \(63,\)"):
        model["predict"](X[:, 1:], digits.z[:40])
    with pytest.raises(ValueError, match="pass exogenous"):
        model["predict"](X)
    model = model_of(case("baseline", digits)[0], tmp_path, X)
    with pytest.raises(ValueError, match="reads no labels"):
        model["predict"](X, digits.z[:40])


def test_no_file_is_written_where_outputs_differ(monkeypatch, digits, tmp_path):
    clf, X, _ = case("prepared table", digits)
    monkeypatch.setattr("sklearn_thin.persistence.parts.BOUND", 2.0)
    monkeypatch.setattr("sklearn_thin.persistence.numpy_file.scale_and_shift", lambda norm: (1, 0))
    with pytest.raises(ValueError, match="the file for NumPy is not exported"):
        to_numpy(clf, tmp_path / "model.py", X)
    assert not list(tmp_path.iterdir())
