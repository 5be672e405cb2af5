"""THIN's loss: its terms as pure functions of one value a sample, weighed in one module."""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_thin.modules.tensors import widened

__all__ = [
    "CosineTerm",
    "THINLoss",
    "batch_losses",
    "cosine_dispelling",
    "cross_entropy",
    "squared_error",
]


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


def squared_error(prediction, y):
    """Squared error of predicted numbers, as a mean over the outputs.

    Parameters
    ----------
    prediction : Tensor of shape (n_samples, n_outputs)
        The mixture z = Z·g.
    y : Tensor of shape (n_samples, n_outputs)
        Numbers of about unit variance.

    Returns
    -------
    Tensor of shape (n_samples,)
        Non-negative, in squared units of y.

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.losses import squared_error
    >>> squared_error(torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([2.])
    """
    return F.mse_loss(prediction, y, reduction="none").mean(1)  # (n,)


def cosine_dispelling(z_exo, z_endo):
    """`|cos(c(h_exo), c(h_endo))|`, the dispelling term of the THIN paper.

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
        The values lie in [0, 1].

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.losses import cosine_dispelling
    >>> cosine_dispelling(torch.tensor([[1.0, 0.0]]), torch.tensor([[-2.0, 0.0]]))
    tensor([1.])
    """
    return F.cosine_similarity(z_exo, z_endo, dim=1).abs()  # (n,)


class CosineTerm(nn.Module):
    """The dispelling term of the THIN paper, as a mean over the exogenous variables.

    Parameters
    ----------
    heads : list of Module
        The frozen predictor c of each variable. The term keeps them in eval mode.
    sizes : list of int
        Exogenous classes of each variable.

    Shape
    -----
    - Input: exogenous_logits (n_samples, exogenous classes), the variables side by side;
      h_endo (n_samples, width)
    - Output: (n_samples,)

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.losses import CosineTerm
    >>> term = CosineTerm([torch.nn.Identity()], [2])
    >>> term(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
    tensor([0.])
    """

    def __init__(self, heads, sizes):
        super().__init__()
        self.heads = nn.ModuleList(heads).eval().requires_grad_(False)
        self.sizes = sizes

    def forward(self, exogenous_logits, h):
        parts = exogenous_logits.split(self.sizes, dim=1)
        values = [cosine_dispelling(z, c(h)) for z, c in zip(parts, self.heads, strict=True)]
        return torch.stack(values).mean(0)  # (n,)

    def train(self, mode=True):
        """Nothing, since statistics of the frozen predictors must not move."""
        return self


class THINLoss(nn.CrossEntropyLoss):
    """Loss of the fit + λ · dispelling, as weighted means over a batch.

    Parameters
    ----------
    term : Module, default=None
        It maps (exogenous_logits, h_endo) to values of shape (n_samples,), as
        :class:`CosineTerm` does. None is the loss of the fit alone.
    lam : float, default=0.0
        λ, weight of the term.
    fit_loss : function, default=cross_entropy
        It maps (output, y) to values of shape (n_samples,): :func:`cross_entropy` for class
        codes, or :func:`squared_error` for numbers. Its name is the key of its mean.

    Shape
    -----
    - Input: output, the pair of logits (n_samples, n_outputs) and h_endo (n_samples, width);
      y (n_samples,) of class codes, or (n_samples, n_outputs) of numbers; exogenous_logits
      (n_samples, exogenous classes), or None to leave the term out; weight (n_samples,), or None
      for equal weights
    - Output: dict of scalars: "loss", the name of `fit_loss` and, with the term, "dispelling"

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.losses import CosineTerm, THINLoss
    >>> loss = THINLoss(CosineTerm([torch.nn.Identity()], [2]), lam=0.5)
    >>> output = torch.zeros(1, 4), torch.tensor([[1.0, 0.0]])
    >>> loss(output, torch.tensor([2]), exogenous_logits=torch.tensor([[1.0, 0.0]]))["loss"]
    tensor(1.8863)
    """

    def __init__(self, term=None, lam=0.0, fit_loss=cross_entropy):
        super().__init__()
        self.term = term
        self.fit_loss = fit_loss
        self.register_buffer("lam", torch.tensor(float(lam)))

    def forward(self, output, y, exogenous_logits=None, weight=None):
        z, h = output
        fit = weighted_mean(self.fit_loss(z, y), weight)
        means = {self.fit_loss.__name__: fit}
        if self.term is None or exogenous_logits is None:
            return {"loss": fit, **means}
        means["dispelling"] = weighted_mean(self.term(exogenous_logits, h), weight)
        return {"loss": fit + self.lam * means["dispelling"], **means}


def weighted_mean(values, weight):
    """Mean of the weighted values; a batch of light rows counts less than one of heavy rows."""
    return (values if weight is None else values * weight).mean()


def batch_losses(module, loss, X, y, *, precision=None, dispelled=True):
    """The pure step of a training: means of the loss and its terms over a batch.

    Parameters
    ----------
    module : callable
        See :class:`~sklearn_thin.modules.THINModule`.
    loss : callable
        See :class:`THINLoss`.
    X : dict of Tensor
        "x", and where they exist "gate_input", "exogenous_logits" and "weight".
    y : Tensor of shape (n_samples,) or (n_samples, n_outputs)
        Class codes, or numbers.
    precision : torch.dtype, default=None
        Type to which the module's computations are cast; losses stay in float32.
    dispelled : bool, default=True
        Whether the loss has the dispelling term.

    Returns
    -------
    means : dict of scalar Tensor
        See :class:`THINLoss`.
    output : tuple of Tensor
        The module's output.

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.losses import THINLoss, batch_losses
    >>> from sklearn_thin.modules import MLP, ExpertEnsemble, THINModule, TreeGate
    >>> module = THINModule(MLP(5, (8,)), ExpertEnsemble(8, 3, 4), TreeGate(8, 2))
    >>> X, y = {"x": torch.randn(6, 5)}, torch.arange(6) % 3
    >>> batch_losses(module, THINLoss(), X, y)[0]["loss"].backward()
    """
    logits, device = X.get("exogenous_logits"), X["x"].device.type
    # a cache inside another block of autocast would keep the casts of earlier weights
    cast = {"device_type": device, "dtype": precision, "cache_enabled": False}
    with nullcontext() if precision is None else torch.autocast(**cast):
        output = module(X["x"], X.get("gate_input"), logits)
    output = tuple(widened(part) for part in output)
    return loss(output, y, logits if dispelled else None, X.get("weight")), output
