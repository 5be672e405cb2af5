"""Fresh probes of a variable: rows that train them, and what they predict on rows that score them.

The rows are split once, by whole groups. One half trains all probes, and the other half scores
them. Probes are therefore fixed functions of the scoring rows, and a permutation of z among these
rows is an exact null.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, gen_batches

from sklearn_thin.rows.arrays import BLOCK
from sklearn_thin.rows.labels import encode_groups, encode_labels
from sklearn_thin.rows.tables import TablePreprocessor

FEWEST = 4  # rows of a level: two that train, two that score
TRAINS = 0.8  # share of the training units that each repetition draws


def linear(n_rows, n_levels, seed):
    return LogisticRegression(C=0.01, max_iter=1000)


def mlp(n_rows, n_levels, seed):
    # a question has few networks, and a stack of few is no faster than MLPClassifier on a CPU
    early = n_rows >= 20 * n_levels  # the tenth that stops the training needs every level
    given = {"early_stopping": early, "max_iter": 500 if early else 100}
    return MLPClassifier((256,), random_state=seed, **given)


def rbf(n_rows, n_levels, seed):
    landmarks = Nystroem(n_components=min(300, n_rows // 2), random_state=seed)
    return make_pipeline(landmarks, LogisticRegression(max_iter=1000))


def forest(n_rows, n_levels, seed):
    return RandomForestClassifier(50, min_samples_leaf=5, max_samples=0.5, random_state=seed)


FAMILIES = {"linear": linear, "mlp": mlp, "rbf": rbf, "forest": forest}


@dataclass
class Halves:
    """The variable, and the rows that train and score its probes."""

    levels: np.ndarray  # labels of z, (n_levels,)
    z: np.ndarray  # codes, (n_samples,)
    groups: np.ndarray | None  # codes, (n_samples,)
    train: np.ndarray
    test: np.ndarray
    nested: bool  # whether each group has one level

    @classmethod
    def read(cls, z, n_samples, groups, seed):
        """Halves of the rows with all levels in both; ValueError where there are none."""
        levels, z = encode_labels(z, n_samples, name="z", rows="h")
        refuse_rare(levels, np.bincount(z), "rows", FEWEST)
        if groups is None:
            train, test = next(StratifiedKFold(2, shuffle=True, random_state=seed).split(z, z))
            return cls(levels, z, None, train, test, False)
        groups = encode_groups(groups, n_samples)
        pairs = np.unique(np.column_stack([z, groups]), axis=0)
        nested = len(pairs) == groups.max() + 1
        if nested and len(pairs) == len(levels):
            raise ValueError(
                "groups and z must differ, but each group has one level of z and each level has "
                "one group. Probes train and score on other groups, and need every level in both. "
                "Pass the groups within the levels, such as people within sites, or groups=None."
            )
        refuse_rare(levels, np.bincount(pairs[:, 0]), "groups", 2)
        splitter = StratifiedGroupKFold(2, shuffle=True, random_state=seed)
        train, test = next(splitter.split(z, z, groups))
        for part in train, test:
            counts = np.bincount(z[part], minlength=len(levels))
            refuse_rare(levels, counts, "rows in each half of the groups", FEWEST // 2)
        return cls(levels, z, groups, train, test, nested)

    @property
    def units(self):
        """Codes of what is drawn independently, (n_samples,): groups, or rows."""
        return np.arange(len(self.z)) if self.groups is None else self.groups

    def permuted(self, seed):
        """The same halves, with z permuted among the rows or, if nested, the groups of each."""
        random, z = np.random.RandomState(seed), self.z.copy()
        for part in self.train, self.test:
            _, first, unit = np.unique(self.units[part], return_index=True, return_inverse=True)
            z[part] = (
                random.permutation(z[part][first])[unit]
                if self.nested
                else random.permutation(z[part])
            )
        return replace(self, z=z)

    def proba(self, h, probe, seed, n_repeats):
        """Probabilities (n_repeats, n_test, n_levels) of fresh probes."""
        units, random = np.unique(self.units[self.train]), np.random.RandomState(seed)
        found = np.zeros((n_repeats, len(self.test), len(self.levels)))
        for repeat in found:
            rows = self.train
            if n_repeats > 1:
                drawn = random.permutation(units)[: max(2, round(TRAINS * len(units)))]
                rows = rows[np.isin(self.units[rows], drawn)]
            if len(np.unique(self.z[rows])) < 2:
                rows = self.train
            fresh = make_probe(probe, len(rows), len(self.levels), random.randint(2**31 - 1))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # judged on held-out rows
                fresh.fit(h[rows], self.z[rows])
            for part in gen_batches(len(self.test), BLOCK):  # bound the memory
                repeat[part, fresh.classes_] = fresh.predict_proba(h[self.test[part]])
        return found


def make_probe(probe, n_rows, n_levels, seed):
    """A fresh probe of a family, which scales its features, or a clone of a classifier."""
    if not isinstance(probe, str):
        return clone(probe)
    return make_pipeline(StandardScaler(), FAMILIES[probe](n_rows, n_levels, seed))


def refuse_rare(levels, counts, what, fewest):
    """ValueError for levels with too few rows or groups."""
    rare = np.flatnonzero(counts < fewest)
    if len(rare):
        few = {str(levels[k]): int(counts[k]) for k in rare[:10]}
        raise ValueError(
            f"each level of z must have at least {fewest} {what}, as some train the probes and "
            f"others score them, but these have fewer: {few}. Merge rare levels, or leave "
            "their rows out."
        )


def matrix(h, name, n_samples=None):
    """Rows of numbers (n_samples, width) of an array, of images, or of a table."""
    if hasattr(h, "columns") or getattr(h, "dtype", None) == np.dtype(object):
        values = np.asarray(h)
        numbers = values.dtype.kind in "iuf" and np.isfinite(values).all()
        h = values if numbers else TablePreprocessor().fit_transform(h)  # which clips
    h = check_array(h, dtype=[np.float64, np.float32], allow_nd=True, input_name=name)
    if n_samples is not None and len(h) != n_samples:
        raise ValueError(
            f"{name} must have one row for each of the {n_samples} rows of h, got {len(h)}"
        )
    return h.reshape(len(h), -1)
