"""A Python file with the whole path, which needs NumPy alone."""

import ast
import sys
from datetime import date
from pathlib import Path
from runpy import run_path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_thin import THINClassifier, to_numpy, to_torch
from sklearn_thin.exogenous import GivenVariable
from sklearn_thin.persistence import numpy_reader
from sklearn_thin.persistence.agreement import Agreement
from tests.helpers import raw, run_python, small
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


def test_labels_of_several_variables_go_by_name(few, tmp_path):
    X, y, z = few
    labels = pd.DataFrame({"site": z, "owner": y % 3})
    clf = raw([(name, GivenVariable()) for name in labels], max_epochs=1)
    clf.fit(X, y, exogenous_target=labels)
    predicts = model_of(clf, tmp_path, X, labels)["predict_proba"]
    right = clf.predict_proba(X, exogenous=labels)
    turned = labels[["owner", "site"]]
    for given in (labels, turned, pl.DataFrame(turned.to_dict("list")), labels.to_numpy()):
        np.testing.assert_allclose(predicts(X, given), right, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"a column for each of \['site', 'owner'\]"):
        predicts(X, labels[["owner"]])


@pytest.mark.parametrize("numbers", [False, True])
def test_frames_with_columns_in_another_order_are_refused(numbers, tmp_path):
    table, y = frame()
    table = table[["length", "age"]] if numbers else table
    clf = THINClassifier(depth=0, max_epochs=1, random_state=0).fit(table, y)
    model, module = model_of(clf, tmp_path, table), to_torch(clf, table)
    turned = table[table.columns[::-1]]
    for call in (model["predict"], model["predict_proba"], module.read):
        with pytest.raises(ValueError, match=r"column 0 of X is .* reads .length. there.* order"):
            call(turned)
        call(turned[table.columns])
        call(table.to_numpy())


def test_bools_beside_text_have_their_levels(tmp_path):
    table, y = frame()
    answers = np.array([True, False, "unknown"] * len(table), object)[: len(table)]
    table = table.assign(answer=answers)
    clf = THINClassifier("answer", max_epochs=1, random_state=0).fit(table, y)
    model, right = model_of(clf, tmp_path, table), clf.predict_proba(table)
    for part in (slice(None), answers != "unknown"):
        proba = model["predict_proba"](table[part])
        np.testing.assert_allclose(proba, right[part], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["layers", "seeds"])
def test_the_file_runs_where_torch_and_scikit_learn_are_not_installed(name, digits, tmp_path):
    clf, X, _ = case(name, digits)
    to_numpy(clf, tmp_path / "digits_model.py", X)
    np.save(tmp_path / "X.npy", X)
    code = """
import sys
from datetime import date
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


@pytest.mark.parametrize("kind", ["M8[s]", "M8[ns]", "m8[h]", "i1", "?", "U1"])
def test_classes_keep_their_type(kind, few, tmp_path):
    labels = np.arange(2).astype("i8" if kind[0] in "mM" else kind).astype(kind)
    y = labels[few[1] % 2]
    clf = raw(max_epochs=1, depth=0).fit(few[0], y)
    model = model_of(clf, tmp_path, few[0])
    assert model["CLASSES"].dtype == clf.classes_.dtype
    np.testing.assert_array_equal(model["predict"](few[0]), clf.predict(few[0]))


def test_classes_that_a_file_cannot_hold_are_refused(few, tmp_path):
    days = np.array([date(2026, 1, 1), date(2026, 1, 2)], object)
    clf = raw(max_epochs=1, depth=0).fit(few[0], days[few[1] % 2])
    with pytest.raises(TypeError, match=r"holds no date as a class.*y\.astype\(str\)"):
        to_numpy(clf, tmp_path / "model.py", few[0])


def test_whole_numbers_that_floats_merge_are_refused_as_levels(few, tmp_path):
    owners = 2**60 + few[2]
    clf = raw("given", max_epochs=1).fit(few[0], few[1], exogenous_target=owners)
    same = np.full(100, owners[0])  # rows that would show no difference
    with pytest.raises(TypeError, match=r"whole numbers beyond 2\^53 apart.*as text"):
        to_numpy(clf, tmp_path / "model.py", few[0], exogenous=same)
