"""What the commands of this folder share: arguments, runs that resume, tables with a test.

Each run, one model on one data set under one seed, is kept under its settings in a cache
folder (joblib.Memory), so that a command that is broken off goes on where it was. The
folder carries a digest of the package's source: runs of another version never count.
"""

import argparse
import hashlib
import json
import os
import sys
from datetime import date
from pathlib import Path

import joblib
import numpy as np
import torch
from scipy.stats import ttest_rel
from tqdm.auto import tqdm

import sklearn_thin

ROOT, HERE = Path(sklearn_thin.__file__).parent, Path(__file__).parent
sys.path.append(str(HERE.parent))  # where mnist_r.py keeps the paper's accuracies
LAM = 0.005


def source_digest():
    """Digest of the source that a run depends on."""
    folders = [ROOT, ROOT / "modules", ROOT / "datasets", ROOT / "inspection"]
    files = [file for folder in folders for file in folder.glob("*.py")] + [HERE / "_data.py"]
    source = b"".join(file.read_bytes() for file in sorted(files))
    return hashlib.sha1(source).hexdigest()[:12]


CACHE = Path(os.environ.get("SKLEARN_THIN_CACHE", HERE / ".cache"))
memory = joblib.Memory(CACHE / source_digest(), verbose=0)


def arguments(doc, *, epochs=12, seeds=5, lam=LAM):
    """Parser of the arguments that all commands take; `lam` None leaves that one out."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    data = os.environ.get("SKLEARN_THIN_DATA") or None
    parser.add_argument("--data", default=data, help="folder of the data sets; sprites need none")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--rows", type=int, help="training rows; default all")
    parser.add_argument("--test-rows", type=int, help="rows to score on; default all")
    if lam is not None:
        parser.add_argument("--lam", type=float, default=lam)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, a thread each if > 1")
    parser.add_argument("--json", help="file to write all figures to")
    return parser


def setting(args, dataset, seed, **more):
    """What a run depends on, apart from its model."""
    if args.data is None and not dataset.startswith("sprites"):
        sys.exit(f"{dataset} is read from files: name their folder with --data")
    shared = {name: getattr(args, name) for name in ("data", "epochs", "rows", "device")}
    if args.test_rows is not None:
        more["test_rows"] = args.test_rows
    lam = getattr(args, "lam", LAM)
    return {"dataset": dataset, "seed": seed, **shared, "lam": lam, **more}


def run_all(function, tasks, args, description):
    """`function(task)` of all tasks, in their order; `args.jobs` at once."""
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        if args.jobs == 1:
            results = map(function, tasks)
        else:
            calls = (joblib.delayed(function)(task) for task in tasks)
            results = joblib.Parallel(n_jobs=args.jobs, return_as="generator")(calls)
        return list(tqdm(results, total=len(tasks), desc=description, unit="run"))


def run_named(function, specs, tasks, args, description):
    """`function((spec, task))` under every seed: name -> results, in the order of `specs`.

    `tasks` maps the name of a row to (what is added to each of `specs`, its second part).
    """
    calls = [({**spec, **more}, task) for more, task in tasks.values() for spec in specs]
    results = run_all(function, calls, args, description)
    n = len(specs)
    return {name: results[n * i : n * (i + 1)] for i, name in enumerate(tasks)}


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


def column(results, key):
    """One figure of each result."""
    return [result[key] for result in results]


def accuracy_table(runs, paper, base="baseline"):
    """Accuracy of every row of `runs` beside the paper's, and each seed; encoders have no base."""
    rows = []
    for name, results in runs.items():
        scores = column(results, "accuracy")
        ratio = None
        if not name.startswith("encoder"):
            ratio = against(scores, column(runs[base], "accuracy"))
        each = ", ".join(f"{score:.2f}" for score in scores)
        row = [name, mean_and_deviation(scores), paper.get(name), ratio, each]
        rows.append([*row, *size_and_time(results)])
    header = ["", "accuracy, %", "paper, %", f"error to {base}'s", "per seed"]
    return markdown([*header, *SIZE_AND_TIME], rows)


SIZE_AND_TIME = ("trained parameters", "seconds a fit")  # of this network alone, not its encoder


def size_and_time(results):
    """The last two cells of a row."""
    return f"{results[0]['parameters']:,}", f"{np.median(column(results, 'seconds')):.0f}"


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
    rows += "" if args.test_rows is None else f", scored on {args.test_rows:,} rows"
    lam = f", λ = {args.lam}" if hasattr(args, "lam") else ""
    return (
        f"{title}: {args.epochs} epochs, {seeds}{rows}{lam}; "
        f"torch {torch.__version__}, {date.today()}"
    )


def write_json(args, **figures):
    """All figures and what they were made with, if a file was asked for."""
    if args.json:
        Path(args.json).write_text(json.dumps({"arguments": vars(args), **figures}, indent=1))
