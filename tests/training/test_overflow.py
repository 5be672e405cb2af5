"""Finite numbers that overflow float32 inside a network: an error that names the rows."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer

from sklearn_thin import MLPBackbone
from sklearn_thin.exogenous.side import centre_and_scale
from sklearn_thin.model_selection import StackedGridSearchCV
from sklearn_thin.rows.arrays import NonFiniteRowsError
from tests.helpers import METHODS, raw, raw_encoder, small

LARGEST = float(np.finfo(np.float32).max)
NAMED = r"at least 2 rows of X, the first at index 7: .*Clip these values"


@pytest.fixture
def raw_fitted(few):
    return raw().fit(few[0], few[1])


def with_rows(X, value, places=(7, 30)):
    X = np.array(X, dtype=np.float64)
    X[list(places)] = value
    return X


@pytest.mark.parametrize("method", METHODS)
def test_a_row_that_overflows_is_named_or_its_outputs_are_finite(method, raw_fitted, digits):
    X = with_rows(digits.X[:40], -LARGEST)
    named, outputs = "", 0.0
    try:
        outputs = getattr(raw_fitted, method)(X)
    except ValueError as error:
        named = str(error)
    assert "2 rows of X, the first at index 7" in named or np.isfinite(outputs).all()
    assert named or len(outputs) == 40


@pytest.mark.parametrize("method", ["predict_proba", "transform", "expert_proba"])
def test_rows_that_overflow_in_prediction_are_named(method, raw_fitted, digits):
    with pytest.raises(ValueError, match=r"the output of THINClassifier .*" + NAMED):
        getattr(raw_fitted, method)(with_rows(digits.X[:40], LARGEST))


@pytest.mark.parametrize("method", ["predict_proba", "transform", "decision_function"])
def test_an_encoder_names_them_too(method, few, digits):
    encoder = raw_encoder(max_epochs=10, random_state=0).fit(few[0], few[2])
    with pytest.raises(ValueError, match=r"the output of ExogenousEncoder .*" + NAMED):
        getattr(encoder, method)(with_rows(digits.X[:40], LARGEST))


def test_images_that_overflow_are_named(digits):
    clf = raw(backbone="auto", max_epochs=1).fit(digits.images[:100], digits.y[:100])
    with pytest.raises(ValueError, match=NAMED):
        clf.predict(with_rows(digits.images[:40], LARGEST))


def test_rows_of_later_blocks_are_named_by_their_place_in_all(few, digits):
    encoder = FrozenEstimator(raw_encoder(max_epochs=10, random_state=0).fit(few[0], few[2]))
    thin = raw(encoder).fit(*few[:2])
    X = with_rows(np.tile(digits.X[:100], (60, 1)), LARGEST, [5000, 5999])
    with pytest.raises(ValueError, match=r"ExogenousEncoder .* index 5000"):
        thin.predict(X)


def test_a_transformer_of_the_exogenous_side_that_overflows_the_gate_is_named(rows, digits):
    scaled = FunctionTransformer(_far_apart)
    clf = small(scaled, endogenous=PCA(2)).fit(rows[0] * 1e-3, rows[1])
    with pytest.raises(ValueError, match=r"the output of the exogenous side .* index 7"):
        clf.gate_proba(with_rows(digits.X[:40], 0.99))


def _far_apart(X):
    """Finite values whose distance to the training rows' mean is not."""
    return np.where(np.asarray(X) > 0.5, LARGEST, -LARGEST)[:, :1]


def test_logits_near_the_largest_float_have_finite_outputs(few):
    clf = small(depth=0, hidden_units=0).fit(few[0], few[1] % 2)
    clf.module_.experts.weight.data.zero_()
    clf.module_.experts.bias.data[0] = clf.module_.experts.bias.new_tensor([-3e38, 3e38])
    assert (clf.decision_function(few[0]) == np.float32(LARGEST)).all()
    np.testing.assert_array_equal(clf.predict_proba(few[0])[:, 1], 1)


@pytest.mark.parametrize("value", [LARGEST, 1e30, 1e21])
@pytest.mark.parametrize("kind", [raw, raw_encoder])
def test_rows_that_overflow_in_a_fit_are_named(kind, value, few):
    match = (
        "Values of 2 of the 100 training rows overflow .* the first in row 7 .* leave these rows"
    )
    with pytest.raises(FloatingPointError, match=match):
        kind(max_epochs=1).fit(with_rows(few[0], value), few[1])


def test_rows_that_overflow_in_images_are_named(digits):
    with pytest.raises(FloatingPointError, match=r"2 of the 100 training rows .* row 7"):
        raw(backbone="auto").fit(with_rows(digits.images[:100], LARGEST), digits.y[:100])


def test_rows_that_overflow_in_a_stack_are_named(few):
    search = StackedGridSearchCV(raw(), {"lr": [0.1, 0.2]}, cv=2, error_score="raise")
    with pytest.raises(FloatingPointError, match=r"[12] of the \d+ training rows"):
        search.fit(with_rows(few[0], LARGEST), few[1] % 2)


def test_running_statistics_that_overflow_are_no_silent_fit(few):
    """A variance of infinity would turn all columns into zeros, at a finite loss."""
    clf = raw(backbone=MLPBackbone((4,)), max_epochs=1)
    with pytest.raises(FloatingPointError, match="training rows overflow"):
        clf.fit(with_rows(few[0], 1e20), few[1])


def test_the_error_survives_a_pickle():
    error = pickle.loads(pickle.dumps(NonFiniteRowsError("the output", 2, 7).after(3)))
    assert "at least 2 rows of X, the first at index 10" in str(error)


def test_a_column_of_the_smallest_floats_does_not_divide_by_zero(rows):
    h = np.zeros((200, 2), np.float32)
    h[::2] = 1e-45
    _, scale = centre_and_scale(torch.from_numpy(h))
    assert (scale > 0).all()
    clf = small(FunctionTransformer(_smallest), endogenous=PCA(2)).fit(*rows[:2])
    assert np.isfinite(clf.gate_proba(rows[0])).all()


def _smallest(X):
    return np.where(np.asarray(X)[:, 20:22] > 0.5, np.float32(1e-45), np.float32(0))


def test_an_unfitted_side_that_overflows_is_an_error_of_its_own(few):
    clf = raw(raw_encoder())
    with pytest.raises(FloatingPointError, match="training rows overflow"):
        clone(clf).fit(with_rows(few[0], LARGEST), few[1], exogenous_target=few[2])
