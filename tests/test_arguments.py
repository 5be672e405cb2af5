"""Wrong arguments are refused in the words of the public class."""

import inspect
import pickle

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.dispelling import Alignment
from sklearn_thin.model_selection import SeedEnsembleClassifier
from tests.helpers import METHODS, small


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_predict_take_labels_by_name_alone(method, thin, few):
    for call in (lambda f: f(few[0], few[2]), lambda f: f(few[0], exogenous_target=few[2])):
        with pytest.raises(
            TypeError, match=rf"^THINClassifier.{method}\(X, .*by name, such as exogenous=\.\.\.$"
        ):
            call(getattr(thin, method))


@pytest.mark.parametrize("method", ["fit", "plan", "partial_fit"])
def test_methods_that_fit_show_the_names_of_their_arguments(method, few):
    X, y, z = few
    match = rf"^THINClassifier.{method}\(X, y=None.*exogenous_target=None.*by name, such as"
    for given, named in (((X, y, z, z), {}), ((X, y), {"exogenous": z})):
        with pytest.raises(TypeError, match=match):
            getattr(small(), method)(*given, **named)


def test_each_public_class_speaks_for_itself(encoder, few):
    X, y, z = few
    with pytest.raises(
        TypeError, match=r"^ExogenousEncoder.fit\(X, .*such as sample_weight=\.\.\.$"
    ):
        ExogenousEncoder().fit(X, z, np.ones(100))
    with pytest.raises(TypeError, match=r"^ExogenousEncoder.transform\(X\): too many"):
        encoder.transform(X, z)
    ensemble = SeedEnsembleClassifier(small(max_epochs=1), 1).fit(X, y)
    with pytest.raises(TypeError, match=r"^SeedEnsembleClassifier.predict\(X, .*too many"):
        ensemble.predict(X, z)


def test_an_error_inside_a_method_stays_as_it_is(thin):
    with pytest.raises(ValueError, match="X has 1 features"):
        thin.predict(np.zeros(3)[:, None])


def test_signatures_and_docstrings_are_those_of_the_methods():
    for name in ("fit", "predict", "score", "gate_proba"):
        method = getattr(THINClassifier, name)
        assert method.__name__ == name
        assert "Parameters" in method.__doc__
        assert "X" in inspect.signature(method).parameters


def signature_of(owner, name):
    return inspect.signature(getattr(owner, name)).parameters


def public_methods(owner):
    methods = inspect.getmembers(owner, inspect.isfunction)
    return [name for name, _ in methods if not name.startswith("_")]


@pytest.mark.parametrize("name", [n for n in METHODS if hasattr(ExogenousEncoder, n)])
def test_an_encoder_shows_no_labels_that_it_cannot_use(name, encoder, few):
    method = getattr(ExogenousEncoder, name)
    assert [*signature_of(ExogenousEncoder, name)] == ["self", "X"]
    assert "exogenous :" not in method.__doc__
    assert "Returns" in method.__doc__
    assert not hasattr(ExogenousEncoder, f"set_{name}_request") or name == "transform"
    for given, named in (((few[2],), {}), ((), {"no_such": 1})):
        with pytest.raises(TypeError, match=rf"^ExogenousEncoder.{name}\(X\): [^:.]*$"):
            getattr(encoder, name)(few[0], *given, **named)
    pickled = pickle.loads(pickle.dumps(getattr(encoder, name)))
    np.testing.assert_array_equal(pickled(few[0]), getattr(encoder, name)(few[0]))


@pytest.mark.parametrize("owner", [ExogenousEncoder, SeedEnsembleClassifier])
def test_a_class_shows_labels_of_a_side_if_it_may_have_a_side(owner):
    predicts = [n for n in public_methods(owner) if n.startswith(("predict", "decision", "score"))]
    assert len(predicts) == 5
    shown = {name for name in predicts if "exogenous" in signature_of(owner, name)}
    assert shown == (set() if owner is ExogenousEncoder else set(predicts))
    assert "exogenous" not in inspect.getdoc(owner.predict) or shown


NESTED = {
    "backbone__dropout": ("auto", r"MLPBackbone\(.*ConvNetBackbone\("),
    "dispelling__rank": ("cosine", r"Alignment\("),
    "exogenous__max_epochs": (None, r"ExogenousEncoder\("),
    "exogenous__n_components": ([("a", PCA())], "name the variable if exogenous is a list"),
    "exogenous_predictor__C": (None, r"LogisticRegression\("),
    "endogenous__with_mean": (None, r"StandardScaler\("),
    "optimizer__momentum": ("sgd", r"functools.partial\("),
    "callbacks__patience": (None, "callbacks="),
}


@pytest.mark.parametrize("key", NESTED)
def test_a_parameter_of_a_part_without_any_names_a_part_that_has_it(key):
    value, way = NESTED[key]
    part = key.partition("__")[0]
    thin = THINClassifier(**{part: value})
    with pytest.raises(ValueError, match=rf"{key} cannot be set, as {part}=.*{way}"):
        thin.set_params(**{key: 1})
    with pytest.raises(ValueError, match=f"estimator__{key}|{key} cannot be set"):
        SeedEnsembleClassifier(thin).set_params(**{f"estimator__{key}": 1})


def test_an_encoder_and_a_plain_search_name_the_backbone(few):
    with pytest.raises(ValueError, match="backbone__dropout cannot be set, as backbone='auto'"):
        ExogenousEncoder().set_params(backbone__dropout=0.1)
    search = GridSearchCV(small(backbone="auto"), {"backbone__dropout": [0.1]}, cv=2)
    with pytest.raises(ValueError, match="backbone__dropout cannot be set, as backbone='auto'"):
        search.fit(*few[:2])


def test_a_part_and_its_parameter_are_set_together(encoder):
    thin = THINClassifier(dispelling="cosine")
    thin.set_params(backbone=MLPBackbone(), backbone__dropout=0.1, dispelling=Alignment())
    thin.set_params(dispelling__rank=4, exogenous=[("a", PCA())], a__n_components=3)
    assert (thin.backbone.dropout, thin.dispelling.rank) == (0.1, 4)
    assert thin.exogenous[0][1].n_components == 3
    frozen = THINClassifier(FrozenEstimator(encoder))
    assert frozen.set_params(exogenous__estimator=PCA(1)).exogenous.estimator.n_components == 1


def test_a_wrong_name_in_a_part_is_scikit_learns_own_error():
    with pytest.raises(ValueError, match="Invalid parameter 'dropuot' for estimator MLPBackbone"):
        small().set_params(backbone__dropuot=0.1)
