"""What to choose, on rows that are in no test split: held-out digits of MNIST-R, or sprites.

    python benchmarks/paper/choose.py --data DIR --rows 20000 --epochs 8 --seeds 3
    python benchmarks/paper/choose.py --data DIR --dataset sprites --by orientation --seeds 2

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. 10,000 of its training digits are held out
for scoring; of the sprites 10,000 more are drawn, and gates read their scale, orientation or tilt.
Compared are what the gate reads, of which encoder, at which temperature, where the hidden layer
is, how many leaves there are, ways to dispel, and dropout of h_endo, for the baseline, the
exogenous gate and the oracle. What wins here is scored on the test split by `mnist_r.py` and
`table2.py`.
"""

from _data import SPRITES_BY
from _models import ALONE, score_all
from _runs import accuracy_table, arguments, heading, setting, write_json

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
)


def main():
    parser = arguments(__doc__, lam=None)
    parser.add_argument("--dataset", choices=TITLES, default="mnist_r")
    parser.add_argument("--by", choices=SPRITES_BY, default="scale", help="of sprites")
    parser.add_argument("--models", nargs="+", choices=ROWS, default=ROWS, metavar="NAME")
    args = parser.parse_args()
    by = {"variables": (args.by,)} if args.dataset == "sprites" else {}
    specs = [setting(args, f"{args.dataset}_choice", seed) for seed in range(args.seeds)]
    runs = score_all(("baseline", *args.models), specs, args, by=by)
    print(heading(TITLES[args.dataset].format(args.by), args))
    print(accuracy_table(runs, {}))
    write_json(args, runs=runs)


if __name__ == "__main__":
    main()
