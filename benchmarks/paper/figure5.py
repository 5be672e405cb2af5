"""Figure 5: the faces that THIN's gate, steered by identity, sends to each expert.

    python benchmarks/paper/figure5.py --data DIR
    python benchmarks/paper/figure5.py --data RAFDB --folder DIR --weights FILE

The second command draws the gate of the paper's recipe, as table4.py trains it there. The weights
of people, and the pairs, need EXPRESSIONS, the one set with subjects. The rest is on the first
command: DIR holds `expressions_in_the_wild.npz`. The model is table 4's THIN, whose runs are not
repeated. The figure, a PNG, is of the first seed. It shows the faces with the largest mixture
weight in each of the most used leaves, and the weights of the people with most images, image by
image.

The table is over all seeds. It compares pairs of images of one person with pairs of two people,
by the share of pairs with the same most probable leaf. The faces are those of the test part, or
with --choose of a validation part: the gate has seen none of these people. Nothing is chosen.
"""

import sys

import numpy as np
from _command import main, run_all, show
from _data import scored_part
from _faces import names_recipe, recipe_arguments, recipe_runs, recipe_title
from _models import models
from _recipe import gate_of_run, part_of_run
from _scores import gate_weights, run_models
from _tables import markdown, mean_and_deviation
from matplotlib.figure import Figure
from scipy.stats import ttest_rel
from table4 import face_arguments, face_settings, face_title

N_LEAVES, N_FACES, N_PEOPLE = 5, 10, 25
GRAY = {"cmap": "gray", "vmin": 0, "vmax": 255}


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
    if "subject" in part.z:
        left, right = figure.subfigures(1, 2, width_ratios=[1.5, 1])
        draw_people(right, part.z["subject"], weights)
    else:
        left = figure.subfigures(1, 1)
    draw_faces(left, part.X, weights, leaves)
    figure.savefig(file, dpi=120)


def draw_faces(figure, images, weights, leaves):
    panels = figure.subplots(len(leaves), N_FACES, squeeze=False)
    for row, leaf in zip(panels, leaves, strict=True):
        best = np.argsort(-weights[:, leaf], kind="stable")[:N_FACES]
        for axes, face in zip(row, best, strict=False):
            image = images[face]  # (H, W) or (3, H, W)
            axes.imshow(np.moveaxis(image, 0, -1) if image.ndim == 3 else image, **GRAY)
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


def with_figure(parser):
    parser.add_argument("--figure", default="figure5.png", help="file to draw to")
    return parser


def report(args):
    seeds = face_settings(args)
    (results,) = run_models(gate_weights, models(["THIN, own images"]), seeds, args).values()
    part = scored_part(seeds[0])
    leaves = [result["leaf"] for result in results]
    weights = [result["weights"] for result in results]
    return report_gates(args, face_title(args, part), part, leaves, weights)


def report_recipe(args):
    (runs,) = recipe_runs(args, ["THIN"]).values()
    weights = run_all(gate_of_run, [(run,) for run in runs], args, "trainings")
    part, names = part_of_run(runs[0], "test")
    leaves = [w.argmax(1) for w in weights]  # each leaf has an expert
    part = part._replace(y=np.array(names)[part.y])
    return report_gates(args, recipe_title(runs[0], part), part, leaves, weights)


def report_gates(args, title, part, leaves, weights):
    """Tables and picture of the leaves; pairs of people where subjects are known."""
    tables, figures = [leaves_table(weights[0], part.y)], {}
    if "subject" in part.z:
        figures["same_leaf"] = [same_leaf(leaf, part.z["subject"]) for leaf in leaves]
        tables.insert(0, pairs_table(figures["same_leaf"]))
    show(args, title, *tables)
    draw(part, weights[0], args.figure)
    return {**figures, "mean_weights": [w.mean(0).tolist() for w in weights]}


if __name__ == "__main__":
    if names_recipe(sys.argv[1:]):
        main(with_figure(recipe_arguments(__doc__)), report_recipe)
    else:
        main(with_figure(face_arguments(__doc__)), report)
