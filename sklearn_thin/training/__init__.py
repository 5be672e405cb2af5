"""Training: one plan or a stack of plans -> trained nets. It knows no estimator.

Reading order: :class:`FitPlan` (the start of a training), :class:`THINNet` (one net, on top of
skorch), :class:`Stack` (nets of one family, together), and their padding.
"""
