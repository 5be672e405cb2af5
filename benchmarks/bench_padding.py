"""Cost of a stacked training step: a launch, and the values of all networks.

    python benchmarks/bench_padding.py

Trains stacks of other numbers and sizes of networks on 640 rows of scikit-learn's digits, and
prints the milliseconds of a step. A line through them, by least relative squares, has the launch as
its offset. The last figure is the launch in products of a value and a row of the batch: `LAUNCH` of
`sklearn_thin/training/padding.py`. Stacks of other sizes are merged while padding adds fewer.
"""

import time
from itertools import product

import numpy as np
import torch
from _cases import DEVICES, arguments, one_layer, print_machine
from sklearn.datasets import load_digits

from sklearn_thin import THINClassifier
from sklearn_thin.training.padding import count, sizes
from sklearn_thin.training.stack import Stack

TREES = [{"depth": 0}, {"depth": 3}]


def milliseconds(stack, rounds):
    """Of a step, the fastest epoch of some."""
    seconds = []
    for _ in range(rounds + 1):  # the first one warms up
        start = time.perf_counter()
        stack._train_epoch()["loss"].tolist()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 1e3 * min(seconds[1:]) / len(stack.train.bounds)


def main():
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--networks", type=int, nargs="+", default=[1, 5, 20, 80])
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    args = parser.parse_args()
    X, y = (rows[:640] for rows in load_digits(return_X_y=True))
    X = (X / 16).astype(np.float32)
    print_machine(args.device, args.rounds)
    print(f"{'width':>6}{'depth':>6}{'networks':>10}{'values':>12}{'ms a step':>11}")
    values, times = [], []
    for width, n_nets, tree in product((16, 64), args.networks, TREES):
        how = {"endogenous": None, "batch_size": args.batch_size, "device": args.device}
        thin = THINClassifier(**one_layer(width), **tree, **how, random_state=0)
        plans = [thin.plan(X, y) for _ in range(n_nets)]
        values.append(n_nets * count(sizes(plans[0].module)))
        with torch.random.fork_rng():
            times.append(milliseconds(Stack(plans), args.rounds))
        print(f"{width:6d}{tree['depth']:6d}{n_nets:10d}{values[-1]:12,d}{times[-1]:11.2f}")
    line = np.stack([np.ones(len(values)), values], 1) / np.array(times)[:, None]
    launch, each = np.linalg.lstsq(line, np.ones(len(values)), rcond=None)[0]
    products = launch / each * args.batch_size
    print(f"launch {launch:.2f} ms, {1e6 * each:.1f} ns a value: {products:,.0f} products")


if __name__ == "__main__":
    main()
