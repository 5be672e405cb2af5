"""Large arrays lie in files on demand, however small they are."""

from tempfile import TemporaryFile
from unittest.mock import Mock

import pytest

from sklearn_thin.rows import arrays


@pytest.fixture
def in_files(monkeypatch):
    """Function from whose call on all that is large lies in files; its result counts them."""

    def start():
        monkeypatch.setattr("sklearn_thin.rows.arrays.IN_MEMORY", 0)
        monkeypatch.setattr("sklearn_thin.rows.arrays.TemporaryFile", Mock(wraps=TemporaryFile))
        return arrays.TemporaryFile

    return start
