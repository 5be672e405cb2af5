"""Files of users: their paths, checked before any work, and their writing, whole or not at all."""

import errno
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path


def checked_path(path):
    """The path of a file to write, as text; OSError where no file can be, or another thing is.

    A device, or a pipe, is refused: the file would replace it.
    """
    path = os.fsdecode(path)
    place = Path(os.path.realpath(path))
    if not place.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder of the file does not exist", path)
    is_folder = place.is_dir() or path.endswith(tuple(filter(None, (os.sep, os.altsep))))
    if is_folder or not path:
        raise IsADirectoryError(errno.EISDIR, "path must name a file, and names a folder", path)
    if place.exists() and not place.is_file():
        raise OSError(errno.EINVAL, "path must name a file, and names a device or a pipe", path)
    return path


def write_whole(path, parts):
    """Write the parts to a file that appears whole or not at all, also after a power cut.

    An OSError names the file, where those of writes name none, or a temporary file.
    """
    whole = Path(os.path.realpath(path))  # a link stays a link
    written = whole.with_name(f".{whole.name[:32]}.{secrets.token_hex(8)}")  # of at most 255 bytes
    try:
        with open(written, "xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(whole, written)
        os.replace(written, whole)
        if os.name == "posix":  # so that the new name outlives a power cut too
            folder = os.open(whole.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except BaseException as error:
        with suppress(OSError):  # the first error counts
            written.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
