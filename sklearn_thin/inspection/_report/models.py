"""Rows -> held-out errors and losses of the models, which train together."""

from dataclasses import dataclass

import numpy as np

from sklearn_thin import MLPBackbone
from sklearn_thin.dispelling import Erasure
from sklearn_thin.inspection._report.inputs import backbones_of, inputs_of
from sklearn_thin.inspection._report.outcomes import Labels
from sklearn_thin.training.stacks import in_stacks, train_together

POOLED, POOLED_LINEAR = "pooled", "pooled, linear"
FEATURE, FEATURE_LINEAR = "z as feature", "z as feature, linear"
LAYERS, EXPERTS = "gate by z, layers", "gate by z, linear experts"
LAYERS_ENCODED = "gate by encoder, layers"
EXPERTS_ENCODED = "gate by encoder, linear experts"
ENCODER, Z_ALONE = "encoder alone", "z alone"
DISPELLED, DISPELLED_LINEAR, CONSTANT = "dispelled", "dispelled, linear", "constant"
POOLS, FEATURES = (POOLED, POOLED_LINEAR), (FEATURE, FEATURE_LINEAR)
DISPELS = (DISPELLED, DISPELLED_LINEAR)
GATES = {LAYERS: LAYERS_ENCODED, EXPERTS: EXPERTS_ENCODED}
STEPS = 700  # of each training
WIDTH = 64
ROOM = 8  # directions for each level, as erasure takes one for each
TRAINING = {"lr": 1e-2, "weight_decay": 1e-3, "endogenous": None}


class Scores:
    """Held-out results (n,) of each row, the means over the repeats."""

    def __init__(self, n_rows, n_repeats):
        self.n_rows, self.n_repeats = n_rows, n_repeats
        self.errors, self.losses = {}, {}
        self.recognised, self.chance = np.zeros(n_rows), np.zeros(n_rows)

    def add(self, name, found, test):
        """Add errors and losses (n_test,) of the test rows of one fold."""
        for results, values in zip((self.errors, self.losses), found, strict=True):
            results.setdefault(name, np.zeros(self.n_rows))[test] += values / self.n_repeats

    def recognise(self, levels, z, most, test):
        """Score levels that the encoder predicts, and the most frequent level."""
        self.recognised[test] += (levels == z) / self.n_repeats
        self.chance[test] += (most == z) / self.n_repeats


@dataclass(frozen=True)
class Network:
    """A network of the report: its inputs by name, and its parameters beside those of all."""

    reads: str
    parameters: dict

    @property
    def gated(self):
        """Whether predictions take levels of z."""
        return "exogenous" in self.parameters

    @property
    def learns_z(self):
        """Whether the training takes levels of z."""
        return self.gated or "dispelling" in self.parameters


def networks_of(inputs, width, n_levels, *, unseen):
    """Networks by the names of their models."""
    backbone, beside_z = backbones_of(inputs["x"][0].shape, width)
    plain = {"backbone": backbone, "depth": 0, "n_experts": 1}
    linear = {**plain, "backbone": MLPBackbone(())}
    pooled = {POOLED: Network("x", plain), POOLED_LINEAR: Network("columns", linear)}
    if unseen:
        erases = {"dispelling": Erasure(keep_target=True)}
        dispelled = {DISPELLED: Network("x", {**plain, **erases})}
        if inputs["columns"][0].shape[1] >= n_levels:  # erasure leaves a direction
            dispelled[DISPELLED_LINEAR] = Network("columns", {**linear, **erases})
        return {**pooled, **dispelled}
    known = {"exogenous": "given"}
    layers = {**known, "backbone": backbone, "gating": "layers", "depth": 2}
    reads_images = inputs["x"][0].ndim > 2
    experts = {
        "gating": "head",
        "depth": 3,
        "backbone": backbone if reads_images else MLPBackbone(()),
    }
    return {
        **pooled,
        ENCODER: Network("x", plain),
        FEATURE: Network("x and z", {**plain, "backbone": beside_z}),
        FEATURE_LINEAR: Network("columns and z", linear),
        LAYERS: Network("x", layers),
        EXPERTS: Network("x", {**known, **experts}),
    }


class Fold:
    """One fold: its inputs on one scale, and its networks, trained or to be trained."""

    def __init__(self, rows, train, test, seed, *, unseen):
        self.rows, self.test = rows, test
        self.y, self.z = rows.y[train], rows.z[train]
        self.outcome, self.levels = rows.outcome, Labels(len(rows.levels))
        self.inputs = inputs_of(rows.X, rows.z, train, test, unseen=unseen)
        width = max(WIDTH, ROOM * len(rows.levels)) if unseen else WIDTH
        how = {**TRAINING, **training_sizes(len(train)), "random_state": seed}
        n_levels = len(np.unique(self.z))
        self.networks = networks_of(self.inputs, width, n_levels, unseen=unseen)
        self.nets, self.plans = {}, []
        for name, network in self.networks.items():
            outcome, y = (self.levels, self.z) if name == ENCODER else (self.outcome, self.y)
            net = self.nets[name] = outcome.estimator(**how, **network.parameters)
            z = self.z if network.learns_z else None
            x = self.inputs[network.reads][0]
            self.plans.append((net, net.plan(x, y, exogenous_target=z)))

    def predict(self, name, z=None):
        """Predictions of the test rows, where a gate reads z."""
        network = self.networks[name]
        outcome = self.levels if name == ENCODER else self.outcome
        given = {"exogenous": z} if network.gated else {}
        return outcome.predict(self.nets[name], self.inputs[network.reads][1], **given)

    def score(self, scores, *, unseen):
        """Add the held-out results of the trained networks."""
        y, z = self.rows.y[self.test], self.rows.z[self.test]

        def add(name, predicted):
            scores.add(name, self.outcome.score(predicted, y), self.test)

        for name in (*POOLS, *(DISPELS if unseen else FEATURES)):
            if name in self.nets:
                add(name, self.predict(name, z))
        if unseen:
            add(CONSTANT, np.array([self.outcome.constant(self.y)] * len(y)))
            return
        levels = self.predict(ENCODER)
        known = levels[:, self.nets[ENCODER].classes_]  # the levels that the gates know
        for gate, encoded in GATES.items():
            add(gate, self.predict(gate, z))
            add(encoded, self.predict(gate, known))
        by_level = self.outcome.by_level(self.y, self.z, len(self.rows.levels))
        add(ENCODER, levels @ by_level)
        add(Z_ALONE, by_level[z])
        scores.recognise(levels.argmax(1), z, np.bincount(self.z).argmax(), self.test)


def training_sizes(n_rows):
    """Batch size and epochs: about STEPS steps."""
    size = 2 ** int(np.clip(round(np.log2(n_rows / 24)), 5, 8))
    return {"batch_size": size, "max_epochs": int(np.clip(round(STEPS * size / n_rows), 5, 500))}


def score_models(rows, seeds, *, unseen):
    """Scores of all models: a repeat of the cross-validation for each seed, trained as stacks."""
    folds = [
        Fold(rows, train, test, seed, unseen=unseen)
        for seed in seeds
        for train, test in rows.folds(seed)
    ]
    planned = [pair for fold in folds for pair in fold.plans]
    for stack in in_stacks([plan for _, plan in planned]):
        results, _ = train_together([planned[index][1] for index in stack])
        for index, result in zip(stack, results, strict=True):
            if isinstance(result, Exception):
                raise result
            planned[index][0].keep(result)
    scores = Scores(len(rows.y), len(seeds))
    for fold in folds:
        fold.score(scores, unseen=unseen)
    return scores
