"""Archives of UCI's data sets in small are read."""

import numpy as np
import pytest

from sklearn_thin.datasets import (
    _uci,
    fetch_heart_sites,
    fetch_hydraulic,
    fetch_wine_quality,
)


@pytest.fixture
def heart(own):
    return own("heart")


@pytest.fixture
def wine(own):
    return own("wine")


@pytest.fixture
def hydraulic(own):
    return own("hydraulic")


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
