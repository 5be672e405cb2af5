"""Hyperparameter searches that train their candidates together."""

from sklearn_thin.model_selection._search import StackedGridSearchCV, StackedRandomizedSearchCV

__all__ = ["StackedGridSearchCV", "StackedRandomizedSearchCV"]
