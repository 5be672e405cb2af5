"""Probabilities of probes -> scores, bits, intervals and permutation tests on the scoring rows.

The score is balanced accuracy above chance. For every fixed probe its expectation is 0 where z is
independent of h. The accuracy of a fixed probe may lie below that of the most frequent level.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import t as student

N_PERMUTATIONS = 999
LEVEL = 0.95  # of all intervals
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
        self.y, self.z = y[halves.test], halves.z[halves.test]
        _, self.units = np.unique(halves.units[halves.test], return_inverse=True)
        counts = self.sums(y[halves.train], halves.z[halves.train])
        self.prior = counts.sum(0) / counts.sum()
        counts = counts + self.prior * self.shape[1] * self.conditional  # for classes of few rows
        self.base = (counts / counts.sum(1, keepdims=True))[self.y]  # (n_test, n_levels)
        self.cells = self.kept(self.sums(self.y, self.z))  # rows of each cell
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
        return counts * ((counts > 0).sum(1, keepdims=True) > 1)

    # ------------------------------------------------------------- one probe

    def describe(self, proba, picks):
        """Numbers of a probe, of probabilities (n_repeats, n_test, n_levels) and its picks."""
        balanced, score = self.balanced(picks, self.z)
        error, spare = self.error_of_score(picks)
        gain = self.gains(proba)
        bits_error, bits_spare = self.error((gain - gain.mean()) / len(gain), 1)
        half = student.ppf((1 + LEVEL) / 2, spare) * error
        half_bits = student.ppf((1 + LEVEL) / 2, bits_spare) * bits_error
        return {
            "accuracy": (proba.argmax(2) == self.z).mean(),
            "chance": (self.base.argmax(1) == self.z).mean(),
            "balanced_accuracy": balanced,
            "score": score,
            "low": score - half,
            "high": min(1.0, score + half),
            "bits": gain.mean(),
            "bits_low": gain.mean() - half_bits,
            "bits_high": gain.mean() + half_bits,
        }

    def picks(self, proba):
        """Share of the repetitions that predict each level, (n_test, n_levels).

        The prediction is the level whose probability is highest above its base rate. This rule is
        the best for balanced accuracy.
        """
        ratio = np.where(self.cells[self.y] > 0, proba / np.maximum(self.base, 1e-12), -1)
        return np.eye(self.shape[1])[ratio.argmax(2)].mean(0)

    def balanced(self, picks, z):
        """Balanced accuracy within the classes of y, and the score: 0 is chance, 1 is perfect."""
        hits = self.sums(self.y, z, picks[np.arange(len(z)), z])
        counts = self.kept(self.sums(self.y, z))
        recall = np.divide(hits, counts, where=counts > 0, out=np.zeros(self.shape))
        share = counts.sum(1) / counts.sum()
        n_levels = np.maximum((counts > 0).sum(1), 2)
        total = recall.sum(1)
        return share @ (total / n_levels), share @ ((total - (share > 0)) / (n_levels - 1))

    def error_of_score(self, picks):
        """Standard error of the score, and its degrees of freedom."""
        y, z = self.y, self.z
        hit = picks[np.arange(len(z)), z]
        counts = np.maximum(self.cells, 1)
        apart = hit - (self.sums(y, z, hit) / counts)[y, z]
        n_levels = np.maximum((self.cells > 0).sum(1), 2)
        share = self.cells.sum(1) / self.cells.sum() / (n_levels - 1)
        weight = share[:, None] * (self.cells > 0) / counts
        return self.error(weight[y, z] * apart, np.count_nonzero(self.cells))

    def error(self, parts, n_means):
        """Standard error of a sum of centred parts (n_test,), and its degrees of freedom.

        Rows of one group may depend on each other.
        """
        n_units = self.units.max() + 1
        if self.grouped:
            n_means = self.shape[1] if self.nested else 1
        spare = n_units - n_means
        if spare < 1:
            raise ValueError(
                f"an interval needs more groups than levels of z, but {n_units} groups score the "
                f"probes of {self.shape[1]} levels. Pass rows of more groups."
            )
        sums = np.bincount(self.units, parts)
        return np.sqrt((sums**2).sum() * n_units / spare), spare

    # ------------------------------------------------------------------ bits

    def gains(self, proba):
        """Bits of each row (n_test,): log2 of the probability of z with h, less that without.

        The odds of a probe against the base rates are raised to a power that the other half of the
        scoring rows chooses. Power 0 ignores h, as V-information requires. Other powers calibrate.
        """
        halves = [self.units % 2 == half for half in (0, 1)]
        gain = np.zeros(proba.shape[:2])
        for probability, gained in zip(proba, gain, strict=True):
            least = 1 / len(self.z)  # a probability of 0 stays finite
            odds = np.log((1 - least) * probability / self.base + least)  # (n_test, n_levels)
            for here, there in (halves, halves[::-1]):
                power = best_power(odds[there], self.base[there], self.z[there])
                gained[here] = tempered(power, odds[here], self.base[here], self.z[here])
        return gain.mean(0) / np.log(2)

    def bits_of_y(self):
        """Bits about z in y alone."""
        rows = np.arange(len(self.z))
        return np.log2(self.base[rows, self.z] / self.prior[self.z]).mean()

    # ----------------------------------------------------------- permutation

    def p_values(self, picks, seed):
        """p of the score of each probe (n_probes,), and of the greatest score among them.

        The greatest score is compared with the greatest of each permutation (Westfall and Young,
        1993). Where each group has one level and y is given, no permutation keeps z given y: p is
        then that of a t-test, times the number of probes for the greatest score.
        """
        found = np.array([self.balanced(of, self.z)[1] for of in picks])
        if self.conditional and self.nested:
            errors, spare = zip(*(self.error_of_score(of) for of in picks), strict=True)
            alone = student.sf(found / np.maximum(errors, 1e-12), spare)
            return alone, min(1.0, alone.min() * len(alone))
        null = np.array([[self.balanced(of, z)[1] for of in picks] for z in self.permuted(seed)])
        found = found - 1e-12
        above, greatest = (null >= found).sum(0), (null.max(1) >= found.max()).sum()
        return (1 + above) / (1 + len(null)), (1 + greatest) / (1 + len(null))

    def permuted(self, seed):
        """z (n_test,) of each permutation.

        Levels of whole groups are permuted where each group has one. Others are permuted within the
        classes of y, and within groups.
        """
        random = np.random.RandomState(seed)
        if self.grouped and self.nested:
            of_unit = self.z[np.unique(self.units, return_index=True)[1]]
            for _ in range(N_PERMUTATIONS):
                yield random.permutation(of_unit)[self.units]
            return
        block = self.y * (self.units.max() + 1) + self.units if self.grouped else self.y
        places, z = np.argsort(block, kind="stable"), np.empty_like(self.z)
        for _ in range(N_PERMUTATIONS):
            z[places] = self.z[np.lexsort((random.uniform(size=len(z)), block))]
            yield z


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
