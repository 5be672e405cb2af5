"""Heads: what turns a representation, or a network's output, into logits of classes."""

import copy

import torch
from torch import nn


class ExpertHead(nn.Module):
    """The one expert of an encoder as c: h -> logits, (n, width) -> (n, classes)."""

    def __init__(self, experts):
        super().__init__()
        self.experts = experts

    def forward(self, h):
        return self.experts(h).squeeze(1)


class BinaryLogits(nn.Module):
    """One decision value as the logits of two classes: (n, 1) -> (n, 2).

    ∓s/2 has the softmax of (0, s), and a direction that means something to a cosine.
    """

    def forward(self, s):
        return torch.cat([-s / 2, s / 2], dim=1)


class LogProbabilities(nn.Module):
    """Probabilities as logits."""

    def forward(self, proba):
        return torch.log(proba + torch.finfo(proba.dtype).eps)


class Logit(nn.Module):
    """Probabilities of the second of two classes as decision values."""

    def forward(self, proba):
        return torch.logit(proba, torch.finfo(proba.dtype).eps)


class ClassLogits(nn.Module):
    """A network whose one value a row, if it gives no more, becomes the logits of two classes.

    The softmax of a single logit is always 1, and its cosine is always ±1. Neither would steer a
    gate, or dispel anything.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.binary = BinaryLogits()

    @classmethod
    def frozen(cls, network):
        """The head of a copy of the network, on the CPU, in eval mode, without gradients."""
        return cls(copy.deepcopy(network)).cpu().eval().requires_grad_(False)

    def forward(self, h):
        z = self.network(h)
        n_rows = h.shape[0]  # len(h) would fix it in exported programs
        if z.ndim < 2 and z.numel() == n_rows:  # skorch's binary nets may give a flat output
            z = z.reshape(n_rows, 1)
        if z.ndim != 2:
            raise ValueError(
                "exogenous_predictor must give logits of shape (n_samples, n_classes), or one for "
                f"two classes, (n_samples, 1) or (n_samples,), but {type(self.network).__name__} "
                f"gave {tuple(z.shape)} for {n_rows} rows; flatten its output"
            )
        return self.binary(z) if z.shape[1] == 1 else z
