"""Accuracy on tables as they come: other units, missing cells, one absurd cell, text.

    python benchmarks/bench_robust.py

Five tables that scikit-learn ships or makes. Each seed draws a split, half of the rows to train on,
and what is done to the table:

- scaled: nothing, and the columns have mean 0 and variance 1. The other cases are measured by it.
- raw: the columns as they come.
- missing: 5 % of the cells are NaN, in both halves.
- unit: one column is multiplied by 1e6, in both halves.
- sentinel: one cell of the training rows is -9999.
- text: two columns become text, by the fifths of their values.

Contenders: "THIN" with its default, which reads tables by `TablePreprocessor`; "raw" with
`endogenous=None`, where it runs; "quantiles" with a QuantileTransformer instead;
scikit-learn's MLPClassifier and HistGradientBoostingClassifier. The last three need steps for
missing values and text, which are part of their pipelines. All read the same rows.

Printed are means and standard deviations of the accuracy over seeds, in %, and the loss of "THIN"
to "scaled": the mean difference of the accuracies on equal splits, in points, with its standard
error.
"""

import warnings

import numpy as np
from _cases import arguments, mean_and_deviation
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler
from tqdm.auto import tqdm

from sklearn_thin import THINClassifier


def made(**params):
    """A table of 2,000 rows and 20 columns."""
    shape = {"n_samples": 2000, "n_features": 20, "n_informative": 8, "n_redundant": 8}
    return make_classification(**shape, class_sep=1.5, random_state=0, **params)


def skewed():
    """The same kind of table, with columns of long tails and different units."""
    X, y = made(n_classes=3)
    return np.exp(X) * np.logspace(-3, 3, 20), y


TABLES = {
    "wine": lambda: load_wine(return_X_y=True),
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "digits": lambda: load_digits(return_X_y=True),
    "made": lambda: made(n_classes=4),
    "made, skewed": skewed,
}
N_LEVELS = 5


def missing(X, train, rng):
    return np.where(rng.random(X.shape) < 0.05, np.nan, X)


def unit(X, train, rng):
    X = X.copy()
    X[:, rng.integers(X.shape[1])] *= 1e6
    return X


def sentinel(X, train, rng):
    X = X.copy()
    X[rng.choice(train), rng.integers(X.shape[1])] = -9999
    return X


def text(X, train, rng):
    varied = np.flatnonzero([len(np.unique(column)) >= N_LEVELS for column in X.T])
    texts = X.astype(object)
    for j in rng.choice(varied, 2, replace=False):
        edges = np.quantile(X[train, j], np.linspace(0, 1, N_LEVELS + 1)[1:-1])
        texts[:, j] = np.array(["lowest", "low", "middle", "high", "highest"])[
            np.searchsorted(edges, X[:, j])
        ]
    return texts


CASES = {
    "raw": lambda X, train, rng: X,
    "missing": missing,
    "unit": unit,
    "sentinel": sentinel,
    "text": text,
}


def prepared(X, *steps):
    """Steps for the numbers of X, and one-hot levels for its text."""
    texts = [isinstance(value, str) for value in X[0]]
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = make_pipeline(*steps) if steps else "passthrough"
    return ColumnTransformer(
        [("numbers", numbers, ~np.array(texts)), ("text", levels, np.array(texts))]
    )


def contenders(X, epochs, seed):
    """The models for this table, by name."""
    imputer = SimpleImputer(strategy="median", add_indicator=True)
    quantiles = QuantileTransformer(output_distribution="normal", random_state=0)
    thin = {"max_epochs": epochs, "random_state": seed, "device": "cpu"}
    models = {
        "THIN": THINClassifier(**thin),
        "raw": THINClassifier(endogenous=None, **thin),
        "quantiles": THINClassifier(endogenous=prepared(X, imputer, quantiles), **thin),
        "MLP": make_pipeline(
            prepared(X, imputer, StandardScaler()), MLPClassifier(random_state=seed)
        ),
        "boosting": make_pipeline(prepared(X), HistGradientBoostingClassifier(random_state=seed)),
    }
    if X.dtype == object or np.isnan(X).any():
        del models["raw"]
    return models


def accuracy(model, X, y, train, test):
    """Accuracy on the test rows, in %."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # MLPClassifier's 200 epochs
        warnings.filterwarnings("ignore", "extreme values", RuntimeWarning)  # shown by "raw"
        warnings.filterwarnings("ignore", "n_quantiles", UserWarning)  # more than rows
        return 100 * model.fit(X[train], y[train]).score(X[test], y[test])


def measure(table, epochs, seeds, bar):
    """Accuracies of all contenders on all cases of a table: {case: {name: one of each seed}}."""
    X, y = TABLES[table]()
    scores = {case: {} for case in ("scaled", *CASES)}
    for seed in range(seeds):
        half = train_test_split(np.arange(len(X)), test_size=0.5, stratify=y, random_state=seed)
        scaled = StandardScaler().fit(X[half[0]]).transform(X)
        thin = THINClassifier(endogenous=None, max_epochs=epochs, random_state=seed, device="cpu")
        scores["scaled"].setdefault("THIN", []).append(accuracy(thin, scaled, y, *half))
        for case, change in CASES.items():
            changed = change(X, half[0], np.random.default_rng(seed))
            for name, model in contenders(changed, epochs, seed).items():
                scores[case].setdefault(name, []).append(accuracy(model, changed, y, *half))
            bar.update()
    return scores


def row(table, case, scores):
    """A line of the printed table."""
    names = ("THIN", "raw", "quantiles", "MLP", "boosting")
    values = [mean_and_deviation(scores[case][n]) if n in scores[case] else "–" for n in names]
    loss = np.subtract(scores["scaled"]["THIN"], scores[case]["THIN"])
    error = np.std(loss, ddof=1) / np.sqrt(len(loss)) if len(loss) > 1 else float("nan")
    values.append("" if case == "scaled" else f"{np.mean(loss):.1f} ± {error:.1f}")
    return f"| {table}, {case} | " + " | ".join(values) + " |"


def main():
    parser = arguments(__doc__)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES, metavar="NAME")
    parser.add_argument("--epochs", type=int, help="of THIN; its default without this option")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    print("| table | THIN | raw | quantiles | MLP | boosting | loss of THIN |")
    print("|---|---|---|---|---|---|---|")
    with tqdm(total=len(args.tables) * args.seeds * len(CASES), unit="case") as bar:
        for table in args.tables:
            scores = measure(table, args.epochs or "auto", args.seeds, bar)
            for case in scores:
                print(row(table, case, scores), flush=True)


if __name__ == "__main__":
    main()
