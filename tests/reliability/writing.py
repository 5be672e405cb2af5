"""Full and broken disks: each operation of each call that writes fails in turn.

    python -m tests.reliability.writing

prints how many endings of each call are as promised. :mod:`tests.reliability.saving` has kills,
damaged and hostile files. It needs Linux, for /proc.
"""

import argparse
import errno
import gzip
import hashlib
import io
import os
import shutil
import sys
import tempfile
import threading
import warnings
import zipfile
from collections import Counter
from contextlib import contextmanager, redirect_stderr
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from sklearn.datasets import load_iris

from sklearn_thin import load, save, to_numpy, to_onnx
from sklearn_thin._compat import import_torchvision
from sklearn_thin.datasets import _mnist, _owners, _uci, fetch_heart_sites
from sklearn_thin.model_selection import StackedGridSearchCV
from sklearn_thin.rows import arrays
from sklearn_thin.training import checkpoints
from tests.helpers import small
from tests.reliability.disk import at_each_operation

NUMBERS = {"full": errno.ENOSPC, "broken": errno.EIO}
COLUMNS = {
    "operations": "operations",
    "named": "OSError that names the file",
    "right": "right result",
    "whole": "whole files",
    "again": "right result later",
}


class Call:
    """A call that writes below `folder`, and the promises that hold however it ends.

    It raises an OSError that names `named`, or its result is right. Its files are `whole`. Called
    again, its result is right.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.named = str(self.folder)
        self.X, self.y = load_iris(return_X_y=True)
        self.prepare()

    def prepare(self):
        """Put the folder into the state before the call."""

    @contextmanager
    def around(self):
        """What surrounds the call on every disk."""
        yield

    def run(self):
        """The call; whether its result is right."""
        raise NotImplementedError

    def whole(self):
        """Whether each file is whole, and no other is there."""
        return not any(path.is_file() for path in self.folder.rglob("*"))

    def endings(self, number):
        """Endings of the call with a disk that fails at each operation in turn."""
        found = Counter()
        with self.around():
            for disk in at_each_operation(self.folder, number):
                self.prepare()
                error, right = None, False
                with warnings.catch_warnings(), disk:
                    warnings.simplefilter("ignore", RuntimeWarning)  # of checkpoints
                    try:
                        right = self.run()
                    except OSError as raised:
                        error = raised
                if not disk.failed:
                    assert right, "a call on a whole disk"
                    return found
                found["operations"] += 1
                found["named"] += error is not None and self.named in str(error)
                found["right"] += right
                found["whole"] += self.whole()
                found["again"] += self.run()
        raise AssertionError("a call has no end")


class WholeFile(Call):
    """A call that writes one file over an old one."""

    def prepare(self):
        self.path, self.model = self.folder / "model.py", small().fit(self.X, self.y)
        self.named = str(self.path)
        for path in self.folder.iterdir():
            path.unlink()
        self.path.write_bytes(b"old")

    def whole(self):
        if [path for path in self.folder.iterdir() if path != self.path]:
            return False
        return self.path.read_bytes() == b"old" or self.is_new()

    def run(self):
        self.write()
        return self.is_new()


class Save(WholeFile):
    """save"""

    def write(self):
        save(self.model, self.path)

    def is_new(self):
        proba = load(self.path).predict_proba(self.X)
        return np.array_equal(proba, self.model.predict_proba(self.X))


class ToNumpy(WholeFile):
    """to_numpy"""

    def write(self):
        to_numpy(self.model, self.path, self.X)

    def is_new(self):
        names = {}
        exec(self.path.read_text(), names)
        return np.allclose(names["predict_proba"](self.X), self.model.predict_proba(self.X))


class ToOnnx(WholeFile):
    """to_onnx"""

    def write(self):
        to_onnx(self.model, self.path, self.X)

    def is_new(self):
        import onnxruntime

        session = onnxruntime.InferenceSession(self.path)
        proba = session.run(None, {"X": self.X})[0]
        return np.allclose(proba, self.model.predict_proba(self.X), atol=1e-5)


class Checkpoints(Call):
    """checkpoint_dir of a search"""

    def prepare(self):
        shutil.rmtree(self.folder / "kept", ignore_errors=True)

    @contextmanager
    def around(self):
        self.expected = self.search(None)
        yield

    def search(self, folder):
        how = {"cv": 2, "refit": False, "stack_size": 2, "checkpoint_dir": folder}
        search = StackedGridSearchCV(small(max_epochs=1), {"lr": [1e-2, 1e-3]}, **how)
        return search.fit(self.X[::3], self.y[::3]).cv_results_["mean_test_score"]

    def run(self):
        return np.array_equal(self.search(self.folder / "kept"), self.expected)

    def whole(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a damaged file
            kept = [checkpoints.read(path.parent, path.name) for path in self.folder.glob("*/*")]
        return all(content is not None for content in kept)


class Rooms(Call):
    """A fit on rows in a file that are copied into temporary files."""

    @contextmanager
    def around(self):
        with (
            patch.object(tempfile, "tempdir", str(self.folder)),
            patch.object(arrays, "IN_MEMORY", 0),  # each copy counts as large
        ):
            yield

    def fit(self, X, y):
        clf = small(endogenous=None)
        try:
            clf.fit(X, y)
        except OSError:
            assert not hasattr(clf, "net_"), "a fit that failed left a net"
            raise
        return bool(np.isfinite(clf.predict_proba(self.X)).all())


class MemoryMap(Rooms):
    """fit on a memory map in Fortran order"""

    def run(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            np.save(f"{folder}/X.npy", np.asfortranarray(self.X))
            return self.fit(np.load(f"{folder}/X.npy", mmap_mode="r"), self.y)


class Hdf5(Rooms):
    """fit on a data set of HDF5"""

    def run(self):
        import h5py

        with h5py.File("rows.h5", "w", driver="core", backing_store=False) as file:
            return self.fit(file.create_dataset("X", data=self.X), self.y)


class TorchDataset(Rooms):
    """fit on a torch Dataset"""

    def run(self):
        X = torch.from_numpy(self.X.astype(np.float32))
        return self.fit(torch.utils.data.TensorDataset(X, torch.from_numpy(self.y)), None)


class Download(Call):
    """A download from a folder that stands for the owner's server."""

    def prepare(self):
        for path in self.folder.iterdir():
            shutil.rmtree(path)

    @contextmanager
    def around(self):
        with tempfile.TemporaryDirectory() as server, self.served(Path(server)):
            yield

    def whole(self):
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
        return set(digests) <= self.digests


class Heart(Download):
    """fetch_heart_sites"""

    @contextmanager
    def served(self, server):
        owned = _uci.HEART
        with zipfile.ZipFile(server / owned.name, "w") as archive:
            for name in ("cleveland", "hungarian", "switzerland", "va"):
                row = "63,1,4,140,260,0,1,112,1,3,2,?,?,1\n"
                archive.writestr(f"processed.{name}.data", row * 200)
        self.digests = {hashlib.sha256((server / owned.name).read_bytes()).hexdigest()}
        owned = owned._replace(
            url=f"file://localhost{server / owned.name}", sha256=next(iter(self.digests))
        )
        with (
            patch.object(_uci, "HEART", owned),
            patch.object(_owners, "RETRIES", {"n_retries": 0, "delay": 0}),
        ):
            yield

    def run(self):
        return len(fetch_heart_sites(data_home=self.folder).target) == 800


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Mnist(Download):
    """the download of fetch_mnist_r"""

    @contextmanager
    def served(self, server):
        names, resources, self.digests = _mnist.file_names(), [], set()
        for name in names:
            shape = (10, 28, 28) if "images" in name else (10,)
            header = np.array([0x800 + len(shape), *shape], dtype=">i4").tobytes()
            content = header + bytes(int(np.prod(shape)))
            packed = gzip.compress(content)
            (server / f"{name}.gz").write_bytes(packed)
            resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
            self.digests.add(hashlib.sha256(content).hexdigest())
        reader = import_torchvision().datasets.MNIST
        handler = partial(Quiet, directory=server)
        with (
            ThreadingHTTPServer(("127.0.0.1", 0), handler) as mirror,
            patch.object(reader, "mirrors", [f"http://127.0.0.1:{mirror.server_port}/"]),
            patch.object(reader, "resources", resources),
            patch.dict(os.environ, no_proxy="127.0.0.1"),
            redirect_stderr(io.StringIO()),  # of progress bars
        ):
            thread = threading.Thread(target=mirror.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield
            finally:
                mirror.shutdown()
                thread.join()

    def run(self):
        _mnist.download(self.folder, _mnist.file_names())
        return len(list((self.folder / "MNIST" / "raw").iterdir())) == len(_mnist.file_names())


CALLS = [Save, ToNumpy, ToOnnx, Checkpoints, MemoryMap, Hdf5, TorchDataset, Heart, Mnist]


def endings(call, disk):
    """Counts of a call's endings on a "full" or "broken" disk, and whether all are as promised."""
    with tempfile.TemporaryDirectory() as folder:
        found = call(folder).endings(NUMBERS[disk])
    tried = found["operations"]
    ended = found["named"] + found["right"], found["whole"], found["again"]
    return found, tried > 0 and set(ended) == {tried}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    torch.set_num_threads(1)
    kept = True
    print(f"| call | disk | {' | '.join(COLUMNS.values())} |\n{'| --- ' * (2 + len(COLUMNS))}|")
    for call in CALLS:
        for disk in NUMBERS:
            found, promised = endings(call, disk)
            kept &= promised
            counts = [f"{found[name]:,}" for name in COLUMNS]
            print(f"| {call.__doc__} | {disk} | {' | '.join(counts)} |", flush=True)
    sys.exit(not kept)


if __name__ == "__main__":
    main()
