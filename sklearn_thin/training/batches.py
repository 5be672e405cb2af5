"""A data set of tensors -> batches, sliced whole instead of row by row, and their usual size."""

import math
from dataclasses import dataclass

import torch
from skorch.dataset import Dataset
from torch.nn.utils.rnn import pad_sequence


def usual_sizes(shape, batch_size="auto"):
    """Batch size and number of epochs for training rows of a shape.

    A batch of a table has about 1/128 of the rows, from 32 to 256. A table gets about 4,000
    steps, in 10 to 50 epochs. Images get batches of 32 and 50 epochs.
    """
    n_rows, *sample = shape
    table, size, epochs = len(sample) == 1, batch_size, 50
    if size == "auto":
        size = 2 ** min(8, max(5, round(math.log2(n_rows / 128)))) if table else 32
    if table:
        epochs = min(50, max(10, round(4000 * size / n_rows)))
    return {"batch_size": size, "max_epochs": epochs}


def batch_bounds(n_rows, batch_size):
    """(start, stop) of each batch; a single row left over joins the batch before."""
    starts = list(range(0, n_rows, batch_size))
    if len(starts) > 1 and n_rows - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n_rows], strict=True))


@dataclass(eq=False)
class TensorBatches:
    """Iterate a :class:`skorch.dataset.Dataset` of tensors in whole batches (X, y).

    skorch's default loader fetches and collates single rows; here a batch is one `index_select`
    of each tensor. A last batch of one row joins the batch before, as BatchNorm has no variance
    for a single row. Rows move to a GPU once if half of its free memory holds them, else batch
    by batch. A CPU `generator` orders the rows anew in each pass; None keeps their order. `share`
    is a process and the number of processes that divide each batch; all take a batch of few rows.

    Examples
    --------
    >>> import torch
    >>> from skorch.dataset import Dataset
    >>> from sklearn_thin.training.batches import TensorBatches
    >>> rows = Dataset({"x": torch.arange(5)}, torch.zeros(5))
    >>> [batch["x"].tolist() for batch, _ in TensorBatches(rows, 2)]
    [[0, 1], [2, 3, 4]]
    """

    dataset: Dataset
    batch_size: int
    generator: torch.Generator | None = None
    device: str = "cpu"
    placed: tuple | None = None  # X and y on the GPU, or where they were
    share: tuple = (0, 1)

    def __len__(self):
        return len(batch_bounds(len(self.dataset), self.batch_size))

    def __iter__(self):
        X, y, device = self.dataset.X, self.dataset.y, torch.device(self.device)
        y = next(iter(X.values())) if y is None else y  # skorch predicts without labels
        if device.type == "cuda":
            X, y = self._placed(X, y)
        order = torch.arange(len(self.dataset))
        if self.generator is not None:
            order = torch.randperm(len(self.dataset), generator=self.generator)
        order = order.to(y.device)
        for start, stop in batch_bounds(len(self.dataset), self.batch_size):
            part = order[start:stop]
            if len(part) >= 2 * self.share[1]:  # two rows for each, as BatchNorm needs
                part = part[self.share[0] :: self.share[1]]
            # copies, as a module may write into its input, and the rows are the user's
            batch = {name: rows.index_select(0, part) for name, rows in [*X.items(), ("", y)]}
            batch = {name: rows.to(device) for name, rows in batch.items()}
            yield batch, batch.pop("")

    def _placed(self, X, y):
        """All rows on the GPU, if they fit."""
        if self.placed is None:
            n_bytes = sum(rows.numel() * rows.element_size() for rows in (*X.values(), y))
            if n_bytes <= torch.cuda.mem_get_info(self.device)[0] // 2:
                X, y = {name: rows.to(self.device) for name, rows in X.items()}, y.to(self.device)
            self.placed = X, y
        return self.placed


class StackedBatches:
    """Tensors of several nets, of equal names, rows and types; equal tensors are kept once.

    Numbers of rows may differ within a batch: the last batches of such nets have other sizes.
    """

    def __init__(self, datasets, batch_size, device):
        self.device = device
        self.sizes = torch.tensor([len(dataset) for dataset in datasets])  # (nets,)
        self.n_rows = self.sizes.to(device)
        self.bounds = batch_bounds(int(self.sizes.max()), batch_size)
        self.tensors, self.owner = {}, {}
        given = [{**dataset.X, "y": dataset.y} for dataset in datasets]
        for name in given[0]:
            distinct, owner = [], []
            for tensor in (tensors[name] for tensors in given):
                place = tensor.data_ptr(), len(tensor)
                same = ((o.data_ptr(), len(o)) == place or torch.equal(tensor, o) for o in distinct)
                index = next((i for i, equal in enumerate(same) if equal), len(distinct))
                if index == len(distinct):
                    distinct.append(tensor)
                owner.append(index)
            # (distinct, rows, ...); a single one is not copied, and may lie in a file
            several = len(distinct) > 1
            rows = pad_sequence(distinct, batch_first=True) if several else distinct[0].unsqueeze(0)
            self.tensors[name] = rows.to(device)
            self.owner[name] = torch.tensor(owner, device=device).unsqueeze(1)  # (nets, 1)

    def batches(self, generators=None):
        """Batches of one epoch in parts, and the number of rows of each net, (nets,) or one.

        A part is the index of its nets, or None for all, and their batch (nets, batch, ...) and
        labels. Each net's generator orders its rows; None keeps their order.
        """
        drawn = [None] * len(self.sizes) if generators is None else generators
        orders = [
            torch.arange(n) if g is None else torch.randperm(n, generator=g)
            for n, g in zip(self.sizes.tolist(), drawn, strict=True)
        ]
        order = pad_sequence(orders, batch_first=True).to(self.device)  # (nets, rows)
        for start, stop in self.bounds[:-1]:
            yield [(None, *self._gather(slice(None), order[:, start:stop]))], stop - start
        start = self.bounds[-1][0]
        ends = self.sizes.unique().tolist()
        if len(ends) == 1:
            yield [(None, *self._gather(slice(None), order[:, start:]))], ends[0] - start
            return
        parts = []
        for end in ends:
            nets = (self.sizes == end).nonzero().flatten().to(self.device)
            parts.append((nets, *self._gather(nets, order[nets, start:end])))
        yield parts, self.n_rows - start

    def _gather(self, nets, index):
        """Rows of some nets and their labels, by an index (nets, batch)."""
        items = self.tensors.items()
        batch = {name: rows[self.owner[name][nets], index] for name, rows in items}
        return batch, batch.pop("y")

    def keep(self, nets):
        """Drop all nets except for these."""
        self.sizes, self.owner = self.sizes[nets], {k: o[nets] for k, o in self.owner.items()}
        self.n_rows = self.n_rows[nets]
