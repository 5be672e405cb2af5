"""Looking at what a fitted network does, and at what its representation still tells."""

from sklearn_thin.inspection._experts import class_separation_ratio, expert_agreement
from sklearn_thin.inspection._explain import explain
from sklearn_thin.inspection._gate import gate_importances, leaf_usage, similar_levels
from sklearn_thin.inspection._leakage import leakage_report, leakage_score
from sklearn_thin.inspection._levels import level_report
from sklearn_thin.inspection._plot.dispelling import DispellingDisplay
from sklearn_thin.inspection._plot.expert import ExpertDisplay
from sklearn_thin.inspection._plot.gate import GateDisplay
from sklearn_thin.inspection._plot.gate_tree import GateTreeDisplay
from sklearn_thin.inspection._plot.history import HistoryDisplay
from sklearn_thin.inspection._plot.pair_distance import PairDistanceDisplay, pair_distance_iou
from sklearn_thin.inspection._plot.pareto import ParetoDisplay
from sklearn_thin.inspection._plot.representation import RepresentationDisplay
from sklearn_thin.inspection._report import nuisance_report
from sklearn_thin.inspection._scorer import make_leakage_scorer, make_worst_level_scorer
from sklearn_thin.inspection._tree import export_gate_text

__all__ = [
    "DispellingDisplay",
    "ExpertDisplay",
    "GateDisplay",
    "GateTreeDisplay",
    "HistoryDisplay",
    "PairDistanceDisplay",
    "ParetoDisplay",
    "RepresentationDisplay",
    "class_separation_ratio",
    "expert_agreement",
    "explain",
    "export_gate_text",
    "gate_importances",
    "leaf_usage",
    "leakage_report",
    "leakage_score",
    "level_report",
    "make_leakage_scorer",
    "make_worst_level_scorer",
    "nuisance_report",
    "pair_distance_iou",
    "similar_levels",
]
