"""Figure 4: the weight λ of the dispelling term on MNIST-R, its accuracy and its effect.

    python benchmarks/paper/figure4.py --data DIR

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout. THIN is trained at each λ, beside the
baseline. All have the hidden layer in the backbone, as the first three rows of `dispelling.py`;
the gate reads the encoder with free labels of `table2.py`.

The figure, a PNG, shows means and standard deviations over the seeds: of the test accuracy, of
the mean |cos| that the term lowers, and of the accuracy of a linear and an MLP probe for the
rotation, on the test images' h_endo. The table has the same figures, and the |cos| of the last
epoch of training. Every λ is scored once on the test split, and none is chosen: the accuracy of
the best λ is no estimate.
"""

import numpy as np
from _command import arguments, main, settings, show
from _models import LAM, MODELS
from _scores import measure_dispelling, run_models
from _tables import PAPER, against, column, markdown, mean_and_deviation
from dispelling import chance, leakage
from matplotlib.figure import Figure

LAMBDAS = (0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5)
PROBES = {"linear": "linear probe", "mlp": "MLP probe"}
NUMBERS = {
    "baseline": PAPER["baseline"],
    "0": PAPER["exogenous gate"],
    f"{LAM:g}": PAPER["THIN"],
}


def table(runs):
    """All figures of every λ."""
    header = ["λ", "accuracy, %", "paper, %", "error to baseline's", "abs. cosine in training"]
    header += ["abs. cosine", *(f"{label}, %" for label in PROBES.values())]
    rows = []
    for lam, results in runs.items():
        scores = column(results, "accuracy")
        trained = column(results, "cosine in training")
        row = [lam, mean_and_deviation(scores), NUMBERS.get(lam)]
        row.append(against(scores, column(runs["baseline"], "accuracy")))
        row.append(None if None in trained else mean_and_deviation(trained, 3))
        row.append(mean_and_deviation(column(results, "cosine"), 3))
        row += [mean_and_deviation(leakage(results, probe, "accuracy"), 1) for probe in PROBES]
        rows.append(row)
    return markdown(header, rows)


def band(axes, lambdas, values, label=None):
    """Mean over the seeds as a line, one standard deviation to both sides as a band."""
    values = np.array(values)  # (n_lambdas, n_seeds)
    mean, deviation = values.mean(1), values.std(1, ddof=min(1, values.shape[1] - 1))
    places = np.arange(len(lambdas))
    (line,) = axes.plot(places, mean, "o-", label=label)
    axes.fill_between(places, mean - deviation, mean + deviation, color=line.get_color(), alpha=0.2)
    axes.set_xticks(places, lambdas)
    axes.set_xlabel("λ")
    return line.get_color()


def draw(runs, file):
    """Accuracy, cosine and leakage over λ; dashed is the baseline."""
    runs = dict(runs)
    base, lambdas = runs.pop("baseline"), list(runs)
    figure = Figure(figsize=(13, 4), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, key in zip(panels, ("accuracy", "cosine"), strict=False):
        color = band(axes, lambdas, [column(results, key) for results in runs.values()], "THIN")
        axes.axhline(np.mean(column(base, key)), color=color, ls="--", label="baseline")
    for probe, label in PROBES.items():
        read = [leakage(results, probe, "accuracy") for results in runs.values()]
        color = band(panels[2], lambdas, read, label)
        mean = leakage(base, probe, "accuracy").mean()
        panels[2].axhline(mean, color=color, ls="--", label=f"{label}, baseline")
    panels[2].axhline(chance(runs), color="0.5", ls=":", label="chance")
    panels[0].set(title="Accuracy on the digit, %")
    panels[1].set(title="Mean |cos(c(h_exo), c(h_endo))|", ylim=(0, 1.05))
    panels[2].set(title="Bins that probes read in h_endo, %")
    for axes in panels:
        axes.legend(fontsize="small")
    figure.savefig(file, dpi=120)


def parser():
    parser = arguments(__doc__)
    parser.add_argument("--lambdas", type=float, nargs="+", default=LAMBDAS)
    parser.add_argument("--figure", default="figure4.png", help="file to draw to")
    return parser


def report(args):
    rows = {"baseline": ({}, MODELS["baseline, shared layer"])}
    for lam in args.lambdas:
        rows[f"{lam:g}"] = {}, MODELS["THIN, cosine"].with_lam(lam)
    runs = run_models(measure_dispelling, rows, settings(args, "mnist_r"), args)
    show(args, "MNIST-R", table(runs))
    draw(runs, args.figure)
    return {"runs": runs}


if __name__ == "__main__":
    main(parser(), report)
