"""MNIST is found or downloaded whole, or not at all; its subsets turn in ways of their own."""

import gzip
import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from sklearn.utils import check_random_state

from sklearn_thin._compat import import_torchvision
from sklearn_thin.datasets import _mnist, fetch_mnist_r, fetch_mnist_rs
from sklearn_thin.datasets._rotated import rotate

MNIST = import_torchvision().datasets.MNIST
SIZES = {"train": 60_000, "t10k": 10_000}
REAL = _mnist.DIGESTS


def idx(array):
    """A uint8 array as the bytes of an IDX file."""
    header = np.array([0x800 + array.ndim, *array.shape], dtype=">i4")
    return header.tobytes() + array.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with files of MNIST's size, taken for MNIST's own.

    Image i shows a bar, its digit is i % 10.
    """
    root = tmp_path_factory.mktemp("data")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, n_images in SIZES.items():
        images = np.zeros((n_images, 28, 28), dtype=np.uint8)
        images[:, 10:14, 4:24] = 100 + np.arange(n_images)[:, None, None] % 10
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.arange(n_images) % 10))
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in raw.iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_mnist, "DIGESTS", digests)
        yield root


@pytest.fixture
def linked(root, tmp_path):
    """A folder whose files are links to those of `root`, so that one can be replaced."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (root / "MNIST" / "raw").iterdir():
        (raw / file.name).symlink_to(file)
    return tmp_path


def replace(root, name, content):
    file = root / "MNIST" / "raw" / name
    file.unlink()
    file.write_bytes(content)
    return file


@pytest.fixture(scope="module")
def archives(root, tmp_path_factory):
    """The files of `root`, packed as a mirror has them."""
    folder = tmp_path_factory.mktemp("archives")
    for file in (root / "MNIST" / "raw").iterdir():
        packed = gzip.compress(file.read_bytes(), compresslevel=1)
        (folder / f"{file.name}.gz").write_bytes(packed)
    return folder


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; of a file named in the server's `cut` only a half."""

    def log_message(self, *args):
        pass

    def copyfile(self, source, outputfile):
        content = source.read()
        self.server.served.append(self.path)
        cut = self.path.lstrip("/") in self.server.cut
        outputfile.write(content[: len(content) // 2] if cut else content)


@pytest.fixture
def mirror(archives, monkeypatch):
    """A server on this machine that torchvision takes for its only mirror."""
    handler = partial(Handler, directory=str(archives))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.cut, server.served = set(), []
        resources = [
            (file.name, hashlib.md5(file.read_bytes()).hexdigest())
            for file in sorted(archives.iterdir(), reverse=True)  # train before t10k
        ]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(MNIST, "resources", resources)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def turned(root):
    return fetch_mnist_r(data_home=root, subset="test", download_if_missing=False)


def test_images_are_mnists_turned_by_the_angles_reported(root, turned):
    assert turned.images.shape == (10_000, 28, 28)
    assert turned.images.dtype == np.uint8
    np.testing.assert_array_equal(turned.target, np.arange(10_000) % 10)
    np.testing.assert_array_equal(turned.target_names, np.arange(10))
    plain = MNIST(root, train=False).data.numpy()
    np.testing.assert_array_equal(turned.images, rotate(plain, turned.angles))
    np.testing.assert_array_equal(turned.index, np.arange(10_000))
    assert "10,000 images, rotated by continuous angles of -90 to 90" in turned.DESCR
    assert "scales" not in turned


def test_all_options_of_the_rotation_are_taken(root):
    data = fetch_mnist_rs(
        data_home=root,
        subset="test",
        angles="discrete",
        interpolation="nearest",
        max_angle=30,
        n_bins=6,
        scale=(0.8, 1.2),
        n_scale_bins=4,
        n_copies=2,
    )
    assert len(data.images) == 20_000
    np.testing.assert_array_equal(data.target, np.tile(np.arange(10_000) % 10, 2))
    np.testing.assert_allclose(data.angles, data.angle_bins * 10 - 25)
    assert set(np.unique(data.images)) == {0, *range(100, 110)}
    np.testing.assert_array_equal(data.scale_bins, ((data.scales - 0.8) / 0.1).astype(int))
    assert "scaled by 0.8 to 1.2 in 4 bins; nearest interpolation" in data.DESCR


def test_mnist_rs_has_the_papers_bins_and_mnist_rs_angles(root, turned):
    data = fetch_mnist_rs(data_home=root, subset="test")
    np.testing.assert_array_equal(data.angles, turned.angles)
    assert set(data.angle_bins) == set(range(18))
    assert set(data.scale_bins) == set(range(10))
    assert data.scales.min() >= 0.5
    assert data.scales.max() < 1
    plain = MNIST(root, train=False).data.numpy()
    np.testing.assert_array_equal(data.images, rotate(plain, data.angles, data.scales))


def test_the_subsets_turn_in_ways_of_their_own(root, turned):
    train = fetch_mnist_r(data_home=root)
    assert train.images.shape == (60_000, 28, 28)
    assert abs(np.corrcoef(train.angles[:10_000], turned.angles)[0, 1]) < 0.05


def test_a_random_state_decides_and_leaves_the_global_generator_alone(root, turned):
    before = check_random_state(None).get_state()[1].copy()
    again, other = (
        fetch_mnist_r(data_home=root, subset="test", random_state=seed) for seed in (0, 1)
    )
    np.testing.assert_array_equal(again.images, turned.images)
    assert abs(np.corrcoef(other.angles, turned.angles)[0, 1]) < 0.05
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], before)


def test_images_and_target_alone(root, turned):
    images, target = fetch_mnist_r(data_home=str(root), subset="test", return_X_y=True)
    np.testing.assert_array_equal(images, turned.images)
    np.testing.assert_array_equal(target, turned.target)


def test_scikit_learns_data_home_is_the_default(root, turned, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(root))
    data = fetch_mnist_r(subset="test", download_if_missing=False)
    np.testing.assert_array_equal(data.images, turned.images)


def test_the_real_digits(data_dir, monkeypatch):
    monkeypatch.setattr(_mnist, "DIGESTS", REAL)
    fetch_mnist_r(data_home=data_dir, download_if_missing=False)
    data = fetch_mnist_rs(data_home=data_dir, subset="test", download_if_missing=False)
    assert data.target[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    plain = MNIST(data_dir, train=False).data.numpy()
    np.testing.assert_array_equal(data.images, rotate(plain, data.angles, data.scales))


# ----------------------------------------------------------------------- what is not there


@pytest.mark.parametrize("fetch", [fetch_mnist_r, fetch_mnist_rs])
def test_missing_data_are_named_and_nothing_is_made(fetch, tmp_path):
    home = tmp_path / "nothing"
    expected = r"train-images-idx3-ubyte, train-labels-idx1-ubyte in .*nothing.MNIST.raw\. "
    with pytest.raises(OSError, match=f"{expected}download_if_missing=True downloads"):
        fetch(data_home=home, download_if_missing=False)
    assert not home.exists()


def test_a_file_or_folder_in_the_way_is_named_before_any_download(monkeypatch, tmp_path):
    monkeypatch.setattr(_mnist, "import_torchvision", None)
    (tmp_path / "file").write_text("a file")
    with pytest.raises(OSError, match=r"^MNIST: the folder .*file cannot be made .*another data_h"):
        fetch_mnist_r(data_home=tmp_path / "file")
    folder = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    folder.mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=f"^MNIST: expected the file {folder}, got a fold"):
        fetch_mnist_r(data_home=tmp_path)


def test_a_single_missing_file_is_named_where_it_is_needed(linked):
    (linked / "MNIST" / "raw" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(OSError, match="MNIST: expected train-labels-idx1-ubyte in"):
        fetch_mnist_r(data_home=linked, download_if_missing=False)
    fetch_mnist_r(data_home=linked, subset="test", download_if_missing=False)


def test_files_of_older_versions_are_not_preferred_to_those_that_are_checked(linked, turned):
    (linked / "MNIST" / "processed").mkdir()
    for name in ("training.pt", "test.pt"):
        (linked / "MNIST" / "processed" / name).write_bytes(b"")
    again = fetch_mnist_r(data_home=linked, subset="test", download_if_missing=False)
    np.testing.assert_array_equal(again.images, turned.images)


@pytest.mark.parametrize("keep", [0, 3, 16, 1_000_000])
def test_a_truncated_file_is_named_with_its_size(linked, keep):
    name = "t10k-images-idx3-ubyte"
    file = linked / "MNIST" / "raw" / name
    file = replace(linked, name, file.read_bytes()[:keep])
    expected = f"{name} is truncated or corrupt: expected 7840016 bytes, got {keep}; delete"
    with pytest.raises(ValueError, match=expected):
        fetch_mnist_r(data_home=linked, subset="test")
    assert file.stat().st_size == keep


@pytest.mark.parametrize("byte", [2, 3, 7])
def test_a_header_of_another_kind_is_named(linked, byte):
    name = "t10k-labels-idx1-ubyte"
    content = bytearray((linked / "MNIST" / "raw" / name).read_bytes())
    content[byte] ^= 1
    replace(linked, name, bytes(content))
    with pytest.raises(ValueError, match=f"{name} is corrupt: expected it to begin with 00000801"):
        fetch_mnist_r(data_home=linked, subset="test")


def test_a_label_that_is_no_digit_is_named(linked):
    name = "t10k-labels-idx1-ubyte"
    replace(linked, name, idx(np.r_[np.arange(9_999) % 10, 10]))
    with pytest.raises(ValueError, match=rf"{name} is corrupt: .* got 0, .*, 9, 10; delete"):
        fetch_mnist_r(data_home=linked, subset="test", own_files=True)


def test_files_of_the_right_size_that_are_half_zeros_are_named(linked):
    labels, images = "t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"
    whole = (linked / "MNIST" / "raw" / images).read_bytes()
    replace(linked, labels, idx(np.zeros(10_000)))
    with pytest.raises(ValueError, match=rf"{labels} is corrupt: .* got 0; delete"):
        fetch_mnist_r(data_home=linked, subset="test", own_files=True)
    replace(linked, images, whole[: 16 + 784 * 5_000] + bytes(784 * 5_000))
    with pytest.raises(ValueError, match=rf"{images} is corrupt: 5000 images are blank; delete"):
        fetch_mnist_r(data_home=linked, subset="test", own_files=True)


def swapped(content):
    """An IDX file with its last two rows of 784 bytes exchanged."""
    return content[:-1568] + content[-784:] + content[-1568:-784]


OTHERS = {
    "another pixel": ("t10k-images-idx3-ubyte", lambda content: content[:-300] + b"\1" * 300),
    "another order": ("t10k-images-idx3-ubyte", swapped),
    "other labels": ("t10k-labels-idx1-ubyte", lambda content: content[:8] + content[:7:-1]),
}


@pytest.mark.parametrize("how", OTHERS)
def test_files_that_are_not_mnists_are_named_unless_they_are_ones_own(linked, how):
    name, change = OTHERS[how]
    file = linked / "MNIST" / "raw" / name
    replace(linked, name, change(file.read_bytes()))
    expected = rf"{name} is not MNIST's: expected the SHA-256 digest \w{{64}}, got \w{{64}}; delete"
    for fetch in (fetch_mnist_r, fetch_mnist_rs):
        with pytest.raises(ValueError, match=f"{expected} it .*own_files=True"):
            fetch(data_home=linked, subset="test")
        assert len(fetch(data_home=linked, subset="test", own_files=True).images) == 10_000


def test_ones_own_files_are_never_completed_by_mnists(mirror, linked):
    (linked / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="expected t10k-labels-idx1-ubyte in"):
        fetch_mnist_r(data_home=linked, subset="test", own_files=True)
    assert not mirror.served


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_header_that_announces_more_than_the_file_holds_is_named(linked, axis):
    name = "t10k-images-idx3-ubyte"
    content = bytearray((linked / "MNIST" / "raw" / name).read_bytes())
    content[4 + 4 * axis : 8 + 4 * axis] = b"\x7f\xff\xff\xff"
    replace(linked, name, bytes(content))
    with pytest.raises(ValueError, match=f"{name} is corrupt: expected it to begin with 00000803"):
        fetch_mnist_r(data_home=linked, subset="test", own_files=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subset", "all"),
        ("angles", "some"),
        ("n_copies", 0),
        ("n_bins", 18.0),
        ("max_angle", "90"),
        ("data_home", 1),
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_is_read(name, value, tmp_path):
    with pytest.raises(ValueError, match=f"'{name}' parameter of fetch_mnist_rs .*Got {value!r}"):
        fetch_mnist_rs(**{"data_home": tmp_path, name: value})
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [(1, 0.5), "12", ("0.5", "1")])
def test_a_range_of_scales_that_is_none_is_refused_before_anything_is_read(scale, tmp_path):
    with pytest.raises(ValueError, match="scale must be None or"):
        fetch_mnist_rs(data_home=tmp_path, download_if_missing=False, scale=scale)


# ----------------------------------------------------------------------- downloads


def test_what_is_missing_is_downloaded_once(mirror, tmp_path, turned):
    home = tmp_path / "new" / "home"
    data = fetch_mnist_r(data_home=home, subset="test")
    np.testing.assert_array_equal(data.images, turned.images)
    n_served = len(mirror.served)
    fetch_mnist_r(data_home=home, subset="test")
    assert len(mirror.served) == n_served
    assert [path.name for path in home.iterdir()] == ["MNIST"]
    files = sorted(path.name for path in (home / "MNIST" / "raw").iterdir())
    assert files == sorted(
        f"{prefix}-{kind}-ubyte" for prefix in SIZES for kind in ("images-idx3", "labels-idx1")
    )


def test_files_that_are_there_are_left_as_they_are(mirror, linked):
    raw = linked / "MNIST" / "raw"
    (raw / "t10k-labels-idx1-ubyte").unlink()
    fetch_mnist_r(data_home=linked, subset="test")
    assert not (raw / "t10k-labels-idx1-ubyte").is_symlink()
    assert (raw / "t10k-images-idx3-ubyte").is_symlink()


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_of_a_download_cut_off_half_way_nothing_is_taken_for_whole(mirror, tmp_path, turned, name):
    mirror.cut.add(name)
    with pytest.raises(OSError, match=r"download .* failed, and no part of a file was kept"):
        fetch_mnist_r(data_home=tmp_path, subset="test")
    assert mirror.served  # it did get half of something
    assert not any(tmp_path.iterdir())
    mirror.cut.clear()
    data = fetch_mnist_r(data_home=tmp_path, subset="test")
    np.testing.assert_array_equal(data.images, turned.images)


def test_no_mirror_within_reach_is_an_oserror(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:1/"])
    with pytest.raises(OSError, match=r"(?s)the download to .* failed.*put MNIST's four files"):
        fetch_mnist_r(data_home=tmp_path)
    assert not any(tmp_path.iterdir())


KILLED = """
import os, sys
import sklearn_thin.datasets._mnist as mnist
from sklearn_thin._compat import import_torchvision

home, mirror, *resources = sys.argv[1:]
reader = import_torchvision().datasets.MNIST
reader.mirrors, reader.resources = [mirror], [pair.split(":") for pair in resources]
replace, calls = os.replace, []
os.replace = lambda *paths: os._exit(9) if calls else calls.append(replace(*paths))
mnist.fetch_mnist_r(data_home=home)
"""


def test_a_killed_download_is_completed_and_its_remains_are_removed(mirror, tmp_path, turned):
    resources = [":".join(pair) for pair in MNIST.resources]
    command = [sys.executable, "-c", KILLED, str(tmp_path), MNIST.mirrors[0], *resources]
    assert subprocess.run(command, check=False).returncode == 9
    (remains,) = tmp_path.glob(".mnist-*")
    with pytest.raises(FileNotFoundError, match=r"MNIST: expected t10k-.*-ubyte in"):
        fetch_mnist_r(data_home=tmp_path, subset="test", download_if_missing=False)
    os.utime(remains, (0, 0))
    data = fetch_mnist_r(data_home=tmp_path, subset="test")
    np.testing.assert_array_equal(data.images, turned.images)
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]


def test_the_folder_of_a_running_download_is_left_alone(mirror, tmp_path):
    (tmp_path / ".mnist-running").mkdir()
    fetch_mnist_r(data_home=tmp_path, subset="test")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mnist-running", "MNIST"]


def test_two_downloads_at_once_are_both_whole(mirror, tmp_path, turned):
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(fetch_mnist_r, data_home=tmp_path, subset="test") for _ in range(2)]
        for call in calls:
            np.testing.assert_array_equal(call.result().images, turned.images)
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]
