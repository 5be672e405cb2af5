"""Two THINs in turns, each the frozen exogenous side of the other: digit and rotation of MNIST-R.

    SKLEARN_THIN_DATA=... python benchmarks/bench_turns.py

This is the outlook of the paper. One THIN classifies the digit, gated by the rotation. The other
classifies the rotation, gated by the digit. In round 0 the exogenous sides are plain encoders. In
each further round they are the THINs of the round before. The two tasks train on different images.

A fitted THINClassifier is a transformer, and scikit-learn's parts compose the sides:

- h_endo: the gate reads the representation, `FrozenEstimator(thin)`.
- regression: the same with a regression on h_endo as predictor c. The gate reads its probabilities.
- predict_proba: the gate reads the probabilities of the THIN itself.

The oracle reads the true label of the other variable. Printed are errors in %, on held-out images
of MNIST's training digits: the mean and the standard deviation over seeds. A seed draws the images,
their rotations and the weights.
"""

import os

import numpy as np
from _cases import arguments
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from tqdm.auto import tqdm

from sklearn_thin import ExogenousEncoder, THINClassifier
from sklearn_thin.datasets import fetch_mnist_r
from sklearn_thin.modules.heads import LogProbabilities

OTHER = {"digit": "rotation", "rotation": "digit"}


def representation(thin):
    """The fitted THIN as it is."""
    return {"exogenous": FrozenEstimator(thin)}


def regression(thin):
    """The fitted THIN with a regression on h_endo, fitted on labels of the other task's rows."""
    return representation(thin) | {"exogenous_predictor": LogisticRegression(max_iter=1000)}


def probabilities(thin):
    """The probabilities of the fitted THIN."""
    proba = FrozenEstimator(FunctionTransformer(thin.predict_proba))
    return {"exogenous": proba, "exogenous_predictor": LogProbabilities()}


SIDES = {"h_endo": representation, "regression": regression, "predict_proba": probabilities}


class Turns:
    """The images of one seed, and the fits of both tasks."""

    def __init__(self, seed, rows, held_out, epochs):
        folder = os.environ.get("SKLEARN_THIN_DATA")
        digits = fetch_mnist_r(data_home=folder, download_if_missing=False, random_state=seed)
        order = np.random.RandomState(seed).permutation(len(digits.target))
        ends = np.cumsum([rows, rows, held_out])
        self.images = digits.images
        self.labels = {"digit": digits.target, "rotation": digits.angle_bins}
        own_rows = order[: ends[0]], order[ends[0] : ends[1]]
        self.rows = dict(zip(OTHER, own_rows, strict=True))
        self.held_out = order[ends[1] : ends[2]]
        self.params = {"max_epochs": epochs, "random_state": seed}

    def error(self, make, task, **params):
        """A fitted model of the task, and its error on the held-out images in %."""
        rows, y, z = self.rows[task], self.labels[task], self.labels[OTHER[task]]
        model, labels = make(**params, **self.params), {}
        given = params.get("exogenous") == "given"
        if given or isinstance(params.get("exogenous_predictor"), LogisticRegression):
            labels["exogenous_target"] = z[rows]
        model.fit(self.images[rows], y[rows], **labels)
        true = {"exogenous": z[self.held_out]} if given else {}
        score = model.score(self.images[self.held_out], y[self.held_out], **true)
        return model, 100 * (1 - score)

    def both(self, make, sides=None):
        """Fitted models of both tasks and their errors; `sides` has parameters for each task."""
        done = {task: self.error(make, task, **(sides or {}).get(task, {})) for task in OTHER}
        return {t: model for t, (model, _) in done.items()}, [e for _, e in done.values()]

    def errors(self, rounds, bar):
        """Errors of both tasks by the name of the stage."""
        encoders, found = self.both(ExogenousEncoder)
        yield "baseline, a plain encoder", found
        true = {task: {"exogenous": "given"} for task in OTHER}
        yield "oracle", self.both(THINClassifier, true)[1]
        frozen = {task: representation(encoders[OTHER[task]]) for task in OTHER}
        first, found = self.both(THINClassifier, frozen)
        yield "round 0: plain encoders", found
        for name, side in SIDES.items():
            thins = first
            for turn in range(1, rounds + 1):
                sides = {task: side(thins[OTHER[task]]) for task in OTHER}
                thins, found = self.both(THINClassifier, sides)
                yield f"round {turn}: {name}", found
                bar.update()


def main():
    parser = arguments(__doc__, rows=6000)
    parser.add_argument("--held-out", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    table = {}
    with tqdm(total=args.seeds * args.rounds * len(SIDES), unit="round") as bar:
        for seed in range(args.seeds):
            turns = Turns(seed, args.rows, args.held_out, args.epochs)
            for name, errors in turns.errors(args.rounds, bar):
                table.setdefault(name, []).append(errors)
    print(f"| error, %, {args.rows:,} images for each task | digit | rotation |\n|---|---|---|")
    for name, errors in table.items():
        cells = zip(np.mean(errors, 0), np.std(errors, 0, ddof=1), strict=True)
        print(f"| {name} | " + " | ".join(f"{m:.2f} ± {s:.2f}" for m, s in cells) + " |")


if __name__ == "__main__":
    main()
