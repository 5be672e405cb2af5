"""
==========================================
Rotated digits: gate by angle, then forget
==========================================

A digit looks different at every angle, so one classifier must learn each class many times over.
THIN trains an encoder to recognise the angle. A tree gate reads the encoder, and sends each image
to the experts for its angle. A term of the loss is meant to remove the angle from the
representation.

The data are scikit-learn's digits, rotated by −90° to 90°. The angle is cut into 18 bins. The
architectures of the paper differ by parameters alone.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier
from sklearn_thin.datasets import make_rotated
from sklearn_thin.inspection import GateDisplay

# %%
# The data: images, the digit as target, and the bin of the angle as nuisance. A third of the
# images is held out for the test.

digits = load_digits()
upright = (digits.images / 16).astype(np.float32)
upright, upright_test, y, y_test = train_test_split(
    upright, digits.target, test_size=1 / 3, random_state=0, stratify=digits.target
)
rotated = make_rotated(upright, random_state=0)
X, z = rotated.images, rotated.angle_bins
rotated_test = make_rotated(upright_test, random_state=1)
X_test, z_test = rotated_test.images, rotated_test.angle_bins

# %%
# Training images of three digits, from −90° to 90°. A line that lies down is a 1, too.

figure, axes = plt.subplots(3, 8, figsize=(9, 3.8), layout="constrained")
for digit, row in zip((1, 4, 7), axes, strict=True):
    of_digit = np.flatnonzero(y == digit)
    by_angle = of_digit[np.argsort(rotated.angles[of_digit])]
    for i, ax in zip(by_angle[np.linspace(0, len(by_angle) - 1, 8).astype(int)], row, strict=True):
        ax.imshow(X[i], cmap="gray")
        ax.set(title=f"{rotated.angles[i]:.0f}°", xticks=[], yticks=[])
    row[0].set_ylabel(f"a {digit}")

# %%
# The label of the nuisance is free: every training digit can be turned again and again, by a known
# angle. The encoder gets twenty rotations of each digit once, instead of one rotation twenty
# times. An encoder that overfits the training images would mislead the gate.

free = make_rotated(upright, n_copies=20, random_state=2)

# %%
# The models. Stage 1 trains the encoder of the angle. The models of stage 2 share it, frozen. The
# oracle's gate reads the true bin instead, from one more column of X. The `endogenous` transformer
# keeps this column away from the backbone. Eight experts on a narrower hidden layer have about as
# many parameters as the single expert of the baseline.

wide = ConvNetBackbone((32, 32))
narrow = ConvNetBackbone((32, 32), hidden_layer_sizes=(176,))


def models(encoder, seed):
    """Architectures of the paper, each with its X for training and test."""
    common = {"max_epochs": 20, "random_state": seed}
    gated = {"depth": 3, "backbone": narrow, **common}
    folded = clone(narrow).set_params(image_shape=(8, 8))
    bins = OneHotEncoder(categories=[list(range(18))])
    plain, with_bin = (X, X_test), (add_bin(X, z), add_bin(X_test, z_test))
    return {
        "baseline": (THINClassifier(depth=0, backbone=wide, **common), plain),
        "tree gate on h_endo": (THINClassifier(**gated), plain),
        "THIN": (THINClassifier(FrozenEstimator(encoder), lam=0.005, **gated), plain),
        "oracle": (
            THINClassifier(
                ColumnTransformer([("bin", bins, [-1])]),
                endogenous=FunctionTransformer(drop_bin),
                **{**gated, "backbone": folded},
            ),
            with_bin,
        ),
    }


def add_bin(images, bins):
    """Flattened images with the bin of the angle as last column."""
    return np.column_stack([images.reshape(len(images), -1), bins])


def drop_bin(rows):
    """The pixels alone."""
    return rows[:, :-1]


def fit_and_score(model, X, y, X_test, y_test):
    """Test accuracy in %, seconds and number of parameters."""
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    n_parameters = sum(weights.numel() for weights in model.module_.parameters())
    return 100 * model.score(X_test, y_test), seconds, n_parameters


# %%
# Three seeds. They differ in the initialisation and in the order of the images.

results = {}
for seed in range(3):
    encoder = ExogenousEncoder(narrow, max_epochs=1, random_state=seed)
    row = fit_and_score(encoder, free.images, free.angle_bins, X_test, z_test)
    results.setdefault("encoder (angle's bin)", []).append(row)
    for name, (model, (X_train, X_held_out)) in models(encoder, seed).items():
        row = fit_and_score(model, X_train, y, X_held_out, y_test)
        results.setdefault(name, []).append(row)
        if name == "THIN":
            thin = model

print(f"{'':24s}{'accuracy, %':>14s}{'parameters':>12s}{'seconds a fit':>15s}")
for name, rows in results.items():
    accuracy, seconds, n_parameters = np.array(rows).T
    print(
        f"{name:24s}{accuracy.mean():8.1f} ± {accuracy.std(ddof=1):.1f}"
        f"{n_parameters[0]:12,.0f}{np.median(seconds):15.1f}"
    )

# %%
# The expert of an image depends on its angle. The right picture shows the mean probability of each
# leaf of THIN's gate, for the test images of each true bin. Bins are named by their centres.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
names = [name for name in results if not name.startswith("encoder")]
scores = np.array([[row[0] for row in results[name]] for name in names])
left.errorbar(scores.mean(1), names, xerr=scores.std(1, ddof=1), fmt="o", capsize=4, color="C0")
left.plot(scores, names, ".", color="0.6", zorder=0)
left.set(xlabel="test accuracy, %", title="Three seeds: mean, deviation, each seed")
left.invert_yaxis()
left.margins(y=0.15)

degrees = np.arange(-85, 90, 10)[z_test]
GateDisplay.from_estimator(thin, X_test, degrees, level_name="true angle, degrees", ax=right)
figure.savefig("plot_quickstart.png", dpi=120)
print("figure: plot_quickstart.png")
