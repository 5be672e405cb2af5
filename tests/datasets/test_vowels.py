"""A data frame of R is read, and its vowels have speakers and genders."""

import bz2

import numpy as np
import pytest

from sklearn_thin.datasets import _vowels, fetch_nz_vowels
from sklearn_thin.datasets._rda import read_frame


@pytest.fixture
def vowels(own):
    return own("vowels")


def test_rows_without_an_amplitude_or_formant_are_left_out(vowels):
    data = fetch_nz_vowels(data_home=vowels.home)
    assert data.data.tolist() == [[427, 2050, 0.09, 71.5, 4], [440, 1900, 0.1, 60, 5]]
    assert data.feature_names == ["F1", "F2", "duration", "amplitude", "articulation_rate"]
    assert data.target_names[data.target].tolist() == ["GOOSE", "DRESS"]
    assert data.speaker_names[data.speaker].tolist() == ["QB_2", "QB_1"]
    assert data.gender_names[data.gender].tolist() == ["M", "F"]


def test_a_frame_has_the_speaker(vowels):
    X, y = fetch_nz_vowels(data_home=vowels.home, as_frame=True, return_X_y=True)
    assert X["speaker"].tolist() == ["QB_2", "QB_1"]
    assert X["F2"].tolist() == [2050, 1900]
    assert y.tolist() == [1, 0]


def test_columns_of_each_type_are_read(vowels):
    columns = read_frame(vowels.source)
    assert columns["following"].tolist() == ["velar", "labial", "velar", "labial"]
    assert columns["word"].tolist() == ["one", None, "two", "three"]
    np.testing.assert_array_equal(columns["F2_50"], [2050, 1900, 1800, np.nan])
    np.testing.assert_array_equal(columns["amplitude"], [71.5, 60, np.nan, 62])
    assert columns["F1_50"].dtype == np.float64


def test_what_is_no_plain_data_frame_is_refused(tmp_path):
    file = tmp_path / "other.rda"
    file.write_bytes(bz2.compress(b"RDX3\nX\n"))
    with pytest.raises(ValueError, match=r"other\.rda holds no data of R's version 2"):
        read_frame(file)
    header = b"RDX2\nX\n" + bytes(12)
    file.write_bytes(bz2.compress(header + b"\0\0\0\x03" + b"\0\0\0\0"))  # a closure
    with pytest.raises(ValueError, match="expected a plain data frame of R, got an item of type 3"):
        read_frame(file)


def test_the_owners_file_gives_the_prepared_one(home_with):
    home = home_with(_vowels.VOWELS)
    data = fetch_nz_vowels(data_home=home, download_if_missing=False)
    with np.load(home / "nuisance" / "nz_vowels.npz") as prepared:
        np.testing.assert_array_equal(data.data.astype(np.float32), prepared["X"])
        np.testing.assert_array_equal(data.target_names[data.target], prepared["y"])
        np.testing.assert_array_equal(data.speaker, prepared["groups"])
        np.testing.assert_array_equal(data.gender, prepared["z"])
