"""Predictors of the exogenous variable: fitted, frozen, or brought by the encoder."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from sklearn_thin.modules.heads import LogProbabilities
from tests.helpers import FITS_LOGISTIC_REGRESSION, arrays, assert_bit_equal, small, small_encoder

pytestmark = FITS_LOGISTIC_REGRESSION


def skorch_net():
    return NeuralNetClassifier(
        nn.Linear(16, 4),
        criterion=nn.CrossEntropyLoss,
        train_split=None,
        max_epochs=2,
        verbose=0,
    )


PREDICTORS = [
    LogisticRegression(),
    LinearSVC(random_state=0),
    MLPClassifier((8,), learning_rate_init=0.02, tol=1e-2, random_state=0),
    skorch_net(),
]


@pytest.mark.parametrize("predictor", PREDICTORS, ids=lambda p: type(p).__name__)
def test_a_predictor_of_h_exo_is_fitted_on_the_exogenous_labels(predictor, rows):
    X, y, z = rows
    clf = small(PCA(16, random_state=0), exogenous_predictor=predictor, lam=0.1)
    clf.fit(X, y, exogenous_target=z)
    h = torch.from_numpy(clf.exogenous_.transform(X))
    said = clf.exogenous_side_.variables[0].head(h).argmax(1).numpy()
    expected = clone(predictor).fit(h.numpy(), z).predict(h.numpy())
    if not isinstance(predictor, NeuralNetClassifier):  # which has no random_state
        np.testing.assert_array_equal(said, expected)
        assert (said == z).mean() > 0.5
    assert 0 <= clf.history_[-1]["train_dispelling"] <= 1
    assert clf.module_.gate.in_features == 4


def test_a_predictor_is_fitted_on_string_labels_too(rows):
    X, y, z = rows
    names = np.array(["low", "mid", "high", "top"])[z]
    clf = small(PCA(16, random_state=0), exogenous_predictor=LogisticRegression(), lam=0.1)
    assert clf.fit(X, y, exogenous_target=names).module_.gate.in_features == 4


def test_a_skorch_predictor_is_fitted_on_string_labels_too(rows):
    X, y, z = rows
    names = np.array(["low", "mid", "high", "top"])[z]
    clf = small(PCA(16, random_state=0), exogenous_predictor=skorch_net(), lam=0.1)
    assert clf.fit(X, y, exogenous_target=names).module_.gate.in_features == 4


@pytest.mark.parametrize("labels", [np.float32([0, 1]), np.array(["little", "much"])], ids=str)
def test_a_predictor_of_one_logit_steers_the_gate_and_dispels(labels, rows):
    X, y, z = rows
    params = {"train_split": None, "max_epochs": 50, "lr": 1.0, "verbose": 0}
    network = nn.Linear(16, 1)
    nn.init.zeros_(network.weight)  # whatever torch's generator was left at
    net = NeuralNetBinaryClassifier(network, **params)
    clf = small(PCA(16, random_state=0), exogenous_predictor=net, lam=0.1)
    clf.fit(X, y, exogenous_target=labels[z // 2])
    gate = clf.exogenous_side_.outputs(X)["gate_input"]
    assert gate.shape == (200, 2)
    assert (gate.argmax(1).numpy() == z // 2).mean() > 0.8
    assert 0 < clf.history_[-1]["train_dispelling"] <= 1


def test_a_frozen_predictor_needs_no_labels_and_stays_as_it_is(rows):
    X, y, z = rows
    pca = PCA(16, random_state=0).fit(X)
    c = LogisticRegression().fit(pca.transform(X), z)
    before = c.coef_.copy()
    params = {"exogenous_predictor": FrozenEstimator(c), "lam": 0.1}
    clf = small(FrozenEstimator(pca), **params).fit(X, y)
    np.testing.assert_array_equal(c.coef_, before)
    h = torch.from_numpy(clf.exogenous_.transform(X))
    said = clf.exogenous_side_.variables[0].head(h).softmax(1)
    np.testing.assert_allclose(said, c.predict_proba(h.numpy()), atol=1e-5)


def test_a_module_is_a_frozen_predictor(rows):
    X, y, _ = rows
    module = nn.Sequential(nn.Linear(16, 4), nn.BatchNorm1d(4))
    before = arrays(module)
    clf = small(FrozenEstimator(PCA(16).fit(X)), exogenous_predictor=module, lam=0.1)
    clf.fit(X, y)
    assert_bit_equal(arrays(module), before)
    assert module.training
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert "train_dispelling" in clf.history_[-1]


def test_a_fitted_skorch_net_is_a_frozen_predictor(rows):
    X, y, z = rows
    pca = PCA(16, random_state=0).fit(X)
    net = skorch_net().fit(pca.transform(X).astype(np.float32), z.astype(np.int64))
    clf = small(FrozenEstimator(pca), exogenous_predictor=FrozenEstimator(net), lam=0.1)
    assert clf.fit(X, y).module_.gate.in_features == 4


def test_a_given_predictor_goes_before_the_one_that_the_encoder_brings(rows, encoder):
    X, y, _ = rows
    two = nn.Linear(16, 2)
    clf = small(FrozenEstimator(encoder), exogenous_predictor=two).fit(X, y)
    assert clf.module_.gate.in_features == 2


@pytest.mark.parametrize("frozen", [False, True])
def test_a_search_brings_the_predictor_of_its_best_encoder(frozen, rows):
    X, y, z = rows
    search = GridSearchCV(small_encoder(random_state=0), {"lr": [1e-3, 1e-2]}, cv=2)
    exogenous = FrozenEstimator(search.fit(X, z)) if frozen else search
    clf = small(exogenous, lam=0.1).fit(X, y, exogenous_target=None if frozen else z)
    (variable,) = clf.exogenous_side_.variables
    assert variable.gate_input == "probabilities"
    with pytest.raises(ValueError, match="exogenous_target is missing"):
        small(search).fit(X, y)


class Told(TransformerMixin, BaseEstimator):
    """The first columns; remembers the labels, which it could do without."""

    def fit(self, X, y=None):
        self.told_ = None if y is None else np.array(y)
        return self

    def transform(self, X):
        return np.asarray(X)[:, 20:30]


class NeverFitted(Told):
    def fit(self, X, y=None):
        pytest.fail("fitted before the predictor was looked at")


@pytest.mark.parametrize(
    ("predictor", "error", "match"),
    [
        (SVC(), TypeError, "must be a linear scikit-learn classifier.*got SVC"),
        (make_pipeline(StandardScaler(), LogisticRegression()), TypeError, "got Pipeline"),
        (FrozenEstimator(MLPClassifier()), NotFittedError, "MLPClassifier instance is not fitted"),
    ],
    ids=["SVC", "pipeline", "not fitted"],
)
def test_a_predictor_that_cannot_be_c_is_refused_before_anything_is_fitted(
    predictor, error, match, rows
):
    X, y, z = rows
    with pytest.raises(error, match=match):
        small(NeverFitted(), exogenous_predictor=predictor).fit(X, y, exogenous_target=z)


def test_labels_that_are_there_are_told_to_transformers_that_could_do_without(rows):
    X, y, z = rows
    assert small(Told()).fit(X, y).exogenous_.told_ is None
    np.testing.assert_array_equal(small(Told()).fit(X, y, exogenous_target=z).exogenous_.told_, z)
    # labels of two variables that are to be erased are none of the one side's
    both = np.column_stack([z, z % 2])
    clf = small(Told(), dispelling="erasure").fit(X, y, exogenous_target=both)
    assert clf.exogenous_.told_ is None


@pytest.mark.parametrize("predictor", [nn.Identity(), nn.Softmax(1), LogProbabilities()])
def test_a_predictor_of_single_values_cannot_read_h_endo_of_another_width(predictor, rows):
    X, y, z = rows
    proba = FrozenEstimator(FunctionTransformer(small_encoder().fit(X, z).predict_proba))
    clf = small(proba, exogenous_predictor=predictor)
    assert clf.fit(X, y).module_.gate.in_features == 4
    with pytest.raises(ValueError, match=r"h_endo has \d+ features.* or set lam=0"):
        clone(clf).set_params(lam=0.1).fit(X, y)
