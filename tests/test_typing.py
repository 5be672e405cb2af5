"""Type checkers see the public signatures, and the package is marked as typed."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

CODE = Path(__file__).with_name("typed_code.py")


def test_the_package_is_marked_as_typed():
    assert files("sklearn_thin").joinpath("py.typed").is_file()


def test_mypy_finds_the_errors_of_users_and_no_others(tmp_path):
    api = pytest.importorskip("mypy.api")
    expected = {
        (number, code)
        for number, line in enumerate(CODE.read_text().splitlines(), 1)
        for code in re.findall(r"# error: ([a-z-]+)$", line)
    }
    assert len(expected) > 20
    settings = ["--config-file", str(CODE.parents[1] / "pyproject.toml")]
    printed, errors, _ = api.run([*settings, "--cache-dir", str(tmp_path), str(CODE)])
    found = re.findall(r"(?m)^\S*typed_code\.py:(\d+): error: .*\[([a-z-]+)\]$", printed)
    assert {(int(number), code) for number, code in found} == expected, printed + errors
