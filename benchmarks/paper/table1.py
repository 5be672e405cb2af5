"""Table 1: accuracy on the rotation of MNIST-R, of the encoder that steers the gate.

    python benchmarks/paper/table1.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. The paper leaves two choices open, and both
are run both ways: angles are continuous in [-90, 90) degrees or the centres of the 18 bins, and
interpolation is bilinear or nearest. The test images are made as the training images are.

"own images" are the classifier's training images, each turned once. "free labels" are as many
steps on other rotations, one of each image an epoch. Accuracy is of the exact bin, and within
one bin. All settings are shown, scored once on the test split; none is chosen.
"""

from itertools import product

from _command import arguments, main, run_rows, settings, show
from _data import FREE, OWN
from _scores import score_encoder
from _tables import (
    PAPER,
    SIZE_AND_TIME,
    against,
    column,
    markdown,
    mean_and_deviation,
    size_and_time,
)


def encoders():
    """Name of a row -> (changes of the setting, kind of encoder)."""
    rows = {}
    for angles, interpolation in product(("continuous", "discrete"), ("bilinear", "nearest")):
        options = {"angles": angles, "interpolation": interpolation}
        plain = (angles, interpolation) == ("continuous", "bilinear")
        for kind in (OWN, FREE):
            changes = {} if plain else {"options": options}
            rows[f"{angles}, {interpolation}, {kind}"] = changes, kind
    return rows


def table(runs):
    """Both accuracies; free labels are compared with own images of the same setting."""
    header = ["", "exact bin, %", "paper, %", "error to own images'", "within one bin, %"]
    rows = []
    for name, results in runs.items():
        scores, ratio, paper = column(results, "accuracy"), None, PAPER["encoder (exact bin)"]
        if name.endswith(FREE):
            own = runs[name.replace(FREE, OWN)]
            ratio, paper = against(scores, column(own, "accuracy")), None
        within = mean_and_deviation(column(results, "within one bin"))
        cells = [name, mean_and_deviation(scores), paper, ratio, within]
        rows.append([*cells, *size_and_time(results)])
    return markdown([*header, *SIZE_AND_TIME], rows)


def report(args):
    runs = run_rows(score_encoder, encoders(), settings(args, "mnist_r"), args, "encoders")
    show(args, "Rotation of MNIST-R", table(runs))
    return {"runs": runs}


if __name__ == "__main__":
    main(arguments(__doc__), report)
