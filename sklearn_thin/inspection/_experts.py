"""Experts and classes: how often experts agree, and how far classes are apart."""

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import Bunch, check_array
from sklearn.utils.validation import _num_samples

from sklearn_thin._environment import own_torch_state
from sklearn_thin.inspection._leakage import refuse_estimator
from sklearn_thin.inspection._reading import read_experts
from sklearn_thin.rows.labels import encode_labels


@own_torch_state()
def expert_agreement(estimator, X, *, exogenous=None):
    """How far the experts predict alike.

    Experts that agree on all rows could be a single expert. In training the gate weighs the rows of
    each expert, and experts may disagree on rows with little weight.

    Parameters
    ----------
    estimator : THINClassifier or THINRegressor
        Fitted, or a Pipeline or a search around one.
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
    exogenous : array-like, label, dict or None, default=None
        As in `predict`.

    Returns
    -------
    Bunch
        `agreement` (n_experts, n_experts). Of a classifier it is the share of rows where two
        experts predict the same class, in [0, 1]. Of a regressor it is the correlation of their
        numbers, as a mean over the outputs, and NaN for an expert that predicts a constant.
        `weighted`: the probability that two experts predict the same class, if the gate draws both
        for a row. None for a regressor.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        For an estimator that is not fitted, or has no experts.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.inspection import expert_agreement
    >>> X, y = load_iris(return_X_y=True)
    >>> thin = THINClassifier(depth=1, max_epochs=2, random_state=0).fit(X, y)
    >>> expert_agreement(thin, X).agreement.diagonal().tolist()
    [1.0, 1.0]
    """
    rows = read_experts(estimator, X, exogenous)
    if is_regressor(rows.net):
        values = rows.net.expert_predict(rows.X, **rows.given)
        values = values.reshape(*values.shape[:2], -1)  # (n, L, n_outputs)
        with np.errstate(invalid="ignore", divide="ignore"):
            of_outputs = [np.corrcoef(part.T) for part in np.moveaxis(values, 2, 0)]
        return Bunch(agreement=np.mean(of_outputs, axis=0), weighted=None)
    votes = rows.net.expert_proba(rows.X, **rows.given).argmax(2)  # (n, L)
    n_classes, g = len(rows.net.classes_), rows.net.gate_proba(rows.X, **rows.given)
    one_hot = np.eye(n_classes, dtype=np.float32)[votes]  # (n, L, K)
    agreement = np.tensordot(one_hot, one_hot, ((0, 2), (0, 2))) / len(votes)
    weight = np.einsum("nl,nlk->nk", g, one_hot)  # of each class, by the gate
    return Bunch(agreement=agreement.astype(float), weighted=float((weight**2).sum(1).mean()))


def class_separation_ratio(h, y):
    """Scatter between classes over scatter within classes, of a representation.

    tr(S_B) / tr(S_W): squared distances of the class means from the mean, weighted by the rows of
    the class, over squared distances of the rows from the mean of their class. It reads Section
    4.4 of the THIN paper, the ratio of inter-class to intra-class distance.

    Parameters
    ----------
    h : array-like of shape (n_samples, width)
        The representation, such as `THINClassifier.transform(X_test)`.
    y : array-like of shape (n_samples,)
        Class labels, two classes at least. Levels of the nuisance show how far it separates h.

    Returns
    -------
    float
        0 where all classes have one mean; infinite where all rows lie on the mean of their class.
        NaN for a representation that is the same for all rows.

    Raises
    ------
    TypeError
        If `h` is an estimator.
    ValueError
        For labels of another length than h, missing labels, and a single class.

    Examples
    --------
    >>> from sklearn_thin.inspection import class_separation_ratio
    >>> class_separation_ratio([[0.0], [2.0], [10.0], [12.0]], [0, 0, 1, 1])
    25.0
    """
    refuse_estimator(h)
    codes = encode_labels(y, _num_samples(h), rows="h")[1]
    h = check_array(h, dtype=np.float64, input_name="h")
    h, greatest = h - h.mean(0), np.abs(h).max()
    if np.abs(h).max() <= 1e-14 * greatest:  # no more than rounding
        return float("nan")
    counts = np.bincount(codes)
    means = np.zeros((len(counts), h.shape[1]))
    np.add.at(means, codes, h)
    means /= counts[:, None]
    between = counts @ np.square(means).sum(1)
    within = np.square(h - means[codes]).sum()
    return float(between / within) if within > 0 else float("inf")
