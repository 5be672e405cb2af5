"""Ways to dispel: the information on the rotation that probes find in h_endo, on MNIST-R.

    python benchmarks/paper/dispelling.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. All models have one hidden layer in the
backbone, h_endo, which the experts share. The baseline's network is that of `mnist_r.py`, with
240 hidden units instead of 256.

Compared are the baseline, the exogenous gate (λ = 0), and the ways to dispel: the paper's cosine
term, a covariance penalty, gradient reversal, closed-form erasure, alignment, and combinations.
Gates read the encoder with free labels of `table2.py`. A linear and an MLP probe are trained on
one half of the test images' h_endo, and scored on the other half.

The cut compares a model with the gate of λ = 0 and of the same seed: it is the share of the
probe's excess over chance that is gone. Below 0 the probe's accuracy is higher than for that
gate. The linear probe is a logistic regression with C = 0.01; --probe-c sets another C.

The weights of the covariance penalty and of reversal were not tuned. Every model is scored once,
after the last epoch. With --choose no model or probe reads a test image: the probes read 10,000
held-out training digits.
"""

from functools import partial

import numpy as np
from _command import arguments, main, settings, show
from _models import LAM, MODELS
from _scores import measure_dispelling, run_models
from _tables import PAPER, against, column, markdown, mean_and_deviation

GATE = "exogenous gate, λ = 0"
ROWS = {
    "baseline": (0, "baseline, shared layer"),
    GATE: (0, "exogenous gate, shared layer"),
    f"cosine, λ = {LAM}": (LAM, "THIN, cosine"),
    "cosine, λ = 0.05": (0.05, "THIN, cosine"),
    "covariance, λ = 10": (10, "THIN, covariance"),
    "reversal, λ = 0.1": (0.1, "THIN, reversal"),
    "erasure": (0, "THIN, erasure"),
    "erasure and reversal, λ = 0.1": (0.1, "THIN, erasure and reversal"),
    "alignment": (0, "THIN"),
    f"alignment and cosine, λ = {LAM}": (LAM, "THIN and cosine"),
}
NUMBERS = {
    "baseline": PAPER["baseline"],
    GATE: PAPER["exogenous gate"],
    f"cosine, λ = {LAM}": PAPER["THIN"],
}


def leakage(results, probe, figure):
    """One figure of a probe under each seed, in %."""
    return 100 * np.array([result["leakage"][probe][figure] for result in results])


def cut(results, gates, probe):
    """Share in % of the gate's excess over chance that is gone, under each seed."""
    excess, before = leakage(results, probe, "excess"), leakage(gates, probe, "excess")
    return 100 * (1 - excess / before)


def table(runs):
    """Accuracy, cosine and probes of every row."""
    header = ["", "accuracy, %", "paper, %", "error to baseline's", "mean abs. cosine"]
    for probe in ("linear", "MLP"):
        header += [f"{probe} probe, %", f"{probe}: cut of the excess, %"]
    rows = []
    for name, results in runs.items():
        scores = column(results, "accuracy")
        row = [name, mean_and_deviation(scores), NUMBERS.get(name)]
        row.append(against(scores, column(runs["baseline"], "accuracy")))
        row.append(mean_and_deviation(column(results, "cosine"), 3))
        for probe in ("linear", "mlp"):
            row.append(mean_and_deviation(leakage(results, probe, "accuracy"), 1))
            row.append(mean_and_deviation(cut(results, runs[GATE], probe), 1))
        rows.append(row)
    return markdown(header, rows)


def chance(runs):
    """Mean accuracy in % of the most frequent bin."""
    return np.mean([leakage(results, "linear", "chance").mean() for results in runs.values()])


def parser():
    parser = arguments(__doc__, models=ROWS)
    parser.add_argument("--probe-c", type=float, help="C of the linear probe, if another")
    parser.add_argument("--choose", action="store_true", help="probe held-out training digits")
    return parser


def report(args):
    seeds = settings(args, "mnist_r_choice" if args.choose else "mnist_r")
    rows = {}
    for name in ("baseline", GATE, *args.models):
        lam, model = ROWS[name]
        rows[name] = {}, MODELS[model].with_lam(lam)
    runs = run_models(partial(measure_dispelling, probe_c=args.probe_c), rows, seeds, args)
    held_out = ", held-out training digits" if args.choose else ""
    title = f"MNIST-R{held_out}, chance {chance(runs):.1f} %"
    title += "" if args.probe_c is None else f", C = {args.probe_c:g} of the linear probe"
    show(args, title, table(runs))
    return {"runs": runs}


if __name__ == "__main__":
    main(parser(), report)
