"""BatchNorm statistics of a trained module, moved to new rows without labels; the weights stay."""

from contextlib import ExitStack

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_thin.rows.arrays import block_rows

TRAINING_ROWS = 16  # rows for which the statistics of the training count


def norms_of(module):
    """BatchNorm layers with running statistics."""
    layers = (layer for layer in module.modules() if isinstance(layer, _BatchNorm))
    return [layer for layer in layers if layer.running_mean is not None]


@torch.no_grad()
def adapt_norms(module, blocks):
    """Move the running statistics of all BatchNorm layers towards those of rows.

    Each layer reads rows that the layers before have normalised anew. It takes a pass over all
    rows, so that neither their order nor the size of the blocks matters.

    Parameters
    ----------
    module : THINModule
        The module, which is changed in place.
    blocks : list of dict of Tensor
        Inputs of the module, in blocks of rows.
    """
    batches = Batches(module.eval(), blocks)
    for layer in in_order(norms_of(module), module, next(iter(batches))):
        moments = Moments()
        with layer.register_forward_pre_hook(moments.add):
            for batch in batches:
                module(**batch)
        moments.move(layer, batches.n_rows)


class Batches:
    """Copies of rows on the module's device, as modules may write into their inputs."""

    def __init__(self, module, blocks):
        self.blocks = blocks
        self.device = next(module.parameters()).device
        self.size = block_rows(blocks[0]["x"], self.device, module.n_values)
        self.n_rows = sum(len(block["x"]) for block in blocks)

    def __iter__(self):
        for block in self.blocks:
            for start in range(0, len(block["x"]), self.size):
                rows = slice(start, start + self.size)
                yield {name: t[rows].to(self.device, copy=True) for name, t in block.items()}


class Moments:
    """Means and variances of a layer's inputs, in float64."""

    def __init__(self):
        self.count = self.sums = self.squares = 0

    def add(self, layer, inputs):
        """Count the inputs (n, channels, ...) of a forward pass."""
        x = inputs[0].transpose(0, 1).flatten(1).double()  # (channels, values)
        self.count += x.shape[1]
        self.sums = self.sums + x.sum(1)
        self.squares = self.squares + x.square().sum(1)

    def move(self, layer, n_rows):
        """Move the layer's statistics by n / (n + TRAINING_ROWS)."""
        mean = self.sums / self.count
        variance = (self.squares / self.count - mean.square()).clamp_min(0)
        variance *= self.count / (self.count - 1)  # as torch's running statistics
        share = n_rows / (n_rows + TRAINING_ROWS)
        layer.running_mean.lerp_(mean.to(layer.running_mean), share)
        layer.running_var.lerp_(variance.to(layer.running_var), share)


def in_order(layers, module, batch):
    """The layers in the order of their first use in a forward pass, without unused layers."""
    used = {}
    with ExitStack() as hooks:
        for layer in layers:
            hook = layer.register_forward_pre_hook(lambda layer, _: used.update({layer: None}))
            hooks.enter_context(hook)
        module(**batch)
    return list(used)
