"""The examples run, at a smaller size, and leave their figures; the README's snippet prints."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sklearn_thin.persistence import onnx_file
from tests.helpers import run_python, run_script

EXAMPLES = Path(__file__).parents[1] / "examples"
# Numbers that make an example slow, and smaller numbers that show that it works.
SMALLER = {
    "plot_dispelling": {"n_copies=4": "n_copies=1", '"max_epochs": 4': '"max_epochs": 1'},
    "plot_explain": {"n_copies=4": "n_copies=1", "max_epochs=5": "max_epochs=1"},
    "plot_frame": {"n_samples=2000": "n_samples=400", "max_epochs=10": "max_epochs=2"},
    "plot_known_or_recognised": {
        "range(3)": "range(2)",
        '"max_epochs": 30': '"max_epochs": 2',
        "train, 30": "train, 1",
    },
    "plot_new_person": {
        "(5, 10, 20, 40)": "(10, 40)",
        "range(30)": "range(10)",
        "range(3)": "range(2)",
        "max_epochs=12": "max_epochs=2",
    },
    "plot_nuisance": {'"max_epochs": 40': '"max_epochs": 10'},
    "plot_pareto": {"n_copies=2": "n_copies=1", "max_epochs=20": "max_epochs=2"},
    "plot_pretrained_identity": {
        "n_people=200": "n_people=20",
        "n_people=60": "n_people=20",
        "n_people=40": "n_people=20",
        "max_epochs=10": "max_epochs=2",
        "per_class=(70, 40)": "per_class=(6, 6)",
        "range(3)": "range(2)",
        '"max_epochs": 15': '"max_epochs": 3',
    },
    "plot_quickstart": {
        "range(3)": "range(2)",
        "n_copies=20": "n_copies=2",
        '"max_epochs": 20': '"max_epochs": 2',
    },
    "plot_search": {"n_copies=2": "n_copies=1", "max_epochs=20": "max_epochs=2"},
    "plot_serving": {"n_samples=2000": "n_samples=400", "[:200, None]": "[:5, None]"},
    "plot_sites": {"n_samples=8000": "n_samples=2000", "train_size=4000": "train_size=1000"},
    "plot_site_regression": {"max_epochs=40": "max_epochs=2", "days(6000)": "days(1000)"},
    "plot_training": {"EPOCHS = 30": "EPOCHS = 3"},
    "plot_tour": {
        "n_samples=6000": "n_samples=1000",
        "2000": "300",
        '"max_epochs": 15': '"max_epochs": 2',
    },
    "plot_tabular_gate": {
        "n_splits=5": "n_splits=2",
        "range(3)": "range(2)",
        '"max_epochs": 100': '"max_epochs": 10',
    },
}


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("plot_*.py")))
def test_example_runs_without_warnings_and_saves_its_figure(name, tmp_path, monkeypatch):
    if name == "plot_serving":
        pytest.importorskip("torch", onnx_file.TORCH)
        pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    run_script(EXAMPLES / f"{name}.py", smaller=SMALLER[name])
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_photographs_take_the_place_of_drawings(tmp_path, monkeypatch):
    for package in ("dlib", "face_recognition_models"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'sklearn-thin[faces]'")
    folder = os.environ.get("SKLEARN_THIN_DATA")
    if not folder:
        pytest.skip("SKLEARN_THIN_DATA does not name a folder with the data sets")
    monkeypatch.chdir(tmp_path)
    name = "plot_pretrained_identity"
    printed = run_script(EXAMPLES / f"{name}.py", folder, smaller=SMALLER[name])
    assert "training: 30 images" in printed  # six of each of five expressions


def test_one_machine_scales_out(tmp_path):
    for package in ("distributed", "accelerate"):
        pytest.importorskip(package)
    source = (EXAMPLES / "scale_out.py").read_text()
    assert "EPOCHS = 20" in source
    script = tmp_path / "scale_out.py"
    script.write_text(source.replace("EPOCHS = 20", "EPOCHS = 2"))
    done = run_python(script, PYTHONPATH=os.pathsep.join(sys.path))
    assert done.returncode == 0, done.stderr
    assert "search on dask: {'depth'" in done.stdout
    assert "one network, 2 processes: accuracy" in done.stdout


def test_the_snippet_of_the_readme_prints_what_stands_below_it(capsys):
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    snippet = re.search(r"```python\n(.*?)```", readme, re.DOTALL).group(1)
    exec(snippet, {})
    printed = capsys.readouterr().out.splitlines()
    promised = re.findall(r"^# (.* chance .*)$", snippet, re.MULTILINE)
    assert len(printed) == len(promised) == 3
    for line, expected in zip(printed, promised, strict=True):
        ours, theirs = (list(map(float, re.findall(r"\d\.\d+", text))) for text in (line, expected))
        assert ours == pytest.approx(theirs, abs=0.06)  # another processor may round otherwise
        assert re.sub(r"[\d. ]", "", line) == re.sub(r"[\d. ]", "", expected)
