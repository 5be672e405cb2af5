"""Paths of calls that write a file: `save`, `to_numpy` and `to_onnx` take the same."""

import errno
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from sklearn_thin import save, to_numpy, to_onnx
from sklearn_thin.persistence import onnx_file
from tests.helpers import raw

SUFFIX = {"save": ".thin", "to_numpy": ".py", "to_onnx": ".onnx"}


class Place:
    """A path of another library, which gives bytes."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return os.fsencode(self.path)


@pytest.fixture(params=SUFFIX)
def write(request, few):
    """A function that writes a small estimator to a path, and the suffix of the file."""
    if request.param == "to_onnx":
        pytest.importorskip("torch", onnx_file.TORCH)
        for name in ("onnx", "onnxruntime"):
            pytest.importorskip(name)
    clf = raw(max_epochs=1, depth=0).fit(*few[:2])
    calls = {
        "save": lambda path: save(clf, path),
        "to_numpy": lambda path: to_numpy(clf, path, few[0]),
        "to_onnx": lambda path: to_onnx(clf, path, few[0]),
    }
    return calls[request.param], SUFFIX[request.param]


def test_every_kind_of_path_names_the_same_file(write, tmp_path):
    call, suffix = write
    stem = tmp_path / "modèle 模型"
    for kind in (str, os.fsencode, Path, Place):
        path = stem.with_suffix(suffix)
        call(kind(path))
        assert os.listdir(tmp_path) == [path.name]
        path.unlink()


def test_a_name_may_have_all_bytes_that_a_name_can_have(write, tmp_path):
    call, suffix = write
    most = os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    name = "é" * ((most - len(suffix)) // 2) + suffix
    call(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_another_thing_than_a_file_is_refused_before_work_and_stays(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip(f"{sys.platform} has no pipes in folders")
    pipe, folder = tmp_path / "pipe.py", tmp_path / "folder.py"
    os.mkfifo(pipe)
    folder.mkdir()
    wrong = {
        str(pipe): (errno.EINVAL, "a device or a pipe"),
        str(folder): (errno.EISDIR, "a folder"),
        f"{tmp_path}/new.py/": (errno.EISDIR, "a folder"),
        f"{tmp_path}/none/model.py": (errno.ENOENT, "the folder of the file does not exist"),
    }
    X = np.zeros((2, 3))
    for path, (number, words) in wrong.items():
        for call in (save, *(lambda e, p, f=f: f(e, p, X) for f in (to_numpy, to_onnx))):
            with pytest.raises(OSError, match=words) as caught:
                call(None, path)
            assert caught.value.errno == number
            assert caught.value.filename == path
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert sorted(os.listdir(tmp_path)) == ["folder.py", "pipe.py"]
