"""Strategies of the property-based tests: random rows, labels, sides and parameters.

Reading order: `rows`, `parameters`, then `cases`, which puts them together.
"""

from pathlib import Path
from tempfile import gettempdir

from hypothesis.configuration import set_hypothesis_home_dir

from tests.strategies.cases import Case, cases, searched

__all__ = ["Case", "cases", "searched"]

set_hypothesis_home_dir(Path(gettempdir()) / "hypothesis")  # leaves no folder beside the tests
