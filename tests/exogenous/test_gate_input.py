"""The gate reads probabilities, logits or h_exo of the exogenous side."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer

from tests.helpers import small


@pytest.mark.parametrize(("name", "width"), [("tree gate on h_endo", 16), ("exogenous gate", 4)])
def test_the_gate_reads_h_endo_or_what_the_encoder_says(name, width, digits, encoder):
    exogenous = FrozenEstimator(encoder) if name == "exogenous gate" else None
    clf = small(exogenous, max_epochs=1).fit(digits.X[:100], digits.y[:100])
    assert clf.module_.gate.in_features == width


@pytest.mark.parametrize(
    ("gate_input", "width"),
    [("auto", 4), ("probabilities", 4), ("logits", 4), ("representation", 16)],
)
def test_the_gate_reads_what_it_is_told_to(gate_input, width, rows, encoder):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), gate_input=gate_input).fit(X, y)
    proba = encoder.predict_proba(X)
    logits = encoder.predictor_(torch.from_numpy(encoder.transform(X))).detach().numpy()
    read = {"logits": logits, "representation": encoder.transform(X)}.get(gate_input, proba)
    gate_input = clf.exogenous_side_.outputs(X)["gate_input"].numpy()
    assert gate_input.shape == (200, width) == (200, clf.module_.gate.in_features)
    varies = read.std(0) > 1e-3
    correlation = [np.corrcoef(gate_input[:, i], read[:, i])[0, 1] for i in np.flatnonzero(varies)]
    np.testing.assert_allclose(correlation, 1, atol=1e-4)


def test_certain_probabilities_are_as_far_apart_as_standardised_labels(rows, encoder):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), gate_input="probabilities").fit(X, y)
    read = clf.exogenous_side_.outputs(X)["gate_input"].numpy()
    np.testing.assert_allclose(read, 2 * encoder.predict_proba(X), atol=1e-5)  # of four classes
    labels = np.eye(4)[np.arange(40) % 4]
    standardised = (labels - labels.mean(0)) / labels.std(0)
    apart = np.linalg.norm(standardised[0] - standardised[1])
    assert np.linalg.norm(2 * labels[0] - 2 * labels[1]) == pytest.approx(apart, rel=0.2)


@pytest.mark.parametrize("gate_input", ["logits", "representation"])
def test_logits_and_h_exo_are_centred_and_scaled_by_the_training_rows_alone(
    gate_input, rows, encoder
):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), gate_input=gate_input).fit(X, y)
    read = clf.exogenous_side_.outputs(X)["gate_input"].numpy()
    np.testing.assert_allclose(read.mean(0), 0, atol=1e-4)
    assert (read.var(0)).mean() == pytest.approx(1, abs=0.25)
    few = clf.exogenous_side_.outputs(X[:7])["gate_input"].numpy()
    np.testing.assert_allclose(few, read[:7], atol=1e-4)


def test_the_gate_reads_h_exo_where_there_is_no_predictor(rows):
    X, y, _ = rows
    clf = small(PCA(5)).fit(X, y)
    assert clf.module_.gate.in_features == 5
    assert clf.predict_proba(X).shape == (200, 10)


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e25])
def test_the_gate_reads_h_exo_centred_and_scaled_whatever_its_unit(unit, rows):
    X, y, _ = rows
    scaled = FunctionTransformer(lambda X: np.asarray(X, float)[:, 20:22] * unit + 3 * unit)
    clf = small(scaled).fit(X, y)
    read = clf.exogenous_side_.outputs(X)["gate_input"].numpy()
    np.testing.assert_allclose(read.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(read.std(0), 1, rtol=1e-4)


def test_a_constant_column_of_h_exo_says_nothing_to_the_gate(rows):
    X, y, _ = rows
    constant = FunctionTransformer(lambda X: np.full((len(X), 1), 1e-3 / 3))
    read = small(constant).fit(X, y).exogenous_side_.outputs(X)["gate_input"]
    np.testing.assert_allclose(read, 0, atol=1e-6)
