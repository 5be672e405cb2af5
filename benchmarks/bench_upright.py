"""Is a rotated digit predicted better as if it were upright, or as the mean over all rotations?

    python benchmarks/bench_upright.py

The digits are scikit-learn's, rotated by -90° to 90° as in `examples/plot_quickstart.py`. The gate
reads an encoder of the rotation that learned from twenty rotations of each training image, or the
given bin of the rotation. Another prediction is asked of the fitted network by `exogenous=`:

- plain: the gate reads the probabilities of the encoder, or the given bin;
- upright: the mean of the probabilities under the two bins beside 0°;
- mean: the mean of the probabilities under all 18 bins;
- true bin: the probabilities under the true bin.

The second table splits the test images by :func:`sklearn_thin.inspection.explain`: images whose
class no bin changes, and images with a counterfactual. Printed are accuracies in %, and
differences to the plain prediction of the same network in points, as mean and standard deviation
over seeds. A seed draws the split, the rotations and the weights.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from tqdm.auto import tqdm

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier
from sklearn_thin.datasets import make_rotated
from sklearn_thin.inspection import explain

BACKBONE = ConvNetBackbone((32, 32), hidden_layer_sizes=(176,))
UPRIGHT = [8, 9]  # bins of 10°, beside 0°


def models(train, bins, images, seed, args):
    """Name of the gate's input, the fitted classifier, and whether it needs the given bin."""
    common = {"backbone": BACKBONE, "max_epochs": args.epochs, "random_state": seed}
    free = make_rotated(images, n_copies=args.copies, random_state=seed + 1000)
    encoder = ExogenousEncoder(BACKBONE, max_epochs=1, random_state=seed)
    encoder = FrozenEstimator(encoder.fit(free.images, free.angle_bins))
    X, y = train
    yield "encoder", THINClassifier(encoder, **common).fit(X, y), False
    yield "given bin", THINClassifier("given", **common).fit(X, y, exogenous_target=bins), True


def measure(why, y, z):
    """Plain accuracy in %, differences in points, and shares and accuracies by robustness."""
    of_bin = {int(level): place for place, level in enumerate(why.levels)}
    upright = why.by_level[:, [of_bin[b] for b in UPRIGHT]].mean(1)
    true = why.by_level[np.arange(len(y)), [of_bin[b] for b in z]]
    predictions = [why.proba, upright, why.by_level.mean(1), true]
    plain, *others = [(proba.argmax(1) == y).mean() for proba in predictions]
    robust = np.array([label is None for label in why.counterfactual])
    right = why.prediction == y
    split = [robust.mean(), right[robust].mean(), right[~robust].mean()]
    return 100 * np.array([plain, *(other - plain for other in others), *split])


def one_seed(seed, args):
    """Figures of one seed, by the gate's input."""
    digits = load_digits()
    upright = (digits.images / 16).astype(np.float32)
    how = {"test_size": 1 / 3, "random_state": seed, "stratify": digits.target}
    images, images_test, y, y_test = train_test_split(upright, digits.target, **how)
    train = make_rotated(images, random_state=2 * seed)
    test = make_rotated(images_test, random_state=2 * seed + 1)
    for name, clf, given in models((train.images, y), train.angle_bins, images, seed, args):
        labels = {"exogenous": test.angle_bins} if given else {}
        yield name, measure(explain(clf, test.images, **labels), y_test, test.angle_bins)


def show(header, tables):
    """A table of means and deviations over the seeds."""
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for name, figures in tables:
        cells = zip(np.mean(figures, 0), np.std(figures, 0, ddof=1), strict=True)
        print(f"| {name} | " + " | ".join(f"{m:.1f} ± {s:.1f}" for m, s in cells) + " |")
    print()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--copies", type=int, default=20)
    args = parser.parse_args()
    found = {}
    for seed in tqdm(range(args.seeds), unit="seed"):
        for name, figures in one_seed(seed, args):
            found.setdefault(name, []).append(figures)
    tables = [(name, np.array(figures)) for name, figures in found.items()]
    header = ["the gate reads", "plain", "as upright", "mean over bins", "as the true bin"]
    show(header, [(name, figures[:, :4]) for name, figures in tables])
    header = ["the gate reads", "no bin changes the class", "accuracy there", "accuracy elsewhere"]
    show(header, [(name, figures[:, 4:]) for name, figures in tables])


if __name__ == "__main__":
    main()
