"""Data in files, and the user's arrays: read in blocks, not copied, not written to."""

import errno
import os
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.frozen import FrozenEstimator
from torch import nn

from sklearn_thin import ExogenousEncoder
from sklearn_thin.exogenous.variables import fit_side, read_variables
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from tests.helpers import SMALL, small


class AsItIs(TransformerMixin, BaseEstimator):
    """Gives the user's own rows, as FunctionTransformer() does too."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X

    def __sklearn_is_fitted__(self):
        return True


def in_file(array, folder):
    """The same as a file that cannot be written to."""
    np.save(folder / "X.npy", array)
    return np.load(folder / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("dispelling", ["cosine", "erasure", "alignment"])
def test_a_read_only_file_is_learned_like_the_array(dispelling, rows, encoder, tmp_path):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), lam=0.01, dispelling=dispelling)
    expected = clf.fit(X, y).predict_proba(X)
    file = in_file(X, tmp_path)
    np.testing.assert_array_equal(clf.fit(file, y).predict_proba(file), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_rows_in_a_file_are_not_copied(dtype, tmp_path):
    X = in_file((9 * np.random.RandomState(0).rand(2000, 40, 40)).astype(dtype), tmp_path)
    y = np.arange(len(X)) % 3
    encoder = ExogenousEncoder(SMALL, max_epochs=1).fit(X[:100], y[:100])
    clf = small(FrozenEstimator(encoder), max_epochs=1)
    for call in (lambda: clf.fit(X, y), lambda: clf.predict_proba(X)):
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < X.nbytes / 2
    assert np.shares_memory(
        next(iter(clf._tensors(X, None)[1]))["x"].numpy(), X
    )  # torch's own are not traced


@pytest.mark.parametrize("part", ["backbone", "exogenous_predictor"])
@pytest.mark.parametrize("file", [False, True], ids=["array", "file"])
def test_a_module_that_writes_into_its_input_leaves_the_users_rows_as_they_are(
    part, file, rows, tmp_path
):
    X, y = rows[0] - 0.5, rows[1]
    before = X.copy()
    X = in_file(X, tmp_path) if file else X
    writing = nn.Sequential(nn.LeakyReLU(2.0, inplace=True), nn.Linear(64, 8))
    clf = small(FrozenEstimator(AsItIs()), exogenous_predictor=nn.Linear(64, 8))
    clf.set_params(**{part: writing}).fit(X, y, X_val=X, y_val=y).predict(X)
    clf.transform(X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    "container", [np.asarray, pd.DataFrame, sparse.csr_array, sparse.coo_array]
)
def test_the_frozen_side_says_the_same_in_blocks(container, rows, monkeypatch):
    X, z = container(rows[0]), rows[2]
    svd = TruncatedSVD(5, random_state=0).fit(X)
    given = read_variables(FrozenEstimator(svd), None, X), "representation"
    side, whole = fit_side(*given, X, z, 0, logits=False)
    monkeypatch.setattr("sklearn_thin.exogenous.side.BLOCK", 70)
    in_blocks = fit_side(*given, X, z, 0, logits=False)[1]
    for outputs in (in_blocks, side.outputs(X)):
        np.testing.assert_allclose(outputs["gate_input"], whole["gate_input"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gate_input", ["probabilities", "logits", "representation"])
def test_large_outputs_of_the_frozen_side_may_lie_in_a_file(gate_input, rows, encoder, in_files):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), gate_input=gate_input, lam=0.01)
    expected = clf.fit(X, y).predict_proba(X)
    files = in_files()
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)
    assert files.called


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="only POSIX reserves room")
def test_a_full_disk_is_named(rows, encoder, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sklearn_thin.rows.arrays.IN_MEMORY", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"200 rows need 0 MB in .*No space left.*TMPDIR") as caught:
        small(FrozenEstimator(encoder)).fit(*rows[:2])
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.int16, bool, np.float32])
def test_rows_of_another_type_or_order_are_converted_in_a_file(
    dtype, order, rows, monkeypatch, in_files
):
    X, y = np.asarray(16 * rows[0], dtype, order=order), rows[1]
    clf = small(endogenous=None)
    expected = clf.fit(X, y).predict_proba(X)
    files = in_files()
    monkeypatch.setattr("sklearn_thin.rows.arrays.BLOCK", 70)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)
    as_it_is = dtype is np.float32 and order == "C"
    assert files.call_count == (0 if as_it_is else 2)  # in fit and in predict_proba


def test_held_out_rows_lie_in_files(rows, encoder, monkeypatch, in_files):
    X, y, _ = rows
    held_out = {"early_stopping": 50, "n_iter_no_change": 1}
    clf = small(FrozenEstimator(encoder), endogenous=None, **held_out)
    expected = clf.fit(X, y).predict_proba(X)
    files = in_files()
    monkeypatch.setattr("sklearn_thin.rows.arrays.BLOCK", 70)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)
    with_held_out = files.call_count
    clf.set_params(early_stopping=False).fit(X, y).predict_proba(X)
    # rows, codes and places of both parts, and what encoder and gate read of the held-out one
    assert with_held_out - (files.call_count - with_held_out) == 3 * 2 + 2


@pytest.mark.parametrize("params", [{"early_stopping": 50}, {"dispelling": "erasure"}])
def test_rows_in_files_reach_other_processes(params, rows, encoder, in_files):
    X, y = rows[0].astype(np.float64), rows[1]
    grid = {"lr": [1e-3, 1e-2]}
    search = StackedGridSearchCV(
        small(FrozenEstimator(encoder), **params), grid, cv=2, stack_size=1
    )
    expected = search.fit(X, y).cv_results_["mean_test_score"]
    in_files()
    scores = search.set_params(n_jobs=2).fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, expected, atol=0.02)


def test_large_rows_are_not_copied_for_each_net_of_a_stack(rows, monkeypatch, capsys):
    X, y, _ = rows
    monkeypatch.setattr("sklearn_thin.training.plan.IN_MEMORY", 0)
    for held_out, stacks in ((False, "[3]"), (50, "[]")):
        ensemble = SeedEnsembleClassifier(small(early_stopping=held_out), 3, verbose=2)
        ensemble.fit(X, y)
        assert f"stacks, of {stacks}" in capsys.readouterr().out


def test_rows_are_converted_once_for_all_candidates_on_a_fold(rows, in_files):
    X, y = rows[0].astype(np.float64), rows[1]
    files, counts = in_files(), []
    for rates in ([1e-3], [1e-3, 3e-3, 1e-2]):
        before = files.call_count
        search = StackedGridSearchCV(small(), {"lr": rates}, cv=2, scoring=nothing, refit=False)
        search.fit(X, y)
        counts.append(files.call_count - before)
    assert counts[0] == counts[1] > 0


def nothing(estimator, X, y):
    """A score for which no rows are predicted."""
    return 0.0
