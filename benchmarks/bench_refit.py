"""A search with refit="ensemble" against the same search that refits its best candidate.

    SKLEARN_THIN_DATA=DIR python benchmarks/bench_refit.py --draws 10 11 12

DIR holds `nuisance/*.npz` (docs/datasets.md). Both searches have 16 candidates of THIN (two depths,
four rates, two weight decays) on five folds, and the same networks. The nuisance is known; of
scikit-learn's digits it is the quartile of the ink. A draw has its own training rows, at most
`--rows`, its own test rows, folds and seed.

Printed are the mean errors on the test rows in %, the ratio of the errors in the same draw, with
its standard error over the draws, and the ratio of the processor's seconds of both searches.
"better" counts the draws in which the ensemble makes fewer errors, and those in which it makes more.
"""

import time
import warnings

import numpy as np
from _cases import arguments, mean_and_deviation, print_machine
from _peers import NUISANCE, frame_of
from peers import SETS, load, share
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split
from tqdm.auto import tqdm

from sklearn_thin import MLPBackbone, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV

GRID = {"depth": [1, 3], "lr": [1e-3, 2e-3, 4e-3, 8e-3], "weight_decay": [1e-4, 1e-2]}
FOLDS = 5
DIGITS = "digits by ink"
NAMES = [DIGITS, *(name for name in SETS if not name.endswith(("unseen", "10 %", "100 %")))]
REFITS = {"best": True, "ensemble": "ensemble"}


def digits(draw):
    """Frame, labels, training rows, test rows and strata of scikit-learn's digits."""
    X, y = load_digits(return_X_y=True)
    ink = X.sum(1)
    z = np.searchsorted(np.quantile(ink, [0.25, 0.5, 0.75]), ink)
    train, test = train_test_split(np.arange(len(y)), test_size=1 / 2, random_state=draw)
    return frame_of((X / 16).astype(np.float32), z.astype(str)), y, train, test, 10 * z + y


def rows(name, draw, most):
    """Frame and labels of at most so many training rows, and of five times as many test rows."""
    frame, y, train, test, codes = digits(draw) if name == DIGITS else load(name, draw)[:5]
    parts = []
    for part, size in ((train, most), (test, 5 * most)):
        few = share(part, codes, size / len(part), np.random.RandomState(draw))
        part = few if size < len(part) else part
        parts += [frame.iloc[part].reset_index(drop=True), y[part]]
    return parts


def compare(name, draw, args):
    """Errors and seconds of both searches, and the sizes of the draw."""
    X, y, X_test, y_test = rows(name, draw, args.rows)
    network = {"backbone": MLPBackbone((args.width, args.width), 0.2), "max_epochs": args.epochs}
    thin = THINClassifier(NUISANCE, **network, device="cpu", random_state=draw)
    cv = StratifiedKFold(FOLDS, shuffle=True, random_state=draw)
    errors, seconds = {}, {}
    for refit, value in REFITS.items():
        start = time.process_time()
        search = StackedGridSearchCV(thin, GRID, cv=cv, refit=value).fit(X, y)
        seconds[refit] = time.process_time() - start
        errors[refit] = 100 * (1 - search.score(X_test, y_test))
    sizes = len(y), len(y_test), len(search.best_estimator_.estimators_)
    return errors, seconds, sizes


def ratio(of, name):
    """Ratios of the ensemble to the best candidate, by draw."""
    return np.array([run[of]["ensemble"] / run[of]["best"] for run in name])


def main():
    parser = arguments(__doc__, rows=600)
    parser.add_argument("--draws", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("--sets", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--width", type=int, default=32)
    args = parser.parse_args()
    print_machine("cpu", len(args.draws))
    print("set: rows, test rows, members | best, % | ensemble, % | ratio | better | seconds")
    means, costs = [], []
    for name in tqdm(args.sets, unit="set"):
        runs = []
        for draw in args.draws:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # classes with fewer rows than folds
                errors, seconds, sizes = compare(name, draw, args)
            runs.append({"errors": errors, "seconds": seconds})
        error, cost = ratio("errors", runs), ratio("seconds", runs)
        both = [mean_and_deviation([run["errors"][refit] for run in runs], 2) for refit in REFITS]
        spread = error.std(ddof=1) / np.sqrt(len(error)) if len(error) > 1 else np.nan
        counts = f"{(error < 1).sum()}:{(error > 1).sum()}"
        print(
            f"{name}: {', '.join(map(str, sizes))} | {both[0]} | {both[1]} | "
            f"{error.mean():.3f} ± {spread:.3f} | {counts} | {cost.mean():.2f}",
            flush=True,
        )
        means.append(error.mean())
        costs.append(cost.mean())
    print(f"mean of the ratios of errors {np.mean(means):.3f}, of seconds {np.mean(costs):.2f}")


if __name__ == "__main__":
    main()
