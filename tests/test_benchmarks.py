"""The benchmarks run, at a size that takes seconds; most of them in this process."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_thin.datasets import make_sprites
from tests.helpers import BENCHMARKS, cells, run_script

# joblib warns where a busy disk takes half a second to write down the arguments of a run
pytestmark = pytest.mark.filterwarnings("ignore:Persisting input arguments")

SMALL = ("--rows", "300", "--epochs", "1", "--seeds", "2")


@pytest.fixture
def paper(run, data_dir, tmp_path):
    """Run a command of benchmarks/paper: the text, and the figures of its JSON file."""

    def call(command, *arguments):
        file = tmp_path / f"{command}.json"
        data = ("--data", str(data_dir), "--json", str(file))
        printed = run(f"paper/{command}.py", *SMALL, *data, *arguments)
        return printed, json.loads(file.read_text())

    return call


def start(script, *arguments):
    """Run a script in a process of its own, as a user does, on one thread."""
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def scores(results):
    return [result["accuracy"] for result in results]


def is_png(file):
    return file.read_bytes().startswith(b"\x89PNG")


# ------------------------------------------------------------------------------ speed


def test_bench_fit(run):
    printed = run("bench_fit.py", "--rounds", "1", "--rows", "64", "--epochs", "1")
    assert printed.count("to 'hand'") == printed.count("to 'skorch'") == 2
    assert "MLPClassifier" in printed


@pytest.mark.long  # compiles four steps
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++")
def test_bench_fit_compares_variants_of_both_loops():
    small = ("--rounds", "1", "--rows", "64", "--epochs", "1")
    done = start("bench_fit.py", "--variants", *small)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    assert printed.count("compiled  ") == printed.count("channels first") == 2
    assert printed.count("ratios to 'thin'") == printed.count("ratios to 'hand'") == 2


def test_bench_robust(run):
    printed = run("bench_robust.py", "--tables", "wine", "--seeds", "2", "--epochs", "1")
    for case in ("scaled", "raw", "missing", "unit", "sentinel", "text"):
        assert len(cells(printed, f"wine, {case}")) == 7
    assert cells(printed, "wine, missing")[2] == "–"


def test_bench_missing(run):
    small = ("--tables", "wine", "--seeds", "2", "--epochs", "1", "--rows", "60")
    printed = run("bench_missing.py", *small)
    assert len(cells(printed, "wine")) == 5
    assert printed.count("| 60, 20, 5 |") == 4
    assert printed.count("| 60, 100, 50 |") == 2


def test_bench_unseen(run, data_dir, monkeypatch):
    monkeypatch.setenv("SKLEARN_THIN_DATA", str(data_dir))
    small = ("--sets", "spoken_digits", "--rows", "200", "--epochs", "1", "--draws", "2")
    printed = run("bench_unseen.py", *small)
    for model in ("pooled network", "THIN, known level", "THIN, encoder"):
        assert len(cells(printed, f"spoken_digits, {model}")) == 7
    _, _, _, first, second, anew, _ = cells(printed, "spoken_digits, the same, map fitted anew")
    assert first == second == "–"
    assert anew.endswith("of 2")
    assert len(cells(printed, "the same, cross-fitted")) == 2
    assert len(cells(printed, "bins recognised, 15 n other rows")) == 2


def test_bench_dispel(modules):  # which forgets the modules of the script
    small = ("--rows", "120", "--seeds", "2", "--epochs", "1", "--shares", "0.75", "0.9")
    trees = {"RandomForestClassifier(100,": "RandomForestClassifier(10,"}
    script = BENCHMARKS / "bench_dispel.py"
    printed = run_script(script, *small, "--sets", "made, linear", smaller=trees)
    accuracies, differences, leakages = (
        [line.split(" | ") for line in table.splitlines()[2:]]
        for table in printed.strip().split("\n\n")
    )
    assert [len(table) for table in (accuracies, differences, leakages)] == [9, 3, 9]
    assert {len(row) for row in accuracies + differences} == {5}  # two shares, two kinds of rows
    assert {len(row) for row in leakages} == {9}  # four probes, marginal and within the classes
    assert differences[0][0] == "| made, linear, SPLINCE to erasure"
    of = {row[0]: row[1:] for row in accuracies}
    for name, *cells_of_way in differences:
        way, _, plain = name.removeprefix("| made, linear, ").partition(" to ")
        pairs = zip(*(of[f"| made, linear, {of_way}"] for of_way in (way, plain)), strict=True)
        for cell, (one, other) in zip(cells_of_way, pairs, strict=True):
            apart, error = mean_and_spread(cell)
            (mean, deviation), (of_plain, of_plains) = map(mean_and_spread, (one, other))
            assert apart == pytest.approx(mean - of_plain, abs=0.16)  # all are rounded
            assert error <= (deviation + of_plains) / np.sqrt(2) + 0.13
    assert all(mean_and_spread(cell)[1] >= 0 for row in leakages for cell in row[1:])


def mean_and_spread(cell):
    """The numbers of "mean ± spread", with a decimal each."""
    return tuple(map(float, re.fullmatch(r"([+-]?\d+\.\d) ± (\d+\.\d)(?: \|)?", cell).groups()))


def test_bench_dispel_has_standard_errors_of_paired_differences(modules):
    dispel = modules("bench_dispel")
    assert dispel.difference([3, 5], [1, 1]) == "+3.0 ± 1.0"
    assert dispel.difference([3, 5, 4], [4, 6, 5]) == "-1.0 ± 0.0"


def test_bench_dispel_tints_digits(modules, data_dir, monkeypatch):
    monkeypatch.setenv("SKLEARN_THIN_DATA", str(data_dir))
    X, y, z = modules("bench_dispel").tinted_digits(1000, 0.9, 0, 0)
    first, second = np.abs(X.reshape(1000, 2, -1)).mean(2).T  # the two channels
    assert np.mean((first > second) == (z == 0)) > 0.95
    assert np.mean(z == y % 2) == pytest.approx(0.9, abs=0.04)


def test_bench_leakage(run):
    small = ("--rows", "100", "--draws", "1", "--code-draws", "1", "--most", "100")
    nulls = ("rows", "through y", "habits", "cities", "roamers")
    printed = run("bench_leakage.py", *small, "--nulls", *nulls)
    coverage, codes, levels, seconds = printed.strip().split("\n\n")
    assert [len(cells(coverage, name)) for name in nulls] == [10] * 5
    assert cells(codes, "copy")[4] == "1.00 (1)"
    assert len(codes.splitlines()) == 9
    assert [len(cells(levels, name)) for name in ("rows", "groups")] == [6, 6]
    assert seconds.startswith("100 rows, 64 columns: ")


def test_splince_erases_z_and_keeps_the_covariance_with_y(modules):
    random = np.random.RandomState(0)
    y = random.randint(3, size=500)
    z = np.where(random.uniform(size=500) < 0.8, y % 2, 1 - y % 2)
    h = random.normal(size=(500, 6)) + 2 * np.eye(6)[y] + np.eye(6)[3 + z]
    labels = [torch.from_numpy(np.eye(size)[codes]) for size, codes in ((2, z), (3, y))]
    h = torch.from_numpy(h)
    projection = modules("bench_dispel").ObliqueProjection(6, 2).double()
    before = torch.cov(torch.cat([h, *labels], 1).T)[:6, 6:]
    projection.refit([(h, torch.cat(labels, 1))])
    after = torch.cov(torch.cat([projection(h), *labels], 1).T)[:6, 6:]
    assert after[:, :2].abs().max() < 1e-10
    torch.testing.assert_close(after[:, 2:], before[:, 2:])


def test_peers_resume_and_compare_thin_with_its_rivals(run, tmp_path):
    results = tmp_path / "peers.jsonl"
    few = ("--rows", "240", "--epochs", "1", "--draws", "2", "--sets", "make_sites")
    models = ("THIN", "THIN, five seeds", "FiLM", "regression, interactions")
    options = (*few, "--results", str(results), "--contenders", *models)
    printed = run("peers.py", *options)
    before = results.read_text()
    # draws, and columns; five seeds have no search
    assert before.count("\n") == 2 * (2 * len(models) - 1)
    ours = [line for line in printed.splitlines() if line.startswith("| make_sites | THIN")]
    rows = [line.removeprefix("| ").split(" | ") for line in ours]
    assert [row[1] for row in rows] == ["THIN", "THIN, tuned", "THIN, five seeds"]
    assert all(" of 2" in row[3] for row in rows)
    for model in models:
        n_tables = 2 if model == "THIN, five seeds" else 3
        assert sum(line.startswith(f"| {model} |") for line in printed.splitlines()) == n_tables
    # the seconds of each fit are the same to the last digit: nothing ran again
    assert run("peers.py", *options) == printed
    assert results.read_text() == before
    results.write_text("".join(before.splitlines(keepends=True)[1:]))
    run("peers.py", *options)
    assert results.read_text().count("\n") == before.count("\n")


def test_peers_take_no_model_of_thin_as_its_rival(modules):
    accuracies = {"THIN": 97.0, "THIN, five seeds": 98.0, "FiLM": 96.0, "boosting": 90.0}
    results = {
        ("heart_sites", 0, model, "default"): {"accuracy": accuracy}
        for model, accuracy in accuracies.items()
    }
    scores = modules("peers").Scores(results, "heart_sites", "accuracy")
    assert scores.best_rival([0]) == ("FiLM", "default")
    ratio, _ = scores.ratio("THIN, five seeds", "default")
    assert ratio == "0.50, below in 1 of 1, best"


@pytest.mark.parametrize(
    ("more", "word"),
    [([-1.0, 0.5], ", best"), ([2.0, -1.0, 1.0], ", level"), ([0.9, 1.0, 1.1], ""), ([0.1], "")],
)
def test_peers_call_a_model_level_within_a_standard_error(modules, more, word):
    assert modules("peers").standing(np.array(more)) == word


def test_group_dro_trains_by_default(modules):
    frame, y, train, *_ = modules("peers").load("make_sites", 0, 240)
    model = modules("_peers").CONTENDERS["group DRO"].make(0).fit(frame.iloc[train], y[train])
    assert model.network_.n_iter_ == 50


def test_bench_pairs(run, data_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("SKLEARN_THIN_DATA", str(data_dir))
    figure = tmp_path / "pairs.png"
    printed = run("bench_pairs.py", "--draws", "1", "--epochs", "1", "--figure", str(figure))
    assert "2,400 pairs" in printed
    assert len(cells(printed, "classifier, erasure")) == 3
    assert is_png(figure)


def test_bench_advice_resumes(run, tmp_path):
    results = tmp_path / "advice.jsonl"
    options = ("--draws", "2", "--cases", "z equals y", "--results", str(results))
    printed = run("bench_advice.py", *options)
    assert cells(printed, "z equals y")[3:5] == ["refused 2", "0"]
    before = results.read_text()
    results.write_text(before.splitlines(keepends=True)[0])
    assert run("bench_advice.py", *options) == printed
    assert results.read_text().count("\n") == before.count("\n") == 2


def test_choose_default_resumes_and_compares_candidates(run, tmp_path):
    results = tmp_path / "choice.jsonl"
    few = ("--rows", "240", "--epochs", "1", "--draws", "2", "--sets", "make_sites")
    labels = ("default", "decay 0.003, dropout 0.35", "smoothing 16", "five seeds")
    options = (*few, "--results", str(results), "--candidates", *labels)
    printed = run("choose_default.py", *options)
    before = results.read_text()
    assert before.count("\n") == 2 * len(labels)
    assert printed.count(" ± ") == 3 * 3  # errors, log-losses and seconds of three candidates
    assert printed.count("points below the oracle") == len(labels)
    assert run("choose_default.py", *options) == printed
    assert results.read_text() == before


def test_choose_default_holds_out_cycles_of_new_people(modules, data_dir, monkeypatch):
    monkeypatch.setenv("SKLEARN_THIN_DATA", str(data_dir))
    frame, _, train, held_out, _ = modules("choose_default").rows_of("emg_gestures, 3 %", 22)
    assert not set(train) & set(held_out)
    people = frame["nuisance"].astype(str)
    assert people.iloc[held_out].nunique() == 18
    assert set(people.iloc[held_out]) <= set(people.iloc[train])


@pytest.mark.parametrize("half", ["A", "B"])
def test_choose_default_holds_out_later_sessions_of_half_of_the_people(
    half, modules, data_dir, monkeypatch
):
    monkeypatch.setenv("SKLEARN_THIN_DATA", str(data_dir))
    module = modules("choose_default")
    frame, _, train, held_out, _ = module.rows_of(f"emg_gestures, 3 %, half {half}", 22)
    person, data = frame["nuisance"].astype(str), module.emg()[0]
    assert data.train[train].all()
    assert not data.train[held_out].any()
    assert person.iloc[held_out].nunique() == 9
    others = module.rows_of("emg_gestures, 3 %, half " + "AB".replace(half, ""), 22)[3]
    assert not set(person.iloc[others]) & (set(person.iloc[held_out]) | set(person.iloc[train]))


def test_choose_default_weighs_rows_by_the_size_of_their_level(modules):
    class Model:
        def fit(self, frame, y, sample_weight):
            return sample_weight

    module = modules("choose_default")
    frame = module.frame_of(np.zeros((4, 1)), ["a", "b", "a", "a"])
    weight = module.Weighed(Model(), 1).fit(frame, np.arange(4))
    assert weight.tolist() == [1 / 4, 1 / 2, 1 / 4, 1 / 4]


def test_choose_default_draws_sites_of_many_and_few_rows(modules):
    frame, _, train, held_out, oracle = modules("choose_default").rows_of("make_sites, uneven", 22)
    counts = frame["nuisance"].iloc[train].value_counts()
    assert counts.max() > 50 * counts.min() > 0
    assert not set(train) & set(held_out)
    assert 0 < oracle < 50


def test_bench_turns(run, data_dir):
    small = ("--rows", "60", "--held-out", "60", "--epochs", "1", "--seeds", "2", "--rounds", "2")
    printed = run("bench_turns.py", *small)
    for side in ("h_endo", "regression", "predict_proba"):
        for turn in (1, 2):
            errors = cells(printed, f"round {turn}: {side}")[1:]
            assert len(errors) == 2
            assert all(0 < float(error.split(" ± ")[0]) <= 100 for error in errors)
    assert cells(printed, "round 0: plain encoders")[1:] != cells(printed, "oracle")[1:]


def test_bench_upright(run):
    printed = run("bench_upright.py", "--seeds", "2", "--epochs", "1", "--copies", "1")
    assert printed.count("| encoder |") == printed.count("| given bin |") == 2
    *_, true = cells(printed.partition("\n\n")[0], "given bin")
    assert true.strip() == "0.0 ± 0.0"  # the plain prediction


def test_bench_default(run):
    printed = run("bench_default.py", "--rounds", "1", "--rows", "150")
    assert [line.split()[0] for line in printed.splitlines()[-2:]] == ["hard", "easy"]
    printed = run("bench_default.py", "--rounds", "1", "--rows", "150", "--equal")
    assert [line.split()[0] for line in printed.splitlines()[-2:]] == ["hard", "easy"]


def test_bench_predict(run):
    printed = run("bench_predict.py", "--rounds", "1", "--rows", "256")
    assert "to 'bare'" in printed
    assert "skorch" in printed
    small = ("--rounds", "1", "--rows", "64", "--seeds", "2", "--epochs", "2")
    printed = run("bench_predict.py", "--inference", *small)
    for n_experts in (8, 64, 512):
        figures = printed.split(f"L = {n_experts} ")[1].splitlines()[0]
        assert figures.count("±") == 2


def test_bench_checkpoints(run):
    printed = run("bench_checkpoints.py", "--rounds", "1", "--width", "64", "--mebibytes", "1")
    assert printed.count("| 10 |") == 3
    assert "gigabyte of rows" in printed


@pytest.mark.long  # makes five ONNX graphs
def test_bench_row(run):
    pytest.importorskip("onnxruntime")
    printed = run("bench_row.py", "--rounds", "1", "--calls", "1")
    assert printed.count(" estimator ") == 6
    assert printed.count(" numpy ") == printed.count(" torch, 128 ") == 5
    assert printed.count(" networks ") == 5


@pytest.mark.parametrize("script", ["bench_fit.py", "bench_predict.py"])
def test_growth_is_printed_beside_the_floor(run, script):
    printed = run(script, "--rounds", "1", "--grow")
    for last in ("32,000 rows", "L = 64", "depth 8"):
        ratio, to_floor = map(float, printed.split(last)[1].split()[:2])
        assert ratio > 0
        assert to_floor > 1


def test_bench_search(modules):  # which forgets the modules of the script
    folds = {"N_FOLDS = 5": "N_FOLDS = 2"}
    run = partial(run_script, BENCHMARKS / "bench_search.py", smaller=folds)
    small = ("--epochs", "1", "--width", "4", "--batch-size", "512")
    few = ("--rounds", "1", "--jobs", "1", "--candidates", "16")
    printed = run(*few, *small)
    assert "GridSearchCV(n_jobs=1)" in printed
    assert "largest difference of a fold's accuracy" in printed
    assert 0 < float(printed.split("floor as a multiple")[1].split()[-1]) < 1
    printed = run("--candidates", "16", "--profile", *small)
    shares = re.findall(r"^ {4}\S.* (\d+\.\d)$", printed, re.MULTILINE)
    assert sum(map(float, shares[:8])) == pytest.approx(100, abs=1)
    printed = run("--ensemble", "--rounds", "2", *small)
    assert "20 seeds" in printed
    assert "GridSearchCV" not in printed
    printed = run(*few, "--grid", "mixed", *small)
    assert "16 candidates x 2 folds" in printed
    halved = ("--rounds", "1", "--halved", "10", "--epochs", "3", *small[2:])
    printed = run("--halving", *halved)
    assert "epochs [1, 3] for [10, 4] candidates" in printed
    assert "the halving's candidate in the grid" in printed


def test_bench_padding(run):
    assert "products" in run("bench_padding.py", "--rounds", "1", "--networks", "1", "3")


def test_bench_refit(run):
    small = ("--rows", "100", "--epochs", "1", "--draws", "0")
    printed = run("bench_refit.py", "--sets", "digits by ink", *small)
    line = next(line for line in printed.splitlines() if line.startswith("digits by ink: 100, 500"))
    best, ensemble, ratio = (float(cell.split("±")[0]) for cell in line.split(" | ")[1:4])
    assert ratio == pytest.approx(ensemble / best, abs=1e-3)


def test_bench_import(run):
    assert "sklearn_thin beyond them" in run("bench_import.py", "--rounds", "1")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_bench_memory():
    small = ("--images", "500", "--gigabytes", "0.01", "--memmaps", "gate on h_exo")
    done = start("bench_memory.py", *small)
    assert done.returncode == 0, done.stderr
    for case in ("500 uint8 images", "0.01 GB memmap, gate on h_exo"):
        for method in ("fit", "predict_proba"):
            figures = map(float, done.stdout.split(f"{case}, {method}")[1].split()[:3])
            assert all(figure >= 0 for figure in figures)


def test_bench_structure(run):
    printed = run("bench_structure.py", "--verbose")
    for name in ("THINClassifier.fit", "StackedGridSearchCV.fit", "MLPClassifier.predict_proba"):
        block = printed.split(f"\n{name} ")[1].splitlines()
        files, functions = map(int, block[0].split())
        listed = []
        for line in block[1:]:
            if not line.startswith("  "):
                break
            listed.append(tuple(line.split()))
        assert len(set(listed)) == len(listed) == functions
        assert len({file for file, _ in listed}) == files
        first = [function for _, function in listed[:3]]  # behind what surrounds a call
        assert any(function.endswith(name[name.index(".") :]) for function in first)


# ------------------------------------------------------------------------------ paper


def test_a_command_without_data_names_the_option_before_work_starts(run, monkeypatch):
    monkeypatch.setenv("SKLEARN_THIN_DATA", "")
    with pytest.raises(SystemExit, match="--data"):
        run("paper/table1.py")


def test_table1(paper):
    printed, figures = paper("table1", "--test-rows", "300")
    names = [
        f"{angles}, {interpolation}, {images}"
        for angles in ("continuous", "discrete")
        for interpolation in ("bilinear", "nearest")
        for images in ("own images", "free labels")
    ]
    assert list(figures["runs"]) == names
    for name in names:
        own, (_, exact, number, ratio, *_) = "own" in name, cells(printed, name)
        assert number == ("98.32" if own else "")
        assert own == (ratio == "")
        each = scores(figures["runs"][name])
        assert exact == f"{np.mean(each):.2f} ± {np.std(each, ddof=1):.2f}"
        for result in figures["runs"][name]:
            assert result["accuracy"] <= result["within one bin"] <= 100


def test_mnist_r_resumes_and_table2_stands_on_its_runs(paper):
    less = ("--seeds", "1", "--test-rows", "200")
    printed, before = paper("mnist_r", *less)
    assert cells(printed, "encoder, free labels (exact bin)")[3] == ""
    assert cells(printed, "THIN")[2] == "98.26"
    # the seconds of each fit are the same to the last digit: nothing ran again
    assert paper("mnist_r", *less)[1] == before
    printed, figures = paper("table2", *less, "--datasets", "mnist_r")
    now = figures["runs"]["mnist_r"]
    shared = now.keys() & before["runs"].keys()
    assert {"baseline", "THIN", "oracle"} <= shared
    assert all(now[name] == before["runs"][name] for name in shared)
    assert cells(printed, "THIN, as in the paper")[2] == "98.26"
    assert cells(printed, "simple ensemble")[2] == ""


def test_table2_may_have_discrete_angles(paper):
    gate = ("--models", "exogenous gate, shared layer")
    options = ("--test-rows", "200", "--datasets", "mnist_r", *gate, "--angles")
    continuous, discrete = (
        paper("table2", *options, angles)[1]["runs"]["mnist_r"]["encoder, free labels"]
        for angles in ("continuous", "discrete")
    )
    assert scores(continuous) != scores(discrete)


def test_table2_may_train_the_baseline_on_the_images_of_the_encoder(paper):
    models = ("baseline, other draws", "oracle, other draws")
    options = ("--test-rows", "200", "--datasets", "mnist_r", "--epochs", "2", "--models", *models)
    printed, figures = paper("table2", *options, "--against", "baseline, other draws")
    runs = figures["runs"]["mnist_r"]
    assert runs["baseline"] != runs["baseline, other draws"]
    assert runs["baseline"][0]["parameters"] == runs["baseline, other draws"][0]["parameters"]
    assert "error to baseline, other draws's" in printed
    assert cells(printed, "baseline, other draws")[3] == "1.00"


def test_table2_has_every_architecture_on_sprites(paper):
    printed, figures = paper(
        "table2", "--seeds", "1", "--test-rows", "200", "--datasets", "sprites"
    )
    runs = figures["runs"]["sprites"]
    assert len(runs) == 20
    for name, results in runs.items():
        assert all(0 <= score <= 100 for score in scores(results))
        assert cells(printed, name)[2] == ""  # the paper's numbers are on MNIST-R
    sizes = {name: results[0]["parameters"] for name, results in runs.items()}
    gate, encoder = sizes["exogenous gate, shared layer"], sizes["encoder, free labels"]
    assert sizes.pop("baseline, as large as gate and encoder") >= gate + encoder
    # about as large: experts share the hidden units, whatever their number
    del sizes["encoder alone, free labels"]  # which is no THIN, and reads no image
    assert np.abs(np.array(list(sizes.values())) / sizes["baseline"] - 1).max() < 0.06


def test_table2_gates_sprites_by_another_variable(paper):
    models = ("oracle", "exogenous gate, shared layer")
    options = ("--test-rows", "200", "--datasets", "sprites", "--models", *models, "--by")
    by = {name: paper("table2", *options, name) for name in ("scale", "orientation", "tilt")}
    runs = [figures["runs"]["sprites"] for _, figures in by.values()]
    for by_variable in runs:
        assert by_variable["baseline"] == runs[0]["baseline"]  # which reads none of them
    for row in ("encoder, free labels", *models):
        first, second, third = (scores(by_variable[row]) for by_variable in runs)
        assert first != second != third
    assert "Sprites, by orientation" in by["orientation"][0]


def test_confusions_count_every_pair_of_digits_in_both_directions(paper):
    printed, figures = paper("confusions", "--test-rows", "300")
    gate, oracle = (np.array(matrices) for matrices in figures["runs"].values())
    assert gate.shape == oracle.shape == (2, 10, 10)
    assert (gate.sum((1, 2)) == 300).all()
    per_seed = gate[:, 6, 9] + gate[:, 9, 6]
    assert cells(printed, "6 and 9")[1].startswith(f"{per_seed.mean():.1f} ±")
    wrong = 300 - gate.diagonal(axis1=1, axis2=2).sum(1)
    assert cells(printed, "all pairs")[1].startswith(f"{wrong.mean():.1f} ±")


def test_choices_are_made_on_training_digits_alone(paper, modules, data_dir):
    printed, _ = paper("choose", "--seeds", "1", "--test-rows", "200")
    assert len(cells(printed, "oracle, dropout")) == 7
    data = modules("_data")
    train, held_out = (data.mnist_r_choice(str(data_dir), part) for part in (True, False))
    assert (len(train.y), len(held_out.y)) == (50_000, 10_000)
    every = data.mnist_r(str(data_dir), True)
    whole = np.concatenate([held_out.X, train.X]).reshape(60_000, -1).sum(1, dtype=np.int64)
    expected = every.X.reshape(60_000, -1).sum(1, dtype=np.int64)
    np.testing.assert_array_equal(np.sort(whole), np.sort(expected))


def test_a_longer_encoder_and_a_modulated_layer_are_chosen_in_stacks(paper):
    names = [
        f"exogenous gate, {kind}"
        for kind in ("scale and shift", "modulated layer", "modulated layer, long encoder")
    ]
    options = ("--stack", "--test-rows", "200", "--models", *names)
    printed, figures = paper("choose", *options)
    runs = figures["runs"]
    short, long = (scores(runs[f"encoder, free labels{more}"]) for more in ("", ", long"))
    assert np.mean(long) > np.mean(short)
    assert len(cells(printed, names[2])) == 7
    sizes = [runs[name][0]["parameters"] for name in names]
    assert sizes[0] < sizes[1] == sizes[2] == pytest.approx(206_586, rel=0.03)


def test_seeds_of_a_stack_are_single_fits(modules, data_dir):
    build, data, models = modules("_build"), modules("_data"), modules("_models")
    setting = data.Setting("mnist_r_choice", str(data_dir), 1, 1, 300, device="cpu")
    model = models.MODELS["exogenous gate, modulated layer"]
    alone, _ = build.fit(model, setting)
    stacked, _ = build.fit(model, replace(setting, stack=2))
    assert stacked.random_state == 1
    X = data.part_of(setting, True, 300).X
    for one, other in ((alone, stacked), (alone.exogenous_, stacked.exogenous_)):
        ours, theirs = (fitted.predict_proba(X) for fitted in (one, other))
        np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_choices_about_sprites_are_made_on_other_draws_than_the_test(paper, modules, data_dir):
    small = ("--dataset", "sprites", "--seeds", "1", "--test-rows", "200")
    printed, figures = paper("choose", *small, "--models", "exogenous gate, two leaves")
    assert "Sprites, by scale, other draws" in printed
    rows = {"encoder, free labels", "baseline", "exogenous gate, two leaves"}
    assert set(figures["runs"]) == rows
    data = modules("_data")
    scored, test = (
        data.load(dataset, str(data_dir), False, 500) for dataset in ("sprites_choice", "sprites")
    )
    assert (scored.X[:500] != test.X).any((1, 2)).mean() > 0.9


def test_sprites_that_training_has_seen_may_be_left_out_of_the_score(paper, modules):
    options = ("--rows", "3000", "--seeds", "1", "--datasets", "sprites", "--models", "baseline")
    printed, figures = paper("table2", *options, "--unseen")
    data = modules("_data")
    setting = data.Setting("sprites", epochs=1, rows=3000, unseen=True)
    left, whole = data.scored_part(setting).X, data.part_of(setting, False).X
    assert f"{len(left):,} test images" in printed
    assert 9000 < len(left) < len(whole) == 10_000
    more = data.more_sprites(None, 1, 3000).X
    trained = np.concatenate([data.part_of(setting, True, 3000).X, more])
    assert not set(map(bytes, left)) & set(map(bytes, trained))
    _, others = paper("table2", *options)
    unseen, whole = (runs["runs"]["sprites"]["baseline"] for runs in (figures, others))
    assert scores(unseen) != scores(whole)


def test_a_sprites_tilt_is_its_orientation_within_a_quarter_turn(modules):
    drawn = make_sprites(2000, random_state=0)
    z = modules("_data").draw_sprites(2000, 0).z
    np.testing.assert_allclose(40 * drawn.orientations / (2 * np.pi), z["orientation"])
    np.testing.assert_array_equal(z["orientation"] % 10, z["tilt"])


def test_table3_gates_by_each_variable_and_by_two(paper):
    printed, figures = paper("table3", "--test-rows", "300")
    sizes = {name: results[0]["parameters"] for name, results in figures["runs"].items()}
    # seven nodes that read 10 digits or scales, 18 rotations, or 28 of both
    assert sizes["gate by digit"] == sizes["gate by scale"]
    assert sizes["gate by rotation"] - sizes["gate by scale"] == 7 * 8
    assert sizes["gate by rotation + scale"] - sizes["gate by rotation"] == 7 * 10
    assert cells(printed, "THIN by rotation + scale")[3] != ""
    assert cells(printed, "encoder of the scale")[3] == ""


def test_dispelling_and_figure4_share_their_runs(paper, tmp_path):
    rows = ("--rows", "100", "--test-rows", "300", "--seeds", "1")
    printed, figures = paper("dispelling", *rows)
    dispelled = figures["runs"]
    gate = cells(printed, "exogenous gate, λ = 0")
    assert [gate[6], gate[8]] == ["0.0 ± nan"] * 2  # one seed
    assert cells(printed, "cosine, λ = 0.005")[2] == "98.26"
    for results in dispelled.values():
        for result in results:
            assert 0 <= result["cosine"] <= 1
            assert set(result["leakage"]) == {"linear", "mlp"}
    freer = ("--models", "erasure", "--probe-c", "10")
    _, freer = paper("dispelling", *rows, *freer)
    (one, other) = (figures["runs"]["erasure"][0]["leakage"] for figures in (figures, freer))
    assert one["linear"] != other["linear"]
    assert one["mlp"] == other["mlp"]
    printed, chosen = paper("dispelling", *rows, "--models", "erasure", "--choose")
    assert "held-out training digits" in printed
    assert chosen["runs"]["erasure"][0]["accuracy"] != dispelled["erasure"][0]["accuracy"]
    png = tmp_path / "figure4.png"
    lambdas = ("--lambdas", "0", "0.005", "--figure", str(png))
    printed, figures = paper("figure4", *rows, *lambdas)
    assert is_png(png)
    assert figures["runs"] == {
        "baseline": dispelled["baseline"],
        "0": dispelled["exogenous gate, λ = 0"],
        "0.005": dispelled["cosine, λ = 0.005"],
    }
    assert cells(printed, "0")[4] == ""  # without the term the training has no cosine
    assert cells(printed, "0.005")[4] != ""


def test_table4_and_figure5_share_their_runs(paper, tmp_path):
    size = ("--side", "32", "--test-rows", "400")
    printed, figures = paper("table4", *size)
    assert "400 test images" in printed
    for name in ("identity gate", "identity gate on h_exo", "THIN", "THIN, balanced"):
        assert len(figures["runs"][name]) == 2
    assert cells(printed, "baseline, balanced")[3] == "1.00"  # against itself
    png = tmp_path / "figure5.png"
    printed, drawn = paper("figure5", *size, "--figure", str(png))
    assert is_png(png)
    assert all(sum(weights) == pytest.approx(1, abs=1e-4) for weights in drawn["mean_weights"])
    assert all(0 <= share <= 100 for shares in drawn["same_leaf"] for share in shares)


def test_table4_tests_whether_the_identity_is_the_cause(paper, modules, data_dir):
    size = ("--side", "32", "--rows", "600", "--test-rows", "400")
    models = ("--models", "THIN", "THIN, shuffled people")
    printed, figures = paper("table4", *size, "--redraw", "--pairs", *models)
    assert "baseline, balanced" not in figures["runs"]
    assert len(cells(printed, "encoder, shuffled labels")) == 4
    pixels = [pairs["pixels"] for pairs in figures["runs"]["own images"]]
    assert pixels[0] != pixels[1]  # other people
    printed, _ = paper("table4", *size, "--known", "--models", "oracle, shared layer")
    assert cells(printed, "oracle, shared layer")[3] != ""
    data = modules("_data")
    train, test = (data.known_people(str(data_dir), part, side=32) for part in (True, False))
    assert set(train.z["subject"]) == set(test.z["subject"]) == set(range(156))
    assert not set(map(bytes, train.X)) & set(map(bytes, test.X))


def test_shuffled_labels_are_those_of_other_images(data_dir, modules):
    data = modules("_data")
    setting = data.Setting("expressions", str(data_dir), options={"side": 32, "choose": False})
    (own, _), (shuffled, _) = (
        data.encoder_part(setting, kind) for kind in (data.OWN, data.SHUFFLED)
    )
    np.testing.assert_array_equal(own.X, shuffled.X)
    people, drawn = own.z["subject"], shuffled.z["subject"]
    np.testing.assert_array_equal(np.sort(people), np.sort(drawn))
    assert np.mean(people == drawn) < 0.1


def test_table4_gates_by_a_pretrained_network_on_demand(paper):
    pytest.importorskip("dlib", reason="needs sklearn-thin[faces]")
    name = "pretrained identity gate, balanced"
    size = ("--rows", "60", "--test-rows", "40", "--seeds", "1", "--side", "32")
    printed, figures = paper("table4", *size, "--models", name)
    baseline = figures["runs"]["baseline, balanced"][0]["parameters"]
    # seven nodes read 128 numbers; the backbone sees the images at half their size
    assert figures["runs"][name][0]["parameters"] == pytest.approx(baseline, rel=0.1)
    assert cells(printed, name)[3] != ""


def test_expressions_are_chosen_on_people_of_the_training_part(data_dir, modules):
    data = modules("_data")
    split, subject = data.expressions_split(str(data_dir), False)
    inner, _ = data.expressions_split(str(data_dir), True)
    assert set(inner["train"]) | set(inner["test"]) == set(split["train"])
    people = {name: set(subject[rows]) for name, rows in split.items()}
    chosen = {name: set(subject[rows]) for name, rows in inner.items()}
    assert not people["test"] & (people["train"] | people["encoder"])
    assert not chosen["test"] & (chosen["train"] | chosen["encoder"])
    assert len(inner["test"]) > 1500
    # two people of the file are on one photograph
    faces = data.load_expressions(data_dir)
    assert all(subject[first] == subject[row] for first, row in faces.repeated)


def test_shrunk_is_the_mean_over_squares_of_pixels(modules):
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    means = modules("_data").shrunk(images, 2)
    assert means.dtype == np.uint8
    np.testing.assert_array_equal(means[0], np.rint([[2.5, 4.5], [10.5, 12.5]]))


def test_encoders_see_as_many_images_whatever_their_labels_cost(modules):
    data = modules("_data")
    for epochs, copies in ((12, 6), (4, 4), (14, 2)):
        setting = data.Setting("sprites", rows=50, epochs=epochs)
        part, n_copies = data.encoder_part(setting, data.FREE)
        assert n_copies == copies
        assert part.X.shape == (50 * copies, 32, 32)
    own, n_copies = data.encoder_part(setting, data.OWN)
    assert n_copies == 1
    np.testing.assert_array_equal(own.X, data.part_of(setting, True, 50).X)


def test_augmented_encoder_images_differ_and_leave_the_global_generator(data_dir, modules):
    data = modules("_data")
    options = {"side": 32, "choose": False}
    setting = data.Setting(
        "expressions", str(data_dir), epochs=3, rows=30, options=options, augment=True
    )
    state = torch.get_rng_state()
    part, n_copies = data.encoder_part(setting, data.OWN)
    assert torch.equal(torch.get_rng_state(), state)
    assert n_copies == 3
    assert part.X.shape == (90, 32, 32)
    assert (part.z["subject"][:30] == part.z["subject"][60:]).all()
    assert (part.X[:30] != part.X[30:60]).any(axis=(1, 2)).all()
    again, _ = data.encoder_part(setting, data.OWN)
    np.testing.assert_array_equal(again.X, part.X)


def test_models_that_are_equal_run_once(modules):
    models, data, build = modules("_models"), modules("_data"), modules("_build")
    gate, cosine = (
        models.MODELS[name] for name in ("exogenous gate, shared layer", "THIN, cosine")
    )
    assert cosine.with_lam(0) == gate
    assert cosine.with_lam(0.1) == gate.with_params(lam=0.1)
    assert gate.with_lam(0.1) == gate
    setting = data.Setting("sprites_choice", test_rows=9, unseen=True)
    assert setting.for_training() == data.Setting("sprites")
    by_tilt = data.Setting("sprites", variables=("tilt",))
    baseline = models.MODELS["baseline"]
    assert build.read_by(baseline, by_tilt) == build.read_by(baseline, setting.for_training())
    assert build.read_by(gate, by_tilt) != build.read_by(gate, setting.for_training())
