"""MNIST-R at the paper's size: encoder, baseline, exogenous gate, THIN and oracle.

    python benchmarks/mnist_r.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. Digits are rotated once by continuous
angles in [-90, 90) degrees, bilinearly; the exogenous variable is the angle in 18 bins. The
paper's networks and setting: about 206k parameters each, Adam 1e-3, batch 32.

Gates read an encoder that is trained, for as many steps as the classifier, on other rotations
of the same digits, whose labels cost nothing ("free labels"); "exogenous gate" alone reads one
that is trained on the classifier's own images. With a "shared layer" the experts share the
hidden layer. "THIN" dispels by alignment. All seeds share the rotated images and differ in
initialisation and order. The test split is scored once, after the last epoch; held-out training
digits choose the shared layer and alignment (`paper/choose.py`). Runs that are done are kept, so
that the command can be broken off and called again. `--models` takes any of those in
`paper/_models.py`, compared with the baseline.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "paper"))

from _models import MODELS as ALL_MODELS
from _models import score_encoder, score_model
from _runs import accuracy_table, arguments, heading, run_named, setting, write_json

# Accuracies in %, from the paper's tables 1 and 2.
PAPER = {
    "encoder (exact bin)": 98.32,
    "baseline": 96.83,
    "exogenous gate": 98.07,
    "THIN": 98.26,
    "oracle": 98.06,
}
MODELS = (
    "baseline",
    "exogenous gate, free labels",
    "exogenous gate, shared layer",
    "THIN",
    "oracle",
    "oracle, shared layer",
)
ENCODERS = {"encoder": "paper", "encoder, free labels": "free"}


def main():
    parser = arguments(__doc__, lam=None)
    parser.add_argument("--models", nargs="+", choices=ALL_MODELS, default=MODELS, metavar="NAME")
    args = parser.parse_args()
    names = dict.fromkeys(("baseline", *args.models))
    specs = [setting(args, "mnist_r", seed) for seed in range(args.seeds)]
    read = {ALL_MODELS[name].get("encoder") for name in names}
    kinds = {name: ({}, kind) for name, kind in ENCODERS.items() if kind in read}
    encoders = run_named(score_encoder, specs, kinds, args, "encoders")
    runs = {}
    for name, results in encoders.items():
        within = [{**result, "accuracy": result["within one bin"]} for result in results]
        runs |= {f"{name} (exact bin)": results, f"{name} (within one bin)": within}
    tasks = {name: ({}, name) for name in names}
    runs |= run_named(score_model, specs, tasks, args, "classifiers")
    print(heading("MNIST-R", args))
    print(accuracy_table(runs, PAPER))
    write_json(args, runs=runs)


if __name__ == "__main__":
    main()
