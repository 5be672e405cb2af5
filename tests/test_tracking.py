"""The recipes of docs/tracking.md run."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sklearn_thin import load
from tests.helpers import small

PAGE = Path(__file__).parents[1] / "docs" / "tracking.md"


@pytest.fixture
def recipe(digits, tmp_path, monkeypatch):
    """Run the blocks below a heading, in a folder of their own: their names."""
    monkeypatch.chdir(tmp_path)
    X, _, y, z = digits
    names = {
        "THINClassifier": small,
        "GridSearchCV": GridSearchCV,
        "__name__": __name__,  # of classes
    }
    for name, array in {"X": X, "y": y, "z": z}.items():
        names |= {name: array[:300], f"{name}_test": array[300:500]}

    def call(heading):
        (section,) = re.findall(rf"## {heading}\n(.*?)(?=\n## |\Z)", PAGE.read_text(), re.DOTALL)
        for block in re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
            exec(block, names)
        return SimpleNamespace(**names)

    return call


def test_tensorboard(recipe, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    names = recipe("TensorBoard")
    events = EventAccumulator(str(tmp_path / "board")).Reload().Scalars("Loss/train_loss")
    losses = names.clf.history_[:, "train_loss"]
    np.testing.assert_allclose([event.value for event in events], losses, rtol=1e-6)
    assert len([path for path in (tmp_path / "board").iterdir() if path.is_dir()]) == 4


def test_mlflow(recipe, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    names = recipe("MLflow")
    logged = names.mlflow.get_run(names.run.info.run_id).data
    assert logged.metrics["train_loss"] == pytest.approx(names.clf.history_[-1, "train_loss"])
    assert logged.metrics["accuracy"] == names.clf.score(names.X_test, names.y_test)
    assert logged.params["depth"] == str(names.clf.depth)


def test_a_model_card(recipe, tmp_path):
    pytest.importorskip("skops")
    hub = pytest.importorskip("huggingface_hub")
    names = recipe("A model card")
    folder = tmp_path / "my-model"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.thin"]
    card = hub.ModelCard.load(folder / "README.md")
    assert card.data.library_name == "sklearn_thin"
    for text in ("weight_decay", "Leakage of the quartile", "excess", "Accuracy by quartile"):
        assert text in card.text
    clf = load(folder / "model.thin")
    predictions = clf.predict(names.X_test, exogenous=names.z_test)
    np.testing.assert_array_equal(predictions == names.y_test, names.right)
