"""
============================================
Explain a prediction, and its counterfactual
============================================

Which leaf does a row reach, do the experts agree, and would another level of the nuisance variable
change the class? :func:`~sklearn_thin.inspection.explain` answers for each row. Displays
answer for the whole model.

The images are scikit-learn's digits at angles that are known to the gate.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_thin import THINClassifier
from sklearn_thin.datasets import make_rotated
from sklearn_thin.inspection import GateDisplay, explain, export_gate_text

images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8) / 16
images, images_test, y, y_test = train_test_split(images, digits, test_size=0.4, random_state=0)
train = make_rotated(images, n_bins=6, n_copies=4, random_state=0)
test = make_rotated(images_test, n_bins=6, random_state=1)
y = y[train.index]

clf = THINClassifier("given", depth=2, max_epochs=5, random_state=0)
clf.fit(train.images, y, exogenous_target=train.angle_bins)
print(f"accuracy {clf.score(test.images, y_test, exogenous=test.angle_bins):.3f}")

# %%
# One line for each row. The six bins run from -90 to 90 degrees, in steps of 30.

why = explain(clf, test.images[:200], exogenous=test.angle_bins[:200], level_name="bin")
print(*why.text[:5], sep="\n")

# %%
# Rows whose class another bin would change. Such rows are wrong more often: 4 of 14, beside 10 of
# the other 186. Most errors lie among the others.

changes = np.array([level is not None for level in why.counterfactual_level])
right = why.prediction == y_test[:200]
print(f"{changes.sum()} of 200 images change their class at another bin")
print(f"right: {right[changes].mean():.2f} of these, {right[~changes].mean():.2f} of the others")

# %%
# The prediction of four of these rows at each bin. The dot marks the bin of the image.

figure, axes = plt.subplots(2, 4, figsize=(8, 4), layout="constrained", height_ratios=[1, 1.2])
bins = why.levels.astype(int)
for i, (above, below) in zip(np.flatnonzero(changes), axes.T, strict=False):
    above.imshow(test.images[i], cmap="gray")
    above.set(title=f"a {y_test[i]}", xticks=[], yticks=[])
    for digit, color in [(why.prediction[i], "#4477aa"), (why.counterfactual[i], "#ee6677")]:
        proba = why.by_level[i][:, list(clf.classes_).index(digit)]
        below.plot(bins, proba, color=color, label=digit)
        below.plot(bins[why.level[i]], proba[why.level[i]], "o", color=color)
    below.set(xlabel="bin of the angle", xticks=bins, ylim=(0, 1))
    below.legend(fontsize="small")
axes[1, 0].set_ylabel("probability")
figure.savefig("plot_explain.png", dpi=150)

# %%
# The gate, as text and as a picture: how much of each bin reaches each leaf.

print(export_gate_text(clf, test.images, y_test, levels=test.angle_bins, exogenous=test.angle_bins))
display = GateDisplay.from_estimator(clf, test.images, test.angle_bins, exogenous=test.angle_bins)
display.figure_.set_size_inches(6, 3)
