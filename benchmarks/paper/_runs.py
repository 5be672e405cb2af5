"""What the commands of this folder share: arguments, runs that resume, tables with a test.

Each run, one model on one data set under one seed, is kept under its settings in a cache
folder (joblib.Memory), so that a command that is broken off goes on where it was. The
folder carries a digest of the package's source: runs of another version never count.
"""

import argparse
import hashlib
import json
import os
from datetime import date
from pathlib import Path

import joblib
import numpy as np
import torch
from scipy.stats import ttest_rel
from tqdm.auto import tqdm

import sklearn_thin

ROOT = Path(sklearn_thin.__file__).parent


def source_digest():
    """Digest of the source that a run depends on."""
    files = [*ROOT.glob("*.py"), *ROOT.glob("modules/*.py"), ROOT / "datasets/_rotated.py"]
    source = b"".join(file.read_bytes() for file in sorted(files))
    return hashlib.sha1(source).hexdigest()[:12]


CACHE = Path(os.environ.get("SKLEARN_THIN_CACHE", Path(__file__).parent / ".cache"))
memory = joblib.Memory(CACHE / source_digest(), verbose=0)


def arguments(doc, *, epochs=12, seeds=5, lam=0.005):
    """Parser of the arguments that all commands take."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    data = os.environ.get("SKLEARN_THIN_DATA")
    parser.add_argument(
        "--data", default=data, required=data is None, help="folder of the data sets"
    )
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--rows", type=int, help="training rows; default all")
    parser.add_argument("--lam", type=float, default=lam)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, a thread each if > 1")
    parser.add_argument("--json", help="file to write all figures to")
    return parser


def setting(args, dataset, seed, **more):
    """What a run depends on, apart from its model."""
    shared = {name: getattr(args, name) for name in ("data", "epochs", "rows", "lam", "device")}
    return {"dataset": dataset, "seed": seed, **shared, **more}


def run_all(function, tasks, args, description):
    """`function(task)` of all tasks, in their order; `args.jobs` at once."""
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        if args.jobs == 1:
            results = map(function, tasks)
        else:
            calls = (joblib.delayed(function)(task) for task in tasks)
            results = joblib.Parallel(n_jobs=args.jobs, return_as="generator")(calls)
        return list(tqdm(results, total=len(tasks), desc=description, unit="run"))


def mean_and_deviation(values, digits=2):
    """ "mean ± standard deviation" over the seeds."""
    spread = np.std(values, ddof=1) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


def against(accuracies, baseline):
    """Ratio of mean errors to the baseline's, and p of a t-test paired by seed."""
    errors, base = 100 - np.array(accuracies), 100 - np.array(baseline)
    if len(errors) < 2 or np.ptp(errors - base) == 0:
        return f"{errors.mean() / base.mean():.2f}"
    p = ttest_rel(errors, base).pvalue
    return f"{errors.mean() / base.mean():.2f} (p = {p:.2g})"


def markdown(header, rows):
    """A table; what is None stays empty."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join("" if cell is None else str(cell) for cell in line) + " |"
        for line in lines
    )


def heading(title, args):
    """One line that says what the table below was made with."""
    seeds = f"{args.seeds} seeds" if args.seeds > 1 else "1 seed"
    rows = "" if args.rows is None else f", {args.rows:,} training rows"
    return (
        f"{title}: {args.epochs} epochs, {seeds}{rows}, λ = {args.lam}; "
        f"torch {torch.__version__}, {date.today()}"
    )


def write_json(args, **figures):
    """All figures and what they were made with, if a file was asked for."""
    if args.json:
        Path(args.json).write_text(json.dumps({"arguments": vars(args), **figures}, indent=1))
