"""
==========================================
Dispelling: what a fresh probe still reads
==========================================

A classifier of digits also learns the angle, although no one asked for it. Dispelling removes the
angle from the representation. A *fresh* probe measures whether it left: a model that is trained on
the finished representation to predict the angle. The loss of the training proves nothing.

Four ways are compared: none, the paper's term, erasure, and alignment.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from sklearn_thin import ExogenousEncoder, THINClassifier
from sklearn_thin.datasets import make_rotated
from sklearn_thin.inspection import leakage_score

images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8) / 16
images, images_test, y, y_test = train_test_split(images, digits, test_size=0.4, random_state=0)
train = make_rotated(images, n_copies=4, random_state=0)
test = make_rotated(images_test, random_state=1)
y = y[train.index]

settings = {"max_epochs": 4, "random_state": 0}
encoder = ExogenousEncoder(**settings).fit(train.images, train.angle_bins)
frozen = FrozenEstimator(encoder)

# %%
# The same network with four ways to dispel.

ways = {
    "none": {"dispelling": None},
    "the paper's term": {"dispelling": "cosine", "lam": 0.1},
    "erasure": {"dispelling": "erasure"},
    "alignment": {"dispelling": "alignment"},
}
accuracy, leaks = {}, {}
for name, way in ways.items():
    clf = THINClassifier(frozen, **way, **settings).fit(train.images, y)
    accuracy[name] = clf.score(test.images, y_test)
    h = clf.transform(test.images)
    leaks[name] = leakage_score(h, test.angle_bins, random_state=0)
    leak = leaks[name]
    print(f"{name:17} digit {accuracy[name]:.2f}  angle {leak.accuracy:.2f}  {leak.chance:.2f}")

# %%
# The digit stays, and the angle goes with erasure and alignment. The paper's term leaves the angle.

figure, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
where = np.arange(len(ways))
read = [leak.accuracy for leak in leaks.values()]
for shift, values, color, label in [
    (-0.2, list(accuracy.values()), "#4477aa", "digit, by the network"),
    (0.2, read, "#ee6677", "angle, by a fresh probe"),
]:
    bars = ax.barh(where + shift, values, 0.38, color=color, label=label)
    ax.bar_label(bars, fmt="{:.2f}", padding=3)
chance = leaks["none"].chance
ax.axvline(chance, color="#222222", linestyle="--", linewidth=1, label="chance, for the angle")
ax.set(yticks=where, yticklabels=list(ways), xlim=(0, 1.15), xlabel="accuracy on other images")
ax.invert_yaxis()
figure.legend(loc="outside upper center", ncols=3, fontsize="small")
figure.savefig("plot_dispelling.png", dpi=150)
