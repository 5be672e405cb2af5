"""Other ways to dispel, from the literature, in the place of the paper's cosine term."""

import torch
from torch import nn
from torch.func import functional_call, grad
from torch.nn import functional as F

from sklearn_thin.dispelling import Cosine, Erasure


class CovariancePenalty(Cosine):
    """λ weighs the squared norm of the batch's covariance of h_endo with c's probabilities."""

    name = "covariance"

    def check(self, width, encoder, reads):
        """Nothing: no predictor reads h_endo."""

    def make_term(self, heads, sizes, width):
        """Σ_ij cov(h_i, p_j)² over the batch, as one value a row."""
        return CovarianceTerm()


class CovarianceTerm(nn.Module):
    """From (exogenous_logits, h_endo) to the penalty, (n_samples,)."""

    def forward(self, exogenous_logits, h):
        p = exogenous_logits.softmax(1)
        covariance = (h - h.mean(0)).T @ (p - p.mean(0)) / len(h)  # (width, exogenous classes)
        return covariance.square().sum().expand(len(h))


class GradientReversal(CovariancePenalty):
    """λ weighs an adversary's cross-entropy, reversed (Ganin et al., 2016).

    Parameters
    ----------
    random_state : int, default=0
        Draws the adversary's weights.
    """

    name = "reversal"

    def __init__(self, random_state=0):
        self.random_state = random_state

    def make_term(self, heads, sizes, width):
        """Minus the cross-entropy of an adversary, which takes a step in each batch."""
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(self.random_state)
            return Adversary(width, sum(sizes))


class ErasureAndReversal(Erasure, GradientReversal):
    """Closed-form erasure, beside an adversary."""

    name = "erasure and reversal"
    __init__ = GradientReversal.__init__
    check = Erasure.check
    make_term = GradientReversal.make_term


class Adversary(nn.Module):
    """A classifier of one hidden layer, and its own Adam; minus its cross-entropy, (n_samples,).

    The weights and the moments are buffers, which each batch moves. The network's optimizer does
    not know them, and many adversaries step as one batched program.
    """

    def __init__(self, width, n_labels, lr=1e-3):
        super().__init__()
        self.lr = lr
        network = nn.Sequential(
            nn.BatchNorm1d(width, affine=False, track_running_stats=False),
            nn.Linear(width, 128),
            nn.ReLU(),
            nn.Linear(128, n_labels),
        )
        self.names = [name for name, _ in network.named_parameters()]
        for index, (_, weight) in enumerate(network.named_parameters()):
            self.register_buffer(f"weight{index}", weight.detach().clone())
            self.register_buffer(f"mean{index}", torch.zeros_like(weight))
            self.register_buffer(f"square{index}", torch.zeros_like(weight))
        self.register_buffer("steps", torch.zeros(()))
        self.network = network.requires_grad_(False)

    def forward(self, exogenous_logits, h):
        proba = exogenous_logits.softmax(1)
        self._step(h.detach(), proba)
        logits = functional_call(self.network, self._weights(), (h,))
        return -F.cross_entropy(logits, proba, reduction="none")  # (n,)

    def _weights(self):
        return {name: getattr(self, f"weight{index}") for index, name in enumerate(self.names)}

    def _step(self, h, proba, betas=(0.9, 0.999), eps=1e-8):
        """One step of Adam, as torch.optim.Adam takes it."""

        def loss(weights):
            return F.cross_entropy(functional_call(self.network, weights, (h,)), proba)

        gradients = grad(loss)(self._weights())
        self.steps += 1
        for index, gradient in enumerate(gradients.values()):
            mean, square = getattr(self, f"mean{index}"), getattr(self, f"square{index}")
            mean += (1 - betas[0]) * (gradient - mean)
            square += (1 - betas[1]) * (gradient.square() - square)
            scale = (square / (1 - betas[1] ** self.steps)).sqrt() + eps
            weight = getattr(self, f"weight{index}")
            weight -= self.lr / (1 - betas[0] ** self.steps) * mean / scale
