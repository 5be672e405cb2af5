"""
==============================
The gate in training, animated
==============================

Sixty sites of four hidden types share four linear experts. At the start the gate sends each site to
all experts alike. Epoch by epoch the sites of one type gather at one expert. The gate never reads
the types: it learns from the loss of the classes alone.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import train_test_split

from sklearn_thin import MLPBackbone, THINClassifier
from sklearn_thin.datasets import make_sites
from sklearn_thin.inspection import GateDisplay

EPOCHS = 30
sites = make_sites(n_samples=8000, as_frame=True, random_state=0)
X, y = sites.data, sites.target
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=4000, stratify=X["site"], random_state=0
)

# %%
# `partial_fit` trains one epoch. The gate's weights depend on the site alone, so that one row of
# each site shows them. The rows are in the order of the hidden types.

order = np.argsort(sites.site_type, kind="stable")
types, names = sites.site_type[order], sites.site_names[order]
one_of_each = X_test.drop_duplicates("site").set_index("site", drop=False).loc[names]

clf = THINClassifier("site", backbone=MLPBackbone(()), depth=2, lr=2e-3, random_state=0)
weights, accuracy, found = [], [], []
for epoch in range(EPOCHS):
    clf.partial_fit(X_train, y_train)
    weights.append(clf.gate_proba(one_of_each))  # (60 sites, 4 experts)
    accuracy.append(clf.score(X_test, y_test))
    found.append(adjusted_rand_score(types, weights[-1].argmax(1)))
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1:2d}: accuracy {accuracy[-1]:.2f}, types found {found[-1]:.2f}")

# %%
# Left, the gate's weights at each site, with a line between two hidden types. Right, the accuracy
# on held-out rows, and the adjusted Rand index of favourite experts and hidden types. The index is
# 1 if the gate has found the types. Two types share an expert until epoch 17, and then part.

experts = np.argsort(np.arange(60) @ (weights[-1] / weights[-1].sum(0)))  # by their mean site
frames = [of_epoch[:, experts] for of_epoch in weights]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), dpi=80, layout="constrained")
display = GateDisplay(frames[0], levels=names, leaves=experts, level_name="site, by hidden type")
display.plot(ax=left).im_.set_clim(0, 1)
for edge in np.flatnonzero(np.diff(types)):
    left.axhline(edge + 0.5, color="white", linewidth=2)
left.set_yticks([])

epochs = np.arange(1, EPOCHS + 1)
right.plot(epochs, accuracy, color="C0", label="accuracy")
right.plot(epochs, found, color="C1", linestyle="--", label="types found")
now = right.axvline(1, color="0.5", linewidth=1)
right.set(xlabel="epoch", ylim=(0, 1.05))
right.legend(loc="lower right")


def draw(frame):
    """The gate after an epoch."""
    display.im_.set_data(frames[frame])
    bits = GateDisplay(frames[frame], levels=names, leaves=experts).entropy
    for bar, width in zip(display.bars_, bits, strict=True):
        bar.set_width(width)
    now.set_xdata([epochs[frame]] * 2)
    right.set_title(f"epoch {epochs[frame]}")


animation = FuncAnimation(figure, draw, frames=EPOCHS, interval=250, repeat=False)
animation.save("plot_training.png", writer="pillow")

# %%
# Four moments of the training.

figure, axes = plt.subplots(1, 4, figsize=(9, 3), sharey=True, layout="constrained")
for epoch, ax in zip(np.linspace(1, EPOCHS, 4).astype(int), axes, strict=True):
    picture = ax.imshow(frames[epoch - 1], aspect="auto", cmap="cividis", vmin=0, vmax=1)
    ax.set(title=f"epoch {epoch}", xlabel="leaf", xticks=range(4), xticklabels=experts, yticks=[])
axes[0].set_ylabel("site, by hidden type")
figure.colorbar(picture, ax=axes).set_label("weight of the leaf")
