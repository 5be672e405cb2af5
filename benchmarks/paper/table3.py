"""Table 3: gates by the digit, the scale or the rotation, on MNIST-RS.

    python benchmarks/paper/table3.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. MNIST-RS are digits that are turned and
shrunk. The class is the digit. Gates read an encoder of the digit itself, of the scale in 10
bins, of the rotation in 18 bins, or of the last two side by side (the list form of `exogenous`).

Encoders of scale and rotation are trained on other draws, for as many steps as the classifier:
their labels are free. Labels of the digit are not free: its encoder is trained on the
classifier's own images. The experts share a hidden layer, in the backbone. "THIN" aligns h_endo
by the input of the gate. The baseline has no gate. The test split is scored once, after the last
epoch: nothing is chosen on it.
"""

from _command import arguments, main, run_rows, settings, show
from _data import FREE, OWN
from _models import MODELS
from _scores import run_models, score_encoder, score_model
from _tables import accuracy_table


def by(*variables):
    return {"variables": variables}


ENCODERS = {
    "encoder of the digit": (by("digit"), OWN),
    "encoder of the scale": (by("scale"), FREE),
    "encoder of the rotation": (by("rotation"), FREE),
}
OWN_GATE = MODELS["exogenous gate, own images, shared layer"]
GATE, THIN = MODELS["exogenous gate, shared layer"], MODELS["THIN"]
GATES = {
    "baseline": (by(), MODELS["baseline"]),
    "gate by digit": (by("digit"), OWN_GATE),
    "gate by scale": (by("scale"), GATE),
    "gate by rotation": (by("rotation"), GATE),
    "gate by rotation + scale": (by("rotation", "scale"), GATE),
    "THIN by scale": (by("scale"), THIN),
    "THIN by rotation": (by("rotation"), THIN),
    "THIN by rotation + scale": (by("rotation", "scale"), THIN),
}


def report(args):
    seeds = settings(args, "mnist_rs")
    gates = {name: row for name, row in GATES.items() if name in ("baseline", *args.models)}
    read = {variable for changes, _ in gates.values() for variable in changes["variables"]}
    encoders = {
        name: (changes, kind)
        for name, (changes, kind) in ENCODERS.items()
        if read.issuperset(changes["variables"])
    }
    runs = run_rows(score_encoder, encoders, seeds, args, "encoders")
    runs |= run_models(score_model, gates, seeds, args)
    show(args, "MNIST-RS", accuracy_table(runs, {}))
    return {"runs": runs}


if __name__ == "__main__":
    main(arguments(__doc__, models=GATES), report)
