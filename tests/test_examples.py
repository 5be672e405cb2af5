"""The examples run as they stand, and leave the figure they promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_without_warnings_and_saves_its_figure(example, tmp_path):
    if example.stem == "plot_pretrained_identity" and not os.environ.get("SKLEARN_THIN_DATA"):
        pytest.skip("SKLEARN_THIN_DATA does not name a folder with the data sets")
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{example.stem}.png").stat().st_size > 10_000
