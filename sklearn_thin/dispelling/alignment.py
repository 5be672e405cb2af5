"""Alignment: all classes of the variable get one mean and one covariance."""

from numbers import Integral

from sklearn_thin.dispelling.cosine import Cosine
from sklearn_thin.modules import AlignerChain


class Alignment(Cosine):
    """One mean and one covariance for all exogenous classes, in front of the experts.

    The map (:class:`~sklearn_thin.modules.ConditionalAligner`) reads the frozen predictors, in
    `predict` as in `fit`. It is fitted anew in each epoch, and at last to all training rows.
    λ weighs the paper's term beside the map.

    Parameters
    ----------
    rank : int, default=None
        Principal components of h_endo in which the covariances are aligned. None takes as many
        components as half a million products a row allow.

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

    def __init__(self, rank=None):
        self.rank = rank

    def read_target(self, target, before, *, has_side):
        """None, as the map reads no labels; raises for a wrong rank before any long work."""
        if self.rank is not None and not (isinstance(self.rank, Integral) and self.rank > 0):
            raise ValueError(f"rank of Alignment must be a positive int or None, got {self.rank!r}")

    def map_labels(self, encoder, target, side, logits):
        """The predictors' logits."""
        numbers = [variable.name for variable in side.variables if variable.head is None]
        if numbers:
            raise ValueError(
                f"dispelling='alignment' needs classes, but {numbers[0]!r} holds numbers. Use "
                "dispelling='erasure', which erases numbers too, or bin them"
            )
        return logits, side.sizes

    def make_map(self, width, sizes):
        """The aligners of the variables, one after the other."""
        return AlignerChain(width, sizes, self.rank)
