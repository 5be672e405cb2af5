"""The archive of a saved file: its writing by skops, and its checks before anything is built.

skops writes an object as schema.json, which describes all its parts, and a member for each array.
"""

import io
import json
import math
import re
from collections import OrderedDict, defaultdict
from datetime import datetime
from functools import cache
from typing import NamedTuple
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from scipy import stats
from scipy.stats.distributions import rv_frozen
from sklearn.utils import check_random_state

from sklearn_thin._compat import ADDED, RemainderColumns, for_newer_versions
from sklearn_thin._environment import MEMORY
from sklearn_thin._pickling import KNOWN

MEMBER = re.compile(r"schema\.json|[0-9a-f-]+\.(npy|npz|bin)")  # skops' names, without folders
PROTOCOL = 2  # the first of skops that `save` wrote; older ones have weaker checks
# skops' nodes that repeat others, or whose size no bytes of the archive bound
UNBOUNDED = {"CachedNode", "RandomGeneratorNode"}
CALLING = {"ConstructorFromReduceNode", "LossNode"}  # nodes that call a trusted name
LOSSES = ("sklearn._loss.", "sklearn.linear_model._sgd_fast.")
# made by calls with numbers, as SciPy runs text in their states
KINDS = stats.rv_continuous, stats.rv_discrete
DISTRIBUTIONS = {name: value for name, value in vars(stats).items() if isinstance(value, KINDS)}


# ------------------------------------------------------------------ written


def archive_of(estimator):
    """skops' archive of the estimator, without the white space of its JSON."""
    _correct_skops()
    from skops.io import dump

    written, compact = io.BytesIO(), io.BytesIO()
    token = KNOWN.set({})
    try:
        dump(estimator, written)
    finally:
        KNOWN.reset(token)
    with ZipFile(written) as members, ZipFile(compact, "w") as archive:
        for name in members.namelist():
            content = members.read(name)
            if name == "schema.json":
                content = json.dumps(json.loads(content), separators=(",", ":"))
            archive.writestr(name, content)
    return compact


class Call(NamedTuple):
    """A value that a type, or a distribution of SciPy, makes of other values."""

    module: str
    name: str
    arguments: tuple

    @classmethod
    def of(cls, kind, *arguments):
        """The call of a type."""
        return cls(kind.__module__, kind.__name__, arguments)


def _dict(value):
    """JSON makes text of keys: 1 and "1" become one key, and bool("False") is True."""
    if all(type(key) is str for key in value):
        return value
    if type(value) not in (dict, OrderedDict):
        raise TypeError(f"a {type(value).__name__} has keys that are no text")
    return Call.of(type(value), list(value.items()))


def _datetime(value):
    """skops makes a pandas.Timestamp of nothing, which fails."""
    if type(value).__name__ != "Timestamp":
        return value
    if str(value.tzinfo) not in ("None", "UTC"):
        raise TypeError(
            f"{value!r} is in a time zone other than UTC, and a file holds no time zones. Fit on "
            'dates in UTC, as dates.dt.tz_convert("UTC") gives'
        )
    return Call.of(type(value), value.isoformat())


def _distribution(value):
    """A frozen distribution, by its name and its numbers; as it is if it has more than these."""
    name, own = value.dist.name, value.random_state is not check_random_state(None)
    if own or type(value.dist) is not type(DISTRIBUTIONS.get(name)):
        return value
    shapes, *where = value.dist._parse_args(*value.args, **value.kwds)
    where = where[: 1 if isinstance(value.dist, stats.rv_discrete) else 2]  # no scale of integers
    return Call("scipy.stats", name, (*shapes, *where))


# what is written in place of a value of a type; the same value is written as skops does
IN_PLACE = {
    dict: _dict,
    defaultdict: lambda value: Call.of(defaultdict, value.default_factory, dict(value)),
    slice: lambda value: Call.of(
        slice, value.start, value.stop, value.step
    ),  # also of NumPy's ints
    datetime: _datetime,
    rv_frozen: _distribution,
    RemainderColumns: lambda value: value.data,  # scikit-learn 1.9 lacks the type
    **dict.fromkeys(ADDED, for_newer_versions),
}


@cache
def _correct_skops():
    """Register IN_PLACE with skops, for the files of `save` alone."""
    from skops.io._utils import _get_state, get_state

    def register(kind, replaced):
        as_skops_does = _get_state.dispatch(kind)

        @_get_state.register(kind)
        def write(value, context):
            other = value if KNOWN.get() is None else replaced(value)
            if other is value:
                return as_skops_does(value, context)
            if type(other) is not Call:
                return get_state(other, context)
            names = {"__module__": other.module, "__class__": other.name}
            content = get_state(other.arguments, context)
            return {**names, "__loader__": "ConstructorFromReduceNode", "content": content}

    for kind, replaced in IN_PLACE.items():
        register(kind, replaced)


# ------------------------------------------------------------------ checked


def check_archive(file):
    """Raise ValueError for an archive that skops would not write, or that needs more memory."""
    room = min(file.seek(0, io.SEEK_END), MEMORY)
    with ZipFile(file) as archive:
        members = archive.infolist()
        check_members(members, MEMBER, room)
        names = [member.filename for member in members]
        if any(member.compress_type != ZIP_STORED for member in members):
            raise ValueError("its archive is compressed, which save does not do")
        if names.count("schema.json") != 1:
            raise ValueError("its archive has no schema.json")
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
        schema = json.loads(archive.read("schema.json"))
        if not (isinstance(schema, dict) and type(schema.get("protocol")) is int):
            raise ValueError("its schema has no protocol of skops")
        if schema["protocol"] < PROTOCOL:
            raise ValueError(f"its schema has the protocol {schema['protocol']} of skops")
        check_schema(schema)


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
        if loader in CALLING and _may_run(f"{kind[0]}.{kind[1]}"):
            raise ValueError(f"its schema calls {kind[0]}.{kind[1]}")
        like = loader, kind, len(content) if isinstance(content, list) else None
        if own is not None and alike.setdefault(own, like) != like:
            raise ValueError(f"its schema has two objects of the id {own}")
        if "file" in node and (not own or owners.setdefault(node["file"], own) != own):
            raise ValueError(f"its schema has two objects of the member {node['file']}")
        if loader == "NdArrayNode" and node["type"] == "json":
            shape = node["shape"]
            if shape["__loader__"] != "TupleNode" or len(shape["content"]) != 1:
                raise ValueError("its schema has an array of objects with several dimensions")


def _may_run(name):
    """Whether a call of this name does more than make a value: `load` trusts functions too."""
    return name.startswith(("numpy.", "sklearn.", "sklearn_thin.")) and not name.startswith(LOSSES)


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
