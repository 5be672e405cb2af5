# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab: exogenous gating
#
# Five exercises on nuisance variables, with the package `sklearn_thin`. Exercises 1 to 3 take 45
# minutes. Exercises 4 and 5 are homework.
#
# Each exercise has cells for your code. Most have a cell that checks it. Install the package first,
# from a clone of its repository: `pip install -c constraints.txt -e '.[examples]'`, and Jupyter.

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.datasets import make_rotated, make_sites
from sklearn_thin.inspection import leakage_score, nuisance_report, similar_levels

# %% [markdown]
# ## Exercise 1: see a drift
#
# Forty sites measure seven features. The relation of features and classes depends on a hidden type
# of the site. `X` has a column "site".

# %%
sites = make_sites(n_samples=4000, n_sites=40, as_frame=True, random_state=0)
X, y = sites.data, sites.target
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
features = X.columns.drop("site")
X_train.head()

# %% [markdown]
# Compute three accuracies on `X_test`:
#
# - `pooled`, of one logistic regression for all sites;
# - `each_site`, of one regression for each site;
# - `gated`, of `THINClassifier("site", depth=2, backbone=MLPBackbone(()), lr=5e-3)` with 30 epochs
#   and a seed. Call this model `clf`.


# %% tags=["solution"]
def of_pooled(X_train, y_train):
    """Accuracy of one regression for all sites."""
    return LogisticRegression().fit(X_train[features], y_train).score(X_test[features], y_test)


def of_each_site(X_train, y_train):
    """Accuracy of one regression for each site."""
    right = []
    for site in sites.site_names:
        train, test = X_train["site"] == site, X_test["site"] == site
        alone = LogisticRegression().fit(X_train.loc[train, features], y_train[train])
        right.append(alone.predict(X_test.loc[test, features]) == y_test[test])
    return np.concatenate(right).mean()


def of_gate(X_train, y_train, depth=2, lr=5e-3):
    """A gate by the site, and its accuracy."""
    backbone = MLPBackbone(())
    clf = THINClassifier(
        "site", depth=depth, backbone=backbone, lr=lr, max_epochs=30, random_state=0
    )
    return clf, clf.fit(X_train, y_train).score(X_test, y_test)


pooled, each_site = of_pooled(X_train, y_train), of_each_site(X_train, y_train)
clf, gated = of_gate(X_train, y_train)

# %%
print(f"pooled {pooled:.2f}, each site {each_site:.2f}, gated {gated:.2f}")
assert pooled < each_site < gated

# %% [markdown]
# Questions. How many rows does the regression of one site learn from? How many rows does one of
# four experts learn from? The oracle that knows the types is right in `sites.oracle` of the rows.
#
# Which sites are alike? Compare `similar_levels(clf, X_test, X_test["site"]).leaf` with the hidden
# `sites.site_type`.

# %% tags=["solution"]
alike = similar_levels(clf, X_test, X_test["site"])
kind = dict(zip(sites.site_names, sites.site_type, strict=True))
for leaf in np.unique(alike.leaf):
    print(leaf, [int(kind[site]) for site in alike.levels[alike.leaf == leaf]])

# %% [markdown]
# ## Exercise 2: the tree gate
#
# A tree of depth 2 has three nodes and four leaves. `clf.decision_path(X)` gives the probability to
# go left at each node: the root, its left child, its right child. Write `leaf_weights(d)`, which
# makes the four weights of shape (n, 4) from `d` of shape (n, 3). Leaves count from left to right.


# %% tags=["solution"]
def leaf_weights(d):
    """Weights of the leaves of a tree of depth 2: products along the paths."""
    root, left, right = d.T
    paths = [root * left, root * (1 - left), (1 - root) * right, (1 - root) * (1 - right)]
    return np.stack(paths, axis=1)


# %%
ours = leaf_weights(clf.decision_path(X_test))
np.testing.assert_allclose(ours.sum(axis=1), 1, rtol=1e-5)
np.testing.assert_allclose(ours, clf.gate_proba(X_test), atol=1e-5)

# %% [markdown]
# Write the same for any depth. Nodes count level by level, from left to right.


# %% tags=["solution"]
def leaf_weights_of_any_depth(d):
    """Each level splits every weight in two."""
    weights, start = np.ones((len(d), 1)), 0
    while start < d.shape[1]:
        nodes = d[:, start : start + weights.shape[1]]
        start += weights.shape[1]
        weights = np.stack([weights * nodes, weights * (1 - nodes)], axis=2).reshape(len(d), -1)
    return weights


# %%
np.testing.assert_allclose(leaf_weights_of_any_depth(clf.decision_path(X_test)), ours, atol=1e-6)

# %% [markdown]
# ## Exercise 3: will it pay?
#
# `nuisance_report(X, y, z)` cross-validates networks that differ in their use of z. Ask it about
# the sites. Then ask about other rows, in which z only moves X: the relation of X and y is the same
# at all sites. Keep the reports as `of_sites` and `of_shift`, and their advice as `drift` and
# `shift`.

# %%
rng = np.random.default_rng(0)
z = X_train["site"].to_numpy()
moved = rng.normal(size=(2000, 4)) + rng.normal(size=(40, 4))[np.unique(z, return_inverse=True)[1]]
of_moved = (moved @ [1, -1, 1, 0] + rng.normal(size=2000) > 0).astype(int)

# %% tags=["solution"]
of_sites = nuisance_report(X_train[features], y_train, z, random_state=0)
of_shift = nuisance_report(moved, of_moved, z, random_state=0)
drift, shift = of_sites.advice, of_shift.advice

# %%
print(f"drift: {drift}; shift: {shift}")
assert drift == "gate"
assert shift != "gate"

# %% [markdown]
# Read `print(of_sites)`. Which model is the counterpart of "gate by z, linear experts"? Why is a
# comparison with "pooled" alone not fair?

# %% [markdown]
# ## Exercise 4: forget the angle
#
# The encoder recognises the angle of a digit. Fit three classifiers with the gate
# `FrozenEstimator(encoder)` and `dispelling` of None, "erasure" and "alignment". Keep
# `transform(test.images)` in the dict `h`. Keep the accuracy of a fresh probe on it in the dict
# `probe`, by `leakage_score`.

# %%
images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8) / 16
images, images_test, digits, digits_test = train_test_split(images, digits, random_state=0)
train = make_rotated(images, n_bins=8, n_copies=2, random_state=0)
test = make_rotated(images_test, n_bins=8, n_copies=2, random_state=1)
digit = digits[train.index]
settings = {"backbone": MLPBackbone((64,)), "max_epochs": 10, "random_state": 0}
encoder = ExogenousEncoder(**settings).fit(train.images, train.angle_bins)

# %% tags=["solution"]
probe, h = {}, {}
for way in (None, "erasure", "alignment"):
    thin = THINClassifier(FrozenEstimator(encoder), dispelling=way, **settings)
    h[way] = thin.fit(train.images, digit).transform(test.images)
    leak = leakage_score(h[way], test.angle_bins, random_state=0)
    accuracy = thin.score(test.images, digits_test[test.index])
    print(f"{way!s:10} digit {accuracy:.2f}, angle {leak.accuracy:.2f}, chance {leak.chance:.2f}")
    probe[way] = leak.accuracy

# %%
assert probe["alignment"] < probe[None]

# %% [markdown]
# The probe above is linear. Fit a `RandomForestClassifier` to half of the rows of `h`, and score it
# on the other half. Keep the copies of an image in one half: `test.index` names the image. Through
# which of the three does the forest see?

# %% tags=["solution"]
half = test.index % 2 == 0
for way, of_way in h.items():
    forest = RandomForestClassifier(n_estimators=50, random_state=0)
    forest.fit(of_way[half], test.angle_bins[half])
    print(f"{way!s:10} forest {forest.score(of_way[~half], test.angle_bins[~half]):.2f}")

# %% [markdown]
# ## Exercise 5: break it
#
# When does the gate stop paying? Draw `pooled` and `gated` of exercise 1 against the number of
# training rows, from 3 to 50 rows a site. Then give the gate a rate a hundred times as high, or a
# depth of 5. Write down what you expect before you run it.

# %% tags=["solution"]
n_rows = [120, 400, 2000]
parts = [(X_train[:n], y_train[:n]) for n in n_rows]
curves = {
    "pooled": [of_pooled(*part) for part in parts],
    "gate": [of_gate(*part)[1] for part in parts[:2]] + [gated],
}
for change in ({"lr": 0.5}, {"depth": 5}):
    print(change, f"{of_gate(X_train, y_train, **change)[1]:.2f}, before {gated:.2f}")

figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for name, accuracies in curves.items():
    ax.plot(n_rows, accuracies, "o-", label=name)
ax.axhline(sites.oracle, color="0.5", linestyle="--", label="oracle")
ax.set(xlabel="training rows", ylabel="accuracy")
ax.legend()
