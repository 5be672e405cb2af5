"""Results as Markdown tables: means over the seeds, and paired t-tests."""

import numpy as np
from scipy.stats import ttest_rel

# Accuracies in %, from the paper's tables 1 and 2.
PAPER = {
    "encoder (exact bin)": 98.32,
    "baseline": 96.83,
    "exogenous gate": 98.07,
    "THIN": 98.26,
    "oracle": 98.06,
}
SIZE_AND_TIME = ("trained parameters", "seconds a fit")  # of this network, without its encoder


def accuracy_table(runs, paper, base="baseline"):
    """Accuracy of every row beside the paper's, and of each seed; encoders have no base."""
    rows = []
    for name, results in runs.items():
        scores = column(results, "accuracy")
        ratio = None
        if not name.startswith("encoder"):
            ratio = against(scores, column(runs[base], "accuracy"))
        each = ", ".join(f"{score:.2f}" for score in scores)
        row = [name, mean_and_deviation(scores), paper.get(name), ratio, each]
        rows.append([*row, *size_and_time(results)])
    header = ["", "accuracy, %", "paper, %", f"error to {base}'s", "per seed"]
    return markdown([*header, *SIZE_AND_TIME], rows)


def size_and_time(results):
    """The last two cells of a row."""
    return f"{results[0]['parameters']:,}", f"{np.median(column(results, 'seconds')):.0f}"


def column(results, key):
    """One figure of each result."""
    return [result[key] for result in results]


def mean_and_deviation(values, digits=2):
    """ "mean ± standard deviation" over the seeds."""
    spread = np.std(values, ddof=1) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


def against(accuracies, baseline):
    """Ratio of mean errors to the baseline's, and p of a t-test paired by seed."""
    errors, base = 100 - np.array(accuracies), 100 - np.array(baseline)
    if len(errors) < 2 or np.ptp(errors - base) == 0:
        return f"{errors.mean() / base.mean():.2f}"
    p = ttest_rel(errors, base).pvalue
    return f"{errors.mean() / base.mean():.2f} (p = {p:.2g})"


def markdown(header, rows):
    """A table; a cell of None stays empty."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join("" if cell is None else str(cell) for cell in line) + " |"
        for line in lines
    )
