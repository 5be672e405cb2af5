"""Data sets of HDF5, and other arrays that are not NumPy's, are read like arrays."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_thin import ExogenousEncoder
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from tests.helpers import METHODS, SMALL, small, small_encoder


class Increasing:
    """Stands for a data set of h5py, which takes slices, and increasing rows without repeats."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.ndim = array.ndim

    def __len__(self):
        return len(self.array)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype)

    def __getitem__(self, rows):
        first = rows[0] if isinstance(rows, tuple) else rows
        if not isinstance(first, slice) and np.any(np.diff(np.atleast_1d(first)) <= 0):
            raise TypeError("Indexing elements must be in increasing order")
        return self.array[rows]


@pytest.fixture(params=["stand-in", "h5py", "memmap"])
def stored(request, tmp_path):
    """A function that puts an array where it is not NumPy's, or only almost."""
    if request.param == "stand-in":
        yield Increasing
    elif request.param == "memmap":

        class Mapped(np.memmap):
            """A memory map of a library's own."""

        def mapped(array):
            file = Mapped(tmp_path / f"{id(array)}", array.dtype, "w+", shape=array.shape)
            file[:] = array
            return file

        yield mapped
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "rows.h5", "w") as file:
            names = iter("abcdefgh")
            yield lambda array: file.create_dataset(next(names), data=array, chunks=True)


GIVEN = {
    "early stopping": ({"early_stopping": 0.3}, ()),
    "weights of zero": ({}, ("sample_weight",)),
    "groups": ({"early_stopping": 0.3}, ("groups",)),
    "held-out rows": ({"early_stopping": True}, ("X_val", "y_val")),
    "all": ({"early_stopping": 0.3}, ("sample_weight", "groups")),
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_fit_is_that_of_the_arrays(name, stored, rows):
    X, y, z = rows
    params, names = GIVEN[name]
    values = {"X_val": X[:50], "y_val": y[:50], "groups": np.arange(200) // 3}
    values["sample_weight"] = (np.arange(200) % 3).astype(float)
    given = {key: values[key] for key in names}
    clf = small(small_encoder(random_state=0), dispelling="erasure", **params)
    expected = clf.fit(X, y, exogenous_target=z, **given).predict_proba(X)
    inside = {key: stored(np.asarray(value)) for key, value in given.items()}
    file = stored(X)
    clf.fit(file, stored(y), exogenous_target=stored(z), **inside)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    for method in METHODS:
        np.testing.assert_array_equal(getattr(clf, method)(file), getattr(clf, method)(X))
    assert clf.score(file, y) == clf.score(X, y)


def test_transformers_an_encoder_and_partial_fit_read_them_too(stored, rows):
    X, y, z = rows
    file, labels = stored(X), stored(z)
    encoder = ExogenousEncoder(SMALL, early_stopping=0.3, max_epochs=1, random_state=0)
    expected = encoder.fit(X, z).transform(X)
    np.testing.assert_array_equal(encoder.fit(file, labels).transform(file), expected)
    clf = small(PCA(3), endogenous=PCA(8), early_stopping=0.3)
    expected = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clf.fit(file, y).predict_proba(file), expected)
    np.testing.assert_array_equal(
        small().partial_fit(file, y).predict(file), small().partial_fit(X, y).predict(X)
    )


@pytest.mark.parametrize("search", [GridSearchCV, StackedGridSearchCV])
def test_searches_and_ensembles_read_them_too(search, stored, rows):
    X, y, _ = rows
    file = stored(X)
    cv = KFold(2, shuffle=True, random_state=0)
    search = search(small(early_stopping=0.3), {"lr": [1e-3, 1e-2]}, cv=cv)
    expected = search.fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(search.fit(file, y).cv_results_["mean_test_score"], expected)
    ensemble = SeedEnsembleClassifier(small(), 2, random_state=0)
    expected = ensemble.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(ensemble.fit(file, y).predict_proba(file), expected)


def test_a_large_one_is_read_in_blocks_into_a_file(rows, in_files, monkeypatch):
    X, y, _ = rows
    expected = small().fit(X, y).predict_proba(X)
    files = in_files()
    monkeypatch.setattr("sklearn_thin.rows.arrays.BLOCK_BYTES", 10_000)

    class Blocks(Increasing):
        def __array__(self, dtype=None, copy=None):
            raise AssertionError("read whole")

        def __getitem__(self, rows):
            assert self.array[rows].nbytes <= 10_000
            return super().__getitem__(rows)

    clf = small().fit(Blocks(X), y)
    assert files.called
    np.testing.assert_array_equal(clf.predict_proba(Blocks(X)), expected)
