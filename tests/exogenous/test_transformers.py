"""Any scikit-learn transformer serves as a side."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from tests.helpers import small, small_encoder


def test_a_pipeline_that_ends_in_an_encoder_serves_frozen(rows):
    X, y, z = rows
    pipeline = make_pipeline(StandardScaler(), small_encoder(random_state=0)).fit(X, z)
    clf = small(FrozenEstimator(pipeline), lam=0.1).fit(X, y)
    assert clf.module_.gate.in_features == 4
    assert 0 <= clf.history_[-1]["train_dispelling"] <= 1


def test_a_pipeline_that_ends_in_an_encoder_is_fitted_on_the_exogenous_labels(rows):
    X, y, z = rows
    pipeline = make_pipeline(StandardScaler(), small_encoder(random_state=0))
    clf = small(pipeline, lam=0.1).fit(X, y, exogenous_target=z)
    alone = clone(pipeline).fit(X, z)
    np.testing.assert_allclose(clf.exogenous_.transform(X), alone.transform(X), atol=1e-5)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_backbone_reads_frames_that_endogenous_gives(library, rows):
    X, y, _ = rows
    framed, plain = (
        small(endogenous=StandardScaler().set_output(transform=output)).fit(X, y).predict_proba(X)
        for output in (library, "default")
    )
    np.testing.assert_array_equal(framed, plain)


@pytest.mark.parametrize("container", [sparse.coo_matrix, sparse.bsr_array])
def test_sparse_rows_of_any_format_reach_both_sides(container, rows):
    X, y, _ = rows
    clf = small(TruncatedSVD(4), endogenous=TruncatedSVD(8), early_stopping=0.2)
    kept, expected = (
        clone(clf).fit(data, y).predict_proba(data) for data in (container(X), sparse.csr_array(X))
    )
    np.testing.assert_array_equal(kept, expected)


@pytest.mark.parametrize("n_rows", [1, 199])
def test_a_transformer_that_loses_rows_is_refused(n_rows, rows):
    X, y, _ = rows
    losing = FunctionTransformer(lambda X: X[:n_rows])
    with pytest.raises(ValueError, match=f"FunctionTransformer gave {n_rows} for 200"):
        small(losing).fit(X, y)


def test_a_transformer_may_turn_its_rows_around(rows):
    X, y, _ = rows
    assert small(FunctionTransformer(np.fliplr)).fit(X, y).predict(X).shape == (200,)


@pytest.mark.parametrize(
    "exogenous",
    [
        make_pipeline(VarianceThreshold(), SelectKBest(k=5), StandardScaler()),
        ColumnTransformer([("encoder", small_encoder(), list(range(20, 40)))]),
        FeatureUnion([("encoder", small_encoder()), ("pca", PCA(2))]),
    ],
    ids=["pipeline", "columns", "union"],
)
def test_labels_reach_whatever_reads_them_inside_of_a_composite(exogenous, rows):
    X, y, z = rows
    clf = small(exogenous).fit(X, y, exogenous_target=z)
    assert clf.predict(X).shape == y.shape
