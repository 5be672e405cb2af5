"""Other ways to dispel, from the literature, in the place of the paper's cosine term.

Both are THINClassifiers whose dispelling term, weighted by `lam`, is another one.
"""

import torch
from torch import nn
from torch.nn import functional as F

from sklearn_thin import THINClassifier
from sklearn_thin._random import torch_seed
from sklearn_thin._validation import check_device


class CovarianceTHIN(THINClassifier):
    """λ weighs the squared norm of the batch's covariance of h_endo with what c says."""

    def _dispeller(self, module):
        return covariance_penalty


def covariance_penalty(exogenous_logits, h):
    """Σ_ij cov(h_i, p_j)² over the batch, as one value a row."""
    p = exogenous_logits.softmax(1)
    covariance = (h - h.mean(0)).T @ (p - p.mean(0)) / len(h)  # (width, exogenous classes)
    return covariance.square().sum().expand(len(h))


class ReversalTHIN(THINClassifier):
    """λ weighs an adversary's cross-entropy, reversed (Ganin et al., 2016)."""

    def _dispeller(self, module):
        (variable,) = self.exogenous_side_.variables
        with torch_seed(self.random_state, torch.device("cpu")):
            return Reversal(module.experts.in_features, variable.n_labels, self.device)


class Reversal:
    """An adversary of one hidden layer, a step a batch, and minus its cross-entropy."""

    def __init__(self, width, n_labels, device):
        self.adversary = nn.Sequential(
            nn.BatchNorm1d(width, affine=False),
            nn.Linear(width, 128),
            nn.ReLU(),
            nn.Linear(128, n_labels),
        ).to(check_device(device))
        self.optimizer = torch.optim.Adam(self.adversary.parameters(), lr=1e-3)

    def __call__(self, exogenous_logits, h):
        said = exogenous_logits.softmax(1)
        self.optimizer.zero_grad()
        F.cross_entropy(self.adversary(h.detach()), said).backward()
        self.optimizer.step()
        self.adversary.requires_grad_(False)
        values = -F.cross_entropy(self.adversary(h), said, reduction="none")
        self.adversary.requires_grad_(True)
        return values  # (n,)
