"""Distances of pairs of faces, of one person or of two: Figures 9 and 11 of the paper.

    SKLEARN_THIN_DATA=DIR python benchmarks/bench_pairs.py --figure pairs.png

DIR holds `expressions_in_the_wild.npz`, photographs of people of LFW (docs/datasets.md). People
with 14 or more photographs train an encoder of the person, and classifiers of the expression,
neutral or happy. Pairs are those of other people, a pair of each person, and as many pairs of two
persons. They are written in the layout of LFW, and read by `load_lfw_pairs`.

Printed are the overlaps of both kinds of distances (IoU; 1 is no trace of the person), and the
balanced accuracies of the expression on the other people: means and standard deviations over
`--draws` of pairs and networks. The figure shows the last draw.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from _cases import mean_and_deviation
from PIL import Image
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score
from sklearn.metrics.pairwise import paired_distances
from tqdm.auto import tqdm

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier
from sklearn_thin.datasets import load_expressions, load_lfw_pairs
from sklearn_thin.dispelling import Alignment, Erasure
from sklearn_thin.inspection import PairDistanceDisplay, pair_distance_iou

MOST, FOLDS, SIDE = 14, 10, 24
NETWORK = {"backbone": ConvNetBackbone(channels=(16, 32), hidden_layer_sizes=(128,)), "lr": 3e-3}
PIXELS, ENCODER = "pixels", "encoder of the person"
WAYS = {
    "classifier": None,
    "classifier, erasure": Erasure(),
    "classifier, alignment": Alignment(),
}


def pairs_of(subject, random):
    """Images (n, 2) of one person, and of two, people in random order."""
    order = random.permutation(len(subject))
    people, first = np.unique(subject[order], return_index=True)
    later = [np.flatnonzero(subject[order] == person)[1:] for person in people]
    same = [(order[a], order[rest[0]]) for a, rest in zip(first, later, strict=True) if len(rest)]
    same = random.permutation(np.array(same))
    same = same[: len(same) // FOLDS * FOLDS]
    return same, np.column_stack([same[:, 0], np.roll(same[:, 1], 1)])


def write(folder, images, subject, same, different):
    """A folder in LFW's layout, with the photographs of the pairs."""
    name = [f"person_{person}" for person in subject]
    for i in np.unique([same, different]):
        place = folder / "lfw_funneled" / name[i]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[i]).save(place / f"{name[i]}_{i:04d}.jpg", quality=95)
    n_each = len(same) // FOLDS
    lines = [f"{FOLDS}\t{n_each}"]
    for fold in range(FOLDS):
        part = slice(fold * n_each, (fold + 1) * n_each)
        lines += [f"{name[a]}\t{a}\t{b}" for a, b in same[part]]
        lines += [f"{name[a]}\t{a}\t{name[b]}\t{b}" for a, b in different[part]]
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")


def draw(faces, seed, epochs):
    """Pairs of people that no network knows, fitted networks and accuracies by name."""
    random = np.random.RandomState(seed)
    known = np.bincount(faces.subject)[faces.subject] >= MOST
    others = np.flatnonzero(~known)
    same, different = pairs_of(faces.subject[others], random)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), faces.images[others], faces.subject[others], same, different)
        pairs = load_lfw_pairs(folder, side=SIDE)
    images = np.stack([np.asarray(Image.fromarray(i).resize((SIDE, SIDE))) for i in faces.images])
    expression = np.asarray(faces.target_names)[faces.target]
    two = np.isin(expression, ["neutral", "happiness"])
    happy, new = known & two, ~known & two
    how = {**NETWORK, "max_epochs": epochs, "random_state": seed}
    encoder = ExogenousEncoder(**how).fit(images[known], faces.subject[known])
    nets, right = {ENCODER: encoder}, {}
    for name, way in WAYS.items():
        thin = THINClassifier(FrozenEstimator(encoder), depth=2, dispelling=way, **how)
        nets[name] = thin.fit(images[happy], expression[happy])
        predicted = thin.predict(images[new])
        right[name] = balanced_accuracy_score(expression[new], predicted)
    return pairs, nets, right


def overlaps(pairs, nets):
    """Overlap by name."""
    flat = pairs.images.reshape(len(pairs.images), -1) / 255.0
    given = {PIXELS: flat} | {name: net.transform(pairs.images) for name, net in nets.items()}
    return {
        name: pair_distance_iou(paired_distances(*h[pairs.pairs.T]), pairs.target)
        for name, h in given.items()
    }


def plot(pairs, nets, file):
    """A display for each network."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
    for ax, (name, net) in zip(axes.flat, nets.items(), strict=True):
        PairDistanceDisplay.from_estimator(net, pairs.images, pairs.pairs, pairs.target, ax=ax)
        ax.set_ylabel(f"{name}\n{ax.get_ylabel()}")
    figure.savefig(file, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--figure", help="file of a figure, such as pairs.png")
    args = parser.parse_args()
    faces = load_expressions(os.environ["SKLEARN_THIN_DATA"])
    found, accuracies = [], []
    for seed in tqdm(range(args.draws)):
        pairs, nets, right = draw(faces, seed, args.epochs)
        found.append(overlaps(pairs, nets))
        accuracies.append(right)
    print(f"{len(pairs.pairs):,} pairs, {len(pairs.images):,} photographs\n")
    print("| representation | overlap | balanced accuracy |\n| --- | --- | --- |")
    for name in found[0]:
        cells = [mean_and_deviation([one[name] for one in found], 2)]
        of_draws = [100 * one[name] for one in accuracies if name in one]
        cells.append(f"{mean_and_deviation(of_draws)} %" if of_draws else "")
        print(f"| {name} | {' | '.join(cells)} |")
    if args.figure:
        plot(pairs, nets, args.figure)


if __name__ == "__main__":
    main()
