"""Fitted predictors of the exogenous variable become frozen torch heads that say the same."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from sklearn.svm import SVC, LinearSVC
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from sklearn_thin.exogenous.heads import frozen_head
from sklearn_thin.modules import MLP


def iris(n_classes):
    X, y = load_iris(return_X_y=True)
    X = scale(X).astype(np.float32)
    few = y < n_classes if n_classes == 3 else y > 0  # the two that overlap
    return X[few], y[few]


def logits(predictor, X):
    """Logits of the head on X, checked to be frozen."""
    head = frozen_head(predictor)
    assert not any(part.training for part in head.modules())
    assert not any(p.requires_grad for p in head.parameters())
    return head(torch.tensor(X))


def assert_same_probabilities(predictor, X):
    z = logits(predictor, X)
    assert z.shape == (len(X), len(predictor.classes_))
    np.testing.assert_allclose(z.softmax(1), predictor.predict_proba(X), atol=1e-5)


def assert_same_decisions(predictor, X):
    z = logits(predictor, X)
    assert z.shape == (len(X), len(predictor.classes_))
    np.testing.assert_array_equal(predictor.classes_[z.argmax(1)], predictor.predict(X))


two_and_three = pytest.mark.parametrize("n_classes", [2, 3], ids=["binary", "multiclass"])


@two_and_three
@pytest.mark.parametrize(
    "predictor",
    [
        LogisticRegression(),
        LogisticRegression(fit_intercept=False),
        LinearDiscriminantAnalysis(),
        LinearDiscriminantAnalysis(solver="lsqr"),
    ],
    ids=repr,
)
def test_a_linear_probabilistic_classifier_keeps_its_probabilities(predictor, n_classes):
    X, y = iris(n_classes)
    assert_same_probabilities(predictor.fit(X, y), X)


@two_and_three
@pytest.mark.parametrize(
    "predictor",
    [
        LinearSVC(random_state=0),
        LinearSVC(fit_intercept=False, random_state=0),
        RidgeClassifier(),
        SGDClassifier(random_state=0),
        SGDClassifier(loss="log_loss", fit_intercept=False, random_state=0),
    ],
    ids=repr,
)
def test_a_linear_one_versus_rest_classifier_keeps_its_decisions(predictor, n_classes):
    X, y = iris(n_classes)
    assert_same_decisions(predictor.fit(X, y), X)


def test_binary_logits_are_minus_and_plus_half_the_decision_value():
    X, y = iris(2)
    svc = LinearSVC(random_state=0).fit(X, y)
    z = logits(svc, X)
    np.testing.assert_allclose(z[:, 1] - z[:, 0], svc.decision_function(X), atol=1e-5)
    torch.testing.assert_close(z[:, 0], -z[:, 1])


@two_and_three
@pytest.mark.parametrize("activation", ["identity", "logistic", "relu", "tanh"])
@pytest.mark.parametrize("hidden_layer_sizes", [(), (1,), (5,), (6, 1), (6, 4)], ids=repr)
# 20 steps do not converge, and need not: any weights serve
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_multilayer_perceptron_keeps_its_probabilities(activation, hidden_layer_sizes, n_classes):
    X, y = iris(n_classes)
    mlp = MLPClassifier(hidden_layer_sizes, activation=activation, max_iter=20, random_state=0)
    assert_same_probabilities(mlp.fit(X, y), X)


def test_labels_of_any_type_are_read():
    X, y = iris(3)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    assert_same_probabilities(LogisticRegression().fit(X, names), X)


def test_a_skorch_net_is_copied_with_its_weights():
    X, y = iris(3)
    net = NeuralNetClassifier(
        nn.Sequential(MLP(4, (8,)), nn.Linear(8, 3)),
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        train_split=None,
        verbose=0,
    ).fit(X, y.astype(np.int64))
    assert_same_probabilities(net, X)
    assert all(p.requires_grad for p in net.module_.parameters())
    ours = {id(p) for p in frozen_head(net).parameters()}
    assert ours.isdisjoint(id(p) for p in net.module_.parameters())


def test_a_skorch_net_that_gives_probabilities_is_read_as_its_logits():
    X, y = iris(3)
    network = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
    params = {"max_epochs": 2, "train_split": None, "verbose": 0}
    net = NeuralNetClassifier(network, **params).fit(X, y.astype(np.int64))
    assert_same_probabilities(net, X)


BINARY_NETS = {
    "column": (nn.Linear(4, 1), nn.BCEWithLogitsLoss),
    "flat": (nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)), nn.BCEWithLogitsLoss),
    "probability": (nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), nn.BCELoss),
}


@pytest.mark.parametrize("name", BINARY_NETS)
def test_a_binary_skorch_net_keeps_its_probabilities(name):
    X, y = iris(2)
    network, criterion = BINARY_NETS[name]
    params = {"criterion": criterion, "max_epochs": 5, "train_split": None, "verbose": 0}
    net = NeuralNetBinaryClassifier(network, **params).fit(X, (y > 1).astype(np.float32))
    assert_same_probabilities(net, X)
    assert_same_probabilities(net, X[:1])


def test_a_network_of_one_output_is_that_of_two_classes():
    X, _ = iris(2)
    network = nn.Linear(4, 1)
    z = logits(network, X)
    s = network(torch.tensor(X)).detach()
    torch.testing.assert_close(z.softmax(1)[:, 1:], s.sigmoid())


@pytest.mark.parametrize("shape", [(3, 1), (2, 3)], ids=repr)
def test_outputs_that_are_no_row_of_logits_are_refused(shape):
    X, _ = iris(2)
    network = nn.Sequential(nn.Linear(4, int(np.prod(shape))), nn.Unflatten(1, shape))
    match = r"must give logits of shape \(n_samples, n_classes\).*Sequential gave \(100, .*flatten"
    with pytest.raises(ValueError, match=match):
        logits(network, X)


def test_sparse_coefficients_are_read():
    X, y = iris(3)
    predictor = LogisticRegression().fit(X, y)
    dense = logits(predictor, X)
    torch.testing.assert_close(logits(predictor.sparsify(), X), dense)


def test_a_predictor_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError, match="LogisticRegression instance is not fitted"):
        frozen_head(LogisticRegression())


def test_a_module_is_copied_frozen_and_itself_left_trainable():
    X, _ = iris(3)
    module = nn.Sequential(MLP(4, (8,)), nn.Linear(8, 3)).train()
    z = logits(module, X)
    assert module.training
    assert all(p.requires_grad for p in module.parameters())
    nn.init.zeros_(module[1].weight)
    torch.testing.assert_close(logits(module, X[:2]).std(0), torch.zeros(3))
    assert z.std() > 0


def test_gradients_pass_through_a_head_to_what_it_reads():
    X, y = iris(3)
    h = torch.tensor(X, requires_grad=True)
    frozen_head(LogisticRegression().fit(X, y))(h).square().sum().backward()
    assert h.grad.any()


def test_a_frozen_estimator_is_looked_into():
    X, y = iris(3)
    predictor = LogisticRegression().fit(X, y)
    torch.testing.assert_close(logits(FrozenEstimator(predictor), X), logits(predictor, X))


@pytest.mark.parametrize("wrap", [FrozenEstimator, lambda forest: forest])
def test_a_classifier_without_gradients_is_refused_by_name(wrap):
    X, y = iris(3)
    forest = RandomForestClassifier(n_estimators=2, random_state=0).fit(X, y)
    with pytest.raises(TypeError, match=r"linear scikit-learn classifier.*RandomForestClassifier"):
        frozen_head(wrap(forest))


def test_a_one_versus_one_classifier_is_refused_by_name():
    X, y = iris(3)
    with pytest.raises(TypeError, match="got SVC"):
        frozen_head(SVC(kernel="linear").fit(X, y))
