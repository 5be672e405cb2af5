"""THIN: estimators that use a nuisance variable, then throw it away.

Reading order, which is also the order of the data flow:

1. :class:`ExogenousEncoder` learns the nuisance (*exogenous*) variable.
2. :class:`THINClassifier` gates experts by it and dispels it; :class:`THINRegressor` does so for
   numbers.
3. :class:`MLPBackbone`, :class:`ConvNetBackbone` and :class:`TorchvisionBackbone` build the
   backbones of both networks.
4. :class:`TablePreprocessor` brings the columns of tables to one scale for both.
5. :mod:`sklearn_thin.dispelling` has the ways to remove the nuisance from the representation.
6. :mod:`sklearn_thin.model_selection` trains the networks of a search, or of an ensemble, together.
7. :func:`save` and :func:`load` keep a fitted estimator in a file. :func:`to_torch`,
   :func:`to_onnx` and :func:`to_numpy` make a torch module, an ONNX graph or NumPy code of it.
8. :class:`DataParallel` trains one network in several processes.
9. :mod:`sklearn_thin.modules` and :mod:`sklearn_thin.losses` hold the parts in torch alone.
"""

from sklearn_thin._backbones import ConvNetBackbone, MLPBackbone, TorchvisionBackbone
from sklearn_thin._classifier import THINClassifier
from sklearn_thin._encoder import ExogenousEncoder
from sklearn_thin._regressor import THINRegressor
from sklearn_thin._saving import load, save
from sklearn_thin._version import __version__
from sklearn_thin.persistence import to_numpy, to_onnx, to_torch
from sklearn_thin.rows.tables import TablePreprocessor
from sklearn_thin.training.processes import DataParallel

__all__ = [
    "ConvNetBackbone",
    "DataParallel",
    "ExogenousEncoder",
    "MLPBackbone",
    "THINClassifier",
    "THINRegressor",
    "TablePreprocessor",
    "TorchvisionBackbone",
    "__version__",
    "load",
    "save",
    "to_numpy",
    "to_onnx",
    "to_torch",
]
