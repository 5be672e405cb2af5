"""The paper's recipe for faces: its network around VGG-16, trained by iterations.

The network is made of `sklearn_thin.modules`, and trained by a loop of its own: batches may take
the classes in turn, and a run that is interrupted continues from its last checkpoint.
"""

import os
from dataclasses import dataclass
from functools import lru_cache, partial
from time import perf_counter

import joblib
import numpy as np
import torch
from _cache import CACHE, memory, source_digest
from _data import FACES, Part, expressions
from _vgg import DeepExperts, Maps, SquareMaps, dense_layers, read_weights
from sklearn.metrics import recall_score
from torch import nn
from tqdm.auto import tqdm

from sklearn_thin._environment import torch_seed
from sklearn_thin.datasets import (
    alternate_classes,
    load_affectnet,
    load_expw,
    load_rafdb,
)
from sklearn_thin.losses import cosine_dispelling, cross_entropy
from sklearn_thin.modules import THINModule, TreeGate
from sklearn_thin.modules.tensors import as_float

DEPTH, N_EXPERTS = 5, 32
LR, BATCH, N_HELD_OUT = 1e-5, 16, 256
CHUNK = 500  # iterations from one look at the held-out rows to the next
SAVE_AFTER = 600  # seconds from one checkpoint to the next
BLOCK = 64  # rows that are predicted at once
LEAST_SIDE = 32  # pixels, for five poolings


@dataclass(frozen=True)
class Architecture:
    """An architecture of the paper."""

    n_experts: int = N_EXPERTS
    depth: int = DEPTH
    reads_identity: bool = False  # the gate reads the identity network, else h_endo
    dispels: bool = False


ARCHITECTURES = {
    "baseline": Architecture(n_experts=1, depth=0),
    "simple ensemble": Architecture(depth=0),
    "tree gate on h_endo": Architecture(),
    "identity gate": Architecture(reads_identity=True),
    "THIN": Architecture(reads_identity=True, dispels=True),
}
RELEASES = {
    "RAFDB": partial(load_rafdb, color=True),
    "AFFECTNET": partial(load_affectnet, color=True),
    "EXPW": partial(load_expw, color=True),
}
RECIPES = (*RELEASES, "EXPRESSIONS")


@dataclass(frozen=True)
class Run:
    """What a training depends on."""

    architecture: str
    data: str  # one of RECIPES
    folder: str
    weights: tuple  # file, size and time of change
    identity: tuple
    iterations: int
    lam: float
    side: int  # of the images, in pixels
    seed: int = 0
    rows: int | None = None
    test_rows: int | None = None
    on_error: str = "raise"
    device: str = "auto"


# ------------------------------------------------------------------------------- rows


@lru_cache(maxsize=2)
def load_faces(data, folder, subset, side, on_error):
    """Images (n, [3,] side, side), codes of the expressions, and the names of the codes."""
    if data == "EXPRESSIONS":
        part = expressions(folder, subset == "train", side=side)
        names, codes = np.unique(part.y, return_inverse=True)  # both parts have every class
        return part._replace(y=codes), names.tolist()
    options = {"side": side, "on_error": on_error, "n_jobs": -1, "verbose": True}
    faces = RELEASES[data](folder, subset=subset, **options)
    return Part(faces.images, faces.target, {}), faces.target_names.tolist()


def part_of_run(run, subset):
    """The rows "train" or "test" of a run, and the names of the expressions."""
    part, names = load_faces(run.data, run.folder, subset, run.side, run.on_error)
    return part.first(run.rows if subset == "train" else run.test_rows), names


def draw_rows(run, y, n_samples, rng):
    """Rows of the next batches: AffectNet's classes in turn, else passes over all rows."""
    if run.data == "AFFECTNET":
        return alternate_classes(y, n_samples=n_samples, random_state=rng)
    passes = [rng.permutation(len(y)) for _ in range(-(-n_samples // len(y)))]
    return np.concatenate(passes)[:n_samples]


# ---------------------------------------------------------------------------- network


def build(run, n_outputs):
    """The network of a run, and its frozen side: identity network and c, or None."""
    kind, weights = ARCHITECTURES[run.architecture], read_weights(run.weights[0])
    side, channels = run.side // LEAST_SIDE, weights.channels
    identity = c = None
    if kind.reads_identity:
        read = read_weights(run.identity[0])
        identity = Maps(read).eval().requires_grad_(False)
        c = dense_layers(read) if kind.dispels else None
        gate_channels = read.channels
    else:
        gate_channels = channels
    gate = TreeGate(gate_channels, kind.depth, kind.n_experts)
    if kind.depth:  # batch normalisation comes before every activation
        n_nodes = gate.nodes.out_features
        means = SquareMaps(gate_channels), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        gate.nodes = nn.Sequential(*means, gate.nodes, nn.BatchNorm1d(n_nodes))
    experts = DeepExperts(channels, side, n_outputs, kind.n_experts)
    return THINModule(Maps(weights), experts, gate), identity, c


# --------------------------------------------------------------------------- training


class Trainer:
    """One training: its network and optimizer, the best weights so far, and its checkpoint."""

    def __init__(self, run, n_outputs):
        self.run = run
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(auto if run.device == "auto" else run.device)
        with torch_seed(run.seed, self.device):
            parts = build(run, n_outputs)
        self.module, self.identity, self.c = (
            part if part is None else part.to(self.device) for part in parts
        )
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=LR)
        self.done, self.seconds, self.best, self.best_loss = 0, 0.0, None, float("inf")
        folder = CACHE / source_digest() / "unfinished"
        self.file = folder / f"{joblib.hash(run)}.pt"
        self.saved = perf_counter()

    def train(self, part):
        """All iterations, from the checkpoint on; the weights are then the best ones."""
        run, rng = self.run, np.random.RandomState(self.run.seed)
        order = rng.permutation(len(part.y))
        n_held_out = min(N_HELD_OUT, len(order) // 4)
        held_out, rows = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
        self.restore()
        bar = {"initial": self.done, "total": run.iterations, "leave": False}
        with tqdm(desc=f"{run.architecture}, seed {run.seed}", unit="iteration", **bar) as bar:
            while self.done < run.iterations:
                start = perf_counter()
                n = min(CHUNK, run.iterations - self.done)
                self.steps(part, rows, n, bar)
                self.done += n
                self.keep_best(part, held_out)
                self.seconds += perf_counter() - start
                bar.set_postfix(held_out=f"{self.best_loss:.3f}")
                self.save()
        self.module.load_state_dict(self.best)

    def steps(self, part, rows, n, bar):
        """`n` steps of Adam; the rows and the augmentation depend on the steps before alone."""
        (seed,) = np.random.SeedSequence([self.run.seed, self.done]).generate_state(1)
        rng = np.random.RandomState(seed)
        drawn = rows[draw_rows(self.run, part.y[rows], n * BATCH, rng)]
        self.module.train()
        with torch_seed(int(seed), self.device):
            for batch in drawn.reshape(n, BATCH):
                x, y = FACES(self.images(part.X, batch)), self.tensor(part.y[batch])
                logits, h, h_exo = self.forward(x)
                loss = cross_entropy(logits, y)
                if self.c is not None:
                    loss = loss + self.run.lam * cosine_dispelling(self.c(h_exo), self.c(h))
                self.optimizer.zero_grad()
                loss.mean().backward()
                self.optimizer.step()
                bar.update()

    def forward(self, x):
        """Logits, h_endo, and h_exo or None."""
        h_exo = None
        if self.identity is not None:
            with torch.no_grad():
                h_exo = self.identity(x)
        return *self.module(x, h_exo), h_exo

    def images(self, X, rows):
        """Rows as (n, 1 or 3, side, side) in [0, 1]."""
        x = as_float(self.tensor(X[rows]))
        return x.unsqueeze(1) if x.ndim == 3 else x

    def tensor(self, array):
        return torch.from_numpy(array).to(self.device)

    @torch.no_grad()
    def predict(self, part, rows):
        """Block by block: the rows, logits, h_endo, h_exo, and the gate's weights."""
        self.module.eval()
        for block in np.array_split(rows, -(-len(rows) // BLOCK)):
            logits, h, h_exo = self.forward(self.images(part.X, block))
            yield block, logits, h, h_exo, self.module.gate(h if h_exo is None else h_exo)

    def keep_best(self, part, held_out):
        """Copy the weights if no look before found a smaller cross-entropy of the held-out rows."""
        losses = [
            cross_entropy(logits, self.tensor(part.y[block]))
            for block, logits, *_ in self.predict(part, held_out)
        ]
        loss = torch.cat(losses).mean().item()
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} after {self.done:,} iterations")
        if loss < self.best_loss:
            self.best_loss = loss
            state = self.module.state_dict()
            self.best = {name: values.to("cpu", copy=True) for name, values in state.items()}

    def save(self):
        """Write a checkpoint, if the last one is old; a run that is done needs none."""
        if self.done < self.run.iterations and perf_counter() - self.saved >= SAVE_AFTER:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            state = {name: getattr(self, name) for name in ("done", "seconds", "best", "best_loss")}
            parts = {"module": self.module, "optimizer": self.optimizer}
            state |= {name: part.state_dict() for name, part in parts.items()}
            new = self.file.with_suffix(f".{os.getpid()}")
            torch.save(state, new)
            new.replace(self.file)
            self.saved = perf_counter()

    def restore(self):
        """Continue from the checkpoint, if there is one."""
        if not self.file.is_file():
            return
        state = torch.load(self.file, map_location="cpu", weights_only=True)
        for name in ("module", "optimizer"):
            getattr(self, name).load_state_dict(state.pop(name))
        vars(self).update(state)


# ---------------------------------------------------------------------------- results


def score_run(run):
    """Figures of a run, without the gate's weights."""
    return train_and_score(run)[0]


def gate_of_run(run):
    """Mixture weights of the test rows, (n, L)."""
    return train_and_score(run)[1]


@memory.cache
def train_and_score(run):
    """Figures of a run on the test rows, and the mixture weights there, (n, L)."""
    train, names = part_of_run(run, "train")
    trainer = Trainer(run, len(names))
    trainer.train(train)
    test, _ = part_of_run(run, "test")
    figures, weights = evaluate(trainer, test, len(names))
    trainer.file.unlink(missing_ok=True)
    sizes = [values.numel() for values in trainer.module.parameters()]
    figures |= {"parameters": sum(sizes), "seconds": trainer.seconds}
    return {**figures, "held-out loss": trainer.best_loss}, weights


def evaluate(trainer, test, n_classes):
    """Accuracies and recalls in %, the ratio of Section 4.4 and the mean |cos|; the weights."""
    predicted, cosines, weights, spread = [], [], [], Spread(n_classes)
    for block, logits, h, h_exo, g in trainer.predict(test, np.arange(len(test.y))):
        predicted.append(logits.argmax(1).cpu().numpy())
        weights.append(g.cpu().numpy())
        spread.add(h.double().cpu().numpy(), test.y[block])
        if trainer.c is not None:
            cosines.append(cosine_dispelling(trainer.c(h_exo), trainer.c(h)).cpu().numpy())
    predicted, present = np.concatenate(predicted), np.unique(test.y)
    recalls = 100 * recall_score(test.y, predicted, labels=present, average=None)
    recalls = dict(zip(present.tolist(), recalls.tolist(), strict=True))
    figures = {
        "accuracy": 100 * float(np.mean(predicted == test.y)),
        "balanced accuracy": float(np.mean(list(recalls.values()))),
        "recalls": [recalls.get(code) for code in range(n_classes)],
        "ratio": spread.ratio(),
        "cosine": float(np.concatenate(cosines).mean()) if cosines else None,
    }
    return figures, np.concatenate(weights)


class Spread:
    """Sums for the ratio of the inter-class to the intra-class scatter of a representation."""

    def __init__(self, n_classes):
        self.counts, self.sums, self.squares = np.zeros(n_classes), None, 0.0

    def add(self, h, y):
        """Add rows h (n, width) of the classes y."""
        one_hot = np.eye(len(self.counts))[y]  # (n, classes)
        sums = one_hot.T @ h
        self.counts += one_hot.sum(0)
        self.sums = sums if self.sums is None else self.sums + sums
        self.squares += np.square(h).sum()

    def ratio(self):
        """tr(S_B) / tr(S_W): scatter of the class means around the mean, and of the rows around
        the mean of their class."""
        used = self.counts > 0
        counts, sums = self.counts[used], self.sums[used]
        of_means = (np.square(sums).sum(1) / counts).sum()
        of_mean = np.square(sums.sum(0)).sum() / counts.sum()
        within = self.squares - of_means
        return float((of_means - of_mean) / within) if within > 0 else None
