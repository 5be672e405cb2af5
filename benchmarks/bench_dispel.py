"""Dispelling where y depends on the variable: accuracy, and the findings of four probes.

    SKLEARN_THIN_DATA=DIR OMP_NUM_THREADS=1 python benchmarks/bench_dispel.py

DIR holds `MNIST/raw/*-ubyte`, torchvision's layout; the set "tinted digits" reads it.

The variable z is 0 or 1. With probability `--shares` it is the parity of the class, else the other
value. Test rows are drawn twice: "as in training", and "independent", where z is a fair coin.

- made, linear: four classes and z each add a vector to 20 normal columns. The experts are linear
  and read the input, so that h_endo is the input behind the map.
- made, network: the same, mixed by a random matrix and a tanh; a backbone of 32 units.
- tinted digits: MNIST at 14 × 14 in two channels, of which z brightens one; a backbone of 64 units.

Ways to dispel: none (λ = 0), `Erasure` and `Alignment`, both with `keep_target=True`, and SPLINCE
(Holstege, Ravfogel, Wouters, 2025), an oblique projection whose kernel holds Cov(h, z) and whose
range holds Cov(h, y). Where the two overlap up to a squared sine of 0.05, it projects as erasure
does. "weighted" passes sample weights that balance the pairs of y and z, for the loss and the map:
`compute_sample_weight("balanced", pairs)`. All models have one expert and no gate, as a gate reads
z itself. The frozen encoder that alignment reads was fitted to the same training rows.

Printed are means and standard deviations over seeds, in %. The second table has the differences of
a way to the plain way on equal rows, in points, with their standard errors.

The third table has the accuracy of probes of z, for the largest share. Each is fitted to one half
of the test rows' h_endo, and scored on the other half: a logistic regression, an MLP, a logistic
regression on RBF features (Nystroem), and a random forest. "marginal" probes read rows as in
training, of which the class alone predicts the share. "within" probes read independent rows of one
class, and are averaged over the classes. Chance is 50 % for all.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from _cases import arguments, mean_and_deviation
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from torch import nn
from tqdm.auto import tqdm

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.datasets._mnist import read_mnist
from sklearn_thin.dispelling import Alignment, Erasure
from sklearn_thin.inspection import leakage_score

N_CLASSES, N_COLUMNS = 4, 20  # of the made sets
PROBES = {
    "linear": "linear",
    "MLP": "mlp",
    "RBF": make_pipeline(
        StandardScaler(),
        Nystroem(n_components=100, random_state=0),
        LogisticRegression(max_iter=1000),
    ),
    "forest": RandomForestClassifier(100, min_samples_leaf=3, random_state=0),
}


# ------------------------------------------------------------------------------- rows


def dependent(y, share, random):
    """z of the classes: their parity with probability `share`."""
    return np.where(random.uniform(size=len(y)) < share, y % 2, 1 - y % 2)


def made(n_rows, share, seed, part, *, mixed=False):
    """Rows, classes and z; `part` draws other rows of the same distribution."""
    world, random = np.random.RandomState(seed), np.random.RandomState([seed, part])
    of_class, of_z = world.normal(size=(N_CLASSES, N_COLUMNS)), world.normal(size=(2, N_COLUMNS))
    mixing = world.normal(size=(N_COLUMNS, N_COLUMNS)) / N_COLUMNS**0.5
    y = random.randint(N_CLASSES, size=n_rows)
    z = dependent(y, share, random)
    X = 0.75 * of_class[y] + of_z[z] + random.normal(size=(n_rows, N_COLUMNS))
    if mixed:
        X = np.tanh(X @ mixing) + 0.1 * random.normal(size=X.shape)
    return X.astype(np.float32), y, z


def made_mixed(*args):
    """`made`, through a layer of a network."""
    return made(*args, mixed=True)


def tinted_digits(n_rows, share, seed, part):
    """Images of MNIST as rows; the parts share none."""
    images, digits = read_mnist(Path(os.environ["SKLEARN_THIN_DATA"]), "train")
    order = np.random.RandomState(seed).permutation(len(digits))
    rows = order[part * n_rows : (part + 1) * n_rows]
    small = images[rows].reshape(n_rows, 14, 2, 14, 2).mean((2, 4)) / 255
    random, y = np.random.RandomState([seed, part]), digits[rows]
    z = dependent(y, share, random)
    light = np.where(z == 0, 1.0, 0.4)[:, None, None]
    X = np.stack([light * small, (1.4 - light) * small], 1).reshape(n_rows, -1)
    return (X + 0.1 * random.normal(size=X.shape)).astype(np.float32), y, z


SETS = {  # name: rows, parameters of both networks
    "made, linear": (made, MLPBackbone(()), 15),
    "made, network": (made_mixed, MLPBackbone((32,)), 15),
    "tinted digits": (tinted_digits, MLPBackbone((64,)), 10),
}


# ------------------------------------------------------------------------------- ways


class Splince(Erasure):
    """SPLINCE, fitted anew in each epoch as the eraser is."""

    name = "splince"
    keep_target = True

    def __init__(self):
        """No parameters."""

    def keep(self, labels, sizes, y, weight, *, goes_on):
        """Columns of z, and behind them the classes of y."""
        return torch.cat([labels, nn.functional.one_hot(torch.from_numpy(y))], 1), weight

    def make_map(self, width, sizes):
        return ObliqueProjection(width, sum(sizes))


class ObliqueProjection(nn.Module):
    """Projection that maps Cov(h, z) to 0, and Cov(h, y) to itself."""

    def __init__(self, width, n_labels, overlap=0.05):
        super().__init__()
        self.n_labels, self.overlap = n_labels, overlap
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("projection", torch.eye(width))

    def forward(self, h, exogenous_logits=None):
        return self.centre + (h - self.centre) @ self.projection.T

    @torch.no_grad()
    def refit(self, blocks):
        h, labels, *weight = (torch.cat(part).double() for part in zip(*blocks, strict=True))
        weight = weight[0] / weight[0].sum() if weight else h.new_full((len(h),), 1 / len(h))
        centre = weight @ h
        h, labels = h - centre, labels - weight @ labels
        covariance = (h.T * weight) @ h
        covariance.diagonal().add_(1e-3 * covariance.diagonal().mean())
        values, vectors = torch.linalg.eigh(covariance)
        whiten, colour = ((vectors * values**power) @ vectors.T for power in (-0.5, 0.5))
        cross = whiten @ (h.T * weight) @ labels  # (width, labels of z and y)
        z, y = (
            span(part) for part in cross.split([self.n_labels, len(cross.T) - self.n_labels], 1)
        )
        beyond = z - y @ (y.T @ z)
        sines, turn = torch.linalg.eigh(z.T @ beyond)  # squared, of the principal angles
        z, beyond = z @ turn, beyond @ turn
        read = torch.where(sines > self.overlap, beyond / sines.clamp_min(self.overlap), z)
        projection = torch.eye(len(z), dtype=z.dtype) - z @ read.T
        self.centre.copy_(centre)
        self.projection.copy_(colour @ projection @ whiten)


def span(vectors):
    """Orthonormal basis of the columns."""
    basis, sizes, _ = torch.linalg.svd(vectors, full_matrices=False)
    return basis[:, sizes > 1e-4 * sizes.max()]


KINDS = ("as in training", "independent")  # of test rows
WAYS = {  # name: way to dispel, whether the rows are weighted
    "λ = 0": (None, False),
    "erasure": (Erasure(), False),
    "SPLINCE": (Splince(), False),
    "erasure, kept": (Erasure(keep_target=True), False),
    "alignment": (Alignment(), False),
    "alignment, kept": (Alignment(keep_target=True), False),
    "λ = 0, weighted": (None, True),
    "erasure, weighted": (Erasure(), True),
    "alignment, weighted": (Alignment(), True),
}
PLAIN = {"SPLINCE": "erasure", "erasure, kept": "erasure", "alignment, kept": "alignment"}


# --------------------------------------------------------------------------- measuring


def leakage(h, z, seed):
    """Accuracy of each probe in %."""
    return [
        100 * leakage_score(h, z, probe=probe, random_state=seed).accuracy
        for probe in PROBES.values()
    ]


def measure(name, share, seed, args, bar):
    """Of every way, accuracies (kinds,) and, for the largest share, leakages (2, probes)."""
    draw, backbone, epochs = SETS[name]
    X, y, z = draw(args.rows, share, seed, 0)
    tests = draw(args.rows, share, seed, 1), draw(args.rows, 0.5, seed, 2)
    encoder = ExogenousEncoder(MLPBackbone((32,)), max_epochs=args.epochs or 15, random_state=seed)
    encoder = FrozenEstimator(encoder.fit(X, z))
    params = {"backbone": backbone, "depth": 0, "hidden_units": 0, "lam": 0.0}
    model = THINClassifier(encoder, **params, random_state=seed, max_epochs=args.epochs or epochs)
    found = {}
    for way, (dispelling, weighted) in WAYS.items():
        given = {"exogenous_target": z} if isinstance(dispelling, Erasure) else {}
        if weighted:
            given["sample_weight"] = compute_sample_weight("balanced", 2 * y + z)
        clf = clone(model).set_params(dispelling=dispelling).fit(X, y, **given)
        probed = probe(clf, *tests, seed) if share == max(args.shares) else None
        found[way] = [100 * clf.score(*rows[:2]) for rows in tests], probed
        bar.update()
    return found


def probe(clf, dependent_rows, independent_rows, seed):
    """Leakages (2, probes): marginal, and within the classes."""
    X, _, z = dependent_rows
    marginal = leakage(clf.transform(X), z, seed)
    X, y, z = independent_rows
    h = clf.transform(X)
    within = [leakage(h[y == k], z[y == k], seed) for k in np.unique(y)]
    return [marginal, np.mean(within, axis=0)]


def difference(values, plain):
    """Mean and standard error of paired differences."""
    apart = np.subtract(values, plain)
    error = np.std(apart, ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else float("nan")
    return f"{np.mean(apart):+.1f} ± {error:.1f}"


def print_table(header, rows):
    """A table, and an empty line."""
    print("| " + " | ".join(["", *header]) + " |\n" + "|---" * (len(header) + 1) + "|")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def report(results, sets, shares):
    """Print the three tables; `results` are those of `measure` by set and share."""
    header = [f"{100 * share:g} %, {kind}" for share in shares for kind in KINDS]
    accuracies, differences, leakages = {}, {}, {}
    for name in sets:
        # accuracies (columns, seeds) of every way
        columns = {
            way: np.vstack(
                [np.transpose([run[way][0] for run in results[name, share]]) for share in shares]
            )
            for way in WAYS
        }
        for way, values in columns.items():
            accuracies[f"{name}, {way}"] = map(mean_and_deviation, values)
            if way in PLAIN:
                cells = map(difference, values, columns[PLAIN[way]])
                differences[f"{name}, {way} to {PLAIN[way]}"] = cells
            probed = [np.ravel(run[way][1]) for run in results[name, max(shares)]]
            leakages[f"{name}, {way}"] = map(mean_and_deviation, np.transpose(probed))
    print_table(header, accuracies)
    print_table(header, differences)
    print_table([f"{k}: {name}" for k in ("marginal", "within") for name in PROBES], leakages)


def main():
    parser = arguments(__doc__, rows=4000)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="NAME")
    parser.add_argument("--shares", nargs="+", type=float, default=[0.75, 0.9])
    parser.add_argument("--epochs", type=int, help="of all networks, if others")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # of probes
    warnings.filterwarnings("ignore", "n_components > n_samples")  # of few rows
    cases = [(name, share) for name in args.sets for share in args.shares]
    with tqdm(total=len(cases) * args.seeds * len(WAYS), unit="fit") as bar:
        results = {
            case: [measure(*case, seed, args, bar) for seed in range(args.seeds)] for case in cases
        }
    report(results, args.sets, args.shares)


if __name__ == "__main__":
    main()
