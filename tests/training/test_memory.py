"""A device without memory: predictions take smaller blocks, trainings are refused with advice."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_thin.model_selection import StackedGridSearchCV
from sklearn_thin.rows.arrays import as_tensor, block_rows
from tests.helpers import nothing_changes, small, small_encoder

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB."
ALLOCATOR = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"


class Tight(nn.Module):
    """A layer for which memory holds at most so many rows."""

    most = {True: 10**9, False: 10**9}  # in training, and in predictions
    error = torch.OutOfMemoryError(FULL)

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 8)

    def forward(self, x):
        if len(x) > self.most[self.training]:
            raise self.error
        return self.layer(x)


@pytest.fixture
def tight(monkeypatch):
    """Set how many rows memory holds."""

    def call(*, training=10**9, predicting=10**9, error=None):
        monkeypatch.setattr(Tight, "most", {True: training, False: predicting})
        monkeypatch.setattr(Tight, "error", error or torch.OutOfMemoryError(FULL))

    return call


@pytest.fixture
def clf(rows):
    return small(backbone=Tight(), batch_size=50).fit(*rows[:2])


def size_of_blocks(X):
    return block_rows(as_tensor(X), "cpu")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(FULL), RuntimeError(ALLOCATOR)])
def test_predictions_halve_their_blocks_once(error, rows, clf, tight):
    X, size = np.tile(rows[0], (3, 1)), size_of_blocks(rows[0])
    expected = clf.predict_proba(X)
    tight(predicting=size // 2, error=error)
    match = rf"cpu has too little memory for blocks of {size} rows, trying {size // 2}\."
    with pytest.warns(RuntimeWarning, match=match) as warned:
        np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-6)
    assert len(warned) == 1
    tight()
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_predictions_with_too_little_memory_for_halves_are_refused(rows, clf, tight):
    X, size = rows[0], size_of_blocks(rows[0])
    tight(predicting=size // 4)
    refused = rf"cpu has too little memory for blocks of {size // 2} rows .*device='cpu'.*2\.00 GiB"
    with (
        pytest.warns(RuntimeWarning, match="trying"),
        pytest.raises(torch.OutOfMemoryError, match=refused),
    ):
        clf.predict(X)
    tight(predicting=size // 4, error=MemoryError())
    with pytest.warns(RuntimeWarning, match="trying"), pytest.raises(MemoryError, match="blocks"):
        clf.transform(X)


def test_a_frozen_encoder_halves_its_blocks_in_a_fit(rows, tight):
    X, y, z = rows
    encoder = small_encoder(random_state=0).set_params(backbone=Tight()).fit(X, z)
    expected = small(FrozenEstimator(encoder)).fit(X, y).predict_proba(X)
    tight(predicting=size_of_blocks(X) // 2)
    with pytest.warns(RuntimeWarning, match="trying"):
        proba = small(FrozenEstimator(encoder)).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(proba, expected, atol=1e-3)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(FULL), RuntimeError(ALLOCATOR)])
def test_a_training_with_too_large_batches_is_refused_with_advice(error, rows, tight):
    X, y, _ = rows
    tight(training=49, error=error)
    refused = r"cpu has too little memory to train THINClassifier with batches of 50 rows\. Set a"
    with pytest.raises(torch.OutOfMemoryError, match=rf"{refused} smaller batch_size.*alloc"):
        small(backbone=Tight(), batch_size=50).fit(X, y)
    small(backbone=Tight(), batch_size=32).fit(X, y)


def test_a_training_that_goes_on_without_memory_leaves_the_fit_before(rows, clf, tight):
    X, y, _ = rows
    clf.set_params(warm_start=True)
    with nothing_changes(clf, X):
        tight(training=49)
        with pytest.raises(torch.OutOfMemoryError, match="batch_size"):
            clf.fit(X, y)
        tight()


def test_the_error_keeps_no_tensors_of_the_step(rows, tight):
    tight(training=49)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        small(backbone=Tight(), batch_size=50).fit(*rows[:2])
    assert caught.value.__context__.__traceback__ is None


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.filterwarnings("ignore:2 fits of one stack train one by one")
@pytest.mark.parametrize("search", [GridSearchCV, StackedGridSearchCV])
def test_a_search_goes_on_with_the_candidates_that_fit_into_memory(search, rows, tight):
    tight(training=49)
    grid = {"batch_size": [16, 64], "lr": [1e-3, 1e-2]}
    searched = search(small(backbone=Tight()), grid, cv=2)
    with pytest.warns(FitFailedWarning, match="(?s)4 fits failed.*batches of 64 rows"):
        searched.fit(*rows[:2])
    assert searched.best_params_["batch_size"] == 16
    assert np.isnan(searched.cv_results_["mean_test_score"]).sum() == 2


def test_an_error_of_the_users_module_stays_as_it_is(rows, tight):
    error = RuntimeError("of the module")
    tight(training=49, error=error)
    with pytest.raises(RuntimeError) as caught:
        small(backbone=Tight(), batch_size=50).fit(*rows[:2])
    assert caught.value is error
