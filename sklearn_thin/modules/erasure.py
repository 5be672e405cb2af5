"""The eraser: removes from a representation the linear information about a variable."""

import torch
from torch import nn

from sklearn_thin.modules.tensors import aligned


class LinearEraser(nn.Module):
    """Affine map after which the representation is uncorrelated with given labels.

    The map is

        r(h) = h − Σ_hz (Σ_zh S Σ_hz)⁺ Σ_zh S (h − μ)

    S is the inverse of the covariance of h. This is closed-form linear erasure (LEACE; Belrose
    et al., 2023, theorem 4.2). On the rows of :meth:`refit`, no linear probe of r(h) predicts
    the labels better than a constant. Among all such maps this map moves h least, in the
    metric S. There is no guarantee about other rows, nor about probes that are not linear.
    Before the first :meth:`refit` the map is the identity.

    Parameters
    ----------
    width : int
        Width of h.
    n_labels : int
        Number of columns of the labels.

    Shape
    -----
    - Input: (n_samples, width); a second input is ignored
    - Output: (n_samples, width)

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import LinearEraser
    >>> z = torch.eye(2)[torch.arange(100) % 2]  # one-hot labels
    >>> h = torch.randn(100, 3) + z[:, :1]
    >>> eraser = LinearEraser(3, 2)
    >>> eraser.refit([(h, z)])
    >>> torch.cov(torch.cat([eraser(h), z], 1).T)[:3, 3:].abs().max() < 1e-5
    tensor(True)
    """

    def __init__(self, width, n_labels):
        super().__init__()
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("read", torch.zeros(n_labels, width))
        self.register_buffer("write", torch.zeros(width, n_labels))

    def forward(self, h, exogenous_logits=None):
        told = aligned(h - self.centre) @ self.read.T  # (n, labels)
        return h - aligned(told) @ self.write.T  # (n, width)

    @torch.no_grad()
    def refit(self, blocks, max_rows=8192):
        """Fit the map to rows and labels.

        Parameters
        ----------
        blocks : iterable of (h, z) or (h, z, weight)
            Blocks of rows, read once. h has shape (block, width), z (block, n_labels), and the
            non-negative weight (block,). z holds one-hot labels, probabilities or standardised
            numbers, of several variables side by side.
        max_rows : int, default=8192
            The covariance of h is computed from this many first rows, to bound its cost. Pass
            blocks in random order. S only measures how far h moves: the erasure is exact for
            any S.
        """
        means, cross, rows = _moments(blocks, max_rows)
        self.centre.copy_(means[0])
        whitened = _solve_covariance(rows - means[0], cross)  # S Σ_hz: (width, labels)
        # eigenvalues are shares of the labels' variance: the tolerances drop mere rounding
        inner = torch.linalg.pinv(cross.T @ whitened, hermitian=True, atol=1e-10, rtol=1e-6)
        self.read.copy_(whitened.T)
        self.write.copy_(cross @ inner)

    def extra_repr(self):
        return f"width={self.write.shape[0]}, n_labels={self.write.shape[1]}"


def _moments(blocks, max_rows):
    """Weighted means of h and z, their cross-covariance, and the first rows; in float64."""
    total = sum_h = sum_z = sum_hz = 0.0
    rows, missing = [], max_rows
    for h, z, *weight in blocks:
        h, z = h.double(), z.double()
        weight = weight[0].double() if weight else h.new_ones(len(h))
        if missing:
            rows.append(h[:missing])
            missing -= len(rows[-1])
        total += weight.sum()
        sum_h += weight @ h
        sum_z += weight @ z
        sum_hz += (h.T * weight) @ z
    means = sum_h / total, sum_z / total
    return means, sum_hz / total - torch.outer(*means), torch.cat(rows)


def _solve_covariance(rows, cross):
    """(Σ + ε·I)⁻¹ · cross, from the smaller system of width and rows.

    The ridge ε is a thousandth of the mean variance. It makes constant features harmless, such as
    those of a dead ReLU.
    """
    n_rows, width = rows.shape
    epsilon = 1e-3 * rows.square().mean().clamp_min(1e-12)
    if width <= n_rows:
        covariance = rows.T @ rows / n_rows
        covariance.diagonal().add_(epsilon)
        return torch.cholesky_solve(cross, torch.linalg.cholesky(covariance))
    # (εI + XᵀX/n)⁻¹ = (I − Xᵀ(nεI + XXᵀ)⁻¹X) / ε
    gram = rows @ rows.T
    gram.diagonal().add_(n_rows * epsilon)
    inside = torch.cholesky_solve(rows @ cross, torch.linalg.cholesky(gram))
    return (cross - rows.T @ inside) / epsilon
