"""Killed fits and killed searches that go on from checkpoint_dir.

    python -m tests.reliability.fitting --kills 50 --flips 1000

kills fits and stacked searches at random instants, fits each again, and prints how many have the
bits of a fit that was not killed. The instants and the bits depend on `--seed`; the epochs in which
fits die depend on the machine too. It needs Linux, for forked processes.
"""

import argparse
import os
import pickle
import signal
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV
from sklearn_thin.training import checkpoints
from tests.reliability.saving import print_counts

N_ROWS, EPOCHS = 400, 12
BACKBONE = MLPBackbone((32,), dropout=0.2)
ENCODER = ExogenousEncoder(BACKBONE, max_epochs=EPOCHS)
THIN = THINClassifier(ENCODER, backbone=BACKBONE, max_epochs=EPOCHS, random_state=0)
FITS = {  # all with an encoder that is fitted inside
    "default": THIN,
    "early stopping": clone(THIN).set_params(early_stopping=0.3, n_iter_no_change=3, lr=0.03),
    "alignment": clone(THIN).set_params(dispelling="alignment", optimizer="adamw"),
    "warm start": clone(THIN).set_params(warm_start=True, lr_schedule="constant"),
}
GRID = {"depth": [0, 2], "lr": [1e-3, 1e-2], "batch_size": [32, 64]}
SEARCH = StackedGridSearchCV(clone(THIN).set_params(exogenous=None), GRID, cv=2)  # two stacks


def rows(estimator):
    """Arguments of a fit."""
    X, y = load_digits(return_X_y=True)
    given = {"X": X[:N_ROWS] / 16, "y": y[:N_ROWS]}
    return given if estimator is SEARCH else {**given, "exogenous_target": X[:N_ROWS].mean(1) > 5}


def ending(fitted):
    """All of a fit, or of a search, except for its times; comparable by ==."""
    if hasattr(fitted, "cv_results_"):
        results = {k: v for k, v in fitted.cv_results_.items() if "time" not in k}
        return [(k, np.ma.getdata(v).tolist()) for k, v in results.items()]
    parts = []
    for part in (fitted, fitted.exogenous_):
        weights = {name: t.numpy().tobytes() for name, t in part.module_.state_dict().items()}
        epochs = [{k: v for k, v in epoch.items() if k != "dur"} for epoch in part.history_]
        parts.append((weights, epochs))
    return parts


# ------------------------------------------------------------------ killed


def forked(estimator, given):
    """A process that fits; a pipe that gets a byte at its start, and at its end the ending."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    os.write(write, b".")
    content = pickle.dumps(ending(estimator.fit(**given)))
    with open(write, "wb") as pipe:
        pipe.write(content)
    os._exit(0)


def whole(estimator, given):
    """The ending of a fit in a process of its own, and its seconds."""
    child, pipe = forked(estimator, given)
    os.read(pipe, 1)
    start = time.perf_counter()
    with open(pipe, "rb") as file:
        content = file.read()
    os.waitpid(child, 0)
    return pickle.loads(content), time.perf_counter() - start


def killed(estimator, given, seconds):
    """Whether a fit was killed after these seconds, and had not ended before."""
    child, pipe = forked(estimator, given)
    os.read(pipe, 1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.close(pipe)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def kills(estimator, number, rng):
    """Endings of fits that are killed at a random instant, and fitted again."""
    endings, given = Counter(), rows(estimator)
    expected = ending(clone(estimator).fit(**given))  # here, so that no child imports anything
    with TemporaryDirectory() as folder:
        kept = clone(estimator).set_params(checkpoint_dir=folder)
        seconds = np.median([_of_new_folder(kept, given) for _ in range(3)])
    while endings["killed"] < number:
        with TemporaryDirectory() as folder:
            kept = clone(estimator).set_params(checkpoint_dir=folder)
            if not killed(kept, given, rng.uniform(0, seconds)):
                continue
            names = [path.name for path in Path(folder).iterdir()]
            endings["killed"] += 1
            endings["with files to go on from"] += any(name[0] != "." for name in names)
            endings["in a writing"] += any(name[0] == "." for name in names)
            endings["same"] += whole(kept, given)[0] == expected
    return endings


def _of_new_folder(estimator, given):
    """Seconds of a fit that finds no files."""
    for path in Path(estimator.checkpoint_dir).iterdir():
        path.unlink()
    return whole(estimator, given)[1]


# ------------------------------------------------------------------ damaged


def flips(number, rng):
    """How many states with one other bit are set aside, and the bytes of a state."""
    aside = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        kept = checkpoints.Kept(folder, [clone(THIN).plan(**rows(THIN))])
        kept.epoch_ended(1, lambda: {"weights": torch.zeros(1000), "epoch": 1})
        (path,) = kept.states()
        content = path.read_bytes()
        for place in rng.integers(8 * len(content), size=number):
            flipped = bytearray(content)
            flipped[place // 8] ^= 1 << (place % 8)
            path.write_bytes(flipped)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                found = kept.newest()
            spoilt = path.with_name(f"{path.name}.spoilt")
            aside += found is None and len(caught) == 1 and spoilt.read_bytes() == flipped
            spoilt.unlink()
    return aside, len(content)


# ------------------------------------------------------------------ counts


def count(*, n_kills, n_flips, seed=0):
    """Rows (fault, expected, found), and remarks."""
    rng, fits = np.random.default_rng(seed), Counter()
    for index, estimator in enumerate(FITS.values()):
        share = len(range(index, n_kills, len(FITS)))
        fits += kills(estimator, share, rng)
    searches = kills(SEARCH, n_kills, rng)
    aside, n_bytes = flips(n_flips, rng)
    table = [
        ("killed fits: the bits of a fit that was not killed", n_kills, fits["same"]),
        ("killed searches: equal `cv_results_`", n_kills, searches["same"]),
        ("states with a flipped bit: set aside", n_flips, aside),
    ]
    remarks = [
        f"{endings['with files to go on from']} of the {endings['killed']} killed {kind} left "
        f"files to go on from; {endings['in a writing']} died while they wrote"
        for kind, endings in (("fits", fits), ("searches", searches))
    ]
    return table, [*remarks, f"the flipped state has {n_bytes:,} bytes"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoints.SECONDS = checkpoints.SHARE = 0  # a state after each epoch
    table, remarks = count(n_kills=args.kills, n_flips=args.flips, seed=args.seed)
    print_counts(table, remarks)
    sys.exit(any(expected != found for _, expected, found in table))


if __name__ == "__main__":
    main()
