"""MNIST-R at the paper's size: encoder, baseline, exogenous gate, THIN and oracle.

    python benchmarks/mnist_r.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. Digits are rotated once by continuous
angles in [-90, 90) degrees, bilinearly; the exogenous variable is the angle in 18 bins. The
paper's networks and setting: about 206k parameters each, Adam 1e-3, batch 32. All seeds
share the rotated images and differ in initialisation and order. The test split is scored
once, after the last epoch: nothing is chosen on it.
"""

import argparse
import json
import time

import numpy as np
import torch
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from tqdm.auto import tqdm

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier
from sklearn_thin._compat import import_torchvision
from sklearn_thin.datasets import make_rotated

# Accuracies in %, from the paper's tables 1 and 2.
PAPER = {
    "encoder (exact bin)": 98.32,
    "baseline": 96.83,
    "exogenous gate": 98.07,
    "THIN": 98.26,
    "oracle": 98.06,
}


def load_mnist_r(data, split):
    """Rotated images with digits and angle bins."""
    mnist = import_torchvision().datasets.MNIST(data, train=split == "train")
    seed = 0 if split == "train" else 1
    rotated = make_rotated(mnist.data.numpy(), random_state=seed)
    return rotated.images, mnist.targets.numpy(), rotated.angle_bins


def with_bin(images, bins):
    """Flattened images with the true bin as last column, for the oracle."""
    return np.column_stack([images.reshape(len(images), -1), bins]).astype(np.uint8)


def oracle(common):
    """THIN's network whose gate reads the true bin, one-hot, and whose backbone does not."""
    bins = OneHotEncoder(categories=[list(range(18))], sparse_output=False)
    return THINClassifier(
        ColumnTransformer([("bin", bins, [-1])]),
        endogenous=FunctionTransformer(pixels),
        **{**common, "backbone": ConvNetBackbone(image_shape=(28, 28))},
    )


def pixels(X):
    """All columns but the last."""
    return X[:, :-1]


def n_parameters(estimator):
    """Trained parameters of the network."""
    return sum(p.numel() for p in estimator.module_.parameters())


def run_seed(seed, train, test, common, lam, progress):
    """Accuracies in %, parameters and seconds of every model."""
    images, digits, bins = train
    results = {}

    def record(name, estimator, X, y, X_test, y_test):
        progress.set_description(f"seed {seed}: {name}")
        start = time.perf_counter()
        estimator.fit(X, y)
        seconds = time.perf_counter() - start
        accuracy = 100 * estimator.score(X_test, y_test)
        results[name] = {
            "accuracy": accuracy,
            "parameters": n_parameters(estimator),
            "seconds": seconds,
        }
        progress.update()
        return estimator

    common = {**common, "random_state": seed}
    encoder = record(
        "encoder (exact bin)", ExogenousEncoder(**common), images, bins, test[0], test[2]
    )
    off = np.abs(encoder.predict(test[0]) - test[2])
    results["encoder (within one bin)"] = {
        **results["encoder (exact bin)"],
        "accuracy": 100 * np.mean(off <= 1),
    }
    frozen = FrozenEstimator(encoder)
    models = {
        "baseline": THINClassifier(depth=0, **common),
        "exogenous gate": THINClassifier(frozen, **common),
        "THIN": THINClassifier(frozen, lam=lam, **common),
    }
    for name, model in models.items():
        record(name, model, images, digits, test[0], test[1])
    record(
        "oracle",
        oracle(common),
        with_bin(images, bins),
        digits,
        with_bin(test[0], test[2]),
        test[1],
    )
    return results


def table(runs):
    """Markdown table of mean and standard deviation over the seeds."""
    lines = [
        "| | accuracy, % | paper, % | per seed | parameters | seconds a fit |",
        "|---|---|---|---|---|---|",
    ]
    for name in runs[0]:
        scores = [run[name]["accuracy"] for run in runs]
        spread = np.std(scores, ddof=1) if len(scores) > 1 else float("nan")
        seconds = np.median([run[name]["seconds"] for run in runs])
        paper = PAPER.get(name, "")
        each = ", ".join(f"{score:.2f}" for score in scores)
        lines.append(
            f"| {name} | {np.mean(scores):.2f} ± {spread:.2f} | {paper} | {each} "
            f"| {runs[0][name]['parameters']:,} | {seconds:.0f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lam", type=float, default=0.005)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=None, help="training rows; default all")
    parser.add_argument("--json", help="file to write all figures to")
    args = parser.parse_args()

    train, test = load_mnist_r(args.data, "train"), load_mnist_r(args.data, "test")
    train = tuple(part[: args.rows] for part in train)
    common = {
        "max_epochs": args.epochs,
        "batch_size": 32,
        "device": args.device,
        "backbone": ConvNetBackbone(),
    }
    with tqdm(total=5 * args.seeds, unit="fit") as progress:
        runs = [
            run_seed(seed, train, test, common, args.lam, progress) for seed in range(args.seeds)
        ]
    print(
        f"MNIST-R, {len(train[0]):,} training and {len(test[0]):,} test images, {args.epochs} "
        f"epochs, {args.seeds} seeds, λ = {args.lam}, torch {torch.__version__}"
    )
    print(table(runs))
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"arguments": vars(args), "runs": runs}, file, indent=1)


if __name__ == "__main__":
    main()
