"""The gate: from its input to the mixture weights of the experts."""

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_thin.modules.tensors import aligned, product


def leaf_to_expert(n_leaves, n_experts):
    """Row-stochastic map A from leaves to experts, so that g = μ·A.

    With fewer experts than leaves, neighbouring leaves share one expert: leaf l uses expert
    ⌊l·L/2^D⌋. With more experts than leaves, each leaf averages its own block of experts.

    Parameters
    ----------
    n_leaves : int
        Number of leaves, 2^D.
    n_experts : int
        Number of experts, L.

    Returns
    -------
    Tensor of shape (n_leaves, n_experts)
        Rows sum to 1. With equal numbers it is the identity.

    Examples
    --------
    >>> from sklearn_thin.modules.tree_gate import leaf_to_expert
    >>> leaf_to_expert(2, 4)
    tensor([[0.5000, 0.5000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.5000, 0.5000]])
    """
    if n_experts <= n_leaves:
        leaf = torch.arange(n_leaves)
        expert = leaf * n_experts // n_leaves
    else:
        expert = torch.arange(n_experts)
        leaf = expert * n_leaves // n_experts
    weights = torch.zeros(n_leaves, n_experts)
    weights[leaf, expert] = 1.0
    return weights / weights.sum(1, keepdim=True)


class TreeGate(nn.Module):
    """Differentiable binary decision tree that weighs experts.

    Node n decides d_n(h) = σ(w_n·h + b_n). The probability of a leaf is the product of the
    decisions along its path: d_n to the left, 1 − d_n to the right (section 3 of the THIN paper).
    The products are computed as sums of log-sigmoids, since products underflow in deep trees.
    Nodes are numbered level by level from the root, and leaves from left to right.

    Parameters
    ----------
    in_features : int
        Width of the gate's input. It is ignored with ``depth=0``.
    depth : int
        Levels of decisions, 0 to 12. The tree has 2^depth − 1 nodes and 2^depth leaves.
    n_experts : int, default=None
        L, the number of mixture weights. None means one for each leaf. :func:`leaf_to_expert`
        maps the leaves to any other number.

    Shape
    -----
    - Input: (n_samples, in_features)
    - Output: (n_samples, n_experts), non-negative rows that sum to 1

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import TreeGate
    >>> gate = TreeGate(in_features=18, depth=3, n_experts=5)
    >>> gate(torch.randn(4, 18)).shape
    torch.Size([4, 5])
    """

    def __init__(self, in_features, depth, n_experts=None):
        super().__init__()
        if not 0 <= depth <= 12:
            raise ValueError(f"depth must be an int in [0, 12], got {depth!r}")
        n_leaves = 2**depth
        n_experts = n_leaves if n_experts is None else n_experts
        if n_experts < 1:
            raise ValueError(f"n_experts must be at least 1, got {n_experts!r}")
        self.in_features = in_features
        self.depth = depth
        self.n_experts = n_experts
        self.nodes = nn.Linear(in_features, n_leaves - 1) if depth else None
        shared = None if n_experts == n_leaves else leaf_to_expert(n_leaves, n_experts)
        self.register_buffer("leaf_to_expert", shared, persistent=False)

    def _logits(self, h):
        return self.nodes(h if self.training else aligned(h))

    def decisions(self, h):
        """Probability of going left at every node: (n_samples, 2^depth − 1)."""
        if not self.depth:
            return h.new_zeros(h.shape[0], 0)
        # torch's sigmoid rounds the last of its values differently
        return F.logsigmoid(self._logits(h)).exp()

    def leaf_log_proba(self, h):
        """Log-probability of every leaf: (n_samples, 2^depth)."""
        log_leaf = h.new_zeros(h.shape[0], 1)  # every row reaches the root
        if not self.depth:
            return log_leaf
        logits = self._logits(h)  # (n, 2^D − 1)
        # (n, nodes, 2): log d_n and log(1 − d_n), each exact near 0 and near 1
        step = F.logsigmoid(torch.stack([logits, -logits], dim=-1))
        for level in range(self.depth):
            first, last = 2**level - 1, 2 ** (level + 1) - 1
            # (n, 2^level, 1) + (n, 2^level, 2) -> (n, 2^(level + 1))
            log_leaf = (log_leaf.unsqueeze(-1) + step[:, first:last]).flatten(1)
        return log_leaf

    def most_probable_leaf(self, h):
        """Index of the most probable leaf, counted from left to right: (n_samples,)."""
        return self.leaf_log_proba(h).argmax(1)

    def forward(self, h):
        leaf = self.leaf_log_proba(h).exp()  # (n, 2^D)
        if self.leaf_to_expert is None:
            return leaf
        return product(leaf, self.leaf_to_expert)  # (n, L)

    def extra_repr(self):
        return f"depth={self.depth}, n_experts={self.n_experts}"
