"""How well a probe, a fresh classifier, predicts a variable from a representation."""

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
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _num_samples

from sklearn_thin._arguments import validated
from sklearn_thin.rows.arrays import BLOCK, take
from sklearn_thin.rows.labels import encode_labels, plain_labels


@validated(
    {
        "h": ["array-like"],
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
        The representation, such as `THINClassifier.transform(X_test)`.
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
        If `probe` is no classifier.
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
    if isinstance(probe, str) and probe == "mlp":
        z = codes  # MLPClassifier of scikit-learn 1.6 fails on strings
    h, h_test, z, z_test = train_test_split(
        h, z, test_size=test_size, stratify=z, random_state=seed
    )
    probes = {
        "linear": LogisticRegression(C=0.01, max_iter=1000),
        "mlp": MLPClassifier((256,), early_stopping=True, max_iter=500, random_state=seed),
    }
    named = isinstance(probe, str)
    probe = make_pipeline(StandardScaler(), probes[probe]) if named else clone(probe)
    probe.fit(h, z)
    blocks = (take(h_test, rows) for rows in gen_batches(len(z_test), BLOCK))  # bound the memory
    # the probe's own score may be another measure
    accuracy = accuracy_score(z_test, np.concatenate([probe.predict(part) for part in blocks]))
    chance = DummyClassifier().fit(h, z).score(h_test, z_test)
    return Bunch(accuracy=accuracy, chance=chance, excess=accuracy - chance)
