"""Exports refuse images of another scale than in `fit`, as the estimator does: uint8 is divided."""

from runpy import run_path

import numpy as np
import pytest
import torch

from sklearn_thin import ConvNetBackbone, to_numpy, to_onnx, to_torch
from sklearn_thin.persistence import onnx_file
from tests.helpers import raw, small

GREY, UNIT = "floats in 0..255", "floats in [0, 1]"
KINDS = ["uint8", "int64", GREY, UNIT]


def images(digits, kind, n=100):
    """The same images in another type and scale."""
    grey = (255 * digits.images[:n]).round()
    if kind == UNIT:
        grey = grey / 255
    return grey.astype(np.float32 if kind in (GREY, UNIT) else kind)


@pytest.fixture(scope="module")
def exported(digits, tmp_path_factory):
    """By the kind of images of the fit: the estimator, the torch module and the Python file."""
    found = {}
    for place, kind in enumerate(KINDS):
        X = images(digits, kind)
        clf = small(max_epochs=1).fit(X, digits.y[:100])
        path = tmp_path_factory.mktemp("files") / f"model_{place}.py"
        to_numpy(clf, path, X)
        found[kind] = clf, to_torch(clf, X), run_path(str(path))
    return found


def outcome(predict, X):
    """Probabilities, or the words of a refusal."""
    try:
        return np.asarray(predict(X))
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("given", KINDS)
@pytest.mark.parametrize("fitted", KINDS)
def test_an_export_refuses_the_images_that_the_estimator_refuses(fitted, given, exported, digits):
    clf, module, model = exported[fitted]
    X = images(digits, given, 8)
    right = outcome(clf.predict_proba, X)
    kinds = {fitted, given}
    assert isinstance(right, str) == ("uint8" in kinds and len(kinds) == 2 and UNIT not in kinds)
    for predict in (
        model["predict_proba"],
        lambda X: module(torch.from_numpy(X)),
        lambda X: module(*module.read(X)),
    ):
        got = outcome(predict, X)
        if isinstance(right, str):
            assert got == right
        else:
            np.testing.assert_allclose(got, right, rtol=0, atol=1e-5)


def test_an_exported_program_refuses_them_too(exported, digits):
    clf, module, _ = exported["uint8"]
    unit, grey = (torch.from_numpy(images(digits, kind, 8)) for kind in (UNIT, GREY))
    any_rows = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(module, (unit,), dynamic_shapes=any_rows).module()
    right = clf.predict_proba(unit.numpy())
    np.testing.assert_allclose(program(unit).numpy(), right, rtol=0, atol=1e-5)
    with pytest.raises(RuntimeError, match="X has images of float32, but THINClassifier was"):
        program(grey)


def test_a_graph_that_reads_floats_is_refused_after_a_fit_on_uint8(exported, digits, tmp_path):
    pytest.importorskip("torch", onnx_file.TORCH)
    pytest.importorskip("onnxruntime")
    clf, X = exported["uint8"][0], images(digits, UNIT, 8)
    with pytest.raises(ValueError, match=r"X has images of float32, but .* fitted on uint8"):
        to_onnx(clf, tmp_path / "model.onnx", X)
    assert not list(tmp_path.iterdir())


def test_a_table_of_uint8_is_not_divided(digits, tmp_path):
    X = images(digits, GREY).reshape(100, -1)
    clf = raw(max_epochs=1).fit(X, digits.y[:100])
    module, path = to_torch(clf, X), tmp_path / "model.py"
    to_numpy(clf, path, X)
    whole = X.astype(np.uint8)
    right = clf.predict_proba(whole)
    for got in (module(torch.from_numpy(whole)), run_path(str(path))["predict_proba"](whole)):
        np.testing.assert_allclose(got, right, rtol=0, atol=1e-5)


def test_images_in_flat_rows_of_uint8_are_divided(digits, tmp_path):
    X = images(digits, "uint8").reshape(100, -1)
    backbone = ConvNetBackbone((4,), image_shape=(8, 8), hidden_layer_sizes=(16,))
    clf = small(backbone=backbone, max_epochs=1).fit(X, digits.y[:100])
    module = to_torch(clf, X)
    right = clf.predict_proba(X)
    np.testing.assert_allclose(module(*module.read(X)), right, rtol=0, atol=1e-5)
    pytest.importorskip("torch", onnx_file.TORCH)
    runtime = pytest.importorskip("onnxruntime")
    to_onnx(clf, tmp_path / "model.onnx", X)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    np.testing.assert_allclose(session.run(None, {"X": X})[0], right, rtol=0, atol=1e-5)
