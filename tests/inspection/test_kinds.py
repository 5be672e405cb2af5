"""Each measure reads classifiers and regressors, all kinds of variables, tables and images."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier, THINRegressor
from sklearn_thin.exogenous import KnownVariable
from sklearn_thin.inspection import (
    DispellingDisplay,
    ExpertDisplay,
    GateDisplay,
    GateTreeDisplay,
    HistoryDisplay,
    PairDistanceDisplay,
    RepresentationDisplay,
    expert_agreement,
    explain,
    export_gate_text,
    gate_importances,
    leaf_usage,
    leakage_report,
    level_report,
    similar_levels,
)
from tests.helpers import SMALL

N = 90
Z = np.arange(N) % 3
HOUR = np.arange(N) % 5 / 2
LEVEL = np.array(["a", "b", "c"])[Z]
TABLE = np.random.RandomState(0).normal(size=(N, 4))
FRAME = pd.DataFrame(TABLE, columns=list("pqrs")).assign(site=LEVEL, hour=HOUR, text="same")
IMAGES = np.random.RandomState(0).normal(size=(N, 8, 8)) + Z[:, None, None]
SMALL_NET = ConvNetBackbone(channels=(4,), hidden_layer_sizes=(8,))
QUICK = {"max_epochs": 1, "random_state": 0}


def encoder(backbone):
    return ExogenousEncoder(backbone=backbone, **QUICK)


KINDS = {  # X, exogenous, exogenous_target, exogenous= of the methods, backbone
    "a column": (FRAME, "site", None, None, SMALL),
    "a column of numbers": (FRAME, "hour", None, None, SMALL),
    "two columns": (FRAME, ["site", "hour"], None, None, SMALL),
    "given": (TABLE, "given", LEVEL, LEVEL, SMALL),
    "two columns, given": (FRAME, ["site", "hour"], None, FRAME[["site", "hour"]], SMALL),
    "an encoder": (TABLE, encoder(SMALL), LEVEL, None, SMALL),
    "an encoder and a column": (
        FRAME,
        [("whose", encoder(SMALL)), ("hour", KnownVariable("hour", kind="number"))],
        np.column_stack([Z, HOUR]),
        None,
        SMALL,
    ),
    "given, images": (IMAGES, "given", Z, Z, SMALL_NET),
    "an encoder of images": (IMAGES, encoder(SMALL_NET), Z, None, SMALL_NET),
}
MODELS = [THINClassifier, THINRegressor]


def target(model):
    return Z % 2 if model is THINClassifier else 100 + TABLE[:, 0]


@cache
def fitted(model, kind):
    X, exogenous, z, given, backbone = KINDS[kind]
    thin = model(exogenous, backbone=backbone, depth=2, **QUICK)
    return thin.fit(X, target(model), exogenous_target=z), X, {"exogenous": given}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=MODELS, ids=["classifier", "regressor"])
def case(request, kind):
    """The fitted estimator, its rows, `exogenous=` of its methods, and y."""
    return *fitted(request.param, kind), target(request.param)


def test_explanations_repeat_the_predictions(case):
    thin, X, given, _ = case
    few = X[:6]
    given = {"exogenous": None if given["exogenous"] is None else given["exogenous"][:6]}
    why = explain(thin, few, **given)
    assert len(why.text) == 6
    assert why.by_leaf.shape[:2] == (6, 4)
    np.testing.assert_allclose(why.gate_proba, thin.gate_proba(few, **given), rtol=1e-5)


def test_measures_of_the_gate(case):
    thin, X, given, y = case
    importances = gate_importances(thin, X, **given)
    assert len(importances.importances) == 3
    usage = leaf_usage(thin, X, Z, **given)
    assert usage.usage.sum() == pytest.approx(1)
    assert similar_levels(thin, X, LEVEL, **given).distance.shape == (3, 3)
    assert expert_agreement(thin, X, **given).agreement.shape == (4, 4)
    assert len(export_gate_text(thin, X, y, levels=LEVEL, **given).splitlines()) > 6


def test_reports_of_representation_and_predictions(case):
    thin, X, given, y = case
    h = thin.transform(X, **given)
    report = leakage_report(h, LEVEL, X=X, probes=["linear"], n_repeats=1, random_state=0)
    assert {"h", "X", "random layer"} <= set(report.table["features"])
    classifies = isinstance(thin, THINClassifier)
    predicted = (thin.predict_proba if classifies else thin.predict)(X, **given)
    served = level_report(y, predicted, LEVEL, random_state=0)
    assert set(served.table["level"]) == set("abc")
    assert np.isfinite(served.worst)


def test_displays(case, kind):
    thin, X, given, y = case
    pairs, same = np.arange(40).reshape(20, 2), np.arange(20) % 2
    images = {"images": X} if X.ndim == 3 else {}
    displays = [
        GateDisplay.from_estimator(thin, X, LEVEL, **given),
        GateTreeDisplay.from_estimator(thin, X, y, levels=LEVEL, **images, **given),
        ExpertDisplay.from_estimator(thin, X, y, LEVEL, **given),
        HistoryDisplay.from_estimator(thin),
        PairDistanceDisplay.from_estimator(thin, X, pairs, same, **given),
        RepresentationDisplay.from_estimator(thin, X, LEVEL, **given),
    ]
    if kind.startswith("an encoder") and "and" not in kind:
        displays.append(DispellingDisplay.from_estimator(thin, X))
    assert all(display.figure_ is not None for display in displays)
    plt.close("all")
