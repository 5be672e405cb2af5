"""
==================================================
A frame as it comes: missing values, text, groups
==================================================

Real frames have missing numbers, text, categories, and a sentinel such as -9999. `THINClassifier`
takes them as they come. The backbone reads a prepared table: missing values are predicted from the
row's other numbers and marked, text becomes levels, and numbers are scaled robustly and clipped.

The frame here is drawn, and then spoilt on purpose. Rows of one machine stay together in a fold.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GroupKFold, cross_val_score

from sklearn_thin import THINClassifier
from sklearn_thin.datasets import make_sites

sites = make_sites(n_samples=2000, n_sites=24, as_frame=True, random_state=0)
X, y = sites.data, sites.target
machine = np.random.default_rng(0).integers(300, size=len(X))

# %%
# Spoil it: a tenth of three columns is missing, some cells hold -9999, one column is in units of
# 1e-6, and one more column is text.

rng = np.random.default_rng(1)
spoilt = X.copy()
for name in ["x0", "x1", "x2"]:
    spoilt.loc[rng.random(len(X)) < 0.1, name] = np.nan
spoilt.loc[rng.random(len(X)) < 0.005, "x3"] = -9999
spoilt["x4"] *= 1e-6
spoilt["shift"] = rng.choice(["day", "night"], size=len(X))
print(spoilt.head())

# %%
# Cross-validation takes both frames as they are.

clf = THINClassifier("site", max_epochs=10, random_state=0)
folds = GroupKFold(4)
scores = {
    "clean": cross_val_score(clf, X, y, groups=machine, cv=folds),
    "spoilt": cross_val_score(clf, spoilt, y, groups=machine, cv=folds),
}
for name, values in scores.items():
    print(f"{name:7} {values.mean():.3f} ± {values.std():.3f}")

# %%
# A site that a frame lacks, or does not name, gets the gate's prior.

clf.fit(spoilt, y)
unnamed = spoilt.head(3).assign(site=[None, "a new site", spoilt["site"].iloc[2]])
print(clf.predict_proba(unnamed).round(2))

# %%
# Missing cells cost accuracy, since their values are gone. Units, text and sentinels do not ruin
# the fit.

figure, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
for i, (name, values) in enumerate(scores.items()):
    ax.barh(name, values.mean(), color=["#4477aa", "#ee6677"][i])
    ax.plot(values, [i] * len(values), "o", color="#222222", markersize=4)
ax.set(xlim=(0, 1), xlabel="accuracy, four folds (dots) and their mean")
ax.invert_yaxis()
figure.savefig("plot_frame.png", dpi=150)
