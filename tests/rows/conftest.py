"""Large arrays lie in files on demand, however small they are."""

from tempfile import TemporaryFile
from unittest.mock import Mock

import pytest

from sklearn_thin import _storage


@pytest.fixture
def in_files(monkeypatch):
    """Function from whose call on all that is large lies in files; its result counts them."""

    def start():
        monkeypatch.setattr(_storage, "IN_MEMORY", 0)
        monkeypatch.setattr(_storage, "TemporaryFile", Mock(wraps=TemporaryFile))
        return _storage.TemporaryFile

    return start
