"""Rows -> held-out errors and losses of the models, which train together."""

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from sklearn_thin import MLPBackbone, TablePreprocessor
from sklearn_thin.dispelling import Erasure
from sklearn_thin.inspection._report.outcomes import Labels
from sklearn_thin.rows.arrays import take
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
WIDTH, DROPOUT = 64, 0.2
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


class Fold:
    """One fold: its inputs on one scale, and its networks, trained or to be trained."""

    def __init__(self, rows, train, test, seed, *, unseen):
        self.rows, self.train, self.test = rows, train, test
        self.x, self.x_test = scaled(rows.X, train, test)
        self.z, self.outcome = rows.z[train], rows.outcome
        self.levels = Labels(len(rows.levels))
        sizes = training_sizes(len(train))
        width = max(WIDTH, ROOM * len(rows.levels)) if unseen else WIDTH
        how = {**TRAINING, **sizes, "backbone": MLPBackbone((width,), DROPOUT)}
        linear = {"backbone": MLPBackbone(())}
        plain = {**how, "depth": 0, "n_experts": 1, "random_state": seed}
        gated = {**how, "exogenous": "given", "random_state": seed}
        y = rows.y[train]
        self.nets, self.plans = {}, []
        self.plan(POOLED, plain, self.x, y)
        self.plan(POOLED_LINEAR, {**plain, **linear}, self.x, y)
        if unseen:
            erased = {**plain, "dispelling": Erasure(keep_target=True)}
            self.plan(DISPELLED, erased, self.x, y, self.z)
            if self.x.shape[1] >= len(np.unique(self.z)):  # erasure leaves a direction
                self.plan(DISPELLED_LINEAR, {**erased, **linear}, self.x, y, self.z)
            return
        self.onehot = OneHotEncoder(sparse_output=False, dtype=np.float32)
        self.onehot.fit(np.arange(len(rows.levels))[:, None])
        with_z = self.with_z(self.x, self.z)
        self.plan(ENCODER, plain, self.x, self.z, outcome=self.levels)
        self.plan(FEATURE, plain, with_z, y)
        self.plan(FEATURE_LINEAR, {**plain, **linear}, with_z, y)
        self.plan(LAYERS, {**gated, "depth": 2}, self.x, y, self.z)
        self.plan(EXPERTS, {**gated, "depth": 3, **linear}, self.x, y, self.z)

    def plan(self, name, parameters, x, y, z=None, *, outcome=None):
        """Add a network of y, or of another outcome, and the plan of its training."""
        net = (outcome or self.outcome).estimator(**parameters)
        self.nets[name] = net
        self.plans.append((net, net.plan(x, y, exogenous_target=z)))

    def with_z(self, x, z):
        """x with the levels of z as one-hot columns."""
        return np.hstack([x, self.onehot.transform(z[:, None])])

    def score(self, scores, *, unseen):
        """Add the held-out results of the trained networks."""
        y, z, x = self.rows.y[self.test], self.rows.z[self.test], self.x_test
        trained = self.rows.y[self.train]

        def add(name, predicted):
            scores.add(name, self.outcome.score(predicted, y), self.test)

        def add_net(name, net, *given, **exogenous):
            add(name, self.outcome.predict(self.nets[net], *given, **exogenous))

        for model in POOLS:
            add_net(model, model, x)
        if unseen:
            for model in [model for model in DISPELS if model in self.nets]:
                add_net(model, model, x)
            add(CONSTANT, np.array([self.outcome.constant(trained)] * len(y)))
            return
        add_net(FEATURE, FEATURE, self.with_z(x, z))
        add_net(FEATURE_LINEAR, FEATURE_LINEAR, self.with_z(x, z))
        levels = self.levels.predict(self.nets[ENCODER], x)
        known = levels[:, self.nets[ENCODER].classes_]  # the levels that the gates know
        for gate, encoded in GATES.items():
            add_net(gate, gate, x, exogenous=z)
            add_net(encoded, gate, x, exogenous=known)
        by_level = self.outcome.by_level(trained, self.z, len(self.rows.levels))
        add(ENCODER, levels @ by_level)
        add(Z_ALONE, by_level[z])
        scores.recognise(levels.argmax(1), z, np.bincount(self.z).argmax(), self.test)


def training_sizes(n_rows):
    """Batch size and epochs: about STEPS steps."""
    size = 2 ** int(np.clip(round(np.log2(n_rows / 24)), 5, 8))
    return {"batch_size": size, "max_epochs": int(np.clip(round(STEPS * size / n_rows), 5, 500))}


def scaled(X, train, test):
    """Training and test rows as float32 columns, on the scale of the training rows."""
    if len(X.shape) > 2:
        X = X.reshape(len(X), -1)
    preprocessor = TablePreprocessor().fit(take(X, train))
    return preprocessor.transform(take(X, train)), preprocessor.transform(take(X, test))


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
