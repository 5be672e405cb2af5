"""Alignment: all classes of the variable get one mean and one covariance."""

from numbers import Integral

import torch

from sklearn_thin.dispelling.cosine import Cosine
from sklearn_thin.modules import AlignerChain
from sklearn_thin.rows.labels import scaled_to_mean_one
from sklearn_thin.rows.numbers import Numbers


class Alignment(Cosine):
    """One mean and one covariance for all exogenous classes, in front of the experts.

    The map (:class:`~sklearn_thin.modules.ConditionalAligner`) reads the frozen predictors, in
    `predict` as in `fit`. It is fitted anew in each epoch, and at last to all training rows.
    λ weighs the paper's term beside the map. A map of this kind with labels in the place of the
    predictor is known as QLEACE (concept-erasure; Belrose et al., 2023).

    Parameters
    ----------
    rank : int, default=None
        Principal components of h_endo in which the covariances are aligned. None takes as many
        components as half a million products a row allow.
    keep_target : bool, default=False
        Whether the map is fitted to rows weighted so that y does not depend on the variable
        (reweighing; Kamiran and Calders, 2012). Where y depends on it, plain alignment also
        removes information about y. The weights are those of the map alone.

    Examples
    --------
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.dispelling import Alignment
    >>> THINClassifier(dispelling=Alignment()).set_params(dispelling__rank=8).dispelling
    Alignment(rank=8)
    """

    name = "alignment"
    reads_logits = True
    reads_target = False

    def __init__(self, rank=None, keep_target=False) -> None:
        self.rank = rank
        self.keep_target = keep_target

    def read_target(self, target, before, *, has_side):
        """None, as the map reads no labels; raises for a wrong rank before any long work."""
        if self.rank is not None and not (isinstance(self.rank, Integral) and self.rank > 0):
            raise ValueError(f"rank of Alignment must be a positive int or None, got {self.rank!r}")

    def check_kept(self, targets):
        """Raise for numbers as y, which have no frequencies."""
        if targets is Numbers:
            raise ValueError(
                "dispelling=Alignment(keep_target=True) needs classes as y, and a regressor has "
                "numbers. Use Erasure(keep_target=True)"
            )

    def map_labels(self, encoder, target, side, logits):
        """The predictors' logits."""
        numbers = [variable.name for variable in side.variables if variable.head is None]
        if numbers:
            raise ValueError(
                f"dispelling='alignment' needs classes, but {numbers[0]!r} holds numbers. Use "
                "dispelling='erasure', which erases numbers too, or bin them"
            )
        return logits, side.sizes

    def keep(self, labels, sizes, y, weight, *, goes_on):
        """Weights of the rows under which y does not depend on the variables."""
        given = torch.ones(len(y)) if weight is None else weight
        weight = given.double()
        for z in labels.split(sizes, dim=1):
            weight = weight * balance(z.softmax(1), torch.from_numpy(y), given, goes_on=goes_on)
        return labels, torch.from_numpy(scaled_to_mean_one(weight.numpy()))

    def make_map(self, width, sizes):
        """The aligners of the variables, one after the other."""
        return AlignerChain(width, sizes, self.rank)


def balance(proba, y, weight, *, goes_on):
    """Factors (n_samples,) of the rows: P(z) / P(z given y), by the probabilities of the row."""
    proba, weight = proba.double(), weight.double()  # (n, classes of z), (n,)
    joint = proba.new_zeros(int(y.max()) + 1, proba.shape[1])
    joint.index_add_(0, y, proba * weight[:, None])
    rows = proba.new_zeros(len(joint), proba.shape[1]).index_add_(0, y, proba)
    empty = rows[torch.unique(y)] < 0.5  # a class of y may be that of an earlier fit
    if empty.any() and not goes_on:
        raise ValueError(
            "dispelling=Alignment(keep_target=True) needs rows of each class of y in each "
            f"exogenous class, but {int(empty.sum())} of {empty.numel()} pairs have none. Merge "
            "classes, or use Erasure(keep_target=True)"
        )
    given_y = joint / joint.sum(1, keepdim=True).clamp_min(1e-12)
    ratio = (joint.sum(0) / joint.sum()) / given_y.clamp_min(1e-12)  # (classes of y, of z)
    return (proba * ratio[y]).sum(1)
