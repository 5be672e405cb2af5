"""Default fits of a large table: seconds and accuracy against scikit-learn's MLPClassifier.

    python benchmarks/bench_default.py

Each round draws tables of 20,000 training rows and 50 columns (`make_classification` with four
classes, one easy and one hard), and 4,000 test rows. Both estimators have their default parameters
and fit in turn. Printed are, for each table, the ratio of the seconds (median, smallest and largest
of the rounds) and the accuracies. With `--equal` MLPClassifier has the layers, the batch size and
the epochs of THIN's default, and no early end.
"""

import warnings
from time import perf_counter

import numpy as np
from _cases import arguments, mean_and_deviation, print_machine
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from sklearn_thin import MLPBackbone, THINClassifier

TABLES = {"hard": 1.0, "easy": 2.0}  # distance of the classes


def draw(distance, rows, seed):
    """Training and test rows of one round."""
    shape = {"n_features": 50, "n_informative": 20, "n_redundant": 10, "n_classes": 4}
    X, y = make_classification(rows * 6 // 5, class_sep=distance, random_state=seed, **shape)
    return train_test_split(X, y, train_size=rows, random_state=seed)


def measure(model, X, X_test, y, y_test):
    """Seconds of the fit, and accuracy on the test rows in %."""
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # MLPClassifier's 200 epochs
        model.fit(X, y)
    return perf_counter() - start, 100 * model.score(X_test, y_test)


def equal_settings(thin, X, X_test, y, y_test):
    """Parameters with which MLPClassifier takes the steps of a fit of THIN."""
    settings = clone(thin).plan(X, y).settings
    epochs = {"max_iter": settings.max_epochs, "n_iter_no_change": settings.max_epochs}
    layers = MLPBackbone().hidden_layer_sizes
    return {"hidden_layer_sizes": layers, "batch_size": settings.batch_size, **epochs}


def main():
    parser = arguments(__doc__, rounds=3, rows=20_000)
    parser.add_argument("--equal", action="store_true", help="the same layers, batches and epochs")
    args = parser.parse_args()
    print_machine("cpu", args.rounds)
    print(f"{'':8s}{'seconds to MLPClassifier':>28s}{'THIN, %':>14s}{'MLPClassifier, %':>20s}")
    for name, distance in TABLES.items():
        thin, mlp = [], []
        for seed in range(args.rounds):
            rows = draw(distance, args.rows, seed)
            model = THINClassifier(random_state=seed, device="cpu")
            equal = equal_settings(model, *rows) if args.equal else {}
            thin.append(measure(model, *rows))
            mlp.append(measure(MLPClassifier(**equal, random_state=seed), *rows))
        thin, mlp = np.array(thin), np.array(mlp)
        ratio = thin[:, 0] / mlp[:, 0]
        shown = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        ours, theirs = mean_and_deviation(thin[:, 1]), mean_and_deviation(mlp[:, 1])
        print(f"{name:8s}{shown:>28s}{ours:>14s}{theirs:>20s}")


if __name__ == "__main__":
    main()
