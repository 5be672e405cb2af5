"""A fitted estimator -> a copy whose BatchNorm statistics are those of a new site."""

from copy import deepcopy

from sklearn.base import clone

from sklearn_thin._environment import fitted_attributes
from sklearn_thin.rows.arrays import check_finite
from sklearn_thin.training.adaptation import adapt_norms, norms_of


def adapted_copy(estimator, n_rows, blocks):
    """A copy of a fitted estimator, adapted to the module's inputs in blocks of rows.

    The copy shares the frozen exogenous side, and has a net of its own.
    """
    name = type(estimator).__name__
    if n_rows < 2:
        raise ValueError(f"{name}.adapt needs at least 2 rows for a variance, got {n_rows}")
    if not norms_of(estimator.module_):
        raise ValueError(
            f"{name} has nothing to adapt: its network has no torch.nn.BatchNorm layer with "
            "running statistics. Use a backbone with one, such as MLPBackbone(), or "
            "hidden_units above 0"
        )
    adapted = clone(estimator)
    vars(adapted).update(fitted_attributes(estimator), net_=deepcopy(estimator.net_))
    adapt_norms(adapted.module_, list(blocks))
    for buffer in adapted.module_.buffers():
        check_finite(buffer.cpu().numpy(), f"a statistic of {name}")
    return adapted
