"""Archives of UCI's data sets in small are read, downloaded whole, or named in an error."""

import hashlib
import re
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_thin.datasets import (
    _owners,
    _uci,
    fetch_heart_sites,
    fetch_hydraulic,
    fetch_wine_quality,
)

HEART = {
    "processed.cleveland.data": "63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,0\n"
    "67.0,1.0,4.0,160.0,286.0,0.0,2.0,108.0,1.0,1.5,2.0,3.0,?,2\n",
    "processed.hungarian.data": "28,1,2,130,132,0,2,185,0,0,?,?,?,0\n",
    "processed.switzerland.data": "32,1,1,95,0,?,0,127,0,.7,1,?,?,1\n",
    "processed.va.data": "63,1,4,140,260,0,1,112,1,3,2,?,?,4\n",
    "heart-disease.names": "not read",
}
HEADER = ";".join(f'"{name}"' for name in (*_uci.WINE_FEATURES, "quality"))
WINE = {
    "winequality-red.csv": f"{HEADER}\n7.4;0.7;0;1.9;0.076;11;34;0.9978;3.51;0.56;9.4;5\n"
    "7.8;0.88;0;2.6;0.098;25;67;0.9968;3.2;0.68;9.8;6\n"
    "7.4;0.7;0;1.9;0.076;11;34;0.9978;3.51;0.56;9.4;5\n",
    "winequality-white.csv": f"{HEADER}\n7;0.27;0.36;20.7;0.045;45;170;1.001;3;0.45;8.8;9\n",
}
HYDRAULIC = {
    **{
        f"{name}.txt": "".join(f"{place}.5\t{place}.25\t{row}\n" for row in range(4))
        for place, name in enumerate(_uci.SENSORS)
    },
    "profile.txt": "3\t100\t0\t130\t1\n3\t100\t0\t130\t0\n3\t90\t0\t130\t0\n20\t90\t1\t90\t0\n",
    "PS1.txt": "not read",
}


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """Pack files as the owner's archive, whose digest is then the right one."""
    monkeypatch.setattr(_owners, "RETRIES", {"n_retries": 0, "delay": 0})

    def call(entry, reader, files):
        owned = getattr(_uci, entry)
        source = tmp_path / "owner" / owned.name
        source.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(source, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        url, home = f"file://localhost{source}", tmp_path / "home"
        monkeypatch.setattr(_uci, entry, owned._replace(url=url, sha256=digest))
        return SimpleNamespace(
            source=source, url=url, home=home, file=home / "uci" / owned.name, reader=reader
        )

    return call


@pytest.fixture
def heart(pack):
    return pack("HEART", fetch_heart_sites, HEART)


@pytest.fixture
def wine(pack):
    return pack("WINE", fetch_wine_quality, WINE)


@pytest.fixture
def hydraulic(pack):
    return pack("HYDRAULIC", fetch_hydraulic, HYDRAULIC)


@pytest.fixture(params=["heart", "wine", "hydraulic"])
def owned(request):
    return request.getfixturevalue(request.param)


def test_heart_disease_has_its_hospitals_and_missing_values(heart):
    data = fetch_heart_sites(data_home=heart.home)
    assert data.data.shape == (5, 13)
    assert np.isnan(data.data).sum(1).tolist() == [0, 1, 3, 3, 2]
    assert data.data[:, 0].tolist() == [63, 67, 28, 32, 63]
    assert data.data[1, [9, 11]].tolist() == [1.5, 3]
    assert data.target_names[data.target].tolist() == [
        *("absent", "present", "absent", "present", "present")
    ]
    names = ["Cleveland", "Cleveland", "Hungary", "Switzerland", "VA Long Beach"]
    assert data.site_names[data.site].tolist() == names
    framed = fetch_heart_sites(data_home=heart.home, as_frame=True)
    assert framed.frame["site"].tolist() == names
    assert framed.frame["thal"].isna().tolist() == [False, True, True, True, True]
    assert framed.frame.columns[-1] == "target"


def test_wine_has_its_colours_and_groups_of_equal_rows(wine):
    data = fetch_wine_quality(data_home=wine.home)
    assert data.data.shape == (4, 11)
    assert data.data[3, :3].tolist() == [7, 0.27, 0.36]
    assert data.target.tolist() == [5, 6, 5, 9]
    assert data.colour_names[data.colour].tolist() == ["red", "red", "red", "white"]
    assert (data.groups == data.groups[0]).tolist() == [True, False, True, False]
    X, y = fetch_wine_quality(data_home=wine.home, as_frame=True, return_X_y=True)
    assert X.columns.tolist() == [*_uci.WINE_FEATURES, "colour"]
    assert y.tolist() == data.target.tolist()


def test_hydraulic_systems_have_sensors_states_and_runs(hydraulic):
    data = fetch_hydraulic(data_home=hydraulic.home)
    assert data.data.shape == (4, 8, 3)
    assert data.sensor_names[3] == "TS1"
    assert data.data[2, 3].tolist() == [3.5, 3.25, 2]
    assert data.target.tolist() == [130, 130, 130, 90]
    assert data.cooler.tolist() == [3, 3, 3, 20]
    assert data.valve.tolist() == [100, 100, 90, 90]
    assert data.pump.tolist() == [0, 0, 0, 1]
    assert data.stable.tolist() == [False, True, True, True]
    assert data.groups.tolist() == [0, 0, 1, 2]
    X, y = fetch_hydraulic(data_home=hydraulic.home, return_X_y=True)
    np.testing.assert_array_equal(X, data.data)
    np.testing.assert_array_equal(y, data.target)


def test_an_archive_is_downloaded_once_and_read_without_its_owner(owned):
    first = owned.reader(data_home=owned.home, return_X_y=True)
    owned.source.unlink()
    again = owned.reader(data_home=owned.home, return_X_y=True, download_if_missing=False)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(owned.file.parent.iterdir()) == [owned.file]


def test_a_missing_archive_is_named_with_its_source(owned):
    expected = f"expected {owned.file.name} in {owned.file.parent}. download_if_missing=True"
    with pytest.raises(FileNotFoundError, match=re.escape(expected)) as caught:
        owned.reader(data_home=owned.home, download_if_missing=False)
    assert f"download {owned.url} yourself" in str(caught.value)
    assert not owned.home.exists()


@pytest.mark.parametrize("content", ["half", "empty", "foreign"])
def test_a_broken_or_foreign_archive_is_refused(owned, content):
    owned.file.parent.mkdir(parents=True)
    whole = owned.source.read_bytes()
    changed = {"half": whole[: len(whole) // 2], "empty": b"", "foreign": whole + b"\n"}[content]
    owned.file.write_bytes(changed)
    digests = hashlib.sha256(whole).hexdigest(), hashlib.sha256(changed).hexdigest()
    expected = "expected the SHA-256 digest {}, got {}; delete it and fetch anew".format(*digests)
    with pytest.raises(ValueError, match=expected) as caught:
        owned.reader(data_home=owned.home)
    assert str(caught.value).startswith(f"{owned.file} is truncated, corrupt or another version")
    assert owned.file.read_bytes() == changed


def test_of_a_download_that_is_cut_or_fails_nothing_is_kept(owned):
    owned.source.write_bytes(owned.source.read_bytes()[:-5])
    with pytest.raises(OSError, match=r"download of file:.* failed, and nothing of it was kept"):
        owned.reader(data_home=owned.home)
    owned.source.unlink()
    with pytest.raises(OSError, match=r"Try again, or download file:.* and put it into"):
        owned.reader(data_home=owned.home)
    assert list(owned.file.parent.iterdir()) == []


def test_the_data_home_is_scikit_learns_by_default(wine, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(wine.home))
    fetch_wine_quality()
    assert wine.file.is_file()
