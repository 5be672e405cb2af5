"""The experts: L small classifiers of one representation, packed as one network."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_thin.modules.tensors import aligned

TILE = 32  # rows of one expert in one block of the batched product


class ExpertEnsemble(nn.Module):
    """L independent classifiers, each hidden layer → BatchNorm → ReLU → linear.

    Each layer holds the weights of all experts in one tensor, in `torch.nn.Linear`'s layout
    (out, in). Every expert reads the same input. The first layers are therefore one matrix
    product over a view, and the last layers one batched product. Each expert is initialised on
    its own, as `torch.nn.Linear` does: identical experts would leave the gate without a
    gradient.

    Parameters
    ----------
    in_features : int
        Width of the representation.
    n_outputs : int
        K, the number of classes.
    n_experts : int, default=1
        L, the number of experts.
    hidden_units : int, default=0
        Hidden units of *each* expert; 0 makes every expert linear. The paper uses 256 for a
        single classifier, and 32 for each of 8 experts.

    Shape
    -----
    - Input: (n_samples, in_features)
    - Output: (n_samples, n_experts, n_outputs), logits

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import ExpertEnsemble
    >>> experts = ExpertEnsemble(784, 10, n_experts=8, hidden_units=32)
    >>> experts(torch.randn(2, 784)).shape
    torch.Size([2, 8, 10])
    """

    def __init__(self, in_features, n_outputs, n_experts=1, hidden_units=0):
        super().__init__()
        self.in_features = in_features
        self.n_outputs = n_outputs
        self.n_experts = n_experts
        self.hidden_units = hidden_units
        if hidden_units:
            self.hidden_weight = uniform((n_experts, hidden_units, in_features), in_features)
            self.hidden_bias = uniform((n_experts, hidden_units), in_features)
            self.norm = nn.BatchNorm1d(n_experts * hidden_units)
        last = hidden_units or in_features
        self.weight = uniform((n_experts, n_outputs, last), last)
        self.bias = uniform((n_experts, n_outputs), last)

    def forward(self, h):
        h = h if self.training else aligned(h)
        if not self.hidden_units:
            logits = F.linear(h, self.weight.flatten(0, 1), self.bias.flatten())  # (n, L·K)
            return logits.unflatten(1, (self.n_experts, self.n_outputs))  # (n, L, K)
        h = F.linear(h, self.hidden_weight.flatten(0, 1), self.hidden_bias.flatten())
        h = F.relu(self.norm(h))  # (n, L·hidden)
        h = h.unflatten(1, (self.n_experts, self.hidden_units)).transpose(0, 1)
        return self._last(h, self.weight, self.bias).transpose(0, 1)  # (n, L, K)

    def _last(self, h, weight, bias):
        """(L, n, in) × (L, in, K) + (L, 1, K)."""
        # torch computes products below 400 multiplications by other kernels, which round
        # differently; a block has 16 rows at least, which outputs of zero keep above
        added = -(-400 // (16 * weight.shape[-1])) - self.n_outputs
        if added > 0 and not self.training:
            weight, bias = F.pad(weight, (0, 0, 0, added)), F.pad(bias, (0, added))
        logits = torch.baddbmm(bias.unsqueeze(1), aligned(h), weight.transpose(1, 2))
        return logits[..., : self.n_outputs]

    @property
    def n_values(self):
        """Values that predictions hold for each row, also those of :meth:`select`.

        The latter gathers the weights of each tile's expert, for at most 128 rows at a time.
        """
        units, last = self.hidden_units, self.hidden_units or self.in_features
        all_experts = self.n_experts * max(units, self.n_outputs)
        gathered = units * self.in_features + self.n_outputs * last
        return max(all_experts, gathered * (min(self.n_experts, 128) + 4) // 128)

    def select(self, h, expert):
        """Logits of one expert for each row, without computing the others, in eval mode.

        Parameters
        ----------
        h : Tensor of shape (n_samples, in_features)
            The representation.
        expert : Tensor of shape (n_samples,), int64
            Index of the expert of each row, in [0, n_experts).

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
        """
        # tiles of equal height hold one expert's rows each: one product, little padding
        counts = torch.bincount(expert, minlength=self.n_experts)  # (L,)
        tiles = (counts + TILE - 1) // TILE
        reader = torch.arange(self.n_experts, device=h.device).repeat_interleave(tiles)  # (tiles,)
        if len(reader) == 1:  # which another kernel would compute
            reader = reader.repeat(2)
        expert, order = expert.sort(stable=True)
        rank = torch.arange(len(h), device=h.device) - (counts.cumsum(0) - counts)[expert]
        place = (tiles.cumsum(0) - tiles)[expert] * TILE + rank  # (n,)
        tiled = h.new_zeros(len(reader) * TILE, h.shape[1])
        tiled[place] = h[order]
        logits = h.new_empty(len(h), self.n_outputs)
        logits[order] = self._read(tiled.unflatten(0, (-1, TILE)), reader).flatten(0, 1)[place]
        return logits

    def _read(self, h, expert):
        """Logits of one expert for each tile: (tiles, TILE, in) -> (tiles, TILE, K)."""
        if self.hidden_units:
            weight, bias = self.hidden_weight[expert], self.hidden_bias[expert]
            h = torch.baddbmm(bias.unsqueeze(1), aligned(h), weight.transpose(1, 2))
            scale = self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt()
            shift = self.norm.bias - self.norm.running_mean * scale
            scale, shift = (part.view_as(self.hidden_bias)[expert] for part in (scale, shift))
            h = F.relu(torch.addcmul(shift.unsqueeze(1), h, scale.unsqueeze(1)))
        return self._last(h, self.weight[expert], self.bias[expert])

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, n_outputs={self.n_outputs}, "
            f"n_experts={self.n_experts}, hidden_units={self.hidden_units}"
        )


def uniform(shape, fan_in):
    """A parameter drawn as `torch.nn.Linear` draws its own."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
