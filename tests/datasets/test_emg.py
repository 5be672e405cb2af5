"""Recordings of an arm band become features of windows, with person, session and cycle."""

import numpy as np
import pytest

from sklearn_thin.datasets import _emg, fetch_emg_gestures
from tests.datasets.owners import recording


@pytest.fixture
def emg(own):
    return own("emg")


def test_rows_follow_the_paths_and_know_their_recording(emg):
    data = fetch_emg_gestures(data_home=emg.home)
    assert data.data.shape == (25, 32)
    assert data.data.dtype == np.float32
    person = data.person_names[data.person]
    assert person.tolist() == ["EFemale0"] * 18 + ["PFemale7"] * 6 + ["PMale0"]
    session = data.session_names[data.session]
    assert session.tolist() == ["Test0"] * 6 + ["Test1"] * 6 + ["training0"] * 13
    np.testing.assert_array_equal(data.train, session == "training0")
    gesture = data.target_names[data.target]
    one = ["neutral"] * 2 + ["ulnar deviation"] * 2 + ["wrist flexion"] * 2
    assert gesture.tolist() == [*one * 4, "hand open"]
    assert data.cycle.tolist() == [0, 0, 1, 1, 0, 0] * 4 + [3]


def test_a_copied_recording_is_marked_and_shares_the_group(emg):
    data = fetch_emg_gestures(data_home=emg.home)
    assert data.copied.tolist() == [False] * 18 + [True] * 6 + [False]
    np.testing.assert_array_equal(data.groups[18:24], data.groups[12:18])
    assert len(np.unique(data.groups)) == 3 * 2 + 1  # sessions by cycles, and one more


def test_windows_do_not_overlap_and_the_last_is_whole(emg):
    X, _ = fetch_emg_gestures(data_home=emg.home, return_X_y=True)
    samples = recording(0).astype(float)  # 120 of them, in two windows of 52
    for row, window in enumerate((samples[:52], samples[52:104])):
        np.testing.assert_allclose(X[row, :8], np.log1p(np.abs(window).mean(0)), rtol=1e-6)


def test_features_of_known_signals():
    window = np.zeros((1, 52, 8), dtype="<i2")
    window[:, :, 0] = np.where(np.arange(52) % 2, 3, -3)  # crosses zero at each step
    window[:, :, 1] = -128  # the lowest sample
    window[:, :, 2] = np.arange(52)  # a step of one
    window[:, ::2, 3] = 4  # touches zero, and never crosses it
    found = _emg.features(window)[0].reshape(4, 8)  # feature, electrode
    assert found[:, 0] == pytest.approx([np.log(4), np.log(4), np.log(7), 1])
    assert found[:, 1] == pytest.approx([np.log(129), np.log(129), 0, 0])
    assert found[2:, 2] == pytest.approx([np.log(2), 0])
    assert found[:, 3] == pytest.approx([np.log(3), np.log1p(np.sqrt(8)), np.log(5), 0])
    assert not found[:, 4:].any()


def test_a_frame_has_the_person_beside_named_features(emg):
    data = fetch_emg_gestures(data_home=emg.home, as_frame=True)
    assert data.frame.shape == (25, 34)
    assert data.feature_names[0] == "log mean absolute value 1"
    assert data.feature_names[-2:] == ["zero crossings 8", "person"]
    assert data.frame["person"].tolist() == data.person_names[data.person].tolist()


def test_the_owners_files_give_the_prepared_ones(home_with):
    home = home_with(_emg.EMG)
    data = fetch_emg_gestures(data_home=home, download_if_missing=False)
    with np.load(home / "nuisance" / "emg_gestures.npz") as prepared:
        np.testing.assert_allclose(data.data, prepared["X"], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(data.person_names, prepared["subjects"])
        names = {"target": "y", "person": "z"} | {n: n for n in ("session", "cycle", "train")}
        for name, as_prepared in names.items():
            np.testing.assert_array_equal(data[name], prepared[as_prepared])
    copied = np.unique(data.person_names[data.person[data.copied]])
    assert copied.tolist() == ["PFemale7", "PFemale8", "PFemale9"]
