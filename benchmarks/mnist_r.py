"""MNIST-R at the paper's size: encoder, baseline, exogenous gate, THIN and oracle.

    python benchmarks/mnist_r.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. Digits are rotated once by continuous
angles in [-90, 90) degrees, bilinearly; the exogenous variable is the angle in 18 bins. The
paper's networks and setting: about 206k parameters each, Adam 1e-3, batch 32.

One encoder is trained on the classifier's own images; on these it is surer than on new ones,
and a gate that learns from it there is misled. The other, "free labels", is trained for as many
steps on other rotations of the same digits, whose labels cost nothing. All seeds
share the rotated images and differ in initialisation and order. The test split is scored
once, after the last epoch: nothing is chosen on it. Runs that are done are kept, so that the
command can be broken off and called again.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))

from _models import score_encoder, score_model
from _runs import (
    against,
    arguments,
    heading,
    markdown,
    mean_and_deviation,
    run_all,
    setting,
    write_json,
)

# Accuracies in %, from the paper's tables 1 and 2.
PAPER = {
    "encoder (exact bin)": 98.32,
    "baseline": 96.83,
    "exogenous gate": 98.07,
    "THIN": 98.26,
    "THIN, free labels": 98.26,
    "oracle": 98.06,
}
MODELS = (
    "baseline",
    "exogenous gate",
    "exogenous gate, free labels",
    "THIN, free labels",
    "oracle",
)
ENCODERS = {"paper": "encoder", "free": "encoder, free labels"}


def table(runs):
    """Mean and standard deviation over the seeds, and each seed."""
    header = ["", "accuracy, %", "paper, %", "error to baseline's", "per seed"]
    rows = []
    base = [run["accuracy"] for run in runs["baseline"]]
    for name, results in runs.items():
        scores = [run["accuracy"] for run in results]
        ratio = None if name.startswith("encoder") else against(scores, base)
        each = ", ".join(f"{score:.2f}" for score in scores)
        seconds = np.median([run["seconds"] for run in results])
        size = f"{results[0]['parameters']:,}"
        row = [name, mean_and_deviation(scores), PAPER.get(name), ratio, each, size]
        rows.append([*row, f"{seconds:.0f}"])
    return markdown([*header, "parameters", "seconds a fit"], rows)


def main():
    args = arguments(__doc__, seeds=3).parse_args()
    specs = [setting(args, "mnist_r", seed) for seed in range(args.seeds)]
    encoders = [(spec, kind) for spec in specs for kind in ENCODERS]
    scores = run_all(score_encoder, encoders, args, "encoders")
    tasks = [(spec, name) for spec in specs for name in MODELS]
    results = run_all(score_model, tasks, args, "classifiers")
    runs = {}
    for kind, name in ENCODERS.items():
        of_kind = [r for (_, k), r in zip(encoders, scores, strict=True) if k == kind]
        runs[f"{name} (exact bin)"] = of_kind
        within = [{**run, "accuracy": run["within one bin"]} for run in of_kind]
        runs[f"{name} (within one bin)"] = within
    for name in MODELS:
        runs[name] = [r for (_, n), r in zip(tasks, results, strict=True) if n == name]
    print(heading("MNIST-R", args))
    print(table(runs))
    write_json(args, runs=runs)


if __name__ == "__main__":
    main()
