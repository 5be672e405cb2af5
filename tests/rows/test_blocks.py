"""Predictions hold blocks of rows, whatever a row's outputs take."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from sklearn_thin import ExogenousEncoder
from sklearn_thin.exogenous.side import ExogenousSide
from sklearn_thin.inspection import leakage_score
from sklearn_thin.modules import ExpertEnsemble
from sklearn_thin.rows.arrays import block_rows
from tests.helpers import METHODS, SMALL, small


@pytest.fixture(scope="module")
def of_many_classes():
    """A classifier on an encoder of 2,000 exogenous classes, with alignment."""
    X = np.random.RandomState(0).normal(size=(4000, 4)).astype(np.float32)
    encoder = ExogenousEncoder(SMALL, max_epochs=1, random_state=0).fit(X, np.arange(4000) // 2)
    clf = small(FrozenEstimator(encoder), dispelling="alignment", max_epochs=1)
    return clf.fit(X, np.arange(4000) % 2), X


def test_a_prediction_holds_blocks_of_the_exogenous_side(of_many_classes, monkeypatch):
    clf, X = of_many_classes
    clf.predict(X[:1])
    rows, blocks = [], ExogenousSide.blocks

    def counting(self, X, **how):
        for part, outputs in blocks(self, X, **how):
            rows.append(len(outputs["gate_input"]))
            yield part, outputs

    monkeypatch.setattr(ExogenousSide, "blocks", counting)
    clf.predict(np.tile(X, (2, 1)))
    assert sum(rows) == 8000
    assert max(rows) * 4000 * 4 <= 2**25  # bytes of the gate's input and the logits


@pytest.mark.parametrize("method", METHODS)
def test_blocks_of_the_exogenous_side_change_no_bit(method, thin, digits, monkeypatch):
    X = np.tile(digits.X[:700], (2, 1))
    expected = getattr(thin, method)(X)
    monkeypatch.setattr("sklearn_thin.exogenous.side.MOST_VALUES", 1)
    np.testing.assert_array_equal(getattr(thin, method)(X), expected)


def test_a_block_shrinks_with_the_outputs_of_the_experts():
    x, cpu = torch.zeros(500, 4), torch.device("cpu")
    assert block_rows(x, cpu) == 128
    assert block_rows(x, cpu, ExpertEnsemble(16, 10, 8).n_values) == 128
    assert block_rows(x, cpu, ExpertEnsemble(16, 100, 1024).n_values) == 32
    assert block_rows(x, cpu, ExpertEnsemble(16, 1000, 1024).n_values) == 16
    # the weights that each row of hard inference may gather
    assert block_rows(x, cpu, ExpertEnsemble(1024, 200, 128).n_values) == 16


@pytest.mark.parametrize("inference", ["soft", "hard"])
def test_outputs_of_many_experts_do_not_depend_on_the_rows_beside(inference, digits):
    clf = small(depth=9, hidden_units=0, inference=inference, max_epochs=1)
    clf.fit(digits.X[:600], np.arange(600) // 2)  # 150,000 values a row: blocks of 16 rows
    whole = clf.predict_proba(digits.X[:50])
    parts = [clf.predict_proba(digits.X[i : i + 7]) for i in range(0, 50, 7)]
    np.testing.assert_array_equal(whole, np.concatenate(parts)[:50])


def test_a_probe_predicts_block_by_block(monkeypatch):
    from sklearn.linear_model import Perceptron

    class Counts(Perceptron):
        rows = []

        def predict(self, X):
            self.rows.append(len(X))
            return super().predict(X)

    z = np.arange(10_001) % 2
    score = leakage_score(z[:, None] + np.zeros((10_001, 2)), z, probe=Counts(), random_state=0)
    assert score.accuracy == 1
    assert sum(Counts.rows) == 5001
    assert max(Counts.rows) <= 4096
