"""A fitted estimator -> a copy whose BatchNorm statistics are those of a new site."""

from copy import deepcopy
from typing import TypeVar

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from sklearn_thin._environment import fitted_attributes, public
from sklearn_thin.rows.arrays import check_finite, read_dataset
from sklearn_thin.training.adaptation import adapt_norms, norms_of

Estimator = TypeVar("Estimator")


@public
def adapt(self: Estimator, X, *, exogenous=None) -> Estimator:
    """A copy for a site that `fit` lacked, adapted to rows without labels.

    Means and variances of batch normalisation become those of X (AdaBN; Li et al., 2016). Those
    of the training count as 16 rows beside X (Schneider et al., 2020). All weights stay, and so
    do the exogenous side, the preprocessing and the map of `dispelling`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        Rows of one site, two at least, with classes about as frequent as in `fit`.
    exogenous : array-like, label or None, default=None
        See `predict`.

    Returns
    -------
    estimator
        Another fitted estimator. This estimator stays as it is.

    Raises
    ------
    ValueError
        If the network has no batch normalisation, or X has fewer than two rows.
    """
    check_is_fitted(self, "net_")
    n_rows, blocks = self._tensors(read_dataset(X, verbose=self.verbose)[0], exogenous)
    name = type(self).__name__
    if n_rows < 2:
        raise ValueError(f"{name}.adapt needs at least 2 rows for a variance, got {n_rows}")
    if not norms_of(self.module_):
        raise ValueError(
            f"{name} has nothing to adapt: its network has no torch.nn.BatchNorm layer with "
            "running statistics. Use a backbone with one, such as MLPBackbone(), or "
            "hidden_units above 0"
        )
    adapted = clone(self)
    # the frozen exogenous side is shared
    vars(adapted).update(fitted_attributes(self), net_=deepcopy(self.net_))
    adapt_norms(adapted.module_, list(blocks))
    for buffer in adapted.module_.buffers():
        check_finite(buffer.cpu().numpy(), f"a statistic of {name}")
    return adapted
