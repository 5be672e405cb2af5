"""The benchmarks run, at a size that takes seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


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
    small = ["--rows", "300", "--epochs", "1", "--seeds", "2", "--json", str(file)]
    cache = {"SKLEARN_THIN_CACHE": str(tmp_path / "runs")}
    printed = run("mnist_r.py", "--data", str(data_dir), *small, **cache)
    figures = json.loads(file.read_text())
    for model in ("encoder (exact bin)", "baseline", "exogenous gate", "THIN", "oracle"):
        assert model in printed
        assert len(figures["runs"][model]) == 2
        assert all(0 < seed["accuracy"] <= 100 for seed in figures["runs"][model])
    # the seconds of each fit are the same to the last digit: nothing was run again
    run("mnist_r.py", "--data", str(data_dir), *small, **cache)
    assert json.loads(file.read_text()) == figures


def test_bench_fit_prints_both_ratios_beside_plain_skorch():
    printed = run("bench_fit.py", "--rounds", "1", "--rows", "64", "--epochs", "1")
    assert "to 'hand'" in printed
    assert "to 'bare'" in printed
    assert printed.count("skorch") == 2
