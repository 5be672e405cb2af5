"""The shared command line: arguments, settings, runs, and the output of figures."""

import argparse
import json
import os
import sys
from dataclasses import replace
from datetime import date
from itertools import starmap
from pathlib import Path

import joblib
import torch
from _data import Setting
from tqdm.auto import tqdm


def data_folder():
    """Folder of the data sets by the environment variable SKLEARN_THIN_DATA, or None."""
    return os.environ.get("SKLEARN_THIN_DATA") or None


def arguments(doc, *, epochs=12, models=None, default=None):
    """Parser of the arguments that all commands take; `models` are the rows of a table.

    With None a training is not counted in epochs, and `data` is no folder.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    if epochs is not None:
        folder = {"default": data_folder(), "help": "folder of the data sets; sprites need none"}
        parser.add_argument("--data", **folder)
        parser.add_argument("--epochs", type=int, default=epochs)
        parser.add_argument("--stack", action="store_true", help="train a model's seeds together")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, help="training rows; default all")
    parser.add_argument("--test-rows", type=int, help="rows to score on; default all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, a thread each if > 1")
    parser.add_argument("--json", help="file to write all figures to")
    if models is not None:
        rows = list(default or models)
        parser.add_argument("--models", nargs="+", choices=models, default=rows, metavar="NAME")
    return parser


def main(parser, report):
    """Run a command: `report(args)` shows its tables, and returns the figures for --json."""
    args = parser.parse_args()
    figures = report(args)
    if args.json:
        Path(args.json).write_text(json.dumps({"arguments": vars(args), **figures}, indent=1))


def settings(args, dataset, **more):
    """The setting of each seed."""
    if args.data is None and not dataset.startswith("sprites"):
        sys.exit(f"{dataset} is read from files: name their folder with --data")
    shared = ("data", "epochs", "rows", "test_rows", "device")
    stack = args.seeds if args.stack else None
    first = Setting(dataset, **{name: getattr(args, name) for name in shared}, stack=stack, **more)
    return [replace(first, seed=seed) for seed in range(args.seeds)]


def run_all(function, tasks, args, description):
    """`function(*task)` of all tasks, in their order; `args.jobs` at once.

    The first seed of a stack trains all, and the others find their networks.
    """
    if getattr(args, "stack", False) and any(task[0].seed for task in tasks):
        first = [task for task in tasks if task[0].seed == 0]
        run_all(function, first, args, f"stacks of {description}")
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        if args.jobs == 1:
            results = starmap(function, tasks)
        else:
            calls = (joblib.delayed(function)(*task) for task in tasks)
            results = joblib.Parallel(n_jobs=args.jobs, return_as="generator")(calls)
        return list(tqdm(results, total=len(tasks), desc=description, unit="run"))


def run_rows(function, rows, settings, args, description):
    """`function(setting, model)` of every row under every seed: name -> results.

    `rows` maps the name of a row to (changes of the setting, model or kind of encoder).
    """
    tasks = [
        (replace(setting, **changes), model)
        for changes, model in rows.values()
        for setting in settings
    ]
    results = run_all(function, tasks, args, description)
    n = len(settings)
    return {name: results[n * i : n * (i + 1)] for i, name in enumerate(rows)}


def show(args, title, *tables):
    """Print tables under one line: the title, and the size of the runs."""
    print(heading(args, title))
    print("\n\n".join(tables))


def heading(args, title):
    """The title, length of the training, seeds, rows and λ, version and date."""
    recipe = hasattr(args, "iterations")
    length = f"{args.iterations:,} iterations" if recipe else f"{args.epochs} epochs"
    seeds = f"{args.seeds} seeds" if args.seeds > 1 else "1 seed"
    rows = "" if args.rows is None else f", {args.rows:,} training rows"
    rows += "" if args.test_rows is None else f", scored on {args.test_rows:,} rows"
    lam = f", λ = {args.lam}" if hasattr(args, "lam") else ""
    return f"{title}: {length}, {seeds}{rows}{lam}; torch {torch.__version__}, {date.today()}"
