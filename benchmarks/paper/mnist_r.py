"""MNIST-R at the paper's size: encoder, baseline, exogenous gate, THIN and oracle.

    python benchmarks/paper/mnist_r.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. Each digit is rotated once by a continuous
angle in [-90, 90) degrees, bilinearly; the exogenous variable is the angle in 18 bins. The
networks and the setting are the paper's: about 206k parameters each, Adam 1e-3, batch 32.

Gates read an encoder with "free labels". It is trained, for as many steps as the classifier, on
other rotations of the same digits, whose labels are free. The gate of the plain row "exogenous
gate" reads an encoder that is trained on the classifier's own images. With a "shared layer" the
experts share the hidden layer. "THIN" dispels by alignment.

All seeds share the rotated images. They differ in initialisation and order. The test split is
scored once, after the last epoch; held-out training digits choose the shared layer and alignment
(`choose.py`). Finished runs are kept: the command can be interrupted and called again.
`--models` takes any model of `_models.py`, and compares it with the baseline.
"""

from _command import arguments, main, settings, show
from _data import OWN
from _models import MODELS, models
from _scores import score_models
from _tables import PAPER, accuracy_table

DEFAULT = (
    "baseline",
    "exogenous gate, free labels",
    "exogenous gate, shared layer",
    "THIN",
    "oracle",
    "oracle, shared layer",
)


def with_bins(runs):
    """The results with two rows for each encoder: the exact bin, and within one bin."""
    rows = {}
    for name, results in runs.items():
        if "within one bin" in results[0]:
            name = name.removesuffix(f", {OWN}")
            within = [{**result, "accuracy": result["within one bin"]} for result in results]
            rows |= {f"{name} (exact bin)": results, f"{name} (within one bin)": within}
        else:
            rows[name] = results
    return rows


def report(args):
    rows = models(("baseline", *args.models))
    runs = with_bins(score_models(rows, settings(args, "mnist_r"), args))
    show(args, "MNIST-R", accuracy_table(runs, PAPER))
    return {"runs": runs}


if __name__ == "__main__":
    main(arguments(__doc__, models=MODELS, default=DEFAULT), report)
