"""Speed of `fit` and `predict_proba` against a hand-written loop, plain skorch and peers.

    python benchmarks/bench_fit.py

Contenders are run in turn, round after round, on the same random arrays; a ratio is taken
within each round, and the median over the rounds is printed with the smallest and largest.

- fit, images: the paper's MNIST-R network (28×28 uint8 images, 8 experts, a frozen encoder of
  18 classes, λ = 0.005, batch 32).
- fit, table: 64 features, a hidden layer of 64 units, 8 linear experts, a frozen encoder of 18
  classes, λ = 0.005, batch 128. scikit-learn's MLPClassifier has the same hidden layer and
  batch and Adam, but neither gate nor dispelling, and early stopping off.
- predict_proba: 8,192 rows of 64 features through the same network, against the bare module
  with a softmax.

The hand-written loop does the same work with the same modules: it evaluates the encoder once a
row, shuffles, scales the images, and steps the same fused Adam on the same loss. Plain skorch
reads the same tensors through its default loader and leaves the dispelling term out. Where
`neural-trees` is installed, its soft decision tree of the same depth is fitted to the table too:
a tree with constant leaves, a smaller model.
"""

import argparse
import time
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn
from tqdm.auto import tqdm

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.losses import cosine_dispelling, cross_entropy
from sklearn_thin.modules import MLP, ConvNet, ExpertEnsemble, THINModule, TreeGate

LR, LAM, DEPTH = 1e-3, 0.005, 3
WIDTH = 64  # of the table's hidden layer


@dataclass
class Case:
    """One network and its data, for all contenders."""

    X: np.ndarray
    make_module: callable  # the network, for the loops without the estimator
    network: dict  # the same, as parameters of the estimators
    batch_size: int
    epochs: int

    def __post_init__(self):
        n = len(self.X)
        self.y, z = np.arange(n) % 10, np.arange(n) % 18  # every class, however few rows
        self.encoder = ExogenousEncoder(**self.network, max_epochs=1, device="cpu").fit(self.X, z)

    def tensors(self):
        """Rows as the modules read them; images get a channel."""
        x = torch.from_numpy(self.X)
        return x.unsqueeze(1) if x.ndim == 3 else x


def images(n_rows, epochs):
    """The paper's gated network for digits."""
    X = np.random.default_rng(0).integers(0, 256, (n_rows, 28, 28), dtype=np.uint8)
    network = {"backbone": ConvNetBackbone(hidden_layer_sizes=()), "hidden_units": 256}

    def make_module():
        return THINModule(ConvNet(1), ExpertEnsemble(784, 10, 8, 32), TreeGate(18, DEPTH))

    return Case(X, make_module, network, 32, epochs)


def table(n_rows, epochs):
    """A gated network of one hidden layer for 64 features."""
    X = np.random.default_rng(0).standard_normal((n_rows, 64), dtype=np.float32)
    network = {"backbone": MLPBackbone((WIDTH,)), "hidden_units": 0}

    def make_module():
        return THINModule(MLP(64, (WIDTH,)), ExpertEnsemble(WIDTH, 10, 8), TreeGate(18, DEPTH))

    return Case(X, make_module, network, 128, epochs)


# ---------------------------------------------------------------------- contenders


def as_float(x):
    """Images of uint8 scaled to [0, 1]; floats as they are."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


@torch.no_grad()
def frozen_outputs(encoder, x):
    """Gate input and logits of the encoder, in blocks of rows."""
    module = encoder.module_.eval()
    logits = torch.cat([module(as_float(part)).logits for part in x.split(1024)])
    return logits.softmax(1), logits


def hand_written(case):
    """The eager loop that one would write without any library."""
    torch.manual_seed(0)
    x, y = case.tensors(), torch.from_numpy(case.y)
    gate_input, z_exo = frozen_outputs(case.encoder, x)
    module, c = case.make_module().train(), case.encoder.predictor_.eval()
    optimizer = torch.optim.Adam(module.parameters(), lr=LR, fused=True)
    for _ in range(case.epochs):
        for index in torch.randperm(len(x)).split(case.batch_size):
            optimizer.zero_grad()
            logits, h = module(as_float(x[index]), gate_input[index])
            loss = cross_entropy(logits, y[index]).mean()
            loss = loss + LAM * cosine_dispelling(z_exo[index], c(h)).mean()
            loss.backward()
            optimizer.step()


def thin(case):
    """The same through the estimator."""
    THINClassifier(
        FrozenEstimator(case.encoder),
        depth=DEPTH,
        lam=LAM,
        lr=LR,
        batch_size=case.batch_size,
        max_epochs=case.epochs,
        random_state=0,
        device="cpu",
        **case.network,
    ).fit(case.X, case.y)


class Logits(nn.Module):
    """Logits alone, as skorch's losses expect."""

    def __init__(self, thin):
        super().__init__()
        self.thin = thin

    def forward(self, x, gate_input=None):
        return self.thin(as_float(x), gate_input).logits


def plain_skorch(case):
    """The same network in skorch as it comes, without the dispelling term."""
    x = case.tensors()
    gate_input, _ = frozen_outputs(case.encoder, x)
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
    )
    net.fit({"x": x, "gate_input": gate_input}, case.y)


def multilayer_perceptron(case):
    """scikit-learn's, for as many epochs."""
    params = {"batch_size": case.batch_size, "max_iter": case.epochs, "random_state": 0}
    mlp = MLPClassifier((WIDTH,), tol=0, n_iter_no_change=case.epochs, **params)
    for _ in range(case.epochs):  # epoch by epoch, as fit would warn that it has not converged
        mlp.partial_fit(case.X, case.y, classes=np.unique(case.y))


def soft_decision_tree(case):
    """neural-trees' tree of the same depth."""
    from neural_trees.decision_trees import SoftDecisionTree

    params = {"batch_size": case.batch_size, "max_epochs": case.epochs, "random_state": 0}
    SoftDecisionTree(DEPTH, **params).fit(case.X, case.y)


def compare_predict(case, rounds):
    """Seconds of every contender in every round, on 8,192 rows."""
    X = np.random.default_rng(1).standard_normal((8192, case.X.shape[1]), dtype=np.float32)
    thin = THINClassifier(depth=DEPTH, max_epochs=1, device="cpu", **case.network)
    thin.fit(case.X, case.y)
    module = thin.module_.eval()
    net = NeuralNetClassifier(Logits(module), criterion=nn.CrossEntropyLoss).initialize()

    @torch.inference_mode()
    def bare():
        return module(torch.from_numpy(X)).logits.softmax(1).numpy()

    calls = {
        "bare": bare,
        "thin": lambda: thin.predict_proba(X),
        "skorch": lambda: net.predict_proba(X),
    }
    return alternate(calls, rounds, "predict_proba")


def alternate(calls, rounds, description):
    """Run every call once a round, after one round of warming up."""
    seconds = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in tqdm(range(rounds), desc=description):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def compare_fit(case, contenders, rounds, description):
    """Seconds of every contender in every round."""
    calls = {name: (lambda fit=fit: fit(case)) for name, fit in contenders.items()}
    return alternate(calls, rounds, description)


def report(title, seconds, reference):
    """Ratios to the reference contender."""
    print(f"\n{title}: median of ratios to '{reference}' (smallest, largest)")
    base = np.array(seconds[reference])
    for name, values in seconds.items():
        ratios = np.array(values) / base
        print(f"  {name:14s} {np.median(ratios):6.2f}  ({ratios.min():.2f}, {ratios.max():.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    contenders = {"hand": hand_written, "thin": thin, "skorch": plain_skorch}
    of_tables = {**contenders, "MLPClassifier": multilayer_perceptron}
    if find_spec("neural_trees"):
        of_tables["neural-trees"] = soft_decision_tree
    digits, rows = images(args.rows, args.epochs), table(4 * args.rows, args.epochs)
    fits = {
        f"fit, {args.rows:,} images": compare_fit(digits, contenders, args.rounds, "images"),
        f"fit, table of {4 * args.rows:,} rows": compare_fit(rows, of_tables, args.rounds, "table"),
    }
    predict = compare_predict(rows, 10 * args.rounds)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.rounds} rounds")
    for title, seconds in fits.items():
        report(f"{title}, {args.epochs} epochs", seconds, "hand")
    report("predict_proba, 8,192 rows of 64 features", predict, "bare")


if __name__ == "__main__":
    main()
