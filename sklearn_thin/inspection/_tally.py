"""Probabilities of probes -> scores, bits, intervals and permutation tests on the scoring rows.

The score is balanced accuracy above chance. For every fixed probe its expectation is 0 where z is
independent of h. The accuracy of a fixed probe may lie below that of the most frequent level.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import t as student
from sklearn.utils import gen_batches

from sklearn_thin.inspection._clusters import degrees_of_freedom, shares_of_others

N_PERMUTATIONS = 999
LEVEL = 0.95  # of all intervals
PERMUTED = 2**21  # values of z that are permuted at once
MOST_POWER = 20  # sharpens the probabilities of probes with a strong penalty


class Tally:
    """The scoring rows of one question: z from h, or z from h within the classes of y.

    A cell is a level of z within a class of y. The score leaves out cells with one row, and classes
    with one cell.
    """

    def __init__(self, halves, y=None):
        y = np.zeros(len(halves.z), int) if y is None else y
        self.shape = y.max() + 1, len(halves.levels)
        self.conditional = self.shape[0] > 1
        self.nested, self.grouped = halves.nested, halves.groups is not None
        # z of mixed groups, or of groups given y, could only change places within a group
        self.exact = not self.grouped or (self.nested and not self.conditional)
        self.y, self.z = y[halves.test], halves.z[halves.test]
        _, self.units = np.unique(halves.units[halves.test], return_inverse=True)
        counts = self.sums(y[halves.train], halves.z[halves.train])
        self.prior = counts.sum(0) / counts.sum()
        counts = counts + self.prior * self.shape[1] * self.conditional  # for classes of few rows
        self.base = (counts / counts.sum(1, keepdims=True))[self.y]  # (n_test, n_levels)
        self.cells = self.kept(self.sums(self.y, self.z))  # rows of each cell
        n_units, n_levels = self.units.max() + 1, self.shape[1]
        if self.grouped and n_units <= n_levels:
            raise ValueError(
                f"an interval needs more groups than levels of z, but {n_units} groups score the "
                f"probes of {n_levels} levels. Pass rows of more groups."
            )
        if not self.cells.any():
            raise ValueError(
                "z must have two levels within a class of y, but y determines z. Nothing about z "
                "is left to find beyond y: leave y out."
            )

    def sums(self, y, z, values=None):
        """Sums of values, or counts, of each cell (n_classes, n_levels)."""
        sums = np.bincount(y * self.shape[1] + z, values, minlength=np.prod(self.shape))
        return sums.reshape(self.shape)

    @staticmethod
    def kept(counts):
        """Counts of the cells that enter the score, else 0."""
        counts = np.where(counts > 1, counts, 0)
        return counts * ((counts > 0).sum(-1, keepdims=True) > 1)

    # -------------------------------------------------------------- scores

    def picks(self, proba):
        """Share of the repetitions that predict each level, (n_test, n_levels).

        The prediction is the level whose probability is highest above its mean over the rows of the
        class of y. This rule is the best for balanced accuracy, also for probes that underfit y.
        """
        ratio = np.where(self.cells[self.y] > 0, self.odds(proba), -np.inf)
        return np.eye(self.shape[1])[ratio.argmax(2)].mean(0)

    def odds(self, proba):
        """log of probabilities (n_repeats, n_test, n_levels) above their means over each class."""
        least = 1 / len(self.z)  # a probability of 0 stays finite
        proba = (1 - least) * proba + least * self.base
        mean = [proba[:, self.y == c].mean(1) for c in np.unique(self.y)]  # (n_repeats, n_levels)
        place = np.unique(self.y, return_inverse=True)[1]
        return np.log(proba / np.stack(mean, axis=1)[:, place])

    def scores(self, picks, z):
        """Balanced accuracy, the score (0 is chance, 1 is perfect), and its standard error.

        Reads the picks (n_probes, n_test, n_levels) of each probe, and z (n, n_test) of each
        permutation: three arrays (n, n_probes). Classes of y count by their rows.
        """
        hits, counts = np.zeros((len(z), len(picks), *self.shape)), np.zeros((len(z), *self.shape))
        squares = np.zeros_like(hits)
        for c, k in np.ndindex(self.shape):
            rows = np.flatnonzero(self.y == c)
            of_level, picked = (z[:, rows] == k).astype(np.float32), picks[:, rows, k].T
            hits[:, :, c, k] = of_level @ picked  # (n, n_rows) @ (n_rows, n_probes)
            squares[:, :, c, k] = of_level @ picked**2
            counts[:, c, k] = of_level.sum(1)
        counts = self.kept(counts)[:, None]  # (n, 1, n_classes, n_levels)
        rows, n_levels = counts.sum(3), np.maximum((counts > 0).sum(3), 2)
        share = rows / rows.sum(2, keepdims=True)  # (n, 1, n_classes)
        means = np.where(counts > 0, hits / np.maximum(counts, 1), 0)
        recall, weight = means.sum(3), self.weights(counts)
        score = (share * (recall - 1) / (n_levels - 1)).sum(2)
        if self.grouped:
            error = self.error_of_groups(picks, z, means, weight[:, 0])
        else:
            apart = np.maximum(squares - counts * means**2, 0) * counts / np.maximum(counts - 1, 1)
            error = np.sqrt((weight**2 * apart).sum((2, 3)))
        return (share * recall / n_levels).sum(2), score, error

    @staticmethod
    def weights(counts):
        """Weight in the score of a row of each cell, (..., n_classes, n_levels)."""
        rows, n_levels = counts.sum(-1, keepdims=True), (counts > 0).sum(-1, keepdims=True)
        share = rows / rows.sum(-2, keepdims=True) / np.maximum(n_levels - 1, 1)
        return share * (counts > 0) / np.maximum(counts, 1)

    def error_of_groups(self, picks, z, means, weight):
        """Standard error (n, n_probes) of the score, where rows of a group depend on each other."""
        n_units = self.units.max() + 1
        order = np.argsort(self.units, kind="stable")
        starts = np.searchsorted(self.units[order], np.arange(n_units))
        error = np.zeros((len(z), len(picks)))
        for place, labels in enumerate(z):
            apart = picks[:, np.arange(len(labels)), labels] - means[place][:, self.y, labels]
            parts = (self.adjusted(weight[place], labels) * apart)[:, order]  # (n_probes, n_test)
            sums = np.add.reduceat(parts, starts, axis=1)
            error[place] = np.sqrt((sums**2).sum(1))
        return error

    def adjusted(self, weight, z):
        """Weights (n_test,) of the residuals in the standard error of groups.

        CR2 for Student's t, or CR3 for groups of one level: their rows agree, so that CR2 is too
        small. Permutations need neither.
        """
        weight = weight[self.y, z]
        if self.exact:
            return weight
        return weight / shares_of_others(self.units, self.cell(z)) ** (1 if self.nested else 1 / 2)

    def cell(self, z):
        """The cell of each row, (n_test,)."""
        return self.y * self.shape[1] + z

    # ------------------------------------------------------------------ bits

    def bits(self, proba):
        """Bits about z, with the ends of their interval.

        The odds of a probe are raised to a power that the other half of the scoring rows chooses.
        Power 0 ignores h, as V-information requires. Other powers calibrate.
        """
        halves = [self.units % 2 == half for half in (0, 1)]
        gain = np.zeros(proba.shape[:2])
        for odds, gained in zip(self.odds(proba), gain, strict=True):
            for here, there in (halves, halves[::-1]):
                power = best_power(odds[there], self.base[there], self.z[there])
                gained[here] = tempered(power, odds[here], self.base[here], self.z[here])
        gain = gain.mean(0) / np.log(2)
        sums = np.bincount(self.units, gain - gain.mean()) / len(gain)  # of groups, or rows
        error = np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1))
        half = student.ppf((1 + LEVEL) / 2, len(sums) - 1) * error
        return {
            "bits": gain.mean(),
            "bits_low": gain.mean() - half,
            "bits_high": gain.mean() + half,
        }

    def bits_of_y(self):
        """Bits about z in y alone."""
        rows = np.arange(len(self.z))
        return np.log2(self.base[rows, self.z] / self.prior[self.z]).mean()

    # ----------------------------------------------------------- permutation

    def describe(self, probas, seed):
        """Numbers of each probe, a list of dicts, and p of the greatest t among them.

        `probas` are (n_probes, n_repeats, n_test, n_levels). t is the score over its standard
        error. Its permutations give p and the interval, which holds 0 in 95 % of independent draws
        (Chung and Romano, 2013). The score of few rows has few values, and many permutations equal
        it. These count half in the interval (mid-p; Lancaster, 1961), and whole in p. No lower end
        lies above 0 where p is above 0.05. The greatest t is compared with the greatest of each
        permutation (Westfall and Young, 1993).
        """
        picks = np.array([self.picks(proba) for proba in probas])
        balanced, score, error = (values[0] for values in self.scores(picks, self.z[None]))
        found, null = ratio(score, error), self.null(picks, seed)
        below, above = np.transpose([mid_quantiles(values) for values in null.T])
        p_values = (1 + (null >= found - 1e-6).sum(0)) / (1 + len(null))
        low, high, bits = score - above * error, score - below * error, map(self.bits, probas)
        low, high = np.where(error < 1e-6, self.ends_of_equal(score), (low, high))
        numbers = [
            {
                "accuracy": (proba.argmax(2) == self.z).mean(),
                "chance": (self.base.argmax(1) == self.z).mean(),
                "balanced_accuracy": balanced[i],
                "score": score[i],
                "low": max(-1.0, low[i]),
                "high": min(1.0, high[i]),
                "p_value": p_values[i],
                **of_probe,
            }
            for i, (proba, of_probe) in enumerate(zip(probas, bits, strict=True))
        ]
        for row in numbers:
            if row["p_value"] > 1 - LEVEL:  # ties, and few rows with nearly equal gains
                row |= {end: min(0.0, row[end]) for end in ("low", "bits_low")}
        return numbers, (1 + (null.max(1) >= found.max() - 1e-6).sum()) / (1 + len(null))

    def ends_of_equal(self, score):
        """Ends of the intervals of scores without a standard error: all rows of a cell agree.

        `share` is the least share of such rows that makes n agreeing rows likely enough, as in the
        interval of Clopper and Pearson (1934). The other rows are all wrong, or all right.
        """
        cell, _ = np.unique((self.cell(self.z), self.units), axis=1)  # rows of a group count once
        units = np.bincount(cell, minlength=np.prod(self.shape)).reshape(self.shape)
        rows, n_levels = self.cells.sum(1), (self.cells > 0).sum(1)
        least = np.where(self.cells > 0, units, len(self.z)).min(1)
        n = min((n_levels * least)[rows > 0].sum(), self.units.max() + 1)
        share = ((1 - LEVEL) / 2) ** (1 / n)
        wrong = (rows / rows.sum() / np.maximum(n_levels - 1, 1)).sum()
        return share * score - (1 - share) * wrong, share * score + (1 - share)

    def null(self, picks, seed):
        """t of the permutations, (n, n_probes).

        In groups of several levels, z could only change places within a group. Such t lie around
        what the groups show of z, and not around 0. Given y, groups of one level cannot change
        places. In both cases t comes from Student's distribution, as of independent probes.
        """
        if not self.exact:
            even = (np.arange(N_PERMUTATIONS) + 0.5) / N_PERMUTATIONS
            weight = self.adjusted(self.weights(self.cells), self.z)
            even = student.ppf(even, degrees_of_freedom(self.units, self.cell(self.z), weight))
            random = np.random.RandomState(seed)
            return np.column_stack([random.permutation(even) for _ in picks])
        scores = (self.scores(picks, z) for z in self.permuted(seed))
        return np.concatenate([ratio(score, error) for _, score, error in scores])

    def permuted(self, seed):
        """z (n, n_test) of the permutations, some at a time."""
        random, units = np.random.RandomState(seed), self.units
        if self.grouped:
            return permutations(self.z, random, units=units)
        return permutations(self.z, random, block=self.y)


def permutations(z, random, *, units=None, block=None):
    """Permuted codes (n, n_rows), some at a time.

    Either among the units, of which each has one level, or within the blocks of rows.
    """
    given = z
    if units is not None:
        z = z[np.unique(units, return_index=True)[1]]
    block = np.zeros(len(z), int) if block is None else block
    places = np.argsort(block, kind="stable")
    for some in gen_batches(N_PERMUTATIONS, max(1, PERMUTED // len(given))):
        drawn = np.empty((some.stop - some.start, len(z)), int)
        drawn[:, places] = z[np.argsort(block + random.uniform(size=drawn.shape), axis=1)]
        yield drawn if units is None else drawn[:, units]


def ratio(score, error):
    """t: scores over their standard errors, finite."""
    return np.where(np.abs(score) > 1e-6, score / np.maximum(error, 1e-9), 0)


def mid_quantiles(values):
    """The two values that have LEVEL between them, where ties count half."""
    values, counts = np.unique(np.round(values, 6), return_counts=True)
    share = (np.cumsum(counts) - counts / 2) / counts.sum()  # P(T < t) + P(T = t) / 2
    return np.interp([(1 - LEVEL) / 2, (1 + LEVEL) / 2], share, values)


def tempered(power, odds, base, z):
    """log of p(z) / base(z) in nats, (n,), of log-odds against the base rates, (n, n_levels)."""
    return power * odds[np.arange(len(z)), z] - logsumexp(power * odds, axis=1, b=base)


def best_power(odds, base, z):
    """The power of the odds that has the least log-loss; 0 where none is better than 0."""
    if not len(z):
        return 0.0
    given = {"bounds": (0, MOST_POWER), "method": "bounded"}
    found = minimize_scalar(lambda power: -tempered(power, odds, base, z).sum(), **given)
    return 0.0 if found.fun >= 0 else found.x
