"""
===========================================
Depth, experts and λ in one stacked search
===========================================

The depth of the tree, the number of experts and λ decide how much a gate can do. A grid over all
three has many candidates. :class:`~sklearn_thin.model_selection.StackedGridSearchCV` trains the
candidates and the folds together, as one batched program. It has the interface and the results of
scikit-learn's `GridSearchCV`.

The images are scikit-learn's digits, each at an angle of its own. An encoder has learned the
angles.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.datasets import make_rotated
from sklearn_thin.model_selection import StackedGridSearchCV

images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8) / 16
images, images_test, y, y_test = train_test_split(images, digits, test_size=0.4, random_state=0)
train = make_rotated(images, n_copies=2, random_state=0)
test = make_rotated(images_test, n_copies=2, random_state=1)
y, y_test, groups = y[train.index], y_test[test.index], train.index

# %%
# The encoder, trained first. Its backbone is the one of the candidates, as λ needs.

backbone = MLPBackbone((64,))
encoder = ExogenousEncoder(backbone, max_epochs=20, random_state=0)
encoder.fit(train.images, train.angle_bins)
print(f"angle recognised: {encoder.score(test.images, test.angle_bins):.2f}")

# %%
# One search over depth, experts and λ: 24 candidates on three folds. The copies of an image stay in
# one fold.

thin = THINClassifier(
    FrozenEstimator(encoder), backbone=backbone, lam=0.01, max_epochs=20, random_state=0
)
grid = {"depth": [0, 1, 2, 3], "n_experts": [4, 8], "lam": [0.001, 0.01, 0.1]}
folds = np.arange(len(images)) % 3  # of an image
splits = [
    (np.flatnonzero(folds[groups] != k), np.flatnonzero(folds[groups] == k)) for k in range(3)
]
search = StackedGridSearchCV(thin, grid, cv=splits).fit(train.images, y)

print(search.best_params_)
print(f"cross-validated {search.best_score_:.3f}, held out {search.score(test.images, y_test):.3f}")

# %%
# Depth against λ, averaged over the two numbers of experts. A bar is the standard deviation over
# folds.

results = search.cv_results_
depth, lam = (np.asarray(results[f"param_{name}"], dtype=float) for name in ("depth", "lam"))
scores = np.stack([results[f"split{k}_test_score"] for k in range(3)])  # (3, n_candidates)

figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for value, color in zip(grid["lam"], ["#4477aa", "#ee6677", "#228833"], strict=True):
    chosen = [scores[:, (depth == d) & (lam == value)].mean(axis=1) for d in grid["depth"]]
    mean, deviation = np.mean(chosen, axis=1), np.std(chosen, axis=1)
    shift = 0.06 * (grid["lam"].index(value) - 1)
    ax.errorbar(
        np.array(grid["depth"]) + shift,
        mean,
        deviation,
        marker="o",
        color=color,
        label=f"λ = {value}",
    )
ax.set(xlabel="depth of the tree", ylabel="accuracy, three folds", xticks=grid["depth"])
ax.legend(loc="upper left")
figure.savefig("plot_search.png", dpi=150)
