"""nuisance_report: rows in, a word out."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_thin._arguments import validated
from sklearn_thin.inspection._report.advice import advise
from sklearn_thin.inspection._report.drift import drift_losses
from sklearn_thin.inspection._report.models import GATES, POOLS, score_models
from sklearn_thin.inspection._report.ratios import compare
from sklearn_thin.inspection._report.rows import read_rows
from sklearn_thin.inspection._report.view import NuisanceReport, table_of
from sklearn_thin.rows.labels import as_array

MOST_NUMBERS = 20  # different ones that are classes whatever their counts are
LEAST_ROWS = 5  # of the median class, a row for each of the default folds


@validated(
    {
        "X": "no_validation",
        "y": "no_validation",
        "z": "no_validation",
        "groups": "no_validation",
        "unseen": ["boolean"],
        "n_splits": [Interval(Integral, 2, None, closed="left")],
        "n_repeats": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "min_gain": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    }
)
def nuisance_report(
    X,
    y,
    z,
    groups=None,
    *,
    unseen=False,
    n_splits=5,
    n_repeats="auto",
    min_gain=0.05,
    random_state=None,
):
    """Advise to ignore a nuisance variable z, use it as a feature, gate by it, or dispel it.

    The report trains small networks on folds of the rows, and compares their held-out losses. All
    networks train together. The loss of classes is the squared error of the probabilities (Brier,
    1950). It notices differences that errors alone do not show. The loss of numbers is the squared
    error as a share of the variance of y: 1 - R².

    The advice is a word:

    - "gate": a gate by z is better than both models without z, and than both with z as a feature.
    - "feature": a model with z as a feature is better than both without. No gate is better still.
    - "ignore": no model with z is better, and the intervals exclude a gain of 25 %.
    - "dispel", with `unseen=True` alone: on levels that training lacked, a model without z in its
      representation is better than both pooled models, and than a constant. z is erased from the
      representation by `Erasure(keep_target=True)` of :mod:`sklearn_thin.dispelling`.
    - "too little data to say": none of these.

    "Better" needs two things: the mean loss is lower by the share `min_gain`, and the interval of
    the ratio of losses lies below 1. The intervals have a confidence of 95 %, so that one
    comparison of equally good models is wrong in at most 2.5 % of reports. They are those of the
    central limit theorem of cross-validation [1]_, over rows or groups.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        A table of numbers and text, without z, or images. Networks with a hidden layer read images
        by convolutions, at 32 pixels a side at most: larger images are averaged. Linear models read
        columns of pixels. Pixels must be finite.
    y : array-like of shape (n_samples,)
        Class labels, or numbers. Numbers of which some have fractions are those of a regression.
        Whole numbers are class labels: divide them by their standard deviation for a regression.
        More than 20 whole numbers, half of them in fewer than 5 rows each, are refused. Text is
        always class labels.
    z : array-like of shape (n_samples,)
        Levels of the nuisance variable. Bin numbers.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group are held out together, such as windows of one recording.
    unseen : bool, default=False
        Whether new rows come from levels of z that these rows lack. The folds then hold out whole
        levels, and only pooled models, dispelling ones and a constant are compared.
    n_splits : int, default=5
        Folds of the cross-validation, at least 2.
    n_repeats : int or "auto", default="auto"
        Repeats of the cross-validation. Each has its own folds, and its own seed of the networks.
        "auto" is 2, or up to 5 with fewer than 1,000 rows. For images it is half of that.
    min_gain : float, default=0.05
        Least share of the loss that a model must save, in [0, 1).
    random_state : int, RandomState instance or None, default=None
        Draws folds and networks.

    Returns
    -------
    NuisanceReport
        A Bunch, which prints as text or HTML, and has `plot()`.

        advice : str
            The word.
        reason : str
            Its reason, with ratios and intervals.
        table : DataFrame or Bunch
            Columns (n_models,): `model`; `error`, the share of wrong rows, or the mean absolute
            error in the units of y; `loss`; `error_ratio` and `loss_ratio` to the pooled network,
            with the ends of their intervals, `error_low`, `error_high`, `loss_low` and
            `loss_high`. A Bunch of arrays without pandas.
        recognition : Bunch or None
            How well z is recognised from X: `accuracy` of an encoder on held-out rows; `chance`,
            the accuracy of the most frequent level; `kept`, the share of the best gate's gain that
            is left if the encoder replaces the known z, or NaN without a gain. None with
            `unseen=True`.
        drift : Ratio or None
            A test of posterior drift, the change of the relation of X and y with z: the held-out
            loss of a regression with slopes and intercepts for each level, as a share of the loss
            with slopes for shuffled levels. The loss is the log-loss of a logistic regression, or
            the squared error of a ridge regression. It has `ratio`, `low` and `high`.
            The text states a change if `high` is below 1 and the gain at least `min_gain`. Of wide
            X the test reads 32 principal components. It sees linear relations alone. None with
            `unseen=True`.
        n_classes : int or None
            Classes of y. None for a regression.
        measures : str
            What `loss` and `error` are.
        n_splits, n_repeats, min_gain
            As used.

    Raises
    ------
    ValueError
        For one level, missing or continuous labels, labels of another length than X, levels with
        too few rows or groups for the folds, groups that equal z, z that determines y, and a
        column of X that is one-to-one with z. For the name of a column in place of its labels. For
        a y of many whole numbers, of which half have fewer than 5 rows each.

    Notes
    -----
    The models of the table:

    ======================== ===================================================================
    pooled                   X alone
    pooled, linear           X alone, without a hidden layer
    z as feature             X and the levels of z as one-hot columns
    z as feature, linear     the same columns, without a hidden layer
    gate by z, layers        the levels gate the maps of a hidden layer (`gating="layers"`)
    gate by z, linear        the levels gate linear experts of X (`MLPBackbone(())`)
    experts
    gate by encoder, ...     the same two networks; in prediction the encoder's probabilities
                             replace the known levels
    encoder alone            frequencies of the classes, or the mean of y, of each level, weighted
                             by the encoder
    z alone                  frequencies of the classes, or the mean of y, of each level
    dispelled                X alone, with z erased from the representation
    dispelled, linear        X alone, with z erased from X, if X has as many columns as z levels
    constant                 frequencies of the classes, or the mean of y
    ======================== ===================================================================

    The networks have one hidden layer of 64 units and about 700 steps. Erasure takes a direction
    for each level: with `unseen=True` the layer has 8 units for each level, at least 64. For images
    the layer is behind two convolutions of 8 and 16 filters, each with a pooling. In "z as feature"
    it reads the levels beside what the convolutions find. In "gate by z, linear experts" the
    experts read the layer. The word is about these networks. A larger network may gain more or less
    by z.

    References
    ----------
    .. [1] Bayle, Bayle, Janson and Mackey, "Cross-validation confidence intervals for test error",
       NeurIPS, 2020.

    Examples
    --------
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import nuisance_report
    >>> sites = make_sites(
    ...     600, n_sites=12, n_types=3, n_features=12, noise=0.05, random_state=0
    ... )
    >>> report = nuisance_report(
    ...     sites.data, sites.target, sites.site, n_splits=2, n_repeats=1, random_state=0
    ... )
    >>> report.advice
    'gate'
    """
    refuse_names(X, y=y, z=z, groups=groups)
    refuse_counts(y)
    rows = read_rows(X, y, z, groups, unseen=unseen, n_splits=n_splits)
    if n_repeats == "auto":
        n_repeats = int(np.clip(2000 // len(rows.y), 2, 5))
        if len(rows.X.shape) > 2:  # convolutions take longer
            n_repeats //= 2
    seeds = check_random_state(random_state).randint(2**31 - 1, size=n_repeats)
    refuse_folds(rows, seeds, unseen=unseen)
    scores = score_models(rows, seeds, unseen=unseen)
    advice, reason = advise(scores, rows.groups, min_gain, unseen=unseen)
    drift = recognition = None
    if not unseen:
        drift = compare(*drift_losses(rows, seeds[0]), rows.groups)
        recognition = recognise(scores, rows.groups)
    return NuisanceReport(
        advice=advice,
        reason=reason,
        table=table_of(scores, rows.groups),
        recognition=recognition,
        drift=drift,
        n_classes=getattr(rows.outcome, "n_classes", None),
        measures=rows.outcome.measures,
        n_splits=n_splits,
        n_repeats=n_repeats,
        min_gain=min_gain,
    )


def refuse_names(X, **labels):
    """Raise where labels are a text, such as the name of a column of X."""
    for argument, name in labels.items():
        if not isinstance(name, str):
            continue
        how = "Pass one label for each row of X."
        if name in getattr(X, "columns", ()):
            rest = f"X.drop({'columns=' if hasattr(X, 'iloc') else ''}{name!r})"
            column = f"X[{name!r}]"
            others = {"y": f"{column}, z", "z": f"y, {column}", "groups": f"y, z, groups={column}"}
            how = f"Pass the column, and X without it: nuisance_report({rest}, {others[argument]})"
        raise ValueError(f"{argument} must be an array of labels, got the text {name!r}. {how}")


def refuse_counts(y):
    """Raise where y has whole numbers that look like those of a regression."""
    y = as_array(y, "y")
    if y.dtype == object and all(isinstance(value, Real) for value in y.flat):
        y = y.astype(float)
    if y.dtype.kind not in "iuf" or (y != np.floor(y)).any():
        return
    counts = np.unique(y, return_counts=True)[1]
    if len(counts) > MOST_NUMBERS and np.median(counts) < LEAST_ROWS:
        raise ValueError(
            f"y has {len(counts)} different whole numbers in {y.size} rows, and half of them have "
            f"fewer than {LEAST_ROWS} rows each. Whole numbers are class labels, and classes need "
            "more rows. For a regression pass numbers with fractions: y / y.std(). For classes "
            "pass text: y.astype(str)"
        )


def refuse_folds(rows, seeds, *, unseen):
    """Raise where no model, or no gate by z, can learn from the training rows of a fold."""
    for seed in seeds:
        for train, _ in rows.folds(seed):
            if (rows.y[train] == rows.y[train[0]]).all():
                rare = np.unique(rows.y, return_counts=True)[1].min()
                raise ValueError(
                    "the training rows of a fold have one value of y: all rows of others are held "
                    f"out together. The rarest value has {rare} of {len(rows.y)} rows; take more "
                    "of it"
                )
            if unseen:
                continue
            if (n_levels := len(np.unique(rows.z[train]))) > len(train) / 2:
                raise ValueError(
                    "each training fold needs two rows for each level of z on average, but a fold "
                    f"has {n_levels} levels in {len(train)} rows. Merge levels of z, or bin "
                    "numbers. Pass unseen=True, if new rows come from new levels"
                )


def recognise(scores, groups):
    """How well z is recognised from X, and the share of the gate's gain that is left."""
    means = {name: losses.mean() for name, losses in scores.losses.items()}
    gate, pooled = min(GATES, key=means.get), min(POOLS, key=means.get)
    kept = np.nan
    if compare(scores.losses[gate], scores.losses[pooled], groups).high < 1:
        gain = means[pooled] - means[gate]
        kept = (means[pooled] - means[GATES[gate]]) / gain
    accuracy, chance = np.mean(scores.recognised), np.mean(scores.chance)
    return Bunch(accuracy=float(accuracy), chance=float(chance), kept=float(kept))
