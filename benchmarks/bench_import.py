"""Seconds that `import sklearn_thin` adds to importing torch, skorch and scikit-learn.

    python benchmarks/bench_import.py

Each import has a process of its own. Printed are the median over the rounds, the smallest and the
largest, also for the three packages.
"""

import subprocess
import sys

import numpy as np
from _cases import arguments
from tqdm.auto import tqdm

SCRIPT = """
import time
start = time.perf_counter()
import torch, skorch, sklearn.base, sklearn.utils
before = time.perf_counter()
import sklearn_thin
print(before - start, time.perf_counter() - before)
"""


def main():
    args = arguments(__doc__, rounds=10).parse_args()
    run = [sys.executable, "-c", SCRIPT]
    rounds = [
        subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()
        for _ in tqdm(range(args.rounds), desc="imports")
    ]
    names = "torch, skorch, scikit-learn", "sklearn_thin beyond them"
    for name, seconds in zip(names, np.array(rounds, dtype=float).T, strict=True):
        print(f"{name:28s} {np.median(seconds):.2f} s ({seconds.min():.2f}, {seconds.max():.2f})")


if __name__ == "__main__":
    main()
