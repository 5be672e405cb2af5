"""The gate of a fitted estimator: features that turn it, use of its leaves, levels that share."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.utils import Bunch
from sklearn.utils.validation import _num_samples

from sklearn_thin._environment import own_torch_state
from sklearn_thin.inspection._reading import bits, level_means, read_gate, read_levels


@own_torch_state()
def gate_importances(estimator, X, *, exogenous=None):
    """Importance of each feature of the gate's input at each node of the tree.

    The logit of node n is w_n·h + b_n. The importance of a feature is `|w|` times its standard
    deviation over the rows: how far the feature moves the logit. It says nothing of a feature that
    is constant over these rows.

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
        `importances` (n_nodes, n_features): rows sum to 1, or are 0 where no feature varies.
        `direction` (n_nodes, n_features): 1 if a larger value turns to the left, -1 to the right.
        `feature_names` (n_features,): "name=level" of the levels of a variable, "name 0" of h_exo,
        and "h_endo 0" if the gate reads the representation.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        For an estimator that is not fitted, or has no gate.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import gate_importances
    >>> X, y = make_sites(n_samples=400, n_sites=4, return_X_y=True, as_frame=True, random_state=0)
    >>> thin = THINClassifier("site", depth=1, max_epochs=2, random_state=0).fit(X, y)
    >>> turned = gate_importances(thin, X)
    >>> turned.feature_names.tolist()
    ['site=site 0', 'site=site 1', 'site=site 2', 'site=site 3']
    >>> turned.importances.sum(axis=1).round(3).tolist()
    [1.0]
    """
    rows = read_gate(estimator, X, exogenous)
    h = rows.net._infer_gate(rows.X, lambda gate, h: h, exogenous)  # (n, gate width)
    weight = rows.net.module_.gate.nodes.weight.detach().cpu().numpy()  # (nodes, gate width)
    moves = np.abs(weight) * h.std(0, dtype=np.float64)
    total = moves.sum(1, keepdims=True)
    return Bunch(
        importances=np.divide(moves, total, out=np.zeros_like(moves), where=total > 0),
        direction=np.sign(weight).astype(int),
        feature_names=np.array(gate_feature_names(rows.net, h.shape[1])),
    )


def gate_feature_names(net, width):
    """Names of the features that the gate reads."""
    if net.exogenous_side_ is None:
        return [f"h_endo {i}" for i in range(width)]
    names = []
    for v in net.exogenous_side_.variables:
        if v.gate_input != "representation" and v.n_labels is not None:
            classes = range(v.n_labels) if v.classes is None else v.classes
            names += [f"{v.name}={label}" for label in classes]
        else:
            names += [v.name] if v.width == 1 else [f"{v.name} {i}" for i in range(v.width)]
    return names


@own_torch_state()
def leaf_usage(estimator, X, z=None, *, exogenous=None):
    """How often the rows use each leaf, and the information of the leaf about z.

    Parameters
    ----------
    estimator : THINClassifier or THINRegressor
        Fitted, or a Pipeline or a search around one.
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
    z : array-like of shape (n_samples,), default=None
        Labels, such as the levels of the exogenous variable.
    exogenous : array-like, label, dict or None, default=None
        As in `predict`.

    Returns
    -------
    Bunch
        `usage` (n_leaves,): mean probability of each leaf; they sum to 1. `entropy`: of the usage,
        in bits, at most the depth of the tree. `row_entropy`: mean entropy of a row's leaves, in
        bits; 0 for a gate that is certain. `dead`: indices of leaves that are the most probable
        leaf of no row. `mutual_information`: of leaf and z, in bits, or None without z.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        For an estimator that is not fitted or has no gate, and for z of another length than X.

    Examples
    --------
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import leaf_usage
    >>> X, y = make_sites(n_samples=400, n_sites=4, return_X_y=True, as_frame=True, random_state=0)
    >>> thin = THINClassifier("site", depth=1, max_epochs=2, random_state=0).fit(X, y)
    >>> leaf_usage(thin, X, X["site"]).usage.shape
    (2,)
    """
    rows = read_gate(estimator, X, exogenous)
    if z is not None:
        codes = read_levels(z, _num_samples(rows.X), name="z")[1]
    leaf = rows.leaf_proba()
    usage, known = leaf.mean(0), None
    if z is not None:
        share = np.bincount(codes) / len(codes)
        known = bits(usage) - share @ bits(level_means(leaf, codes))
        known = max(0.0, float(known))  # rounding may leave less than 0
    return Bunch(
        usage=usage,
        entropy=float(bits(usage)),
        row_entropy=float(bits(leaf).mean()),
        dead=np.setdiff1d(np.arange(len(usage)), leaf.argmax(1)),
        mutual_information=known,
    )


@own_torch_state()
def similar_levels(estimator, X, levels, *, exogenous=None):
    """Levels of the nuisance that share leaves, such as sites that behave alike.

    Parameters
    ----------
    estimator : THINClassifier or THINRegressor
        Fitted, or a Pipeline or a search around one.
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
    levels : array-like of shape (n_samples,)
        The level of each row, two at least.
    exogenous : array-like, label, dict or None, default=None
        As in `predict`.

    Returns
    -------
    Bunch
        `levels` (n_levels,). `leaf_proba` (n_levels, n_leaves): mean probability of each leaf.
        `leaf` (n_levels,): the favourite leaf. `distance` (n_levels, n_levels): Jensen-Shannon
        distance of the leaf probabilities, in [0, 1]; 0 for levels that share all leaves.
        `linkage` (n_levels - 1, 4): average linkage, for `scipy.cluster.hierarchy.dendrogram` with
        `labels=levels`. `order` (n_levels,): the levels as the dendrogram has them, for
        `level_order` of :class:`GateDisplay`.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        For an estimator that is not fitted or has no gate, and for levels of another length than
        X, or a single level.

    Examples
    --------
    >>> from sklearn_thin import MLPBackbone, THINClassifier
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import similar_levels
    >>> X, y = make_sites(n_samples=400, n_sites=4, return_X_y=True, as_frame=True, random_state=0)
    >>> thin = THINClassifier("site", depth=1, max_epochs=2, random_state=0).fit(X, y)
    >>> similar_levels(thin, X, X["site"]).distance.shape
    (4, 4)
    """
    rows = read_gate(estimator, X, exogenous)
    classes, codes = read_levels(levels, _num_samples(rows.X))
    means = level_means(rows.leaf_proba(), codes)
    condensed = np.nan_to_num(pdist(means, "jensenshannon")) / np.sqrt(np.log(2))
    tree = linkage(condensed, "average")
    return Bunch(
        levels=classes,
        leaf_proba=means,
        leaf=means.argmax(1),
        distance=squareform(condensed),
        linkage=tree,
        order=classes[leaves_list(tree)],
    )
