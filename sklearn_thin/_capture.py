"""The training step on a GPU: captured as a CUDA graph, which is replayed batch by batch.

A small network keeps a GPU waiting, as each of its hundreds of kernels is launched by Python.
A graph launches all of them at once.
"""

from functools import cache

import torch


class CapturedStep:
    """A function of a batch as one CUDA graph.

    The first call is eager, the second captures. What is returned may lie in the graph's own
    memory, where the next call writes anew: copy what is to stay. Random numbers of the GPU go on
    as they would without a graph; all else that the function does in Python is done once.

    Parameters
    ----------
    function : callable
        (X, y), a dict of tensors and a tensor -> tensors, or containers of them. Must not wait
        for the GPU, as `.item()` does.
    shape : tuple of int
        Of y in the batches to capture; others, such as the last of an epoch, pass by.

    Raises
    ------
    RuntimeError
        Where the function cannot be captured.
    """

    def __init__(self, function, shape):
        self.function = function
        self.shape = shape
        self.key = self.graph = None

    def __call__(self, X, y, key=()):
        """The function of a batch; begins anew where `key`, what else it reads, has changed."""
        if tuple(y.shape) != self.shape:
            return self.function(X, y)
        key = key, tuple(rows.shape for rows in X.values())
        if key != self.key:
            # cuBLAS and cuDNN set themselves up in a first run, which no graph may hold
            self.key, self.graph = key, None
            return self.function(X, y)
        if self.graph is None:
            self._capture(X, y)
        for name, rows in X.items():
            self.X[name].copy_(rows)
        self.y.copy_(y)
        self.graph.replay()
        return self.result

    def _capture(self, X, y):
        self.X = {name: rows.clone() for name, rows in X.items()}
        self.y = y.clone()
        graph, refusal = torch.cuda.CUDAGraph(), None
        before = torch.cuda.current_stream(y.device)
        # other threads may use the GPU meanwhile
        options = {"stream": capture_stream(y.device), "capture_error_mode": "thread_local"}
        try:
            with torch.cuda.device(y.device), torch.cuda.graph(graph, **options):
                try:
                    self.result = self.function(self.X, self.y)
                except Exception as error:  # the one that says more than that of the broken capture
                    refusal = error
                    raise
        except RuntimeError as error:
            torch.cuda.set_stream(before)  # where a broken capture does not go back to
            refusal = refusal or error
            if isinstance(refusal, torch.OutOfMemoryError):
                raise refusal from None
            raise RuntimeError(
                "compile=True captures the training step as a CUDA graph, and this network "
                f"refuses: {str(refusal).splitlines()[0]}. Keep its forward pass on the GPU, "
                "without .item() or branches on values, or set compile=False."
            ) from refusal
        self.graph = graph


@cache
def capture_stream(device):
    """One for all captures of a device, as libraries keep memory for each that they meet."""
    return torch.cuda.Stream(device)


class CapturedNetStep:
    """The training step of a net, `THINNet.step`, by a captured graph.

    Parameters
    ----------
    net : THINNet
        Initialised.
    """

    def __init__(self, net):
        self.net = net
        self.captured = CapturedStep(self.gradients, (net.batch_size,))

    def __call__(self, X, y):
        net, weights = self.net, self.weights()
        # where the graph reads and what it holds fixed, though λ and what is trained may change;
        # users' callbacks may change anything between epochs
        epoch = len(net.history) if net.record_batches else None
        key = net.lam, epoch, *(weight.data_ptr() for weight in weights)
        loss, output, means, gradients = self.captured(X, y, key)
        # copies, as the next step of a graph writes where this one did
        means = {name: mean.clone() for name, mean in means.items()}
        if net.record_batches:  # for callbacks that keep them
            output = tuple(part.clone() for part in output)
            gradients = [g if g is None else g.clone() for g in gradients]
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        return {"loss": loss.clone(), "y_pred": output, "means": means}

    def weights(self):
        """What the optimizer steps."""
        groups = self.net.optimizer_.param_groups
        return [w for group in groups for w in group["params"] if w.requires_grad]

    def gradients(self, X, y):
        """Loss, output, terms and gradients of a training batch."""
        net, weights = self.net, self.weights()
        buffers = [buffer.data_ptr() for buffer in net.module_.buffers()]
        means, output = net.forward_terms(X, y)
        if buffers != [buffer.data_ptr() for buffer in net.module_.buffers()]:
            raise RuntimeError(
                "compile=True needs a network that writes into its buffers, and this one puts "
                "others in their place. Use `buffer.copy_(...)`, or set compile=False."
            )
        loss = net.total_loss(means)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        means = {name: mean.detach() for name, mean in means.items()}
        return loss.detach(), output, means, own_memory(gradients, weights)


def laid_out_as(weight, values):
    """A gradient, or moments, in the memory layout of the weight, which fused steps rely on."""
    if values.stride() == weight.stride():
        return values
    return torch.empty_like(weight).copy_(values)


def own_memory(gradients, weights):
    """Gradients each in memory of its own, laid out as its weight is, as `backward` gives them."""
    own, taken = [], set()
    for gradient, weight in zip(gradients, weights, strict=True):
        if gradient is not None:
            gradient = gradient.clone() if gradient.data_ptr() in taken else gradient
            gradient = laid_out_as(weight, gradient)
            taken.add(gradient.data_ptr())
        own.append(gradient)
    return own
