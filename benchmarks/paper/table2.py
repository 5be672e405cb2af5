"""Table 2: six architectures, and what we changed of them, on MNIST-R and on sprites.

    python benchmarks/paper/table2.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. MNIST-R is that of `mnist_r.py`, whose
runs are not repeated; the paper's angles seem to be discrete (`--angles`). The sprites are
60,000 for training and 10,000 for testing, drawn by `make_sprites` at 32 × 32 pixels (dSprites
has 64 × 64), with hard edges as there: the shape is the class, the scale in 10 bins the
exogenous variable, or (`--by`) the orientation, one of 40, or the tilt, which is the orientation
within a quarter turn, one of 10.

Compared are the baseline, the simple and the tree-gated ensemble, the exogenous gate, THIN and
the oracle; "as in the paper" gates on h_exo, and each expert has hidden units of its own. Below
the oracle one thing changes at a time: the gate reads what the encoder says; the encoder is
trained, for as many steps, on other draws ("free labels": of the digits one an epoch, of the
sprites six, each seen several times, as more would not fit into memory); the experts share the
hidden layer; and h_endo is dispelled by the cosine term, by erasure or, "THIN", by alignment.
"Encoder alone" is no THIN: an MLP reads what the encoder says, and no image.
"Baseline, as large as gate and encoder" has twice the hidden units. With "other draws" the
classifier itself is trained on what the encoder with free labels is, for as many steps. The test
split is scored once, after the last epoch. Sprites repeat: --unseen scores those of the test that
equal, pixel for pixel, none that a classifier or an encoder with free labels is trained on.
"""

from _data import SPRITES_BY, scored_part
from _models import ALONE, score_all
from _runs import accuracy_table, arguments, heading, setting, write_json
from mnist_r import PAPER

TITLES = {"mnist_r": "MNIST-R", "sprites": "Sprites, by {}"}
DISCRETE = {"angles": "discrete", "interpolation": "bilinear"}  # the centres of the bins
ANGLES = {"continuous": {}, "discrete": {"options": DISCRETE}}
ROWS = (
    "baseline",
    "baseline, as large as gate and encoder",
    "simple ensemble",
    "tree gate on h_endo",
    "exogenous gate, as in the paper",
    "THIN, as in the paper",
    "oracle",
    "exogenous gate",
    "exogenous gate, free labels",
    "exogenous gate, shared layer",
    "THIN, cosine",
    "THIN, erasure",
    "THIN",
    "oracle, shared layer",
    ALONE,
    "baseline, other draws",
    "exogenous gate, shared layer, other draws",
    "oracle, other draws",
)
# of the paper's tables 1 and 2, both on MNIST-R
NUMBERS = {
    **PAPER,  # beside names of mnist_r.py
    **{f"{name}, as in the paper": PAPER[name] for name in ("exogenous gate", "THIN")},
    "encoder, own images": PAPER["encoder (exact bin)"],
}


def main():
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--angles", choices=ANGLES, default="continuous", help="of MNIST-R")
    parser.add_argument("--by", choices=SPRITES_BY, default="scale", help="of sprites")
    parser.add_argument(
        "--unseen", action="store_true", help="score images that no training has seen"
    )
    parser.add_argument(
        "--against", choices=ROWS, default="baseline", help="row whose errors are compared with"
    )
    parser.add_argument("--models", nargs="+", choices=ROWS, default=ROWS, metavar="NAME")
    args = parser.parse_args()
    figures = {}
    for dataset in args.datasets:
        angles = ANGLES[args.angles] if dataset == "mnist_r" else {}
        by = {"variables": (args.by,)} if dataset == "sprites" else {}
        more = {**angles, "unseen": True} if args.unseen else angles
        specs = [setting(args, dataset, seed, **more) for seed in range(args.seeds)]
        names = ("baseline", args.against, *args.models)
        figures[dataset] = score_all(names, specs, args, f"{dataset}, ", by)
        title = TITLES[dataset].format(args.by)
        if args.unseen:
            title += f"; {len(scored_part(specs[0]).y):,} test images that are in no training"
        print(heading(title, args))
        numbers = NUMBERS if dataset == "mnist_r" else {}
        print(accuracy_table(figures[dataset], numbers, args.against))
    write_json(args, runs=figures)


if __name__ == "__main__":
    main()
