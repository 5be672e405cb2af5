"""A fitted THIN is a frozen exogenous side of another one, composed of scikit-learn's parts."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from sklearn_thin.modules.heads import LogProbabilities
from tests.helpers import FITS_LOGISTIC_REGRESSION, arrays, assert_bit_equal, small

pytestmark = FITS_LOGISTIC_REGRESSION


def proba_of(thin):
    return FrozenEstimator(FunctionTransformer(thin.predict_proba))


@pytest.mark.parametrize("lam", [0, 0.1])
@pytest.mark.parametrize("predictor", [None, LogisticRegression(max_iter=1000)])
def test_the_gate_reads_h_endo_or_a_predictor_of_it(predictor, lam, thin, rows):
    X, y, z = rows
    labels = {} if predictor is None else {"exogenous_target": y}
    other = small(FrozenEstimator(thin), exogenous_predictor=predictor, lam=lam)
    before = arrays(thin.module_)
    if predictor is None and lam:
        with pytest.raises(ValueError, match="needs a predictor of the exogenous variable"):
            other.fit(X, z)
        return
    other.fit(X, z, **labels)
    width = thin.transform(X).shape[1] if predictor is None else 10
    assert other.module_.gate.in_features == width
    assert ("train_dispelling" in other.history_[-1]) == (lam > 0)
    assert_bit_equal(thin.module_.state_dict(), before)


def test_the_gate_reads_the_probabilities(thin, rows):
    X, y, z = rows
    other = small(proba_of(thin), exogenous_predictor=LogProbabilities()).fit(X, z)
    outputs = other.exogenous_side_.outputs(X)["gate_input"].numpy()
    np.testing.assert_allclose(outputs, np.sqrt(10) * thin.predict_proba(X), atol=1e-4)
    third = small(proba_of(other), exogenous_predictor=LogProbabilities()).fit(X, y)
    assert third.module_.gate.in_features == 4
    assert third.predict_proba(X).shape == (200, 10)
