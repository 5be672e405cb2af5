"""A full GPU: halved blocks and stacks, and trainings that are refused.

Memory that earlier tests hold gets free where the GPU is full. These tests therefore need a process
of their own: `pytest -n 0 tests/test_full_gpu.py`.
"""

import gc
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from sklearn_thin import MLPBackbone, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV

pytestmark = pytest.mark.gpu
DEVICE = "cuda"
WIDE = MLPBackbone((2**14,))  # a block of 4,096 rows holds 268 MB in each of its steps


def peak(call):
    """Bytes that the process reserves on the GPU at most during a call, and those left after it."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    call()
    return torch.cuda.max_memory_reserved(), torch.cuda.memory_allocated()


@pytest.fixture(autouse=True)
def empty_gpu():
    gc.collect()
    torch.cuda.empty_cache()
    if torch.cuda.memory_reserved() > 2**28:
        pytest.skip("earlier tests hold memory of the GPU: run this file in a process of its own")


@contextmanager
def memory_of(n_bytes):
    """The process may reserve only so many bytes on the GPU."""
    gc.collect()
    torch.cuda.empty_cache()
    whole = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(n_bytes / whole)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_predictions_on_a_full_gpu_halve_their_blocks(digits):
    X = np.tile(digits.X, (4, 1))
    setting = {"depth": 0, "max_epochs": 1, "device": DEVICE, "random_state": 0}
    thin = THINClassifier(backbone=WIDE, **setting).fit(digits.X[:400], digits.y[:400])
    expected = thin.predict_proba(X)
    most, weights = peak(lambda: thin.predict_proba(X))
    with (
        memory_of(weights + 3 * (most - weights) // 4),
        pytest.warns(RuntimeWarning, match=r"cuda.* blocks of 4096 rows, trying 2048") as warned,
    ):
        np.testing.assert_allclose(thin.predict_proba(X), expected, atol=1e-4)
    assert len(warned) == 1
    with (
        memory_of(weights + (most - weights) // 8),
        pytest.warns(RuntimeWarning, match="trying 2048"),
        pytest.raises(torch.OutOfMemoryError, match=r"2048 rows of X.*device='cpu'"),
    ):
        thin.predict_proba(X)
    np.testing.assert_array_equal(thin.predict_proba(X), expected)


@pytest.mark.parametrize("captured", [False, True])
def test_a_training_that_a_full_gpu_does_not_hold_is_refused(captured, digits):
    X, y = np.tile(digits.X, (2, 1)), np.tile(digits.y, 2)
    setting = {"depth": 0, "device": DEVICE, "compile": captured, "random_state": 0}
    thin = THINClassifier(backbone=WIDE, max_epochs=4, batch_size=1024, **setting)
    most, _ = peak(lambda: thin.fit(X, y))
    refused = r"cuda.* to train THINClassifier with batches of 1024 rows\. Set a smaller batch_size"
    del thin
    thin = THINClassifier(backbone=WIDE, max_epochs=4, batch_size=1024, **setting)
    with memory_of(most // 2), pytest.raises(torch.OutOfMemoryError, match=refused):
        thin.fit(X, y)
    assert not hasattr(thin, "module_")
    with memory_of(most // 2):
        thin.set_params(batch_size=128).fit(X, y)


def test_a_stack_that_a_full_gpu_does_not_hold_trains_in_halves(digits):
    setting = {"max_epochs": 2, "batch_size": 256, "device": DEVICE, "random_state": 0}
    thin = THINClassifier(backbone=MLPBackbone((2**12,)), depth=0, **setting)
    search = StackedGridSearchCV(thin, {"lr": [1e-4, 1e-3, 4e-3, 8e-3]}, cv=3, refit=False)
    most, _ = peak(lambda: search.fit(digits.X, digits.y))
    expected = search.cv_results_["mean_test_score"]
    with (
        memory_of(3 * most // 4),
        pytest.warns(RuntimeWarning, match="memory with a stack of 12 nets; trying two of 6 and 6"),
    ):
        search.fit(digits.X, digits.y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected, atol=0.02)
