"""
==============================
Ten minutes: gate a frame
==============================

A frame has a column that changes how the classes look: the site of a sensor, the wearer of a band,
the batch of an assay. This tour gates by this column, compares, looks inside, and saves the model.

The frame here is drawn. Sixty sites measure seven features, and each site is of one of four hidden
types. Put a frame of your own in its place.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import train_test_split

import sklearn_thin
from sklearn_thin import MLPBackbone, THINClassifier
from sklearn_thin.datasets import make_sites
from sklearn_thin.model_selection import StackedGridSearchCV

# %%
# A frame
# -------
#
# Seven columns of numbers, and the column "site" with sixty names.

sites = make_sites(n_samples=6000, as_frame=True, random_state=0)
X, y = sites.data, sites.target
print(X.head())

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=2000, random_state=0)

# %%
# Ignore, feature, or gate
# ------------------------
#
# The first network does not see the site. The second reads the site as one more feature. The gate
# of the third reads the site, and mixes experts by it. `exogenous` takes the name of the column.

settings = {"max_epochs": 15, "random_state": 0}
models = {
    "ignore": (THINClassifier(depth=0, **settings), X.columns.drop("site")),
    "feature": (THINClassifier(depth=0, **settings), X.columns),
    "gate": (THINClassifier("site", **settings), X.columns),
}
accuracy = {}
for name, (model, columns) in models.items():
    accuracy[name] = model.fit(X_train[columns], y_train).score(X_test[columns], y_test)
    print(f"{name:8} {accuracy[name]:.3f}")

# %%
# Tune it
# -------
#
# The search trains all candidates and folds as one program. `MLPBackbone(())` has no hidden layer:
# its experts are linear.

grid = {"depth": [2, 3], "backbone": [MLPBackbone(()), MLPBackbone((64,))], "lr": [0.003, 0.01]}
search = StackedGridSearchCV(THINClassifier("site", **settings), grid, cv=3).fit(X_train, y_train)
accuracy["gate, tuned"] = search.score(X_test, y_test)
print(search.best_params_)
print(f"{accuracy['gate, tuned']:.3f}, and the rule that knows the types: {sites.oracle:.3f}")

# %%
# Look inside
# -----------
#
# `gate_proba` gives each row's weights of the experts. Sites that share an expert are alike.

clf = search.best_estimator_
first = X_test.drop_duplicates("site").sort_values("site").head(3)
print(pd.DataFrame(clf.gate_proba(first), index=first["site"]).round(2))

# %%
# What if?
# --------
#
# `exogenous=` predicts as if a row had come from another site. A site that training lacked gets the
# gate's prior.

row = X_test.head(1)
print(clf.predict_proba(row).round(2), "at its own site,", row["site"].iloc[0])
print(clf.predict_proba(row, exogenous=first["site"].iloc[0]).round(2), "as if elsewhere")
print(clf.predict_proba(row.assign(site="a new site")).round(2), "at a new site")

# %%
# Keep it
# -------
#
# The file runs no code when it is loaded.

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "sites.thin"
    sklearn_thin.save(clf, file)
    again = sklearn_thin.load(file)
    print((again.predict(X_test) == clf.predict(X_test)).all())

# %%
# In one picture
# --------------

figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
bars = ax.barh(list(accuracy), list(accuracy.values()), color="#4477aa")
ax.bar_label(bars, fmt="{:.2f}", padding=-28, color="white")
ax.axvline(sites.oracle, color="#222222", linestyle="--", linewidth=1)
ax.text(sites.oracle - 0.01, 0, "rule that knows\nthe types", ha="right", va="center")
ax.set(xlabel="accuracy on held-out rows", xlim=(0, 1))
ax.invert_yaxis()
figure.savefig("plot_tour.png", dpi=150)
