"""Hyperparameter searches and ensembles whose networks train together."""

from sklearn_thin.model_selection._ensemble import SeedEnsembleClassifier, SeedEnsembleRegressor
from sklearn_thin.model_selection._halving import StackedHalvingSearchCV
from sklearn_thin.model_selection._pareto import KneeRefit, pareto_front
from sklearn_thin.model_selection._search import StackedGridSearchCV, StackedRandomizedSearchCV
from sklearn_thin.model_selection._weighted import (
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
)

__all__ = [
    "KneeRefit",
    "SeedEnsembleClassifier",
    "SeedEnsembleRegressor",
    "StackedGridSearchCV",
    "StackedHalvingSearchCV",
    "StackedRandomizedSearchCV",
    "WeightedEnsembleClassifier",
    "WeightedEnsembleRegressor",
    "pareto_front",
]
