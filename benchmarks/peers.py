"""THIN against what people use instead, on data with a known nuisance variable.

    SKLEARN_THIN_DATA=DIR python benchmarks/peers.py --jobs 2 --draws 5

DIR holds `nuisance/*.npz` (docs/datasets.md). Each draw has its own rows and seed. All models read
the same table, and each gets the nuisance in its natural way. Images are flattened and scaled to
0..1. Sites are drawn with as many test rows as training rows.

"default" is a model without any parameter. "tuned" is the same small search for each model: at most
4 candidates of its own, scored on a quarter of the training rows, then fitted to all training rows.
Of `emg_gestures` the quarter is one of the new people's rows. Of `hydraulic` it is one of the
groups. For unseen levels it is one level. Means of five seeds have no search.

Printed are means and standard deviations over the draws. A mean without ± is of one draw. "Error
to the best rival's" is the mean ratio of the errors in the same draw, with a 95 % interval by
Student's t. The best rival has the smallest mean error of all other models, default and tuned.
"best" is a smaller mean error than the rival's. "level" is a larger one, by at most a standard
error over the draws.
Seconds are those of one core.

MNIST-R is not here: its networks are convolutional, and a fit takes minutes (benchmarks/paper).

`--results` names a file of a JSON object a line. A command that is interrupted continues there.
Results of this package's models count for the source that they ran with. Delete the file if the
data changed. Optional: `pip install pytabkit fairlearn`.
"""

import hashlib
import itertools
import json
import os
import time
import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
from _cases import arguments, mean_and_deviation
from _nuisance import draws, load_nuisance, share
from _peers import CONTENDERS, count_parameters, frame_of
from scipy.stats import sem, t
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from tqdm.auto import tqdm

import sklearn_thin
from sklearn_thin.datasets import make_rotated_sites, make_sites

IMAGES = 255  # largest pixel
HELD_OUT = 1 / 4  # of the training rows, to choose among the candidates
# name -> arguments of `draws`, or a function that draws sites, with as many rows to test on
SETS = {
    "heart_sites": {},
    "make_sites": make_sites,
    "wine_quality": {},
    "hydraulic": {},
    "spoken_digits": {},
    "spoken_digits, unseen": {"unseen": True},
    "make_rotated_sites": make_rotated_sites,
    "emg_gestures, 3 %": {"fraction": 0.03},
    "emg_gestures, 10 %": {"fraction": 0.1},
    "ecg_pvc": {},
    "digit_corpora": {},
    "fashion_rotated": {},
    "nz_vowels": {},
    "emg_gestures, 100 %": {},
}
WHOLE = ("hydraulic", "wine_quality")  # of which the search holds out whole groups: runs of cycles,
# and equal wines
BALANCED = ("ecg_pvc",)  # sets of rare classes, for which balanced accuracy is shown as well
COLUMNS = ("default", "tuned")
OURS = "THIN", "THIN, five seeds"


# ------------------------------------------------------------------------------------ rows


def draw_sites(name, draw, rows=None):
    """Sites, and the number of rows to train on. The other half of the rows is for the test."""
    half = rows or (4000 if SETS[name] is make_sites else 5000)
    return SETS[name](2 * half, random_state=draw), half


def load(name, draw, rows=None):
    """Frame, labels, training rows, test rows, and the codes and rows of the search's draw."""
    if callable(SETS[name]):
        made, half = draw_sites(name, draw, rows)
        frame = frame_of(made.data.astype(np.float32), made.site_names[made.site])
        train, test = np.arange(half), np.arange(half, 2 * half)
        return frame, made.target, train, test, made.site * 3 + made.target, train
    options, file = SETS[name], name.split(",")[0]
    data = load_nuisance(file)
    train, test = draws(file, draw, **options)
    X = np.asarray(data.data, np.float32).reshape(len(data.target), -1)
    X = X / IMAGES if data.data.dtype == np.uint8 else X
    frame = frame_of(X, np.asarray(data.nuisance_names).astype(str)[data.nuisance])
    codes = data.nuisance * len(data.target_names) + data.target
    thinned = train[data.thinned[train]]
    if options.get("unseen"):
        levels = np.unique(data.nuisance[train])
        thinned = thinned[data.nuisance[thinned] == levels[draw % len(levels)]]
    return frame, data.target, train, test, codes, thinned


def search_rows(name, train, codes, candidates, draw):
    """The training rows of the search, and its held-out rows."""
    if callable(SETS[name]) or not SETS[name].get("unseen"):
        groups = load_nuisance(name).groups if name in WHOLE else np.arange(len(codes))
        of_each = candidates[np.unique(groups[candidates], return_index=True)[1]]  # a row
        held_out = share(of_each, codes, HELD_OUT, np.random.RandomState(draw))
        candidates = candidates[np.isin(groups[candidates], groups[held_out])]
    return np.setdiff1d(train, candidates), candidates


# ------------------------------------------------------------------------------------ runs


def fit(contender, candidate, frame, y, rows, seed):
    """A fitted model, and the seconds of one core."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lbfgs's iterations, unknown categories, lightning
        model = contender.make(seed, **candidate).fit(frame.iloc[rows], y[rows])
    return model, time.process_time() - start


def choose(contender, name, loaded, draw, small):
    """The candidate of the best accuracy on held-out rows, and the seconds of the search."""
    frame, y, train, _, codes, thinned = loaded
    inner, held_out = search_rows(name, train, codes, thinned, draw)
    scores, seconds = [], 0.0
    for candidate in contender.candidates:
        model, spent = fit(contender, {**candidate, **small}, frame, y, inner, draw)
        scores.append(accuracy_score(y[held_out], predict(model, frame.iloc[held_out])))
        seconds += spent
    return contender.candidates[int(np.argmax(scores))], seconds


def predict(model, frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.predict(frame)


def run(name, draw, contender_name, column, rows, epochs):
    """One result: a model on one draw of one set."""
    loaded = frame, y, train, test, *_ = load(name, draw, rows)
    contender = CONTENDERS[contender_name]
    small = {"max_epochs": epochs} if epochs and contender.own else {}
    chosen, searched = {}, 0.0
    if column == "tuned":
        chosen, searched = choose(contender, name, loaded, draw, small)
    model, seconds = fit(contender, {**chosen, **small}, frame, y, train, draw)
    predicted = predict(model, frame.iloc[test])
    return {
        "set": name,
        "draw": draw,
        "contender": contender_name,
        "column": column,
        "accuracy": 100 * accuracy_score(y[test], predicted),
        "balanced": 100 * balanced_accuracy_score(y[test], predicted),
        "parameters": count_parameters(model),
        "seconds": seconds,
        "search seconds": searched,
        "chosen": str(chosen),
        "rows": len(train),
    }


@lru_cache(maxsize=1)
def source():
    """Digest of the package's source."""
    files = sorted(Path(sklearn_thin.__file__).parent.rglob("*.py"))
    return hashlib.sha1(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def key(result):
    return tuple(result[part] for part in ("set", "draw", "contender", "column"))


class Results:
    """Results in a file, an object a line; the file is replaced as a whole."""

    def __init__(self, file):
        self.file = Path(file)
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.all = [json.loads(line) for line in lines]

    def current(self):
        """Results that count for the source as it is: by set, draw, contender and column."""
        return {
            key(result): result
            for result in self.all
            if result["source"] == (source() if CONTENDERS[result["contender"]].own else None)
        }

    def add(self, result):
        own = CONTENDERS[result["contender"]].own
        self.all.append({**result, "source": source() if own else None})
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_name(self.file.name + ".new")
        new.write_text("".join(json.dumps(line) + "\n" for line in self.all))
        os.replace(new, self.file)


def left_out(name, contender):
    """Why a model does not run on a set, or None."""
    if contender.package and find_spec(contender.package) is None:
        return f"needs {contender.package}: pip install {contender.package}"
    if name in contender.diverges:
        return "its loss diverges"
    if contender.most_products is not None:
        frame = load(name, 0)[0]
        products = (frame.shape[1] - 1) * frame["nuisance"].nunique()
        if products > contender.most_products:
            return f"{products:,} products of columns and levels"
    return None


def tasks(args, done):
    """Runs that are not done, in the order of the sets; prints what is left out."""
    skipped = {}
    for name in args.sets:
        for contender in args.contenders:
            why = left_out(name, CONTENDERS[contender])
            if why:
                skipped.setdefault((contender, why), []).append(name)
    for (contender, why), names in skipped.items():
        print(f"{contender} left out on {', '.join(names)}: {why}", flush=True)
    out = {(name, contender) for (contender, _), names in skipped.items() for name in names}
    return [
        (name, draw, contender, column, args.rows, args.epochs)
        for column in args.columns
        for draw in range(args.draws)
        for name in args.sets
        for contender in args.contenders
        if (name, contender) not in out and (name, draw, contender, column) not in done
        # without a choice, tuned is default
        if column == "default" or len(CONTENDERS[contender].candidates) > 1
    ]


# ----------------------------------------------------------------------------------- tables


class Scores:
    """Errors, in %, of a set's models: (contender, column) -> {draw: error}."""

    def __init__(self, results, name, metric):
        self.results = {}
        for (of, draw, contender, column), result in results.items():
            if of == name:
                self.results.setdefault((contender, column), {})[draw] = result
        self.errors = {
            model: {draw: 100 - result[metric] for draw, result in sorted(of.items())}
            for model, of in self.results.items()
        }

    def best_rival(self, draws_):
        """The rival of the smallest mean error, among those with all these draws, or None."""
        means = {
            model: np.mean([errors[draw] for draw in draws_])
            for model, errors in self.errors.items()
            if model[0] not in OURS and set(draws_) <= set(errors)
        }
        return min(means, key=means.get, default=None)

    def ratio(self, model, column):
        """The error of a model of ours to that of the best rival, and this rival."""
        ours = self.errors.get((model, column))
        rival = self.best_rival(list(ours)) if ours else None
        if rival is None:
            return "", ""
        theirs = self.errors[rival]
        each = np.array([ours[draw] / max(theirs[draw], 1e-9) for draw in ours])
        more = np.array([ours[draw] - theirs[draw] for draw in ours])
        text = f"{each.mean():.2f}{interval(each)}, below in {(more < 0).sum()} of {len(each)}"
        text += standing(more)
        return text, ", ".join(part for part in rival if part != "default")


def interval(values):
    """A 95 % interval of the mean, by Student's t."""
    if len(values) < 2:
        return ""
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f" [{values.mean() - half:.2f}, {values.mean() + half:.2f}]"


def standing(more):
    """A word on the errors more than the best rival's: level is within one standard error."""
    if more.mean() < 0:
        return ", best"
    return ", level" if len(more) > 1 and more.mean() <= sem(more) else ""


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(results):
    """Rows of the tables: name -> scores, a row for each metric."""
    names = {name for name, *_ in results}
    metrics = {name: ["accuracy"] + ["balanced"] * (name in BALANCED) for name in SETS}
    return {
        name if metric == "accuracy" else f"{name}, balanced": Scores(results, name, metric)
        for name in SETS
        if name in names
        for metric in metrics[name]
    }


def accuracy_table(results, column):
    """Accuracies, mean and deviation over draws: a row for each model, a column for each set."""
    sets = shown(results)
    rows = []
    for contender in CONTENDERS:
        cells = [scores.errors.get((contender, column)) for scores in sets.values()]
        if any(cells):
            rows.append([contender, *map(accuracy_cell, cells)])
    return markdown([f"{column}, accuracy in %", *sets], rows)


def accuracy_cell(errors):
    accuracies = [100 - error for error in (errors or {}).values()]
    if len(accuracies) < 2:
        return f"{accuracies[0]:.1f}" if accuracies else "–"
    return mean_and_deviation(accuracies)


def summary_table(results):
    """THIN, default and tuned, and its mean of five seeds, against the best rival of each set."""
    rows = []
    for name, scores in shown(results).items():
        for model, column in itertools.product(OURS, COLUMNS):
            if errors := scores.errors.get((model, column)):
                label = model if column == "default" else f"{model}, {column}"
                rows.append([name, label, accuracy_cell(errors), *scores.ratio(model, column)])
    return markdown(["", "model", "accuracy, %", "error to the best rival's", "best rival"], rows)


def size_table(results):
    """Parameters and seconds of one core of the default models: medians over draws."""
    sets = {
        name: scores for name, scores in shown(results).items() if not name.endswith("balanced")
    }
    rows = []
    for contender in CONTENDERS:
        cells = [scores.results.get((contender, "default")) for scores in sets.values()]
        if any(cells):
            rows.append([contender, *map(size_cell, cells)])
    return markdown(["parameters (seconds a fit)", *sets], rows)


def size_cell(runs):
    if not runs:
        return "–"
    seconds = np.median([run["seconds"] for run in runs.values()])
    sizes = [run["parameters"] for run in runs.values()]
    size = "?" if None in sizes else f"{int(np.median(sizes)):,}"
    return f"{size} ({seconds:.1f})"


def oracles(done, rows):
    """Accuracies of the oracle on the test rows of made sites, in %: the most that is possible."""
    lines = []
    for name in dict.fromkeys(key[0] for key in done):
        if callable(SETS[name]):
            accuracies = []
            for draw in sorted({key[1] for key in done if key[0] == name}):
                made, half = draw_sites(name, draw, rows)
                right = made.oracle_proba.argmax(1) == made.target
                accuracies.append(100 * right[half:].mean())
            lines.append(f"oracle of {name}, %: {mean_and_deviation(np.array(accuracies))}")
    return "\n".join(lines)


def main():
    parser = arguments(__doc__, rows=0)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="NAME")
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME"
    )
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=COLUMNS, metavar="COLUMN")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, a thread each")
    parser.add_argument("--epochs", type=int, help="of this package's networks; default theirs")
    parser.add_argument("--results", default="peers.jsonl", help="file of results")
    parser.add_argument("--table", action="store_true", help="print the tables, and run nothing")
    args = parser.parse_args()
    results = Results(args.results)
    todo = [] if args.table else tasks(args, results.current())
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        pool = joblib.Parallel(n_jobs=args.jobs, return_as="generator_unordered")
        for result in tqdm(pool(joblib.delayed(run)(*task) for task in todo), total=len(todo)):
            results.add(result)
    done = {k: r for k, r in results.current().items() if k[0] in args.sets}
    tables = [summary_table(done)]
    tables += [accuracy_table(done, c) for c in COLUMNS if any(k[3] == c for k in done)]
    print("\n\n".join([*tables, size_table(done), oracles(done, args.rows)]))


if __name__ == "__main__":
    main()
