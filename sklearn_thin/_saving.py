"""`save` and `load`: an estimator in one file, of which nothing is run when it is loaded.

A file is a line of magic, a line with the SHA-256 of all bytes after it, a line of JSON with the
format and the versions, then skops' zip archive: schema.json and arrays, not compressed.
"""

import hashlib
import json
import os
import warnings
from functools import cache
from inspect import isclass, isfunction
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn import feature_selection, metrics, model_selection
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import all_estimators

from sklearn_thin._archive import DISTRIBUTIONS, archive_of, check_archive
from sklearn_thin._environment import check_device
from sklearn_thin._pickling import MODULE, TARGET, with_packed
from sklearn_thin._version import __version__
from sklearn_thin._writing import checked_path, write_whole

FORMAT = 1  # of the files that `save` writes; `load` reads this and all before
MAGIC = b"sklearn_thin.save\n"
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
        "inspection._scorer.LeakageScorer",
        "inspection._scorer.WorstLevelScorer",
        "model_selection._ensemble.SeedEnsembleClassifier",
        "model_selection._ensemble.SeedEnsembleRegressor",
        "model_selection._halving.StackedHalvingSearchCV",
        "model_selection._pareto.KneeRefit",
        "model_selection._search.StackedGridSearchCV",
        "model_selection._search.StackedRandomizedSearchCV",
        "model_selection._weighted.WeightedEnsembleClassifier",
        "model_selection._weighted.WeightedEnsembleRegressor",
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
# ufuncs are in one of two modules, by NumPy's version
UFUNCS = [name for name, part in vars(np).items() if isinstance(part, np.ufunc)]
UFUNCS = [f"{m}.{name}" for m in ("numpy", "numpy._core._multiarray_umath") for name in UFUNCS]
# what fitted searches and transformers hold beside public estimators
PARTS = [
    *(f"builtins.{name}" for name in ("dict", "frozenset", "list", "object", "slice")),
    "collections.OrderedDict",
    "collections.defaultdict",
    "numpy.dtype",
    *(f"pathlib{part}.{kind}Path" for part in ("", "._local") for kind in ("Posix", "Windows")),
    *(f"scipy.stats.{name}" for name in DISTRIBUTIONS),
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._split._CVIterableWrapper",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
]
# types that select columns; skops trusts those of NumPy that arrays can have
SIZED = [f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)]
DTYPES = [
    *(f"numpy.{kind}" for kind in ("character", "flexible", "generic", "inexact", "number")),
    *(f"numpy.{kind}" for kind in ("floating", "complexfloating", "integer")),
    *(f"numpy.{kind}" for kind in ("signedinteger", "unsignedinteger")),
    *(f"pandas.core.dtypes.dtypes.{kind}Dtype" for kind in ("Categorical", "DatetimeTZ")),
    *(f"pandas.core.arrays.integer.{kind}Dtype" for kind in SIZED),
    *(f"pandas.core.arrays.floating.Float{bits}Dtype" for bits in (32, 64)),
    "pandas.core.arrays.boolean.BooleanDtype",
    "pandas.core.arrays.string_.StringDtype",
]
DTYPES += [f"pandas.{name.rpartition('.')[2]}" for name in DTYPES if name.startswith("pandas")]

LABELS = ("classes_", "targets_", "exogenous_side_", "erasure_encoder_")  # attributes with labels


def save(estimator, path, trusted=None) -> None:
    """Write an estimator to one file that :func:`load` reads without running any code in it.

    The file appears whole or not at all: a save that fails leaves the file that was there. Needs
    the package skops.

    Parameters
    ----------
    estimator : estimator
        An estimator of this package, fitted or not, or a Pipeline, a search or another estimator
        of scikit-learn around it. Its networks may have custom layers, whose attributes are plain
        values.
    path : str, bytes or path
        The file, by custom with the suffix `.thin`.
    trusted : list of str or type, default=None
        Types and functions beside those of this package and of scikit-learn that the estimator
        holds, such as custom layers. :func:`load` needs the same list.

    Raises
    ------
    TypeError
        For a part that the file cannot hold, such as an open file, a lambda or a layer with hooks,
        and for a part that :func:`load` would not read with the same `trusted`. The error names the
        parameter or the attribute.
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
    path, names = checked_path(path), _names(trusted)
    try:
        archive = _readable_archive(estimator, names)
    except Exception as error:  # of any object's own methods
        raise TypeError(_refusal(estimator, names, error)) from error
    versions = {"format": FORMAT, "sklearn_thin": __version__}
    versions |= {"scikit-learn": sklearn.__version__, "torch": torch.__version__}
    header = json.dumps(versions).encode() + b"\n"
    write_whole(path, signed(MAGIC, archive.getbuffer(), header))


def load(path, device=None, trusted=None) -> Any:
    """Read an estimator from a file of :func:`save`; nothing in the file is run.

    The digest of the file is checked before anything in it is read, then sizes, then types. The
    digest finds damage. It is no signature: whoever writes a file can compute it.

    Parameters
    ----------
    path : str, bytes or path
    device : str or torch.device, default=None
        Device of the networks. None is that of the training, or the CPU where it is missing.
    trusted : list of str or type, default=None
        Types and functions beside those of this package and of scikit-learn that the file may hold,
        such as custom layers. Their code runs: name types that you know.

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
    path, sio, names = os.fsdecode(path), _skops(), _names(trusted)
    device = None if device is None else check_device(device)
    with open(path, "rb") as file:
        try:
            versions = read_header(file)
            estimator = _built(file, device, names)
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


def _built(file, device, trusted):
    """The object of an archive of skops; its nets are on `device`, and None is their own."""
    check_archive(file)
    token = TARGET.set(device)
    try:
        return _skops().load(file, trusted=[*own_types(), *trusted])
    finally:
        TARGET.reset(token)


def _readable_archive(value, trusted):
    """skops' archive of a value, after a trial: a lambda, for one, is written and does not load."""
    archive = archive_of(value)
    _built(archive, "cpu", trusted)
    return archive


def _refusal(estimator, trusted, error):
    """Words for an estimator that a file does not hold: where, why, and the way out."""
    inner = (type(estimator).__name__, estimator)
    while inner is not None:
        place, value = inner
        inner = next((part for part in _parts(place, value) if _is_refused(part[1], trusted)), None)
    recursive = isinstance(error, RecursionError)
    reason = "a part refers to the object that holds it" if recursive else str(error).rstrip(".")
    other = "set the part to another value"
    if place.rpartition(".")[2] in LABELS:
        other = "fit with labels as text, such as y.astype(str)"
    way_out = "Keep the estimator by joblib.dump, or " + other
    if isinstance(error, _skops().exceptions.UntrustedTypesFoundException):
        way_out = "If you know these types, name them in both calls: save(..., trusted=[...]) and "
        way_out += f"load(..., trusted=[...]). Else {other}"
    if "<lambda>" in reason or "<locals>" in reason:
        way_out = "Define the function or the type at the top of a module, and name it as trusted"
    return f"{type(estimator).__name__} cannot be saved, because of {place}: {reason}. {way_out}"


def _parts(place, value):
    """Places and values inside the state of an estimator, a list, a tuple or a dict."""
    if isinstance(value, BaseEstimator):
        try:
            params, state = value.get_params(deep=False), value.__getstate__()
        except Exception:  # of any object's own methods
            return []
        names = sorted(state, key=lambda name: name not in params)  # parameters first
        return [(f"{place}.{name}", state[name]) for name in names]
    if isinstance(value, dict) and value.keys() != {MODULE}:  # a network is one part
        parts = [(f"{place}[{key!r}]", part) for key, part in value.items()]
    else:
        parts = enumerate(value) if isinstance(value, (list, tuple)) else ()
        parts = [(f"{place}[{i}]", part) for i, part in parts]
    return [(inside, part) for inside, part in parts if part is not value]  # some hold themselves


def _is_refused(value, trusted):
    try:
        _readable_archive(with_packed(value, {}), trusted)
    except Exception:  # of any object's own methods
        return True
    return False


def _names(trusted):
    if trusted is not None and not isinstance(trusted, (list, tuple)):
        raise TypeError(f"trusted must be a list of names of types, got {trusted!r}")
    return [_name(kind) for kind in trusted or ()]


def _name(kind):
    name = kind if isinstance(kind, str) else getattr(kind, "__qualname__", None)
    if not isinstance(name, str):
        raise TypeError(f"trusted must hold names of types, types or functions, got {kind!r}")
    return kind if name is kind else f"{kind.__module__}.{name}"


@cache
def own_types():
    """Names of the types that a file may hold: ours, and scikit-learn's public ones."""
    public = [kind for _, kind in all_estimators()]
    public += [v for v in map(vars(model_selection).get, model_selection.__all__) if isclass(v)]
    for package in (metrics, feature_selection):  # functions that scorers and selectors hold
        public += [v for v in map(vars(package).get, package.__all__) if isfunction(v)]
    names = map(_name, public)
    return [
        *OURS,
        *PARTS,
        *DTYPES,
        *UFUNCS,
        *(name for name in names if name.startswith("sklearn.")),
    ]


# ------------------------------------------------------------------ the file


def signed(magic, archive, header=b""):
    """Bytes of a file: a line of magic, and the SHA-256 of the header and the archive below it."""
    digest = hashlib.sha256(header)
    digest.update(archive)
    return magic + digest.hexdigest().encode() + b"\n" + header, archive


def check_signed(file, magic):
    """Read an open file up to its header; raise ValueError where it has other bytes."""
    if file.read(len(magic)) != magic:
        name = magic.decode().strip()
        raise ValueError(f"it is no file of {name}. Pickles, which can run any code, are not read")
    wanted, start = file.read(65), file.tell()
    if hashlib.file_digest(file, "sha256").hexdigest().encode() + b"\n" != wanted:
        raise ValueError("its bytes are not those that were saved, as their SHA-256 is another")
    file.seek(start)


def read_header(file):
    """The versions of an open file, of which the magic and the digest are checked first."""
    check_signed(file, MAGIC)
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
