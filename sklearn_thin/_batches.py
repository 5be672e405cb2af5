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
    BatchNorm has no variance for a single row. On a GPU all rows are moved there once, where
    half of its free memory holds them, else batch by batch.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        `X` a dict of tensors with equal first dimension; `y` a tensor or None.
    batch_size : int
        Rows in a batch.
    generator : torch.Generator, default=None
        A CPU generator that orders the rows anew in each pass; None keeps their order.
    device : str or torch.device, default="cpu"
        Where the batches are wanted.

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

    def __init__(self, dataset, batch_size, generator=None, device="cpu"):
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = generator
        self.device = torch.device(device)
        self._bounds = batch_bounds(len(dataset), batch_size)
        self._rows = None

    def __len__(self):
        return len(self._bounds)

    def __iter__(self):
        if self._rows is None:
            self._rows = self._placed()
        X, y = self._rows
        order = None
        if self.generator is not None:
            order = torch.randperm(len(self.dataset), generator=self.generator).to(y.device)
        for start, stop in self._bounds:
            part = slice(start, stop) if order is None else order[start:stop]
            batch = {name: self._batch(rows, part) for name, rows in X.items()}
            yield batch, self._batch(y, part)

    def _batch(self, rows, part):
        """Rows by a slice or by their index (batch,)."""
        if isinstance(part, slice):
            # a copy, as a module may write into its input, which is the user's
            return rows[part].to(self.device, copy=True)
        return rows.index_select(0, part).to(self.device)

    def _placed(self):
        """All rows, on the GPU where they fit."""
        X, y = self.dataset.X, self.dataset.y
        y = next(iter(X.values())) if y is None else y  # skorch predicts without labels
        if self.device.type == "cuda":
            n_bytes = sum(rows.numel() * rows.element_size() for rows in (*X.values(), y))
            if n_bytes <= torch.cuda.mem_get_info(self.device)[0] // 2:
                X, y = {name: rows.to(self.device) for name, rows in X.items()}, y.to(self.device)
        return X, y
