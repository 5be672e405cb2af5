"""Table 3: which variable to gate by, on MNIST-RS, digits that are turned and shrunk.

    python benchmarks/paper/table3.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. The class is the digit. Gates read an
encoder of the digit itself, of the scale in 10 bins, of the rotation in 18 bins, or of the
last two side by side (the list form of `exogenous`), all at λ = 0. Encoders are trained on the
classifier's images or, with "free labels", for as many steps on other draws of the angles and
scales; labels of the digit are not free. Last stands THIN by rotation and scale. The baseline
has no gate. The test split is scored once, after the last epoch: nothing is chosen on it.
"""

from _models import score_encoder, score_model
from _runs import accuracy_table, arguments, heading, run_named, setting, write_json

ENCODERS = {
    "encoder of the digit": ("digit", "paper"),
    "encoder of the scale": ("scale", "paper"),
    "encoder of the rotation": ("rotation", "paper"),
    "encoder of the scale, free labels": ("scale", "free"),
    "encoder of the rotation, free labels": ("rotation", "free"),
}
BOTH = ("rotation", "scale")
GATES = {
    "baseline": ((), "baseline"),
    "gate by digit": (("digit",), "exogenous gate"),
    "gate by scale": (("scale",), "exogenous gate"),
    "gate by rotation": (("rotation",), "exogenous gate"),
    "gate by rotation + scale": (BOTH, "exogenous gate"),
    "gate by scale, free labels": (("scale",), "exogenous gate, free labels"),
    "gate by rotation, free labels": (("rotation",), "exogenous gate, free labels"),
    "gate by rotation + scale, free labels": (BOTH, "exogenous gate, free labels"),
    "THIN by rotation + scale, free labels": (BOTH, "THIN, free labels"),
}


def main():
    args = arguments(__doc__).parse_args()
    specs = [setting(args, "mnist_rs", seed) for seed in range(args.seeds)]
    encoders = {name: ({"variables": (v,)}, kind) for name, (v, kind) in ENCODERS.items()}
    runs = run_named(score_encoder, specs, encoders, args, "encoders")
    gates = {name: ({"variables": by}, model) for name, (by, model) in GATES.items()}
    runs.update(run_named(score_model, specs, gates, args, "classifiers"))
    print(heading("MNIST-RS", args))
    print(accuracy_table(runs, {}))
    write_json(args, runs=runs)


if __name__ == "__main__":
    main()
