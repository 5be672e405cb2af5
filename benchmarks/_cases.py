"""The shared parts of the speed benchmarks: networks, contenders in turn, ratios, floors."""

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone
from sklearn_thin.modules import MLP, ConvNet, ExpertEnsemble, THINModule, TreeGate

DEVICES = ("cpu", "cuda")
DEPTH = 3
WIDTH = 64  # of the table's hidden layer
GROW = "rows, experts and depth instead"  # help on --grow


@dataclass
class Case:
    """One network and its data, for all contenders."""

    X: np.ndarray
    make_module: callable  # the network, for the loops without the estimator
    network: dict  # the same, as parameters of the estimators
    batch_size: int
    epochs: int
    gated: bool = True
    device: str = "cpu"
    encoder: ExogenousEncoder | None = None

    def __post_init__(self):
        n = len(self.X)
        self.y, z = np.arange(n) % 10, np.arange(n) % 18  # every class, however few rows
        if self.gated:
            raw = {"preprocessor": None, "device": self.device}
            encoder = ExogenousEncoder(**self.network, max_epochs=1, **raw)
            self.encoder = encoder.fit(self.X, z)

    def tensors(self):
        """Rows as the modules read them, and labels; images get a channel."""
        x = torch.from_numpy(self.X)
        x = x.unsqueeze(1) if x.ndim == 3 else x
        return x.to(self.device), torch.from_numpy(self.y).to(self.device)


def images(n_rows, epochs, device="cpu"):
    """The paper's gated network for digits."""
    X = np.random.default_rng(0).integers(0, 256, (n_rows, 28, 28), dtype=np.uint8)
    network = {"backbone": ConvNetBackbone(hidden_layer_sizes=()), "hidden_units": 256}

    def make_module():
        return THINModule(ConvNet(1), ExpertEnsemble(784, 10, 8, 32), TreeGate(18, DEPTH))

    return Case(X, make_module, network, 32, epochs, device=device)


def one_layer(width=WIDTH):
    """Parameters of a network whose experts are linear and share one hidden layer."""
    return {"backbone": MLPBackbone((width,)), "hidden_units": 0}


def features(n_rows):
    """Rows of 64 features."""
    return np.random.default_rng(0).standard_normal((n_rows, 64), dtype=np.float32)


def table(n_rows, epochs, device="cpu"):
    """A plain network of one hidden layer for 64 features."""
    X = features(n_rows)

    def make_module():
        return THINModule(MLP(64, (WIDTH,)), ExpertEnsemble(WIDTH, 10), TreeGate(WIDTH, 0))

    return Case(X, make_module, one_layer(), 128, epochs, gated=False, device=device)


def as_float(x):
    """Images of uint8 scaled to [0, 1]; floats as they are."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


class Logits(nn.Module):
    """Logits alone, as skorch's losses expect."""

    def __init__(self, thin):
        super().__init__()
        self.thin = thin

    def forward(self, x, gate_input=None):
        return self.thin(as_float(x), gate_input).logits


def arguments(doc, *, rounds=None, rows=None, grow=None):
    """Parser of the arguments that the commands share; None leaves an argument out."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds)
    if rows is not None:
        parser.add_argument("--rows", type=int, default=rows)
    if grow is not None:
        parser.add_argument("--grow", action="store_true", help=grow)
    return parser


def machine(device):
    """The card's name, or the number of the CPU's threads."""
    if device == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads"


def print_machine(device, rounds):
    """The line above all figures."""
    print(f"torch {torch.__version__}, {machine(device)}, {rounds} rounds")


def alternate(calls, rounds, description, *, warm_up=True):
    """Seconds of every call, once a round; a round of warming up goes before."""
    seconds = {name: [] for name in calls}
    for call in calls.values() if warm_up else ():
        call()
    turns = [turn for _ in range(rounds) for turn in calls.items()]
    for name, call in tqdm(turns, desc=description, unit="call"):
        start = time.perf_counter()
        call()
        if torch.cuda.is_available():  # whose work may still be under way
            torch.cuda.synchronize()
        seconds[name].append(time.perf_counter() - start)
    return seconds


def report(title, seconds, reference):
    """Print the ratios under a title."""
    print(f"\n{title}: median of ratios to '{reference}' (smallest, largest)")
    print_ratios(seconds, reference, 15)


def print_ratios(seconds, reference, width):
    """Print the ratios of every contender to the reference: median, smallest and largest."""
    for name, values in seconds.items():
        print(f"  {name:<{width}}{spread(np.divide(values, seconds[reference]))}")


def spread(ratios):
    """Median, smallest and largest of the rounds."""
    return f"{np.median(ratios):6.2f}  ({np.min(ratios):.2f}, {np.max(ratios):.2f})"


def mean_and_deviation(values, digits=1):
    """ "mean ± standard deviation" over seeds or rounds."""
    spread = np.std(values, ddof=1) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


GROWTH = {
    "rows": [(f"{2000 * times:,} rows", 2000 * times, {}) for times in (1, 4, 16)],
    "L": [(f"L = {n}", 2000, {"depth": 6, "n_experts": n}) for n in (1, 4, 16, 64)],
    "depth": [(f"depth {d}", 2000, {"depth": d, "n_experts": 8}) for d in (0, 2, 4, 6, 8)],
}


def grow(make_call, rounds, title):
    """Print how the seconds of a call grow with rows, experts and depth, and their floor.

    `make_call` makes it of (rows of 64 features, labels, parameters of THINClassifier). The
    floor is the call's floating-point operations at the speed that a large matrix product
    sustains here; the rest of the seconds is overhead and memory.
    """
    speed = sustained()
    for grown, cases in GROWTH.items():
        calls = {}
        for name, n_rows, params in cases:
            shared = {**one_layer(), "batch_size": 128, "device": "cpu", "max_epochs": 1}
            params = {**shared, "endogenous": None, **params}
            calls[name] = make_call(features(n_rows), np.arange(n_rows) % 10, params)
        seconds = alternate(calls, rounds, grown)
        base = np.array(seconds[cases[0][0]])
        print(f"\n{title}, more {grown}: seconds to the first's, and to their own floor")
        for name, values in seconds.items():
            floor = operations(calls[name]) / speed
            to_floor = np.median(values) / floor
            print(f"  {name:14s} {np.median(values / base):6.2f} {to_floor:8.1f}")


def sustained(size=2048, repeats=5):
    """Floating-point operations a second of a large matrix product, the best of some."""
    a = torch.randn(size, size)
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def operations(call):
    """Floating-point operations of the matrix products and convolutions in a call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()
