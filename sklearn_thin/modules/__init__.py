"""The networks, in torch alone, for any training loop without the estimators.

Reading order:

1. :class:`TreeGate`: the mixture weights.
2. :class:`ExpertEnsemble`: the experts under these weights.
3. :class:`MLP` behind a :class:`ScalingLayer`, or :class:`ConvNet`: the representation that the
   experts read.
4. :class:`GatedMLP`: a representation whose layers the gate mixes too, of :class:`MixedLinear`
   maps and a :class:`Modulation`.
5. :class:`LinearEraser`, :class:`ConditionalAligner`: dispelling from that representation.
6. :class:`THINModule`: the whole network.
"""

from sklearn_thin.modules.alignment import AlignerChain, ConditionalAligner
from sklearn_thin.modules.backbones import MLP, ConvNet, ScalingLayer, TorchvisionFeatures
from sklearn_thin.modules.erasure import LinearEraser
from sklearn_thin.modules.experts import ExpertEnsemble
from sklearn_thin.modules.gated_layers import GatedMLP, MixedLinear, Modulation
from sklearn_thin.modules.thin import THINModule
from sklearn_thin.modules.tree_gate import TreeGate

__all__ = [
    "MLP",
    "AlignerChain",
    "ConditionalAligner",
    "ConvNet",
    "ExpertEnsemble",
    "GatedMLP",
    "LinearEraser",
    "MixedLinear",
    "Modulation",
    "ScalingLayer",
    "THINModule",
    "TorchvisionFeatures",
    "TreeGate",
]
