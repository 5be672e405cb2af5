"""The cache of runs: a command that is interrupted continues where it stopped.

A run is one model on one data set under one seed. joblib.Memory keeps it under its model and its
setting. The folder's name holds a digest of the source: a run of another version does not count.
"""

import hashlib
import os
from pathlib import Path

import joblib

import sklearn_thin

ROOT, HERE = Path(sklearn_thin.__file__).parent, Path(__file__).parent
OWN_SOURCE = ("_data.py", "_build.py", "_penalties.py", "_recipe.py", "_vgg.py")


def source_digest():
    """Digest of the source that a run depends on."""
    files = [*ROOT.rglob("*.py"), *(HERE / name for name in OWN_SOURCE)]
    source = b"".join(file.read_bytes() for file in sorted(files))
    return hashlib.sha1(source).hexdigest()[:12]


CACHE = Path(os.environ.get("SKLEARN_THIN_CACHE", HERE / ".cache"))
memory = joblib.Memory(CACHE / source_digest(), verbose=0)
