"""Exogenous sides and labels that cannot work are refused before anything is fitted."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_thin import ExogenousEncoder, MLPBackbone
from tests.helpers import (
    FITS_LOGISTIC_REGRESSION,
    SMALL,
    CountingEncoder,
    assert_refused,
    nothing_changes,
    small,
    small_encoder,
)

pytestmark = FITS_LOGISTIC_REGRESSION


BAD_TARGETS = {
    "missing": (None, "exogenous_target is missing: the exogenous side 'exogenous'.*Frozen"),
    "short": ("short", "exogenous_target must have one label for each of the 100 .*got 99"),
    "one class": ("constant", "exogenous_target must have at least two classes, got one"),
    "a number": ("real", "Unknown label type: continuous"),
    "two variables": (
        "two",
        r"exogenous_target must have shape \(n_samples, 1\).*got \(100, 2\).*as a list",
    ),
}


@pytest.mark.parametrize("name", BAD_TARGETS)
@pytest.mark.parametrize("kind", ["encoder", "predictor"])
def test_exogenous_labels_that_teach_nothing_are_refused_before_a_fit(kind, name, fitted, few):
    X, y, z = few
    value, match = BAD_TARGETS[name]
    targets = {"short": z[:99], "constant": z * 0, "real": X[:, 20], None: None}
    targets["two"] = np.column_stack([z, z])
    CountingEncoder.fits.clear()
    params = {"exogenous": CountingEncoder(SMALL)}
    if kind == "predictor":
        params = {"exogenous": PCA(16), "exogenous_predictor": LogisticRegression()}
    target = targets[value]
    assert_refused(small(**params), ValueError, match, X, y, exogenous_target=target)
    assert CountingEncoder.fits == []
    with nothing_changes(fitted, X):
        fitted.set_params(**params)
        with pytest.raises(ValueError, match=match):
            fitted.fit(X, y, exogenous_target=target)
        fitted.set_params(exogenous=None, exogenous_predictor=None)


BAD_SIDES = {
    "lam without a side": ({"lam": 0.1}, ValueError, "lam=0.1 .*exogenous is None.*lam=0"),
    "predictor without a side": (
        {"exogenous_predictor": LogisticRegression()},
        ValueError,
        "exogenous_predictor needs an exogenous side",
    ),
    "lam without a predictor": (
        {"exogenous": PCA(16), "lam": 0.1},
        ValueError,
        "lam=0.1 needs a predictor .*'exogenous', and PCA brings none.*exogenous_predictor",
    ),
    "probabilities without a predictor": (
        {"exogenous": PCA(16), "gate_input": "probabilities"},
        ValueError,
        "gate_input='probabilities' needs a predictor.*PCA brings none",
    ),
    "names twice": (
        {"exogenous": [("a", PCA(4)), ("a", PCA(5))]},
        ValueError,
        r"exogenous: .*not unique: \['a', 'a'\]",
    ),
    "name of a parameter": ({"exogenous": [("depth", PCA(4))]}, ValueError, "conflict.*'depth'"),
    "no names": ({"exogenous": [PCA(4)]}, (ValueError, TypeError), r"\(name, transformer\)"),
    "empty list": ({"exogenous": []}, ValueError, "exogenous"),
    "no transformer": (
        {"exogenous": [("a", LogisticRegression())]},
        TypeError,
        r"'a' must be a transformer.*got LogisticRegression\(\)",
    ),
    "a classifier": (
        {"exogenous": LogisticRegression()},
        ValueError,
        r"'exogenous' must be a transformer.*got LogisticRegression\(\), which.*_predictor",
    ),
    "a dict": ({"exogenous": {"a": PCA(4)}}, TypeError, r"got a dict.*list of \(name, transf"),
    "a module": ({"exogenous": nn.Linear(2, 3)}, TypeError, "must be a transformer.*got Linear"),
    "a class in a list": (
        {"exogenous": [("a", PCA)]},
        TypeError,
        r"'a' must be a transformer object, got the class PCA. Write PCA\(\)",
    ),
    "a class of predictors": (
        {"exogenous": PCA(4), "exogenous_predictor": LogisticRegression},
        TypeError,
        "linear scikit-learn classifier.*got the class LogisticRegression",
    ),
    "a Pipeline that is frozen but not fitted": (
        {"exogenous": [("a", FrozenEstimator(make_pipeline(PCA(4))))]},
        NotFittedError,
        "'a' is frozen but not fitted.*PCA.*without FrozenEstimator",
    ),
    "one predictor for two": (
        {
            "exogenous": [("a", PCA(4)), ("b", PCA(5))],
            "exogenous_predictor": LogisticRegression(),
        },
        ValueError,
        "must be a dict from name to predictor.*list of 2, got LogisticRegression",
    ),
    "predictor of an unknown name": (
        {"exogenous": [("a", PCA(4))], "exogenous_predictor": {"c": LogisticRegression()}},
        ValueError,
        r"exogenous_predictor names \['c'\], but exogenous has \['a'\]",
    ),
    "one column for two": (
        {"exogenous": [("a", ExogenousEncoder()), ("b", ExogenousEncoder())]},
        ValueError,
        r"shape \(n_samples, 2\), a column for each exogenous variable, got \(100,\)",
    ),
    "predictor without gradients": (
        {"exogenous": PCA(4), "exogenous_predictor": RandomForestClassifier(2)},
        TypeError,
        "linear scikit-learn classifier.*got RandomForestClassifier",
    ),
    "frozen but not fitted": (
        {"exogenous": FrozenEstimator(ExogenousEncoder())},
        NotFittedError,
        "ExogenousEncoder instance is not fitted",
    ),
}


@pytest.mark.parametrize("name", BAD_SIDES)
def test_an_exogenous_side_that_cannot_work_is_refused(name, few):
    params, error, match = BAD_SIDES[name]
    assert_refused(small(**params), error, match, *few[:2], exogenous_target=few[2])


@pytest.mark.parametrize("gate_input", ["auto", "logits"])
def test_a_predictor_must_read_h_exo(gate_input, few):
    X, y, _ = few
    clf = small(PCA(5), exogenous_predictor=nn.Linear(6, 3), gate_input=gate_input)
    assert_refused(clf, ValueError, r"predictor of 'exogenous' does not read the 5 feat", X, y)


def test_a_frozen_predictor_must_read_h_endo(encoder, fitted, few):
    X, y, _ = few
    clf = small(FrozenEstimator(encoder), lam=0.1, backbone=MLPBackbone((24,)))
    match = "h_endo has 24 features and the predictor reads .*16.*same backbone.*lam=0"
    assert_refused(clf, ValueError, match, X, y)
    with nothing_changes(fitted, X):
        fitted.set_params(exogenous=clf.exogenous, lam=0.1, backbone=MLPBackbone((24,)))
        with pytest.raises(ValueError, match=match):
            fitted.fit(X, y)
        fitted.set_params(exogenous=None, lam=0)


@pytest.mark.parametrize("listed", [False, True], ids=["one", "list"])
def test_an_encoder_of_another_width_is_refused_before_it_is_trained(listed, few):
    X, y, z = few
    CountingEncoder.fits.clear()
    encoder = CountingEncoder(MLPBackbone((24,)))
    clf = small([("a", encoder)] if listed else encoder, lam=0.1)
    match = "h_endo has 16 features and the predictor reads 24.*same backbone.*lam=0"
    assert_refused(clf, ValueError, match, X, y, exogenous_target=z)
    assert CountingEncoder.fits == []


def test_held_out_rows_that_leave_one_exogenous_class_are_refused(few):
    X, y = few[0], np.arange(100) % 2
    z = groups = np.arange(100) // 50  # whichever group is held out takes a class along
    CountingEncoder.fits.clear()
    clf = small(CountingEncoder(SMALL), early_stopping=True)
    match = "exogenous_target must have at least two classes"
    assert_refused(clf, ValueError, match, X, y, exogenous_target=z, groups=groups)
    assert CountingEncoder.fits == []


def test_an_encoder_of_another_width_may_gate_without_dispelling(few):
    X, y, z = few
    clf = small(ExogenousEncoder(MLPBackbone((24,)), max_epochs=1))
    assert clf.fit(X, y, exogenous_target=z).predict(X).shape == (100,)


def test_continuous_labels_are_refused_by_their_name(rows):
    X, y, z = rows
    with pytest.raises(ValueError, match="exogenous_target: Unknown label type"):
        small(small_encoder()).fit(X, y, exogenous_target=z + 0.5 * X[:, 20])


class Fitted(TransformerMixin, BaseEstimator):
    """Knows all it needs, and shows it by no attribute."""

    def fit(self, X, y=None):
        raise AssertionError

    def transform(self, X):
        return np.asarray(X)[:, :3]


def test_a_frozen_transformer_of_ones_own_needs_no_fitted_attributes(few):
    clf = small(FrozenEstimator(Fitted()), max_epochs=1).fit(*few[:2])
    assert clf.module_.gate.in_features == 3


def test_a_fault_of_a_transformer_stays_its_own(few):
    class Broken(Fitted):
        def transform(self, X):
            raise ValueError("no weights on this machine")

    with pytest.raises(ValueError, match="no weights on this machine") as caught:
        small(FrozenEstimator(Broken())).fit(*few[:2])
    assert "columns" not in str(caught.value)
