"""Bytes of damaged, foreign and hostile files."""

import hashlib
import io
import json
import zipfile

import numpy as np
import sklearn

from sklearn_thin import _saving


def signed(archive, **versions):
    """Bytes of a file around an archive, with a right digest."""
    header = {"format": 1, "sklearn_thin": "0", "scikit-learn": sklearn.__version__, **versions}
    rest = json.dumps(header).encode() + b"\n" + archive
    return _saving.MAGIC + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def archive_of(content):
    return content.split(b"\n", 3)[3]


def zipped(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            # without the time, which would change the bytes
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(archive_of(content))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class Ran:
    """Leaves a mark where it is unpickled."""

    marks = []

    def __reduce__(self):
        return leave_mark, ("ran",)


def leave_mark(mark):
    Ran.marks.append(mark)


def claim(shape):
    """An .npy file that claims a shape, and has no data."""
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


# archives, and why they are refused
ARCHIVES = [
    (b"no zip", "not a zip"),
    (zipped({}), "no schema"),
    (zipped({"model/schema.json": b"{}"}), "member 'model/schema.json'"),
    (zipped({"schema.json": b"{}", "../1.npy": b""}), "member '../1.npy'"),
    (zipped({"schema.json": b"{}", "1.pkl": b""}), "member '1.pkl'"),
    (zipped({"schema.json": b"0" * 10**6}, zipfile.ZIP_DEFLATED), "declares 1000000 bytes"),
    (zipped({"schema.json": b"{}"}, zipfile.ZIP_DEFLATED), "compressed"),
    (zipped({"schema.json": b"{}", "1.npy": claim((10**12,))}), "1.npy declares"),
    (
        zipped({"schema.json": b"{}", "1.npz": zipped({"a.npy": claim((10**12,))})}),
        "a.npy declares",
    ),
    (zipped({"schema.json": b"[" * 10**5}), "Recursion|JSON"),
    (zipped({"schema.json": b"{}"}), "protocol"),
]


LIST = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode"}
TEXT = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "1"}
TUPLE = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode"}
ARRAY = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode"}


def laughs(array):
    """An array of ten lists of ten lists, six deep, each written once."""
    lists = TEXT
    for own in range(1, 7):
        again = [{**LIST, "__id__": own - 1}] * 9 if own > 1 else [TEXT] * 9
        lists = {**LIST, "__id__": own, "content": [lists, *again]}
    shape = {**TUPLE, "content": [TEXT, TEXT]}
    return {**ARRAY, "type": "json", "content": lists["content"], "shape": shape}


def borrowed_shape(array):
    """The shape of an array looks like (1,), and has the id of another tuple."""
    two = {**TUPLE, "__id__": "two", "content": [TEXT, TEXT]}
    shape = {**two, "content": [TEXT]}
    return {**LIST, "content": [two, {**laughs(array), "shape": shape}]}


def one_member_often(array):
    return {**LIST, "content": [{**array, "__id__": f"again {i}"} for i in range(100)]}


def bytes_of_an_integer(array):
    return {**array, "__class__": "void"}


def called_function(array):
    """A function of scikit-learn that a file may hold, with arguments."""
    name = {"__module__": "sklearn.metrics.pairwise", "__class__": "euclidean_distances"}
    content = {**TUPLE, "content": [array]}
    return {**name, "__loader__": "ConstructorFromReduceNode", "content": content}


def called_ufunc(array):
    content = {**called_function(array), "__module__": "numpy", "__class__": "add"}
    return {**content, "__loader__": "LossNode", "__reduce__": {"args": TEXT}}


def generator(array):
    return {**ARRAY, "__class__": "Generator", "__loader__": "RandomGeneratorNode"}


# parts of a schema, and why they are refused
ATTACKS = [
    (laughs, "an array of objects with several dimensions"),
    (borrowed_shape, "two objects of the id"),
    (one_member_often, r"two objects of the member \d+.npy"),
    (bytes_of_an_integer, "NdArrayNode of numpy.void"),
    (generator, "RandomGeneratorNode"),
    (called_function, r"calls sklearn\.metrics\.pairwise\.euclidean_distances"),
    (called_ufunc, r"calls numpy\.add"),
]


def attacked(content, attack):
    """The bytes of a file, with the attack in place of a parameter."""
    members = members_of(content)
    schema = json.loads(members["schema.json"])
    name = next(name for name in members if name.endswith(".npy"))
    array = {**ARRAY, "type": "numpy", "file": name, "__id__": "first"}
    schema["content"]["content"]["depth"] = attack(array)
    return signed(zipped({**members, "schema.json": json.dumps(schema)}))
