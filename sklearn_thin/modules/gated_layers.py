"""Gated layers: linear maps that the gate mixes in front of each non-linearity."""

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_thin.modules.experts import uniform
from sklearn_thin.modules.tensors import aligned, widened


class MixedLinear(nn.Module):
    """L linear maps of one input, mixed for each row: Σ_l g_l (W_l·x + b_l).

    The maps are one tensor, and their mixture is one matrix product, of g ⊗ x with all maps. The
    mixture is that of CondConv (Yang et al., 2019) for dense layers. Each map is initialised on
    its own, as `torch.nn.Linear` does.

    Parameters
    ----------
    in_features : int
    out_features : int
    n_experts : int, default=1
        L, the number of maps.

    Shape
    -----
    - Input: x (n_samples, in_features), and g (n_samples, n_experts), the mixture weights
    - Output: (n_samples, out_features)

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import MixedLinear, TreeGate
    >>> gate, layer = TreeGate(18, depth=3), MixedLinear(64, 128, n_experts=8)
    >>> layer(torch.randn(4, 64), gate(torch.rand(4, 18))).shape
    torch.Size([4, 128])
    """

    def __init__(self, in_features, out_features, n_experts=1):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.n_experts = n_experts
        # in the layout of torch.nn.Linear, whose product gives a row the same bits at each place
        self.weight = uniform((out_features, n_experts, in_features), in_features)
        self.bias = uniform((out_features, n_experts), in_features)

    def forward(self, x, g):
        if self.n_experts == 1:  # the only map has all the weight
            return F.linear(aligned(x), self.weight.flatten(1), self.bias.flatten())
        weighed = aligned((g.unsqueeze(2) * x.unsqueeze(1)).flatten(1))  # (n, L·in)
        # (n, out)
        return F.linear(weighed, self.weight.flatten(1)) + F.linear(aligned(g), self.bias)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"n_experts={self.n_experts}"
        )


class Modulation(nn.Module):
    """Scale and shift of features by a variable: h·(1 + v·S) + v·T (FiLM; Perez et al., 2018).

    S and T start at 0. The features are then those of all rows in common.

    Parameters
    ----------
    in_features : int
        Width of the variable, such as the number of its levels.
    n_features : int
        Width of h.

    Shape
    -----
    - Input: h (n_samples, n_features), and v (n_samples, in_features)
    - Output: (n_samples, n_features)

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import Modulation
    >>> h = torch.randn(4, 128)
    >>> torch.equal(Modulation(18, 128)(h, torch.rand(4, 18)), h)
    True
    """

    def __init__(self, in_features, n_features):
        super().__init__()
        self.scale_and_shift = nn.Linear(in_features, 2 * n_features, bias=False)
        nn.init.zeros_(self.scale_and_shift.weight)

    def forward(self, h, v):
        scale, shift = self.scale_and_shift(v).chunk(2, dim=1)  # (n, n_features) each
        return h * (1 + scale) + shift


class GatedMLP(nn.Module):
    """Mixed linear maps → BatchNorm → scale and shift → ReLU blocks, under one gate.

    Parameters
    ----------
    in_features : int
        Width of the input.
    hidden_layer_sizes : sequence of int, default=(256,)
        Width of each block. The last width is that of the representation.
    n_experts : int, default=1
        L, the maps of each block.
    gate_features : int, default=1
        Width of the gate's input, which scales and shifts the features of each block.
    dropout : float, default=0.0
        Probability of zeroing a unit after each block.
    modulation_dropout : float, default=0.0
        Probability of a row without scales and shifts in training. The maps then learn to serve
        rows whose variable has few training rows, or none.
    stem : Module, default=None
        It maps the input to rows of `in_features`, as convolutions do. None flattens the input.

    Shape
    -----
    - Input: x, as the stem reads it; g (n_samples, n_experts), the mixture weights; gate_input
      (n_samples, gate_features)
    - Output: (n_samples, hidden_layer_sizes[-1])

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import GatedMLP, TreeGate
    >>> gate, backbone = TreeGate(18, depth=3), GatedMLP(64, (128, 32), 8, 18)
    >>> person = torch.rand(4, 18)
    >>> backbone(torch.randn(4, 64), gate(person), person).shape
    torch.Size([4, 32])
    """

    def __init__(
        self,
        in_features,
        hidden_layer_sizes=(256,),
        n_experts=1,
        gate_features=1,
        dropout=0.0,
        modulation_dropout=0.0,
        stem=None,
    ):
        super().__init__()
        self.stem = nn.Flatten() if stem is None else stem
        widths = [in_features, *hidden_layer_sizes]
        self.maps = nn.ModuleList(
            MixedLinear(a, b, n_experts) for a, b in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in hidden_layer_sizes)
        self.modulations = nn.ModuleList(
            Modulation(gate_features, width) for width in hidden_layer_sizes
        )
        self.dropout = nn.Dropout(dropout)
        self.modulation_dropout = modulation_dropout

    @property
    def n_values(self):
        """Values that a block's product holds for each row."""
        return max((layer.n_experts * layer.in_features for layer in self.maps), default=0)

    def forward(self, x, g, gate_input):
        h = self.stem(x)  # (n, in_features)
        if self.training and self.modulation_dropout:
            kept = torch.rand_like(gate_input[:, :1]) >= self.modulation_dropout  # (n, 1)
            gate_input = gate_input * kept
        for mix, norm, modulate in zip(self.maps, self.norms, self.modulations, strict=True):
            h = norm(widened(mix(h, g)))  # (n, width); stacked norms read no half precision
            h = self.dropout(F.relu(modulate(h, gate_input)))
        return h
