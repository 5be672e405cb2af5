"""Files of data sets: found and read, or named in an error."""

import os
from contextlib import contextmanager
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np

LONGEST_LINE = 2**16  # characters; a row of AffectNet has about 1,200
LONGEST_NAME = 255  # bytes of a file's name with its folders
LARGEST_ARRAYS = 2**32  # bytes of all arrays of an archive; dSprites has 3.1e9


def find(folder, candidates, data, how):
    """The first of `candidates`, paths relative to `folder`, that exists.

    If there is none, a FileNotFoundError explains `how` to get the data.
    """
    folder = Path(folder).expanduser()
    for candidate in candidates:
        if os.path.exists(folder / candidate):
            return folder / candidate
    where = f"the folder {folder}" if os.path.isdir(folder) else f"{folder}, which is no folder"
    raise FileNotFoundError(f"{data}: expected {' or '.join(candidates)} in {where}. {how}")


def find_file(path, name, data, how):
    """The file at `path`, or the file `name` in the folder at `path`."""
    path = Path(path).expanduser()
    file = path / name if os.path.isdir(path) else path
    if not os.path.isfile(file):
        raise FileNotFoundError(f"{data}: expected the file {file}, which is not there. {how}")
    return file


def inside(folder, name):
    """The path of the file `name`, which a list gives, in `folder`.

    A ValueError refuses a name that is no relative path of both Unix and Windows, a name that
    leads out of the folder, and a symbolic link that does.
    """
    size, parts = len(name.encode()), PurePosixPath(name).parts
    if size > LONGEST_NAME:
        raise ValueError(
            f"expected the name of a file, at most {LONGEST_NAME} bytes, got {size} bytes that "
            f"begin with {name[:80]!r}"
        )
    absolute = name.startswith("/") or PureWindowsPath(name).drive
    if absolute or not parts or ".." in parts or "\\" in name or not name.isprintable():
        raise ValueError(f"expected the name of a file in {folder}, got {name!r}")
    path = folder / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise ValueError(
            f"{name} is a symbolic link to outside of {folder}; copy the file into the folder"
        )
    return path


def numbered_lines(path):
    """Yield the number and the text of each line of a text file that is not blank."""
    n_lines = number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), 1):
                if len(line) == LONGEST_LINE:
                    raise ValueError(
                        f"{path}, line {number}: expected fewer than {LONGEST_LINE} characters, "
                        f"got more, which begin with {line[:80]!r}; download or unpack it anew"
                    )
                if line.strip():
                    n_lines += 1
                    yield number, line
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no text file ({error}, after line {number}); download or unpack it anew"
        ) from error
    if not n_lines:
        raise ValueError(f"{path} is empty; download or unpack it anew")


def read_lines(path):
    """Pairs ("line 1", text) of a text file; empty lines are left out."""
    return [(f"line {number}", line.strip()) for number, line in numbered_lines(path)]


def parse_entries(entries, parse):
    """Parsed entries of pairs (place, entry), and a problem "place: reason" for each ValueError."""
    parsed, problems = [], []
    for place, entry in entries:
        try:
            parsed.append(parse(entry))
        except ValueError as error:
            problems.append(f"{place}: {error}")
    return parsed, problems


def read_npz(file, names, fit, anew, how):
    """Arrays of a NumPy archive, in the order of `names`, if they `fit` in shape and type.

    Their headers are checked before their data are unpacked. Errors advise what to do about a
    broken file (`anew`), and `how` to get a right one.

    Raises
    ------
    ValueError
        For a file that is truncated or corrupt, lacks an array, or holds other arrays.
    OSError, MemoryError
        If the file cannot be opened, or the memory is too small. The file may be whole.
    """
    with file.open("rb") as content:
        with named_if_broken(file, anew):
            archive = ZipFile(content)
            members = set(archive.namelist())
            arrays = {name: announced(archive, name) for name in names if member(name) in members}
        check_arrays(file, names, arrays, fit, how)
        with named_if_broken(file, anew):
            return [read_array(archive, name) for name in names]


def member(name):
    """The file of an array in a NumPy archive."""
    return f"{name}.npy"


@contextmanager
def named_if_broken(file, anew):
    """Turn any error of a broken archive into a ValueError that names the file."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # NumPy and zipfile raise a dozen types on a broken file
        reason = str(error)[:200]  # zipfile quotes up to 64 KB of the file
        raise ValueError(f"{file} is truncated or corrupt ({reason}); {anew}") from error


def announced(archive, name):
    """An array of the shape and type in the header of a member, which takes no memory."""
    info = archive.getinfo(member(name))
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ValueError(f"{name} is packed in a way that NumPy does not use")
    with archive.open(info) as content:
        if np.lib.format.read_magic(content) != (1, 0):  # others have headers of any length
            raise ValueError(f"{name} has a header that NumPy writes for no plain array")
        shape, _, dtype = np.lib.format.read_array_header_1_0(content)
        expected = content.tell() + prod(shape) * dtype.itemsize
    if not dtype.hasobject and info.file_size != expected:
        raise ValueError(f"{name} announces {expected} bytes and holds {info.file_size}")
    return np.broadcast_to(np.empty((), dtype), shape)


def check_arrays(file, names, arrays, fit, how):
    """Refuse an archive that lacks arrays, or holds others than those that `fit`."""
    if any(array.dtype.hasobject for array in arrays.values()):
        raise ValueError(
            f"{file} holds Python objects, which are not read: save its texts by `.astype(str)`"
        )
    if len(arrays) < len(names):
        raise ValueError(f"{file} lacks {', '.join(n for n in names if n not in arrays)}. {how}")
    if not fit(*arrays.values()):
        held = [f"{name} {array.shape} of {array.dtype}" for name, array in arrays.items()]
        raise ValueError(f"{file} holds {', '.join(held)}. {how}")
    n_bytes = sum(array.nbytes for array in arrays.values())
    if n_bytes > LARGEST_ARRAYS:
        raise ValueError(
            f"{file} unpacks to {n_bytes / 1e9:.1f} GB, expected at most "
            f"{LARGEST_ARRAYS / 1e9:.1f} GB. {how}"
        )


def read_array(archive, name):
    """One array of an archive, never a pickle."""
    with archive.open(member(name)) as content:
        return np.lib.format.read_array(content, allow_pickle=False)
