"""Spoken digits: the recordings of the Free Spoken Digit Dataset."""

import io
import wave
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from sklearn_thin.datasets._owners import FETCHING, fetch, github, read_archive

SPOKEN = github(
    "Free Spoken Digit Dataset",
    "Jakobovski/free-spoken-digit-dataset",
    "d6938f9bf1545aa66d8489fc9f1385a7abd64282",  # version 1.0.10
    "recordings/*.wav",
    "04e1baae96c6a26e39c623f2b01d0182ddae627ba0ac02a3cdc17ba2af99fd9b",
    "17 MB",
)
RATE = 8000  # Hz
FRAME = 256  # samples
STEP = 80  # samples from frame to frame
LOWEST = 60  # Hz
N_BANDS = 24
N_TIMES = 20
N_TEST_TAKES = 5  # of each speaker and digit, the owner's split
DESCR = """
Free Spoken Digit Dataset, version 1.0.10: 3,000 recordings of ten English digits, 50 of each digit
by each of six speakers, at 8 kHz. The speaker is the exogenous variable. Here: log-mel energies of
24 bands at 20 times. Jackson, Souza, Flaks, Pan, Nicolas, Thite: Jakobovski/free-spoken-digit-
dataset, https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0.
"""


@validate_params(FETCHING, prefer_skip_nested_validation=True)
def fetch_spoken_digits(*, data_home=None, download_if_missing=True, return_X_y=False):
    """Free Spoken Digit Dataset: the digit is the class, the speaker the exogenous variable.

    Recordings of any length become log-mel energies of one shape:

    1. The samples are divided by 32,768. Frames of 256 samples start every 80 samples, without
       padding. Each frame is multiplied by `numpy.hanning(256)`.
    2. The power spectrum of a frame is the squared magnitude of its 129 Fourier coefficients.
    3. The 26 corners of 24 triangular bands lie from 60 Hz to 4,000 Hz, evenly in
       2595 log10(1 + f / 700). A corner at f Hz is the coefficient floor(257 f / 8000). A
       triangle rises from 0 at one corner to 1 at the next, and falls to 0 at the third.
    4. The energy of a band is log(1e-8 + weighted sum of the powers), the natural logarithm.
    5. The frames 0 to T - 1 are divided at the 21 places floor(linspace(0, T - 1, 21)). Each
       time is the mean of the frames from one place to the next, both included.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder that holds `github/free-spoken-digit-dataset-<commit>.zip`. None is
        scikit-learn's data home, `sklearn.datasets.get_data_home()`.
    download_if_missing : bool, default=True
        Whether to download a missing archive (17 MB) from its owner. False raises an OSError
        instead. The SHA-256 digest of the recordings is checked in either case.
    return_X_y : bool, default=False
        Return `(data, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `data`, float32 of shape (3000, 24, 20), recordings by bands, the lowest first, by times;
        `target` (3000,), the digit; `target_names` (10,), the digits; `speaker` (3000,), an index
        of `speaker_names` (6,); `take` (3000,), from 0 to 49; `train` (3000,), whether the
        recording is one of the owner's training set, all but takes 0 to 4; `DESCR`.
    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError
        For a missing archive with `download_if_missing=False`, or for a download that fails.
    ValueError
        For an archive that is truncated, corrupt or another version.

    Notes
    -----
    The data are under CC BY-SA 4.0, other than this package. Rows follow the owner's file names,
    in the order of digit, speaker and take as text, in which take "10" stands before take "2".

    References
    ----------
    Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas and A. Thite, "Free Spoken Digit Dataset",
    version 1.0.10. Files: https://github.com/Jakobovski/free-spoken-digit-dataset

    Examples
    --------
    >>> from sklearn_thin.datasets import fetch_spoken_digits
    >>> fetch_spoken_digits(data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: Free Spoken Digit Dataset: expected free-... in no_such_folder...
    """
    files = list(read_archive(fetch(SPOKEN, data_home, download_if_missing), SPOKEN.members))
    X = np.stack([log_mel(samples(content)) for _, content in files])
    named = [PurePosixPath(path).stem.split("_") for path, _ in files]
    digit, speaker, take = map(np.array, zip(*named, strict=True))
    target, take = digit.astype(np.int64), take.astype(np.int64)
    if return_X_y:
        return X, target
    speaker_names, speaker = np.unique(speaker, return_inverse=True)
    return Bunch(
        data=X,
        target=target,
        target_names=np.arange(10),
        speaker=speaker,
        speaker_names=speaker_names,
        take=take,
        train=take >= N_TEST_TAKES,
        DESCR=f"{DESCR.strip()}\n",
    )


def samples(content):
    """Samples (n,) in [-1, 1) of a file of 16 bits."""
    with wave.open(io.BytesIO(content)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 2**15


def log_mel(sound):
    """Log-mel energies (N_BANDS, N_TIMES) of samples (n,)."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::STEP]  # (T, FRAME)
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME))) ** 2  # (T, FRAME / 2 + 1)
    energies = np.log(power @ bands().T + 1e-8)  # (T, N_BANDS)
    places = np.linspace(0, len(frames) - 1, N_TIMES + 1).astype(int)
    times = [energies[start : end + 1].mean(0) for start, end in pairwise(places)]
    return np.stack(times, axis=1).astype(np.float32)


def bands():
    """Weights (N_BANDS, FRAME / 2 + 1) of Fourier coefficients in triangular bands."""
    lowest, highest = 2595 * np.log10(1 + np.array([LOWEST, RATE / 2]) / 700)
    hertz = 700 * (10 ** (np.linspace(lowest, highest, N_BANDS + 2) / 2595) - 1)
    corners = np.floor((FRAME + 1) * hertz / RATE)
    coefficients = np.arange(FRAME // 2 + 1)
    return np.stack(
        [np.interp(coefficients, corners[m : m + 3], [0, 1, 0]) for m in range(N_BANDS)]
    )
