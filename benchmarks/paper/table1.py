"""Table 1: how well the rotation of MNIST-R is recognised, the encoder that steers the gate.

    python benchmarks/paper/table1.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. What the paper leaves open is run both
ways: angles continuous in [-90, 90) degrees or the centres of the 18 bins, bilinear or nearest
interpolation, the test images made like the training images. "own images" are those that the
classifier is trained on, each turned once; "free labels" are as many steps on rotations of
their own, one of each image an epoch. Accuracy is of the exact bin, and within one bin.
Nothing is chosen: all settings are shown, scored once on the test split.
"""

from itertools import product

from _models import score_encoder
from _runs import (
    SIZE_AND_TIME,
    against,
    arguments,
    column,
    heading,
    markdown,
    mean_and_deviation,
    run_named,
    setting,
    size_and_time,
    write_json,
)
from mnist_r import PAPER

KINDS = {"own images": "paper", "free labels": "free"}


def settings():
    """Name of a row -> (options of the data set, kind of encoder)."""
    rows = {}
    for angles, interpolation in product(("continuous", "discrete"), ("bilinear", "nearest")):
        options = {"angles": angles, "interpolation": interpolation}
        plain = (angles, interpolation) == ("continuous", "bilinear")
        for label, kind in KINDS.items():
            more = {} if plain else {"options": options}
            rows[f"{angles}, {interpolation}, {label}"] = more, kind
    return rows


def table(runs):
    """Both accuracies; free labels are held against own images of the same setting."""
    header = ["", "exact bin, %", "paper, %", "error to own images'", "within one bin, %"]
    rows = []
    for name, results in runs.items():
        scores, ratio, paper = column(results, "accuracy"), None, PAPER["encoder (exact bin)"]
        if name.endswith("free labels"):
            own = runs[name.replace("free labels", "own images")]
            ratio, paper = against(scores, column(own, "accuracy")), None
        within = mean_and_deviation(column(results, "within one bin"))
        cells = [name, mean_and_deviation(scores), paper, ratio, within]
        rows.append([*cells, *size_and_time(results)])
    return markdown([*header, *SIZE_AND_TIME], rows)


def main():
    args = arguments(__doc__, lam=None).parse_args()
    specs = [setting(args, "mnist_r", seed) for seed in range(args.seeds)]
    runs = run_named(score_encoder, specs, settings(), args, "encoders")
    print(heading("Rotation of MNIST-R", args))
    print(table(runs))
    write_json(args, runs=runs)


if __name__ == "__main__":
    main()
