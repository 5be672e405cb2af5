"""Gestures by the electric activity of the forearm: the files of the MyoArmbandDataset."""

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from sklearn_thin.datasets._owners import FETCHING, fetch, github, read_archive
from sklearn_thin.datasets._tables import as_table

EMG = github(
    "MyoArmbandDataset",
    "UlysseCoteAllard/MyoArmbandDataset",
    "4de3efef85356fbf565d96a150f386d99165cfee",
    "*Dataset/*/*/classe_*.dat",
    "f8d2b441db3e05f22560dae0c1c7b280255e1f8cec3d12de9b6f33c9c26dd2eb",
    "32 MB",
)
CHANNELS = 8
WINDOW = 52  # samples at 200 Hz
GESTURES = (
    *("neutral", "radial deviation", "wrist flexion", "ulnar deviation", "wrist extension"),
    *("hand close", "hand open"),
)
SESSIONS = ("Test0", "Test1", "training0")  # the last one was recorded first
FEATURES = ("log mean absolute value", "log RMS", "log waveform length", "zero crossings")
DESCR = """
MyoArmbandDataset: seven gestures of 40 people, recorded by an arm band of eight electrodes at 200
Hz. The person is the exogenous variable. Here: windows of 0.26 s, each with four features of each
electrode. Three people of the owners' files are copies of another person's sessions: `copied`
marks them. Côté-Allard, Fall, Drouin, Campeau-Lecours, Gosselin, Glette, Laviolette, Gosselin: Deep
Learning for Electromyographic Hand Gesture Signal Classification Using Transfer Learning, IEEE
Transactions on Neural Systems and Rehabilitation Engineering 27(4), 2019,
https://github.com/UlysseCoteAllard/MyoArmbandDataset, GPL-3.0.
"""


@validate_params({**FETCHING, "as_frame": ["boolean"]}, prefer_skip_nested_validation=True)
def fetch_emg_gestures(
    *, data_home=None, as_frame=False, download_if_missing=True, return_X_y=False
):
    """MyoArmbandDataset: the gesture is the class, the person the exogenous variable.

    A recording of five seconds is cut into windows of 52 samples, without overlap and without a
    filter. The samples of an incomplete last window are dropped. With x, the samples of one
    electrode in a window, whole numbers in the arm band's own unit, the features of the electrode
    are:

    - log(1 + mean of abs(x)), the mean absolute value;
    - log(1 + root of the mean of x²), the RMS;
    - log(1 + mean of abs(x[t + 1] - x[t])), the waveform length;
    - the share of the 51 pairs with x[t] x[t + 1] < 0, the zero crossings.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder that holds `github/MyoArmbandDataset-<commit>.zip`. None is scikit-learn's
        data home, `sklearn.datasets.get_data_home()`.
    as_frame : bool, default=False
        Whether `data` is a pandas DataFrame that has the column "person". `target` is then a
        Series.
    download_if_missing : bool, default=True
        Whether to download a missing archive (32 MB) from its owner. False raises an OSError
        instead. The SHA-256 digest of the recordings is checked in either case.
    return_X_y : bool, default=False
        Return `(data, target)` instead of the Bunch.

    Returns
    -------
    data : Bunch
        `data`, float32 of shape (40332, 32), the first feature of all eight electrodes, then the
        second, and so on, or (40332, 33) with `as_frame=True`; `target` (40332,), the gesture,
        an index of `target_names` (7,); `person` (40332,), an index of `person_names` (40,), of
        which "P" marks the owners' pre-training and "E" their evaluation part; `session`
        (40332,), an index of `session_names` (3,); `cycle` (40332,), from 0 to 3; `train`
        (40332,), whether the window is of the person's first session; `groups` (40332,), the
        same for windows of one cycle of seven gestures, and for their copies; `copied` (40332,),
        whether another person before has the same recording; `feature_names`, those of the
        columns of `data`; `frame`, data and target of shape (40332, 34), or None; `DESCR`.
    (data, target) : tuple
        With `return_X_y=True`.

    Raises
    ------
    OSError
        For a missing archive with `download_if_missing=False`, or for a download that fails.
    ValueError
        For an archive that is truncated, corrupt or another version.
    ImportError
        For `as_frame=True` without pandas.

    Notes
    -----
    People of the pre-training part have one session, those of the evaluation part three: the
    later sessions of the latter test a model. Rows follow the owners' paths, in which
    "classe_10" stands before "classe_2".

    The data are under the GPL-3.0, other than this package.

    References
    ----------
    U. Côté-Allard, C. L. Fall, A. Drouin, A. Campeau-Lecours, C. Gosselin, K. Glette, F. Laviolette
    and B. Gosselin, "Deep Learning for Electromyographic Hand Gesture Signal Classification Using
    Transfer Learning", IEEE Transactions on Neural Systems and Rehabilitation Engineering 27(4),
    2019. Files: https://github.com/UlysseCoteAllard/MyoArmbandDataset

    Examples
    --------
    >>> from sklearn_thin.datasets import fetch_emg_gestures
    >>> fetch_emg_gestures(data_home="no_such_folder", download_if_missing=False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: MyoArmbandDataset: expected MyoArmbandDataset-... in no_such_folder...
    """
    files = list(read_archive(fetch(EMG, data_home, download_if_missing), EMG.members))
    parts = [windows(content) for _, content in files]
    file = np.repeat(np.arange(len(files)), [len(part) for part in parts])  # of each window
    X = features(np.concatenate(parts))
    known = read_paths(files)
    person_names, person = np.unique(known.pop("person"), return_inverse=True)
    known = {name: values[file] for name, values in known.items()}
    names = [f"{name} {channel}" for name in FEATURES for channel in range(1, CHANNELS + 1)]
    labels = person_names[person][file]
    entries = as_table(X, known.pop("target"), names, "person", labels, as_frame)
    if return_X_y:
        return entries["data"], entries["target"]
    return Bunch(
        **entries,
        **known,
        target_names=np.array(GESTURES),
        person=person[file],
        person_names=person_names,
        session_names=np.array(SESSIONS),
        DESCR=f"{DESCR.strip()}\n",
    )


def windows(content):
    """Windows (n, WINDOW, CHANNELS) of a recording."""
    samples = np.frombuffer(content, "<i2").reshape(-1, CHANNELS)
    whole = len(samples) // WINDOW * WINDOW
    return samples[:whole].reshape(-1, WINDOW, CHANNELS)


def features(samples):
    """Features (n, 4 * CHANNELS) of windows (n, WINDOW, CHANNELS)."""
    samples = samples.astype(np.float32)
    before, after = samples[:, :-1], samples[:, 1:]
    parts = [
        np.log1p(np.abs(samples).mean(1)),  # (n, channels)
        np.log1p(np.sqrt(np.square(samples).mean(1))),
        np.log1p(np.abs(after - before).mean(1)),
        (before * after < 0).mean(1),
    ]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def read_paths(files):
    """Arrays (n_files,) that the paths of recordings give, and their copies."""
    contents = [content for _, content in files]
    first = {content: place for place, content in reversed(list(enumerate(contents)))}
    first = np.array([first[content] for content in contents])  # file of the same content
    parts, people, sessions, names = zip(*(path.split("/") for path, _ in files), strict=True)
    number = np.array([int(name[len("classe_") : -len(".dat")]) for name in names])
    cycle, target = np.divmod(number, len(GESTURES))
    person = np.char.add([part[0] for part in parts], people)
    session = np.searchsorted(SESSIONS, sessions)
    recorded = [f"{p} {s} {c}" for p, s, c in zip(person, session, cycle, strict=True)]
    return {
        "target": target,
        "person": person,
        "session": session,
        "cycle": cycle,
        "train": session == SESSIONS.index("training0"),
        "groups": np.unique(recorded, return_inverse=True)[1][first],
        "copied": first != np.arange(len(files)),
    }
