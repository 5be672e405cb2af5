"""Fashion-MNIST is read from its owner's packed files, and its subsets turn."""

import gzip
import hashlib

import numpy as np
import pytest

from sklearn_thin.datasets import _fashion, _owners, fetch_fashion_r
from sklearn_thin.datasets._rotated import rotate


def idx(array):
    """A uint8 array as the bytes of an IDX file."""
    header = np.array([0x800 + array.ndim, *array.shape], dtype=">i4")
    return header.tobytes() + array.astype(np.uint8).tobytes()


def upright(n_images):
    """Images that show a bar; each has its own gray."""
    images = np.zeros((n_images, 28, 28), dtype=np.uint8)
    images[:, 10:14, 4:24] = 100 + np.arange(n_images)[:, None, None]
    return images, np.arange(n_images) % 10


@pytest.fixture
def owner(tmp_path, monkeypatch):
    """A folder that is taken for the owner's server."""
    folder, digests = tmp_path / "owner", {}
    folder.mkdir()
    for prefix, n_images in (("train", 30), ("t10k", 20)):
        for kind, array in zip(("images-idx3", "labels-idx1"), upright(n_images), strict=True):
            packed = gzip.compress(idx(array))
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(packed)
            digests[f"{prefix}-{kind}-ubyte"] = hashlib.sha256(packed).hexdigest()
    monkeypatch.setattr(_fashion, "OWNER", f"file://localhost{folder}/")
    monkeypatch.setattr(_fashion, "DIGESTS", digests)
    monkeypatch.setattr(_owners, "RETRIES", {"n_retries": 0, "delay": 0})
    return folder


@pytest.mark.parametrize(("subset", "n_images"), [("train", 30), ("test", 20)])
def test_images_turn_by_the_angles_of_their_bins(owner, tmp_path, subset, n_images):
    data = fetch_fashion_r(data_home=tmp_path, subset=subset)
    images, labels = upright(n_images)
    np.testing.assert_array_equal(data.images, rotate(images, data.angles))
    np.testing.assert_array_equal(data.target, labels)
    np.testing.assert_array_equal(data.angle_bins, (data.angles + 180) // 45)
    assert data.target_names[data.target[9]] == "Ankle boot"
    assert np.ptp(data.angles) > 250
    X, y = fetch_fashion_r(data_home=tmp_path, subset=subset, return_X_y=True)
    np.testing.assert_array_equal(X, data.images)
    np.testing.assert_array_equal(y, data.target)


def test_options_of_the_rotation_are_passed_on(owner, tmp_path):
    options = {"max_angle": 45, "n_bins": 3, "n_copies": 2, "angles": "discrete"}
    data = fetch_fashion_r(data_home=tmp_path, interpolation="nearest", **options)
    assert len(data.images) == len(data.target) == 60
    assert set(data.angles) == {-30, 0, 30}
    np.testing.assert_array_equal(data.target, upright(30)[1][data.index])
    assert set(np.unique(data.images)) <= {0, *range(100, 130)}


def test_equal_images_of_the_subsets_turn_by_other_angles(owner, tmp_path):
    train, test = (fetch_fashion_r(data_home=tmp_path, subset=name) for name in ("train", "test"))
    assert not np.isin(test.angles, train.angles).any()
    other = fetch_fashion_r(data_home=tmp_path, random_state=1)
    assert not np.isin(other.angles, train.angles).any()


def test_only_the_files_of_the_subset_are_downloaded_where_torchvision_has_them(owner, tmp_path):
    fetch_fashion_r(data_home=tmp_path, subset="test")
    files = {file.name for file in (tmp_path / "FashionMNIST" / "raw").iterdir()}
    assert files == {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"}


def test_missing_cut_and_foreign_files_are_named(owner, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected train-images-idx3-ubyte.gz in .*26 MB"):
        fetch_fashion_r(data_home=tmp_path, download_if_missing=False)
    fetch_fashion_r(data_home=tmp_path)
    file = tmp_path / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte.gz"
    for content in (file.read_bytes()[:-9], gzip.compress(idx(np.zeros(30)))):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{file} is truncated, corrupt or another version"):
            fetch_fashion_r(data_home=tmp_path)


def test_arguments_are_checked_before_a_download(owner, tmp_path):
    with pytest.raises(ValueError, match="'subset' parameter of fetch_fashion_r must be"):
        fetch_fashion_r(data_home=tmp_path, subset="all")
    with pytest.raises(ValueError, match="'max_angle' parameter of fetch_fashion_r must be"):
        fetch_fashion_r(data_home=tmp_path, max_angle=200)
    assert not (tmp_path / "FashionMNIST").exists()
