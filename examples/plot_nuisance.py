"""
==========================================
What a nuisance variable does to a class
==========================================

Two features, two classes, four sensors. Each sensor was mounted at another angle. The classes are
easy to separate at each sensor alone, and a line does it. Pooled over the sensors they overlap, and
no rule of the two features can separate them.

The sensor is the nuisance variable. A gate reads it and mixes a few linear experts.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_thin import MLPBackbone, THINClassifier

# %%
# The data: at sensor s the boundary of the classes is turned by a quarter of a circle more. Sensors
# 0 and 2 contradict each other everywhere.

rng = np.random.default_rng(0)
X = rng.normal(size=(2400, 2))
sensor = rng.integers(4, size=len(X))
turn = sensor * np.pi / 2
y = (X[:, 0] * np.cos(turn) + X[:, 1] * np.sin(turn) > 0).astype(int)
train, test = np.arange(len(X)) < 1200, np.arange(len(X)) >= 1200

# %%
# A network without a gate does not see the sensor. THIN's gate does.

settings = {"backbone": MLPBackbone(()), "max_epochs": 40, "lr": 0.01, "random_state": 0}
pooled = THINClassifier(depth=0, backbone=MLPBackbone((32,)), random_state=0)
pooled.fit(X[train], y[train])
gated = THINClassifier("given", depth=2, gating="head", **settings)
gated.fit(X[train], y[train], exogenous_target=sensor[train])

print(f"without a gate {pooled.score(X[test], y[test]):.2f}")
print(f"with a gate    {gated.score(X[test], y[test], exogenous=sensor[test]):.2f}")

# %%
# The same row may be of another class at another sensor. `exogenous=` predicts it.

row = np.array([[1.5, 0.2]])
for s in range(4):
    print(f"sensor {s}: class {gated.predict(row, exogenous=s)[0]}")


# %%
# Left, the pooled rows and the boundary without a gate. Beside, each sensor with the gate's
# boundary.

square = np.stack(np.meshgrid(np.linspace(-3, 3, 60), np.linspace(-3, 3, 60)), axis=-1)
points = square.reshape(-1, 2)
shown = [("all sensors, no gate", pooled.predict_proba(points), test)]
for s in range(4):
    proba = gated.predict_proba(points, exogenous=s)
    shown.append((f"sensor {s}, gated", proba, test & (sensor == s)))

figure, axes = plt.subplots(1, 5, figsize=(10, 2.5), layout="constrained", sharex=True, sharey=True)
for ax, (title, proba, rows) in zip(axes, shown, strict=True):
    levels = np.linspace(0, 1, 21)
    ax.contourf(
        *square.transpose(2, 0, 1), proba[:, 1].reshape(60, 60), levels, cmap="cividis", alpha=0.45
    )
    for label, marker, color in [(0, "o", "#00224e"), (1, "^", "#b39700")]:
        kept = rows & (y == label)
        ax.scatter(*X[kept][:150].T, s=9, marker=marker, color=color, label=f"class {label}")
    ax.set(title=title, xticks=[], yticks=[], xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
axes[0].legend(loc="upper left", fontsize="small")
figure.savefig("plot_nuisance.png", dpi=150)
