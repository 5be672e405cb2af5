"""scikit-learn's own checks, on the estimators that this package adds to it."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_thin import ExogenousEncoder, TablePreprocessor, THINClassifier, THINRegressor
from sklearn_thin.model_selection import (
    SeedEnsembleClassifier,
    SeedEnsembleRegressor,
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
)


class SelfLabellingEncoder(ExogenousEncoder):
    """An encoder of the first column's half, as the checks pass no exogenous_target."""

    def fit(self, X, y=None, **params):
        rows = np.asarray(X, dtype=float)
        first = rows.reshape(len(rows), -1)[:, 0]
        rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
        return super().fit(X, rank >= len(rank) // 2, **params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags


FAST = {"max_epochs": 15, "lr": 1e-2}
ESTIMATORS = [
    THINClassifier(),
    ExogenousEncoder(),
    # depth 1: a class weight of 10^7 takes a deeper tree more steps than a check's 50 rows give
    THINClassifier(SelfLabellingEncoder(max_epochs=2), depth=1, lam=0.01, random_state=0, **FAST),
]
REGRESSORS = [
    THINRegressor(),
    THINRegressor(SelfLabellingEncoder(max_epochs=2), depth=1, lam=0.01, random_state=0, **FAST),
]
IDS = ["thin", "encoder", "thin-on-encoder"]
REGRESSOR_IDS = ["regressor", "regressor-on-encoder"]
SEEDS = [
    SeedEnsembleClassifier(THINClassifier(**FAST), 2, random_state=0),
    SeedEnsembleRegressor(THINRegressor(**FAST), 2, random_state=0),
]
SETTINGS = [{"depth": 0, "random_state": 0}, {"depth": 1, "random_state": 1}]
WEIGHTED = [
    WeightedEnsembleClassifier(THINClassifier(**FAST), SETTINGS, [3, 1]),
    WeightedEnsembleRegressor(THINRegressor(**FAST), SETTINGS, [3, 1]),
]


def expected_failed_checks(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": (
            "float32 minibatches: equal to 1e-7 only for a full batch without BatchNorm"
        )
    }


CHECKS = parametrize_with_checks(
    [*ESTIMATORS, *REGRESSORS, *SEEDS, *WEIGHTED, TablePreprocessor()],
    expected_failed_checks=expected_failed_checks,
)


# scikit-learn 1.6 gives a generator, which pytest 9 wants as a list
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learn_finds_nothing(estimator, check):
    check(estimator)


# check_set_output_transform_pandas fits on frames, transforms arrays, and the other way
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize("estimator", [*ESTIMATORS, *REGRESSORS], ids=[*IDS, *REGRESSOR_IDS])
@pytest.mark.parametrize(
    "name",
    [
        "check_dataframe_column_names_consistency",
        "check_param_validation",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
    ],
)
def test_checks_that_scikit_learn_keeps_for_itself(estimator, name):
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=IDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_are_float32_whatever_the_input(estimator, dtype):
    X = np.random.RandomState(0).rand(30, 4).astype(dtype)
    estimator = clone(estimator).set_params(max_epochs=1)
    proba = estimator.fit(X, X[:, 1] > 0.5).predict_proba(X)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-6)
