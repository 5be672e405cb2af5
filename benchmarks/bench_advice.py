"""Which word nuisance_report ends with, where the right word is known.

    SKLEARN_THIN_DATA=DIR python benchmarks/bench_advice.py --draws 20 --jobs 2

Each draw has its own rows, folds and networks. Penguins are always the same rows, with other folds
and networks. DIR holds `nuisance/*.npz` (docs/datasets.md). Penguins need
`pip install palmerpenguins`.

`--results` names a file of a JSON object a line. A command that is interrupted continues there.
Results count for the source of the report's models and rules that they ran with. Seconds are those
of one core.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path

import joblib
import numpy as np
from _nuisance import draws, load_nuisance
from tqdm.auto import tqdm

from sklearn_thin.datasets import load_rotated_digits, make_sites, make_sprites
from sklearn_thin.inspection import _report, nuisance_report

MEASURES = ["Culmen Length (mm)", "Culmen Depth (mm)", "Flipper Length (mm)", "Body Mass (g)"]
LEVELS = 6  # of the made variables
REFUSED = "refused"
PARTS = "outcomes", "rows", "inputs", "models", "ratios", "advice"  # which decide on the word


# ------------------------------------------------------------------------------------ rows


def digits(draw):
    """Images of digits by the bin of their rotation, 18 bins of 180 degrees.

    Each image is there three times, at other angles: its three rows are a group.
    """
    made = [load_rotated_digits(random_state=seed) for seed in 3 * draw + np.arange(3)]
    columns = ([getattr(one, name) for one in made] for name in ("images", "target", "angle_bins"))
    X, y, z = map(np.concatenate, columns)
    return X, y, z, np.arange(len(y)) % (len(y) // 3)


def emg(draw):
    """A tenth of the first session of 18 people, who are known."""
    data = load_nuisance("emg_gestures")
    train, _ = draws("emg_gestures", draw, fraction=0.1)
    rows = train[data.thinned[train]]
    return data.data[rows], data.target[rows], data.nuisance[rows], data.groups[rows]


def sites(draw):
    made = make_sites(random_state=draw)
    return made.data, made.target, made.site_names[made.site], None


def penguins(draw):
    """The sex by the species; the same rows in each draw."""
    from palmerpenguins import load_penguins_raw

    birds = load_penguins_raw().dropna(subset=["Sex"])
    species = birds["Species"].astype(str).str.split().str[0]
    nest = birds["studyName"] + species + birds["Individual ID"].str[:-2]
    return birds[MEASURES], birds["Sex"].astype(str), species, nest


def wine(draw):
    data = load_nuisance("wine_quality")
    rows, _ = draws("wine_quality", draw)
    return data.data[rows], data.target[rows], data.nuisance[rows], data.groups[rows]


def sprites(draw):
    """Sprites by their scale; X holds moments without scale."""
    made = make_sprites(2000, random_state=draw)
    return moments(made.images), made.target, made.scale_bins, None


def moments(images):
    """Central moments (n, 9) of orders 2 to 4, scaled so that size does not matter."""
    weight = images.astype(float) / images.sum((1, 2), keepdims=True)  # (n, H, W)
    place = np.arange(images.shape[1])
    down = place - np.einsum("nhw,h->n", weight, place)[:, None]  # (n, H)
    right = place - np.einsum("nhw,w->n", weight, place)[:, None]
    mass = images.sum((1, 2)) / images.max()
    orders = [(p, q) for order in (2, 3, 4) for p in range(order + 1) for q in [order - p]]
    return np.stack(
        [
            np.einsum("nhw,nh,nw->n", weight, down**p, right**q) / mass ** ((p + q) / 2)
            for p, q in orders
        ],
        1,
    )


def sprite_images(draw):
    """Sprites by their scale; X are images.

    Given the scale, the area of a sprite shows its shape. A network that learns enough of shapes
    gains nothing by it.
    """
    made = make_sprites(2000, side=32, random_state=draw)
    return made.images, made.target, made.scale_bins, None


def relation(rng, n_rows=2000, n_features=10):
    """Features, and three classes by a relation that is not linear."""
    X = rng.normal(size=(n_rows, n_features))
    linear, bent = rng.normal(size=(2, n_features, 3)) / np.sqrt(n_features)
    scores = X @ linear + np.tanh(2 * X) @ bent
    return X, (scores + 0.3 * rng.gumbel(size=scores.shape)).argmax(1)


def shift(draw, *size):
    """Each level moves X, after y was drawn: the level is an ordinary feature."""
    rng = np.random.RandomState(draw)
    X, y = relation(rng, *size)
    z = rng.randint(LEVELS, size=len(y))
    return X + rng.normal(size=(LEVELS, X.shape[1]))[z], y, z, None


def large_shift(draw):
    """The same with 10,000 rows of 30 features, for the time that a report takes."""
    return shift(draw, 10_000, 30)


def noise(draw):
    """Levels that have nothing to do with X or y."""
    rng = np.random.RandomState(draw)
    return *relation(rng), rng.randint(LEVELS, size=2000), None


def small_levels(draw):
    """A hundred levels of ten rows, that have nothing to do with X or y."""
    rng = np.random.RandomState(draw)
    X = rng.normal(size=(1000, 4))
    return X, 0.5 * X[:, 0] + rng.normal(size=1000) > 0, np.arange(1000) % 100, None


def shares(draw, n_levels=20, n_rows=4000, width=20, n_signs=10):
    """y is frequent in half of the levels, and rare in the others.

    `n_signs` columns show y in the same way at each level. `width` columns show the level. Over the
    levels these are uncorrelated with the share of y. On a new level they say nothing of y.
    """
    rng = np.random.RandomState(draw)
    z, sign = np.arange(n_rows) % n_levels, np.where(np.arange(n_levels) % 2, 1.0, -1.0)
    y = (rng.uniform(size=n_rows) < 0.5 + 0.45 * sign[z]).astype(int)
    means = rng.normal(size=(n_levels, width))
    means -= np.outer(sign, sign @ means / n_levels)
    X = rng.normal(size=(n_rows, n_signs + width))
    X[:, :n_signs] += (2 * y - 1)[:, None] / np.sqrt(n_signs)
    X[:, n_signs:] += 3 * means[z]
    return X, y, z, None


def many_levels(draw):
    """Levels that have nothing to do with X or y; new rows come from new levels."""
    X, y, _, _ = noise(draw)
    return X, y, np.arange(len(y)) % 20, None


def copy(draw):
    """z is y."""
    X, y = relation(np.random.RandomState(draw))
    return X, y, np.array(["a", "b", "c"])[y], None


CASES = {  # name -> rows, right words
    "rotated digits, images": (digits, ["gate"]),
    "EMG by person": (emg, ["gate"]),
    "make_sites": (sites, ["gate"]),
    "penguins by species": (penguins, ["feature"]),
    "wine by colour": (wine, ["ignore"]),
    "sprites by scale, moments": (sprites, ["ignore"]),
    "sprites by scale, images": (sprite_images, ["feature", "ignore"]),
    "a pure shift of X": (shift, ["feature", "ignore"]),
    "the same, 10,000 x 30": (large_shift, ["feature", "ignore"]),
    "z is noise": (noise, ["ignore"]),
    "z is noise, small levels": (small_levels, ["ignore"]),
    "z equals y": (copy, [REFUSED]),
    "new levels, other shares of y": (shares, ["dispel"]),
    "new levels, z is noise": (many_levels, ["ignore"]),
}
UNSEEN = "new levels, other shares of y", "new levels, z is noise"


# ------------------------------------------------------------------------------------ runs


def source():
    """Digest of the source that decides on the word."""
    files = [Path(_report.__file__).with_name(f"{part}.py") for part in PARTS]
    return hashlib.sha1(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def run(name, draw, digest):
    """One result."""
    make, _ = CASES[name]
    rows, start = make(draw), time.process_time()
    try:
        report = nuisance_report(*rows, unseen=name in UNSEEN, random_state=draw)
        found = {"advice": report.advice, "reason": report.reason, "drift": str(report.drift)}
    except ValueError as error:
        found = {"advice": REFUSED, "reason": str(error)}
    seconds = time.process_time() - start
    key = {"case": name, "draw": draw, "source": digest, "rows": len(rows[1])}
    return key | found | {"seconds": round(seconds, 1)}


def read(file, digest):
    """Results of the source as it is: (case, draw) -> result."""
    lines = Path(file).read_text().splitlines() if Path(file).exists() else []
    found = [json.loads(line) for line in lines]
    return {(one["case"], one["draw"]): one for one in found if one["source"] == digest}


def table(results):
    """Words, a row for each case."""
    lines = ["| case | rows | right | words | wrong | seconds |", "| --- " * 6 + "|"]
    total = wrong = 0
    for name, (_, right) in CASES.items():
        found = [one for (case, _), one in results.items() if case == name]
        if not found:
            continue
        words = [one["advice"] for one in found]
        counts = ", ".join(f"{word} {words.count(word)}" for word in sorted(set(words)))
        bad = sum(word not in right for word in words)
        total, wrong = total + len(words), wrong + bad
        seconds = np.median([one["seconds"] for one in found])
        cells = [name, f"{found[0]['rows']:,}", " or ".join(right), counts, bad, f"{seconds:.0f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines.append(f"\n{wrong} of {total} words are wrong")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--jobs", type=int, default=1, help="reports at once, a thread each")
    parser.add_argument("--results", default="advice.jsonl", help="file of results")
    parser.add_argument("--table", action="store_true", help="print the table, and run nothing")
    args = parser.parse_args()
    digest = source()
    done = read(args.results, digest)
    todo = [(name, draw) for draw in range(args.draws) for name in args.cases]
    todo = [] if args.table else [key for key in todo if key not in done]
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        pool = joblib.Parallel(n_jobs=args.jobs, return_as="generator_unordered")
        calls = pool(joblib.delayed(run)(*key, digest) for key in todo)
        for result in tqdm(calls, total=len(todo)):
            with Path(args.results).open("a") as file:
                file.write(json.dumps(result) + "\n")
    done = read(args.results, digest)
    print(table({key: one for key, one in done.items() if key[0] in args.cases}))


if __name__ == "__main__":
    main()
