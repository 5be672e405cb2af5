"""
===========================================================
A pretrained network as exogenous side: identity of a face
===========================================================

The same expression looks different on every face: identity is the exogenous variable. The
exogenous side needs no training here. It is a face-recognition network, wrapped as an ordinary
scikit-learn transformer. A package provides its weights. Any object with `fit` and `transform` can
steer the gate.

The example needs `pip install 'sklearn-thin[faces]'`. It also needs facial expressions labelled
with the person; :func:`sklearn_thin.datasets.load_expressions` describes their file. The example
runs for about a minute, most of it in the network. It therefore uses only some hundred images.

The gallery shows no output of this example: the photographs are not part of the project.
"""

import os
import time
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from face_descriptor import FaceDescriptor
from joblib import Memory
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score, pairwise_distances, roc_auc_score
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from sklearn_thin import ConvNetBackbone, THINClassifier
from sklearn_thin.datasets import load_expressions

folder = os.environ.get("SKLEARN_THIN_DATA")
if not folder:
    print("set SKLEARN_THIN_DATA to the folder that holds expressions_in_the_wild.npz")
    raise SystemExit(0)

# %%
# The transformer is in `face_descriptor.py` beside this file. `transform` returns 128 numbers for
# each face, near for one person and far for two people. A `memory`, as in scikit-learn's
# pipelines, caches the descriptors.

# %%
# The data. People of the test part are in no other part. Most images are neutral or happy. Each
# expression therefore gets the same number of images, if there are enough. People are drawn rather
# than images, so some people have several images.


def draw(data, per_class, seed=0):
    """At most `per_class` images of each expression, person by person in a random order."""
    people, person = np.unique(data.subject, return_inverse=True)
    order = np.argsort(np.random.RandomState(seed).permutation(len(people))[person])
    classes = range(len(data.target_names))
    rows = np.concatenate([order[data.target[order] == k][:per_class] for k in classes])
    return Bunch(**{name: data[name][rows] for name in ("images", "target", "subject")})


train = draw(load_expressions(folder, subset="train"), per_class=70)
test = draw(load_expressions(folder, subset="test"), per_class=40)
for name, part in (("training", train), ("test", test)):
    print(f"{name}: {len(part.images)} images of {len(np.unique(part.subject))} people")

# %%
# Does the network recognise people that it has never seen? The photographs show the people of LFW.
# The author of the network kept these people out of its training. Two images of one test person
# should lie nearer than images of two people. The nearest image of all should show the same
# person.

cached = TemporaryDirectory()
descriptor = FaceDescriptor(memory=Memory(cached.name, verbose=0)).fit(train.images)
start = time.perf_counter()
h_test = descriptor.transform(test.images)
print(f"descriptor: {1000 * (time.perf_counter() - start) / len(h_test):.0f} ms an image")

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
# images for the backbone. The exogenous side gets them at full size. The descriptors are cached,
# so the network does not run anew in each fit.


def halved(images):
    """Means of 2 × 2 pixels, in [0, 1]."""
    n, height, width = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2).mean((2, 4)) / 255


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
# Three seeds, on people that no model has seen. Some hundred images teach the experts little. A
# difference below about three standard errors of one accuracy is no evidence. The example shows
# that the network plugs in. It does not show that gating by identity pays.

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
# The map shows each test image at the first two principal components of its descriptor. The frame
# has the colour of its most probable leaf. Lines join the images of one person. People who are
# alike for the network are alike for the gate.

components = PCA(2, random_state=0).fit(descriptor.transform(train.images))
places = components.transform(h_test)
colours = plt.get_cmap("tab10")

figure = plt.figure(figsize=(14, 8.5), layout="constrained")
rows = [["map", "distance"], ["map", "weights"], ["map", "scores"]]
panels = figure.subplot_mosaic(rows, width_ratios=[1.7, 1])
axes = panels["map"]
for i, j in zip(*pairs, strict=True):
    if same[i, j]:
        axes.plot(*places[[i, j]].T, color="0.4", lw=0.8)
for image, place, k in zip(test.images, places, leaf, strict=True):
    face, frame = OffsetImage(image, zoom=0.36, cmap="gray"), {"ec": colours(k), "lw": 2.5}
    axes.add_artist(AnnotationBbox(face, place, pad=0.1, bboxprops=frame))
axes.update_datalim(places)
axes.margins(0.05)
axes.set(
    xlabel="first component of the descriptor",
    ylabel="second component",
    title="Unseen people: descriptors of the network, leaves of the gate",
)
for k in range(4):
    axes.plot([], [], "s", color=colours(k), label=f"leaf {k}")
axes.legend(fontsize="small")

axes = panels["distance"]
bins = np.linspace(0, distance.max(), 50)
for kind, label in ((~same, "two people"), (same, "one person")):
    axes.hist(distance[pairs][kind[pairs]], bins, density=True, alpha=0.6, label=label)
axes.set(xlabel="distance of two descriptors", ylabel="density", title=f"AUC {auc:.3f}")
axes.legend()

axes = panels["weights"]
by_person = np.flatnonzero(several)[np.argsort(test.subject[several], kind="stable")]
picture = axes.imshow(model.gate_proba(test.images[by_person]).T, aspect="auto", vmin=0, vmax=1)
for edge in np.flatnonzero(np.diff(test.subject[by_person])):
    axes.axvline(edge + 0.5, color="w", lw=1)
axes.set(xlabel="images, person by person", ylabel="leaf", yticks=range(4))
axes.set_title("Mixture weights of people with several images")
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
cached.cleanup()
