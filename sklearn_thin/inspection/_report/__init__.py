"""A report before modelling: whether a nuisance variable pays, and how to use it.

The data flow: rows (:mod:`~._report.rows`) -> held-out losses of the models
(:mod:`~._report.models`) and of regressions (:mod:`~._report.drift`) -> ratios with intervals
(:mod:`~._report.ratios`) -> a word (:mod:`~._report.advice`) -> text, HTML and a figure
(:mod:`~._report.view`).
"""

from sklearn_thin.inspection._report.report import nuisance_report

__all__ = ["nuisance_report"]
