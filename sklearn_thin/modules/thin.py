"""The whole network: backbone, experts and gate, from inputs to mixed logits."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_thin.modules.heads import ExpertHead
from sklearn_thin.modules.tensors import as_float, in_full_precision, mixture


class THINOutput(NamedTuple):
    """Output of one forward pass.

    logits : Tensor of shape (n_samples, n_outputs), the mixture z
    h : Tensor of shape (n_samples, width), the endogenous representation h_endo
    """

    logits: torch.Tensor
    h: torch.Tensor


class THINModule(nn.Module):
    """z = Z·g: logits of L experts on h_endo, mixed by a gate before one softmax.

    Parameters
    ----------
    backbone : Module
        It maps inputs to h_endo of shape (n_samples, width).
    experts : Module
        It maps h_endo to Z of shape (n_samples, n_experts, n_outputs), as
        :class:`ExpertEnsemble` does.
    gate : Module
        It maps `gate_input` to g of shape (n_samples, n_experts), as :class:`TreeGate` does.
    eraser : Module or None, default=None
        It maps the backbone's output and `exogenous_logits` to h_endo, as :class:`LinearEraser`
        and :class:`AlignerChain` do. With None the backbone's output is h_endo.
    gates_layers : bool, default=False
        Whether the backbone reads x, g and `gate_input`, such as :class:`GatedMLP`. The gate then
        mixes its layers too, and cannot read h_endo.

    Shape
    -----
    - Input x: the backbone's shape, uint8 images in [0, 255] or floats
    - Input gate_input: (n_samples, gate width), or None for a gate that reads h_endo
    - Input exogenous_logits: (n_samples, exogenous classes), or None for an eraser that does not
      read them
    - Output: :class:`THINOutput`, logits (n_samples, n_outputs) and h (n_samples, width)

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import ConvNet, ExpertEnsemble, THINModule, TreeGate
    >>> module = THINModule(ConvNet(1), ExpertEnsemble(784, 10, 8, 32), TreeGate(18, 3))
    >>> logits, h = module(torch.randn(4, 1, 28, 28), torch.rand(4, 18))
    >>> logits.shape, h.shape
    (torch.Size([4, 10]), torch.Size([4, 784]))
    """

    def __init__(self, backbone, experts, gate, eraser=None, gates_layers=False):
        super().__init__()
        self.backbone = backbone
        self.experts = experts
        self.gate = gate
        self.eraser = eraser
        self.gates_layers = gates_layers

    @property
    def predictor(self):
        """c of a module with one expert: from h to logits."""
        return ExpertHead(self.experts)

    @property
    def n_values(self):
        """Values that predictions hold for each row."""
        return max(self.experts.n_values, getattr(self.backbone, "n_values", 0))

    def features(self, x, gate_input=None, g=None):
        """The backbone's output, in front of the eraser: (n_samples, width).

        `g` (n_samples, n_experts) stands for the gate's output.
        """
        x = as_float(x)
        if not self.gates_layers:
            return self.backbone(x)
        g = in_full_precision(self.gate, gate_input) if g is None else g
        return self.backbone(x, g, gate_input)

    def represent(self, x, gate_input=None, exogenous_logits=None, g=None):
        """h_endo, the input of the experts: (n_samples, width)."""
        h = self.features(x, gate_input, g)
        if self.eraser is None:
            return h
        return in_full_precision(self.eraser, h, exogenous_logits)

    def forward(self, x, gate_input=None, exogenous_logits=None):
        g = in_full_precision(self.gate, gate_input) if self.gates_layers else None
        h = self.represent(x, gate_input, exogenous_logits, g)  # (n, width)
        z = self.experts(h)  # (n, L, K)
        if z.shape[1] == 1:  # a single expert has all the weight
            return THINOutput(z.squeeze(1), h)
        if g is None:
            g = in_full_precision(self.gate, h if gate_input is None else gate_input)  # (n, L)
        mixed = torch.einsum("nl,nlk->nk", g, z) if self.training else mixture(g, z)
        return THINOutput(mixed, h)

    def logits(self, x, gate_input=None, exogenous_logits=None):
        """Mixed logits alone: (n_samples, n_outputs)."""
        return self(x, gate_input, exogenous_logits).logits

    def hard_logits(self, x, gate_input=None, exogenous_logits=None):
        """Logits of the most probable leaf alone: (n_samples, n_outputs).

        Only the expert of that leaf is computed, unless a leaf averages several experts. Gated
        layers take the maps of that leaf.
        """
        shared = self.gate.leaf_to_expert  # (2^D, L), or None for the identity
        g = None
        if self.gates_layers:
            leaf = self.gate.most_probable_leaf(gate_input)  # (n,)
            g = F.one_hot(leaf, 2**self.gate.depth).to(gate_input.dtype)  # (n, 2^D)
            g = g if shared is None else g @ shared  # (n, L)
        h = self.represent(x, gate_input, exogenous_logits, g)  # (n, width)
        if not self.gates_layers:
            leaf = self.gate.most_probable_leaf(h if gate_input is None else gate_input)  # (n,)
        if shared is None:
            return self.experts.select(h, leaf)
        if shared.count_nonzero(1).max() == 1:
            return self.experts.select(h, shared.argmax(1)[leaf])
        return mixture(shared[leaf], self.experts(h))
