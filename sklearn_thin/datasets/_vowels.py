"""Vowels of New Zealand English: a data frame of the R package nzilbb.vowels."""

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from sklearn_thin.datasets._owners import FETCHING, OwnerFile, fetch
from sklearn_thin.datasets._rda import read_frame
from sklearn_thin.datasets._tables import as_table

VOWELS = OwnerFile(
    "New Zealand vowels",
    "https://raw.githubusercontent.com/nzilbb/nzilbb_vowels/"
    "4dd42b13045a2975310180464fbff78c04dd3e6d/data/qb_vowels.rda",  # version 0.4.3
    "github",
    "86a4f1ee9603ca8b95ba80b811c4d0b51a4eaba078cfce523e53a57e174f22d8",
    "0.5 MB",
)
FEATURES = {  # the owners' column of each
    "F1": "F1_50",
    "F2": "F2_50",
    "duration": "vowel_duration",
    "amplitude": "amplitude",
    "articulation_rate": "articulation_rate",
}
DESCR = """
New Zealand vowels: eleven vowels of 77 speakers of the QuakeBox corpus. The speaker is the
exogenous variable. F1 and F2 are the formants in the middle of the vowel in Hz, `duration` is that
of the vowel in seconds, `amplitude` the largest of the word, `articulation_rate` that of the
utterance. Wilson Black, Hay, Clark, Brand: The overlooked effect of amplitude on within-speaker
vowel variation, Linguistics Vanguard 9(1), 2023; Wilson Black, Brand: nzilbb.vowels, version 0.4.3,
https://github.com/nzilbb/nzilbb_vowels, the MIT License.
"""


@validate_params({**FETCHING, "as_frame": ["boolean"]}, prefer_skip_nested_validation=True)
def fetch_nz_vowels(*, data_home=None, as_frame=False, download_if_missing=True, return_X_y=False):
    """New Zealand vowels: the vowel is the class, the speaker the exogenous variable.

    A row is one vowel of a speaker:

    - F1 and F2, the formants in the middle of the vowel, in Hz;
    - duration, that of the vowel, in seconds;
    - amplitude, the largest of the word, and articulation rate, that of the utterance, for which
      the owners name no units.

    The 31 of 26,331 rows without an amplitude are left out.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder that holds `github/qb_vowels.rda`. None is scikit-learn's data home,
        `sklearn.datasets.get_data_home()`.
    as_frame : bool, default=False
        Whether `data` is a pandas DataFrame that has the column "speaker". `target` is then a
        Series.
    download_if_missing : bool, default=True
        Whether to download a missing file (0.5 MB) from its owner. False raises an OSError
        instead. The file's SHA-256 digest is checked in either case.
    return_X_y : bool, default=False
        Return `(data, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `data`, float64 of shape (26300, 5), or (26300, 6) with `as_frame=True`; `target`
        (26300,), the vowel, an index of `target_names` (11,), Wells's lexical sets; `speaker`
        (26300,), an index of `speaker_names` (77,); `gender` (26300,), that of the speaker, an
        index of `gender_names` (2,); `feature_names`, those of the columns of `data`; `frame`,
        data and target of shape (26300, 7), or None; `DESCR`.
    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError
        For a missing file with `download_if_missing=False`, or for a download that fails.
    ValueError
        For a file that is truncated, corrupt or another version.
    ImportError
        For `as_frame=True` without pandas.

    Notes
    -----
    The data are under the MIT License.

    References
    ----------
    J. Wilson Black, J. Hay, L. Clark and J. Brand, "The overlooked effect of amplitude on
    within-speaker vowel variation", Linguistics Vanguard 9(1), 2023. Files: J. Wilson Black and
    J. Brand, nzilbb.vowels, version 0.4.3, https://github.com/nzilbb/nzilbb_vowels

    Examples
    --------
    >>> from sklearn_thin.datasets import fetch_nz_vowels
    >>> fetch_nz_vowels(data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: New Zealand vowels: expected qb_vowels.rda in no_such_folder...
    """
    columns = read_frame(fetch(VOWELS, data_home, download_if_missing))
    X = np.stack([columns[name] for name in FEATURES.values()], axis=1)
    whole = ~np.isnan(X).any(1)
    vowels, speakers, genders = (
        columns[name][whole] for name in ("vowel", "speaker", "participant_gender")
    )
    target_names, target = np.unique(vowels, return_inverse=True)
    entries = as_table(X[whole], target, list(FEATURES), "speaker", speakers, as_frame)
    if return_X_y:
        return entries["data"], entries["target"]
    speaker_names, speaker = np.unique(speakers, return_inverse=True)
    gender_names, gender = np.unique(genders, return_inverse=True)
    return Bunch(
        **entries,
        target_names=target_names,
        speaker=speaker,
        speaker_names=speaker_names,
        gender=gender,
        gender_names=gender_names,
        DESCR=f"{DESCR.strip()}\n",
    )
