"""Displays in scikit-learn's convention: `from_estimator`, `plot(ax=None)`, `ax_`, `figure_`."""
