"""A disk that fails: each operation below a folder is counted, and the n-th one raises."""

import builtins
import errno
import io
import os
import signal
from contextlib import ExitStack
from unittest.mock import patch

MOST_OPERATIONS = 10_000  # of a call
PATHS = ("replace", "rename", "mkdir", "chmod")  # functions of os that take a path first
DESCRIPTORS = ("fsync", "posix_fallocate", "ftruncate")  # those that take an open file


class Disk:
    """Fails at the n-th operation below the folder, where a write leaves half of its bytes.

    Operations open a file to write, write, truncate, flush and close it, synchronise it, or
    make, rename or change an entry of a folder. None counts them, and fails at none.

    Parameters
    ----------
    folder : path
    fails_at : int or None
    number : int, default=errno.ENOSPC
        The error's: a full disk, or `errno.EIO` of a broken disk.
    kills : bool, default=False
        Whether the process is killed instead.
    """

    def __init__(self, folder, fails_at=None, number=errno.ENOSPC, *, kills=False):
        self.folder, self.fails_at = os.path.realpath(folder), fails_at
        self.number, self.kills, self.done = number, kills, 0

    def step(self, *path):
        """One operation; the system's errors name a path, except for those of open files."""
        self.done += 1
        if self.done != self.fails_at:
            return
        if self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.number, os.strerror(self.number), *path)

    @property
    def failed(self):
        return self.fails_at is not None and self.done >= self.fails_at

    def __enter__(self):
        with ExitStack() as stack:
            opened = self._open(io.open)
            for owner in (builtins, io):
                stack.enter_context(patch.object(owner, "open", opened))
            for name in PATHS:
                stack.enter_context(patch.object(os, name, self._of_path(getattr(os, name))))
            for name in DESCRIPTORS:
                stack.enter_context(patch.object(os, name, self._of_file(getattr(os, name))))
            self.patches = stack.pop_all()
        return self

    def __exit__(self, *error):
        self.patches.close()

    def holds(self, path):
        return isinstance(path, (str, os.PathLike)) and os.path.realpath(path).startswith(
            self.folder
        )

    def _of_path(self, call):
        def attempt(path, *args, **kwargs):
            if self.holds(path):
                self.step(path)
            return call(path, *args, **kwargs)

        return attempt

    def _of_file(self, call):
        def attempt(file, *args):
            descriptor = file if isinstance(file, int) else file.fileno()
            if self.holds(f"/proc/self/fd/{descriptor}"):
                self.step()
            return call(descriptor, *args)

        return attempt

    def _open(self, call):
        def attempt(path, mode="r", *args, **kwargs):
            writes = self.holds(path) and set(mode) & set("wxa+")
            if writes:
                self.step(path)
            file = call(path, mode, *args, **kwargs)
            return FailingFile(file, self) if writes else file

        return attempt


class FailingFile:
    """A file whose writes, flushes and end, if it was written to, are operations of a disk."""

    def __init__(self, file, disk):
        self.file, self.disk, self.written = file, disk, False

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        self.written = True
        try:
            self.disk.step()
        except OSError:
            self.file.write(content[: len(content) // 2])
            raise
        return self.file.write(content)

    def flush(self):
        self.disk.step()
        self.file.flush()

    def truncate(self, *args):
        self.disk.step()
        return self.file.truncate(*args)

    def close(self):
        try:
            if self.written and not self.file.closed:
                self.disk.step()
        finally:
            self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def at_each_operation(folder, number=errno.ENOSPC):
    """Yield disks that fail at the first operation, at the second, until one has none left.

    The caller runs one call inside each.
    """
    for fails_at in range(1, MOST_OPERATIONS):
        disk = Disk(folder, fails_at, number)
        yield disk
        if not disk.failed:
            return
    raise AssertionError("the call has no end")
