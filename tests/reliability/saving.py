"""Saved files under faults: killed saves, full disks, damaged, foreign and hostile files.

    python -m tests.reliability.saving --kills 200 --flips 1000

prints how many endings of each fault are expected and found. The instants, the places and the bits
depend on `--seed`. It needs Linux, for forked processes and /proc.
"""

import argparse
import errno
import io
import json
import os
import pickle
import resource
import signal
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np
import torch
from sklearn.datasets import load_iris

from sklearn_thin import _saving, load, save
from tests.helpers import small
from tests.hostile import ARCHIVES, ATTACKS, Ran, attacked, members_of, signed, zipped
from tests.reliability.disk import MOST_OPERATIONS, Disk, at_each_operation

MOST = 2**25  # bytes that the refusal of a file may take
EVENTS = {"pickle.find_class", "os.system", "subprocess.Popen", "ctypes.dlopen"}


class Files:
    """Two models, and a file of the old one in a folder of its own."""

    def __init__(self, folder):
        self.path = Path(folder) / "model.thin"
        self.X, y = load_iris(return_X_y=True)
        self.old, self.new = (small(random_state=seed).fit(self.X, y) for seed in (0, 1))
        save(self.old, self.path)
        self.content = self.path.read_bytes()

    def restore(self):
        self.path.write_bytes(self.content)

    def found(self):
        """ "old" or "new", as the file predicts, or "broken"."""
        try:
            proba = load(self.path).predict_proba(self.X)
        except (OSError, ValueError):
            return "broken"
        models = {"old": self.old, "new": self.new}
        same = [n for n, m in models.items() if (m.predict_proba(self.X) == proba).all()]
        return same[0] if same else "broken"

    def others(self):
        return [path for path in self.path.parent.iterdir() if path != self.path]

    def clear(self):
        for path in self.others():
            path.unlink()

    def refused(self, content):
        """Whether `load` refuses the bytes with the name of the file and a reason."""
        self.path.write_bytes(content)
        return self.is_refused()

    def is_refused(self):
        try:
            load(self.path)
        except ValueError as error:
            return str(error).startswith(f"{self.path} is not loaded: ")
        return False


# ------------------------------------------------------------------ killed


def kills(files, number, rng):
    """Endings of saves that are killed: half anywhere, and half while the file is written."""
    endings = Counter()
    duration = [seconds_of(files, writing) for writing in (False, True)]
    for writing in np.arange(number) % 2:
        files.restore()
        child, started = forked(files, writing)
        os.read(started, 1)
        time.sleep(rng.uniform(0, duration[writing]))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(started)
        endings["while it was written"] += len(files.others())
        files.clear()
        endings[files.found()] += 1
    return endings


def forked(files, writing):
    """A process that saves the new model, and a pipe that gets a byte at its start and at its end.

    The start is that of the save, or of its last part, which writes.
    """
    started, start = os.pipe()
    child = os.fork()
    if child:
        os.close(start)
        return child, started
    write_whole = _saving.write_whole
    if writing:
        _saving.write_whole = lambda *args: (os.write(start, b"."), write_whole(*args))
    else:
        os.write(start, b".")
    save(files.new, files.path)
    os.write(start, b".")
    os._exit(0)


def seconds_of(files, writing):
    """Median duration of a save, or of its last part, in a process of its own."""
    seconds = []
    for _ in range(5):
        child, started = forked(files, writing)
        os.read(started, 1)
        start = time.perf_counter()
        os.read(started, 1)
        seconds.append(time.perf_counter() - start)
        os.waitpid(child, 0)
        os.close(started)
    return np.median(seconds)


# ------------------------------------------------------------------ full disks


def full_disks(files):
    """Endings of saves of which each operation fails in turn, until one has none left."""
    endings = Counter()
    for disk in at_each_operation(files.path.parent):
        files.restore()
        try:
            with disk:
                save(files.new, files.path)
        except OSError as error:
            endings["raised"] += error.errno == errno.ENOSPC
        if disk.failed:
            endings[files.found() if not files.others() else "with another file"] += 1
    return endings


def kills_at_each_operation(files):
    """Endings of saves that are killed at each operation in turn, until one has none left."""
    endings = Counter()
    for fails_at in range(1, MOST_OPERATIONS):
        files.restore()
        child = os.fork()
        if child == 0:
            with Disk(files.path.parent, fails_at, kills=True):
                save(files.new, files.path)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return endings
        files.clear()
        endings[files.found()] += 1
    raise AssertionError("a save has no end")


def small_disks(files, number):
    """Endings of saves under a limit of the system on the size of a file."""
    endings = Counter()
    for size in np.linspace(0, 0.99 * len(files.content), number).astype(int).tolist():
        files.restore()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            try:
                save(files.new, files.path)
            except OSError:
                os._exit(0)
            os._exit(1)
        endings["raised"] += os.waitpid(child, 0)[1] == 0
        endings[files.found() if not files.others() else "with another file"] += 1
    return endings


# ------------------------------------------------------------------ damaged


def flips(files, number, rng):
    """How many files with one other bit are refused."""
    refused = 0
    for place in rng.integers(8 * len(files.content), size=number):
        content = bytearray(files.content)
        content[place // 8] ^= 1 << (place % 8)
        refused += files.refused(content)
    return refused


def cuts(files, step):
    """How many files that end early are tried and refused."""
    files.restore()
    lengths = range(len(files.content) - 1, -1, -step)
    refused = 0
    for length in lengths:
        os.truncate(files.path, length)
        refused += files.is_refused()
    return len(lengths), refused


# ------------------------------------------------------------------ foreign and hostile


def foreign(files):
    """Bytes of other programs, and of archives that `save` does not write."""
    array = io.BytesIO()
    np.save(array, files.X)
    arrays = io.BytesIO()
    np.savez(arrays, X=files.X)
    yield from (b"", b"\n", b"{}", _saving.MAGIC, _saving.MAGIC * 9, b"\x89PNG\r\n\x1a\n" * 9)
    yield from (array.getvalue(), arrays.getvalue(), zipped(members_of(files.content)))
    yield from (signed(archive) for archive, _ in ARCHIVES)
    yield from (attacked(files.content, attack) for attack, _ in ATTACKS)


def bombs(files):
    """Archives of 100 kB that unpack to 100 MB, in several places."""
    members = members_of(files.content)
    for name in ("schema.json", "1.npy", "1.bin", "1.npz"):
        bomb = io.BytesIO()
        with (
            zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(name, "w", force_zip64=True) as member,
        ):
            for _ in range(100):
                member.write(bytes(10**6))
        yield signed(bomb.getvalue())
        yield signed(zipped({**members, "1.npz": bomb.getvalue()}))


def pickles(files):
    """Files that run code where a pickle is read."""
    members = members_of(files.content)
    array = next(name for name in members if name.endswith(".npy"))
    for dump in (pickle.dump, joblib.dump, torch.save):
        file = io.BytesIO()
        dump(Ran(), file)
        yield file.getvalue()
        yield _saving.MAGIC + file.getvalue()
        for name in ("schema.json", "1.pkl", "1.npy", "data.pkl"):
            yield signed(zipped({name: file.getvalue()}))
        yield signed(zipped({**members, array: file.getvalue()}))
    objects = io.BytesIO()
    np.save(objects, np.array([Ran()], dtype=object), allow_pickle=True)
    yield signed(zipped({**members, array: objects.getvalue()}))
    for module, kind in (("os", "system"), ("builtins", "exec"), ("pickle", "loads")):
        schema = json.loads(members["schema.json"])
        text = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"}
        arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode"}
        arguments["content"] = [{**text, "content": '"touch ran"'}]
        for loader in ("ConstructorFromReduceNode", "FunctionNode", "TypeNode", "ObjectNode"):
            node = {"__module__": module, "__class__": kind, "__loader__": loader}
            schema["content"]["content"]["depth"] = {**node, "content": arguments}
            yield signed(zipped({**members, "schema.json": json.dumps(schema)}))


def hostile(files):
    """Files by kind: how many are tried and refused; what ran; bytes that the refusals took."""
    events, watching = [], False

    def hook(event, args):
        if watching and event in EVENTS:
            events.append((event, args))

    sys.addaudithook(hook)
    watching = True
    pickle.loads(pickle.dumps(Ran()))
    assert events, "the hook hears a pickle"
    assert Ran.marks, "a pickle leaves its mark"
    watching = False
    events.clear()
    Ran.marks.clear()
    counts, growth = {}, 0
    for kind in (foreign, bombs, pickles):
        tried = refused = 0
        for content in kind(files):
            files.path.write_bytes(content)
            before = memory(reset=True)
            watching = True
            tried, refused = tried + 1, refused + files.is_refused()
            watching = False
            growth = max(growth, memory() - before)
        counts[kind.__name__] = tried, refused
    return counts, len(events) + len(Ran.marks), growth


def memory(reset=False):
    """Bytes of memory that this process had at most, since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


# ------------------------------------------------------------------ counts


def count(*, n_kills, n_flips, step=1, seed=0):
    """Rows (fault, expected, found), and remarks."""
    rng = np.random.default_rng(seed)
    with TemporaryDirectory() as folder:
        files = Files(folder)
        killed, each = kills(files, n_kills, rng), kills_at_each_operation(files)
        full, limited = full_disks(files), small_disks(files, 20)
        flipped, cut = flips(files, n_flips, rng), cuts(files, step)
        refused, ran, growth = hostile(files)
    n_full = full.total() - full["raised"]
    rows = [
        ("killed saves: a whole file, old or new", n_kills, killed["old"] + killed["new"]),
        ("killed at each operation: a whole file", each.total(), each["old"] + each["new"]),
        ("full disk at each operation: a whole file", n_full, full["old"] + full["new"]),
        ("full disk at each operation: OSError", n_full, full["raised"]),
        (
            "limited size of a file: the old file, OSError",
            20,
            min(limited["old"], limited["raised"]),
        ),
        ("flipped bits: refused", n_flips, flipped),
        ("files that end early: refused", *cut),
        ("foreign files, claims of terabytes: refused", *refused["foreign"]),
        ("archives of 100 kB that unpack to 100 MB: refused", *refused["bombs"]),
        ("pickles, calls of functions: refused", *refused["pickles"]),
        ("events of pickle, of the system, of marks: none", 0, ran),
        (f"refusals that took over {MOST // 2**20} MiB: none", 0, int(growth > MOST)),
    ]
    remarks = [
        f"killed saves left {killed['old']} old and {killed['new']} new files; "
        f"{killed['while it was written']} died while they wrote",
        f"kills at each operation left {each['old']} old and {each['new']} new files",
        f"full disks left {full['old']} old and {full['new']} new files",
        f"a refusal took {growth / 2**20:.1f} MiB at most; a file has {len(files.content):,} bytes",
    ]
    return rows, remarks


def print_counts(rows, remarks):
    print("| fault | expected | found |\n| --- | --- | --- |")
    for fault, expected, found in rows:
        print(f"| {fault} | {expected:,} | {found:,} |")
    for remark in remarks:
        print(f"- {remark}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--step", type=int, default=1, help="bytes from one cut to the next")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, remarks = count(n_kills=args.kills, n_flips=args.flips, step=args.step, seed=args.seed)
    print_counts(rows, remarks)
    sys.exit(any(expected != found for _, expected, found in rows))


if __name__ == "__main__":
    main()
