"""Table 2: six architectures, and our changes to them, on MNIST-R and on sprites.

    python benchmarks/paper/table2.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. MNIST-R is that of `mnist_r.py`, whose
runs are not repeated; the paper's angles seem to be discrete (`--angles`).

`make_sprites` draws 60,000 sprites for training and 10,000 for testing, at 32 × 32 pixels
(dSprites has 64 × 64), with hard edges as in dSprites. The shape is the class. The exogenous
variable is the scale in 10 bins, or (`--by`) the orientation in 40, or the tilt in 10: the tilt
is the orientation within a quarter turn.

Compared are the baseline, the simple and the tree-gated ensemble, the exogenous gate, THIN and
the oracle. "As in the paper" gates on h_exo, and each expert has hidden units of its own. In the
rows below the oracle one thing changes at a time:

- the gate reads the encoder's probabilities;
- the encoder is trained, for as many steps, on other draws ("free labels"): of the digits one
  an epoch; of the sprites six, each seen several times, as more do not fit into memory;
- the experts share the hidden layer;
- h_endo is dispelled by the cosine term, by erasure or, in "THIN", by alignment.

"Encoder alone" is no THIN: an MLP reads the encoder's probabilities, and no image. "Baseline, as
large as gate and encoder" has twice the hidden units. With "other draws" the classifier itself
is trained, for as many steps, on the images of the encoder with free labels.

The test split is scored once, after the last epoch. Sprites repeat: --unseen scores the test
sprites that equal, pixel for pixel, no training image of a classifier or of an encoder with free
labels.
"""

from _command import arguments, main, settings, show
from _data import SPRITES_BY, scored_part
from _models import ALONE, LAM, MODELS
from _scores import score_models
from _tables import PAPER, accuracy_table

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


def parser():
    parser = arguments(__doc__, models=ROWS)
    parser.add_argument("--datasets", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--angles", choices=ANGLES, default="continuous", help="of MNIST-R")
    parser.add_argument("--by", choices=SPRITES_BY, default="scale", help="of sprites")
    parser.add_argument("--lam", type=float, default=LAM)
    parser.add_argument(
        "--unseen", action="store_true", help="score images that no training has seen"
    )
    parser.add_argument(
        "--against", choices=ROWS, default="baseline", help="row whose errors are compared with"
    )
    return parser


def report(args):
    names = ("baseline", args.against, *args.models)
    rows = {name: ({}, MODELS[name].with_lam(args.lam)) for name in names}
    figures = {}
    for dataset in args.datasets:
        more = {"variables": (args.by,)} if dataset == "sprites" else ANGLES[args.angles]
        seeds = settings(args, dataset, unseen=args.unseen, **more)
        figures[dataset] = score_models(rows, seeds, args)
        title = TITLES[dataset].format(args.by)
        if args.unseen:
            title += f"; {len(scored_part(seeds[0]).y):,} test images that are in no training"
        numbers = NUMBERS if dataset == "mnist_r" else {}
        show(args, title, accuracy_table(figures[dataset], numbers, args.against))
    return {"runs": figures}


if __name__ == "__main__":
    main(parser(), report)
