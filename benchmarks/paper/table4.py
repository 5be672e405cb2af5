"""Table 4: facial expressions of people never seen, gated by the identity of the face.

    python benchmarks/paper/table4.py --data DIR

DIR holds `expressions_in_the_wild.npz` (see `load_expressions`). The paper has other face data:
none of its numbers stand beside ours. The identity encoder is trained on the people with at
least 8 images, who are never tested. The test part, a quarter of the images, is of other people
than the training part; all seeds have one split.

"on h_exo" is the paper's input of the gate. The other gates read the encoder's probabilities, and
their experts share a hidden layer; "THIN" aligns h_endo too. Models are compared by balanced
accuracy. "balanced" models weight the classes, and are compared with the balanced baseline. The
gate of the "pretrained" row reads the descriptor of a face-recognition network, in
`examples/face_descriptor.py`: it needs `sklearn-thin[faces]` and runs on demand.

--choose is for all choices (--epochs, --side, --augment): it splits a validation part off the
training part, by subject, and scores there. Without it the test part is scored, once, after the
last epoch.
"""

import sys

from _command import arguments, main, settings, show
from _data import scored_part, shrunk
from _models import MODELS
from _scores import run_models, score_model
from _tables import SIZE_AND_TIME, against, column, markdown, mean_and_deviation, size_and_time
from sklearn.preprocessing import FunctionTransformer

PRETRAINED = "pretrained identity gate, balanced"
ROWS = {
    "baseline": "baseline",
    "simple ensemble": "simple ensemble",
    "tree gate on h_endo": "tree gate on h_endo",
    "identity gate on h_exo": "exogenous gate, as in the paper",
    "identity gate": "exogenous gate, own images, shared layer",
    "THIN": "THIN, own images",
    "baseline, balanced": "baseline, balanced",
    "identity gate, balanced": "exogenous gate, balanced",
    "THIN, balanced": "THIN, balanced",
    PRETRAINED: "pretrained gate, balanced",
}
DEFAULT = [name for name in ROWS if name != PRETRAINED]  # that needs a further package
CHANNELS = {64: (16, 32, 64, 64), 32: (16, 32, 64)}  # h is 1,024 wide in both


def face_arguments(doc, **models):
    """Parser of the arguments of a command on the expressions."""
    parser = arguments(doc, epochs=25, **models)
    parser.add_argument("--side", type=int, choices=CHANNELS, default=64, help="pixels")
    parser.add_argument("--augment", action="store_true", help="flip, shift, turn and light")
    parser.add_argument("--choose", action="store_true", help="score on a validation part")
    return parser


def face_settings(args):
    """The setting of each seed."""
    return settings(
        args,
        "expressions",
        options={"side": args.side, "choose": args.choose},
        backbone={"channels": CHANNELS[args.side]},
        augment=args.augment,
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
        base = "baseline, balanced" if name.endswith("balanced") else "baseline"
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
    rows = faces(args, ("baseline", "baseline, balanced", *args.models))
    runs = run_models(score_model, rows, seeds, args)
    show(args, face_title(args, scored_part(seeds[0])), table(runs))
    return {"runs": runs}


if __name__ == "__main__":
    main(face_arguments(__doc__, models=ROWS, default=DEFAULT), report)
