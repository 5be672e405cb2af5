"""The exogenous side as users pass it, checked once -> frozen variables -> the gate's input.

Reading order: :func:`read_variables` and :class:`Variable` (the parameters, checked),
:func:`refuse_side` (what cannot be a side), :func:`fit_side` (fitted, then frozen),
:class:`ExogenousSide` (X -> the gate's input and the predictors' logits), :func:`frozen_head`
(predictors of other libraries as torch heads), :class:`KnownVariable` (a column of X).
"""

from sklearn_thin.exogenous.known import GivenVariable, KnownVariable

__all__ = ["GivenVariable", "KnownVariable"]
