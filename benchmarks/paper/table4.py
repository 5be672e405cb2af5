"""Table 4: facial expressions of people never seen, gated by the identity of the face.

    python benchmarks/paper/table4.py --data DIR

DIR holds `expressions_in_the_wild.npz` (see `load_expressions`); the paper's own face data are
others, so that none of its numbers stand beside ours. The identity encoder is trained on the
people with at least 8 images, who are never tested; the test part, a quarter of the images, is
of other people than the training part, one split for all seeds. "on h_exo" is the paper's
reading; the other gates read the encoder's probabilities, and their experts share a hidden
layer; "THIN" aligns h_endo besides. Compared by balanced accuracy: "balanced" models weigh the
classes, and are held against the baseline that does so too. The gate of the "pretrained" row
reads the descriptor of a face-recognition network, in `examples/face_descriptor.py`: it needs
`sklearn-thin[faces]` and runs on demand.

Whatever has to be chosen (--epochs, --side, --augment) is chosen with --choose, which
splits a validation part off the training part, by subject, and scores there. Without it the
test part is scored, once, after the last epoch.
"""

from _data import part_of
from _models import MODELS, prepare_encoder, score_model
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


def face_arguments(doc):
    """Parser of the arguments of a command on the expressions."""
    parser = arguments(doc, epochs=25, lam=None)
    parser.add_argument("--side", type=int, choices=CHANNELS, default=64, help="pixels")
    parser.add_argument("--augment", action="store_true", help="flip, shift, turn and light")
    parser.add_argument("--choose", action="store_true", help="score on a validation part")
    return parser


def face_settings(args):
    """The setting of each seed."""
    more = {
        "options": {"side": args.side, "choose": args.choose},
        "backbone": {"channels": CHANNELS[args.side]},
    }
    if args.augment:
        more["augment"] = True
    return [setting(args, "expressions", seed, **more) for seed in range(args.seeds)]


def face_title(args, part):
    """What was scored, and of whom."""
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


def main():
    parser = face_arguments(__doc__)
    parser.add_argument("--models", nargs="+", choices=ROWS, default=DEFAULT, metavar="NAME")
    args = parser.parse_args()
    if args.augment and PRETRAINED in args.models:
        parser.error(f"{PRETRAINED!r} reads other images than the backbone: not with --augment")
    specs = face_settings(args)
    names = dict.fromkeys(("baseline", "baseline, balanced", *args.models))
    read = {MODELS[ROWS[name]].get("encoder") for name in names}
    kinds = {"encoder": ({}, "paper")} if "paper" in read else {}
    encoders = run_named(prepare_encoder, specs, kinds, args, "encoders")
    tasks = {name: ({}, ROWS[name]) for name in names}
    if PRETRAINED in tasks:  # the network reads the images at their full size
        full = {"options": {"side": max(CHANNELS), "choose": args.choose}, "side": args.side}
        tasks[PRETRAINED] = full, ROWS[PRETRAINED]
    runs = run_named(score_model, specs, tasks, args, "classifiers")
    part = part_of(specs[0], False).first(args.test_rows)
    print(heading(face_title(args, part), args))
    print(table(runs))
    write_json(args, runs={**encoders, **runs})


if __name__ == "__main__":
    main()
