"""
===========================================================
A pretrained network as exogenous side: identity of a face
===========================================================

The same expression looks different on every face: identity is the exogenous variable. The
exogenous side is a network that has learned to recognise *other* people. It is frozen, and works as
an ordinary scikit-learn transformer. Any object with `fit` and `transform` can steer the gate.

The faces on this page are drawings, since the photographs of the benchmarks may not be published.
The network has learned from drawings too. The end of the page says how the same lines read
photographs, with dlib's network of real faces.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from drawn_faces import draw_faces
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, pairwise_distances, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier

# %%
# `drawn_faces.py`, beside this file, draws people. Mouth and brows of a face are bent at rest. An
# expression bends them further. The same mouth is sad on one face, and at rest on another.
#
# Three groups have no person in common. The network learns to tell the people of the first group
# apart. The classifiers learn the expressions of the second group. The third group is the test.


def halved(images):
    """Means of 2 × 2 pixels, in [0, 1]."""
    n, height, width = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2).mean((2, 4)) / 255


def from_drawings():
    """A frozen network, and faces to train and to test the classifiers."""
    known = draw_faces(n_people=200, n_images=10, random_state=0)
    encoder = ExogenousEncoder(ConvNetBackbone((16, 32, 64)), max_epochs=10, random_state=0)
    network = make_pipeline(FunctionTransformer(halved), encoder).fit(known.images, known.subject)
    train = draw_faces(n_people=60, n_images=6, random_state=1)
    test = draw_faces(n_people=40, n_images=6, random_state=2)
    return FrozenEstimator(network), train, test


if len(sys.argv) > 1:  # the folder of photographs, which this page does not have
    from face_descriptor import from_photographs

    descriptor, train, test = from_photographs(sys.argv[1], per_class=(70, 40))
else:
    descriptor, train, test = from_drawings()
for name, part in (("training", train), ("test", test)):
    print(f"{name}: {len(part.images)} images of {len(np.unique(part.subject))} people")

# %%
# Does the network recognise people that it has never seen? Two images of one test person should lie
# nearer than images of two people. The nearest image of all should show the same person.

h_test = descriptor.transform(test.images)
distance = pairwise_distances(h_test)
same = test.subject[:, None] == test.subject
pairs = np.triu_indices(len(h_test), 1)
auc = roc_auc_score(same[pairs], -distance[pairs])
nearest = np.argmin(distance + np.diag([np.inf] * len(distance)), axis=1)
several = same.sum(1) > 1
found = test.subject[nearest] == test.subject
print(f"same person or not: AUC {auc:.3f} over {same[pairs].sum()} pairs of one person")
chance = (same.sum(1) - 1)[several] / (len(same) - 1)
print(f"nearest image is of the same person: {100 * found[several].mean():.0f} %, ", end="")
print(f"by chance {100 * chance.mean():.1f} %")

# %%
# The models differ in the input of the gate. An `endogenous` transformer halves the size of the
# images for the backbone. The exogenous side gets them at full size.


def models(seed):
    """No gate, a gate on the representation of the experts, and a gate on identity."""
    common = {
        "endogenous": FunctionTransformer(halved),
        "backbone": ConvNetBackbone((16, 32, 64)),
        "max_epochs": 15,
        "random_state": seed,
    }
    return {
        "baseline": THINClassifier(depth=0, **common),
        "tree gate on h_endo": THINClassifier(depth=2, **common),
        "identity gate": THINClassifier(descriptor, gate_input="representation", depth=2, **common),
    }


# %%
# Three seeds, on people that no model has seen. A difference below about three standard errors of
# one accuracy is no evidence. The example shows that the network plugs in. It does not show that
# gating by identity pays. On photographs no gain is established either (:doc:`/results`).

scores = {}
for seed in range(3):
    for name, model in models(seed).items():
        predicted = model.fit(train.images, train.target).predict(test.images)
        accuracy = np.mean(predicted == test.target)
        balanced = balanced_accuracy_score(test.target, predicted)
        scores.setdefault(name, []).append((100 * accuracy, 100 * balanced))

print(f"{'':22s}{'accuracy, %':>14s}{'balanced, %':>14s}")
for name, rows in scores.items():
    mean, deviation = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1)
    columns = "".join(f"{m:8.1f} ± {d:3.1f}" for m, d in zip(mean, deviation, strict=True))
    print(f"{name:22s}{columns}")
share = np.mean(scores["baseline"], axis=0)[0] / 100
error = 100 * np.sqrt(share * (1 - share) / len(test.target))
print(f"standard error of an accuracy on {len(test.target)} images: {error:.1f}")

# %%
# The gate has never seen a label of a person. It still sends two images of one person to the same
# leaf more often than images of two people.

leaf = model.apply(test.images)
alike = (leaf[:, None] == leaf)[pairs]
print(f"same leaf: {100 * alike[same[pairs]].mean():.0f} % of the pairs of one person, ", end="")
print(f"{100 * alike[~same[pairs]].mean():.0f} % of other pairs")

# %%
# The map shows the images of some people at the first two principal components of the descriptor.
# The frame has the colour of the most probable leaf. Lines join the images of one person. People
# who are alike for the network are alike for the gate.

components = PCA(2, random_state=0).fit(descriptor.transform(train.images))
places = components.transform(h_test)
some = np.unique(test.subject[several])[:16]
shown = np.flatnonzero(np.isin(test.subject, some))
shown = shown[np.argsort(test.subject[shown], kind="stable")]
colours = plt.get_cmap("tab10")

figure = plt.figure(figsize=(9, 10.5), layout="constrained")
rows = [["map", "map"], ["distance", "weights"], ["scores", "scores"]]
panels = figure.subplot_mosaic(rows, height_ratios=[4, 1.6, 1.2])
axes = panels["map"]
for person in some:
    of_one = places[test.subject == person]
    for place in of_one:
        axes.plot(*np.stack([of_one.mean(0), place], axis=1), color="0.6", lw=0.8, zorder=0)
for i in shown:
    face, frame = OffsetImage(test.images[i], zoom=0.55, cmap="gray"), {"ec": colours(leaf[i])}
    box = AnnotationBbox(face, places[i], pad=0.1, bboxprops=frame | {"lw": 2.5})
    axes.add_artist(box)
axes.update_datalim(places[shown])
axes.margins(0.05)
axes.set(
    xlabel="first component of the descriptor",
    ylabel="second component",
    title="Unseen people: descriptors of the network, leaves of the gate",
)
for k in range(4):
    axes.plot([], [], "s", color=colours(k), label=f"leaf {k}")
axes.legend()

axes = panels["distance"]
bins = np.linspace(0, distance.max(), 50)
for kind, label in ((~same, "two people"), (same, "one person")):
    axes.hist(distance[pairs][kind[pairs]], bins, density=True, alpha=0.6, label=label)
axes.set(xlabel="distance of two descriptors", ylabel="density", title=f"AUC {auc:.3f}")
axes.margins(y=0.4)
axes.legend(loc="upper left")

axes = panels["weights"]
picture = axes.imshow(model.gate_proba(test.images[shown]).T, aspect="auto", vmin=0, vmax=1)
for edge in np.flatnonzero(np.diff(test.subject[shown])):
    axes.axvline(edge + 0.5, color="w", lw=1)
axes.set(xlabel="images, person by person", ylabel="leaf", yticks=range(4))
axes.set_title("Mixture weights of these people")
figure.colorbar(picture, label="weight")

axes = panels["scores"]
values = np.array(list(scores.values()))[..., 0]
axes.errorbar(values.mean(1), list(scores), xerr=values.std(1, ddof=1), fmt="o", capsize=4)
axes.plot(values, list(scores), ".", color="0.6", zorder=0)
axes.set(xlabel="accuracy on unseen people, %", title="Three seeds: mean, deviation, each seed")
axes.invert_yaxis()
axes.margins(y=0.2)
figure.savefig("plot_pretrained_identity.png", dpi=120)
print("figure: plot_pretrained_identity.png")

# %%
# With photographs
# ----------------
#
# `FaceDescriptor` in `face_descriptor.py` wraps dlib's network, which a package provides:
# `pip install 'sklearn-thin[faces]'`. FOLDER holds the file that
# :func:`sklearn_thin.datasets.load_expressions` describes. This command runs for about a minute:
#
# .. code-block:: sh
#
#    python examples/plot_pretrained_identity.py FOLDER
