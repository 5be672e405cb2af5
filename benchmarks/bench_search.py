"""Speed of StackedGridSearchCV against scikit-learn's GridSearchCV, by default on one job and two.

    python benchmarks/bench_search.py

A search has 60 candidates of THIN (five λ, four rates, three weight decays) and five folds of
scikit-learn's digits, 1,797 rows of 64 features. The exogenous variable is the quartile of the
ink, which a frozen encoder predicts. Eight experts share a hidden layer of `--width` units. In a
wider layer more of the time is arithmetic, which stacking does not save.

Contenders run in turn, round after round. Ratios are taken within a round; printed are the
median, the smallest and the largest. The last lines compare the best parameters and the scores
of the folds, also between the two plain searches, which differ only in threads.

`--grid mixed` searches networks of 12 sizes instead: depth 0 to 3 with two, four or eight experts,
each with five pairs of λ and rate. With `--candidates 16` it has two numbers of experts and two
rates.

`--grid default` searches 20 candidates of the default network instead: five λ and four rates. λ = 0
has gated layers, and the other λ have experts behind a shared backbone.

On a CPU the floor is printed beside: the matrix products of all steps alone, forward and backward,
and one pass of fused Adam over all weights in each step. `--profile` prints the shares of a stacked
step instead.

`--halving` times StackedHalvingSearchCV over epochs against the stacked grid instead, with 300
candidates each. `--epochs` are those of the grid and of the last rung; by default a fit of these
rows has 50. Other work on the machine disturbs the seconds of the processor less. The standard
error of the grid's best score is that of the mean over the folds.

`--grow` also times stacked searches of 1, 10, 60 and 300 candidates. `--ensemble` times ensembles
of 1 to 20 seeds instead, and prints their accuracy on a held-out third of the digits.
"""

from functools import partial
from time import process_time

import numpy as np
from _cases import (
    DEVICES,
    alternate,
    arguments,
    mean_and_deviation,
    one_layer,
    print_machine,
    print_ratios,
    spread,
)
from _step import print_floor, print_profile, stacks_of
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, ParameterGrid, train_test_split

from sklearn_thin import ExogenousEncoder, THINClassifier
from sklearn_thin.model_selection import (
    SeedEnsembleClassifier,
    StackedGridSearchCV,
    StackedHalvingSearchCV,
)

N_FOLDS = 5
WIDTH = 28  # of the names in print


def rows():
    """The digits, and the quartile of their ink."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    ink = X.sum(1)
    return X, y, np.searchsorted(np.quantile(ink, [0.25, 0.5, 0.75]), ink)


def grid(n_candidates):
    """Candidates of one shape: five λ, four rates, and weight decays."""
    lams, rates = [0.01, 0.03, 0.1, 0.3, 1.0], [1e-3, 2e-3, 4e-3, 8e-3]
    if n_candidates < 20:
        return {"lr": np.geomspace(1e-3, 8e-3, n_candidates).tolist(), "lam": [0.01]}
    decays = np.geomspace(1e-5, 1e-3, n_candidates // 20).tolist()
    return {"lam": lams, "lr": rates, "weight_decay": decays}


def mixed_grid(n_candidates):
    """Candidates of many sizes: depths, numbers of experts, λ and rates."""
    depths = [0, 1, 2, 3]
    if n_candidates < 20:
        return {"depth": depths, "n_experts": [4, 8], "lr": [1e-3, 4e-3], "lam": [0.1]}
    pairs = [(0.01, 1e-3), (0.03, 4e-3), (0.1, 2e-3), (0.3, 8e-3), (1.0, 4e-3)]
    trees = {"depth": depths, "n_experts": [2, 4, 8]}
    return [{**trees, "lam": [lam], "lr": [rate]} for lam, rate in pairs]


def default_grid(n_candidates):
    """Candidates of the default network."""
    return {"lam": [0.0, 0.01, 0.03, 0.1, 0.3], "lr": [1e-3, 2e-3, 4e-3, 8e-3]}


GRIDS = {"one": grid, "mixed": mixed_grid, "default": default_grid}


def compare(thin, X, y, rounds, jobs, param_grid):
    """Ratios of both plain searches to the stacked search, and how far their results differ.

    Returns the seconds of the stacked search, the median of the rounds.
    """
    setting = {"param_grid": param_grid, "cv": N_FOLDS, "refit": False}
    title = f"{len(ParameterGrid(param_grid))} candidates"
    makers = {"stacked": partial(StackedGridSearchCV, thin, **setting)}
    for n in jobs:
        makers[f"GridSearchCV(n_jobs={n})"] = partial(GridSearchCV, thin, **setting, n_jobs=n)
    searches = {}

    def search(name):
        searches[name] = makers[name]().fit(X, y)

    calls = {name: partial(search, name) for name in makers}
    seconds = alternate(calls, rounds, title, warm_up=False)
    print(f"{title} x {N_FOLDS} folds, seconds as a multiple of the stacked search's")
    print_ratios(seconds, "stacked", WIDTH)
    ours, plain, *others = (searches[name] for name in makers)
    print(f"  same best parameters: {ours.best_params_ == plain.best_params_}")
    print("  largest difference of a fold's accuracy, in points")
    print(f"    stacked, GridSearchCV(n_jobs={jobs[0]}): {apart(ours, plain):.2f}")
    for n, other in zip(jobs[1:], others, strict=True):
        print(f"    GridSearchCV, n_jobs={jobs[0]} and {n}: {apart(plain, other):.2f}")
    return np.median(seconds["stacked"])


def apart(search, other):
    """Largest difference of a fold's score of two searches, in points."""
    names = [f"split{fold}_test_score" for fold in range(N_FOLDS)]
    both = [[s.cv_results_[name] for name in names] for s in (search, other)]
    return 100 * np.abs(np.subtract(*both)).max()


def grow(thin, X, y, rounds):
    """Stacked searches of growing size, as multiples of the search of 60 candidates."""

    def search(size):
        StackedGridSearchCV(thin, grid(size), cv=N_FOLDS, refit=False).fit(X, y)

    calls = {f"{size} candidates": partial(search, size) for size in (1, 10, 60, 300)}
    seconds = alternate(calls, rounds, "growth", warm_up=False)
    print(f"candidates x {N_FOLDS} folds, stacked, seconds as a multiple of those of 60")
    print_ratios(seconds, "60 candidates", WIDTH)


def halving(thin, X, y, rounds, n_candidates):
    """Ratio of the stacked grid to halving, and their best scores, with other seeds each round."""
    fitted = {StackedGridSearchCV: [], StackedHalvingSearchCV: []}

    def search(kind):
        seeded = clone(thin).set_params(random_state=len(fitted[kind]))
        how = {"cv": N_FOLDS, "refit": False, "return_train_score": False}
        if kind is StackedHalvingSearchCV:
            how |= {"resource": "max_epochs", "max_resources": thin.max_epochs}
        start = process_time()
        fitted[kind].append(kind(seeded, grid(n_candidates), **how).fit(X, y))
        used[kind.__name__].append(process_time() - start)

    used = {kind.__name__: [] for kind in fitted}
    calls = {kind.__name__: partial(search, kind) for kind in fitted}
    seconds = alternate(calls, rounds, "halving", warm_up=False)
    print(f"{n_candidates} candidates x {N_FOLDS} folds, seconds as a multiple of the halving's")
    print_ratios(seconds, StackedHalvingSearchCV.__name__, WIDTH)
    print("seconds of the processor, likewise")
    print_ratios(used, StackedHalvingSearchCV.__name__, WIDTH)
    for grids, halved in zip(*fitted.values(), strict=True):
        results, best = grids.cv_results_, grids.best_index_
        error = 100 * results["std_test_score"][best] / np.sqrt(N_FOLDS - 1)
        chosen = {k: halved.best_params_[k] for k in grids.best_params_}
        print(f"  epochs {halved.n_resources_} for {halved.n_candidates_} candidates")
        print(f"  best score, %: grid {100 * grids.best_score_:.2f} (standard error {error:.2f}),")
        print(f"    halving {100 * halved.best_score_:.2f}")
        full = 100 * results["mean_test_score"][results["params"].index(chosen)]
        print(f"    the halving's candidate in the grid {full:.2f}")


def ensembles(thin, X, y, rounds):
    """Seconds and held-out accuracy of growing ensembles, with other seeds in each round."""
    X, X_test, y, y_test = train_test_split(X, y, test_size=1 / 3, random_state=0, stratify=y)
    sizes = (1, 5, 20)
    fitted = {size: [] for size in sizes}

    def fit(size):
        ensemble = SeedEnsembleClassifier(thin, size, random_state=len(fitted[size]))
        fitted[size].append(ensemble.fit(X, y))

    calls = {size: partial(fit, size) for size in sizes}
    seconds = alternate(calls, rounds, "ensembles", warm_up=False)
    print("ensembles, seconds as a multiple of those of one seed; accuracy, %")
    for size in sizes:
        scores = [100 * ensemble.score(X_test, y_test) for ensemble in fitted[size]]
        ratios = spread(np.divide(seconds[size], seconds[1]))
        print(f"  {f'{size} seeds':<{WIDTH}}{ratios} {mean_and_deviation(scores, 2)}")


def main():
    parser = arguments(__doc__, rounds=3, grow="more candidates as well")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--grid", choices=GRIDS, default="one", help="shapes of the networks")
    parser.add_argument("--candidates", type=int, choices=(16, 60), default=60)
    parser.add_argument("--profile", action="store_true", help="shares of a stacked step instead")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], help="of GridSearchCV")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--ensemble", action="store_true", help="ensembles of seeds instead")
    parser.add_argument("--halved", type=int, default=300, help="candidates of --halving")
    parser.add_argument("--halving", action="store_true", help="halving against the grid instead")
    args = parser.parse_args()
    X, y, ink = rows()
    raw = {"preprocessor": None}, {"endogenous": None, "batch_size": args.batch_size}
    of_encoder, of_thin = [one_layer(args.width) | part for part in raw]
    if args.grid == "default":
        of_encoder = of_thin = {}
    where = {"device": args.device, "random_state": 0}
    encoder = ExogenousEncoder(**of_encoder, max_epochs=5, **where).fit(X, ink)
    side = FrozenEstimator(encoder)
    thin = THINClassifier(side, **of_thin, max_epochs=args.epochs, **where)
    print_machine(args.device, args.rounds)
    network = "default network"
    if args.grid != "default":
        network = f"batch {args.batch_size}, width {args.width}"
    print(f"{args.epochs} epochs, {network}")
    if args.halving:
        halving(thin, X, y, args.rounds, args.halved)
        return
    if args.ensemble:
        ensembles(thin, X, y, args.rounds)
        return
    searched = GRIDS[args.grid](args.candidates)
    if args.profile:
        print_profile(stacks_of(thin, X, y, ParameterGrid(searched), N_FOLDS))
        return
    seconds = compare(thin, X, y, args.rounds, args.jobs, searched)
    if args.device == "cpu":
        floor = print_floor(stacks_of(thin, X, y, ParameterGrid(searched), N_FOLDS))
        print(f"  floor as a multiple of the stacked search's seconds: {floor / seconds:.2f}")
    if args.grow:
        grow(thin, X, y, args.rounds)


if __name__ == "__main__":
    main()
