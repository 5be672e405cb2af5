"""Levels of the exogenous variable that training lacks, and levels that are only recognised.

    SKLEARN_THIN_DATA=DIR python benchmarks/bench_unseen.py

DIR holds `nuisance/*.npz` (docs/datasets.md). Images are flattened and scaled to 0..1.

"levels" leaves one level out in each draw: a speaker, a person, a corpus, a rotation. All models
train on the same rows of the other levels. "seen levels" are further rows of these. One model
misses the level in each fifth row of the training. Half of the rows of the new level are scored.
`adapt` reads rows of the other half, without labels: 10, 100, all, or those of the first half of
the classes. Printed are means and standard deviations of the accuracy over the draws, and the gains
of `adapt` in the same draw: their mean and standard deviation, and in how many draws the accuracy
rises. "map fitted anew" also fits the map of alignment to the new rows.

"border" compares ways to the bin of a rotation on rotated Fashion-MNIST. All classifiers train on
the same n rows. The encoder learns the bins from the same rows, or from k times as many other
rows. With "cross-fitted" the gate's inputs in training are predictions of encoders that five-fold
cross-validation fits to the other rows. Printed are the accuracies of the classifiers, and how many
bins the encoders recognise on the test rows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from _cases import arguments, mean_and_deviation
from _nuisance import draws, load_nuisance
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_predict
from tqdm.auto import tqdm

from sklearn_thin import ExogenousEncoder, MLPBackbone, TablePreprocessor, THINClassifier
from sklearn_thin.modules.heads import LogProbabilities

SETS = ("spoken_digits", "emg_gestures", "digit_corpora", "fashion_rotated")
IMAGES = 255  # largest pixel
LEVEL_ROWS = 3000  # most training rows of "levels"
LEVEL_EPOCHS = 15
SEEN_SHARE = 4 / 5  # most of these rows that train
SEEN, BEFORE, ALL = "seen levels", "without adapt", "all rows"
# rows that `adapt` reads
UNLABELLED = {
    "10 rows": lambda y: np.arange(10),
    "100 rows": lambda y: np.arange(100)[: len(y)],
    ALL: lambda y: np.arange(len(y)),
    "half of the classes": lambda y: np.flatnonzero(y < (y.max() + 1) // 2),
}
BORDER = "fashion_rotated"
TEST_ROWS = 2000  # of the border
SIZES = {750: 50, 3000: 20, 8000: 15}  # rows of the border, and epochs
FACTORS = (3, 15)  # times as many rows of the encoder
FOLDS = 5
GATED = MLPBackbone((128, 128), dropout=0.2)
WIDE = MLPBackbone((720, 512), dropout=0.2)  # as many weights as gated layers of 784 columns have


@dataclass
class Data:
    """Rows (n, p), classes (n,) and levels (n,)."""

    X: np.ndarray
    y: np.ndarray
    z: np.ndarray

    def __getitem__(self, rows):
        return Data(self.X[rows], self.y[rows], self.z[rows])

    @property
    def with_level(self):
        """Rows with the level as the last column."""
        return np.column_stack([self.X, self.z]).astype(np.float32)


def load(name):
    """A set of _nuisance as Data."""
    data = load_nuisance(name)
    X = np.asarray(data.data, np.float32).reshape(len(data.target), -1)
    X = X / IMAGES if data.data.dtype == np.uint8 else X
    return Data(X, data.target, data.nuisance)


# ----------------------------------------------------------------------------------- models


def pooled(train, **params):
    return THINClassifier(depth=0, n_experts=1, **params).fit(train.X, train.y)


def by_level(train, missing=0, **params):
    """THIN by the true level, the last column, which misses in each `missing`-th row."""
    X = train.with_level
    if missing:
        X[::missing, -1] = np.nan
    return THINClassifier(train.X.shape[1], **params).fit(X, train.y)


def encoder_of(rows, **params):
    return ExogenousEncoder(**params).fit(rows.X, rows.z)


def by_encoder(train, encoder, **params):
    return THINClassifier(FrozenEstimator(encoder), **params).fit(train.X, train.y)


class CrossFitted:
    """THIN by an encoder, whose outputs on the training rows are predicted out of fold."""

    def __init__(self, train, encoder, **params):
        self.encoder = encoder
        seen = {"cv": FOLDS, "method": "predict_proba"}
        proba = cross_val_predict(ExogenousEncoder(**params), train.X, train.z, **seen)
        width = train.X.shape[1]
        self.thin = THINClassifier(
            make_column_transformer(("passthrough", slice(width, None))),
            exogenous_predictor=LogProbabilities(),
            endogenous=make_column_transformer((TablePreprocessor(), slice(width))),
            **params,
        ).fit(np.column_stack([train.X, proba]), train.y)

    def score(self, X, y):
        return self.thin.score(np.column_stack([X, self.encoder.predict_proba(X)]), y)


# ----------------------------------------------------------------------------------- levels


def level_models(train, **params):
    """Fitted models by name, and whether each reads the level as a column."""
    encoder = encoder_of(train, **params)
    aligned = {"dispelling": "alignment", "backbone": GATED}
    return {
        "pooled network": (pooled(train, **params), False),
        "THIN, known level": (by_level(train, **params), True),
        "THIN, known level, missing in a fifth": (by_level(train, 5, **params), True),
        "THIN, encoder": (by_encoder(train, encoder, **params), False),
        "THIN, encoder, alignment": (by_encoder(train, encoder, **aligned, **params), False),
    }


def with_map_anew(model, X):
    """The adapted model, whose map of alignment is fitted to X too."""
    adapted = model.adapt(X)
    aligner, adapted.module_.eraser = adapted.module_.eraser, None
    h = torch.from_numpy(adapted.transform(X))  # in front of the map
    proba = torch.from_numpy(adapted.exogenous_.predict_proba(X))
    aligner.refit([(h, proba.clamp_min(1e-7).log())])
    adapted.module_.eraser = aligner
    return adapted


def level_draw(data, name, draw, n_rows, epochs):
    """By model and unlabelled rows: the accuracy without any, and the gains of `adapt`."""
    rng = np.random.RandomState(draw)
    train, level = (rng.permutation(rows) for rows in draws(name, draw, unseen=True))
    n_train = min(n_rows, int(SEEN_SHARE * len(train)))
    train, seen = train[:n_train], train[n_train:][:n_rows]
    halves = np.array_split(level[:n_rows], 2)
    params = {"max_epochs": epochs, "random_state": draw, "device": "cpu"}
    found = {}
    for model_name, (model, reads_level) in level_models(data[train], **params).items():
        X = data.with_level if reads_level else data.X
        new, test, y = X[halves[0]], X[halves[1]], data.y[halves[1]]
        found[model_name, SEEN] = 100 * model.score(X[seen], data.y[seen])
        before = found[model_name, BEFORE] = 100 * model.score(test, y)
        for rows, chosen in UNLABELLED.items():
            adapted = model.adapt(new[chosen(data.y[halves[0]])])
            found[model_name, rows] = 100 * adapted.score(test, y) - before
        if "alignment" in model_name:
            anew = 100 * with_map_anew(model, new).score(test, y) - before
            found["the same, map fitted anew", ALL] = anew
    return found


def gain(values):
    """Mean and standard deviation, and how many values are above 0."""
    rises = sum(value > 0 for value in values)
    return f"{mean_and_deviation(values)}, {rises} of {len(values)}"


def print_levels(args):
    names = " | ".join(f"gain, {rows}" for rows in UNLABELLED)
    print(f"| level left out, accuracy in % | {SEEN} | {BEFORE} | {names} |")
    print("| --- " * (len(UNLABELLED) + 3) + "|")
    with tqdm(total=len(args.sets) * args.draws, desc="levels", unit="draw") as bar:
        for name in args.sets:
            data, results = load(name), {}
            for draw in range(args.draws):
                sizes = args.rows or LEVEL_ROWS, args.epochs or LEVEL_EPOCHS
                for key, value in level_draw(data, name, draw, *sizes).items():
                    results.setdefault(key, []).append(value)
                bar.update()
            for model in dict.fromkeys(model for model, _ in results):
                cells = [results.get((model, column)) for column in (SEEN, BEFORE)]
                cells = ["–" if values is None else mean_and_deviation(values) for values in cells]
                gains = [results.get((model, rows)) for rows in UNLABELLED]
                cells += ["–" if values is None else gain(values) for values in gains]
                print(f"| {name}, {model} | {' | '.join(cells)} |", flush=True)


# ----------------------------------------------------------------------------------- border


def border_draw(data, n_rows, draw, epochs):
    """Accuracies by model, and shares of recognised bins by encoder."""
    order = np.random.RandomState(draw).permutation(len(data.y))
    test, train = data[order[:TEST_ROWS]], data[order[TEST_ROWS : TEST_ROWS + n_rows]]
    rest = order[TEST_ROWS + n_rows :]
    params = {"max_epochs": epochs, "random_state": draw, "device": "cpu"}
    same = encoder_of(train, **params)
    found = {
        "pooled network": pooled(train, **params).score(test.X, test.y),
        "pooled network, layers as gated": pooled(train, backbone=GATED, **params).score(
            test.X, test.y
        ),
        "pooled network, weights as gated": pooled(train, backbone=WIDE, **params).score(
            test.X, test.y
        ),
        "gate by the known bin": by_level(train, **params).score(test.with_level, test.y),
        "gate by an encoder of the same rows": by_encoder(train, same, **params).score(
            test.X, test.y
        ),
        "the same, cross-fitted": CrossFitted(train, same, **params).score(test.X, test.y),
        "bins recognised, same rows": same.score(test.X, test.z),
    }
    for k in FACTORS:
        if k * n_rows <= len(rest):
            fewer = {**params, "max_epochs": min(epochs, SIZES[3000])}  # for more rows
            other = encoder_of(data[rest[: k * n_rows]], **fewer)
            score = by_encoder(train, other, **params).score(test.X, test.y)
            found[f"gate by an encoder of {k} n other rows"] = score
            found[f"bins recognised, {k} n other rows"] = other.score(test.X, test.z)
    return found


def print_border(args):
    data, sizes = load(BORDER), {args.rows: SIZES[3000]} if args.rows else SIZES
    results = {}
    with tqdm(total=len(sizes) * args.draws, desc="border", unit="draw") as bar:
        for n_rows, epochs in sizes.items():
            for draw in range(args.draws):
                found = border_draw(data, n_rows, draw, args.epochs or epochs)
                for name, accuracy in found.items():
                    results.setdefault(name, {}).setdefault(n_rows, []).append(100 * accuracy)
                bar.update()
    print(f"\n| {BORDER}, accuracy in % | " + " | ".join(f"n = {n:,}" for n in sizes) + " |")
    print("| --- " * (len(sizes) + 1) + "|")
    for name, by_size in sorted(results.items(), key=lambda item: item[0].startswith("bins")):
        cells = [mean_and_deviation(by_size[n]) if n in by_size else "–" for n in sizes]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main():
    parser = arguments(__doc__, rows=0)
    parts = {"levels": print_levels, "border": print_border}
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts), metavar="NAME")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="NAME")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="default: as many as the part states")
    args = parser.parse_args()
    for part in args.parts:
        parts[part](args)


if __name__ == "__main__":
    main()
