"""Data sets of the UCI Machine Learning Repository that have a known nuisance variable."""

import io
from zipfile import ZipFile

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from sklearn_thin.datasets._owners import FETCHING, OwnerFile, fetch
from sklearn_thin.datasets._tables import as_table

UCI = "https://archive.ics.uci.edu/static/public/"
HEART = OwnerFile(
    "Heart Disease",
    f"{UCI}45/heart+disease.zip",
    "uci",
    "b17cd273da9ce1caa4710fce80227ea454d4dbf9fcbc8e6a9121672751563adc",
    "0.1 MB",
)
WINE = OwnerFile(
    "Wine Quality",
    f"{UCI}186/wine+quality.zip",
    "uci",
    "3ed56667f4b828242bd732d7d1dd7f2861e54432239d7fa63877014cbb0304d4",
    "0.1 MB",
)
HYDRAULIC = OwnerFile(
    "Condition Monitoring of Hydraulic Systems",
    f"{UCI}447/condition+monitoring+of+hydraulic+systems.zip",
    "uci",
    "24128aad2ee45eea7e6b63ebbd9992cdf25d0483a2cebefbfc13bc69079af1f2",
    "77 MB",
)
HOSPITALS = {  # the processed file of each
    "Cleveland": "cleveland",
    "Hungary": "hungarian",
    "Switzerland": "switzerland",
    "VA Long Beach": "va",
}
HEART_FEATURES = (
    *("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak"),
    *("slope", "ca", "thal"),
)
COLOURS = ("red", "white")
WINE_FEATURES = (
    *("fixed acidity", "volatile acidity", "citric acid", "residual sugar", "chlorides"),
    *("free sulfur dioxide", "total sulfur dioxide", "density", "pH", "sulphates", "alcohol"),
)
SENSORS = ("CE", "CP", "SE", "TS1", "TS2", "TS3", "TS4", "VS1")  # of one value a second
HEART_DESCR = """
Heart Disease: patients of four hospitals; the hospital is the exogenous variable. Missing values
are NaN. The owners wrote a blood pressure and a cholesterol of 0, which are missing values too.
Janosi, Steinbrunn, Pfisterer, Detrano: Heart Disease, UCI Machine Learning Repository,
https://doi.org/10.24432/C52P4X, CC BY 4.0.
"""
WINE_DESCR = """
Wine Quality: Portuguese vinho verde; the colour is the exogenous variable. Many rows are repeated:
`groups` keeps equal rows together. Cortez, Cerdeira, Almeida, Matos, Reis: Wine Quality, UCI
Machine Learning Repository, https://doi.org/10.24432/C56S3T, CC BY 4.0.
"""
HYDRAULIC_DESCR = """
Condition Monitoring of Hydraulic Systems: load cycles of 60 seconds on a test rig. The class is the
pressure of the accumulator, the state of the cooler the exogenous variable. The owners changed the
state of the rig between runs of cycles: `groups` keeps a run together. Helwig, Pignanelli, Schütze:
Condition monitoring of hydraulic systems, UCI Machine Learning Repository,
https://doi.org/10.24432/C5CW21, CC BY 4.0.
"""


@validate_params({**FETCHING, "as_frame": ["boolean"]}, prefer_skip_nested_validation=True)
def fetch_heart_sites(
    *, data_home=None, as_frame=False, download_if_missing=True, return_X_y=False
):
    """Heart Disease: the disease is the class, the hospital the exogenous variable.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder that holds `uci/heart+disease.zip`. None is scikit-learn's data home,
        `sklearn.datasets.get_data_home()`.
    as_frame : bool, default=False
        Whether `data` is a pandas DataFrame that has the hospital as the column "site".
        `target` is then a Series.
    download_if_missing : bool, default=True
        Whether to download a missing archive (0.1 MB) from its owner. False raises an OSError
        instead. The archive's SHA-256 digest is checked in either case.
    return_X_y : bool, default=False
        Return `(data, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `data` of shape (920, 13), with NaN for missing values, or (920, 14) with
        `as_frame=True`; `target` (920,), whether the disease is present, an index of
        `target_names`; `site` (920,), an index of `site_names`; `feature_names`; `frame`, data
        and target, or None; `DESCR`.
    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError
        For a missing archive with `download_if_missing=False`, or for a download that fails.
    ValueError
        For an archive that is truncated, corrupt or another version.

    Examples
    --------
    >>> from sklearn_thin.datasets import fetch_heart_sites
    >>> fetch_heart_sites(data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: Heart Disease: expected heart+disease.zip in no_such_folder...
    """
    files = [f"processed.{hospital}.data" for hospital in HOSPITALS.values()]
    X, severity, site = read_parts(
        fetch(HEART, data_home, download_if_missing),
        files,
        lambda file: np.genfromtxt(file, delimiter=",", missing_values="?", ndmin=2),
    )
    site_names = np.array(list(HOSPITALS))
    target = (severity > 0).astype(np.int64)
    entries = as_table(X, target, list(HEART_FEATURES), "site", site_names[site], as_frame)
    if return_X_y:
        return entries["data"], entries["target"]
    return Bunch(
        **entries,
        target_names=np.array(["absent", "present"]),
        site=site,
        site_names=site_names,
        DESCR=f"{HEART_DESCR.strip()}\n",
    )


@validate_params({**FETCHING, "as_frame": ["boolean"]}, prefer_skip_nested_validation=True)
def fetch_wine_quality(
    *, data_home=None, as_frame=False, download_if_missing=True, return_X_y=False
):
    """Wine Quality: the quality is the class, the colour the exogenous variable.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder that holds `uci/wine+quality.zip`; None as in :func:`fetch_heart_sites`.
    as_frame : bool, default=False
        Whether `data` is a pandas DataFrame that has the column "colour". `target` is then a
        Series.
    download_if_missing, return_X_y
        See :func:`fetch_heart_sites`.

    Returns
    -------
    data : Bunch
        `data` of shape (6497, 11), or (6497, 12) with `as_frame=True`; `target` (6497,), the
        quality from 3 to 9; `colour` (6497,), an index of `colour_names`; `groups` (6497,),
        the same for rows of equal features; `feature_names`; `frame`, data and target, or
        None; `DESCR`.
    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError, ValueError
        As in :func:`fetch_heart_sites`.

    Examples
    --------
    >>> from sklearn_thin.datasets import fetch_wine_quality
    >>> fetch_wine_quality(data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: Wine Quality: expected wine+quality.zip in no_such_folder...
    """
    X, quality, colour = read_parts(
        fetch(WINE, data_home, download_if_missing),
        [f"winequality-{colour}.csv" for colour in COLOURS],
        lambda file: np.loadtxt(file, delimiter=";", skiprows=1, ndmin=2),
    )
    colour_names = np.array(COLOURS)
    labels, target = colour_names[colour], quality.astype(np.int64)
    entries = as_table(X, target, list(WINE_FEATURES), "colour", labels, as_frame)
    if return_X_y:
        return entries["data"], entries["target"]
    return Bunch(
        **entries,
        colour=colour,
        colour_names=colour_names,
        groups=np.unique(X, axis=0, return_inverse=True)[1].ravel(),
        DESCR=f"{WINE_DESCR.strip()}\n",
    )


@validate_params(FETCHING, prefer_skip_nested_validation=True)
def fetch_hydraulic(*, data_home=None, download_if_missing=True, return_X_y=False):
    """Hydraulic systems: the accumulator's pressure is the class, the cooler's state exogenous.

    Only the eight sensors of one value a second are read.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder that holds `uci/condition+monitoring+of+hydraulic+systems.zip`; None as in
        :func:`fetch_heart_sites`.
    download_if_missing : bool, default=True
        Whether to download a missing archive (77 MB), as in :func:`fetch_heart_sites`.
    return_X_y : bool, default=False
        Return `(data, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `data` of shape (2205, 8, 60), cycles by sensors by seconds; `target`, the pressure in
        bar; `cooler` and `valve`, their states in percent; `pump`, its leakage from 0 to 2;
        `stable`, whether the rig was in a steady state; `groups`, the run of cycles of one
        state; all of shape (2205,); `sensor_names`; `DESCR`.
    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError, ValueError
        As in :func:`fetch_heart_sites`.

    Examples
    --------
    >>> from sklearn_thin.datasets import fetch_hydraulic
    >>> fetch_hydraulic(data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: Condition Monitoring of Hydraulic Systems: expected condition+... in ...
    """
    files = [f"{name}.txt" for name in (*SENSORS, "profile")]
    path = fetch(HYDRAULIC, data_home, download_if_missing)
    *sensors, profile = read_members(path, files, lambda file: np.loadtxt(file, ndmin=2))
    X = np.stack(sensors, axis=1)  # (n, sensors, seconds)
    cooler, valve, pump, pressure, unstable = profile.astype(np.int64).T
    if return_X_y:
        return X, pressure
    changes = (np.diff(profile[:, :4], axis=0) != 0).any(1)  # of the state of the rig
    return Bunch(
        data=X,
        target=pressure,
        cooler=cooler,
        valve=valve,
        pump=pump,
        stable=unstable == 0,
        groups=np.concatenate([[0], np.cumsum(changes)]),
        sensor_names=np.array(SENSORS),
        DESCR=f"{HYDRAULIC_DESCR.strip()}\n",
    )


def read_members(path, names, read):
    """Arrays of the text files in an archive."""
    with ZipFile(path) as archive:
        return [read(io.StringIO(archive.read(name).decode())) for name in names]


def read_parts(path, names, read):
    """Rows of all files in an archive: their features, their last column, and their file."""
    parts = read_members(path, names, read)
    rows = np.concatenate(parts)
    return rows[:, :-1], rows[:, -1], np.repeat(np.arange(len(parts)), list(map(len, parts)))
