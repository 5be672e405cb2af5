"""How well a probe, a fresh classifier, predicts a variable from a representation."""

from dataclasses import dataclass
from numbers import Integral
from operator import itemgetter

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, check_random_state, gen_batches
from sklearn.utils._param_validation import HasMethods, Hidden, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _num_samples

from sklearn_thin._arguments import validated
from sklearn_thin.inspection._probes import FAMILIES, Halves, matrix
from sklearn_thin.inspection._tables import TableReport, names_of
from sklearn_thin.inspection._tally import Tally
from sklearn_thin.rows.arrays import BLOCK, take
from sklearn_thin.rows.labels import encode_labels, plain_labels

# estimators too, so that the error says what to pass
REPRESENTATION = ["array-like", Hidden(HasMethods("fit"))]


@validated(
    {
        "h": REPRESENTATION,
        "z": ["array-like"],
        "probe": [StrOptions({"linear", "mlp"}), HasMethods(["fit", "predict"])],
        "test_size": [Interval(RealNotInt, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }
)
def leakage_score(h, z, *, probe="linear", test_size=0.5, random_state=None) -> float:
    """Accuracy of a fresh probe that predicts `z` from the representation `h`.

    Pass held-out rows. An eraser fitted to the same rows would look perfect. A low score is a
    statement about this probe alone: another probe may read more.

    Parameters
    ----------
    h : array-like of shape (n_samples, width)
        The representation, such as `THINClassifier.transform(X_test)`. A named probe also reads
        images and tables, such as the raw input.
    z : array-like of shape (n_samples,)
        Labels of the exogenous variable.
    probe : {"linear", "mlp"} or classifier, default="linear"
        "linear" is a logistic regression with an L2 penalty (C=0.01). "mlp" is a network of one
        hidden layer with 256 units, with early stopping. Both read features scaled to variance
        1. A classifier is cloned.
    test_size : float, default=0.5
        Share of the rows that score the probe. The probe is fitted on the other rows.
    random_state : int, RandomState instance or None, default=None
        Splits the rows and seeds the "mlp" probe.

    Returns
    -------
    Bunch
        Three floats. `accuracy` is that of the probe, in [0, 1]. `chance` is the accuracy of the
        most frequent label, in [0, 1]. `excess` is their difference.

    Raises
    ------
    TypeError
        If `h` is an estimator, or `probe` no classifier.
    ValueError
        If labels of `z` are missing or continuous, if all rows have one label, or if a label has
        a single row. Both parts of the rows need every label.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_thin.inspection import leakage_score
    >>> z = np.arange(200) % 2
    >>> h = np.random.RandomState(0).normal(z[:, None], 0.2, size=(200, 3))
    >>> leakage_score(h, z, random_state=0)
    {'accuracy': 1.0, 'chance': 0.5, 'excess': 0.5}
    """
    refuse_estimator(h)
    if not isinstance(probe, str) and not is_classifier(probe):
        raise TypeError(f"probe must be a classifier, 'linear' or 'mlp', got {probe!r}")
    seed = check_random_state(random_state).randint(2**31 - 1)
    classes, codes = encode_labels(z, _num_samples(h), name="z", rows="h")
    rare = classes[np.bincount(codes) < 2]
    if len(rare):
        raise ValueError(
            "each label of z must have at least two rows, one to fit the probe and one to score "
            f"it, but these have one: {rare.tolist()}"
        )
    z = plain_labels(classes[codes])
    named = isinstance(probe, str)
    if named:
        h = matrix(h, "h")
    if named and probe == "mlp":
        z = codes  # MLPClassifier of scikit-learn 1.6 fails on strings
    h, h_test, z, z_test = train_test_split(
        h, z, test_size=test_size, stratify=z, random_state=seed
    )
    probes = {
        "linear": LogisticRegression(C=0.01, max_iter=1000),
        "mlp": MLPClassifier((256,), early_stopping=True, max_iter=500, random_state=seed),
    }
    probe = make_pipeline(StandardScaler(), probes[probe]) if named else clone(probe)
    probe.fit(h, z)
    blocks = (take(h_test, rows) for rows in gen_batches(len(z_test), BLOCK))  # bound the memory
    # the probe's own score may be another measure
    accuracy = accuracy_score(z_test, np.concatenate([probe.predict(part) for part in blocks]))
    chance = DummyClassifier().fit(h, z).score(h_test, z_test)
    return Bunch(accuracy=accuracy, chance=chance, excess=accuracy - chance)


@validated(
    {
        "h": REPRESENTATION,
        "z": ["array-like"],
        "y": ["array-like", None],
        "groups": ["array-like", None],
        "X": ["array-like", None],
        "untrained": ["array-like", None],
        "probes": [list, tuple, dict],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }
)
def leakage_report(
    h,
    z,
    y=None,
    groups=None,
    *,
    X=None,
    untrained=None,
    probes=tuple(FAMILIES),
    n_repeats=2,
    random_state=None,
):
    """How well fresh probes of several families predict `z` from the representation `h`.

    Half of the rows, or of the groups, train the probes. The other half scores them. Pass rows that
    neither the representation nor a map of dispelling was fitted to.

    Parameters
    ----------
    h : array-like of shape (n_samples, width)
        The representation, such as `THINClassifier.transform(X_test)`.
    z : array-like of shape (n_samples,)
        Labels of the exogenous variable. Each level needs four rows, and two groups.
    y : array-like of shape (n_samples,), default=None
        Class labels. With y, further probes read h and y. Their bits are those beyond y alone, and
        their score is the mean within the classes of y (conditional probing; Hewitt et al., 2021).
    groups : array-like of shape (n_samples,), default=None
        Rows of one group train together, or score together. Intervals then treat groups, instead
        of rows, as independent.
    X : array-like of shape (n_samples, ...), default=None
        The raw input, as a control. A second control is an untrained layer of it: a random
        projection to the width of h with a rectifier, unless `untrained` is given.
    untrained : array-like of shape (n_samples, width), default=None
        The representation by an untrained network, as a control.
    probes : list of str or dict from name to classifier, default=("linear", "mlp", "rbf", "forest")
        Names of families, or classifiers with `predict_proba`, which are cloned. The families read
        features of variance 1.

        - "linear": logistic regression with an L2 penalty (C=0.01).
        - "mlp": one hidden layer of 256 units, with early stopping.
        - "rbf": logistic regression on 300 features of an RBF kernel (Nystroem).
        - "forest": a random forest of 50 trees.
    n_repeats : int, default=2
        Fits of each probe, on random four fifths of the training half, or on all of it for 1.
        Scores are means over the fits. Controls are fitted once.
    random_state : int, RandomState instance or None, default=None
        Splits the rows, and seeds the probes and the permutations.

    Returns
    -------
    LeakageReport
        A Bunch. `print(report)` shows its text, `report.table` is a pandas DataFrame of its rows,
        and `report.to_json()` is JSON.

        rows : list of dict
            One for each representation, question and probe. `features` are "h", "permuted z" (h
            with z permuted in both halves), "X", and "untrained" or "random layer".
            `given` is "y" for conditional probes, else "". `score` is balanced accuracy above
            chance: 0 is chance, 1 is perfect. `low` and `high` bound its 95 % interval. `p_value`
            is that of the score under permutations of z. `bits` is the V-information, in
            [0, log2(n_levels)] except for noise, with its 95 % interval.
        score, low, high, bits, p_value, probe : float and str
            The row of h with the greatest score. `p_value` allows for the choice among the probes.
        conditional : Bunch or None
            The same numbers given y.
        bits_of_y : float or None
            Bits about z in y alone.
        levels : list
            Sorted labels of z.
        n_train, n_test : int
            Rows that train, and that score.

    Raises
    ------
    TypeError
        If `h` is an estimator, or a probe has no `predict_proba`.
    ValueError
        If z has one level, missing or continuous labels, or levels with too few rows or groups; if
        groups and z are the same variable; if y determines z; or if lengths differ.

    See Also
    --------
    leakage_score : The accuracy of one probe.
    make_leakage_scorer : A scorer for searches.

    Notes
    -----
    Bits are the reduction of the held-out log-loss, log2 p(z | h) - log2 p(z), where p(z) are the
    frequencies of the levels in training (V-information; Xu et al., "A theory of usable information
    under computational constraints", ICLR 2020). Given y, p(z | y) replaces p(z).

    The rows that score never train. A permutation of their z, with the probes as they are, is
    therefore an exact test. z is permuted within the classes of y, or among groups that have one
    level each. Intervals of the score invert this test with a studentised
    score (Chung and Romano, 2013). Permutations with an equal score count half in them (mid-p;
    Lancaster, 1961). A score without a standard error, such as that of a perfect probe, has an
    interval of the number of rows or groups (Clopper and Pearson, 1934). No lower end, of the score
    or of bits, lies above 0 where p is above 0.05. Intervals hold for these trained probes, and not
    for another draw of training rows.

    Student's t replaces the permutations if groups have several levels, and given y with groups.
    Standard error and degrees of freedom are then those of Bell and McCaffrey ("Bias reduction in
    standard errors for linear regression with multi-stage samples", Survey Methodology, 2002): CR2,
    or CR3, a jackknife of the groups, where groups have one level.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_thin.inspection import leakage_report
    >>> random = np.random.RandomState(0)
    >>> h = random.normal(size=(400, 3))
    >>> z = (h[:, 0] * h[:, 1] > 0).astype(int)  # parity, which no linear probe reads
    >>> report = leakage_report(h, z, probes=["linear", "rbf"], random_state=0)
    >>> report.probe, report.p_value < 0.01
    ('rbf', True)
    """
    refuse_estimator(h)
    seed = check_random_state(random_state).randint(2**31 - 1)
    probes = checked_probes(probes)
    h = matrix(h, "h")
    halves = Halves.read(z, len(h), groups, seed)
    audit = Audit(halves, probes, seed, n_repeats)
    marginal = Tally(halves)
    report, rows = audit.best(h, marginal, "h")
    conditional = bits_of_y = None
    if y is not None:
        y = encode_labels(y, len(h), name="y", rows="h")[1]
        given = Tally(halves, y)
        bits_of_y = float(given.bits_of_y())
        conditional, more = audit.best(
            np.column_stack([h, np.eye(y.max() + 1)[y]]), given, "h", "y"
        )
        rows += more
    permuted = halves.permuted(seed)
    rows += Audit(permuted, probes, seed, 1).best(h, Tally(permuted), "permuted z")[1]
    audit = Audit(halves, probes, seed, 1)
    for features, control in _controls(h, X, untrained, seed).items():
        rows += audit.best(control, marginal, features)[1]
    return LeakageReport(
        **report,
        conditional=conditional,
        bits_of_y=bits_of_y,
        rows=rows,
        levels=names_of(halves.levels),
        n_train=len(halves.train),
        n_test=len(halves.test),
    )


class LeakageReport(TableReport):
    """The result of :func:`leakage_report`."""

    @property
    def heading(self):
        """The best probe of each question, in a line."""
        text = f"{len(self.levels)} levels of z. {self.n_train} rows train, {self.n_test} score."
        for name, found in (("z from h", self), ("z from h given y", self.conditional)):
            if found is not None:
                text += (
                    f"\n{name}: score {found.score:.3f} [{found.low:.3f}, {found.high:.3f}], "
                    f"p = {found.p_value:.3f}, {found.bits:.3f} bits ({found.probe})"
                )
        return text


@dataclass
class Audit:
    """Probes of one variable."""

    halves: Halves
    probes: dict
    seed: int
    n_repeats: int

    def probas(self, h):
        """Probabilities of each probe on the scoring rows, (n_repeats, n_test, n_levels)."""
        return [
            self.halves.proba(h, probe, self.seed + place, self.n_repeats)
            for place, probe in enumerate(self.probes.values())
        ]

    def best(self, h, tally, features, given=""):
        """Numbers of the best probe of h, and a row for each probe."""
        numbers, any_probe = tally.describe(self.probas(h), self.seed)
        rows = [
            {"features": features, "given": given, "probe": name}
            | {key: float(value) for key, value in of_probe.items()}
            for name, of_probe in zip(self.probes, numbers, strict=True)
        ]
        best = max(rows, key=itemgetter("score"))
        named = ("probe", "score", "low", "high", "bits", "bits_low", "bits_high")
        return Bunch(**{name: best[name] for name in named}, p_value=float(any_probe)), rows


def refuse_estimator(h):
    """TypeError for an estimator in the place of its representation."""
    if hasattr(h, "fit"):
        raise TypeError(
            "h must be a representation, an array with a row for each label, got the estimator "
            f"{type(h).__name__}. Pass its representation of held-out rows: "
            "estimator.transform(X_test)"
        )


def checked_probes(probes):
    """Families or classifiers by name."""
    if isinstance(probes, str):
        raise ValueError(
            f"probes must be a list of names among {list(FAMILIES)}, or a dict from name to "
            f"classifier, got the string {probes!r}. Pass a list, such as ['linear']"
        )
    if not isinstance(probes, dict):
        unknown = [probe for probe in probes if not isinstance(probe, str) or probe not in FAMILIES]
        if unknown or not probes:
            raise ValueError(
                f"probes must be names among {list(FAMILIES)}, or a dict from name to classifier, "
                f"got {list(probes)!r}"
            )
        return {name: name for name in probes}
    if not probes:
        raise ValueError("probes must hold at least one classifier, got an empty dict")
    for name, probe in probes.items():
        if not hasattr(probe, "predict_proba") or isinstance(probe, type):
            raise TypeError(
                f"probe {name!r} must be a classifier with predict_proba, got {probe!r}"
            )
    return probes


def _controls(h, X, untrained, seed):
    """Representations by name that h is compared with."""
    controls = {}
    if X is not None:
        controls["X"] = X = matrix(X, "X", len(h))
    if untrained is not None:
        controls["untrained"] = matrix(untrained, "untrained", len(h))
    elif X is not None:
        project = np.random.RandomState(seed).normal(size=(X.shape[1], h.shape[1]))
        controls["random layer"] = np.maximum(StandardScaler().fit_transform(X) @ project, 0)
    return controls
