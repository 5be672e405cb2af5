"""Time and size of the files of `checkpoint_dir`, by the size of the network.

    python benchmarks/bench_checkpoints.py

Of `--rounds` fits of one epoch on random rows: the median, the smallest and the largest time of
writing a state, its size, and the seconds of training from one state to the next by the rule of
the package. The last line is the time of naming the files, which reads all rows, for a gigabyte.
"""

import time
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from _cases import arguments, print_machine

from sklearn_thin import ConvNetBackbone, MLPBackbone, THINClassifier
from sklearn_thin.training import checkpoints

IMAGES, TABLE = (64, 1, 28, 28), (64, 32)  # shapes of the rows


def networks(width):
    """Name of a network -> shape of its rows, parameters."""
    paper = {"backbone": ConvNetBackbone(hidden_layer_sizes=()), "hidden_units": 256}
    return {
        "table, default": (TABLE, {}),
        "digits, the paper's": (IMAGES, paper),
        f"table, 3 layers of {width:,}": (TABLE, {"backbone": MLPBackbone((width,) * 3)}),
    }


def written(X, thin):
    """Seconds and bytes of the writing of a state, in a fit of one epoch."""
    found, epoch_ended = [], checkpoints.Kept.epoch_ended

    def noting(kept, *args):
        epoch_ended(kept, *args)
        found.append((kept.seconds, kept.states()[0].stat().st_size))

    with (
        TemporaryDirectory() as folder,
        patch.object(checkpoints.Kept, "epoch_ended", noting),
        patch.object(checkpoints, "SECONDS", 0),
    ):
        thin.set_params(checkpoint_dir=folder).fit(X, np.arange(len(X)) % 10)
    return found[0]


def main():
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--width", type=int, default=2048, help="of the largest network")
    parser.add_argument("--mebibytes", type=int, default=256, help="of the rows of the last line")
    args = parser.parse_args()
    rng, fits = np.random.default_rng(0), {"max_epochs": 1, "random_state": 0, "device": "cpu"}
    print_machine("cpu", args.rounds)
    print("| network | MB | ms to write | s between states |\n|---|---|---|---|")
    for name, (shape, params) in networks(args.width).items():
        X = rng.random(shape, dtype=np.float32)
        thin = THINClassifier(**params, **fits)
        seconds, (n_bytes, *_) = zip(*(written(X, thin) for _ in range(args.rounds)), strict=True)
        ms = [1000 * value for value in (np.median(seconds), min(seconds), max(seconds))]
        between = max(checkpoints.SECONDS, checkpoints.SHARE * np.median(seconds))
        times = "{:.0f} ({:.0f} to {:.0f})".format(*ms)
        print(f"| {name} | {n_bytes / 1e6:.1f} | {times} | {between:.0f} |")
    X = rng.random((args.mebibytes * 1024, 256), dtype=np.float32)
    plan = THINClassifier(endogenous=None, **fits).plan(X, np.arange(len(X)) % 10)
    start = time.perf_counter()
    checkpoints.digest([plan])
    print(f"naming: {(time.perf_counter() - start) / X.nbytes * 1e9:.2f} s for a gigabyte of rows")


if __name__ == "__main__":
    main()
