"""Batches hold every row once, in the order asked for, and none holds a single row."""

from itertools import chain

import pytest
import torch
from skorch.dataset import Dataset

from sklearn_thin.training.batches import TensorBatches
from tests.helpers import RowsSeen, small


def rows(n_rows, labels=True):
    """Rows whose every tensor tells their index."""
    index = torch.arange(n_rows)
    X = {"x": index.view(-1, 1).expand(-1, 3).float(), "weight": index.double()}
    return Dataset(X, 10 * index if labels else None)


def indices(batches):
    """Row indices of each batch, checked to agree between all its tensors."""
    seen = []
    for X, y in batches:
        index = y // 10
        torch.testing.assert_close(X["x"], index.view(-1, 1).expand(-1, 3).float())
        torch.testing.assert_close(X["weight"], index.double())
        seen.append(index.tolist())
    return seen


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("batch_size", [2, 3, 4, 7, 32])
def test_every_row_comes_once_and_never_alone(batch_size, shuffled):
    for n_rows in range(2, 40):
        generator = torch.Generator().manual_seed(0) if shuffled else None
        batches = TensorBatches(rows(n_rows), batch_size, generator)
        seen = indices(batches)
        assert sorted(chain.from_iterable(seen)) == list(range(n_rows))
        assert len(seen) == len(batches)
        sizes = [len(batch) for batch in seen]
        assert min(sizes) >= 2
        assert max(sizes) <= batch_size + 1
        assert set(sizes[:-1]) <= {batch_size}


def test_a_single_row_left_over_joins_the_batch_before():
    assert indices(TensorBatches(rows(5), 2)) == [[0, 1], [2, 3, 4]]
    assert indices(TensorBatches(rows(6), 2)) == [[0, 1], [2, 3], [4, 5]]


def test_one_row_alone_can_be_predicted():
    assert indices(TensorBatches(rows(1), 32)) == [[0]]


def test_without_a_generator_rows_keep_their_order():
    batches = TensorBatches(rows(10), 4)
    assert indices(batches) == indices(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_generator_orders_rows_anew_in_each_pass():
    batches = TensorBatches(rows(50), 8, torch.Generator().manual_seed(0))
    first, second = indices(batches), indices(batches)
    assert first != second
    assert first != indices(TensorBatches(rows(50), 8))


def test_the_same_seed_gives_the_same_passes_and_another_one_does_not():
    def passes(seed):
        batches = TensorBatches(rows(50), 8, torch.Generator().manual_seed(seed))
        return indices(batches), indices(batches)

    assert passes(0) == passes(0)
    assert passes(0) != passes(1)


def test_shuffling_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    list(TensorBatches(rows(50), 8, torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("shuffled", [False, True])
def test_rows_without_labels_come_too(shuffled):
    generator = torch.Generator().manual_seed(0) if shuffled else None
    batches = TensorBatches(rows(5, labels=False), 2, generator)
    seen = torch.cat([X["weight"] for X, _ in batches])
    assert sorted(seen.tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("shuffled", [False, True])
def test_batches_are_where_they_are_wanted(shuffled):
    generator = torch.Generator().manual_seed(0) if shuffled else None
    batches = list(TensorBatches(rows(10), 4, generator, device="meta"))
    assert [len(y) for _, y in batches] == [4, 4, 2]
    assert {t.device.type for X, y in batches for t in (*X.values(), y)} == {"meta"}


def test_a_batch_is_never_a_single_row(digits):
    X, y, _ = digits.first(65)
    clf = small(batch_size=32, max_epochs=1, callbacks=[RowsSeen()]).fit(X, y)
    sizes = [len(x) for x in dict(clf.net_.callbacks_)["RowsSeen"].training_]
    assert sizes == [32, 33]
