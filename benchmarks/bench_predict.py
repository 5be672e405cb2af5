"""Speed of `predict_proba` against the bare module and plain skorch, and how it grows.

    python benchmarks/bench_predict.py

Contenders are run in turn, round after round, on the same random rows: 8,192 of 64 features,
through a hidden layer of 64 units and 8 linear experts, whose gate reads h_endo. A ratio is
taken within each round, and the median over the rounds is printed with the smallest and
largest. "bare" is the module with a softmax, all rows at once; "skorch" its NeuralNetClassifier
around the same module.

`--grow` instead: more rows, more experts and deeper trees, in multiples of the first case, and
of the floor, the arithmetic at the speed of a large matrix product.
"""

import numpy as np
import torch
from _cases import DEPTH, Logits, alternate, arguments, grow, report, table
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_thin import THINClassifier


def compare(rounds, rows):
    """Print the ratios of all contenders."""
    case = table(rows, 1)
    thin = THINClassifier(depth=DEPTH, max_epochs=1, device="cpu", **case.network)
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


def prediction(X, y, params):
    """A call that predicts the rows."""
    thin = THINClassifier(**params).fit(X, y)
    return lambda: thin.predict_proba(X)


def main():
    args = arguments(__doc__, rounds=50, rows=8192).parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.rounds} rounds")
    if args.grow:
        grow(prediction, args.rounds, "predict_proba")
    else:
        compare(args.rounds, args.rows)


if __name__ == "__main__":
    main()
