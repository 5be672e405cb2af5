"""Ratios of held-out losses -> a word and its reason."""

from sklearn_thin.inspection._report.models import (
    CONSTANT,
    DISPELS,
    FEATURES,
    GATES,
    POOLED,
    POOLS,
)
from sklearn_thin.inspection._report.ratios import compare

TOO_LITTLE = "too little data to say"
WIDE = 0.25  # a share of the loss: "ignore" must exclude a gain of more


def advise(scores, groups, min_gain, *, unseen):
    """The word and its reason."""

    def ratio(model, base):
        return compare(scores.losses[model], scores.losses[base], groups)

    def better(model, *bases):
        found = [ratio(model, base) for base in bases]
        return all(one.high < 1 and one.ratio <= 1 - min_gain for one in found)

    def best(models):
        return min(models, key=lambda model: scores.losses[model].mean())

    if not scores.errors[POOLED].any():
        return "ignore", "The pooled network makes no errors on held-out rows."
    if unseen:
        dispels, bases = [model for model in DISPELS if model in scores.losses], (*POOLS, CONSTANT)
        wins = [model for model in dispels if better(model, *bases)]
        return advise_unseen(ratio(best(wins or dispels), best(bases)), wins, min_gain)
    pooled, feature = best(POOLS), best(FEATURES)
    helpful = [gate for gate in GATES if better(gate, *POOLS)]
    gates = [gate for gate in helpful if better(gate, *FEATURES)]
    features = [model for model in FEATURES if better(model, *POOLS)]
    if gates:
        gate = best(gates)
        return "gate", (
            f"A gate by z makes {ratio(gate, pooled)} of the loss without z, and "
            f"{ratio(gate, feature)} of the loss with z as a feature."
        )
    if features:
        return "feature", (
            f"With z as a feature a network makes {ratio(best(features), pooled)} of the loss "
            f"without z. No gate is better by {min_gain:.0%} or more."
        )
    if helpful:
        return TOO_LITTLE, (
            f"A gate by z makes {ratio(best(helpful), pooled)} of the loss without z. The rows are "
            "too few to decide between a gate and a feature."
        )
    found = {model: ratio(model, pooled) for model in (*FEATURES, *GATES)}
    if min(one.low for one in found.values()) < 1 - WIDE:
        return TOO_LITTLE, (
            "No model with z is better than without. The intervals are wide: a gain of "
            f"{WIDE:.0%} cannot be excluded. More rows, levels or groups may decide."
        )
    return "ignore", (
        f"No model with z is better than without by {min_gain:.0%} or more. The best makes "
        f"{found[best(found)]} of the loss without z."
    )


def advise_unseen(found, wins, min_gain):
    """The word for levels that training lacks, and its reason."""
    if wins:
        return "dispel", (
            f"On levels that training lacked, a model without z in its representation makes "
            f"{found} of the loss of the best pooled model or constant."
        )
    if found.low < 1 - WIDE:
        return TOO_LITTLE, (
            f"On levels that training lacked, dispelling makes {found} of the loss of the best "
            "pooled model or constant. The interval is too wide. More levels may decide."
        )
    return "ignore", (
        f"On levels that training lacked, dispelling makes {found} of the loss of the best pooled "
        f"model or constant. It is not better than all of them by {min_gain:.0%} or more."
    )
