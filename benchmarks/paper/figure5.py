"""Figure 5: the faces that THIN's gate, steered by identity, sends to each expert.

    python benchmarks/paper/figure5.py --data DIR

DIR holds `expressions_in_the_wild.npz`. The model is table 4's THIN, whose runs are not
repeated. The figure, a PNG, is of the first seed. It shows the faces with the largest mixture
weight in each of the most used leaves, and the weights of the people with most images, image by
image.

The table is over all seeds. It compares pairs of images of one person with pairs of two people,
by the share of pairs with the same most probable leaf. The faces are those of the test part, or
with --choose of a validation part: the gate has seen none of these people. Nothing is chosen.
"""

import numpy as np
from _command import main, show
from _data import scored_part
from _models import models
from _scores import gate_weights, run_models
from _tables import markdown, mean_and_deviation
from matplotlib.figure import Figure
from scipy.stats import ttest_rel
from table4 import face_arguments, face_settings, face_title

N_LEAVES, N_FACES, N_PEOPLE = 5, 10, 25


def most_used(weights):
    """Leaves by falling mean weight."""
    return np.argsort(-weights.mean(0), kind="stable")[:N_LEAVES]


def same_leaf(leaf, subject):
    """Share in % of the pairs in one leaf: of pairs of one person, and of two."""
    i, j = np.triu_indices(len(leaf), 1)
    alike, one = leaf[i] == leaf[j], subject[i] == subject[j]
    return [100 * float(alike[pairs].mean()) for pairs in (one, ~one)]


def pairs_table(shares):
    """Both shares over the seeds, and p of a t-test paired by seed."""
    one, two = np.transpose(shares)
    tested = len(one) > 1 and np.ptp(one - two) > 0
    p = f"{ttest_rel(one, two).pvalue:.2g}" if tested else None
    header = ["pairs in one leaf, %", "of one person", "of two people", "p"]
    return markdown(header, [["", mean_and_deviation(one, 1), mean_and_deviation(two, 1), p]])


def leaves_table(weights, y):
    """Use of the leaves, and the expressions of the faces that each weighs most."""
    classes = np.unique(y)
    rows = []
    for leaf in most_used(weights):
        mine = weights.argmax(1) == leaf
        shares = [f"{100 * np.mean(y[mine] == k):.0f}" if mine.any() else None for k in classes]
        rows.append([leaf, f"{weights[:, leaf].mean():.3f}", f"{100 * mine.mean():.1f}", *shares])
    shown = [f"of these {k}, %" for k in classes]
    return markdown(["leaf", "mean weight", "largest of all in, %", *shown], rows)


def draw(part, weights, file):
    """Faces by leaf on the left, weights by person on the right."""
    leaves = most_used(weights)
    figure = Figure(figsize=(15, 1.15 * len(leaves) + 0.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.5, 1])
    draw_faces(left, part.X, weights, leaves)
    draw_people(right, part.z["subject"], weights)
    figure.savefig(file, dpi=120)


def draw_faces(figure, images, weights, leaves):
    panels = figure.subplots(len(leaves), N_FACES, squeeze=False)
    for row, leaf in zip(panels, leaves, strict=True):
        best = np.argsort(-weights[:, leaf], kind="stable")[:N_FACES]
        for axes, face in zip(row, best, strict=False):
            axes.imshow(images[face], cmap="gray", vmin=0, vmax=255)
            axes.set_title(f"{weights[face, leaf]:.2f}", fontsize="small")
        row[0].set_ylabel(f"leaf {leaf}\nmean {weights[:, leaf].mean():.2f}")
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
    figure.suptitle("Faces with the largest weight in the most used leaves")


def draw_people(figure, subject, weights):
    people, counts = np.unique(subject, return_counts=True)
    chosen = people[np.argsort(-counts, kind="stable")[:N_PEOPLE]]
    rows = np.concatenate([np.flatnonzero(subject == person) for person in chosen])
    axes = figure.subplots()
    picture = axes.imshow(weights[rows].T, aspect="auto", vmin=0, interpolation="none")
    for edge in np.flatnonzero(np.diff(subject[rows])):
        axes.axvline(edge + 0.5, color="w", lw=1)
    axes.set(xlabel="images, person by person", ylabel="leaf", yticks=range(weights.shape[1]))
    figure.colorbar(picture, label="mixture weight")
    figure.suptitle(f"Weights of the {len(chosen)} people with most images")


def parser():
    parser = face_arguments(__doc__)
    parser.add_argument("--figure", default="figure5.png", help="file to draw to")
    return parser


def report(args):
    seeds = face_settings(args)
    (results,) = run_models(gate_weights, models(["THIN, own images"]), seeds, args).values()
    part = scored_part(seeds[0])
    shares = [same_leaf(result["leaf"], part.z["subject"]) for result in results]
    weights = [result["weights"] for result in results]
    tables = pairs_table(shares), leaves_table(weights[0], part.y)
    show(args, face_title(args, part), *tables)
    draw(part, weights[0], args.figure)
    return {"same_leaf": shares, "mean_weights": [w.mean(0).tolist() for w in weights]}


if __name__ == "__main__":
    main(parser(), report)
