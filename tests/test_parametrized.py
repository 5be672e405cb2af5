"""Networks with each parametrisation of torch.nn.utils: trained, saved, equal after loading."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from torch import nn
from torch.nn import utils
from torch.nn.utils import parametrizations, parametrize, prune

from sklearn_thin import ExogenousEncoder
from sklearn_thin.model_selection import StackedGridSearchCV
from tests.helpers import small

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*weight_norm. is deprecated:FutureWarning",
    "ignore:.*fits of one stack train one by one:RuntimeWarning",
    "ignore:`torch.jit:DeprecationWarning",  # of torch.compile
)


class Bounded(nn.Module):
    def forward(self, weight):
        return weight.tanh()


def custom(layer):
    for _ in range(2):
        parametrize.register_parametrization(layer, "weight", Bounded())
    return layer


def pruned(layer):
    return prune.l1_unstructured(layer, "weight", 0.3)


WAYS = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "custom": custom,
    "old weight_norm": utils.weight_norm,
    "old spectral_norm": utils.spectral_norm,
    "pruned": pruned,
}


class Make:
    """Makes a backbone from an input shape."""

    def __init__(self, way):
        self.way = way

    def __call__(self, shape):
        return nn.Sequential(WAYS[self.way](nn.Linear(shape[0], 16)), nn.ReLU())


def copies(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator)), joblib.load(file)


def assert_saved(estimator, X):
    for same in copies(estimator):
        np.testing.assert_array_equal(same.predict_proba(X), estimator.predict_proba(X))
        assert copies(same)


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


def test_a_network_is_equal_after_loading_and_goes_on(way, few):
    clf = small(backbone=Make(way)).fit(*few[:2])
    assert_saved(clf, few[0])
    for same in copies(clf):
        kinds = [type(layer).__name__ for layer in same.module_.modules()]
        assert kinds == [type(layer).__name__ for layer in clf.module_.modules()]
        before = same.predict_proba(few[0])
        same.set_params(warm_start=True, lr=0.1).fit(*few[:2])
        assert same.n_iter_ == 4
        assert np.abs(same.predict_proba(few[0]) - before).max() > 1e-4


def test_a_module_as_a_parameter_is_saved_too(way, few):
    torch.manual_seed(0)
    clf = small(backbone=Make(way)((64,))).fit(*few[:2])
    assert_saved(clf, few[0])
    pickle.loads(pickle.dumps(clf)).set_params(warm_start=True).fit(*few[:2])


def test_an_encoder_and_its_reader_are_saved(way, few):
    encoder = ExogenousEncoder(Make(way), max_epochs=1).fit(few[0], few[2])
    clf = small(FrozenEstimator(encoder), backbone=Make(way), lam=0.1).fit(*few[:2])
    assert_saved(clf, few[0])


def test_a_module_as_the_predictor_is_saved(way, few):
    c = nn.Sequential(Make(way)((4,)), nn.Linear(16, 3))
    assert_saved(small(PCA(4), exogenous_predictor=c).fit(*few[:2]), few[0])
    named = small([("pca", PCA(4))], exogenous_predictor={"pca": c}).fit(*few[:2])
    assert_saved(named, few[0])


def test_a_stacked_search_trains_and_saves_it(way, few):
    search = StackedGridSearchCV(
        small(backbone=Make(way)), {"lr": [1e-3, 1e-2]}, cv=2, error_score="raise"
    )
    assert_saved(search.fit(few[0], few[1] % 2), few[0])


def test_a_compiled_network_is_saved(few):
    clf = small(backbone=Make("weight_norm"), compile=True, batch_size=50).fit(*few[:2])
    assert_saved(clf, few[0])
