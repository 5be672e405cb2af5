"""How well predictions serve each level of a variable."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _num_samples

from sklearn_thin._arguments import validated
from sklearn_thin.inspection._intervals import (
    effective_rows,
    ends_of,
    ends_of_gap,
    flipped,
    mean_of,
    resampled,
    wilson,
)
from sklearn_thin.inspection._predicted import (
    check_kinds,
    check_numbers_of,
    check_one_output,
    check_proba,
    check_same_length,
    check_shared,
    classes_of_columns,
)
from sklearn_thin.inspection._reading import read_levels
from sklearn_thin.inspection._tables import TableReport, names_of
from sklearn_thin.inspection._tally import N_PERMUTATIONS, permutations
from sklearn_thin.rows.labels import (
    check_labels,
    encode_groups,
    places_in,
    sorted_classes,
)


@validated(
    {
        "y": ["array-like"],
        "predicted": ["array-like"],
        "z": ["array-like"],
        "groups": ["array-like", None],
        "labels": ["array-like", None],
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }
)
def level_report(y, predicted, z, groups=None, *, labels=None, n_bins=10, random_state=None):
    """Accuracy and calibration at each level of `z`, the worst level, and the gap.

    The measures are those of `fairlearn.metrics.MetricFrame`, with intervals.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels, or numbers.
    predicted : array-like of shape (n_samples, n_classes) or (n_samples,)
        Probabilities, such as `clf.predict_proba(X_test)`, or predicted labels or numbers. Numbers
        with fractions, in `y` or `predicted`, are those of a regressor.
    z : array-like of shape (n_samples,)
        Labels of the exogenous variable.
    groups : array-like of shape (n_samples,), default=None
        Whole groups are resampled for the intervals, instead of rows.
    labels : array-like of shape (n_classes,), default=None
        Classes of the columns of `predicted`, in their order, such as `clf.classes_`. None takes
        the names of a frame's columns if these are the labels of y, else the sorted labels of y.
    n_bins : int, default=10
        Bins of equal width of the confidence, for the calibration.
    random_state : int, RandomState instance or None, default=None
        Draws the resamples and permutations.

    Returns
    -------
    LevelReport
        A Bunch. `print(report)` shows its text, `report.table` is a pandas DataFrame of its rows,
        and `report.to_json()` is JSON.

        rows : list of dict
            One for each level. `level`, `n_rows`, and with `groups` also `n_groups`. Of classes:
            `accuracy` with its 95 % interval, `low` and `high`; `balanced_accuracy`, the mean
            recall of the classes in the level; with probabilities also `confidence`, the mean of
            the greatest probabilities, and `calibration_error`, the expected calibration error,
            with `calibration_low` and `calibration_high`. Of numbers: `rmse` with `low` and
            `high`, in the units of y; `r2`, and `bias`, the mean of predicted less true numbers.
        overall : dict
            The same of all rows.
        worst_level : label
            The level with the least accuracy, or the greatest RMSE.
        worst, worst_low, worst_high : float
            Its accuracy or RMSE, with the interval of this level.
        gap, gap_low, gap_high : float
            Best less worst accuracy, or worst less best RMSE. Noise alone makes a gap, above all
            at levels with few rows.
        p_value : float
            That of equal accuracy, or equal mean squared error, at all levels. Levels are permuted
            among the rows, or among groups of one level each. If a group has several levels, the
            signs of the groups' deviations are drawn instead (wild cluster bootstrap; Cameron,
            Gelbach and Miller, 2008).
        reliability : list of dict
            With probabilities, for each level and bin: `level`, `confidence`, `accuracy` and
            `n_rows`, as in :func:`sklearn.calibration.calibration_curve`.

    Raises
    ------
    ValueError
        If z has one level or missing labels, if lengths differ, if `labels` do not fit the columns
        of `predicted` or hold a class twice, if the rows of `predicted` are no probabilities, or if
        predicted labels are of another type than y, or y has several labels and none of these.

    See Also
    --------
    leakage_report : Whether the variable has left a representation.

    Notes
    -----
    The expected calibration error is the mean of `|accuracy - confidence|` over bins, by rows (Guo
    et al., 2017). It is greater than 0 for a calibrated classifier of few rows.

    Intervals of accuracy are Wilson's, which hold for few rows too. With groups, the number of rows
    is divided by the design effect (Korn and Graubard, 1998). Other intervals are percentiles of
    1,000 resamples within the levels, or of whole groups. Ends are NaN for a level with one row or
    one group, and for the gap if such a level is the best or the worst. The worst level and the gap
    are chosen by the same rows, and are therefore pessimistic. The interval of the gap allows for
    this choice: it holds for all pairs of levels at once, as Tukey's studentised range does.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_thin.inspection import level_report
    >>> random = np.random.RandomState(0)
    >>> y, z = random.randint(2, size=(2, 600))
    >>> wrong = random.uniform(size=600) < np.where(z == 1, 0.3, 0.1)
    >>> report = level_report(y, np.where(wrong, 1 - y, y), z, random_state=0)
    >>> report.worst_level, round(report.gap, 2), report.p_value < 0.01
    (1, 0.19, True)
    """
    random = check_random_state(random_state)
    measure, y, predicted = _read(y, predicted, labels, n_bins)
    levels, z = read_levels(z, _num_samples(y), name="z", rows="y")
    names = names_of(levels)
    groups = None if groups is None else encode_groups(groups, len(z))
    parts = measure.parts(y, predicted)
    sums = np.array([parts[z == level].sum(0) for level in range(len(levels))])
    drawn = resampled(parts, z, groups, random)  # (N_RESAMPLES, n_levels, n_parts)
    units = np.bincount(z)
    if groups is not None:
        units = np.bincount(np.unique(np.column_stack([z, groups]), axis=0)[:, 0])
    rows = measure.rows(sums, drawn, units, effective_rows(parts, z, groups))
    counts = {"n_rows": np.bincount(z)} | ({} if groups is None else {"n_groups": units})
    rows = [
        {"level": name, **{key: int(of[i]) for key, of in counts.items()}, **row}
        for i, (name, row) in enumerate(zip(names, rows, strict=True))
    ]
    main = measure.main(sums)
    worst = rows[measure.order(main).argmin()]
    gap_low, gap_high = ends_of_gap(main, measure.main(drawn), units)
    every = np.zeros_like(z)
    n_units = [len(z) if groups is None else groups.max() + 1]
    total = sums.sum(0)[None], drawn.sum(1)[:, None], np.array(n_units)
    overall = measure.rows(*total, effective_rows(parts, every, groups))[0]
    return LevelReport(
        overall={"n_rows": len(z), **overall},
        worst_level=worst["level"],
        worst=worst[measure.name],
        worst_low=worst["low"],
        worst_high=worst["high"],
        gap=float(np.ptp(main)),
        gap_low=float(gap_low),
        gap_high=float(min(gap_high, measure.most)),
        p_value=_p_of_equal_levels(parts[:, :2], z, groups, random),
        rows=rows,
        reliability=measure.reliability(sums, names),
    )


class LevelReport(TableReport):
    """The result of :func:`level_report`."""

    @property
    def heading(self):
        """The worst level and the gap."""
        return (
            f"{self.overall['n_rows']} rows, {len(self.rows)} levels.\n"
            f"worst level: {self.worst_level}, {self.worst:.3f} "
            f"[{self.worst_low:.3f}, {self.worst_high:.3f}]\n"
            f"gap: {self.gap:.3f} [{self.gap_low:.3f}, {self.gap_high:.3f}], "
            f"p = {self.p_value:.3f} for equal levels"
        )


def _read(y, predicted, labels, n_bins):
    """The measures, and y and predicted as codes, numbers or probabilities."""
    check_one_output(y)
    if np.ndim(predicted) == 2 and np.shape(predicted)[1] > 1:
        columns = getattr(predicted, "columns", ())
        predicted = check_array(predicted, dtype=float, input_name="predicted")
        check_proba(predicted)
        y = check_labels(y)
        classes = classes_of_columns(labels, y, columns)
        if len(classes) != predicted.shape[1]:
            raise ValueError(
                f"predicted must have one column for each of the {len(classes)} classes "
                f"{classes[:10].tolist()}, got {predicted.shape[1]} columns. Pass "
                "labels=clf.classes_."
            )
        check_same_length(y, predicted)
        codes = places_in(classes, y)
        if (codes < 0).any():
            raise ValueError(
                f"y has labels that are not in labels: {sorted(set(y[codes < 0].tolist()))[:10]}"
            )
        return Labels(len(classes), n_bins), codes, predicted
    y, predicted = check_labels(y, numbers=True), check_labels(predicted, "predicted", numbers=True)
    check_same_length(y, predicted)
    fractions = [of.dtype.kind == "f" and (of != np.floor(of)).any() for of in (y, predicted)]
    if not any(fractions):
        classes, codes = sorted_classes(y, "y")
        places = places_in(classes, predicted)  # -1 where no row has the label: always wrong
        if (places < 0).all():
            check_kinds(y, predicted)
            check_shared(classes, predicted)
        return Labels(len(classes)), codes, places
    check_numbers_of(y, predicted, fractions)
    return Numbers(), y.astype(float), predicted.astype(float)


@dataclass
class Labels:
    """Measures of labels or probabilities, all functions of sums over rows.

    The parts of a row are: 1; 1 if right; its class, in total and if right; the bin of its
    confidence, in total, if right, and times the confidence.
    """

    n_classes: int
    n_bins: int = 0  # 0 without probabilities
    name, most = "accuracy", 1

    def parts(self, y, predicted):
        """Parts of the rows, (n_samples, n_parts)."""
        classes, confidence = np.eye(self.n_classes)[y], None
        if self.n_bins:
            confidence, predicted = predicted.max(1)[:, None], predicted.argmax(1)
        right = (y == predicted)[:, None]
        parts = [np.ones_like(right), right, classes, classes * right]
        if self.n_bins:
            edges = np.linspace(0, 1, self.n_bins + 1)[1:-1]
            bins = np.eye(self.n_bins)[np.searchsorted(edges, confidence[:, 0])]
            parts += [bins, bins * right, bins * confidence]
        return np.column_stack(parts).astype(float)

    def split(self, sums):
        """Sums of classes, (2, ..., n_classes), and of bins, (3, ..., n_bins)."""
        end = 2 + 2 * self.n_classes
        return np.split(sums[..., 2:end], 2, axis=-1), np.split(sums[..., end:], 3, axis=-1)

    def main(self, sums):
        """Accuracy, of the first two parts; NaN without rows."""
        return mean_of(sums[..., 1], sums[..., 0])

    def order(self, main):
        """Values that are least for the worst level."""
        return main

    def calibration_error(self, sums):
        """Expected calibration error."""
        counts, right, confidence = self.split(sums)[1]
        return mean_of(np.abs(right - confidence).sum(-1), counts.sum(-1))

    def rows(self, sums, drawn, units, n_effective):
        """Measures of each level, with NaN for intervals of a single row or group."""
        (classes, right), (_, _, confidence) = self.split(sums)
        balanced = mean_of(mean_of(right, classes, 0).sum(-1), (classes > 0).sum(-1))
        several = np.where(units > 1, 1.0, np.nan)
        low, high = wilson(self.main(sums), n_effective, units)
        columns = {"accuracy": self.main(sums), "low": low * several, "high": high * several}
        columns["balanced_accuracy"] = balanced
        if self.n_bins:
            columns["confidence"] = confidence.sum(-1) / sums[:, 0]
            low, high = ends_of(self.calibration_error(drawn))
            columns["calibration_error"] = self.calibration_error(sums)
            columns |= {"calibration_low": low * several, "calibration_high": high * several}
        return _dicts(columns)

    def reliability(self, sums, names):
        """Mean confidence and accuracy of the rows in each bin of each level."""
        counts, right, confidence = self.split(sums)[1] if self.n_bins else np.zeros((3, 0, 0))
        return [
            {
                "level": names[level],
                "confidence": float(confidence[level, place] / counts[level, place]),
                "accuracy": float(right[level, place] / counts[level, place]),
                "n_rows": int(counts[level, place]),
            }
            for level, place in np.argwhere(counts > 0)
        ]


class Numbers:
    """Measures of numbers.

    The parts of a row are 1, the squared error, the error, y and its square.
    """

    name, most = "rmse", np.inf

    def parts(self, y, predicted):
        """Parts of the rows, (n_samples, n_parts), of y less its mean."""
        error, y = predicted - y, y - y.mean()
        return np.column_stack([np.ones(len(y)), error**2, error, y, y**2])

    def main(self, sums):
        """Root mean squared error, of the first two parts; NaN without rows."""
        return np.sqrt(mean_of(sums[..., 1], sums[..., 0]))

    def order(self, main):
        """Values that are least for the worst level."""
        return -main

    def rows(self, sums, drawn, units, n_effective):
        """Measures of each level, with NaN for intervals of a single row or group."""
        n, squares, error, y, y_squares = np.moveaxis(sums, -1, 0)
        several = np.where(units > 1, 1.0, np.nan)
        low, high = ends_of(self.main(drawn))
        columns = {"rmse": self.main(sums), "low": low * several, "high": high * several}
        columns["r2"] = 1 - mean_of(squares, np.maximum(y_squares - y**2 / n, 0))
        return _dicts(columns | {"bias": error / n})

    def reliability(self, sums, names):
        """Numbers have no confidence."""
        return []


def _dicts(columns):
    """Columns of equal length as rows of plain floats."""
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, map(float, row), strict=True)) for row in rows]


def _p_of_equal_levels(parts, z, groups, random):
    """Share of the permutations of z whose means differ as much between the levels.

    Of 1 and the loss of the rows, (n_samples, 2). Means differ by the sum of squares between the
    levels.
    """
    n_rows, loss = np.bincount(z), parts[:, 1] - parts[:, 1].mean()
    if groups is not None and len(np.unique([z, groups], axis=1)[0]) > groups.max() + 1:
        drawn = flipped(loss, z, groups, random)
    else:
        drawn = (
            np.stack([(labels == level) @ loss for level in range(len(n_rows))], axis=1)
            for labels in permutations(z, random, units=groups)
        )
    least = (np.bincount(z, loss) ** 2 / n_rows).sum() * (1 - 1e-9)
    above = sum(np.count_nonzero((sums**2 / n_rows).sum(1) >= least) for sums in drawn)
    return float((1 + above) / (1 + N_PERMUTATIONS))
