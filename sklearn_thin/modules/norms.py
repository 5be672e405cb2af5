"""Batch normalisation of stacked networks, as that of one network with all their features."""

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class StackedNorms(TorchFunctionMode):
    """Context in which `torch.vmap` normalises the features of all networks in one operation.

    torch's own rule scales and shifts in separate operations, forward and backward. It stays on
    other devices than the CPU.

    Examples
    --------
    >>> import torch
    >>> from torch.nn import functional as F
    >>> from sklearn_thin.modules.norms import StackedNorms
    >>> x, (mean, var, scale) = torch.randn(3, 8, 5), torch.ones(3, 3, 5)  # of three networks
    >>> norm = torch.vmap(lambda *parts: F.batch_norm(*parts, training=True))
    >>> with StackedNorms():
    ...     stacked = norm(x, mean, var, scale)
    >>> torch.allclose(stacked, norm(x, mean, var, scale), atol=1e-6)
    True
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not F.batch_norm:
            return func(*args, **kwargs)
        # the order of F.batch_norm, which hands over these by name
        args += tuple(kwargs[name] for name in ("weight", "bias", "training", "momentum", "eps"))
        tensors = [arg for arg in args if torch.is_tensor(arg)]
        stacked = all(map(torch._C._functorch.is_batchedtensor, tensors))
        if not (stacked and tensors[0].is_cpu):  # a GPU has not been tried
            return func(*args)
        return _Norm.apply(*args)


class _Norm(torch.autograd.Function):
    """`F.batch_norm` with a rule for `torch.vmap`, whose operations have gradients."""

    @staticmethod
    def forward(*args):
        return F.batch_norm(*args)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Nothing, as only the rule runs."""

    @staticmethod
    def vmap(info, in_dims, x, *args):
        x = x.movedim(in_dims[0], 1).flatten(1, 2)  # (batch, nets·features, ...)
        # views of the running statistics, (nets·features,) each
        flat = [
            arg.movedim(dim, 0).flatten() if torch.is_tensor(arg) else arg
            for arg, dim in zip(args, in_dims[1:], strict=True)
        ]
        return F.batch_norm(x, *flat).unflatten(1, (info.batch_size, -1)), 1
