"""The networks, in torch alone, for any training loop without the estimators.

Reading order:

1. :class:`TreeGate`: the mixture weights.
2. :class:`ExpertEnsemble`: the experts under these weights.
3. :class:`MLP`, :class:`ConvNet`: the representation that the experts read.
4. :class:`LinearEraser`, :class:`ConditionalAligner`: dispelling from that representation.
5. :class:`THINModule`: the whole network.
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
