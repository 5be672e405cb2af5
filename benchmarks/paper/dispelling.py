"""Does dispelling dispel? What probes still read of the rotation in h_endo, on MNIST-R.

    python benchmarks/paper/dispelling.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. All models have one hidden layer in the
backbone, h_endo, which the experts share; the baseline's network is that of `mnist_r.py`, but for
240 hidden units instead of 256.
Compared are the baseline, the exogenous gate (λ = 0), and what is meant to dispel: the paper's
cosine term, a covariance penalty, gradient reversal, closed-form erasure, alignment, and
combinations. Gates read the encoder with free labels of `table2.py`. A linear and an MLP probe
are trained on one half of the test images' h_endo and scored on the other half. The cut is the
share of the probe's excess over chance that is gone, against the gate with λ = 0 of the same
seed; below 0 the probe reads more than there. --probe-c gives the linear probe, a logistic
regression with C = 0.01, another penalty. The weights of the covariance penalty and of
reversal were not tuned; every model is scored once, after the last epoch. With --choose none of
it sees the test images: 10,000 of the training digits are held out, and probed instead.
"""

import numpy as np
from _models import measure_dispelling, score_encoder
from _runs import (
    LAM,
    against,
    arguments,
    column,
    heading,
    markdown,
    mean_and_deviation,
    run_named,
    setting,
    write_json,
)
from mnist_r import PAPER

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


def main():
    parser = arguments(__doc__, lam=None)
    parser.add_argument("--models", nargs="+", choices=ROWS, default=ROWS, metavar="NAME")
    parser.add_argument("--probe-c", type=float, help="C of the linear probe, if another")
    parser.add_argument("--choose", action="store_true", help="probe held-out training digits")
    args = parser.parse_args()
    dataset = "mnist_r_choice" if args.choose else "mnist_r"
    more = {} if args.probe_c is None else {"probe_c": args.probe_c}
    specs = [setting(args, dataset, seed, **more) for seed in range(args.seeds)]
    run_named(score_encoder, specs, {"encoder": ({}, "free")}, args, "encoders")
    names = dict.fromkeys(("baseline", GATE, *args.models))
    tasks = {name: ({"lam": ROWS[name][0]}, ROWS[name][1]) for name in names}
    runs = run_named(measure_dispelling, specs, tasks, args, "classifiers")
    rows = ", held-out training digits" if args.choose else ""
    title = f"MNIST-R{rows}, chance {chance(runs):.1f} %"
    title += "" if args.probe_c is None else f", C = {args.probe_c:g} of the linear probe"
    print(heading(title, args))
    print(table(runs))
    write_json(args, runs=runs)


if __name__ == "__main__":
    main()
