"""The benchmarks' reader of real data sets draws training and test rows that share nothing."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

NAMES = (
    *("emg_gestures", "fashion_rotated", "digit_corpora", "spoken_digits", "ecg_pvc"),
    *("hydraulic", "nz_vowels", "heart_sites", "wine_quality"),
)


@pytest.fixture(scope="module")
def module():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        yield importlib.import_module("_nuisance")
    del sys.modules["_nuisance"]


@pytest.fixture
def write(module, tmp_path, monkeypatch):
    """Write the file of a data set in small, and forget those of before."""
    monkeypatch.setenv("SKLEARN_THIN_DATA", str(tmp_path))
    (tmp_path / "nuisance").mkdir()

    def call(name, **arrays):
        np.savez(tmp_path / "nuisance" / f"{name}.npz", **arrays)
        module.load_nuisance.cache_clear()

    yield call
    module.load_nuisance.cache_clear()


def rows(n, *, seed=0):
    return np.random.RandomState(seed).normal(size=(n, 3)).astype(np.float32)


def people(n_windows=40):
    """Two new people, of three sessions, and two of one session, of which one is a copy."""
    # person and session of each recording; session 2 is the first
    recordings = [(0, 2), (0, 0), (0, 1), (1, 2), (1, 0), (1, 1), (2, 2), (3, 2)]
    z, session = np.repeat(np.array(recordings), n_windows, axis=0).T
    X = rows(len(z))
    X[z == 3] = X[(z == 0) & (session == 0)]
    return {
        "X": X,
        "y": np.tile(np.repeat([0, 1], n_windows // 2), len(recordings)),
        "z": z,
        "session": session,
        "train": session == 2,
        "cycle": np.tile(np.arange(n_windows) % 4, len(recordings)),
        "subjects": np.array(["new a", "new b", "old", "copy of a"]),
    }


def test_new_people_have_few_rows_and_copies_of_their_later_sessions_are_left_out(module, write):
    write("emg_gestures", **people())
    data = module.load_nuisance("emg_gestures")
    assert data.nuisance_names.tolist() == ["new a", "new b", "old"]
    train, test = module.draws("emg_gestures", 0, 0.1)
    assert np.bincount(data.nuisance[train]).tolist() == [4, 4, 40]
    assert np.bincount(data.nuisance[test]).tolist() == [80, 80]
    assert np.bincount(data.nuisance[train] * 2 + data.target[train]).tolist() == [
        *([2] * 4),
        *([20] * 2),
    ]
    assert not np.isin(data.groups[train], data.groups[test]).any()
    assert not set(map(bytes, data.data[train])) & set(map(bytes, data.data[test]))


def test_a_fixed_split_is_kept_and_seeds_draw_the_fraction_alone(module, write):
    train = np.arange(200) % 100 < 80
    y, z = np.arange(200) % 2, np.repeat(["anna", "bert"], 100)
    write("spoken_digits", X=rows(200), y=y, z=z, train=train)
    for seed in (0, 1):
        drawn, test = module.draws("spoken_digits", seed)
        np.testing.assert_array_equal(drawn, np.flatnonzero(train))
        np.testing.assert_array_equal(test, np.flatnonzero(~train))
    first, again, other = (module.draws("spoken_digits", seed, 0.5)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert train[first].all()
    assert np.bincount(y[first] + 2 * (z[first] == "bert")).tolist() == [20] * 4


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_unseen_level_is_the_whole_test_part(module, write, seed):
    train = np.arange(200) % 100 < 80
    z = np.repeat(["anna", "bert"], 100)
    write("spoken_digits", X=rows(200), y=np.arange(200) % 2, z=z, train=train)
    drawn, test = module.draws("spoken_digits", seed, unseen=True)
    left_out = z == ["anna", "bert"][seed % 2]
    np.testing.assert_array_equal(test, np.flatnonzero(left_out))
    np.testing.assert_array_equal(drawn, np.flatnonzero(train & ~left_out))


def test_random_splits_keep_classes_of_levels_even_and_groups_whole(module, write):
    groups, colours = np.repeat(np.arange(120), 2), np.array(["red", "white"])
    y, z = groups // 2 % 2, groups // 60
    write("wine_quality", X=rows(120)[groups], y=y, z=z, colours=colours, groups=groups)
    tests = []
    for seed in (0, 1):
        train, test = module.draws("wine_quality", seed)
        assert not np.isin(groups[train], groups[test]).any()
        assert sorted([*train, *test]) == list(range(240))
        assert np.ptp(np.bincount(z[test] * 2 + y[test], minlength=4)) <= 4
        tests.append(test)
    assert not np.array_equal(*tests)


def test_identical_rows_are_together_also_with_missing_values(module, write):
    X = np.repeat(rows(60), 2, axis=0)
    X[:, 1] = np.nan
    y, z = np.repeat(np.arange(60) // 2 % 2, 2), np.repeat(np.arange(60) // 30, 2)
    write("heart_sites", X=X, y=y, z=z, sites=np.array(["east", "west"]))
    train, test = module.draws("heart_sites", 0)
    assert not set(map(bytes, X[train])) & set(map(bytes, X[test]))


def test_unstable_cycles_are_left_out(module, write):
    stable = np.arange(160) % 4 > 0
    y, z, groups = np.arange(160) // 8 % 2, np.arange(160) // 80, np.arange(160) // 4
    write("hydraulic", X=rows(160), y=y, z=z, groups=groups, stable=stable)
    assert len(module.load_nuisance("hydraulic").data) == stable.sum()


def test_errors_name_what_was_expected(module, write, monkeypatch):
    with pytest.raises(ValueError, match=r"name must be one of emg_gestures, .* got 'emg'"):
        module.load_nuisance("emg")
    with pytest.raises(FileNotFoundError, match=r"expected .*ecg_pvc.npz, .* set SKLEARN_"):
        module.load_nuisance("ecg_pvc")
    with pytest.raises(ValueError, match=r"fraction must be None or in \(0, 1\], got 3"):
        module.draws("ecg_pvc", 0, 3)
    monkeypatch.delenv("SKLEARN_THIN_DATA")
    with pytest.raises(OSError, match="set SKLEARN_THIN_DATA to the folder"):
        module.load_nuisance("ecg_pvc")


@pytest.mark.parametrize("options", [{}, {"fraction": 0.1}, {"unseen": True}])
@pytest.mark.parametrize("name", NAMES)
def test_no_draw_of_the_real_sets_shares_rows_or_groups(module, data_dir, name, options):
    data = module.load_nuisance(name)
    train, test = module.draws(name, 1, **options)
    assert not set(map(bytes, data.data[train])) & set(map(bytes, data.data[test]))
    if data.groups is not None:
        assert not np.isin(data.groups[train], data.groups[test]).any()
    levels, tested = set(data.nuisance[train]), set(data.nuisance[test])
    assert levels.isdisjoint(tested) if "unseen" in options else levels >= tested
