"""Speed of `predict_proba` against the bare module and plain skorch, and how it grows.

    python benchmarks/bench_predict.py

Contenders run in turn, round after round, on the same random rows: 8,192 of 64 features. The
network has a hidden layer of 64 units and 8 linear experts; the gate reads h_endo. Ratios are
taken within a round; printed are the median, the smallest and the largest. "bare" is the module
with a softmax, all rows at once; "skorch" is its NeuralNetClassifier around the same module.

`--inference` compares `inference="hard"` and "soft" on scikit-learn's digits, turned, with an
encoder of the angle: seconds, and accuracy on a held-out third, for `--seeds` seeds.

`--grow` takes more rows, more experts and deeper trees. Times are multiples of the first case, and
of the floor: the arithmetic at the speed of a large matrix product.
"""

from copy import deepcopy
from functools import partial

import numpy as np
import torch
from _cases import (
    DEPTH,
    GROW,
    Logits,
    alternate,
    arguments,
    grow,
    mean_and_deviation,
    print_machine,
    report,
    table,
)
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_thin import ExogenousEncoder, THINClassifier
from sklearn_thin.datasets import make_rotated


def compare(rounds, rows):
    """Print the ratios of all contenders."""
    case = table(rows, 1)
    # raw, as the other contenders read the rows
    raw = {"endogenous": None, "device": "cpu"}
    thin = THINClassifier(depth=DEPTH, max_epochs=1, **raw, **case.network)
    X = case.X
    module = thin.fit(X, case.y).module_.eval()
    net = NeuralNetClassifier(Logits(module), criterion=nn.CrossEntropyLoss).initialize()

    @torch.inference_mode()
    def bare():
        return module(torch.from_numpy(X)).logits.softmax(1).numpy()

    calls = {
        "bare": bare,
        "thin": lambda: thin.predict_proba(X),
        "skorch": lambda: net.predict_proba(X),
    }
    np.testing.assert_allclose(thin.predict_proba(X), bare(), rtol=1e-4, atol=1e-6)
    title = f"predict_proba, {rows:,} rows of 64 features"
    report(title, alternate(calls, rounds, title), "bare")


def compare_inference(rounds, rows, seeds, epochs):
    """Print seconds and accuracy of hard and soft inference, for growing L."""
    digits = load_digits()
    parts = train_test_split(digits.images / 16, digits.target, test_size=1 / 3, random_state=0)
    upright, upright_test, y, y_test = parts
    X, X_test = (make_rotated(part, random_state=0) for part in (upright, upright_test))
    many = np.resize(X_test.images, (rows, *X_test.images.shape[1:]))
    encoders = [
        ExogenousEncoder(max_epochs=epochs // 2, random_state=seed).fit(X.images, X.angle_bins)
        for seed in range(seeds)
    ]
    print(f"\nhard inference of {rows:,} images: ratio of seconds, accuracy in %, soft and hard")
    for depth in (3, 6, 9):
        models = {kind: [] for kind in ("soft", "hard")}
        for seed, encoder in enumerate(encoders):
            params = {"depth": depth, "max_epochs": epochs, "random_state": seed}
            soft = THINClassifier(FrozenEstimator(encoder), **params).fit(X.images, y)
            models["soft"].append(soft)
            models["hard"].append(deepcopy(soft).set_params(inference="hard"))
        calls = {kind: partial(fitted[0].predict_proba, many) for kind, fitted in models.items()}
        seconds = alternate(calls, rounds, f"L = {2**depth}")
        ratios = np.array(seconds["hard"]) / seconds["soft"]
        scores = [
            [100 * model.score(X_test.images, y_test) for model in fitted]
            for fitted in models.values()
        ]
        each = ", ".join(map(mean_and_deviation, scores))
        print(f"  L = {2**depth:<6d} {np.median(ratios):6.2f}  {each}")


def prediction(X, y, params):
    """A call that predicts the rows."""
    thin = THINClassifier(**params).fit(X, y)
    return lambda: thin.predict_proba(X)


def main():
    parser = arguments(__doc__, rounds=50, rows=8192, grow=GROW)
    parser.add_argument("--inference", action="store_true", help="hard against soft")
    parser.add_argument("--seeds", type=int, default=5, help="of --inference")
    parser.add_argument("--epochs", type=int, default=20, help="of --inference")
    args = parser.parse_args()
    print_machine("cpu", args.rounds)
    if args.grow:
        grow(prediction, args.rounds, "predict_proba")
    elif args.inference:
        compare_inference(args.rounds, args.rows, args.seeds, args.epochs)
    else:
        compare(args.rounds, args.rows)


if __name__ == "__main__":
    main()
