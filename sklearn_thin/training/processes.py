"""One network that several processes train, each with a GPU or with cores of its own."""

import torch
from skorch.callbacks import Callback
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_thin.rows.arrays import BLOCK


class DataParallel(Callback):
    """Train one network in all processes of a launch, as a callback of each process's fit.

    `torchrun`, or `accelerate launch`, starts a script several times. Each process fits the same
    estimator on the same rows. The processes share the rows of every batch, and average their
    gradients, so that all keep the same weights. Batch normalisation reads the process's own
    rows. Its running statistics are averaged.

    Each process prepares all rows and evaluates all frozen sides itself. The losses of
    `history_` are those of the process's rows. One process trains as without the callback.

    Needs the extra `distributed`.

    Raises
    ------
    ImportError
        At the start of the training, where accelerate is missing.
    ValueError
        At the start of the training, where the processes have other weights, rows or settings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_thin import DataParallel, THINClassifier
    >>> X, y = load_iris(return_X_y=True)  # `torchrun` repeats these lines in each process
    >>> clf = THINClassifier(callbacks=[DataParallel()], max_epochs=3, random_state=0)
    >>> clf.fit(X, y).n_iter_  # doctest: +SKIP
    3
    """

    def on_train_begin(self, net, X=None, **kwargs):
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise ImportError(
                "DataParallel needs accelerate: pip install 'sklearn-thin[distributed]'"
            ) from error
        state = PartialState(cpu=torch.device(net.device).type == "cpu")
        if state.num_processes == 1:
            return
        self._check_equal(net, X, state.num_processes)
        net.iterator_train__share = state.process_index, state.num_processes

    def on_grad_computed(self, net, named_parameters=(), batch=None, **kwargs):
        if not hasattr(net, "iterator_train__share"):
            return
        tensors = [weight.grad for _, weight in named_parameters if weight.grad is not None]
        for layer in net.module_.modules():
            if isinstance(layer, _BatchNorm) and layer.running_mean is not None:
                tensors += [layer.running_mean, layer.running_var]
        n_rows = len(batch[1])
        flat = torch.cat([tensor.flatten() * n_rows for tensor in tensors])
        total = _summed(torch.cat([flat, flat.new_tensor([n_rows])]))
        means = (total[:-1] / total[-1]).split([tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))

    def on_train_end(self, net, **kwargs):
        vars(net).pop("iterator_train__share", None)

    @staticmethod
    def _check_equal(net, rows, n_processes):
        """Raise ValueError where another process has other weights, rows or sizes."""
        weights = sum(w.detach().double().sum() for _, w in net.get_all_learnable_params())
        y, first = rows.y.double().flatten(), rows.X["x"][:BLOCK].double()
        order = torch.arange(1, len(y) + 1, dtype=y.dtype)
        sizes = [weights, first.sum(), y @ order, len(y), net.batch_size, net.max_epochs]
        own = torch.tensor([float(size) for size in sizes], dtype=torch.float64, device=net.device)
        if not torch.allclose(_summed(own.clone()), own * n_processes, rtol=1e-9, atol=1e-9):
            raise ValueError(
                "the processes of DataParallel must train one network: pass the same rows and "
                "parameters to each, with an int as random_state"
            )


def _summed(tensor):
    """The sum of a tensor over all processes."""
    from accelerate.utils import reduce

    return reduce(tensor, "sum")
