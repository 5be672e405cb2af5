"""Which digits of MNIST-R the gate confuses, beside the oracle, whose gate is told the true bin.

    python benchmarks/paper/confusions.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. The models are those of `mnist_r.py`, whose
runs are not repeated. A pair of digits counts in both directions. A 6 and a 9 are each other's
image turned by 180 degrees: what an oracle wins there no encoder could tell. Printed are the
pairs that the oracle wins most, and how much of what separates the two models they make up.
"""

import numpy as np
from _models import count_errors, score_encoder
from _runs import arguments, heading, markdown, mean_and_deviation, run_named, setting, write_json

MODELS = ("exogenous gate, shared layer", "oracle, shared layer")
N_PAIRS = 8


def pair_counts(matrices):
    """Errors of every pair of classes, in both directions: (n_seeds, n_pairs)."""
    matrices = np.array(matrices)  # (n_seeds, n_classes, n_classes)
    both = matrices + matrices.transpose(0, 2, 1)
    return both[:, *np.triu_indices(both.shape[1], 1)]


def table(runs):
    """Errors on the pairs that the oracle wins most, on 6 and 9, and in all."""
    gate, oracle = (pair_counts(runs[name]) for name in MODELS)
    won = gate - oracle  # (n_seeds, n_pairs)
    names = [f"{i} and {j}" for i, j in zip(*np.triu_indices(10, 1), strict=True)]
    order = np.argsort(-won.mean(0), kind="stable")[:N_PAIRS].tolist()
    rows = []
    for pair in dict.fromkeys([*order, names.index("6 and 9")]):
        counts = [mean_and_deviation(errors[:, pair], 1) for errors in (gate, oracle, won)]
        share = 100 * won[:, pair].mean() / won.sum(1).mean()
        rows.append([names[pair], *counts, f"{share:.0f}"])
    whole = [mean_and_deviation(errors.sum(1), 1) for errors in (gate, oracle, won)]
    rows.append(["all pairs", *whole, "100"])
    return markdown(["errors", *MODELS, "difference", "of the whole difference, %"], rows)


def main():
    args = arguments(__doc__, lam=None).parse_args()
    specs = [setting(args, "mnist_r", seed) for seed in range(args.seeds)]
    run_named(score_encoder, specs, {"encoder": ({}, "free")}, args, "encoders")
    runs = run_named(count_errors, specs, {name: ({}, name) for name in MODELS}, args, "models")
    print(heading("MNIST-R", args))
    print(table(runs))
    write_json(args, runs={name: np.array(r).tolist() for name, r in runs.items()})


if __name__ == "__main__":
    main()
