"""Speed of `fit` against a hand-written loop, plain skorch and peers, and how it grows.

    python benchmarks/bench_fit.py

Contenders run in turn, round after round, on the same random arrays. Ratios are taken within a
round; printed are the median, the smallest and the largest.

- images: the paper's MNIST-R network (28×28 uint8 images, 8 experts, a frozen encoder of
  18 classes, λ = 0.005, batch 32).
- table: 64 features, a hidden layer of 64 units, one linear expert, no gate, batch 128. The hand-
  written loop, thin and skorch do the same work; MLPClassifier has no batch normalisation.
- `--variants`: the estimator in bfloat16, or with a compiled step. The first round, which
  compiles, does not count; on a GPU the capture of each fit does. Beside them the hand-written
  loop with convolutions that have the channels first in memory.
- `--grow`: one epoch on a table, with more rows, more experts and deeper trees; the gate reads
  h_endo. Times are multiples of the first case, and of the floor: the arithmetic at the speed of
  a large matrix product.

The hand-written loop uses the same modules. It evaluates the encoder once a row, shuffles, scales
the images, and steps the same fused Adam on the same loss. Plain skorch reads the same tensors
through its default loader, without the dispelling term. If `neural-trees` is installed, its soft
decision tree of depth 3, a smaller model with constant leaves, is fitted to the table too.
"""

from importlib.util import find_spec

import numpy as np
import torch
from _cases import (
    DEPTH,
    DEVICES,
    GROW,
    WIDTH,
    Logits,
    alternate,
    arguments,
    as_float,
    grow,
    images,
    print_machine,
    report,
    table,
)
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_thin import THINClassifier
from sklearn_thin.losses import cosine_dispelling, cross_entropy

LR, LAM = 1e-3, 0.005


@torch.no_grad()
def frozen_outputs(encoder, x):
    """Gate input and logits of the encoder, in blocks of rows."""
    module = encoder.module_.eval()
    logits = torch.cat([module(as_float(part)).logits for part in x.split(1024)])
    return logits.softmax(1), logits


def hand_written(case, module=None):
    """An eager loop without any library."""
    torch.manual_seed(0)
    x, y = case.tensors()
    gate_input = z_exo = c = None
    if case.gated:
        gate_input, z_exo = frozen_outputs(case.encoder, x)
        c = case.encoder.predictor_.eval().requires_grad_(False)
    module = (module or case.make_module()).to(case.device).train()
    optimizer = torch.optim.Adam(module.parameters(), lr=LR, fused=True)
    for _ in range(case.epochs):
        for index in torch.randperm(len(x), device=case.device).split(case.batch_size):
            optimizer.zero_grad()
            logits, h = module(as_float(x[index]), gate_input[index] if case.gated else None)
            loss = cross_entropy(logits, y[index]).mean()
            if case.gated:
                loss = loss + LAM * cosine_dispelling(z_exo[index], c(h)).mean()
            loss.backward()
            optimizer.step()


def thin(case, **params):
    """The same fit through the estimator."""
    gated = {"exogenous": FrozenEstimator(case.encoder), "depth": DEPTH, "lam": LAM}
    THINClassifier(
        **(gated if case.gated else {"depth": 0}),
        endogenous=None,  # as the loops read the rows
        lr=LR,
        batch_size=case.batch_size,
        max_epochs=case.epochs,
        random_state=0,
        device=case.device,
        **case.network,
        **params,
    ).fit(case.X, case.y)


def plain_skorch(case):
    """The same network in plain skorch, without the dispelling term."""
    x, y = case.tensors()
    X = {"x": x.cpu()}  # skorch's loader reads it row by row
    if case.gated:
        X["gate_input"] = frozen_outputs(case.encoder, x)[0].cpu()
    net = NeuralNetClassifier(
        Logits(case.make_module()),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=LR,
        batch_size=case.batch_size,
        max_epochs=case.epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        device=case.device,
    )
    net.fit(X, y.cpu())


def multilayer_perceptron(case):
    """scikit-learn's MLPClassifier, for as many epochs."""
    mlp = MLPClassifier((WIDTH,), batch_size=case.batch_size, random_state=0)
    for _ in range(case.epochs):  # fit would warn that it has not converged
        mlp.partial_fit(case.X, case.y, classes=np.unique(case.y))


def soft_decision_tree(case):
    """The soft decision tree of neural-trees, of the same depth."""
    from neural_trees.decision_trees import SoftDecisionTree

    params = {"batch_size": case.batch_size, "max_epochs": case.epochs, "random_state": 0}
    SoftDecisionTree(DEPTH, **params).fit(case.X, case.y)


def compare(case, contenders, rounds, title):
    """Print the ratios of all contenders on one case."""
    calls = {name: (lambda fit=fit: fit(case)) for name, fit in contenders.items()}
    seconds = alternate(calls, rounds, title)
    report(title, seconds, "hand")
    report(title, {"thin": seconds["thin"], "skorch": seconds["skorch"]}, "skorch")


def compare_variants(case, rounds, title):
    """Print the ratios of the variants of the estimator and of the hand-written loop."""
    first = case.make_module().to(memory_format=torch.contiguous_format)
    calls = {
        "hand": lambda: hand_written(case),
        "channels first": lambda: hand_written(case, first),
        "thin": lambda: thin(case),
        "compiled": lambda: thin(case, compile=True),
        "bfloat16": lambda: thin(case, mixed_precision="bf16"),
    }
    seconds = alternate(calls, rounds, title)
    report(title, {name: seconds.pop(name) for name in ("hand", "channels first")}, "hand")
    report(title, seconds, "thin")


def main():
    parser = arguments(__doc__, rounds=5, rows=8000, grow=GROW)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--variants", action="store_true", help="of both loops instead")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="not of --grow")
    args = parser.parse_args()
    print_machine("cpu" if args.grow else args.device, args.rounds)
    if args.grow:
        grow(lambda X, y, params: lambda: THINClassifier(**params).fit(X, y), args.rounds, "fit")
        return
    digits = images(args.rows, args.epochs, args.device)
    rows = table(4 * args.rows, args.epochs, args.device)
    of_digits = f"{args.rows:,} images, {args.epochs} epochs"
    of_rows = f"table of {4 * args.rows:,} rows, {args.epochs} epochs"
    if args.variants:
        compare_variants(digits, args.rounds, of_digits)
        compare_variants(rows, args.rounds, of_rows)
        return
    contenders = {"hand": hand_written, "thin": thin, "skorch": plain_skorch}
    compare(digits, contenders, args.rounds, f"fit, {of_digits}")
    if args.device == "cpu":
        contenders["MLPClassifier"] = multilayer_perceptron
        if find_spec("neural_trees"):
            contenders["neural-trees"] = soft_decision_tree
    compare(rows, contenders, args.rounds, f"fit, {of_rows}")


if __name__ == "__main__":
    main()
