"""Looking at what a fitted network does, and at what its representation still tells."""

from sklearn_thin.inspection._experts import class_separation_ratio, expert_agreement
from sklearn_thin.inspection._explain import explain
from sklearn_thin.inspection._gate import gate_importances, leaf_usage, similar_levels
from sklearn_thin.inspection._leakage import leakage_score

__all__ = [
    "class_separation_ratio",
    "expert_agreement",
    "explain",
    "gate_importances",
    "leaf_usage",
    "leakage_score",
    "similar_levels",
]
