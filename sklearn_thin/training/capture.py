"""The training step on a GPU, captured as a CUDA graph and replayed batch by batch.

A small network keeps a GPU waiting, as Python launches each of its hundreds of kernels. A graph
launches all of them at once.
"""

from functools import cache
from weakref import WeakMethod

import torch

from sklearn_thin.modules.tensors import laid_out_as


class CapturedStep:
    """A method of a batch (dict of tensors, tensor) as one CUDA graph; its owner holds this step.

    The first call is eager, the second captures, or raises RuntimeError. The method must not
    wait for the GPU, as `.item()` does. Its Python code runs once; random numbers of the GPU
    continue as without a graph. Results may lie in the graph's memory, which the next call
    overwrites: copy them. Batches whose y starts with another `shape` are computed without the
    graph.
    """

    def __init__(self, method, shape):
        self.method = WeakMethod(method)  # memory of a GPU must not wait for a garbage collection
        self.shape = shape
        self.key = self.graph = None

    def __call__(self, X, y, key=()):
        """The method of a batch; captures anew where `key` has changed, as of other weights."""
        if tuple(y.shape[: len(self.shape)]) != self.shape:
            return self.method()(X, y)
        key = key, tuple(rows.shape for rows in X.values())
        if key != self.key:
            # cuBLAS and cuDNN set themselves up in a first run, outside of any graph
            self.key, self.graph = key, None
            return self.method()(X, y)
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
                    self.result = self.method()(self.X, self.y)
                except Exception as error:  # clearer than the error of the broken capture
                    refusal = error
                    raise
        except RuntimeError as error:
            # a broken capture restores neither the stream nor the generator's way of counting
            torch.cuda.set_stream(before)
            generator = torch.cuda.default_generators[y.device.index]
            generator.graphsafe_set_state(generator.clone_state())
            refusal = refusal or error
            if isinstance(refusal, torch.OutOfMemoryError):
                raise refusal from None
            raise RuntimeError(
                "compile=True captures the training step as a CUDA graph, which failed for this "
                f"network: {str(refusal).splitlines()[0]}. Keep its forward pass on the GPU, "
                "without .item() or branches on values, or set compile=False."
            ) from refusal
        self.graph = graph


@cache
def capture_stream(device):
    """One stream for all captures of a device, as libraries keep memory for each stream."""
    return torch.cuda.Stream(device)


class CapturedNetStep:
    """`THINNet.step` of an initialised net by a captured graph."""

    def __init__(self, net):
        self.net = net
        self.captured = CapturedStep(self.gradients, (net.batch_size,))

    def __call__(self, X, y):
        net, weights = self.net, self.weights()
        # the graph reads these addresses; users' callbacks may change anything between epochs
        epoch = len(net.history) if net.record_batches else None
        key = epoch, *(weight.data_ptr() for weight in weights)
        output, means, gradients = self.captured(X, y, key)
        # copies, as the next step of the graph overwrites them
        means = {name: mean.clone() for name, mean in means.items()}
        if net.record_batches:  # callbacks may keep them
            output = tuple(part.clone() for part in output)
            gradients = [g if g is None else g.clone() for g in gradients]
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        return {"loss": means["loss"], "y_pred": output, "means": means}

    def weights(self):
        """Weights that the optimizer steps."""
        groups = self.net.optimizer_.param_groups
        return [w for group in groups for w in group["params"] if w.requires_grad]

    def gradients(self, X, y):
        """Output, means and gradients of a training batch."""
        net, weights = self.net, self.weights()
        buffers = [buffer.data_ptr() for buffer in net.module_.buffers()]
        means, output = net.losses(X, y)
        if buffers != [buffer.data_ptr() for buffer in net.module_.buffers()]:
            raise RuntimeError(
                "compile=True needs a network that writes into its buffers, but this network "
                "replaces them. Use `buffer.copy_(...)`, or set compile=False."
            )
        gradients = torch.autograd.grad(means["loss"], weights, allow_unused=True)
        means = {name: mean.detach() for name, mean in means.items()}
        return output, means, own_memory(gradients, weights)


def own_memory(gradients, weights):
    """Gradients in memory of their own, laid out as their weights, as `backward` gives them."""
    own, taken = [], set()
    for gradient, weight in zip(gradients, weights, strict=True):
        if gradient is not None:
            gradient = gradient.clone() if gradient.data_ptr() in taken else gradient
            gradient = laid_out_as(weight, gradient)
            taken.add(gradient.data_ptr())
        own.append(gradient)
    return own
