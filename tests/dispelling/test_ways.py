"""Ways to dispel are objects: named or passed, searched, stacked, pickled, and of one's own."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.dispelling import Alignment, Cosine, Erasure
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV

SMALL = MLPBackbone((16,))
ROWS = slice(300)


@pytest.fixture(scope="module")
def encoder(digits):
    encoder = ExogenousEncoder(SMALL, max_epochs=3, random_state=0)
    return FrozenEstimator(encoder.fit(digits.X[ROWS], digits.z[ROWS]))


def thin(exogenous, **params):
    defaults = {"backbone": SMALL, "depth": 1, "max_epochs": 3, "random_state": 0}
    return THINClassifier(exogenous, **{**defaults, **params})


def proba(digits, *args, **params):
    return thin(*args, **params).fit(digits.X[ROWS], digits.y[ROWS]).predict_proba(digits.X[ROWS])


class Norm(nn.Module):
    """The squared norm of h_endo, with a weight that is trained."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, exogenous_logits, h):
        return self.weight * h.square().mean(1)


class Scaled(nn.Module):
    """A map that scales h_endo to a mean square of 1 over the rows that it was fitted to."""

    def __init__(self, power):
        super().__init__()
        self.power = power
        self.register_buffer("scale", torch.ones(()))

    def forward(self, h, exogenous_logits=None):
        return h / self.scale**self.power

    def refit(self, blocks):
        self.scale.copy_(torch.cat([h for h, *_ in blocks]).square().mean().sqrt())


class MyWay(Cosine):
    """A user's way: a term that is trained, and a map."""

    def __init__(self, power=1.0):
        self.power = power

    def asks(self, lam, target):
        return "MyWay"

    def map_labels(self, encoder, target, side, logits):
        return logits, side.sizes

    def make_map(self, width, sizes):
        return Scaled(self.power)

    def make_term(self, heads, sizes, width):
        return Norm()


@pytest.mark.parametrize(
    ("name", "way"), [("cosine", Cosine()), ("erasure", Erasure()), ("alignment", Alignment())]
)
def test_a_name_means_the_object(name, way, digits, encoder):
    by_name, by_object = (proba(digits, encoder, dispelling=d, lam=0.1) for d in (name, way))
    np.testing.assert_array_equal(by_name, by_object)


@pytest.mark.parametrize("lam", [0.0, 0.5])
def test_none_dispels_nothing_whatever_lam_is(lam, digits, encoder):
    off = proba(digits, encoder, dispelling=None, lam=lam)
    np.testing.assert_array_equal(off, proba(digits, encoder, lam=0.0))


def test_none_needs_neither_a_predictor_nor_a_side(digits):
    assert proba(digits, None, dispelling=None, lam=0.5).shape == (300, 10)


class TermAlone(Cosine):
    """A user's way without a map, whose term needs a predictor."""

    def asks(self, lam, target):
        return "TermAlone"

    def make_term(self, heads, sizes, width):
        return Norm()


def test_a_term_alone_needs_a_predictor_only_with_lam(digits):
    way = {"dispelling": TermAlone()}
    assert proba(digits, None, **way, lam=0.0).shape == (300, 10)
    with pytest.raises(ValueError, match="TermAlone needs an exogenous side"):
        proba(digits, None, **way, lam=0.5)


def test_the_rank_of_alignment_is_searched(digits, encoder):
    grid = {"dispelling": [Alignment()], "dispelling__rank": [2, 8]}
    search = StackedGridSearchCV(thin(encoder), grid, cv=2, error_score="raise")
    search.fit(digits.X[ROWS], digits.y[ROWS])
    (aligner,) = search.best_estimator_.module_.eraser
    assert aligner.basis.shape == (16, search.best_params_["dispelling__rank"])
    assert search.estimator.dispelling == "cosine"


@pytest.mark.parametrize("rank", [0, -1, 2.5, "many"])
def test_a_rank_that_is_none_is_refused(rank, digits, encoder):
    with pytest.raises(ValueError, match="rank of Alignment must be a positive int or None, got"):
        proba(digits, encoder, dispelling=Alignment(rank))


def test_a_class_in_the_place_of_an_object_is_refused(digits, encoder):
    with pytest.raises(
        ValueError, match=r"'dispelling' .* an instance of .*Cosine.*class .*Erasure"
    ):
        proba(digits, encoder, dispelling=Erasure)


def test_what_is_no_way_is_refused(digits, encoder):
    with pytest.raises(ValueError, match="'dispelling' parameter"):
        proba(digits, encoder, dispelling="erase")


def test_a_way_of_ones_own_has_its_term_and_its_map(digits, encoder):
    X, y = digits.X[ROWS], digits.y[ROWS]
    fitted = thin(encoder, dispelling=MyWay(), lam=0.5, lr=0.05).fit(X, y)
    assert np.square(fitted.transform(X)).mean() == pytest.approx(1, abs=1e-3)
    assert fitted.history_[-1, "train_dispelling"] < 0.5  # its weight began at 1
    plain = thin(encoder, dispelling=MyWay()).fit(X, y)
    assert "train_dispelling" not in plain.history_[-1]
    arrived = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(arrived.predict_proba(X), fitted.predict_proba(X))


def test_a_way_of_ones_own_is_cloned_set_and_shown(encoder):
    estimator = thin(encoder, dispelling=MyWay(power=2.0))
    other = clone(estimator).set_params(dispelling__power=3.0)
    assert (estimator.dispelling.power, other.dispelling.power) == (2.0, 3.0)
    assert "dispelling=MyWay(power=3.0)" in repr(other)


def test_a_way_of_ones_own_trains_in_a_stack_as_it_does_alone(digits, encoder, capsys):
    X, y = digits.X[ROWS], digits.y[ROWS]
    grid = {"dispelling__power": [0.5, 1.0], "lam": [0.1, 0.5]}
    # plain steps, as Adam makes large ones of gradients that are rounding errors alone
    estimator = thin(encoder, dispelling=MyWay(), optimizer="sgd", lr=0.05)
    searches = [
        kind(estimator, grid, scoring="neg_log_loss", cv=2, **how).fit(X, y)
        for kind, how in ((StackedGridSearchCV, {"verbose": 2}), (GridSearchCV, {}))
    ]
    assert "Training 8 fits in 2 stacks, of [4, 4]" in capsys.readouterr().out
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    np.testing.assert_allclose(*scores, rtol=1e-3)
    assert len(np.unique(scores[0].round(4))) == 4


def test_the_weights_of_a_term_are_trained_in_a_stack_too(digits, encoder):
    X, y = digits.X[ROWS], digits.y[ROWS]
    estimator = thin(encoder, dispelling=MyWay(), lam=0.5, optimizer="sgd", lr=0.05)
    ensemble = SeedEnsembleClassifier(estimator, 2, random_state=0).fit(X, y)
    for member in ensemble.estimators_:
        alone = clone(member).fit(X, y)
        ours, theirs = (m.history_[:, "train_dispelling"] for m in (member, alone))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_a_fit_that_goes_on_keeps_its_way(digits, encoder):
    X, y = digits.X[ROWS], digits.y[ROWS]
    fitted = thin(encoder, dispelling=Alignment(4), warm_start=True).fit(X, y)
    assert fitted.set_params(dispelling=Alignment(4)).fit(X, y).n_iter_ == 6
    with pytest.raises(ValueError, match=r"dispelling was Alignment\(rank=4\) when"):
        fitted.set_params(dispelling__rank=5).fit(X, y)


class Scaling:
    """A map of a class that is no way by itself."""

    def map_labels(self, encoder, target, side, logits):
        return torch.zeros(len(target), 1), [1]

    def make_map(self, width, sizes):
        return Scaled(1.0)


class Mixed(Scaling, Cosine):
    """A way whose map is inherited."""


def test_an_inherited_map_is_made(digits, encoder):
    X, y, z = digits.X[ROWS], digits.y[ROWS], digits.z[ROWS]
    fitted = thin(encoder, dispelling=Mixed()).fit(X, y, exogenous_target=z)
    assert isinstance(fitted.module_.eraser, Scaled)
    assert not fitted.module_.gates_layers
