"""Table 3: which variable to gate by, on MNIST-RS, digits that are turned and shrunk.

    python benchmarks/paper/table3.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. The class is the digit. Gates read an
encoder of the digit itself, of the scale in 10 bins, of the rotation in 18 bins, or of the
last two side by side (the list form of `exogenous`). Encoders of scale and rotation are trained
on other draws, for as many steps as there are of the classifier: their labels are free. Labels of
the digit are not, so that its encoder has the classifier's own images. The experts share a
hidden layer, in the backbone; "THIN" aligns h_endo by what the gate reads. The baseline has no
gate. The test split is scored once, after the last epoch: nothing is chosen on it.
"""

from _models import score_encoder, score_model
from _runs import accuracy_table, arguments, heading, run_named, setting, write_json

ENCODERS = {
    "encoder of the digit": ("digit", "paper"),
    "encoder of the scale": ("scale", "free"),
    "encoder of the rotation": ("rotation", "free"),
}
BOTH = ("rotation", "scale")
GATE = "exogenous gate, shared layer"
GATES = {
    "baseline": ((), "baseline"),
    "gate by digit": (("digit",), "exogenous gate, own images, shared layer"),
    "gate by scale": (("scale",), GATE),
    "gate by rotation": (("rotation",), GATE),
    "gate by rotation + scale": (BOTH, GATE),
    "THIN by scale": (("scale",), "THIN"),
    "THIN by rotation": (("rotation",), "THIN"),
    "THIN by rotation + scale": (BOTH, "THIN"),
}


def main():
    parser = arguments(__doc__, lam=None)
    parser.add_argument("--models", nargs="+", choices=GATES, default=GATES, metavar="NAME")
    args = parser.parse_args()
    specs = [setting(args, "mnist_rs", seed) for seed in range(args.seeds)]
    names = dict.fromkeys(("baseline", *args.models))
    gates = {
        name: ({"variables": by}, model) for name, (by, model) in GATES.items() if name in names
    }
    read = {variable for more, _ in gates.values() for variable in more["variables"]}
    encoders = {n: ({"variables": (v,)}, kind) for n, (v, kind) in ENCODERS.items() if v in read}
    runs = run_named(score_encoder, specs, encoders, args, "encoders")
    runs.update(run_named(score_model, specs, gates, args, "classifiers"))
    print(heading("MNIST-RS", args))
    print(accuracy_table(runs, {}))
    write_json(args, runs=runs)


if __name__ == "__main__":
    main()
