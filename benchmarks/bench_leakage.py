"""Reports of leakage and of levels where the truth is known: coverage, codes, levels, seconds.

    OMP_NUM_THREADS=1 python benchmarks/bench_leakage.py

"coverage" draws representations that are independent of z, or independent of z given y. The true
score of every probe is then 0. Printed are, in % of `--draws`, the 95 % intervals of the score that
hold 0, and the p-values below 0.05. "any" is the p-value of the best probe. The standard error of
95 % is 0.7 points at 1,000 draws. Each probe is fitted once. The representations are 8 normal
columns, of `--rows` rows:

- rows: 2 levels, balanced.
- rare: 4 levels of 60, 25, 10 and 5 %.
- people: 40 groups, each with its own mean of h. z varies within groups.
- sites: 60 groups, each with its own mean of h, and with one level of z.
- movers: sites, but 5 % of the rows have the other level.
- through y: z follows y (4 classes) in 80 % of the rows, and h shows y. The probes read h and y.
- habits: people, given y. z follows y in a share of the rows that differs by person; h shows y.
- cities: sites, given y. y follows z in 70 % of the rows, and h shows y.
- roamers: cities, but 5 % of the rows have the other level.

"codes" draws representations that hold z, with 4 columns of noise beside. Printed are the mean
score of each probe, and in brackets the draws of `--code-draws` with p below 0.05.

- copy: a column is z (3 levels).
- shift: z moves a column by half its deviation.
- parity: z is the sign of the product of two columns.
- radius: z is the distance from the origin in two columns, beyond its median or not.
- shift by class: z moves a column up in one class and down in the other; another column shows the
  class.
- through y: as above; "through y, given y" are the conditional probes.

"levels" draws predictions of which 90 % are right, whatever the level. Printed are, in % of
`--draws`, the 95 % intervals of accuracy by `level_report` that hold 90 %, for levels of 400, 100,
50 and 20 rows, and p-values of equal levels below 0.05. With "groups", 40 groups have an accuracy
each, 90 % in the mean.

"seconds" measures one report on 10,000 rows, 64 columns, 4 classes of y, and a raw input of 100
columns, with all defaults: wall time, and CPU time of the process.
"""

from time import perf_counter, process_time

import numpy as np
from _cases import arguments
from tqdm.auto import tqdm

from sklearn_thin.inspection import leakage_report, level_report
from sklearn_thin.inspection._leakage import Audit
from sklearn_thin.inspection._probes import FAMILIES, Halves
from sklearn_thin.inspection._tally import Tally

N_NULL, N_NOISE = 8, 4  # columns
LEVELS = 400, 100, 50, 20  # rows


# ------------------------------------------------------------------------ independent


def rows(n, random):
    return {"h": random.normal(size=(n, N_NULL)), "z": random.randint(2, size=n)}


def rare(n, random):
    z = random.choice(4, size=n, p=[0.6, 0.25, 0.1, 0.05])
    return {"h": random.normal(size=(n, N_NULL)), "z": z}


def of_groups(n, n_groups, random):
    """Groups, and rows around a mean of each group."""
    groups = np.arange(n) % n_groups
    return groups, random.normal(size=(n, N_NULL)) + random.normal(size=(n_groups, N_NULL))[groups]


def people(n, random):
    groups, h = of_groups(n, 40, random)
    return {"h": h, "z": random.randint(2, size=n), "groups": groups}


def sites(n, random):
    groups, h = of_groups(n, 60, random)
    return {"h": h, "z": random.permutation(np.arange(60) % 2)[groups], "groups": groups}


def movers(n, random, of=sites):
    given = of(n, random)
    moved = random.uniform(size=n) < 0.05
    return given | {"z": np.where(moved, 1 - given["z"], given["z"])}


def through_y(n, random, width=N_NULL):
    y = random.randint(4, size=n)
    z = follows(y, 0.8, random)
    return {"h": shows(y, random.normal(size=(n, width))), "z": z, "y": y}


def follows(y, share, random):
    """z (n,) that is the parity of y in a share of the rows."""
    return np.where(random.uniform(size=len(y)) < share, y % 2, 1 - y % 2)


def shows(y, h):
    """h with the 4 classes of y in its first columns."""
    h[:, :4] += 2 * np.eye(4)[y]
    return h


def habits(n, random):
    groups, h = of_groups(n, 40, random)
    y = random.randint(4, size=n)
    z = follows(y, random.beta(2, 1, size=40)[groups], random)
    return {"h": shows(y, h), "z": z, "y": y, "groups": groups}


def cities(n, random):
    given = sites(n, random)
    same = random.uniform(size=n) < 0.7
    y = np.where(same, 2 * random.randint(2, size=n) + given["z"], random.randint(4, size=n))
    return given | {"h": shows(y, given["h"]), "y": y}


def roamers(n, random):
    return movers(n, random, cities)


NULLS = {
    "rows": rows,
    "through y": through_y,
    "rare": rare,
    "sites": sites,
    "people": people,
    "movers": movers,
    "habits": habits,
    "cities": cities,
    "roamers": roamers,
}


# -------------------------------------------------------------------------------- codes


def copy(n, random):
    return with_noise(z := random.randint(3, size=n), random), z


def shift(n, random):
    z = random.randint(2, size=n)
    return with_noise(random.normal(0.5 * z), random), z


def parity(n, random):
    code = random.normal(size=(n, 2))
    return with_noise(code, random), (code.prod(1) > 0).astype(int)


def radius(n, random):
    code = random.normal(size=(n, 2))
    return with_noise(code, random), ((code**2).sum(1) > 2 * np.log(2)).astype(int)


def shift_by_class(n, random):
    y, z = random.randint(2, size=(2, n))
    signs = (2 * y - 1) * (2 * z - 1)
    return with_noise(np.column_stack([random.normal(signs), random.normal(3 * y)]), random), z


def with_noise(code, random):
    code = code.reshape(len(code), -1)
    return np.column_stack([code, random.normal(size=(len(code), N_NOISE))])


CODES = {
    "copy": copy,
    "shift": shift,
    "parity": parity,
    "radius": radius,
    "shift by class": shift_by_class,
}


# ---------------------------------------------------------------------------- measuring


def rows_of(report, given=""):
    """The rows of h, in the order of the families."""
    return [row for row in report.rows if row["features"] == "h" and row["given"] == given]


def covers(args, bar):
    """Lines of the table of independent representations."""
    for name in args.nulls:
        held, found, best = [], [], []
        for draw in range(args.first, args.first + args.draws):
            given = NULLS[name](args.rows, np.random.RandomState([draw, len(name)]))
            report, of_probes = without_controls(**given, seed=draw)
            held.append([row["low"] <= 0 <= row["high"] for row in of_probes])
            found.append([row["p_value"] < 0.05 for row in of_probes])
            best.append(report.p_value < 0.05)
            bar.update()
        cells = [*np.mean(held, 0), *np.mean(found, 0), np.mean(best)]
        yield f"| {name} | " + " | ".join(f"{100 * cell:.1f}" for cell in cells) + " |"


def without_controls(h, z, seed, y=None, groups=None):
    """The part of a report that is asked for: of z from h, or given y."""
    halves = Halves.read(z, len(h), groups, seed)
    audit = Audit(halves, {name: name for name in FAMILIES}, seed, 1)
    if y is None:
        return audit.best(h, Tally(halves), "h")
    return audit.best(np.column_stack([h, np.eye(y.max() + 1)[y]]), Tally(halves, y), "h", "y")


def reads(args, bar):
    """Lines of the table of codes."""

    tables = {name: [] for name in [*CODES, "through y", "through y, given y"]}
    for draw in range(args.code_draws):
        for name, make in CODES.items():
            h, z = make(2 * args.rows, np.random.RandomState([draw, len(name)]))
            report = leakage_report(h, z, random_state=draw)
            tables[name].append(rows_of(report))
            bar.update()
        given = through_y(2 * args.rows, np.random.RandomState(draw))
        report = leakage_report(**given, random_state=draw)
        tables["through y"].append(rows_of(report))
        tables["through y, given y"].append(rows_of(report, "y"))
        bar.update()
    for name, draws in tables.items():
        scores = np.mean([[row["score"] for row in of_probes] for of_probes in draws], 0)
        found = np.sum([[row["p_value"] < 0.05 for row in of_probes] for of_probes in draws], 0)
        cells = (f"{score:.2f} ({n})" for score, n in zip(scores, found, strict=True))
        yield f"| {name} | " + " | ".join(cells) + " |"


def levels(args, bar):
    """Lines of the table of equal levels."""
    z = np.repeat(np.arange(len(LEVELS)), LEVELS)
    for grouped in (False, True):
        held, found = [], []
        for draw in range(args.draws):
            random = np.random.RandomState(draw)
            groups = random.randint(40, size=len(z)) if grouped else None
            accuracy = random.beta(18, 2, size=40)[groups] if grouped else 0.9
            right = (random.uniform(size=len(z)) < accuracy).astype(int)
            report = level_report(np.ones(len(z), int), right, z, groups, random_state=draw)
            held.append([row["low"] <= 0.9 <= row["high"] for row in report.rows])
            found.append(report.p_value < 0.05)
            bar.update()
        cells = (f"{100 * cell:.1f}" for cell in [*np.mean(held, 0), np.mean(found)])
        yield f"| {'groups' if grouped else 'rows'} | " + " | ".join(cells) + " |"


def print_seconds(n_rows):
    random = np.random.RandomState(0)
    y, z = random.randint(4, size=n_rows), random.randint(2, size=n_rows)
    X = random.normal(size=(n_rows, 100))
    h = X @ random.normal(size=(100, 64)) / 10 + z[:, None]
    wall, cpu = perf_counter(), process_time()
    leakage_report(h, z, y, X=X, random_state=0)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    print(f"{n_rows:,} rows, 64 columns: {wall:.1f} s, CPU {cpu:.1f} s")


def print_table(heads, lines, args, n_reports):
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    with tqdm(total=n_reports, unit="report") as bar:
        for line in lines(args, bar):
            print(line, flush=True)
    print()


def main():
    parser = arguments(__doc__, rows=400)
    parts = ("coverage", "codes", "levels", "seconds")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, metavar="NAME")
    parser.add_argument("--nulls", nargs="+", choices=NULLS, default=NULLS, metavar="NAME")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="first draw of the coverage")
    parser.add_argument("--code-draws", type=int, default=20)
    parser.add_argument("--most", type=int, default=10_000, help="rows of the report that is timed")
    args = parser.parse_args()
    if "coverage" in args.parts:
        heads = [f"{kind} {name}" for kind in ("holds 0,", "p < 0.05,") for name in FAMILIES]
        heads = ["independent h", *heads, "p < 0.05, any"]
        print_table(heads, covers, args, len(args.nulls) * args.draws)
    if "codes" in args.parts:
        heads = [f"score (found in {args.code_draws})", *FAMILIES]
        print_table(heads, reads, args, (len(CODES) + 1) * args.code_draws)
    if "levels" in args.parts:
        heads = ["equal levels", *(f"{rows} rows" for rows in LEVELS), "p < 0.05"]
        print_table(heads, levels, args, 2 * args.draws)
    if "seconds" in args.parts:
        print_seconds(args.most)


if __name__ == "__main__":
    main()
