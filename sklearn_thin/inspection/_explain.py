"""Predictions row by row: path, experts, other leaves, other levels, and when the class changes."""

import warnings

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import is_regressor
from sklearn.utils import Bunch

from sklearn_thin._environment import own_torch_state
from sklearn_thin._sharing import sharing
from sklearn_thin.exogenous.known import KnownVariable, target_column, values_of
from sklearn_thin.inspection._reading import as_numbers, natural_order, read_gate
from sklearn_thin.rows.columns import as_levels, as_table
from sklearn_thin.rows.labels import check_labels, places_in


@own_torch_state()
def explain(estimator, X, *, exogenous=None, variable=None, levels=None, level_name="level"):
    """Explain each prediction, and find the nearest level that changes the predicted class.

    All results are predictions of the fitted network. They describe the network, and not the effect
    of changing the variable in the world.

    Parameters
    ----------
    estimator : THINClassifier or THINRegressor
        Fitted, or a Pipeline or a search around one.
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        The rows to explain, some dozens: each is predicted once for each level.
    exogenous : array-like, label, dict or None, default=None
        As in `predict`: labels of these rows, such as `exogenous="given"` needs.
    variable : str, default=None
        Name of the exogenous variable whose levels are tried. The other variables stay as they are.
        None is the only variable, or the first of several.
    levels : array-like of shape (n_levels,), default=None
        Levels to try. None tries all classes of the variable. A variable of numbers has none, and
        needs numbers here.
    level_name : str, default="level"
        Name of the levels in `text`, such as "angle".

    Returns
    -------
    Bunch
        With K classes, or the outputs of a regressor in the shape of y. Always:

        - `prediction` (n_samples,), and `proba` (n_samples, K) of a classifier;
        - `decision_path` (n_samples, n_nodes), the probability of going left at each node;
        - `path` (n_samples, depth), the nodes on the way to the most probable leaf;
        - `leaf` (n_samples,), that leaf, and `leaf_proba` (n_samples, n_leaves);
        - `gate_proba` (n_samples, n_experts), and `experts` (n_samples, n_experts, K), the
          prediction of each expert; `votes` (n_samples, n_experts), its class or number;
        - `by_leaf` (n_samples, n_leaves, K), the prediction if each leaf had all the weight. In
          gated layers the scales and shifts stay those of the row's own variable;
        - `text`, a list of one line for each row.

        Where labels can stand for the variable, else None:

        - `levels` (n_levels,), numbers in their order, and `level` (n_samples,), the index of the
          row's own level, or -1 if the level is missing, unseen or not tried. A missing number
          counts as the median. The levels of a column are text, and those of a boolean column "0"
          and "1": pass `levels=[False, True]` to see booleans;
        - `by_level` (n_samples, n_levels, K), the prediction under each level;
        - `interval` (n_samples, 2), its range over the levels: of the probability of the predicted
          class, or of the predicted number;
        - `counterfactual` (n_samples,) of a classifier: another class that the network predicts
          under the level `counterfactual_level`, or None. This is the level nearest to the row's
          own, the larger one of two. Levels that are no numbers, and levels of a row without a
          level of its own, are tried in their order.
          `lasts` (n_samples,): whether all levels beyond predict that class too.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        For an estimator that is not fitted or has no gate, a variable that it has not, no levels,
        and levels that cannot stand for it.

    Examples
    --------
    >>> from sklearn_thin import THINClassifier
    >>> from sklearn_thin.datasets import make_sites
    >>> from sklearn_thin.inspection import explain
    >>> sites = make_sites(n_samples=400, n_sites=4, as_frame=True, random_state=0)
    >>> thin = THINClassifier("site", depth=1, max_epochs=9, random_state=0)
    >>> why = explain(thin.fit(sites.data, sites.target), sites.data[:3])
    >>> why.by_level.shape  # rows, sites, classes
    (3, 4, 3)
    """
    rows = read_gate(estimator, X, exogenous)
    net, X, given = rows.net, rows.X, rows.given
    names = [v.name for v in net.exogenous_side_.variables] if net.exogenous_side_ else []
    if variable is not None and variable not in names:
        raise ValueError(f"variable must name an exogenous variable, of {names}, got {variable!r}")
    if levels is not None and not names:
        raise ValueError(f"levels need an exogenous variable, but {type(net).__name__} has none")
    name = variable or (names[0] if names else None)
    tried = levels_of(net, names.index(name), levels) if names else None
    numbers = is_regressor(net)
    outputs = net.predict if numbers else net.predict_proba
    with sharing():  # frozen sides transform X once
        why = _of_gate(rows, outputs(X, **given), numbers)
        why.update(levels=None, level=None, by_level=None, interval=None)
        if tried is not None:
            _add_levels(why, rows, name, tried, outputs)
    if not numbers:
        _add_counterfactual(why, net.classes_)
    why.text = [_line(why, i, level_name, levels is None) for i in range(len(why.leaf))]
    return why


def _of_gate(rows, predicted, numbers):
    """The parts of :func:`explain` that need no levels."""
    net, X, given = rows.net, rows.X, rows.given
    left, leaf = net.decision_path(X, **given), rows.leaf_proba()
    best = net.apply(X, **given)
    above = 2 ** np.arange(rows.depth)  # of each level of the tree, from the root
    path = above - 1 + best[:, None] * above // 2**rows.depth
    experts = (net.expert_predict if numbers else net.expert_proba)(X, **given)
    by_leaf = leaf_predictions(net, X, given)
    return Bunch(
        prediction=predicted if numbers else net.classes_[predicted.argmax(1)],
        proba=None if numbers else predicted,
        decision_path=left,
        path=path,
        leaf=best,
        leaf_proba=leaf,
        gate_proba=net.gate_proba(X, **given),
        experts=experts,
        votes=experts if numbers else net.classes_[experts.argmax(2)],
        by_leaf=net.targets_.values(by_leaf) if numbers else softmax(by_leaf, axis=2),
    )


def leaf_predictions(net, X, given):
    """Logits, or standardised numbers, if each leaf had all the weight: (n, n_leaves, K)."""

    def predict(module, x, gate_input=None, exogenous_logits=None):
        n_leaves, shared = 2**module.gate.depth, module.gate.leaf_to_expert
        weight = module.gate.nodes.weight
        shares = torch.eye(n_leaves).to(weight) if shared is None else shared  # (leaves, L)
        if not module.gates_layers:
            return shares @ module.experts(module.represent(x, gate_input, exogenous_logits))
        parts = []
        for share in shares:  # of one leaf, (L,)
            g = share.expand(len(x), -1)
            h = module.represent(x, gate_input, exogenous_logits, g)  # (n, width)
            parts.append(share @ module.experts(h))  # (n, K)
        return torch.stack(parts, 1)

    return net._infer(X, predict, given.get("exogenous"))


def levels_of(net, index, levels):
    """Levels to try of the variable at this index, in their order; None where it has none."""
    variable = net.exogenous_side_.variables[index]
    if levels is None:
        known = isinstance(variable.transformer, KnownVariable)
        readable = known or variable.gate_input == "probabilities"
        levels = variable.classes if readable else None
        return None if levels is None else levels[natural_order(levels)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # of numbers
        levels = check_labels(levels, "levels", numbers=True)
    if not len(levels):
        raise ValueError("levels must hold at least one level to try, got none. None tries all")
    if isinstance(variable.transformer, KnownVariable) and variable.classes is not None:
        unknown = levels[places_in(variable.classes, as_known(levels)) < 0]
        if len(unknown):
            raise ValueError(
                f"levels must be among those of {variable.name!r} in fit, "
                f"{variable.classes.tolist()[:10]}, got {unknown.tolist()[:10]}. The network "
                "predicts with the gate's prior there"
            )
    return levels[natural_order(levels)]


def as_known(levels):
    """Levels as the text that a KnownVariable has for them."""
    return as_levels(values_of(levels, "levels", exact=True))


def _add_levels(why, rows, name, levels, outputs):
    """Add the parts of :func:`explain` that levels give."""
    factual = _by_name(rows)
    tried = [outputs(rows.X, exogenous={**factual, name: level}) for level in levels]
    why.by_level = by_level = np.stack(tried, axis=1)  # (n, n_levels, ...)
    why.levels, why.level = levels, own_levels(rows, name, levels)
    if why.proba is not None:
        by_level = np.take_along_axis(by_level, why.proba.argmax(1)[:, None, None], 2)[..., 0]
    why.interval = np.stack([by_level.min(1), by_level.max(1)], axis=1)


def _by_name(rows):
    """The given labels of the rows as a dict from variable to labels."""
    given = rows.given.get("exogenous")
    if given is None or isinstance(given, dict):
        return given or {}
    names = [v.name for v in rows.net.exogenous_side_.variables]
    if len(names) == 1:
        return {names[0]: given}
    table = given if hasattr(given, "shape") else as_table(given)
    place = len(names), names, "exogenous"
    return {name: target_column(table, i, *place) for i, name in enumerate(names)}


def own_levels(rows, name, levels):
    """Index in `levels` of the level that each row has, or most probably has; -1 if not there.

    Rows of a known variable whose level is missing or unseen have the prior, and no level of their
    own. Of numbers it is the nearest level.
    """
    side = rows.net.exogenous_side_
    index = [v.name for v in side.variables].index(name)
    variable, parts = side.variables[index], []
    for _, block in side.blocks(rows.X, logits=True, **rows.given):
        parts.append(block["exogenous_logits"].split(side.sizes, dim=1)[index])
    z = torch.cat(parts).numpy()  # (n, n_classes), or numbers (n, 1)
    if variable.classes is None:
        return np.abs(z - as_numbers(levels)).argmin(1)
    own = variable.classes[z.argmax(1)]
    if not isinstance(variable.transformer, KnownVariable):
        return places_in(levels, own)
    places = places_in(as_known(levels), own)
    known = variable.transformer
    prior = known.predictor_(torch.from_numpy(known.prior_)).numpy()  # (n_classes,)
    return np.where(np.isclose(z, prior, atol=1e-4).all(1), -1, places)


def _add_counterfactual(why, classes):
    """Add the nearest level of each row that changes its class."""
    n_rows = len(why.prediction)
    why.counterfactual = why.counterfactual_level = why.lasts = None
    if why.levels is None:
        return
    why.counterfactual, why.counterfactual_level = np.full((2, n_rows), None)
    why.lasts = np.zeros(n_rows, bool)
    predicted, ordered = why.by_level.argmax(2), as_numbers(why.levels) is not None
    places = np.arange(len(why.levels))
    for i, own in enumerate(why.level):
        walks = ordered and own >= 0
        order = np.argsort(2 * np.abs(places - own) - (places > own)) if walks else places
        changed = order[predicted[i, order] != why.proba[i].argmax()]
        if not len(changed):
            continue
        first = changed[0]
        why.counterfactual[i] = classes[predicted[i, first]]
        why.counterfactual_level[i] = why.levels[first]
        beyond = predicted[i, first:] if first > own else predicted[i, : first + 1]
        why.lasts[i] = walks and len(beyond) > 1 and bool((beyond == predicted[i, first]).all())


def _line(why, i, level_name, every):
    """One line on a row; `every` level is tried, or some that the caller passed."""
    shown = f"{why.prediction[i]}" if why.proba is not None else f"{_numbers(why.prediction[i])}"
    parts = [f"predicted {shown}", _leaf(why, i)]
    if why.proba is not None:
        parts[0] += f" ({why.proba[i].max():.2f})"
        agree = int((why.votes[i] == why.prediction[i]).sum())
        parts.append(f"{agree} of {why.votes.shape[1]} experts agree")
    if why.levels is None:
        return "; ".join(parts)
    low, high = why.interval[i]
    parts.append(f"{_numbers(low)} to {_numbers(high)} over {'all' if every else 'these'} levels")
    if why.proba is not None:
        parts.append(_change(why, i, level_name, every))
    return "; ".join(parts)


def _leaf(why, i):
    """Words for the most probable leaf of a row."""
    leaf = why.leaf[i]
    return f"leaf {leaf} (probability {why.leaf_proba[i, leaf]:.2f})"


def _change(why, i, level_name, every):
    """Words for the counterfactual of a row."""
    level = why.counterfactual_level[i]
    if level is None:
        return f"{'no level' if every else 'none of these levels'} changes the class"
    up = list(why.levels).index(level) > why.level[i]
    where = f"{level_name} {level}"
    where = f"from {where} {'on' if up else 'down'}" if why.lasts[i] else f"at {where}"
    nearest = why.level[i] >= 0 and as_numbers(why.levels) is not None
    return f"becomes {why.counterfactual[i]} {where}" + (
        "" if nearest else ", the first that changes it"
    )


def _numbers(values):
    """One or several numbers as text."""
    return ", ".join(f"{value:.3g}" for value in np.ravel(values))
