"""What cannot work says what was expected and what came, and changes nothing."""

import os
import pickle
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import Callback
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin._compat import import_torchvision
from sklearn_thin.datasets import ImageAugmentation

SMALL = MLPBackbone((16,))


def small(exogenous=None, **params):
    defaults = {"backbone": SMALL, "max_epochs": 2, "hidden_units": 8, "depth": 1}
    return THINClassifier(exogenous, **{**defaults, "random_state": 0, **params})


class CountingEncoder(ExogenousEncoder):
    """Counts its fits, over all copies of it."""

    fits = []

    def fit(self, X, y, **params):
        self.fits.append(len(X))
        return super().fit(X, y, **params)


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:100], digits.y[:100], digits.z[:100]


@pytest.fixture(scope="module")
def encoder(rows):
    return ExogenousEncoder(SMALL, hidden_units=8, max_epochs=1).fit(rows[0], rows[2])


@pytest.fixture
def fitted(rows):
    return small().fit(*rows[:2])


def fitted_attributes(clf):
    return {name: value for name, value in vars(clf).items() if name.endswith("_")}


@contextmanager
def nothing_changes(clf, X):
    """A fitted estimator is the same after the block, to the last weight."""
    before, proba = fitted_attributes(clf), clf.predict_proba(X)
    history, weights = list(clf.history_), clf.module_.state_dict()
    weights = {name: tensor.clone() for name, tensor in weights.items()}
    yield
    after = fitted_attributes(clf)
    assert after.keys() == before.keys()
    assert all(after[name] is value for name, value in before.items())
    assert list(clf.history_) == history
    assert all(torch.equal(t, weights[name]) for name, t in clf.module_.state_dict().items())
    np.testing.assert_array_equal(clf.predict_proba(X), proba)


def assert_refused(clf, error, match, X, *args, **params):
    """Fit raises; what was unfitted stays so."""
    with pytest.raises(error, match=match):
        clf.fit(X, *args, **params)
    assert not fitted_attributes(clf)
    with pytest.raises(NotFittedError):
        clf.predict(X)


# ------------------------------------------------------------------------- data


def with_value(X, value):
    X = X.copy()
    X[3, 5] = value
    return X


BAD_DATA = {
    "NaN": (lambda X, y: (with_value(X, np.nan), y), ValueError, "X contains NaN"),
    "infinity": (lambda X, y: (with_value(X, np.inf), y), ValueError, "X contains infinity"),
    "sparse": (lambda X, y: (csr_array(X), y), TypeError, "[Ss]parse data was passed"),
    "empty": (lambda X, y: (X[:0], y[:0]), ValueError, r"0 sample\(s\)"),
    "no columns": (lambda X, y: (X[:, :0], y), ValueError, r"0 feature\(s\)"),
    "one row": (lambda X, y: (X[:1], y[:1]), ValueError, r"1 sample.* minimum of 2"),
    "one dimension": (lambda X, y: (X[:, 0], y), ValueError, "Expected 2D array, got 1D"),
    "five dimensions": (
        lambda X, y: (X.reshape(100, 2, 2, 4, 4), y),
        ValueError,
        r"must have shape .*got \(100, 2, 2, 4, 4\)",
    ),
    "strings": (lambda X, y: (np.full(X.shape, "a"), y), ValueError, "could not convert string"),
    "one class": (lambda X, y: (X, y * 0), ValueError, r"at least two classes, got one.*\[0\]"),
    "a number to predict": (lambda X, y: (X, X[:, 20]), ValueError, "Unknown label type"),
    "NaN label": (lambda X, y: (X, np.where(y == 1, np.nan, y)), ValueError, "y .* are missing"),
    "no label": (
        lambda X, y: (X, np.where(y == 1, None, y.astype(str))),
        ValueError,
        "y must have a label for each row, but .* are missing",
    ),
    "infinite label": (lambda X, y: (X, np.where(y == 1, np.inf, y)), ValueError, "infinity"),
    "no labels": (lambda X, y: (X, None), ValueError, "requires y to be passed"),
    "short labels": (lambda X, y: (X, y[:99]), ValueError, "each of the 100 rows of X, got 99"),
    "long labels": (lambda X, y: (X[:99], y), ValueError, "each of the 99 rows of X, got 100"),
    "2-D labels": (lambda X, y: (X, np.column_stack([y, y])), ValueError, r"\(100, 2\)"),
}


@pytest.mark.parametrize("kind", [small, lambda: ExogenousEncoder(SMALL, max_epochs=1)])
@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_cannot_be_learnt_from_is_refused(name, kind, rows):
    change, error, match = BAD_DATA[name]
    assert_refused(kind(), error, match, *change(*rows[:2]))


@pytest.mark.parametrize("name", BAD_DATA)
def test_refused_data_leaves_a_fitted_classifier_as_it_was(name, fitted, rows):
    change, error, match = BAD_DATA[name]
    with nothing_changes(fitted, rows[0]), pytest.raises(error, match=match):
        fitted.fit(*change(*rows[:2]))


BAD_WEIGHTS = {
    "all zero": (np.zeros(100), "at least one non-zero"),
    "negative": (np.linspace(-1, 1, 100), "[Nn]egative"),
    "wrong length": (np.ones(99), r"\(99,\), expected \(100,\)"),
    "NaN": (np.full(100, np.nan), "sample_weight contains NaN"),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_weights_that_mean_nothing_are_refused(name, fitted, rows):
    weight, match = BAD_WEIGHTS[name]
    assert_refused(small(), ValueError, match, *rows[:2], sample_weight=weight)
    with nothing_changes(fitted, rows[0]), pytest.raises(ValueError, match=match):
        fitted.fit(*rows[:2], sample_weight=weight)


def test_weights_that_leave_a_single_row_are_refused(rows):
    weight = (np.arange(100) == 3).astype(float)
    assert_refused(small(), ValueError, r"\b(1|one)\b", *rows[:2], sample_weight=weight)


def test_class_weights_that_leave_no_row_are_refused(rows):
    X, y, _ = rows
    clf = small(class_weight=dict.fromkeys(range(10), 0))
    assert_refused(clf, ValueError, "class_weight=.* leaves no row", X, y)


def test_groups_of_the_wrong_length_are_refused(rows):
    clf = small(early_stopping=True)
    assert_refused(clf, ValueError, r"100, 99", *rows[:2], groups=np.arange(99))


# StratifiedGroupKFold counts the groups of a class where there are fewer than folds
@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
@pytest.mark.parametrize("n_groups", [2, 3, 5])
def test_few_groups_are_held_out_whole_all_the_same(n_groups, rows):
    X, y = rows[0], rows[1] % 2
    clf = small(early_stopping=True).fit(X, y, groups=np.arange(100) % n_groups)
    assert np.isfinite(clf.history_[-1]["valid_loss"])


def test_a_single_group_cannot_be_held_out(rows):
    clf = small(early_stopping=True)
    assert_refused(clf, ValueError, "group", rows[0], rows[1] % 2, groups=np.zeros(100))


@pytest.mark.parametrize("early_stopping", [100, 1000, 3, 0.999])
def test_rows_that_cannot_be_held_out_are_refused(early_stopping, rows):
    clf = small(early_stopping=early_stopping)
    assert_refused(clf, ValueError, f"early_stopping={early_stopping}.*cannot", *rows[:2])


HELD_OUT = {
    "no y_val": ({"X_val": "X"}, "X_val and y_val must be passed together"),
    "no X_val": ({"y_val": "y"}, "X_val and y_val must be passed together"),
    "unknown class": ({"X_val": "X", "y_val": "other"}, r"not known: \[77\].*known are \[0, 1"),
    "other length": ({"X_val": "X", "y_val": "short"}, "each of the 100 rows of X, got 99"),
    "other columns": ({"X_val": "narrow", "y_val": "y"}, "63 features.*expecting 64"),
}


@pytest.mark.parametrize("name", HELD_OUT)
def test_rows_to_stop_on_must_fit_those_to_learn_from(name, fitted, rows):
    X, y, _ = rows
    values = {"X": X, "y": y, "other": np.where(y == 3, 77, y), "short": y[:99]}
    values["narrow"] = X[:, 1:]
    given, match = HELD_OUT[name]
    params = {key: values[value] for key, value in given.items()}
    assert_refused(small(early_stopping=True), ValueError, match, X, y, **params)
    with nothing_changes(fitted, X), pytest.raises(ValueError, match=match):
        fitted.fit(X, y, **params)


def test_partial_fit_refuses_a_class_that_was_not_announced(rows):
    X, y, _ = rows
    clf = small().partial_fit(X, y, classes=np.arange(10))
    with nothing_changes(clf, X), pytest.raises(ValueError, match=r"not known: \[77\]"):
        clf.partial_fit(X, np.where(y == 3, 77, y))
    with pytest.raises(ValueError, match=r"not known: \[9\]"):
        small().partial_fit(X, y, classes=np.arange(9))


def test_partial_fit_refuses_other_classes_than_in_the_first_call(rows):
    X, y, _ = rows
    clf = small().partial_fit(X, y, classes=np.arange(10))
    match = r"classes=\[0, 1\] is not the same as on last call to partial_fit, was: \[0, 1, 2"
    with nothing_changes(clf, X), pytest.raises(ValueError, match=match):
        clf.partial_fit(X, y, classes=[0, 1])
    assert clf.partial_fit(X, y, classes=np.arange(10)[::-1]).n_iter_ == 2


def test_partial_fit_on_a_single_row_needs_a_network_without_batch_normalisation(rows):
    X, y, _ = rows
    clf = small().partial_fit(X, y)
    with nothing_changes(clf, X), pytest.raises(ValueError, match=r"at least 2 rows .*, got 1 "):
        clf.partial_fit(X[:1], y[:1])
    plain = small(backbone=nn.Linear(64, 16), hidden_units=0).partial_fit(X, y)
    assert plain.partial_fit(X[:1], y[:1]).n_iter_ == 2


def test_a_warm_start_refuses_other_classes_and_columns(rows):
    X, y, _ = rows
    clf = small(warm_start=True).fit(X, y)
    with nothing_changes(clf, X), pytest.raises(ValueError, match="not known"):
        clf.fit(X, y + 1)
    with nothing_changes(clf, X), pytest.raises(ValueError, match=r"63 features.*expecting 64"):
        clf.fit(X[:, 1:], y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth", 2),
        ("n_experts", 3),
        ("hidden_units", 16),
        ("exogenous", PCA(4)),
        ("endogenous", StandardScaler()),
        ("backbone", MLPBackbone((8,))),
        ("gate_input", "representation"),
    ],
)
def test_a_fit_that_goes_on_refuses_another_architecture(name, value, rows):
    X, y, _ = rows
    clf = small(warm_start=True).fit(X, y)
    with nothing_changes(clf, X):
        clf.set_params(**{name: value})
        for go_on in (clf.fit, clf.partial_fit):
            with pytest.raises(ValueError, match=f"{name} was .* when the network was built"):
                go_on(X, y)
    clf.set_params(warm_start=False).fit(X, y)
    assert clf.n_iter_ == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backbone__hidden_layer_sizes", (8,)),
        ("exogenous__estimator", PCA(4, random_state=0)),
        ("endogenous__scale__with_mean", False),
    ],
)
def test_a_fit_that_goes_on_refuses_what_changed_inside_a_parameter(name, value, rows):
    X, y, _ = rows
    clf = small(
        FrozenEstimator(PCA(4, random_state=0).fit(X)),
        endogenous=Pipeline([("scale", StandardScaler())]),
        backbone=MLPBackbone((16,)),
        warm_start=True,
    ).fit(X, y)
    before = clf.get_params()[name]
    if isinstance(value, PCA):
        value.fit(X[:50])  # another one that is set alike
    with nothing_changes(clf, X):
        clf.set_params(**{name: value})
        parameter = name.partition("__")[0]
        with pytest.raises(ValueError, match=f"{parameter} was .* when the network was built"):
            clf.fit(X, y)
        clf.set_params(**{name: before})
    assert clf.fit(X, y).n_iter_ == 4


def test_a_fit_that_goes_on_takes_parameters_that_say_the_same(rows):
    X, y, _ = rows
    encoder = FrozenEstimator(PCA(4).fit(X))

    def alike():
        bins = OneHotEncoder(categories=[np.array([0.0, 1.0])], handle_unknown="ignore")
        ink = ColumnTransformer([("bins", bins, [0]), ("filled", SimpleImputer(), slice(1, 4))])
        return {
            "exogenous": [("frozen", FrozenEstimator(encoder.estimator)), ("ink", ink)],
            "endogenous": Pipeline([("fill", SimpleImputer()), ("scale", StandardScaler())]),
            "backbone": MLPBackbone([16]),
        }

    clf = small(warm_start=True, **alike()).fit(X, y)
    assert clf.set_params(**alike()).fit(X, y).n_iter_ == 4
    arrived = pickle.loads(pickle.dumps(clf))
    assert arrived.fit(X, y).n_iter_ == 6


def test_an_optimizer_may_change_in_a_fit_that_goes_on(rows):
    X, y, _ = rows
    clf = small(warm_start=True).fit(X, y)
    clf.set_params(optimizer="sgd", weight_decay=0.1).fit(X, y)
    (group,) = clf.net_.optimizer_.param_groups
    assert isinstance(clf.net_.optimizer_, torch.optim.SGD)
    assert group["weight_decay"] == 0.1


# ------------------------------------------------------------------- prediction

METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "gate_proba",
    "apply",
    "decision_path",
    "expert_proba",
]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_predicted_before_fit(method, rows):
    with pytest.raises(NotFittedError, match="THINClassifier instance is not fitted yet"):
        getattr(small(), method)(rows[0])


@pytest.mark.parametrize("attribute", ["module_", "history_", "n_iter_", "exogenous_"])
def test_an_attribute_that_comes_with_fit_is_not_there_before(attribute):
    assert not hasattr(small(), attribute)
    assert not hasattr(small(ExogenousEncoder()), attribute)


@pytest.mark.parametrize("method", METHODS)
def test_other_columns_than_in_fit_are_refused(method, fitted, rows):
    with pytest.raises(ValueError, match=r"X has 63 features.*expecting 64 features"):
        getattr(fitted, method)(rows[0][:, 1:])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_prediction_refuses_what_is_not_finite(value, fitted, rows):
    with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
        fitted.predict(with_value(rows[0], value))


def test_prediction_refuses_no_rows(fitted, rows):
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        fitted.predict(rows[0][:0])


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((7, 8), r"shape \(7, 8\).*fitted on samples of shape \(8, 8\)"),
        ((1, 8, 8), r"shape \(1, 8, 8\).*fitted on samples of shape \(8, 8\)"),
        ((64,), r"flattened .*shape \(64,\).*fitted on images of shape \(8, 8\)"),
    ],
)
def test_images_of_another_shape_than_in_fit_are_refused(shape, match, digits):
    clf = small(backbone="auto", max_epochs=1).fit(digits.images[:60], digits.y[:60])
    with pytest.raises(ValueError, match=match):
        clf.predict(np.zeros((3, *shape), np.float32))


def test_images_are_refused_after_a_fit_on_rows(fitted, digits):
    with pytest.raises(ValueError, match=r"shape \(8, 8\).*fitted on samples of shape \(64,\)"):
        fitted.predict(digits.images)


# ------------------------------------------------------------------ parameters

BAD_PARAMS = [
    ("depth", -1, r"\[0, 12\]. Got -1"),
    ("depth", 13, r"\[0, 12\]. Got 13"),
    ("depth", 2.5, r"int in the range \[0, 12\]. Got 2.5"),
    ("depth", "3", r"int in the range \[0, 12\]. Got '3'"),
    ("n_experts", 0, r"\[1, inf\).* Got 0"),
    ("n_experts", 2.0, r"int in the range.* Got 2.0"),
    ("lam", -0.1, r"\[0.*inf\).* Got -0.1"),
    ("lam", "0.1", r"float in the range.* Got '0.1'"),
    ("lam", np.nan, r"\[0.*inf\).* Got nan"),
    ("lr", 0, r"\(0.*inf\).* Got 0"),
    ("lr", -1e-3, r"\(0.*inf\).* Got -0.001"),
    ("batch_size", 1, r"\[2, inf\).* Got 1"),
    ("batch_size", 32.0, r"int in the range.* Got 32.0"),
    ("max_epochs", 0, r"\[1, inf\).* Got 0"),
    ("hidden_units", -1, r"\[0, inf\).* Got -1"),
    ("weight_decay", -1, r"\[0.*inf\).* Got -1"),
    ("early_stopping", 1, r"\[2, inf\).* Got 1"),
    ("early_stopping", 1.5, r"\(0.0, 1.0\).* Got 1.5"),
    ("n_iter_no_change", 0, r"\[1, inf\).* Got 0"),
    ("gate_input", "logit", r"'logits'.* Got 'logit'"),
    ("dispelling", "cos", r"'cosine'.* Got 'cos'"),
    ("optimizer", "rmsprop", r"'adam'.* Got 'rmsprop'"),
    ("lr_schedule", "linear", r"'cosine'.* Got 'linear'"),
    ("class_weight", "even", r"'balanced'.* Got 'even'"),
    ("exogenous", "encoder", r"'fit' and 'transform'.* Got 'encoder'"),
    ("exogenous", LogisticRegression(), r"'fit' and 'transform'.* Got LogisticRegression\(\)"),
    ("endogenous", 3, r"'fit' and 'transform'.* Got 3"),
    ("backbone", 3, r"'build'.* callable. Got 3"),
    ("augment", "flip", r"callable.* Got 'flip'"),
    ("random_state", "zero", r"int in the range.* Got 'zero'"),
]


@pytest.mark.parametrize(("name", "value", "match"), BAD_PARAMS)
def test_parameters_out_of_range_or_of_the_wrong_type_are_refused(name, value, match, fitted, rows):
    message = f"'{name}' parameter of THINClassifier must be .*{match}"
    assert_refused(small(**{name: value}), ValueError, message, *rows[:2])
    fitted.set_params(**{name: value})
    with pytest.raises(ValueError, match=message):
        fitted.fit(*rows[:2])
    assert fitted.n_iter_ == 2


@pytest.mark.parametrize(
    ("device", "match"),
    [
        pytest.param(
            "cuda",
            "device='cuda' is not available.*'auto', 'cpu'",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        ("cuda:99", "device='cuda:99' is not available.*'auto', 'cpu'"),
        ("nonsense", "device='nonsense' is not available.*'auto', 'cpu'"),
    ],
)
@pytest.mark.parametrize("kind", [small, ExogenousEncoder])
def test_a_device_that_is_not_there_is_refused(device, match, kind, rows):
    assert_refused(kind(device=device), ValueError, match, *rows[:2])


def test_a_device_that_is_not_there_is_refused_before_an_encoder_is_trained(rows):
    X, y, z = rows
    CountingEncoder.fits.clear()
    clf = small(CountingEncoder(SMALL), device="nonsense")
    assert_refused(clf, ValueError, "not available", X, y, exogenous_target=z)
    assert CountingEncoder.fits == []


@pytest.mark.parametrize("name", ["resnet81", "rasnet18"])
def test_an_unknown_backbone_gets_a_hint(name, digits):
    try:
        import_torchvision()
    except ImportError:
        pytest.skip("needs torchvision")
    match = rf"backbone='{name}' is not known. Did you mean '.*resnet18'"
    assert_refused(small(backbone=name), ValueError, match, digits.images[:50], digits.y[:50])


BAD_BACKBONES = [
    (ConvNetBackbone(), ValueError, r"ConvNetBackbone needs images.*image_shape="),
    (ConvNetBackbone(image_shape=(9, 9)), ValueError, r"image_shape=\(9, 9\).* 81 .*64"),
    (ConvNetBackbone((4,) * 4, image_shape=(8, 8)), ValueError, "at least 16 pixels"),
    (ConvNetBackbone((), image_shape=(8, 8)), ValueError, "channels .*positive ints, got"),
    (MLPBackbone((8, 0)), ValueError, r"hidden_layer_sizes .*positive ints, got \(8, 0\)"),
    (nn.Linear(63, 8), ValueError, r"does not take inputs of shape \(64,\)"),
    (lambda shape: "no module", TypeError, "must give a torch.nn.Module.* got str"),
]


@pytest.mark.parametrize(("backbone", "error", "match"), BAD_BACKBONES)
def test_a_backbone_that_does_not_fit_the_data_is_refused(backbone, error, match, rows):
    assert_refused(small(backbone=backbone), error, match, *rows[:2])


def test_augment_is_refused_where_the_sides_see_different_rows(digits):
    clf = small(augment=abs, endogenous=StandardScaler())
    assert_refused(clf, ValueError, "augment .*endogenous=StandardScaler", digits.X, digits.y)


def test_augment_is_refused_on_tables(rows):
    clf = small(augment=abs)
    assert_refused(clf, ValueError, r"augment takes images.*shape \(64,\).*image_shape", *rows[:2])


def test_augment_is_refused_on_tables_before_an_encoder_is_trained(rows):
    X, y, z = rows
    CountingEncoder.fits.clear()
    clf = small(CountingEncoder(SMALL, max_epochs=1), augment=abs)
    assert_refused(clf, ValueError, "augment takes images", X, y, exogenous_target=z)
    assert CountingEncoder.fits == []


@pytest.mark.parametrize("params", [{"rotation": 500}, {"scale": (1.0, 0.5)}])
def test_an_augmentation_out_of_range_is_refused_before_an_encoder_is_trained(params, digits):
    X, y, z = digits.images[:100], digits.y[:100], digits.z[:100]
    CountingEncoder.fits.clear()
    augment = ImageAugmentation(**params)
    backbone = ConvNetBackbone(channels=(4,))
    clf = small(CountingEncoder(backbone), augment=augment, backbone=backbone)
    with pytest.raises(ValueError, match=next(iter(params))):
        clf.fit(X, y, exogenous_target=z)
    assert CountingEncoder.fits == []


# ------------------------------------------------------------- the exogenous side

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
def test_exogenous_labels_that_teach_nothing_are_refused_before_a_fit(kind, name, fitted, rows):
    X, y, z = rows
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
        r"not unique: \['a', 'a'\]",
    ),
    "name of a parameter": ({"exogenous": [("depth", PCA(4))]}, ValueError, "conflict.*'depth'"),
    "no names": ({"exogenous": [PCA(4)]}, (ValueError, TypeError), r"\(name, transformer\)"),
    "empty list": ({"exogenous": []}, ValueError, "exogenous"),
    "no transformer": (
        {"exogenous": [("a", LogisticRegression())]},
        TypeError,
        r"'a' must be a transformer.*got LogisticRegression\(\)",
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
def test_an_exogenous_side_that_cannot_work_is_refused(name, rows):
    params, error, match = BAD_SIDES[name]
    assert_refused(small(**params), error, match, *rows[:2], exogenous_target=rows[2])


@pytest.mark.parametrize("gate_input", ["auto", "logits"])
def test_a_predictor_must_read_h_exo(gate_input, rows):
    X, y, _ = rows
    clf = small(PCA(5), exogenous_predictor=nn.Linear(6, 3), gate_input=gate_input)
    assert_refused(clf, ValueError, r"predictor of 'exogenous' does not read the 5 feat", X, y)


def test_a_frozen_predictor_must_read_h_endo(encoder, fitted, rows):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), lam=0.1, backbone=MLPBackbone((24,)))
    match = "h_endo has 24 features and the predictor reads .*16.*same backbone.*lam=0"
    assert_refused(clf, ValueError, match, X, y)
    with nothing_changes(fitted, X):
        fitted.set_params(exogenous=clf.exogenous, lam=0.1, backbone=MLPBackbone((24,)))
        with pytest.raises(ValueError, match=match):
            fitted.fit(X, y)
        fitted.set_params(exogenous=None, lam=0)


@pytest.mark.parametrize("listed", [False, True], ids=["one", "list"])
def test_an_encoder_of_another_width_is_refused_before_it_is_trained(listed, rows):
    X, y, z = rows
    CountingEncoder.fits.clear()
    encoder = CountingEncoder(MLPBackbone((24,)))
    clf = small([("a", encoder)] if listed else encoder, lam=0.1)
    match = "h_endo has 16 features and the predictor reads 24.*same backbone.*lam=0"
    assert_refused(clf, ValueError, match, X, y, exogenous_target=z)
    assert CountingEncoder.fits == []


def test_held_out_rows_that_leave_one_exogenous_class_are_refused(rows):
    X, y = rows[0], np.arange(100) % 2
    z = groups = np.arange(100) // 50  # whichever group is held out takes a class along
    CountingEncoder.fits.clear()
    clf = small(CountingEncoder(SMALL), early_stopping=True)
    match = "exogenous_target must have at least two classes"
    assert_refused(clf, ValueError, match, X, y, exogenous_target=z, groups=groups)
    assert CountingEncoder.fits == []


def test_an_encoder_of_another_width_may_gate_without_dispelling(rows):
    X, y, z = rows
    clf = small(ExogenousEncoder(MLPBackbone((24,)), max_epochs=1))
    assert clf.fit(X, y, exogenous_target=z).predict(X).shape == (100,)


# ------------------------------------------------------------------ divergence


class Spoil(Callback):
    """Fills a weight with NaN before the epoch of this number."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            nn.init.constant_(net.module_.experts.weight, torch.nan)


@pytest.mark.parametrize("kind", [small, lambda **params: ExogenousEncoder(SMALL, **params)])
def test_a_loss_that_diverges_at_once_leaves_nothing_fitted(kind, rows):
    clf = kind(lr=1e30)
    match = r"loss became .*epoch 1;.*lower lr \(got 1e\+30\)"
    assert_refused(clf, FloatingPointError, match, *rows[:2])


def test_a_fit_that_diverges_at_once_leaves_a_fitted_classifier_as_it_was(fitted, rows):
    with nothing_changes(fitted, rows[0]):
        fitted.set_params(lr=1e30)
        with pytest.raises(FloatingPointError):
            fitted.fit(rows[0][:50], rows[1][:50] % 3)


def test_the_last_good_weights_are_kept_where_the_loss_diverges_later(rows):
    X, y, _ = rows
    params = {"lr_schedule": "constant", "callbacks": [Spoil(3)]}
    good = small(max_epochs=2, **params).fit(X, y)
    clf = small(max_epochs=5, **params)
    with pytest.raises(FloatingPointError, match="became nan at epoch 3; the weights of the"):
        clf.fit(X, y)
    assert clf.n_iter_ == len(clf.history_) == 2
    np.testing.assert_allclose(clf.predict_proba(X), good.predict_proba(X), atol=1e-6)


class Explode(Callback):
    """Makes a weight so large, after the training part of this epoch, that logits overflow."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if not training and len(net.history) == self.epoch:
            nn.init.constant_(net.module_.experts.bias, torch.inf)


def test_a_held_out_loss_that_is_not_finite_stops_the_fit(rows):
    X, y, _ = rows
    clf = small(max_epochs=5, batch_size=4, callbacks=[Explode(2)])
    with pytest.raises(FloatingPointError, match=r"valid_loss became .* at epoch 2"):
        clf.fit(X, y, X_val=X, y_val=y)
    assert clf.n_iter_ == 1
    assert np.isfinite(clf.predict_proba(X)).all()


def test_a_warm_start_that_diverges_at_once_keeps_the_weights_of_before(rows):
    X, y, _ = rows
    clf = small(warm_start=True, lr_schedule="constant").fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(callbacks=[Spoil(3)])
    with pytest.raises(FloatingPointError, match="epoch 3"):
        clf.fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert clf.n_iter_ == 2
    clf.set_params(callbacks=None).fit(X, y)
    assert clf.n_iter_ == 4
    assert np.isfinite(clf.predict_proba(X)).all()


def test_partial_fit_that_diverges_keeps_the_weights_of_before(rows):
    X, y, _ = rows
    clf = small().partial_fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(lr=1e30)
    with pytest.raises(FloatingPointError):
        clf.partial_fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    clf.set_params(lr=1e-3).partial_fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_an_encoder_that_diverges_inside_leaves_a_fitted_classifier_as_it_was(fitted, rows):
    X, y, z = rows
    with nothing_changes(fitted, X):
        fitted.set_params(exogenous=ExogenousEncoder(SMALL, lr=1e30))
        with pytest.raises(FloatingPointError):
            fitted.fit(X, y % 3, exogenous_target=z)
        fitted.set_params(exogenous=None)


# --------------------------------------------------------------------- breaking off


class Raise(Callback):
    """Raises in the first batch of the epoch of this number."""

    def __init__(self, error, epoch):
        self.error, self.epoch = error, epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


@pytest.mark.parametrize("kind", [small, lambda **params: ExogenousEncoder(SMALL, **params)])
def test_ctrl_c_leaves_nothing_half_fitted(kind, rows):
    clf = kind(callbacks=[Raise(KeyboardInterrupt, 2)])
    assert_refused(clf, KeyboardInterrupt, None, *rows[:2])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_fit_that_is_broken_off_leaves_a_fitted_classifier_as_it_was(error, fitted, rows):
    with nothing_changes(fitted, rows[0]):
        fitted.set_params(callbacks=[Raise(error, 2)])
        with pytest.raises(error):
            fitted.fit(rows[0], rows[1] % 3)


def test_ctrl_c_keeps_the_progress_of_a_warm_start(rows):
    X, y, _ = rows
    clf = small(warm_start=True, max_epochs=5, callbacks=[Raise(KeyboardInterrupt, 3)])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert clf.n_iter_ == 2
    assert np.isfinite(clf.predict_proba(X)).all()
    last = clf.history_[-1]["train_loss"]
    clf.set_params(callbacks=None).fit(X, y)
    assert clf.n_iter_ == 7
    assert clf.history_[-1]["train_loss"] < last


def test_a_callback_that_fails_in_a_warm_start_leaves_the_weights_of_before(rows):
    X, y, _ = rows
    clf = small(warm_start=True, lr_schedule="constant").fit(X, y)
    clf.set_params(callbacks=[Raise(RuntimeError, 4)])
    with nothing_changes(clf, X), pytest.raises(RuntimeError):
        clf.fit(X, y)


def test_a_real_ctrl_c_ends_the_fit():
    script = (
        "import numpy as np, signal\n"
        "from skorch.callbacks import Callback\n"
        "from sklearn_thin import THINClassifier\n"
        "class Press(Callback):\n"
        "    def on_batch_end(self, net, **kwargs):\n"
        "        if len(net.history) == 2:\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        # which a shell ignores in what it starts in the background
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "X = np.random.RandomState(0).rand(40, 3)\n"
        "clf = THINClassifier(max_epochs=10**6, callbacks=[Press()])\n"
        "try:\n"
        "    clf.fit(X, X[:, 0] > 0.5)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', hasattr(clf, 'classes_'))\n"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=100
    )
    assert done.stdout.split() == ["interrupted", "False"], done.stderr


def test_what_is_no_callback_is_refused(rows):
    with pytest.raises(TypeError, match=r"[Cc]allback"):
        small(callbacks=[3]).fit(*rows[:2])
