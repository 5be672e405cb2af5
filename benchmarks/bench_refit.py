"""A search with refit="ensemble" against the same search that refits its best candidate.

    SKLEARN_THIN_DATA=DIR python benchmarks/bench_refit.py --draws 10 11 12

DIR holds `nuisance/*.npz` (docs/datasets.md). Both searches have 16 candidates of THIN (four rates,
four weight decays) on five folds, and the same networks; `--rates` changes the number of rates. The
nuisance is known; of scikit-learn's digits it is the quartile of the ink. A draw has its own
training rows, at most `--rows`, its own test rows, folds and seed.

Printed are the mean errors on the test rows in %, the ratio of the errors in the same draw, with
its standard error over the draws, and the ratio of the processor's seconds of both searches in
the first draw. In the other draws the best candidate is refitted alone, which makes the same model.
"better" counts the draws in which the ensemble makes fewer errors, and in which it makes more.
"""

import time
import warnings

import numpy as np
from _cases import arguments, mean_and_deviation, print_machine
from _peers import NUISANCE, frame_of
from peers import SETS, load, share
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split
from tqdm.auto import tqdm

from sklearn_thin import MLPBackbone, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV

DECAYS = [1e-4, 1e-3, 1e-2, 3e-2]
FOLDS = 5
DIGITS = "digits by ink"
NAMES = [DIGITS, *(name for name in SETS if not name.endswith(("unseen", "10 %", "100 %")))]


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
    """Errors of both searches, a function that times both, and the sizes of the draw."""
    X, y, X_test, y_test = rows(name, draw, args.rows)
    network = {"backbone": MLPBackbone((args.width, args.width), 0.2), "max_epochs": args.epochs}
    thin = THINClassifier(NUISANCE, **network, device="cpu", random_state=draw)
    rates = np.geomspace(1e-3, 8e-3, args.rates).round(6).tolist()
    grid = {"lr": rates, "weight_decay": DECAYS}
    cv = StratifiedKFold(FOLDS, shuffle=True, random_state=draw)

    def search(refit):
        start = time.process_time()
        fitted = StackedGridSearchCV(thin, grid, cv=cv, refit=refit).fit(X, y)
        return fitted, time.process_time() - start

    ensemble, seconds = search("ensemble")
    best = clone(thin).set_params(**ensemble.best_params_).fit(X, y)
    errors = [100 * (1 - model.score(X_test, y_test)) for model in (best, ensemble)]
    sizes = len(y), len(y_test), len(ensemble.best_estimator_.estimators_)
    return errors, lambda: seconds / search(True)[1], sizes


def main():
    parser = arguments(__doc__, rows=600)
    parser.add_argument("--draws", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("--sets", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--rates", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--width", type=int, default=32)
    args = parser.parse_args()
    print_machine("cpu", len(args.draws))
    print("set: rows, test rows, members | best, % | ensemble, % | ratio | better | seconds")
    means, costs = [], []
    for name in tqdm(args.sets, unit="set"):
        errors = []
        for draw in args.draws:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # classes with fewer rows than folds
                both, cost, sizes = compare(name, draw, args)
                costs += [cost()] if draw == args.draws[0] else []
            errors.append(both)
        best, ensemble = np.array(errors).T
        ratios = ensemble / best
        means.append(ratios.mean())
        spread = ratios.std(ddof=1) / np.sqrt(len(ratios)) if len(ratios) > 1 else np.nan
        print(
            f"{name}: {', '.join(map(str, sizes))} | {mean_and_deviation(best, 2)} | "
            f"{mean_and_deviation(ensemble, 2)} | {means[-1]:.3f} ± {spread:.3f} | "
            f"{(ratios < 1).sum()}:{(ratios > 1).sum()} | {costs[-1]:.2f}",
            flush=True,
        )
    print(f"mean of the ratios of errors {np.mean(means):.3f}, of seconds {np.mean(costs):.2f}")


if __name__ == "__main__":
    main()
