"""The terms of THIN's loss, as pure functions that return one value for each sample.

Weighting and reduction happen in one place, the training step.
"""

from torch.nn import functional as F

__all__ = ["cosine_dispelling", "cross_entropy"]


def cross_entropy(logits, y):
    """Cross-entropy of the softmax of `logits` with class codes `y`.

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_classes)
        The mixture z = Z·g.
    y : Tensor of shape (n_samples,), int64
        Class codes.

    Returns
    -------
    Tensor of shape (n_samples,)
        Non-negative, in nats.

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.losses import cross_entropy
    >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
    tensor([1.3863])
    """
    return F.cross_entropy(logits, y, reduction="none")  # (n,)


def cosine_dispelling(z_exo, z_endo):
    """|cos(c(h_exo), c(h_endo))|, the dispelling term of the THIN paper.

    The frozen exogenous predictor c predicts from both representations. The term is zero if its
    logits are orthogonal. A small value does not mean that the information has left h_endo: a
    fresh predictor may still read it.

    Parameters
    ----------
    z_exo, z_endo : Tensor of shape (n_samples, n_exogenous_classes)
        Logits of c on h_exo and on h_endo.

    Returns
    -------
    Tensor of shape (n_samples,)
        In [0, 1].

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.losses import cosine_dispelling
    >>> cosine_dispelling(torch.tensor([[1.0, 0.0]]), torch.tensor([[-2.0, 0.0]]))
    tensor([1.])
    """
    return F.cosine_similarity(z_exo, z_endo, dim=1).abs()  # (n,)
