"""From a data set of tensors to batches, sliced whole instead of row by row."""

import torch


def batch_bounds(n_rows, batch_size):
    """(first row, row behind the last) of each batch; a single row left over joins the last."""
    starts = list(range(0, n_rows, batch_size))
    if len(starts) > 1 and n_rows - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n_rows], strict=True))


class TensorBatches:
    """Iterate a :class:`skorch.dataset.Dataset` of tensors in whole batches.

    skorch's default loader fetches and collates single rows; here a batch is one
    `index_select` a tensor. A last batch of one row joins the one before it, as
    BatchNorm has no variance for a single row.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        `X` a dict of tensors with equal first dimension; `y` a tensor or None.
    batch_size : int
        Rows in a batch.
    generator : torch.Generator, default=None
        A CPU generator that orders the rows anew in each pass; None keeps their order.

    Yields
    ------
    (dict of tensors, tensor)

    Examples
    --------
    >>> import torch
    >>> from skorch.dataset import Dataset
    >>> from sklearn_thin._batches import TensorBatches
    >>> rows = Dataset({"x": torch.arange(5)}, torch.zeros(5))
    >>> [batch["x"].tolist() for batch, _ in TensorBatches(rows, 2)]
    [[0, 1], [2, 3, 4]]
    """

    def __init__(self, dataset, batch_size, generator=None):
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = generator
        self._bounds = batch_bounds(len(dataset), batch_size)

    def __len__(self):
        return len(self._bounds)

    def __iter__(self):
        X, y = self.dataset.X, self.dataset.y
        y = next(iter(X.values())) if y is None else y  # skorch predicts without labels
        if self.generator is None:
            for start, stop in self._bounds:
                # copies, as a module may write into its input, which is the user's
                yield {key: rows[start:stop].clone() for key, rows in X.items()}, y[start:stop]
            return
        order = torch.randperm(len(self.dataset), generator=self.generator)
        for start, stop in self._bounds:
            index = order[start:stop]  # (batch,)
            yield {key: rows.index_select(0, index) for key, rows in X.items()}, y[index]
