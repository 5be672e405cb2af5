"""`save` and `load`: an estimator in one file, of which nothing is run when it is loaded.

A file is a line of magic, a line with the SHA-256 of all bytes after it, a line of JSON with the
format and the versions, then skops' zip archive: schema.json and arrays, not compressed.
"""

import hashlib
import io
import json
import math
import os
import re
import secrets
import shutil
import warnings
from contextlib import contextmanager, suppress
from functools import cache
from inspect import isclass, isfunction
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import sklearn
import torch
from sklearn import metrics, model_selection
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import all_estimators

from sklearn_thin._environment import MEMORY, check_device
from sklearn_thin._pickling import KNOWN, TARGET
from sklearn_thin._version import __version__

FORMAT = 1  # of the files that `save` writes; `load` reads this and all before
MAGIC = b"sklearn_thin.save\n"
MEMBER = re.compile(r"schema\.json|[0-9a-f-]+\.(npy|npz|bin)")  # skops' names, without folders
# skops' nodes that repeat others, or whose size no bytes of the archive bound
UNBOUNDED = {"CachedNode", "RandomGeneratorNode"}
# types of ours that states hold; a fitted estimator of another type needs `trusted`
OURS = [
    "sklearn_thin." + name
    for name in (
        "_backbones.ConvNetBackbone",
        "_backbones.MLPBackbone",
        "_backbones.TorchvisionBackbone",
        "_classifier.THINClassifier",
        "_encoder.ExogenousEncoder",
        "_regressor.THINRegressor",
        "_sharing.Itself",
        "datasets._augmentation.ImageAugmentation",
        "dispelling.alignment.Alignment",
        "dispelling.cosine.Cosine",
        "dispelling.cosine.Off",
        "dispelling.erasure.ErasedVariables",
        "dispelling.erasure.Erasure",
        "exogenous.known.GivenVariable",
        "exogenous.known.KnownVariable",
        "exogenous.side.ExogenousSide",
        "exogenous.side.ExogenousVariable",
        "model_selection._ensemble.SeedEnsembleClassifier",
        "model_selection._search.StackedGridSearchCV",
        "model_selection._search.StackedRandomizedSearchCV",
        "rows.inputs.ArrayInput",
        "rows.inputs.RestInput",
        "rows.inputs.TransformedInput",
        "rows.labels.Classes",
        "rows.numbers.Numbers",
        "rows.tables.TableInput",
        "rows.tables.TablePreprocessor",
        "training.net.THINNet",
    )
]
# what fitted searches and column transformers hold beside public estimators
PARTS = [
    "builtins.frozenset",
    "numpy.dtype",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
]


def save(estimator, path):
    """Write an estimator to one file that :func:`load` reads without running any code in it.

    The file appears whole or not at all: a save that fails leaves the file that was there. Needs
    the package skops.

    Parameters
    ----------
    estimator : estimator
        One of this package, fitted or not, or a Pipeline, a search or another estimator of
        scikit-learn around it. Networks have layers of `torch.nn.modules`, `torchvision.models`
        and :mod:`sklearn_thin.modules` alone.
    path : str or path
        The file, by custom with the suffix `.thin`.

    Raises
    ------
    TypeError
        For a part that the file cannot hold, such as a custom layer or a lambda.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_thin import THINClassifier, load, save
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = THINClassifier(max_epochs=1, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     save(clf, folder + "/model.thin")
    ...     loaded = load(folder + "/model.thin")
    >>> bool((loaded.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    path, sio = os.fspath(path), _skops()
    token = KNOWN.set({})
    try:
        archive = sio.dumps(estimator)
    except Exception as error:  # of any object's own methods
        raise TypeError(f"{type(estimator).__name__} cannot be saved: {error}") from error
    finally:
        KNOWN.reset(token)
    try:  # a lambda, for one, is written and does not load
        with _target("cpu"):
            sio.loads(archive, trusted=sio.get_untrusted_types(data=archive))
    except Exception as error:
        name = type(estimator).__name__
        raise TypeError(f"{name} cannot be saved, as its file would not load: {error}") from error
    versions = {"format": FORMAT, "sklearn_thin": __version__}
    versions |= {"scikit-learn": sklearn.__version__, "torch": torch.__version__}
    header = json.dumps(versions).encode() + b"\n"
    digest = hashlib.sha256(header)
    digest.update(archive)
    write_whole(path, (MAGIC, digest.hexdigest().encode() + b"\n", header, archive))


def load(path, device=None, trusted=None):
    """Read an estimator from a file of :func:`save`; nothing in the file is run.

    The digest of the file is checked before anything in it is read, then sizes, then types. The
    digest finds damage. It is no signature: whoever writes a file can compute it.

    Parameters
    ----------
    path : str or path
    device : str or torch.device, default=None
        Device of the networks. None is that of the training, or the CPU where it is missing.
    trusted : list of str or type, default=None
        Types beside those of this package and of scikit-learn that the file may hold. Their code
        runs: name types that you know.

    Returns
    -------
    estimator

    Raises
    ------
    ValueError
        For a file that `save` did not write, that has changed since, or that holds types that are
        not trusted. The error names the file and the reason.

    Warns
    -----
    InconsistentVersionWarning
        If the file was written with another version of scikit-learn.
    """
    sio = _skops()
    if trusted is not None and not isinstance(trusted, (list, tuple)):
        raise TypeError(f"trusted must be a list of names of types, got {trusted!r}")
    device = None if device is None else check_device(device)
    with open(path, "rb") as file:
        try:
            versions = read_header(file)
            check_archive(file)
            with _target(device):
                estimator = sio.load(file, trusted=[*own_types(), *(trusted or ())])
        except Warning:  # where users make errors of warnings
            raise
        except sio.exceptions.UntrustedTypesFoundException as error:
            raise ValueError(
                f"{path} is not loaded: {error} Code of these types would run. If you know them, "
                "name them: load(path, trusted=[...])"
            ) from error
        except Exception as error:  # hostile files can fail anywhere
            reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
            raise ValueError(f"{path} is not loaded: {reason}") from error
    if versions["scikit-learn"] != sklearn.__version__:
        name, was = type(estimator).__name__, versions["scikit-learn"]
        now = {"current_sklearn_version": sklearn.__version__, "original_sklearn_version": was}
        warnings.warn(InconsistentVersionWarning(estimator_name=name, **now), stacklevel=2)
    return estimator


def _skops():
    try:
        import skops.io
        import skops.io.exceptions
    except ImportError as error:
        raise ImportError("skops is needed for this: pip install 'sklearn-thin[save]'") from error
    return skops.io


@contextmanager
def _target(device):
    """Nets that are loaded inside the block are on `device`; None is their own."""
    token = TARGET.set(device)
    try:
        yield
    finally:
        TARGET.reset(token)


@cache
def own_types():
    """Names of the types that a file may hold: ours, and scikit-learn's public ones."""
    public = [kind for _, kind in all_estimators()]
    public += [v for v in map(vars(model_selection).get, model_selection.__all__) if isclass(v)]
    public += [v for v in map(vars(metrics).get, metrics.__all__) if isfunction(v)]  # of scorers
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in public]
    return [*OURS, *PARTS, *(name for name in names if name.startswith("sklearn."))]


# ------------------------------------------------------------------ the file


def write_whole(path, parts):
    """Write the parts to a file that appears whole or not at all, also after a power cut."""
    path = Path(os.path.realpath(path))  # a link stays a link
    written = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(written, "xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(path, written)
        os.replace(written, path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # so that the new name outlives a power cut too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_header(file):
    """The versions of an open file, of which the magic and the digest are checked first."""
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError(
            "it is no file of sklearn_thin.save. load reads neither pickles nor joblib's files, "
            "which can run any code"
        )
    wanted, start = file.read(65), file.tell()
    if hashlib.file_digest(file, "sha256").hexdigest().encode() + b"\n" != wanted:
        raise ValueError("its bytes are not those that were saved, as their SHA-256 is another")
    file.seek(start)
    versions = json.loads(file.readline(4096))
    if not (isinstance(versions, dict) and type(versions.get("format")) is int):
        raise ValueError("its header has no format number")
    if not 1 <= versions["format"] <= FORMAT:
        raise ValueError(
            f"it has the format {versions['format']}, of sklearn_thin "
            f"{versions.get('sklearn_thin')}; this is {__version__}, which reads up to {FORMAT}"
        )
    if not isinstance(versions.get("scikit-learn"), str):
        raise ValueError("its header has no version of scikit-learn")
    return versions


def check_archive(file):
    """Raise ValueError for an archive that skops would not write, or that needs more memory."""
    room = min(os.fstat(file.fileno()).st_size, MEMORY)
    with ZipFile(file) as archive:
        members = archive.infolist()
        check_members(members, MEMBER, room)
        names = [member.filename for member in members]
        if any(member.compress_type != ZIP_STORED for member in members):
            raise ValueError("its archive is compressed, which save does not do")
        if names.count("schema.json") != 1:
            raise ValueError("its archive has no schema.json")
        check_schema(json.loads(archive.read("schema.json")))
        for member in members:
            if member.filename.endswith(".npy"):
                with archive.open(member) as array:
                    check_array_size(array, member)
            elif member.filename.endswith(".npz"):  # a sparse matrix, which SciPy compresses
                with ZipFile(io.BytesIO(archive.read(member))) as parts:
                    check_members(parts.infolist(), re.compile(r"\w+\.npy"), MEMORY)
                    for part in parts.infolist():
                        with parts.open(part) as array:
                            check_array_size(array, part)


def check_schema(schema):
    """Raise for nodes that build more than the archive holds.

    skops builds nodes of one id once. Nodes of one id must therefore be alike. A member belongs to
    one id.
    """
    alike, owners, left = {}, {}, [schema]
    while left:
        node = left.pop()
        left += node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        if not (isinstance(node, dict) and "__loader__" in node):
            continue
        loader, own, content = node["__loader__"], node.get("__id__"), node.get("content")
        kind = [node.get(key) for key in ("__module__", "__class__", "file", "type")]
        if loader in UNBOUNDED or kind[:2] == ["numpy", "void"]:
            raise ValueError(f"its schema has a {loader} of {kind[0]}.{kind[1]}")
        like = loader, kind, len(content) if isinstance(content, list) else None
        if own is not None and alike.setdefault(own, like) != like:
            raise ValueError(f"its schema has two objects of the id {own}")
        if "file" in node and (not own or owners.setdefault(node["file"], own) != own):
            raise ValueError(f"its schema has two objects of the member {node['file']}")
        if loader == "NdArrayNode" and node["type"] == "json":
            shape = node["shape"]
            if shape["__loader__"] != "TupleNode" or len(shape["content"]) != 1:
                raise ValueError("its schema has an array of objects with several dimensions")


def check_members(members, pattern, room):
    """Raise for members of other names, and for more bytes than there is room for."""
    names = [member.filename for member in members]
    other = [name for name in names if not pattern.fullmatch(name)]
    if other or len(set(names)) < len(names):
        shown = f"a member {other[0]!r}" if other else "a member twice"
        raise ValueError(f"its archive has {shown}, which save does not write")
    declared = sum(member.file_size for member in members)
    if declared > room:
        raise ValueError(f"its archive declares {declared} bytes, of which {room} are possible")


def check_array_size(array, member):
    """Raise for an array whose header declares another size than its member has."""
    version = np.lib.format.read_magic(array)
    readers = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}
    if version not in readers:
        raise ValueError(f"its array {member.filename} has the version {version}")
    shape, _, dtype = getattr(np.lib.format, readers[version])(array)
    if dtype.hasobject or array.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
        raise ValueError(f"its array {member.filename} declares {shape} of {dtype}, and is another")
