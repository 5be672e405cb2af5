"""Speed of StackedGridSearchCV against scikit-learn's GridSearchCV, by default on one job and two.

    python benchmarks/bench_search.py

60 candidates of THIN (five λ, four rates, three weight decays) on five folds of scikit-learn's
digits, 1,797 rows of 64 features; the exogenous variable is the quartile of the ink, told by
a frozen encoder. `--width` is the hidden layer's, which eight experts share: the wider it is,
the more of the time is arithmetic, which stacking does not save. Contenders are run in turn,
round after round; ratios are taken within a round, and the median is printed with the smallest
and largest. Printed beside: whether the best parameters are the same, and how far a fold's
score differs, also between the two plain searches, which differ in threads alone. `--grow`
times stacked searches of 1, 10, 60 and 300 candidates, and `--ensemble` ensembles of 1 to 20
seeds of the same network, and says how they score on a third of the digits that is held out.
"""

import argparse
import time
from functools import partial

import numpy as np
import torch
from _cases import DEVICES, machine, mean_and_deviation
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, train_test_split
from tqdm.auto import tqdm

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV

N_FOLDS = 5


def rows():
    """The digits, and the quartile of their ink."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    ink = X.sum(1)
    return X, y, np.searchsorted(np.quantile(ink, [0.25, 0.5, 0.75]), ink)


def grid(n_candidates):
    """So many candidates of one shape: five λ, four rates, and weight decays."""
    lams, rates = [0.01, 0.03, 0.1, 0.3, 1.0], [1e-3, 2e-3, 4e-3, 8e-3]
    if n_candidates < 20:
        return {"lr": np.geomspace(1e-3, 8e-3, n_candidates).tolist(), "lam": [0.01]}
    decays = np.geomspace(1e-5, 1e-3, n_candidates // 20).tolist()
    return {"lam": lams, "lr": rates, "weight_decay": decays}


def timed(search, X, y):
    """Seconds of a search, without refitting."""
    start = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - start


def line(name, ratios):
    """Median of ratios, smallest and largest."""
    ratios = np.array(ratios)
    return f"  {name:<28}{np.median(ratios):6.2f}  ({ratios.min():.2f}, {ratios.max():.2f})"


def compare(thin, X, y, rounds, jobs):
    """Ratios of both plain searches to the stacked one, and how far their results differ."""
    setting = {"param_grid": grid(60), "cv": N_FOLDS, "refit": False}
    contenders = {"stacked": lambda: StackedGridSearchCV(thin, **setting)}
    for n in jobs:
        make = partial(GridSearchCV, thin, **setting, n_jobs=n)
        contenders[f"GridSearchCV(n_jobs={n})"] = make
    seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        searches = {name: make() for name, make in contenders.items()}
        for name, search in tqdm(searches.items(), "60 candidates", unit="search"):
            seconds[name].append(timed(search, X, y))
    print(f"60 candidates x {N_FOLDS} folds, seconds as a multiple of the stacked search's")
    for name, values in seconds.items():
        print(line(name, np.divide(values, seconds["stacked"])))
    ours, plain, *others = searches.values()
    print(f"  same best parameters: {ours.best_params_ == plain.best_params_}")
    print("  largest difference of a fold's accuracy, in points")
    print(f"    stacked, GridSearchCV(n_jobs={jobs[0]}): {apart(ours, plain):.2f}")
    for n, other in zip(jobs[1:], others, strict=True):
        print(f"    GridSearchCV, n_jobs={jobs[0]} and {n}: {apart(plain, other):.2f}")


def apart(search, other):
    """Largest difference of a fold's score of two searches, in points."""
    names = [f"split{fold}_test_score" for fold in range(N_FOLDS)]
    both = [[s.cv_results_[name] for name in names] for s in (search, other)]
    return 100 * np.abs(np.subtract(*both)).max()


def grow(thin, X, y, rounds):
    """Stacked searches of more and more candidates, as multiples of that of 60."""
    sizes = (1, 10, 60, 300)
    seconds = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in tqdm(sizes, "growth", unit="search"):
            search = StackedGridSearchCV(thin, grid(size), cv=N_FOLDS, refit=False)
            seconds[size].append(timed(search, X, y))
    print(f"candidates x {N_FOLDS} folds, stacked, seconds as a multiple of those of 60")
    for size, values in seconds.items():
        print(line(f"{size} candidates", np.divide(values, seconds[60])))


def ensembles(thin, X, y, rounds):
    """Seconds and held-out accuracy of more and more seeds; other seeds in each round."""
    X, X_test, y, y_test = train_test_split(X, y, test_size=1 / 3, random_state=0, stratify=y)
    sizes = (1, 5, 20)
    seconds, scores = ({size: [] for size in sizes} for _ in range(2))
    for seed in range(rounds):
        for size in tqdm(sizes, "ensembles", unit="fit"):
            ensemble = SeedEnsembleClassifier(thin, size, random_state=seed)
            seconds[size].append(timed(ensemble, X, y))
            scores[size].append(100 * ensemble.score(X_test, y_test))
    print("ensembles, seconds as a multiple of those of one seed; accuracy, %")
    for size in sizes:
        accuracy = mean_and_deviation(scores[size], 2)
        print(line(f"{size} seeds", np.divide(seconds[size], seconds[1])), accuracy)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], help="of GridSearchCV")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--grow", action="store_true", help="more candidates as well")
    parser.add_argument("--ensemble", action="store_true", help="ensembles of seeds instead")
    args = parser.parse_args()
    X, y, ink = rows()
    network = {"backbone": MLPBackbone((args.width,)), "hidden_units": 0}
    where = {"device": args.device, "random_state": 0}
    encoder = ExogenousEncoder(**network, max_epochs=5, **where).fit(X, ink)
    thin = THINClassifier(
        FrozenEstimator(encoder),
        **network,
        batch_size=args.batch_size,
        max_epochs=args.epochs,
        **where,
    )
    print(f"torch {torch.__version__}, {machine(args.device)}, {args.rounds} rounds")
    print(f"{args.epochs} epochs, batch {args.batch_size}, width {args.width}")
    if args.ensemble:
        ensembles(thin, X, y, args.rounds)
        return
    compare(thin, X, y, args.rounds, args.jobs)
    if args.grow:
        grow(thin, X, y, args.rounds)


if __name__ == "__main__":
    main()
