"""What to choose, on MNIST-R's training digits alone: 10,000 of them are held out for scoring.

    python benchmarks/paper/choose.py --data DIR --rows 20000 --epochs 8 --seeds 3

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. Compared are what the gate reads, of which
encoder, where the hidden layer is, ways to dispel, and dropout of h_endo, for the baseline, the
exogenous gate and the oracle. The test split is not touched; what wins here is scored there by
`mnist_r.py` and `table2.py`.
"""

from _models import score_encoder, score_model
from _runs import accuracy_table, arguments, heading, run_named, setting, write_json

ENCODERS = {"encoder, own images": ({}, "paper"), "encoder, free labels": ({}, "free")}
ROWS = (
    "baseline",
    "exogenous gate",
    "exogenous gate, free labels",
    "exogenous gate, free labels, logits",
    "exogenous gate, free labels, h_exo",
    "exogenous gate, shared layer",
    "THIN, cosine",
    "THIN, erasure",
    "THIN",
    "oracle",
    "oracle, shared layer",
    "baseline, dropout",
    "exogenous gate, free labels, dropout",
    "oracle, dropout",
)


def main():
    parser = arguments(__doc__, lam=None)
    parser.add_argument("--models", nargs="+", choices=ROWS, default=ROWS, metavar="NAME")
    args = parser.parse_args()
    rows = {name: ({}, name) for name in dict.fromkeys(("baseline", *args.models))}
    specs = [setting(args, "mnist_r_choice", seed) for seed in range(args.seeds)]
    encoders = run_named(score_encoder, specs, ENCODERS, args, "encoders")
    models = run_named(score_model, specs, rows, args, "classifiers")
    runs = {**encoders, **models}
    print(heading("MNIST-R, held-out training digits", args))
    print(accuracy_table(runs, {}))
    write_json(args, runs=runs)


if __name__ == "__main__":
    main()
