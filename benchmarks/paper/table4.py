"""Table 4: facial expressions of people never seen, gated by the identity of the face.

    python benchmarks/paper/table4.py --data DIR
    python benchmarks/paper/table4.py --data RAFDB --folder DIR --weights FILE

The first command trains small networks; DIR holds `expressions_in_the_wild.npz` (see
`load_expressions`). The second trains the paper's network around VGG-16 (`_recipe.py`), on RAFDB,
AFFECTNET, EXPW or EXPRESSIONS: docs/experiments.md describes it, and where it differs.

The rest is on the first command. The identity encoder is trained on the people with at
least 8 images, who are never tested. The test part, a quarter of the images, is of other people
than the training part; all seeds have one split.

"on h_exo" is the paper's input of the gate. The other gates read the encoder's probabilities, and
their experts share a hidden layer; "THIN" aligns h_endo too. Models are compared by balanced
accuracy. "balanced" models weight the classes, and are compared with the balanced baseline. The
gate of the "pretrained" row reads the descriptor of a face-recognition network, in
`examples/face_descriptor.py`: it needs `sklearn-thin[faces]` and runs on demand.

With --redraw each seed deals the people anew to training and testing. "shuffled people" reads an
encoder of shuffled identities: it tells whether a gain is one of the identity. --known takes the
images of the encoder's people alone, a quarter of each person's for testing; the oracle reads who
it is. --pairs adds the AUC of the cosine of two test images for showing one person.

--choose is for all choices (--epochs, --side, --augment): it splits a validation part off the
training part, by subject, and scores there. Without it the test part is scored, once, after the
last epoch.
"""

import sys

from _command import arguments, main, run_all, settings, show
from _data import OWN, SHUFFLED, scored_part, shrunk
from _faces import HINT, names_recipe, recipe_arguments, recipe_runs, recipe_title
from _models import MODELS
from _recipe import ARCHITECTURES, part_of_run, score_run
from _scores import run_models, score_model, score_pairs
from _tables import SIZE_AND_TIME, against, column, markdown, mean_and_deviation, size_and_time
from sklearn.preprocessing import FunctionTransformer

BALANCED, PRETRAINED = "baseline, balanced", "pretrained identity gate, balanced"
ROWS = {
    "baseline": "baseline",
    "simple ensemble": "simple ensemble",
    "tree gate on h_endo": "tree gate on h_endo",
    "identity gate on h_exo": "exogenous gate, as in the paper",
    "identity gate": "exogenous gate, own images, shared layer",
    "THIN": "THIN, own images",
    BALANCED: "baseline, balanced",
    "identity gate, balanced": "exogenous gate, balanced",
    "THIN, balanced": "THIN, balanced",
    PRETRAINED: "pretrained gate, balanced",
    "identity gate, shuffled people": "exogenous gate, shuffled labels",
    "THIN, shuffled people": "THIN, shuffled labels",
    "oracle": "oracle",
    "oracle, shared layer": "oracle, shared layer",
}
DEFAULT = list(ROWS)[:9]  # the next one needs a further package, the others test a cause
CHANNELS = {64: (16, 32, 64, 64), 32: (16, 32, 64)}  # h is 1,024 wide in both


def face_arguments(doc, **models):
    """Parser of the arguments of a command on the expressions."""
    parser = arguments(doc, epochs=25, **models)
    parser.add_argument("--side", type=int, choices=CHANNELS, default=64, help="pixels")
    parser.add_argument("--augment", action="store_true", help="flip, shift, turn and light")
    parser.add_argument("--choose", action="store_true", help="score on a validation part")
    people = parser.add_mutually_exclusive_group()
    people.add_argument("--redraw", action="store_true", help="deal the people anew for each seed")
    people.add_argument("--known", action="store_true", help="people of the encoder alone")
    parser.epilog = HINT
    return parser


def face_settings(args):
    """The setting of each seed."""
    choose = {} if args.known else {"choose": args.choose}
    return settings(
        args,
        "known_people" if args.known else "expressions",
        options={"side": args.side, **choose},
        backbone={"channels": CHANNELS[args.side]},
        augment=args.augment,
        redrawn=args.redraw or args.known,
    )


def face_title(args, part):
    """The scored images, and the number of people."""
    people = len(set(part.z["subject"].tolist()))
    split = "validation" if args.choose else "test"
    augmented = ", augmented" if args.augment else ""
    size = f"{args.side} × {args.side} pixels{augmented}"
    return f"Expressions ({size}; {len(part.y):,} {split} images of {people:,} people)"


def table(runs):
    """Both accuracies of every model."""
    header = ["", "accuracy, %", "balanced, %", "balanced error to the baseline's", "per seed"]
    rows = []
    for name, results in runs.items():
        scores = column(results, "balanced accuracy")
        base = BALANCED if name.endswith("balanced") else "baseline"
        ratio = against(scores, column(runs[base], "balanced accuracy"))
        each = ", ".join(f"{score:.1f}" for score in scores)
        accuracy = mean_and_deviation(column(results, "accuracy"))
        row = [name, accuracy, mean_and_deviation(scores), ratio, each]
        rows.append([*row, *size_and_time(results)])
    return markdown([*header, *SIZE_AND_TIME], rows)


def faces(args, names):
    """Rows of the table; the pretrained network reads the images at their full size."""
    rows = {name: ({}, MODELS[ROWS[name]]) for name in names}
    if PRETRAINED in rows:
        halved = FunctionTransformer(shrunk, kw_args={"side": args.side})
        full = {"options": {"side": max(CHANNELS), "choose": args.choose}}
        rows[PRETRAINED] = full, MODELS[ROWS[PRETRAINED]].with_params(endogenous=halved)
    return rows


def report(args):
    if args.augment and PRETRAINED in args.models:
        sys.exit(f"{PRETRAINED!r} reads other images than the backbone: not with --augment")
    seeds = face_settings(args)
    balanced = [BALANCED] if any(name.endswith("balanced") for name in args.models) else []
    rows = faces(args, ("baseline", *balanced, *args.models))
    runs = run_models(score_model, rows, seeds, args)
    tables = [table(runs)]
    if args.pairs:
        pairs = {kind: [score_pairs(setting, kind) for setting in seeds] for kind in PAIRS}
        tables.append(pairs_table(pairs))
        runs |= pairs
    show(args, face_title(args, scored_part(seeds[0])), *tables)
    return {"runs": runs}


PAIRS = OWN, SHUFFLED


def pairs_table(runs):
    """How well each encoder tells pairs of one person from pairs of two."""
    keys = list(next(iter(runs.values()))[0])
    rows = [
        [f"encoder, {kind}", *(mean_and_deviation(column(results, key), 3) for key in keys)]
        for kind, results in runs.items()
    ]
    return markdown(["AUC of pairs, by", *keys], rows)


# ------------------------------------------------------------------------ paper's recipe

PUBLISHED = {}  # data set -> architecture -> the paper's accuracy in %; none is at hand


def architectures_table(runs, published):
    """Accuracies of every architecture beside the paper's."""
    header = ["", "accuracy, %", "paper, %", "error to baseline's", "balanced, %", "per seed"]
    rows = []
    for name, results in runs.items():
        scores = column(results, "accuracy")
        row = [name, mean_and_deviation(scores), published.get(name, "–")]
        row.append(against(scores, column(runs["baseline"], "accuracy")))
        row.append(mean_and_deviation(column(results, "balanced accuracy")))
        row.append(", ".join(f"{score:.2f}" for score in scores))
        rows.append([*row, *size_and_time(results)])
    return markdown([*header, *SIZE_AND_TIME], rows)


def expressions_table(runs, names):
    """Recall of every expression, the ratio of Section 4.4, and the mean |cos| of THIN."""
    rows = []
    for name, results in runs.items():
        recalls = zip(*column(results, "recalls"), strict=True)
        cells = [over_seeds(values, 1) for values in recalls]
        measured = [over_seeds(column(results, key), 3) for key in ("ratio", "cosine")]
        rows.append([name, *cells, *measured])
    shown = [f"{name}, %" for name in names]
    return markdown(["", *shown, "inter / intra", "mean abs. cosine"], rows)


def over_seeds(values, digits):
    """Mean and deviation over the seeds, or "–" for figures that do not exist."""
    return "–" if None in values else mean_and_deviation(values, digits)


def report_recipe(args):
    """Table 4 of a data set, and the figures of each expression."""
    runs = recipe_runs(args, dict.fromkeys(("baseline", *args.models)))
    tasks = [(run,) for seeds in runs.values() for run in seeds]
    results = iter(run_all(score_run, tasks, args, "trainings"))
    scored = {name: [next(results) for _ in seeds] for name, seeds in runs.items()}
    part, names = part_of_run(tasks[0][0], "test")
    tables = (
        architectures_table(scored, PUBLISHED.get(args.data, {})),
        expressions_table(scored, names),
    )
    show(args, recipe_title(tasks[0][0], part), *tables)
    return {"runs": scored}


if __name__ == "__main__":
    if names_recipe(sys.argv[1:]):
        main(recipe_arguments(__doc__, models=ARCHITECTURES), report_recipe)
    else:
        parser = face_arguments(__doc__, models=ROWS, default=DEFAULT)
        parser.add_argument("--pairs", action="store_true", help="score pairs of unseen people")
        main(parser, report)
