"""The site builds without npm and without a network, and takes no archive but the pinned one."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "turn" / "runtime.py"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A function that makes a shell script the only npm; None is no npm at all."""

    def npm(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        if script is not None:
            (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
            (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setattr("sys.executable", str(folder / "python"))

    return npm


@pytest.mark.parametrize(
    ("script", "reason"), [(None, "npm is missing"), ("exit 1", "npm does not download")]
)
def test_without_runtime_the_page_is_built_and_says_so(npm, tmp_path, capsys, script, reason):
    npm(script)
    runpy.run_path(str(SCRIPT))["main"](tmp_path / "made")
    assert reason in capsys.readouterr().err
    assert json.loads((tmp_path / "made" / "runtime.json").read_text()) == {"version": None}


def test_another_archive_is_refused(npm, tmp_path):
    npm("echo another > onnxruntime-web-1.22.0.tgz")
    with pytest.raises(ValueError, match="must have the SHA-256 digest"):
        runpy.run_path(str(SCRIPT))["main"](tmp_path / "made")
