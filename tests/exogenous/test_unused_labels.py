"""Exogenous labels that nothing reads are named, and no labels that something reads."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sklearn_thin.dispelling import Alignment, Cosine, Erasure
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from tests.helpers import FITS_LOGISTIC_REGRESSION, small, small_encoder

UNUSED = "exogenous_target is not used"


class Counts(Cosine):
    """A way of one's own that reads the labels."""

    name = "counts"

    def map_labels(self, encoder, target, side, logits):
        self.seen_ = np.bincount(target)
        return super().map_labels(encoder, target, side, logits)


class Follows(Cosine):
    """A way of one's own that leaves the labels alone."""

    name = "follows"

    def make_term(self, heads, sizes, width):
        return torch.nn.Module()


@pytest.mark.parametrize("dispelling", ["cosine", None, Cosine(), Follows()])
def test_labels_without_a_side_are_named(dispelling, few):
    X, y, z = few
    with pytest.warns(UserWarning, match=f"{UNUSED}: exogenous is None.*ExogenousEncoder.*erasure"):
        small(dispelling=dispelling, max_epochs=1).fit(X, y, exogenous_target=z)


@pytest.mark.parametrize("dispelling", ["cosine", "alignment", Alignment(rank=4)])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "plan"])
def test_labels_beside_a_frozen_side_are_named(method, dispelling, encoder, few):
    X, y, z = few
    clf = small(FrozenEstimator(encoder), dispelling=dispelling, max_epochs=1)
    with pytest.warns(UserWarning, match=f"{UNUSED}: the exogenous side is frozen"):
        getattr(clf, method)(X, y, exogenous_target=z)


READERS = {
    "encoder": {"exogenous": small_encoder()},
    "transformer": {"exogenous": LinearDiscriminantAnalysis()},
    "transformer that may read them": {"exogenous": PCA(2)},
    "one of a list": {"exogenous": [("a", small_encoder()), ("b", PCA(2))]},
    "predictor": {"exogenous": PCA(2), "exogenous_predictor": LogisticRegression()},
    "erasure": {"dispelling": "erasure"},
    "object of erasure": {"dispelling": Erasure()},
    "own way": {"dispelling": Counts()},
}


@FITS_LOGISTIC_REGRESSION
@pytest.mark.parametrize("reader", READERS)
def test_labels_that_are_read_pass_in_silence(reader, few):
    X, y, z = few
    clf, target = small(**READERS[reader], max_epochs=1), z
    if reader == "one of a list":
        target = np.column_stack([z, z])
    clf.fit(X, y, exogenous_target=target)  # warnings are errors


@FITS_LOGISTIC_REGRESSION
def test_labels_that_a_frozen_side_needs_pass_in_silence(encoder, few):
    X, y, z = few
    side = FrozenEstimator(encoder)
    for params in ({"dispelling": "erasure"}, {"exogenous_predictor": LogisticRegression()}):
        small(side, **params, max_epochs=1).fit(X, y, exogenous_target=z)


def test_a_fit_that_goes_on_may_get_the_labels_again(few):
    X, y, z = few
    clf = small(small_encoder(), warm_start=True, max_epochs=1)
    assert clf.fit(X, y, exogenous_target=z).fit(X, y, exogenous_target=z).n_iter_ == 2


@pytest.mark.parametrize("kind", [StackedGridSearchCV, SeedEnsembleClassifier, GridSearchCV])
def test_many_fits_name_unused_labels_once(kind, few):
    X, y, z = few
    thin = small(max_epochs=1)
    many = SeedEnsembleClassifier(thin, 3)
    if kind is not SeedEnsembleClassifier:
        many = kind(thin, {"lr": [1e-3, 1e-2]}, cv=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        many.fit(X, y, exogenous_target=z)
    assert len([w for w in caught if UNUSED in str(w.message)]) == 1


@pytest.mark.parametrize("kind", [StackedGridSearchCV, GridSearchCV])
@pytest.mark.parametrize(
    "grid",
    [
        {"exogenous": [None, small_encoder()]},
        [{"lr": [1e-3]}, {"dispelling": ["cosine", "erasure"]}],
    ],
)
def test_candidates_that_leave_the_labels_to_others_pass_in_silence(grid, kind, few):
    X, y, z = few
    search = kind(small(max_epochs=1), grid, cv=2, error_score="raise")
    search.fit(X, y, exogenous_target=z)  # warnings are errors
