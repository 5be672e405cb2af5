"""
==================================================
Sites of hidden types: the gate finds who is alike
==================================================

Sixty sites measure the same features. Each site is of one of four hidden types, and the relation of
features and classes depends on the type. Nobody knows the types, and each site has about 67 rows.
The site is the exogenous variable: `exogenous="site"` names its column.

One model for all sites averages relations that contradict each other. One model for each site
learns from 67 rows. A gate lets sites of one type share an expert, and finds these sites.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import train_test_split

from sklearn_thin import MLPBackbone, THINClassifier
from sklearn_thin.datasets import make_sites
from sklearn_thin.inspection import GateDisplay, similar_levels

# %%
# The frame has seven features and the column "site". Half of the rows are for training.

sites = make_sites(n_samples=8000, as_frame=True, random_state=0)
X, y = sites.data, sites.target
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=4000, stratify=X["site"], random_state=0
)
features = [name for name in X.columns if name != "site"]
kind = dict(zip(sites.site_names, sites.site_type, strict=True))  # hidden from all but the oracle

# %%
# A regression for each value of a column: of each site, or of each hidden type.


def accuracy_by(model, level, X_test=X_test):
    """Accuracy of one clone of the model for each level of the rows."""
    of_train, of_test = (frame["site"].map(level).to_numpy() for frame in (X_train, X_test))
    right = np.zeros(len(X_test), bool)
    for value in np.unique(of_train):
        train, test = of_train == value, of_test == value
        fitted = clone(model).fit(X_train.loc[train, features], y_train[train])
        right[test] = fitted.predict(X_test.loc[test, features]) == y_test[test]
    return right.mean()


# %%
# The gated model. Within a type the relation is linear, so that experts without a hidden layer
# suffice. A search over `depth` and `backbone` finds this setting on rows of its own.

thin = THINClassifier(
    "site", backbone=MLPBackbone(()), depth=2, lr=5e-3, max_epochs=50, random_state=0
)
thin.fit(X_train, y_train)

regression = LogisticRegression()
boosting = HistGradientBoostingClassifier(categorical_features=["site"], random_state=0)
as_category = [frame.assign(site=frame["site"].astype("category")) for frame in (X_train, X_test)]
ladder = {
    "one regression for all": accuracy_by(regression, lambda site: 0),
    "boosting, site as category": boosting.fit(as_category[0], y_train).score(
        as_category[1], y_test
    ),
    "one regression for each site": accuracy_by(regression, lambda site: site),
    "THIN, gated by the site": thin.score(X_test, y_test),
    "oracle: one for each hidden type": accuracy_by(regression, kind.get),
}
for name, accuracy in ladder.items():
    print(f"{name:34s}{100 * accuracy:5.1f} %")

# %%
# The favourite leaf of each site shows the hidden types: the gate has never read them.

alike = similar_levels(thin, X_test, X_test["site"])
types = np.array([kind[site] for site in alike.levels])
found = adjusted_rand_score(types, alike.leaf)
print(f"adjusted Rand index of favourite leaf and hidden type: {found:.2f}")

# %%
# Left: accuracy of the models. Right: the leaves of each site. Sites are in the order of their
# hidden types, with a line between two types. The first page has this figure, by
# `SOURCE_DATE_EPOCH=0 python examples/plot_sites.py docs/plot_sites.svg`. With
# `MATPLOTLIBRC=docs/dark.matplotlibrc` before `python`, the figure is that of the dark theme.

plt.rcParams["svg.hashsalt"] = "sites"  # equal runs write equal files
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
names = list(ladder)
colours = ["C1" if "THIN" in name else "0.7" for name in names]
bars = left.barh(names, [100 * ladder[name] for name in names], color=colours)
left.bar_label(bars, fmt="%.1f", padding=3)
left.invert_yaxis()
left.set(xlabel="accuracy, %", xlim=(0, 100))

order = np.argsort(types, kind="stable")
GateDisplay.from_estimator(
    thin,
    X_test,
    X_test["site"],
    level_order=alike.levels[order],
    level_name="site, by hidden type",
    ax=right,
)
for edge in np.flatnonzero(np.diff(types[order])):
    right.axhline(edge + 0.5, color="white", linewidth=2)
for file in sys.argv[1:] or ["plot_sites.png"]:
    figure.savefig(file, dpi=120)
    print(f"figure: {file}")
