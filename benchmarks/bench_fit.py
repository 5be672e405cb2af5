"""Speed of `fit` and `predict_proba` against a hand-written loop and plain skorch.

    python benchmarks/bench_fit.py

Contenders are run in turn, round after round, on the same random arrays; a ratio is taken
within each round, and the median over the rounds is printed with the smallest and largest.

- fit: the paper's MNIST-R network (28×28 uint8 images, 8 experts, a frozen encoder of 18
  classes, λ = 0.005, batch 32). The hand-written loop does the same work with the same
  modules: it evaluates the encoder once a row, shuffles, scales the images, and steps the
  same fused Adam on the same loss. Plain skorch reads the same tensors through its default
  loader and leaves the dispelling term out.
- predict_proba: 8,192 rows of 64 features, against the bare module with a softmax.
"""

import argparse
import time

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetClassifier
from torch import nn
from tqdm.auto import tqdm

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, THINClassifier
from sklearn_thin.losses import cosine_dispelling, cross_entropy
from sklearn_thin.modules import ConvNet, ExpertEnsemble, THINModule, TreeGate

BATCH, LR, LAM = 32, 1e-3, 0.005


def paper_module():
    """The paper's gated network for 28×28 images and 10 classes."""
    return THINModule(ConvNet(1), ExpertEnsemble(784, 10, 8, 32), TreeGate(18, 3))


def frozen_outputs(encoder, x):
    """Gate input and logits of the encoder, in blocks of rows."""
    module = encoder.module_.eval()
    with torch.no_grad():
        logits = torch.cat([module(part.float().div_(255)).logits for part in x.split(1024)])
    return logits.softmax(1), logits


def hand_written_fit(encoder, images, y, epochs):
    """The eager loop that one would write without any library."""
    torch.manual_seed(0)
    x, y = torch.from_numpy(images).unsqueeze(1), torch.from_numpy(y)
    gate_input, z_exo = frozen_outputs(encoder, x)
    module, c = paper_module().train(), encoder.predictor_.eval()
    optimizer = torch.optim.Adam(module.parameters(), lr=LR, fused=True)
    for _ in range(epochs):
        for index in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            logits, h = module(x[index].float().div_(255), gate_input[index])
            loss = cross_entropy(logits, y[index]).mean()
            loss = loss + LAM * cosine_dispelling(z_exo[index], c(h)).mean()
            loss.backward()
            optimizer.step()


def thin_fit(encoder, images, y, epochs):
    """The same through the estimator."""
    THINClassifier(
        FrozenEstimator(encoder),
        lam=LAM,
        lr=LR,
        batch_size=BATCH,
        max_epochs=epochs,
        backbone=ConvNetBackbone(),
        random_state=0,
        device="cpu",
    ).fit(images, y)


class Logits(nn.Module):
    """Logits alone, as skorch's losses expect."""

    def __init__(self, thin):
        super().__init__()
        self.thin = thin

    def forward(self, x, gate_input=None):
        x = x.float().div_(255) if x.dtype == torch.uint8 else x
        return self.thin(x, gate_input).logits


def skorch_fit(encoder, images, y, epochs):
    """The same network in skorch as it comes, without the dispelling term."""
    x = torch.from_numpy(images).unsqueeze(1)
    gate_input, _ = frozen_outputs(encoder, x)
    net = NeuralNetClassifier(
        Logits(paper_module()),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=LR,
        batch_size=BATCH,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    net.fit({"x": x, "gate_input": gate_input}, y)


def compare_fit(rounds, rows, epochs):
    """Seconds of every contender in every round."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (rows, 28, 28), dtype=np.uint8)
    y, z = np.arange(rows) % 10, np.arange(rows) % 18  # every class, however few rows
    encoder = ExogenousEncoder(max_epochs=1, device="cpu").fit(images, z)
    contenders = {"hand": hand_written_fit, "thin": thin_fit, "skorch": skorch_fit}
    calls = {
        name: (lambda fit=fit: fit(encoder, images, y, epochs)) for name, fit in contenders.items()
    }
    return alternate(calls, rounds, "fit")


def compare_predict(rounds, rows=8192, features=64):
    """Seconds of every contender in every round."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features)).astype(np.float32)
    y = rng.integers(0, 10, rows)
    thin = THINClassifier(max_epochs=1, device="cpu").fit(X, y)
    module = thin.module_.eval()
    net = NeuralNetClassifier(Logits(thin.module_), criterion=nn.CrossEntropyLoss).initialize()

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


def report(title, seconds, reference):
    """Ratios to the reference contender."""
    print(f"\n{title}: median of ratios to '{reference}' (smallest, largest)")
    base = np.array(seconds[reference])
    for name, values in seconds.items():
        ratios = np.array(values) / base
        print(f"  {name:8s} {np.median(ratios):6.2f}  ({ratios.min():.2f}, {ratios.max():.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    fit = compare_fit(args.rounds, args.rows, args.epochs)
    predict = compare_predict(10 * args.rounds)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.rounds} rounds")
    report(f"fit, {args.rows:,} images, {args.epochs} epochs", fit, "hand")
    report("predict_proba, 8,192 rows of 64 features", predict, "bare")


if __name__ == "__main__":
    main()
