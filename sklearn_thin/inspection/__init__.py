"""Looking at what a fitted network does, and at what its representation still tells."""

from sklearn_thin.inspection._leakage import leakage_score

__all__ = ["leakage_score"]
