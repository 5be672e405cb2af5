"""The networks, in torch alone: usable in anyone's training loop, without the estimators.

Reading order: :class:`TreeGate` (what to mix), :class:`ExpertEnsemble` (what is mixed),
:class:`MLP`, :class:`ConvNet` (what they read), :class:`LinearEraser` and
:class:`ConditionalAligner` (what is taken out of it), :class:`THINModule` (the whole).
"""

from sklearn_thin.modules.alignment import AlignerChain, ConditionalAligner
from sklearn_thin.modules.backbones import MLP, ConvNet, TorchvisionFeatures
from sklearn_thin.modules.erasure import LinearEraser
from sklearn_thin.modules.experts import ExpertEnsemble
from sklearn_thin.modules.thin import THINModule
from sklearn_thin.modules.tree_gate import TreeGate

__all__ = [
    "MLP",
    "AlignerChain",
    "ConditionalAligner",
    "ConvNet",
    "ExpertEnsemble",
    "LinearEraser",
    "THINModule",
    "TorchvisionFeatures",
    "TreeGate",
]
