"""Missing cells: accuracy and seconds of the ways to fill them.

    python benchmarks/bench_missing.py

"accuracy" measures tables of `bench_robust.py`, and three more that scikit-learn makes, with 5 %
of their cells missing. A default fit on the complete table is the reference. Contenders:

- default: `TablePreprocessor`, a regression on the other columns, with marks.
- median: the same with the median in missing cells.
- iterative, neighbours: scikit-learn's IterativeImputer (BayesianRidge) and KNNImputer on the
  scaled columns, with the default's marks.

Printed are the losses of accuracy against the complete table on equal splits, in points, with
their standard errors over seeds.

"seconds" measures how long `fit` and `transform` of the contenders take on normal columns that
depend on each other, with a share of the cells missing. IterativeImputer and KNNImputer get the
smallest table alone. Times are the least of three. The last column is one row with a missing
cell, in milliseconds: the median of 100.
"""

import warnings
from functools import partial
from time import perf_counter

import numpy as np
import sklearn.experimental.enable_iterative_imputer
import sklearn.impute
from _cases import arguments
from bench_robust import TABLES, missing
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from tqdm.auto import tqdm

from sklearn_thin import TablePreprocessor, THINClassifier


def more(columns, informative, redundant, **params):
    """A further table that scikit-learn makes."""
    shape = {"n_features": columns, "n_informative": informative, "n_redundant": redundant}
    return make_classification(**shape, **params)


MORE = {
    "another seed": partial(more, 20, 8, 8, n_samples=2000, n_classes=4, class_sep=1.5),
    "30 columns": partial(more, 30, 10, 5, n_samples=3000, n_classes=3),
    "independent": partial(more, 12, 6, 0, n_samples=1000, n_classes=4, class_sep=1.5),
}
ALL = {name: TABLES[name] for name in ("wine", "breast cancer", "digits", "made")}
ALL |= {name: partial(make, random_state=i) for i, (name, make) in enumerate(MORE.items(), 1)}
SIZES = [(1000, 20, 5), (20000, 50, 5), (70000, 100, 0), (70000, 100, 5), (70000, 100, 50)]


class Median(TablePreprocessor):
    """The default without the Gaussian."""

    def _fit_gaussian(self, numbers):
        return None, None


class Imputed(Median):
    """The default with an imputer of scikit-learn."""

    def __init__(self, imputer=None):
        self.imputer = imputer

    def fit(self, X, y=None):
        scaled = Median().fit(X).transform(X)[:, : X.shape[1]]
        self.imputer.fit(np.where(np.isnan(X), np.nan, scaled))
        return super().fit(X)

    def _fill(self, rows, table):
        super()._fill(rows, table)
        scaled = rows[:, : table.shape[1]]
        scaled[:] = self.imputer.transform(np.where(np.isnan(table), np.nan, scaled))


def contenders():
    """Unfitted transformers by name."""
    fixed = {"random_state": 0, "keep_empty_features": True}
    return {
        "default": TablePreprocessor(),
        "median": Median(),
        "iterative": Imputed(sklearn.impute.IterativeImputer(**fixed)),
        "neighbours": Imputed(sklearn.impute.KNNImputer(keep_empty_features=True)),
    }


def losses(table, epochs, seeds, bar):
    """Mean losses against the complete table, and standard errors, by contender."""
    X, y = ALL[table]()
    found = {name: [] for name in contenders()}
    for seed in range(seeds):
        train, test = train_test_split(
            np.arange(len(X)), test_size=0.5, stratify=y, random_state=seed
        )
        holes = missing(X, train, np.random.default_rng(seed))
        thin = {"max_epochs": epochs, "random_state": seed, "device": "cpu"}
        complete = THINClassifier(**thin).fit(X[train], y[train]).score(X[test], y[test])
        for name, transformer in contenders().items():
            clf = THINClassifier(endogenous=transformer, **thin).fit(holes[train], y[train])
            found[name].append(100 * (complete - clf.score(holes[test], y[test])))
        bar.update()
    errors = {name: np.std(loss, ddof=1) / np.sqrt(seeds) for name, loss in found.items()}
    return [f"{np.mean(loss):.1f} ± {errors[name]:.1f}" for name, loss in found.items()]


def seconds(n_rows, n_columns, percent):
    """Of each contender, seconds of fit and of transform, and milliseconds of a row."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_columns)) @ rng.normal(size=(n_columns, n_columns))
    X[rng.random(X.shape) < percent / 100] = np.nan
    row = np.nan_to_num(X[:1])
    row[0, 0] = np.nan
    for name, transformer in contenders().items():
        if n_columns <= 20 or name in ("default", "median"):
            calls = transformer.fit, transformer.transform
            fit, transform = (min(elapsed(f, X) for _ in range(3)) for f in calls)
            one = 1e3 * np.median([elapsed(transformer.transform, row) for _ in range(100)])
            yield f"| {name} | {fit:.3f} | {transform:.3f} | {one:.2f} |"


def elapsed(function, *args):
    """Seconds of a call."""
    start = perf_counter()
    function(*args)
    return perf_counter() - start


def print_losses(names, epochs, seeds):
    contestants = list(contenders())
    print("| loss of accuracy | " + " | ".join(contestants) + " |")
    print("|---" * (len(contestants) + 1) + "|")
    with tqdm(total=len(names) * seeds, unit="split") as bar:
        for name in names:
            values = " | ".join(losses(name, epochs, seeds, bar))
            print(f"| {name} | {values} |", flush=True)


def print_seconds(most):
    print("| rows, columns, % missing | | fit, s | transform, s | a row, ms |")
    print("|---|---|---|---|---|")
    for n_rows, n_columns, percent in SIZES:
        size = min(n_rows, most), n_columns, percent
        for line in seconds(*size):
            print("| {:,}, {}, {} ".format(*size) + line, flush=True)


def main():
    parser = arguments(__doc__, rows=70_000)
    parts = ("accuracy", "seconds")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, metavar="NAME")
    parser.add_argument("--tables", nargs="+", choices=ALL, default=ALL, metavar="NAME")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # IterativeImputer's 10 rounds
    if "accuracy" in args.parts:
        print_losses(args.tables, args.epochs, args.seeds)
    if "seconds" in args.parts:
        print_seconds(args.rows)


if __name__ == "__main__":
    main()
