"""THINClassifier from the user's side: architectures, outputs and parameters."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logit, softmax
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINRegressor
from sklearn_thin.model_selection import SeedEnsembleClassifier
from tests.helpers import METHODS, all_but_last, assert_refused, known, small, with_known_column


def expert_logits(clf, X):
    """Z of the fitted module, (n, L, K), by the module's parts."""
    with torch.no_grad():
        return clf.module_.experts(features(clf, X)).numpy()


def features(clf, X):
    """The backbone's output for the rows."""
    gate_input = clf.exogenous_side_ and clf.exogenous_side_.outputs(X)["gate_input"]
    with torch.no_grad():
        return clf.module_.features(backbone_input(clf, X), gate_input)


def backbone_input(clf, X):
    """The rows as the fitted module reads them."""
    return torch.tensor(clf.endogenous_.transform(X))


ARCHITECTURES = {
    "baseline": {"depth": 0, "n_experts": 1},
    "simple ensemble": {"depth": 0, "n_experts": 5},
    "tree gate on h_endo": {"depth": 2},
    "exogenous gate": {"depth": 2, "exogenous": "encoder"},
    "oracle": {"depth": 2, "exogenous": known([64]), "endogenous": all_but_last()},
    "THIN": {"depth": 2, "exogenous": "encoder", "lam": 0.005},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_of_the_paper_is_a_setting_of_parameters(name, digits, encoder):
    params = dict(ARCHITECTURES[name])
    if params.get("exogenous") == "encoder":
        params["exogenous"] = FrozenEstimator(encoder)
    X = with_known_column(digits) if name == "oracle" else digits.X[:200]
    clf = small(**params, max_epochs=20, lr=0.01).fit(X, digits.y[:200])
    n_experts = params.get("n_experts", 4)
    assert clf.score(X, digits.y[:200]) > 0.8
    assert clf.gate_proba(X).shape == (200, n_experts)
    assert clf.module_.experts.n_experts == n_experts
    assert ("train_dispelling" in clf.history_[-1]) == (name == "THIN")


def test_outputs_have_the_documented_shapes_and_types(thin, more):
    X = more[0]
    assert thin.predict_proba(X).shape == (100, 10)
    assert thin.predict_proba(X).dtype == np.float32
    assert thin.decision_function(X).shape == (100, 10)
    assert thin.transform(X).shape == (100, 16)
    assert thin.gate_proba(X).shape == (100, 4)
    assert thin.apply(X).shape == (100,)
    assert thin.apply(X).dtype == np.int64
    assert thin.decision_path(X).shape == (100, 3)
    assert thin.expert_proba(X).shape == (100, 4, 10)


def test_gate_weights_are_the_products_of_the_decisions_down_each_path(thin, more):
    X = more[0]
    root, left, right = thin.decision_path(X).T
    paths = [root * left, root * (1 - left), (1 - root) * right, (1 - root) * (1 - right)]
    np.testing.assert_allclose(thin.gate_proba(X), np.transpose(paths), atol=1e-6)
    np.testing.assert_allclose(thin.gate_proba(X).sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(thin.apply(X), thin.gate_proba(X).argmax(1))


def test_decisions_are_the_sigmoids_of_the_nodes_on_h_endo(rows):
    X, y = rows[:2]
    clf = small(depth=2).fit(X, y)
    nodes = clf.module_.gate.nodes
    with torch.no_grad():
        expected = nodes(torch.from_numpy(clf.transform(X))).numpy()
    np.testing.assert_allclose(logit(clf.decision_path(X)), expected, atol=1e-3)


def test_a_tree_without_decisions_weighs_all_experts_alike(rows):
    X, y = rows[:2]
    clf = small(depth=0, n_experts=4, max_epochs=1).fit(X, y)
    np.testing.assert_allclose(clf.gate_proba(X), 0.25)
    assert clf.decision_path(X).shape == (200, 0)
    assert not clf.apply(X).any()


@pytest.mark.parametrize(("depth", "n_experts"), [(3, 5), (1, 5), (3, 1), (2, 4)])
def test_any_number_of_experts_fits_any_depth(depth, n_experts, rows):
    X, y = rows[:2]
    clf = small(depth=depth, n_experts=n_experts, max_epochs=1).fit(X, y)
    assert clf.gate_proba(X).shape == (200, n_experts)
    np.testing.assert_allclose(clf.gate_proba(X).sum(1), 1, atol=1e-5)
    assert clf.apply(X).max() < 2**depth


def test_probabilities_are_the_softmax_of_the_gate_weighted_expert_logits(thin, more):
    X = more[0]
    mixed = np.einsum("nl,nlk->nk", thin.gate_proba(X), expert_logits(thin, X))
    np.testing.assert_allclose(thin.predict_proba(X), softmax(mixed, axis=1), atol=1e-5)
    np.testing.assert_allclose(thin.decision_function(X), mixed, atol=1e-4)
    np.testing.assert_allclose(
        thin.expert_proba(X), softmax(expert_logits(thin, X), axis=2), atol=1e-5
    )


def test_the_outputs_of_one_prediction_agree_with_each_other(thin, more):
    X, y = more[:2]
    logits = thin.decision_function(X)
    np.testing.assert_allclose(thin.predict_proba(X).sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(thin.predict_log_proba(X), log_softmax(logits, 1), atol=1e-5)
    np.testing.assert_array_equal(thin.predict(X), thin.classes_[logits.argmax(1)])
    assert thin.score(X, y) == accuracy_score(y, thin.predict(X))


@pytest.mark.parametrize("exogenous", [None, PCA(5)])
@pytest.mark.parametrize("hidden_units", [0, 64])
def test_hard_inference_predicts_by_the_expert_of_the_most_probable_leaf(
    exogenous, hidden_units, rows, more
):
    (X, y, _), (X_new, *_) = rows, more
    params = {"hidden_units": hidden_units, "inference": "hard", "gating": "head"}
    clf = small(exogenous, depth=4, **params).fit(X, y)
    hard = clf.predict_proba(X_new)
    chosen = clf.expert_proba(X_new)[np.arange(len(X_new)), clf.apply(X_new)]
    np.testing.assert_allclose(hard, chosen, atol=1e-6)
    np.testing.assert_array_equal(clf.predict(X_new), clf.classes_[hard.argmax(1)])
    np.testing.assert_allclose(clf.predict_proba(X_new[:1]), hard[:1], atol=1e-6)
    # the training is that of the mixture, to which the fitted model may go back
    soft = clone(clf).set_params(inference="soft").fit(X, y).predict_proba(X_new)
    assert np.abs(soft - hard).max() > 0.01
    np.testing.assert_array_equal(clf.set_params(inference="soft").predict_proba(X_new), soft)


def test_two_classes_have_one_decision_value_a_row(rows):
    X, y = rows[:2]
    clf = small().fit(X, y > 4)
    values = clf.decision_function(X)
    assert values.shape == (200,)
    np.testing.assert_allclose(clf.predict_proba(X)[:, 1], 1 / (1 + np.exp(-values)), atol=1e-5)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[(values > 0).astype(int)])


def test_transform_is_what_the_backbone_gives(thin, more):
    X = more[0]
    np.testing.assert_allclose(thin.transform(X), features(thin, X), atol=1e-5)


def test_a_row_is_predicted_alike_alone_and_among_others(thin, more):
    X = more[0]
    alone = np.concatenate([thin.predict_proba(X[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, thin.predict_proba(X)[:5], atol=1e-6)


@pytest.mark.parametrize("part", ["", "backbone.1", "gate"])
def test_a_part_in_training_mode_predicts_in_eval_mode(thin, more, part):
    before = thin.predict_proba(more[0])
    thin.module_.get_submodule(part).train()
    np.testing.assert_array_equal(thin.predict_proba(more[0]), before)
    assert not any(module.training for module in thin.module_.modules())


def test_features_out_are_named_by_class_and_number(thin, rows, more):
    names = thin.get_feature_names_out()
    np.testing.assert_array_equal(names, [f"thinclassifier{i}" for i in range(16)])
    framed = clone(thin).set_output(transform="pandas").fit(*rows[:2])
    assert list(framed.transform(more[0]).columns) == list(names)


@pytest.mark.parametrize(
    "params",
    [
        {"exogenous": None},
        {"endogenous": None},
        {"backbone": ConvNetBackbone(image_shape=(7, 7))},
        {"depth": 0, "n_experts": 3, "hidden_units": 0},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_set_after_a_fit_wait_for_the_next_one(params, digits):
    X = with_known_column(digits, 100)
    clf = small(known([64]), endogenous=all_but_last(), max_epochs=1).fit(X, digits.y[:100])
    before = clf.predict_proba(X)
    clf.set_params(**params)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_predicted_before_fit(method, few):
    with pytest.raises(NotFittedError, match="THINClassifier instance is not fitted yet"):
        getattr(small(), method)(few[0])


@pytest.mark.parametrize(
    "estimator", [small(), ExogenousEncoder(), THINRegressor(), SeedEnsembleClassifier(small())]
)
def test_nothing_is_scored_before_fit(estimator, few):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        estimator.score(*few[:2])
    if hasattr(estimator, "expert_predict"):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            estimator.expert_predict(few[0])


@pytest.mark.parametrize("attribute", ["module_", "history_", "n_iter_", "exogenous_"])
def test_an_attribute_that_comes_with_fit_is_not_there_before(attribute):
    assert not hasattr(small(), attribute)
    assert not hasattr(small(ExogenousEncoder()), attribute)


BAD_PARAMS = [
    ("depth", -1, r"\[0, 12\]. Got -1"),
    ("depth", 13, r"\[0, 12\]. Got 13"),
    ("depth", 2.5, r"int in the range \[0, 12\]. Got 2.5"),
    ("depth", "3", r"int in the range \[0, 12\]. Got '3'"),
    ("n_experts", 0, r"\[1, \d+\].* Got 0"),
    ("n_experts", 2.0, r"int in the range.* Got 2.0"),
    ("lam", -0.1, r"\[0.*e\+38\].* Got -0.1"),
    ("lam", "0.1", r"float in the range.* Got '0.1'"),
    ("lam", np.nan, r"\[0.*e\+38\].* Got nan"),
    ("lr", 0, r"\(0.*e\+38\].* Got 0"),
    ("lr", -1e-3, r"\(0.*e\+38\].* Got -0.001"),
    ("batch_size", 1, r"\[2, \d+\].* Got 1"),
    ("batch_size", 32.0, r"int in the range.* Got 32.0"),
    ("max_epochs", 0, r"\[1, \d+\].* Got 0"),
    ("hidden_units", -1, r"\[0, \d+\].* Got -1"),
    ("weight_decay", -1, r"\[0.*e\+38\].* Got -1"),
    ("early_stopping", 1, r"\[2, \d+\].* Got 1"),
    ("early_stopping", 1.5, r"\(0.0, 1.0\).* Got 1.5"),
    ("n_iter_no_change", 0, r"\[1, \d+\].* Got 0"),
    ("gate_input", "logit", r"'logits'.* Got 'logit'"),
    ("dispelling", "cos", r"'cosine'.* Got 'cos'"),
    ("optimizer", "rmsprop", r"'adam'.* Got 'rmsprop'"),
    ("lr_schedule", "linear", r"'cosine'.* Got 'linear'"),
    ("class_weight", "even", r"'balanced'.* Got 'even'"),
    ("endogenous", 3, r"'fit' and 'transform'.* Got 3"),
    ("backbone", 3, r"'build'.* callable. Got 3"),
    ("augment", "flip", r"callable.* Got 'flip'"),
    ("random_state", "zero", r"int in the range.* Got 'zero'"),
]


@pytest.mark.parametrize(("name", "value", "match"), BAD_PARAMS)
def test_parameters_out_of_range_or_of_the_wrong_type_are_refused(name, value, match, fitted, few):
    message = f"'{name}' parameter of THINClassifier must be .*{match}"
    assert_refused(small(**{name: value}), ValueError, message, *few[:2])
    fitted.set_params(**{name: value})
    with pytest.raises(ValueError, match=message):
        fitted.fit(*few[:2])
    assert fitted.n_iter_ == 2
