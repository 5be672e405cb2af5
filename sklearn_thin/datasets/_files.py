"""Files of data sets: found and read, or named in an error."""

from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile


def find(folder, candidates, data, how):
    """The first of `candidates`, paths relative to `folder`, that exists.

    If there is none, a FileNotFoundError explains `how` to get the data.
    """
    folder = Path(folder).expanduser()
    for candidate in candidates:
        if (folder / candidate).exists():
            return folder / candidate
    where = f"the folder {folder}" if folder.is_dir() else f"{folder}, which is no folder"
    raise FileNotFoundError(f"{data}: expected {' or '.join(candidates)} in {where}. {how}")


def find_file(path, name, data, how):
    """The file at `path`, or the file `name` in the folder at `path`."""
    path = Path(path).expanduser()
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"{data}: expected the file {file}, which is not there. {how}")
    return file


def read_lines(path):
    """Pairs ("line 1", text) of a text file; empty lines are left out."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text file ({error}); download or unpack it anew") from error
    numbered = [(f"line {n}", line.strip()) for n, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise ValueError(f"{path} is empty; download or unpack it anew")
    return numbered


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

    Errors advise what to do about a broken file (`anew`), and `how` to get a right one.

    Raises
    ------
    ValueError
        For a file that is truncated or corrupt, lacks an array, or holds other arrays.
    OSError, MemoryError
        If the file cannot be opened, or the memory is too small. The file may be whole.
    """
    with file.open("rb") as content:  # np.load(file) would leave a broken archive open
        try:
            archive = np.load(content)
            if not isinstance(archive, NpzFile):
                raise ValueError("it is no archive of arrays")
            with archive:
                arrays = {name: archive[name] for name in names if name in archive}
        except MemoryError:
            raise
        except Exception as error:  # NumPy and zipfile raise a dozen types on a broken file
            if "Object arrays" in str(error):
                raise ValueError(
                    f"{file} holds Python objects, which are not read: save its texts by "
                    "`.astype(str)`"
                ) from error
            raise ValueError(f"{file} is truncated or corrupt ({error}); {anew}") from error
    if len(arrays) < len(names):
        raise ValueError(f"{file} lacks {', '.join(n for n in names if n not in arrays)}. {how}")
    if not fit(*arrays.values()):
        held = [f"{name} {array.shape} of {array.dtype}" for name, array in arrays.items()]
        raise ValueError(f"{file} holds {', '.join(held)}. {how}")
    return list(arrays.values())
