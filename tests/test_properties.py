"""Random configurations fit and keep their promises, or are refused by name.

The short profile draws the same configurations in each run. `python -m tests.reliability` draws
thousands.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from tests.reliability import FaultError, check, count, print_counts
from tests.strategies import Case, cases, searched

SHORT = {
    "derandomize": True,
    "deadline": None,
    "database": None,  # leaves no folder
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=100, **SHORT)
@given(cases())
def test_a_classifier_fits_and_keeps_its_promises_or_names_the_fault(case):
    check(case)


@settings(max_examples=40, **SHORT)
@given(cases("encoder"))
def test_an_encoder_fits_and_keeps_its_promises_or_names_the_fault(case):
    check(case)


@settings(max_examples=40, **SHORT)
@given(cases("regressor"))
def test_a_regressor_fits_and_keeps_its_promises_or_names_the_fault(case):
    check(case)


@settings(max_examples=8, **SHORT)
@given(
    searched(), st.sampled_from([{"lr": [1e-3, 0.1]}, {"depth": [0, 2], "weight_decay": [0, 1.0]}])
)
def test_a_stacked_search_has_the_results_of_a_plain_search(case, grid):
    arguments = case.given()
    estimator = case.estimator(arguments)
    how = {"cv": 2, "scoring": "neg_log_loss", "error_score": "raise"}
    stacked, plain = (
        kind(clone(estimator), grid, **how).fit(**arguments)
        for kind in (StackedGridSearchCV, GridSearchCV)
    )
    for name in ("mean_test_score", "split0_test_score", "split1_test_score"):
        np.testing.assert_allclose(
            stacked.cv_results_[name], plain.cv_results_[name], rtol=1e-3, err_msg=name
        )
    assert stacked.cv_results_["params"] == plain.cv_results_["params"]


@settings(max_examples=8, **SHORT)
@given(searched(), st.integers(1, 3))
def test_an_ensemble_is_the_mean_of_its_members(case, n_seeds):
    arguments = case.given()
    ensemble = SeedEnsembleClassifier(case.estimator(arguments), n_seeds, random_state=case.seed)
    X, proba = arguments["X"], ensemble.fit(**arguments).predict_proba(arguments["X"])
    assert np.isfinite(proba).all()
    members = [member.predict_proba(X) for member in ensemble.estimators_]
    np.testing.assert_allclose(proba, np.mean(members, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(ensemble.predict(X), ensemble.classes_[proba.argmax(1)])
    for member, expected in zip(ensemble.estimators_, members, strict=True):
        alone = clone(member).fit(**arguments).predict_proba(X)
        np.testing.assert_allclose(alone, expected, rtol=1e-3, atol=1e-5)


# ------------------------------------------------------------------ the check itself


def test_a_wrong_argument_that_is_taken_is_a_fault():
    with pytest.raises(FaultError, match="accepted: y"):
        check(Case(wrong="y"))  # a case that is right


def test_a_case_ends_as_fitted_or_as_refused_by_a_name():
    assert check(Case(params={"random_state": 0})) == ("fitted", None)
    assert check(Case(params={"depth": -1}, wrong="depth")) == ("refused", "depth")
    assert check(Case(rows="sparse", wrong="X")) == ("refused", "X")


@pytest.mark.long
def test_thousands_of_configurations_have_no_fault():
    endings, faults = count(5000, jobs=2)
    print_counts(endings, faults)
    assert not faults
