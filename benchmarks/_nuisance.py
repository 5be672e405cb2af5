"""Real data sets with a nuisance variable: their rows, and draws of training and test rows.

The files are `nuisance/<name>.npz` in the folder that SKLEARN_THIN_DATA names.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from sklearn_thin.datasets._files import find_file

TEST_SHARE = 1 / 4  # of the rows or groups, where the set has no split of its own
SETS = {  # the nuisance variable, the source and its licence
    "emg_gestures": "person; Côté-Allard et al., MyoArmbandDataset, 2019; GPL-3.0",
    "fashion_rotated": "rotation, eight bins; Fashion-MNIST, Xiao, Rasul, Vollgraf, 2017; MIT",
    "digit_corpora": "corpus; MNIST, CC BY-SA 3.0, and UCI 80 and 178, CC BY 4.0",
    "spoken_digits": "speaker; free-spoken-digit-dataset; CC BY-SA 4.0",
    "ecg_pvc": "patient; MIT-BIH Arrhythmia Database, PhysioNet; ODC-BY 1.0",
    "hydraulic": "state of the cooler; UCI 447; CC BY 4.0",
    "nz_vowels": "speaker; QuakeBox, R package nzilbb.vowels; MIT",
    "heart_sites": "hospital; UCI 45; CC BY 4.0",
    "wine_quality": "colour; UCI 186; CC BY 4.0",
}


@lru_cache(maxsize=2)
def load_nuisance(name):
    """One of SETS.

    Returns
    -------
    Bunch
        `data` (n, ...), a table or images, as in the file; `target` and `nuisance` (n,), codes
        of `target_names` and `nuisance_names`; `groups` (n,), equal for rows that must not be
        divided between training and test, or None; `train` (n,), the training rows of a fixed
        split, or None; `thinned` (n,), the rows of which a draw takes a fraction; `DESCR`.
    """
    if name not in SETS:
        raise ValueError(f"name must be one of {', '.join(SETS)}, got {name!r}")
    folder = os.environ.get("SKLEARN_THIN_DATA")
    if not folder:
        raise OSError("set SKLEARN_THIN_DATA to the folder that holds nuisance/*.npz")
    how = "Put the file there, or set SKLEARN_THIN_DATA to the folder that holds nuisance/*.npz."
    with np.load(find_file(Path(folder) / "nuisance", f"{name}.npz", name, how)) as file:
        arrays = PREPARE.get(name, dict)(dict(file))
    target_names, target = np.unique(arrays["y"], return_inverse=True)
    nuisance_names, nuisance = np.unique(arrays["z"], return_inverse=True)
    return Bunch(
        data=arrays["X"],
        target=target,
        target_names=target_names,
        nuisance=nuisance,
        nuisance_names=nuisance_names,
        groups=arrays.get("groups"),
        train=arrays.get("train"),
        thinned=arrays.get("thinned", np.ones(len(target), dtype=bool)),
        DESCR=SETS[name],
    )


def draws(name, seed, fraction=None, *, unseen=False):
    """Indices of the training rows and of the test rows of one draw.

    Parameters
    ----------
    name : str
        One of SETS.
    seed : int
        Draws the split, unless the set has a fixed one, and the fraction.
    fraction : float or None, default=None
        The share of the training rows that is kept, in (0, 1]. Every class of every level keeps
        the same share. Of `emg_gestures` the session of a person without later sessions is
        kept whole.
    unseen : bool, default=False
        Whether the test rows are all rows of one level, which has no training rows. The seed
        counts through the levels that have test rows.

    Returns
    -------
    train, test : ndarray of int
    """
    if fraction is not None and not 0 < fraction <= 1:
        raise ValueError(f"fraction must be None or in (0, 1], got {fraction!r}")
    data = load_nuisance(name)
    fixed = data.train
    if unseen:
        levels = np.unique(data.nuisance if fixed is None else data.nuisance[~fixed])
        test = data.nuisance == levels[seed % len(levels)]
    elif fixed is None:
        test = random_part(data, seed)
    else:
        test = ~fixed
    train = ~test if fixed is None else fixed & ~test
    if data.groups is not None:
        train = train & ~np.isin(data.groups, data.groups[test])
    train = np.flatnonzero(train)
    if fraction is not None:
        thinned = data.thinned[train]
        few = share(train[thinned], strata(data), fraction, np.random.RandomState(seed))
        train = np.union1d(train[~thinned], few)
    return train, np.flatnonzero(test)


def random_part(data, seed):
    """Mask of the test rows: the same share of every class of every level, and whole groups."""
    groups = np.arange(len(data.target)) if data.groups is None else data.groups
    first = np.unique(groups, return_index=True)[1]  # a row of each group
    drawn = share(first, strata(data), TEST_SHARE, np.random.RandomState(seed))
    return np.isin(groups, groups[drawn])


def strata(data):
    """Codes (n,) of the pairs of class and level."""
    return data.nuisance * len(data.target_names) + data.target


def share(rows, codes, fraction, random_state):
    """A fraction of the rows, one at least, and about the same fraction of each code's rows."""
    rows = random_state.permutation(rows)
    _, stratum, count = np.unique(codes[rows], return_inverse=True, return_counts=True)
    order = np.argsort(stratum, kind="stable")
    first = np.cumsum(count) - count
    rank = np.empty(len(rows))
    rank[order] = np.arange(len(rows)) - first[stratum[order]]  # within the stratum
    place = (rank + random_state.uniform(size=len(count))[stratum]) / count[stratum]  # [0, 1)
    return np.sort(rows[np.argsort(place)[: max(1, round(fraction * len(rows)))]])


# ------------------------------------------------------------------- what each set needs


def kept(arrays, mask):
    """The arrays with the rows of a mask; names and the like stay as they are."""
    n_rows = len(mask)
    return {name: a[mask] if len(a) == n_rows else a for name, a in arrays.items()}


def identical(X):
    """Codes (n,) that are equal for equal rows; NaN equals NaN."""
    rows = np.ascontiguousarray(X).reshape(len(X), -1)
    return np.unique([row.tobytes() for row in rows], return_inverse=True)[1]


def emg_gestures(arrays):
    """People with later sessions are new: few rows of their first session, tested on the later.

    Three people of the file are copies of the sessions of another one, later sessions
    included. The copies are left out, or test rows would be training rows. Windows of one
    cycle follow one another without overlap. They are alike, so a cycle is a group.
    """
    with_later = np.isin(arrays["z"], arrays["z"][~arrays["train"]])
    rows = identical(arrays["X"])
    copies = np.isin(rows, rows[with_later]) & ~with_later
    arrays["thinned"] = with_later
    arrays["z"] = arrays["subjects"][arrays["z"]]
    recording = np.stack([arrays["session"], arrays["cycle"]], 1)  # (n, 2)
    _, person = np.unique(arrays["z"], return_inverse=True)
    arrays["groups"] = identical(np.column_stack([person, recording]))
    return kept(arrays, ~copies)


def hydraulic(arrays):
    """Rows of stable conditions alone; a group is a run of cycles of one state."""
    return kept(arrays, arrays["stable"])


def nz_vowels(arrays):
    """The speaker is the nuisance variable, and the gender no part of the data."""
    return arrays | {"z": arrays["groups"], "groups": None}


def heart_sites(arrays):
    """Identical rows are one group."""
    return arrays | {"z": arrays["sites"][arrays["z"]], "groups": identical(arrays["X"])}


def digit_corpora(arrays):
    """Corpora by name."""
    return arrays | {"z": arrays["corpora"][arrays["z"]]}


def wine_quality(arrays):
    """Colours by name; identical rows are one group."""
    return arrays | {"z": arrays["colours"][arrays["z"]]}


PREPARE = {
    "emg_gestures": emg_gestures,
    "digit_corpora": digit_corpora,
    "hydraulic": hydraulic,
    "nz_vowels": nz_vowels,
    "heart_sites": heart_sites,
    "wine_quality": wine_quality,
}
