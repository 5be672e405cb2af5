"""Choices of settings, scored on rows that are in no test split.

    python benchmarks/paper/choose.py --data DIR --rows 20000 --epochs 8 --seeds 3
    python benchmarks/paper/choose.py --data DIR --dataset sprites --by orientation --seeds 2

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. 10,000 of its training digits are held out
for scoring. Of the sprites, 10,000 more are drawn for scoring; gates read their scale,
orientation or tilt.

The rows differ in the encoder, in the input of the gate, in the temperature, in the place of the
hidden layer, in the number of leaves and in the way to dispel. In a "modulated layer" the gate's
input scales and shifts the units of the shared layer (FiLM), beside the tree; "scale and shift" has
no tree. A "long encoder" learns for twice as many steps. Dropout of h_endo is compared for the
baseline, the exogenous gate and the oracle. The test split scores the best rows, in `mnist_r.py`
and `table2.py`.
"""

from _command import arguments, main, settings, show
from _data import SPRITES_BY
from _models import ALONE, models
from _scores import score_models
from _tables import accuracy_table

TITLES = {"mnist_r": "MNIST-R, held-out training digits", "sprites": "Sprites, by {}, other draws"}
ROWS = (
    "baseline",
    "baseline, shared layer",
    "exogenous gate",
    "exogenous gate, two leaves",
    "exogenous gate, temperature 10",
    "exogenous gate, free labels",
    "exogenous gate, free labels, logits",
    "exogenous gate, free labels, h_exo",
    "exogenous gate, shared layer",
    "THIN, cosine",
    "THIN, erasure",
    "THIN",
    "oracle",
    "oracle, shared layer",
    ALONE,
    "baseline, dropout",
    "exogenous gate, free labels, dropout",
    "exogenous gate, shared layer, dropout",
    "oracle, dropout",
    "exogenous gate, modulated layer",
    "exogenous gate, modulated layer, long encoder",
    "exogenous gate, scale and shift",
    "exogenous gate, shared layer, long encoder",
)


def parser():
    parser = arguments(__doc__, models=ROWS)
    parser.add_argument("--dataset", choices=TITLES, default="mnist_r")
    parser.add_argument("--by", choices=SPRITES_BY, default="scale", help="of sprites")
    return parser


def report(args):
    by = {"variables": (args.by,)} if args.dataset == "sprites" else {}
    seeds = settings(args, f"{args.dataset}_choice", **by)
    runs = score_models(models(("baseline", *args.models)), seeds, args)
    show(args, TITLES[args.dataset].format(args.by), accuracy_table(runs, {}))
    return {"runs": runs}


if __name__ == "__main__":
    main(parser(), report)
