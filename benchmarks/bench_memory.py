"""Peak memory of `fit` and `predict_proba`, above the memory of the process before them.

    python benchmarks/bench_memory.py

Each figure has a process of its own, sampled from Linux's /proc every five milliseconds. "own"
memory holds arrays, weights and activations. "resident" memory also counts pages of memory-mapped
files, which the system takes back when it needs them.

- images: `--images` of 28×28, uint8, in memory. A gated network with a frozen encoder and the
  dispelling term, batch 32.
- memmap: a file of `--gigabytes` of float32, 784 columns, opened read-only. An MLP of one hidden
  layer, batch 256, that reads the rows as they are, in four settings: no gate; a gate on an
  encoder's probabilities; a gate on h_exo, which goes to a temporary file; a tenth of the rows
  held out, with both parts copied to temporary files. In a fifth setting, "auto", the rows pass
  through the default's TablePreprocessor into a temporary file.
"""

import re
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _cases import arguments, one_layer
from sklearn.frozen import FrozenEstimator
from tqdm.auto import tqdm

from sklearn_thin import ExogenousEncoder, THINClassifier

MEMMAPS = {
    "no gate": {},
    "gate": {"gate_input": "probabilities"},
    "gate on h_exo": {"gate_input": "representation"},
    "early stopping": {"early_stopping": 0.1},
    "auto": {"endogenous": "auto"},
}
KINDS = ("RssAnon", "VmRSS")
COLUMNS = 784
PARAMS = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
TABLE = {**one_layer(), "batch_size": 256, **PARAMS}


class Peak:
    """Peak memory of this process above its memory at the start, in MB, by kind."""

    def __enter__(self):
        self.before = self.most = held()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.done.wait(0.005):
            self.most = np.maximum(self.most, held())

    def __exit__(self, *raised):
        self.done.set()
        self.thread.join()
        self.own, self.resident = np.maximum(self.most, held()) - self.before


def held():
    """Own and resident memory of this process, in MB."""
    status = Path("/proc/self/status").read_text()
    return np.array([int(re.search(rf"{kind}:\s+(\d+)", status)[1]) for kind in KINDS]) / 1024


def peaks(make_model, X, y):
    """Seconds and peaks of fit and of predict_proba."""
    model, figures = make_model(X), {}
    calls = {"fit": lambda: model.fit(X, y), "predict_proba": lambda: model.predict_proba(X)}
    for name, call in calls.items():
        start = time.perf_counter()
        with Peak() as peak:
            call()
        figures[name] = peak.own, peak.resident, time.perf_counter() - start
    return figures


def small_encoder(X, params):
    """A frozen encoder of 18 classes, fitted to few rows."""
    first = X[:2000]
    return FrozenEstimator(ExogenousEncoder(**params).fit(first, np.arange(len(first)) % 18))


def images(n):
    """Peaks for `n` images in memory."""
    X = np.random.default_rng(0).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    encoder = small_encoder(X, PARAMS)
    return peaks(
        lambda X: THINClassifier(encoder, lam=0.005, **PARAMS),
        X,
        np.arange(len(X)) % 10,
    )


def memmap(file, params):
    """Peaks for a table in a file; with `gate_input` in `params` an encoder steers the gate."""
    X = np.load(file, mmap_mode="r")
    encoder = small_encoder(X, {**TABLE, "preprocessor": None})

    def model(X):
        if "gate_input" not in params:
            return THINClassifier(depth=0, **{"endogenous": None, **TABLE, **params})
        return THINClassifier(encoder, endogenous=None, **TABLE, **params)

    return peaks(model, X, np.arange(len(X)) % 10)


def write_table(file, gigabytes):
    """Random columns on disk, written in parts."""
    n_rows = int(gigabytes * 1e9) // (4 * COLUMNS)
    table = np.lib.format.open_memmap(file, "w+", np.float32, (n_rows, COLUMNS))
    part = np.random.default_rng(0).standard_normal((10_000, COLUMNS), dtype=np.float32)
    for start in range(0, n_rows, len(part)):
        table[start : start + len(part)] = part[: n_rows - start]
    table.flush()


def in_its_own_process(function, *args):
    """The function's result, without the memory that it held."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(function, *args).result()


def main():
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=60_000, help="images in memory")
    parser.add_argument("--gigabytes", type=float, default=4, help="size of the file")
    parser.add_argument("--memmaps", nargs="+", choices=MEMMAPS, default=MEMMAPS, metavar="NAME")
    parser.add_argument("--folder", help="where to write it; default the system's for such files")
    args = parser.parse_args()
    with TemporaryDirectory(dir=args.folder) as folder:
        file = Path(folder) / "table.npy"
        write_table(file, args.gigabytes)
        cases = {f"{args.images:,} uint8 images": (images, args.images)}
        for name in args.memmaps:
            cases[f"{args.gigabytes:g} GB memmap, {name}"] = memmap, file, MEMMAPS[name]
        print(f"{'':44s}{'own, MB':>10s}{'resident, MB':>14s}{'seconds':>9s}")
        for name, call in tqdm(cases.items(), desc="memory", unit="case"):
            for method, (own, resident, seconds) in in_its_own_process(*call).items():
                label = f"{name}, {method}"
                tqdm.write(f"{label:44s}{own:10.0f}{resident:14.0f}{seconds:9.1f}")


if __name__ == "__main__":
    main()
