"""Pairs of digits that the gate confuses on MNIST-R, beside the oracle's.

    python benchmarks/paper/confusions.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. The gate of the oracle reads the true bin.
The models are those of `mnist_r.py`, whose runs are not repeated. A pair of digits counts in
both directions. A 6 and a 9 are each other's image, turned by 180 degrees: no encoder could win
the errors that the oracle wins there. The table shows the pairs with the largest difference of
the two models, and their share of the whole difference.
"""

import numpy as np
from _command import arguments, main, settings, show
from _models import models
from _scores import count_errors, run_models
from _tables import markdown, mean_and_deviation

COMPARED = ("exogenous gate, shared layer", "oracle, shared layer")
N_PAIRS = 8


def pair_counts(matrices):
    """Errors of every pair of classes, in both directions: (n_seeds, n_pairs)."""
    matrices = np.array(matrices)  # (n_seeds, n_classes, n_classes)
    both = matrices + matrices.transpose(0, 2, 1)
    return both[:, *np.triu_indices(both.shape[1], 1)]


def table(runs):
    """Errors on the pairs that the oracle wins most, on 6 and 9, and in all."""
    gate, oracle = (pair_counts(runs[name]) for name in COMPARED)
    won = gate - oracle  # (n_seeds, n_pairs)
    in_all = won.sum(1).mean()
    names = [f"{i} and {j}" for i, j in zip(*np.triu_indices(10, 1), strict=True)]
    order = np.argsort(-won.mean(0), kind="stable")[:N_PAIRS].tolist()
    rows = []
    for pair in dict.fromkeys([*order, names.index("6 and 9")]):
        counts = [mean_and_deviation(errors[:, pair], 1) for errors in (gate, oracle, won)]
        share = f"{100 * won[:, pair].mean() / in_all:.0f}" if in_all else None
        rows.append([names[pair], *counts, share])
    whole = [mean_and_deviation(errors.sum(1), 1) for errors in (gate, oracle, won)]
    rows.append(["all pairs", *whole, "100"])
    return markdown(["errors", *COMPARED, "difference", "of the whole difference, %"], rows)


def report(args):
    runs = run_models(count_errors, models(COMPARED), settings(args, "mnist_r"), args)
    show(args, "MNIST-R", table(runs))
    return {"runs": {name: np.array(matrices).tolist() for name, matrices in runs.items()}}


if __name__ == "__main__":
    main(arguments(__doc__), report)
