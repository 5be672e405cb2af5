"""Time of one row: the estimator, its exports, and MLPClassifier.

    python benchmarks/bench_row.py
    python benchmarks/bench_row.py --threads 2

Rows are random: 32 numbers, 7 classes, and a nuisance of 18 levels. The networks are the defaults.
Times are microseconds: of `--calls` calls a round, the mean; of `--rounds` rounds, the median, the
smallest and the largest. With one thread they are those of the CPU, so that other processes matter
less. With more threads of torch they are those of the clock. Contenders run in turn; onnxruntime
has one thread. "torch, 128" is the module of `to_torch` on 128 rows, a whole block. "networks" are
the trained networks alone, on the blocks in which the estimator predicts a row: its floor.
"""

import runpy
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import pandas as pd
import torch
from _cases import arguments, print_machine
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier

from sklearn_thin import ExogenousEncoder, THINClassifier, to_numpy, to_onnx, to_torch
from sklearn_thin.rows.arrays import fewest_rows

ROWS = 2000


def models():
    """Names of models, with the fitted classifier and its rows."""
    rng = np.random.RandomState(0)
    X = rng.randn(ROWS, 32).astype(np.float32)
    y, site = rng.randint(0, 7, ROWS), rng.randint(0, 18, ROWS)
    fits = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
    encoder = FrozenEstimator(ExogenousEncoder(**fits).fit(X, site))
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(32)]).assign(site=site.astype(str))
    yield "no gate", THINClassifier(depth=0, **fits).fit(X, y), X
    yield "gate by an encoder", THINClassifier(encoder, gating="head", **fits).fit(X, y), X
    yield "layers by an encoder", THINClassifier(encoder, **fits).fit(X, y), X
    array = np.column_stack([X, site]).astype(np.float32)
    yield "known column, array", THINClassifier(32, **fits).fit(array, y), array
    yield "known column, frame", THINClassifier("site", **fits).fit(frame, y), frame
    mlp = MLPClassifier((256, 256), max_iter=2, random_state=0)
    yield "MLPClassifier", mlp.partial_fit(X, y, classes=np.arange(7)), X


def calls_of(clf, rows, folder):
    """Calls that predict the first row."""
    row = rows[:1]
    calls = {"estimator": lambda: clf.predict_proba(row)}
    if isinstance(clf, MLPClassifier):
        return calls
    calls["networks"] = networks_of(clf, row)
    to_numpy(clf, folder / "model.py", rows[:100])
    predict_proba = runpy.run_path(str(folder / "model.py"))["predict_proba"]
    array = np.asarray(row)
    calls["numpy"] = lambda: predict_proba(array)
    to_onnx(clf, folder / "model.onnx", rows[:100])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    feeds = {"X": row}
    if hasattr(row, "columns"):
        feeds = {name: row[[name]].astype(object).to_numpy() for name in row}
        feeds = {n: v if n == "site" else v.astype(np.float32) for n, v in feeds.items()}
    calls["onnxruntime"] = lambda: session.run(None, feeds)
    module = to_torch(clf, rows[:128])
    one, block = module.read(row), module.read(rows[:128])
    calls |= {"torch": lambda: module(*one), "torch, 128": lambda: module(*block)}
    return calls


def networks_of(clf, row):
    """A call of the trained networks on the blocks that a prediction of the row gives them."""
    networks, seen = [clf.module_], []
    if isinstance(clf.exogenous, FrozenEstimator):
        networks += [clf.exogenous.module_.backbone, *clf.exogenous_side_.heads]
    hooks = [
        network.register_forward_pre_hook(lambda *call: seen.append(call), with_kwargs=True)
        for network in networks
    ]
    clf.predict_proba(row)
    for hook in hooks:
        hook.remove()

    def call():
        with torch.inference_mode():
            for network, args, named in seen:
                network(*args, **named)

    return call


def microseconds(calls, rounds, n, clock):
    """Microseconds of a call, of each round."""
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            start = clock()
            for _ in range(n):
                call()
            times[name].append(1e6 * (clock() - start) / n)
    return times


def main():
    parser = arguments(__doc__, rounds=20)
    parser.add_argument("--calls", type=int, default=50, help="calls of a round")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print_machine("cpu", args.rounds)
    print(f"a row is filled up to {fewest_rows(args.threads)} rows")
    clock, unit = (time.process_time, "CPU") if args.threads == 1 else (time.perf_counter, "time")
    print(f"\none row: microseconds of {unit}, median (smallest, largest)")
    for name, clf, rows in models():
        with TemporaryDirectory() as folder:
            times = microseconds(calls_of(clf, rows, Path(folder)), args.rounds, args.calls, clock)
        for kind, values in times.items():
            low, middle, high = np.min(values), np.median(values), np.max(values)
            print(f"  {name:<22}{kind:<12}{middle:8.0f}  ({low:.0f}, {high:.0f})", flush=True)


if __name__ == "__main__":
    main()
