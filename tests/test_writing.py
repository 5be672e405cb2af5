"""Full and broken disks: no call leaves half a file, and its error names the file."""

import errno
import sys

import pytest

from sklearn_thin import save
from tests.helpers import run_python, small

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
QUICK = ["ToNumpy", "MemoryMap", "Hdf5", "TorchDataset", "Heart"]


@pytest.mark.parametrize("disk", ["full", "broken"])
@pytest.mark.parametrize("call", QUICK)
def test_each_operation_of_a_call_that_writes_may_fail(call, disk):
    if call == "Hdf5":
        pytest.importorskip("h5py")
    from tests.reliability import writing

    found, as_promised = writing.endings(getattr(writing, call), disk)
    assert as_promised, found


@pytest.mark.long
def test_each_operation_of_every_call_that_writes_may_fail():
    done = run_python("-m", "tests.reliability.writing")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_error_names_the_file_and_not_a_temporary_one(tmp_path):
    path = tmp_path / "nowhere" / "model.thin"
    with pytest.raises(FileNotFoundError) as caught:
        save(small(), path)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(path)
