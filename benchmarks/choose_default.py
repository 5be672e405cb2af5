"""Candidates for the default of tables with a known variable, on held-out rows.

    SKLEARN_THIN_DATA=DIR python benchmarks/choose_default.py --jobs 2

DIR is as in peers.py. By default no test row of peers.py takes part, and its draws are others, from
22 on. Held-out rows are those of the search in peers.py, with two exceptions. Sites are drawn, with
8,000 held-out rows. Of `emg_gestures` 18 of all 37 people are new: in even draws a share of two
random cycles of each is for training, and in odd draws of the first cycle alone. The other cycles
of the first session are held out.

"half A" and "half B" are the later sessions of `emg_gestures`, which are test rows of peers.py. The
18 people who have them are divided by turns, in the order of their names. Training rows are the 19
whole sessions and a fraction of the first session of one half. Choices are made on half A, and half
B is for the figure of the choice. Both run only if `--sets` names them.

"periodic embeddings" turn each column into eight periodic features before the gated layers
(Gorishniy et al., 2022). They need `pip install rtdl_num_embeddings`, and run only if named.

"make_sites, uneven" has 60 sites of about 140 to 2 training rows, and all sites evenly held out.

Printed are errors, log-losses and seconds as ratios to the default's in the same draws: the ratio
of the means, its standard error by the delta method, and the number of draws. For the sites it also
prints the points below the oracle. `--results` names a file of a JSON object a line. A command that
is interrupted continues there.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from _cases import arguments
from _nuisance import load_nuisance, share, strata
from _peers import NETWORK, NUISANCE, five_seeds, frame_of, thin
from peers import SETS as PEERS
from peers import fit, load, markdown, search_rows
from torch import nn
from tqdm.auto import tqdm

from sklearn_thin import MLPBackbone
from sklearn_thin.datasets import make_sites
from sklearn_thin.modules import GatedMLP

FIRST = 22  # draws of the tables in docs/results.md are smaller
HELD_OUT = 8000  # rows of drawn sites
DEFAULT = "default"
HALVES = "AB"  # of the people with later sessions
LATER = {  # later sessions: name -> fraction of the first session, half
    f"{name}, half {half}": (PEERS[name]["fraction"], half)
    for half in HALVES
    for name in ("emg_gestures, 3 %", "emg_gestures, 10 %")
}
UNEVEN = "make_sites, uneven"
EMBEDDED = "periodic embeddings"
SETS = {**PEERS, **LATER, UNEVEN: make_sites}
KINDS = {"error": "errors", "loss": "log-losses", "seconds": "seconds of one core"}


class Embedded(MLPBackbone):
    """The default's layers behind periodic embeddings of the columns, of the library's size."""

    def __init__(self, hidden_layer_sizes=(128, 128), dropout=0.35, modulation_dropout=0.5):
        super().__init__(hidden_layer_sizes, dropout, modulation_dropout)

    def build_gated(self, input_shape, n_experts, gate_features):
        from rtdl_num_embeddings import PeriodicEmbeddings

        (n_columns,), size = input_shape, 8
        embeddings = PeriodicEmbeddings(n_columns, size, lite=True)
        sizes = n_columns * size, self.hidden_layer_sizes, n_experts, gate_features
        stem = nn.Sequential(embeddings, nn.Flatten())
        return GatedMLP(*sizes, self.dropout, self.modulation_dropout, stem)


def network(dropout, weight_decay, hidden=0.0):
    return {
        "backbone": MLPBackbone((128, 128), dropout, hidden),
        "weight_decay": weight_decay,
    }


def layers(dropout, hidden, factor):
    """Gated layers of the default's widths; `factor` is the rate of the columns' scales."""
    return {"backbone": MLPBackbone((128, 128), dropout, hidden, factor), "gating": "layers"}


FILM = {"gating": "layers", "depth": 0}
POOLED = {"gating": "head", "depth": 0, "n_experts": 1}  # ignores the variable
AS_PUBLISHED = {**FILM, "backbone": MLPBackbone((128, 128), 0.2)}
CANDIDATES = {
    DEFAULT: {},
    **{f"smoothing {k}": {"smoothing": k} for k in (0, 16, 100)},
    "FiLM": AS_PUBLISHED,
    **{f"FiLM, smoothing {k}": {**AS_PUBLISHED, "smoothing": k} for k in (0, 16, 100)},
    "five seeds": {"five": True},
    "FiLM, five seeds": {**AS_PUBLISHED, "five": True},
    "50 epochs": {"max_epochs": 50},
    **{f"rate {rate}": {"lr": rate} for rate in (0.002, 0.004)},
    "no column scales": layers(0.35, 0.5, 0.0),
    "column scales, 20 times": layers(0.35, 0.5, 20.0),
    "FiLM, column scales": {**FILM, **layers(0.2, 0.0, 6.0)},
    "pooled": POOLED,
    "pooled, column scales": {**POOLED, "backbone": MLPBackbone(scale_lr_factor=6.0)},
    EMBEDDED: {"backbone": Embedded(), "gating": "layers"},
    **{f"FiLM, candidate {i}": {**FILM, **each} for i, each in enumerate(NETWORK, 1)},
    # all others take fewer, larger steps
    "decay 0.003, dropout 0.35": network(0.35, 3e-3),
    "decay 0.003, modulation_dropout 0.3": network(0.2, 3e-3, 0.3),
    "decay 0.005, dropout 0.3": network(0.3, 5e-3),
    "decay 0.01": network(0.2, 1e-2),
    "decay 0.01, dropout 0.35": network(0.35, 1e-2),
    "decay 0.02": network(0.2, 2e-2),
    "decay by the rows": network(0.2, None),
}


# ------------------------------------------------------------------------------------ rows


def rows_of(name, draw, few=None):
    """Frame, labels, training rows, held-out rows, and the oracle's error on the latter or None."""
    if name == UNEVEN:
        return uneven_sites(few or HELD_OUT, draw)
    if callable(SETS[name]):
        n_train = few or (4000 if name == "make_sites" else 5000)
        made = SETS[name](n_train + (few or HELD_OUT), random_state=draw)
        frame = frame_of(made.data.astype(np.float32), made.site_names[made.site])
        train, held_out = np.split(np.arange(len(frame)), [n_train])
        wrong = made.oracle_proba.argmax(1) != made.target
        return frame, made.target, train, held_out, 100 * wrong[held_out].mean()
    if name in LATER:
        return *later_sessions(*LATER[name], draw), None
    if "fraction" in SETS[name]:
        return *new_people(SETS[name]["fraction"], draw), None
    frame, y, train, _, codes, thinned = load(name, draw)
    return frame, y, *search_rows(name, train, codes, thinned, draw), None


def uneven_sites(n_rows, draw):
    """Sites, whose training rows fall off by their rank; held-out rows are drawn evenly."""
    made, random = make_sites(2 * n_rows, random_state=draw), np.random.RandomState(draw)
    frame = frame_of(made.data.astype(np.float32), made.site_names[made.site])
    sites = random.permutation(len(made.site_names))
    train = [
        np.flatnonzero(made.site[:n_rows] == site)[: max(2, int(600 / (1 + rank) ** 1.3))]
        for rank, site in enumerate(sites)
    ]
    held_out = np.arange(n_rows, 2 * n_rows)
    wrong = made.oracle_proba.argmax(1) != made.target
    return frame, made.target, np.concatenate(train), held_out, 100 * wrong[held_out].mean()


def emg():
    """`emg_gestures`, and its frame."""
    data = load_nuisance("emg_gestures")
    names = np.asarray(data.nuisance_names).astype(str)[data.nuisance]
    return data, frame_of(np.asarray(data.data, np.float32), names)


def later_sessions(fraction, half, draw):
    """`emg_gestures`: few rows of half of the new people, and their later sessions."""
    data, frame = emg()
    new = np.unique(data.nuisance[data.thinned])[HALVES.index(half) :: len(HALVES)]
    new = np.isin(data.nuisance, new)
    few = np.flatnonzero(data.train & new)
    few = share(few, strata(data), fraction, np.random.RandomState(draw))
    train = np.union1d(np.flatnonzero(data.train & ~data.thinned), few)
    return frame, data.target, train, np.flatnonzero(~data.train & new)


def new_people(fraction, draw):
    """`emg_gestures`: few rows of new people, and their held-out cycles of the first session."""
    data, frame = emg()
    random = np.random.RandomState(1000 + draw)
    people = random.permutation(np.unique(data.nuisance))[:18]
    new, first = np.isin(data.nuisance, people), data.train
    early = np.zeros(len(new), bool)
    for person in people:
        rows = first & (data.nuisance == person)
        cycles = random.permutation(np.unique(data.groups[rows]))
        cycles = data.groups[rows][:1] if draw % 2 else cycles[: len(cycles) // 2]
        early |= rows & np.isin(data.groups, cycles)
    n_few = fraction * np.count_nonzero(first & new)
    few = share(np.flatnonzero(early), strata(data), n_few / np.count_nonzero(early), random)
    train = np.union1d(np.flatnonzero(first & ~new), few)
    return frame, data.target, train, np.flatnonzero(first & new & ~early)


# ------------------------------------------------------------------------------------ runs


class Candidate:
    """A maker of models, as `peers.fit` reads it.

    `smoothing` weighs the levels. `five` is the mean of five seeds.
    """

    @staticmethod
    def make(seed, smoothing=None, five=False, **params):
        model = (five_seeds(thin) if five else thin)(seed, **params)
        return model if smoothing is None else Weighed(model, smoothing)


@dataclass
class Weighed:
    """A model whose rows of a level with n training rows have the weight 1 / (n + smoothing)."""

    model: object
    smoothing: float

    def fit(self, frame, y):
        levels = frame[NUISANCE].astype(str)
        n_rows = levels.map(levels.value_counts()).to_numpy()
        return self.model.fit(frame, y, sample_weight=1 / (n_rows + self.smoothing))


def larger_steps(n_rows):
    """A training of about 1,000 steps, in 10 to 50 epochs, with batches of 1/32 of the rows."""
    size = 2 ** min(8, max(7, round(math.log2(n_rows / 32))))
    epochs = min(50, max(10, round(1000 * size / n_rows)))
    return {"batch_size": size, "max_epochs": epochs, "lr": 4e-3}


def run(name, draw, label, few, epochs):
    """One result: a candidate on one draw of one set."""
    frame, y, train, held_out, oracle = rows_of(name, draw, few)
    params = CANDIDATES[label]
    if "weight_decay" in params:  # a network with steps of its own
        params = {**larger_steps(len(train)), **params}
        if params["weight_decay"] is None:  # of a fixed prior
            params["weight_decay"] = float(f"{min(1e-2, 40 / len(train)):.0e}")
    if epochs:
        params = {**params, "max_epochs": epochs}
    model, seconds = fit(Candidate, params, frame, y, train, draw)
    proba = np.zeros((len(held_out), y.max() + 1))
    proba[:, model.classes_] = model.predict_proba(frame.iloc[held_out])
    wrong = proba.argmax(1) != y[held_out]
    return {
        "set": name,
        "draw": draw,
        "candidate": label,
        "error": 100 * wrong.mean(),
        "loss": -np.log(proba[np.arange(len(proba)), y[held_out]] + 1e-6).mean(),
        "oracle": oracle,
        "seconds": seconds,
    }


def key(result):
    return result["set"], result["draw"], result["candidate"]


# ----------------------------------------------------------------------------------- table


def ratio(ours, theirs):
    """Ratio of the means, its standard error and the number of draws, as text."""
    ratio_ = ours.mean() / max(theirs.mean(), 1e-9)
    if len(ours) < 2:
        return f"{ratio_:.2f} (1)"
    spread = np.std(ours - ratio_ * theirs, ddof=1) / np.sqrt(len(ours)) / theirs.mean()
    return f"{ratio_:.2f} ± {spread:.2f} ({len(ours)})"


def table(results, kind, names):
    """Ratios to the default: a row for each set, a column for each candidate."""
    labels = [label for label in CANDIDATES if any(of == label for *_, of in results)]
    rows = []
    for name in names:
        cells = [name]
        for label in labels:
            draws = sorted(
                d for n, d, c in results if (n, c) == (name, label) and (n, d, DEFAULT) in results
            )
            ours, theirs = (
                np.array([results[name, draw, c][kind] for draw in draws]) for c in (label, DEFAULT)
            )
            if not draws:
                cells.append("–")
            elif label == DEFAULT:
                mean = f"{ours.mean():.2f}" + " %" * (kind == "error")
                cells.append(f"{mean} ({len(draws)})")
            else:
                cells.append(ratio(ours, theirs))
        rows.append(cells)
    return markdown([f"ratios of {KINDS[kind]}", *labels], rows)


def gaps(results):
    """Points below the oracle on each draw of the sites."""
    lines = {}
    for (name, _, label), result in sorted(results.items()):
        if result["oracle"] is not None:
            gap = f"{result['error'] - result['oracle']:.1f}"
            lines.setdefault(f"points below the oracle of {name}, {label}", []).append(gap)
    return "\n".join(f"{line}: {', '.join(each)}" for line, each in lines.items())


def main():
    parser = arguments(__doc__, rows=0)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(PEERS), metavar="NAME")
    usual = [name for name in CANDIDATES if name != EMBEDDED]
    parser.add_argument(
        "--candidates", nargs="+", choices=CANDIDATES, default=usual, metavar="NAME"
    )
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, a thread each")
    parser.add_argument("--epochs", type=int, help="of each candidate; default its own")
    parser.add_argument("--results", default="choose_default.jsonl", help="file of results")
    parser.add_argument("--table", action="store_true", help="print the tables, and run nothing")
    args = parser.parse_args()
    file = Path(args.results)
    lines = file.read_text().splitlines() if file.exists() else []
    results = {key(result): result for result in map(json.loads, lines)}
    todo = [
        (name, FIRST + draw, label, args.rows, args.epochs)
        for draw in range(0 if args.table else args.draws)
        for name in args.sets
        for label in args.candidates
        if (name, FIRST + draw, label) not in results
    ]
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        pool = joblib.Parallel(n_jobs=args.jobs, return_as="generator_unordered")
        for result in tqdm(pool(joblib.delayed(run)(*task) for task in todo), total=len(todo)):
            results[key(result)] = result
            with file.open("a") as out:
                out.write(json.dumps(result) + "\n")
    results = {k: r for k, r in results.items() if k[0] in args.sets}
    print("\n\n".join([*(table(results, kind, args.sets) for kind in KINDS), gaps(results)]))


if __name__ == "__main__":
    main()
