"""The aligner: one mean and one covariance for all classes of a variable in a representation."""

import math
from itertools import chain

import torch
from torch import nn

from sklearn_thin.modules.tensors import aligned, mixture, product

PRIOR = 0.1  # weight of the mean covariance: rows for each of its columns
MOST_PRODUCTS = 2**19  # of one row with the maps of all classes


class ConditionalAligner(nn.Module):
    """Map that gives every class of a variable the same mean and covariance.

    The map is

        r(h) = h + Σ_k p_k · [μ − m_k + V (A_k − I) Vᵀ (h − m_k)]

    Here p are the probabilities of the classes, and m_k are their means. V holds the leading
    principal components within the classes. The matrix

        A_k = S_k^(−1/2) (S_k^(1/2) S S_k^(1/2))^(1/2) S_k^(−1/2)

    maps the covariance S_k of class k (in V) to the mean covariance S. Among all such maps it
    moves h least (optimal transport between normal distributions; Olkin and Pukelsheim, 1982).
    With certain labels as p, such maps are known as QLEACE (concept-erasure; Belrose et al., 2023).

    The guarantee holds on the rows of :meth:`refit`, where p is certain and right. There, no
    linear probe of r(h) predicts the classes better than a constant. The covariances within V
    do not depend on the class either. There is no guarantee about other rows, about higher
    moments, or where p is wrong. Before the first :meth:`refit` the map is the identity.

    Parameters
    ----------
    width : int
        Width of h.
    n_classes : int
        Classes of the variable.
    rank : int, default=None
        Number of principal components in which covariances are aligned, at most `width`. The
        maps cost n_classes · rank² values, and as many products a row. None takes as many
        components as half a million products allow.

    Shape
    -----
    - Input: h of (n_samples, width), proba of (n_samples, n_classes)
    - Output: (n_samples, width)

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import ConditionalAligner
    >>> z = torch.eye(2)[torch.arange(1000) % 2]  # certain probabilities
    >>> h = torch.randn(1000, 3) * (1 + z[:, :1])  # one class spreads twice as far
    >>> aligner = ConditionalAligner(3, 2)
    >>> aligner.refit([(h, z)])
    >>> spread = [aligner(h, z)[z[:, k] == 1].std() for k in (0, 1)]
    >>> abs(spread[0] / spread[1] - 1) < 0.1
    tensor(True)
    """

    def __init__(self, width, n_classes, rank=None):
        super().__init__()
        rank = min(width, rank or max(1, math.isqrt(MOST_PRODUCTS // n_classes)))
        self.register_buffer("basis", torch.zeros(width, rank))  # V
        self.register_buffer("maps", torch.zeros(n_classes, rank, rank))  # A_k − I
        self.register_buffer("offsets", torch.zeros(n_classes, rank))  # (A_k − I) Vᵀ m_k
        self.register_buffer("shifts", torch.zeros(n_classes, width))  # μ − m_k

    def forward(self, h, proba):
        n_classes, rank, _ = self.maps.shape
        u = aligned(product(h, self.basis))  # (n, rank)
        moved = (u @ self.maps.reshape(-1, rank).T).view(-1, n_classes, rank)  # maps are symmetric
        moved = aligned(mixture(proba, moved - self.offsets))
        return h + product(proba, self.shifts) + moved @ self.basis.T  # (n, width)

    @torch.no_grad()
    def refit(self, blocks, max_rows=8192):
        """Fit the map to rows and their probabilities.

        Parameters
        ----------
        blocks : iterable of (h, proba) or (h, proba, weight)
            Blocks of rows, read once. h has shape (block, width), proba (block, n_classes),
            and the non-negative weight (block,). A common factor of the weights does not
            matter.
        max_rows : int, default=8192
            The basis is computed from this many first rows. Pass blocks in random order.
        """
        rank = self.basis.shape[1]
        basis, blocks = _basis(blocks, rank, max_rows)
        count, means, moments = _class_moments(blocks, basis)
        centre = count @ means / count.sum()
        means[count == 0] = centre  # a class without rows is not moved
        inside = means @ basis  # (classes, rank)
        within = moments - torch.einsum("ki,kj->kij", inside, inside)  # S_k: (classes, rank, rank)
        pooled = torch.einsum("k,kij->ij", count / count.sum(), within)
        # few rows estimate a covariance badly: the mean covariance counts as further rows
        trust = (count / (count + PRIOR * rank)).view(-1, 1, 1)
        maps = _transport(trust * within + (1 - trust) * pooled, pooled)
        maps.diagonal(dim1=1, dim2=2).sub_(1)
        self.basis.copy_(basis)
        self.maps.copy_(maps)
        self.offsets.copy_(torch.einsum("kij,kj->ki", maps, inside))
        self.shifts.copy_(centre - means)

    def extra_repr(self):
        n_classes, rank, _ = self.maps.shape
        return f"width={len(self.basis)}, n_classes={n_classes}, rank={rank}"


class AlignerChain(nn.ModuleList):
    """Aligners of several variables, one after the other.

    Parameters
    ----------
    width : int
        Width of h.
    sizes : list of int
        Number of classes of each variable.
    rank : int, default=None
        The rank of each :class:`ConditionalAligner`.

    Shape
    -----
    - Input: h of (n_samples, width), logits of (n_samples, classes of all variables side by
      side)
    - Output: (n_samples, width)

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import AlignerChain
    >>> first, second = torch.randn(100, 2), torch.randn(100, 3)
    >>> logits = torch.cat([first, second], 1)
    >>> chain = AlignerChain(4, [2, 3])
    >>> chain.refit([(torch.randn(100, 4), logits)])
    >>> chain(torch.randn(5, 4), logits[:5]).shape
    torch.Size([5, 4])
    """

    def __init__(self, width, sizes, rank=None):
        super().__init__(ConditionalAligner(width, size, rank) for size in sizes)
        self.sizes = sizes

    def forward(self, h, logits):
        return self._through(len(self), h, logits)

    def _through(self, n_aligners, h, logits):
        parts = logits.split(self.sizes, dim=1)
        for aligner, part in list(zip(self, parts, strict=True))[:n_aligners]:
            h = aligner(h, part.softmax(1))
        return h

    @torch.no_grad()
    def refit(self, blocks):
        """Fit every aligner to the output of the aligners before it.

        Parameters
        ----------
        blocks : iterable of (h, logits) or (h, logits, weight)
            See :meth:`ConditionalAligner.refit`. The logits of all variables lie side by side.
            The blocks are read once for each variable.
        """
        for index, aligner in enumerate(self):
            aligner.refit(
                (self._through(index, h, z), z.split(self.sizes, 1)[index].softmax(1), *weight)
                for h, z, *weight in blocks
            )


def _basis(blocks, rank, max_rows):
    """Leading principal components within the classes, and an iterator over all blocks."""
    blocks = iter(blocks)
    first, n_rows = [], 0
    for block in blocks:
        first.append(block)
        n_rows += len(block[0])
        if n_rows >= max_rows:
            break
    h = torch.cat([block[0] for block in first]).double()
    proba = torch.cat([block[1] for block in first]).double()
    means = (proba.T @ h) / proba.sum(0).clamp_min(1e-12).unsqueeze(1)
    within = h - proba @ means
    _, vectors = torch.linalg.eigh(within.T @ within)  # by rising variance
    return vectors[:, -rank:], chain(first, blocks)


def _class_moments(blocks, basis):
    """Rows and mean of each class, and its second moment in the basis, in float64.

    Weights of any common factor give the same number of rows.
    """
    count = sums = moments = total = 0.0
    n_rows = 0
    for h, proba, *weight in blocks:
        h, proba = h.double(), proba.double()
        n_rows += len(h)
        total = total + (weight[0].double().sum() if weight else len(h))
        if weight:
            proba = proba * weight[0].double().unsqueeze(1)
        u = h @ basis
        count = count + proba.sum(0)
        sums = sums + proba.T @ h
        moments = moments + torch.einsum("nk,ni,nj->kij", proba, u, u)
    some = count.where(count > 0, 1.0)  # a class may be without rows
    return count * (n_rows / total), sums / some.unsqueeze(1), moments / some.view(-1, 1, 1)


def _transport(covariances, target):
    """Optimal maps from normal distributions with `covariances` to the one with `target`."""
    epsilon = 1e-4 * target.diagonal().mean().clamp_min(1e-12)
    eye = epsilon * torch.eye(len(target), dtype=target.dtype, device=target.device)
    root, inverse = _power(covariances + eye, 0.5), _power(covariances + eye, -0.5)
    return inverse @ _power(root @ (target + eye) @ root, 0.5) @ inverse


def _power(matrices, exponent):
    """Powers of symmetric positive matrices."""
    values, vectors = torch.linalg.eigh(matrices)
    values = values.clamp_min(torch.finfo(values.dtype).tiny) ** exponent
    return (vectors * values.unsqueeze(-2)) @ vectors.mT
