"""Recordings of digits become log-mel energies, with speaker and take."""

import numpy as np
import pytest

from sklearn_thin.datasets import _spoken, fetch_spoken_digits
from tests.datasets.owners import tone


@pytest.fixture
def spoken(own):
    return own("spoken")


def test_recordings_have_digit_speaker_and_take(spoken):
    data = fetch_spoken_digits(data_home=spoken.home)
    assert data.data.shape == (4, 24, 20)
    assert data.data.dtype == np.float32
    assert data.target_names[data.target].tolist() == [0, 0, 0, 7]
    assert data.speaker_names[data.speaker].tolist() == ["george", "george", "george", "theo"]
    assert data.take.tolist() == [0, 12, 5, 49]
    assert data.train.tolist() == [False, True, True, True]


def test_energies_of_known_tones(spoken):
    silence, middle, quiet, high = fetch_spoken_digits(data_home=spoken.home).data
    assert silence == pytest.approx(np.log(1e-8))
    assert set(middle.argmax(0)) == {12}  # its peak is 1250 Hz
    assert set(high.argmax(0)) == {21}  # its peak is 3062 Hz
    assert middle[12] - quiet[12] == pytest.approx(np.log(4), abs=1e-3)  # half the amplitude
    line = np.array([0.25, 0.5, 0.25]) * 0.25 * np.hanning(256).sum()  # three coefficients
    assert quiet[12] == pytest.approx(np.log(line**2 @ [0.75, 1, 0.8]), abs=0.02)


@pytest.mark.parametrize("n_samples", [256, 1148, 18262])  # one frame; the owner's extremes
def test_a_recording_of_any_length_has_one_shape(n_samples):
    energies = _spoken.log_mel(_spoken.samples(tone(1250, n_samples)))
    assert energies.shape == (24, 20)
    np.testing.assert_allclose(energies[12], energies[12].mean(), atol=1e-2)


def test_times_keep_their_order():
    sound = np.concatenate([np.zeros(2000), _spoken.samples(tone(1250, 2000))])
    energies = _spoken.log_mel(sound)
    assert energies[12, :9] == pytest.approx(np.log(1e-8))
    assert (energies[12, 11:] > 0).all()


def test_bands_have_the_corners_of_the_documentation():
    weights = _spoken.bands()
    assert weights.shape == (24, 129)
    assert weights[0, :7].tolist() == [0, 0, 0.5, 1, 0.5, 0, 0]
    assert np.flatnonzero(weights[-1])[[0, -1]].tolist() == [109, 127]
    assert weights.argmax(1)[[0, 1, 12, -1]].tolist() == [3, 5, 40, 117]


def test_the_owners_files_give_the_prepared_ones(home_with):
    home = home_with(_spoken.SPOKEN)
    data = fetch_spoken_digits(data_home=home, download_if_missing=False)
    with np.load(home / "nuisance" / "spoken_digits.npz") as prepared:
        np.testing.assert_allclose(data.data, prepared["X"], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(data.speaker_names[data.speaker], prepared["z"])
        for name, as_prepared in {"target": "y", "take": "take", "train": "train"}.items():
            np.testing.assert_array_equal(data[name], prepared[as_prepared])
