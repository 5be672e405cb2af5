"""A frozen side stays as it is, and sees each row once."""

import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from sklearn_thin import ExogenousEncoder
from tests.helpers import FITS_LOGISTIC_REGRESSION, arrays, assert_bit_equal, small, small_encoder

pytestmark = FITS_LOGISTIC_REGRESSION


@pytest.mark.parametrize("augment", [None, lambda x: x + 0.1], ids=["cached", "augmented"])
def test_fit_changes_nothing_of_a_frozen_encoder(augment, digits):
    images, y, z = digits.images[:200], digits.y[:200], digits.z[:200]
    encoder = ExogenousEncoder(max_epochs=1, random_state=0).fit(images, z)
    before = arrays(encoder.module_)
    asked = [p.requires_grad for p in encoder.module_.parameters()]
    clf = small(FrozenEstimator(encoder), lam=1.0, backbone="auto", augment=augment)
    clf.fit(images, y).fit(images, y)
    assert "BatchNorm" in str(encoder.module_)
    assert_bit_equal(arrays(encoder.module_), before)
    assert [p.requires_grad for p in encoder.module_.parameters()] == asked
    assert not any(part.training for part in encoder.module_.modules())


def test_fit_leaves_the_users_estimators_unfitted(rows):
    X, y, z = rows
    exogenous, predictor = PCA(4), LogisticRegression()
    clf = small(exogenous, exogenous_predictor=predictor).fit(X, y, exogenous_target=z)
    assert not hasattr(exogenous, "components_")
    assert not hasattr(predictor, "coef_")
    assert clf.exogenous is exogenous
    assert clf.exogenous_ is not exogenous


def test_an_encoder_fitted_inside_says_what_it_says_alone(rows):
    X, y, z = rows
    clf = small(small_encoder(random_state=0), lam=0.1).fit(X, y, exogenous_target=z)
    alone = small_encoder(random_state=0).fit(X, z)
    assert_bit_equal(arrays(clf.exogenous_.module_), arrays(alone.module_))


class CountRows(TransformerMixin, BaseEstimator):
    """Counts the rows that a transformer is asked for, over all copies of it."""

    counts = {"rows": 0}

    def __init__(self, transformer):
        self.transformer = transformer

    def fit(self, X, y=None):
        self.transformer_ = clone(self.transformer).fit(X, y)
        return self

    def transform(self, X):
        self.counts["rows"] += len(X)
        return self.transformer_.transform(X)


@pytest.fixture
def counts():
    CountRows.counts["rows"] = 0
    return CountRows.counts


@pytest.mark.parametrize("early_stopping", [False, 0.2])
@pytest.mark.parametrize("lam", [0, 0.1])
@pytest.mark.parametrize("frozen", [False, True], ids=["unfitted", "frozen"])
def test_each_row_is_evaluated_once_a_fit(frozen, lam, early_stopping, rows, counts):
    X, y, z = rows
    exogenous = CountRows(PCA(16, random_state=0))
    exogenous = FrozenEstimator(exogenous.fit(X)) if frozen else exogenous
    clf = small(exogenous, exogenous_predictor=LogisticRegression(), lam=lam)
    clf.set_params(early_stopping=early_stopping).fit(X, y, exogenous_target=z)
    assert counts["rows"] == 200
    clf.predict(X[:30])
    assert counts["rows"] == 230


def test_each_row_is_evaluated_once_without_a_predictor_and_with_rows_passed_to_stop_on(
    rows, counts
):
    X, y, _ = rows
    small(CountRows(PCA(4)), early_stopping=True).fit(X, y, X_val=X[:30], y_val=y[:30])
    assert counts["rows"] == 230
