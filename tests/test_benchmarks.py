"""The benchmarks run, at a size that takes seconds."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_thin.datasets import make_sprites

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = ("--rows", "300", "--epochs", "1", "--seeds", "2")


def run(script, *arguments, **environment):
    """What the script prints, run on one thread."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mnist_r_prints_every_model_writes_json_and_resumes(data_dir, tmp_path):
    file = tmp_path / "figures.json"
    small = [*SMALL, "--test-rows", "300", "--json", str(file)]
    cache = {"SKLEARN_THIN_CACHE": str(tmp_path / "runs")}
    printed = run("mnist_r.py", "--data", str(data_dir), *small, **cache)
    figures = json.loads(file.read_text())
    for model in ("encoder, free labels (exact bin)", "baseline", "THIN", "oracle"):
        assert model in printed
        assert len(figures["runs"][model]) == 2
        assert all(0 < seed["accuracy"] <= 100 for seed in figures["runs"][model])
    # the seconds of each fit are the same to the last digit: nothing was run again
    run("mnist_r.py", "--data", str(data_dir), *small, **cache)
    assert json.loads(file.read_text()) == figures


def test_bench_fit_prints_ratios_of_every_case_beside_its_peers():
    printed = run("bench_fit.py", "--rounds", "1", "--rows", "64", "--epochs", "1")
    assert printed.count("to 'hand'") == printed.count("to 'skorch'") == 2
    assert "MLPClassifier" in printed


def test_bench_predict_prints_ratios_beside_plain_skorch():
    printed = run("bench_predict.py", "--rounds", "1", "--rows", "256")
    assert "to 'bare'" in printed
    assert "skorch" in printed


@pytest.mark.parametrize("script", ["bench_fit.py", "bench_predict.py"])
def test_growth_is_printed_beside_the_floor(script):
    printed = run(script, "--rounds", "1", "--grow")
    for last in ("32,000 rows", "L = 64", "depth 8"):
        ratio, to_floor = map(float, printed.split(last)[1].split()[:2])
        assert ratio > 0
        assert to_floor > 1


def test_bench_import_prints_what_the_package_adds():
    assert "sklearn_thin beyond them" in run("bench_import.py", "--rounds", "1")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_bench_memory_prints_both_peaks_of_every_case():
    printed = run("bench_memory.py", "--images", "500", "--gigabytes", "0.01")
    memmaps = ("no gate", "gate", "gate on h_exo", "early stopping")
    for case in ("500 uint8 images", *(f"0.01 GB memmap, {name}" for name in memmaps)):
        for method in ("fit", "predict_proba"):
            figures = map(float, printed.split(f"{case}, {method}")[1].split()[:3])
            assert all(figure >= 0 for figure in figures)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++")
def test_bench_fit_compares_variants_of_both_loops():
    printed = run("bench_fit.py", "--variants", "--rounds", "1", "--rows", "64", "--epochs", "1")
    assert printed.count("compiled  ") == printed.count("channels first") == 2
    assert printed.count("ratios to 'thin'") == printed.count("ratios to 'hand'") == 2


def test_bench_predict_compares_kinds_of_inference():
    small = ("--rounds", "1", "--rows", "256", "--seeds", "2")
    printed = run("bench_predict.py", "--inference", *small)
    for n_experts in (8, 64, 512):
        figures = printed.split(f"L = {n_experts} ")[1].splitlines()[0]
        assert figures.count("±") == 2


def test_bench_search_times_ensembles():
    small = ("--rounds", "2", "--epochs", "1", "--width", "4", "--batch-size", "512")
    printed = run("bench_search.py", "--ensemble", *small)
    assert "20 seeds" in printed
    assert "GridSearchCV" not in printed


def test_bench_search_prints_ratios_and_compares_results():
    small = ("--rounds", "1", "--epochs", "1", "--width", "4", "--batch-size", "512")
    printed = run("bench_search.py", *small)
    assert "GridSearchCV(n_jobs=2)" in printed
    assert "largest difference of a fold's accuracy" in printed


# ----------------------------------------------------------------------- paper/


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Folder of the runs that the tests below share, as the commands do."""
    return str(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def paper(data_dir, cache, tmp_path):
    """Run a command of benchmarks/paper: what it printed, and the figures of its JSON file."""

    def call(command, *arguments):
        file = tmp_path / f"{command}.json"
        data = ("--data", str(data_dir), "--json", str(file))
        script = f"paper/{command}.py"
        printed = run(script, *SMALL, *data, *arguments, SKLEARN_THIN_CACHE=cache)
        return printed, json.loads(file.read_text())

    return call


@pytest.fixture(scope="module")
def paper_module(cache):
    """Import a module of benchmarks/paper, and forget it afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_THIN_CACHE", cache)
        patch.setattr(sys, "path", [str(BENCHMARKS / "paper"), *sys.path])
        yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def cells(printed, row):
    """What the table says in the row of this name."""
    (line,) = [line for line in printed.splitlines() if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def is_png(file):
    return file.read_bytes().startswith(b"\x89PNG")


def test_table1_has_every_setting_and_resumes(paper):
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
        scores = [result["accuracy"] for result in figures["runs"][name]]
        assert exact == f"{np.mean(scores):.2f} ± {np.std(scores, ddof=1):.2f}"
        for result in figures["runs"][name]:
            assert result["accuracy"] <= result["within one bin"] <= 100
    # the seconds of each fit are the same to the last digit: nothing was run again
    assert paper("table1", "--test-rows", "300")[1] == figures


def test_table2_on_mnist_r_stands_on_the_runs_of_mnist_r(paper, data_dir, cache, tmp_path):
    file = tmp_path / "mnist_r.json"
    less = ("--seeds", "1", "--test-rows", "200")
    rest = ("--data", str(data_dir), "--json", str(file))
    run("mnist_r.py", *SMALL, *less, *rest, SKLEARN_THIN_CACHE=cache)
    printed, figures = paper("table2", *less, "--datasets", "mnist_r")
    before, now = json.loads(file.read_text())["runs"], figures["runs"]["mnist_r"]
    shared = now.keys() & before.keys()
    assert {"baseline", "THIN", "oracle"} <= shared
    for name in shared:
        assert now[name] == before[name]  # to the last digit of the seconds
    assert cells(printed, "THIN, as in the paper")[2] == "98.26"
    assert cells(printed, "simple ensemble")[2] == ""


def test_confusions_count_every_pair_of_digits_in_both_directions(paper):
    printed, figures = paper("confusions", "--test-rows", "300")
    gate, oracle = (np.array(matrices) for matrices in figures["runs"].values())
    assert gate.shape == oracle.shape == (2, 10, 10)
    assert (gate.sum((1, 2)) == 300).all()
    per_seed = gate[:, 6, 9] + gate[:, 9, 6]
    assert cells(printed, "6 and 9")[1].startswith(f"{per_seed.mean():.1f} ±")
    wrong = 300 - gate.diagonal(axis1=1, axis2=2).sum(1)
    assert cells(printed, "all pairs")[1].startswith(f"{wrong.mean():.1f} ±")


def test_choices_are_made_on_training_digits_alone(paper, paper_module, data_dir):
    printed, figures = paper("choose", "--test-rows", "200")
    assert len(cells(printed, "oracle, dropout")) == 7
    assert len(figures["runs"]["exogenous gate, free labels, dropout"]) == 2
    data = paper_module("_data")
    train, held_out = (data.mnist_r_choice(str(data_dir), part) for part in (True, False))
    assert (len(train.y), len(held_out.y)) == (50_000, 10_000)
    every = data.mnist_r(str(data_dir), True)
    whole = np.concatenate([held_out.X, train.X]).reshape(60_000, -1).sum(1, dtype=np.int64)
    expected = every.X.reshape(60_000, -1).sum(1, dtype=np.int64)
    np.testing.assert_array_equal(np.sort(whole), np.sort(expected))


def test_choices_about_sprites_are_made_on_other_draws_than_the_test(paper, paper_module, data_dir):
    printed, figures = paper(
        "choose",
        "--dataset",
        "sprites",
        "--test-rows",
        "200",
        "--models",
        "exogenous gate, two leaves",
    )
    assert "Sprites, by scale, other draws" in printed
    assert set(figures["runs"]) == {
        *("encoder, free labels", "baseline", "exogenous gate, two leaves")
    }
    data = paper_module("_data")
    scored, test = (
        data.load(dataset, str(data_dir), False, 500) for dataset in ("sprites_choice", "sprites")
    )
    assert (scored.X[:500] != test.X).any((1, 2)).mean() > 0.9


def test_table2_may_have_discrete_angles(paper):
    models = ("oracle", "exogenous gate, shared layer")
    options = ("--test-rows", "200", "--datasets", "mnist_r", "--models", *models, "--angles")
    _, figures = paper("table2", *options, "discrete")
    _, others = paper("table2", *options, "continuous")
    encoders = (runs["runs"]["mnist_r"]["encoder, free labels"] for runs in (figures, others))
    discrete, continuous = ([run["accuracy"] for run in runs] for runs in encoders)
    assert discrete != continuous


def test_table2_has_every_architecture_on_sprites(paper):
    printed, figures = paper("table2", "--test-rows", "200", "--datasets", "sprites")
    runs = figures["runs"]["sprites"]
    assert len(runs) == 20
    for name, results in runs.items():
        assert len(results) == 2
        assert all(0 <= result["accuracy"] <= 100 for result in results)
        assert cells(printed, name)[2] == ""  # the paper's numbers are on MNIST-R
    sizes = {name: results[0]["parameters"] for name, results in runs.items()}
    gate, encoder = sizes["exogenous gate, shared layer"], sizes["encoder, free labels"]
    assert sizes.pop("baseline, as large as gate and encoder") >= gate + encoder
    # about as large: experts share the hidden units, whatever their number
    del sizes["encoder alone, free labels"]  # which is no THIN, and reads no image
    assert np.abs(np.array(list(sizes.values())) / sizes["baseline"] - 1).max() < 0.06


def test_sprites_that_training_has_seen_may_be_left_out_of_the_score(paper, paper_module):
    options = ("--rows", "3000", "--seeds", "1", "--datasets", "sprites", "--models", "baseline")
    printed, figures = paper("table2", *options, "--unseen")
    data = paper_module("_data")
    spec = {"dataset": "sprites", "data": None, "epochs": 1, "rows": 3000, "unseen": True}
    left, whole = data.scored_part(spec).X, data.part_of(spec, False).X
    assert f"{len(left):,} test images" in printed
    assert 9000 < len(left) < len(whole) == 10_000
    trained = np.concatenate([data.part_of(spec, True, 3000).X, data.more_sprites(None, 1, 3000).X])
    assert not set(map(bytes, left)) & set(map(bytes, trained))
    _, others = paper("table2", *options)
    scores = [runs["runs"]["sprites"]["baseline"][0]["accuracy"] for runs in (figures, others)]
    assert scores[0] != scores[1]


def test_the_baseline_may_learn_from_the_images_of_the_encoder(paper):
    models = ("baseline, other draws", "oracle, other draws")
    options = ("--test-rows", "200", "--datasets", "mnist_r", "--epochs", "2", "--models", *models)
    runs = paper("table2", *options)[1]["runs"]["mnist_r"]
    assert runs["baseline"] != runs["baseline, other draws"]
    printed, _ = paper("table2", *options, "--against", "baseline, other draws")
    assert "error to baseline, other draws's" in printed
    assert cells(printed, "baseline, other draws")[3] == "1.00"
    assert runs["baseline"][0]["parameters"] == runs["baseline, other draws"][0]["parameters"]


def test_a_command_without_data_names_the_option_before_work_starts():
    environment = {**os.environ, "SKLEARN_THIN_DATA": ""}
    command = [sys.executable, str(BENCHMARKS / "paper/table1.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "--data" in done.stderr


def test_sprites_may_be_gated_by_their_orientation(paper):
    models = ("oracle", "exogenous gate, shared layer")
    options = ("--test-rows", "200", "--datasets", "sprites", "--models", *models, "--by")
    by = {name: paper("table2", *options, name) for name in ("scale", "orientation", "tilt")}
    runs = {name: figures["runs"]["sprites"] for name, (_, figures) in by.items()}
    for by_variable in runs.values():
        assert by_variable["baseline"] == runs["scale"]["baseline"]  # which reads none of them
    for row in ("encoder, free labels", *models):
        scores = [[run["accuracy"] for run in by_variable[row]] for by_variable in runs.values()]
        assert scores[0] != scores[1] != scores[2]
    assert "Sprites, by orientation" in by["orientation"][0]


def test_a_sprites_tilt_is_its_orientation_within_a_quarter_turn(paper_module):
    drawn = make_sprites(2000, random_state=0)
    z = paper_module("_data").draw_sprites(2000, 0).z
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
    rows = ("--test-rows", "600")
    printed, figures = paper("dispelling", *rows)
    dispelled = figures["runs"]
    gate = cells(printed, "exogenous gate, λ = 0")
    assert [gate[6], gate[8]] == ["0.0 ± 0.0"] * 2
    assert cells(printed, "cosine, λ = 0.005")[2] == "98.26"
    for results in dispelled.values():
        for result in results:
            assert 0 <= result["cosine"] <= 1
            assert set(result["leakage"]) == {"linear", "mlp"}
    _, freer = paper("dispelling", *rows, "--models", "erasure", "--probe-c", "10")
    (one, other) = (figures["runs"]["erasure"][0]["leakage"] for figures in (figures, freer))
    assert one["linear"] != other["linear"]
    assert one["mlp"] == other["mlp"]
    printed, chosen = paper("dispelling", *rows, "--models", "erasure", "--choose", "--seeds", "1")
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


def test_table4_gates_by_a_pretrained_network_on_demand(paper):
    pytest.importorskip("dlib", reason="needs sklearn-thin[faces]")
    name = "pretrained identity gate, balanced"
    size = ("--rows", "150", "--test-rows", "80", "--seeds", "1", "--side", "32")
    printed, figures = paper("table4", *size, "--models", name)
    baseline = figures["runs"]["baseline, balanced"][0]["parameters"]
    # seven nodes read 128 numbers; the backbone sees the images at half their size
    assert figures["runs"][name][0]["parameters"] == pytest.approx(baseline, rel=0.1)
    assert cells(printed, name)[3] != ""
    assert "encoder" not in figures["runs"]  # nothing would read it


def test_expressions_are_chosen_on_people_of_the_training_part(data_dir, paper_module):
    data = paper_module("_data")
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


def test_shrunk_is_the_mean_over_squares_of_pixels(paper_module):
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    means = paper_module("_data").shrunk(images, 2)
    assert means.dtype == np.uint8
    np.testing.assert_array_equal(means[0], np.rint([[2.5, 4.5], [10.5, 12.5]]))


def test_encoders_see_as_many_images_whatever_their_labels_cost(paper_module):
    data = paper_module("_data")
    spec = {"dataset": "sprites", "data": None, "rows": 50, "seed": 0}
    for epochs, copies in ((12, 6), (4, 4), (14, 2)):
        part, n_copies = data.encoder_part({**spec, "epochs": epochs}, "free")
        assert n_copies == copies
        assert part.X.shape == (50 * copies, 32, 32)
    own, n_copies = data.encoder_part({**spec, "epochs": 12}, "paper")
    assert n_copies == 1
    np.testing.assert_array_equal(own.X, data.part_of(spec, True, 50).X)


def test_augmented_encoder_images_differ_and_leave_the_global_generator(data_dir, paper_module):
    data = paper_module("_data")
    options = {"side": 32, "choose": False}
    spec = {"dataset": "expressions", "data": str(data_dir), "rows": 30, "options": options}
    spec.update(seed=0, epochs=3, augment=True)
    state = torch.get_rng_state()
    part, n_copies = data.encoder_part(spec, "paper")
    assert torch.equal(torch.get_rng_state(), state)
    assert n_copies == 3
    assert part.X.shape == (90, 32, 32)
    assert (part.z["subject"][:30] == part.z["subject"][60:]).all()
    assert (part.X[:30] != part.X[30:60]).any(axis=(1, 2)).all()
    again, _ = data.encoder_part(spec, "paper")
    np.testing.assert_array_equal(again.X, part.X)


def test_models_that_come_to_the_same_are_run_once(paper_module):
    models = paper_module("_models")
    spec = {"lam": 0, "dataset": "mnist_r", "seed": 0, "test_rows": 9}
    gate = models.model_params(spec, "exogenous gate, shared layer")
    assert models.model_params(spec, "THIN, cosine") == gate
    assert models.model_params({**spec, "lam": 0.1}, "THIN, cosine") == {**gate, "lam": 0.1}
    assert models.training(spec) == models.training({**spec, "lam": 1, "test_rows": None})
