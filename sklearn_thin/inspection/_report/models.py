"""Rows -> held-out errors and losses of the models, which train together."""

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from sklearn_thin import MLPBackbone, TablePreprocessor, THINClassifier
from sklearn_thin.dispelling import Erasure
from sklearn_thin.rows.arrays import take
from sklearn_thin.training.stacks import in_stacks, train_together

POOLED, POOLED_LINEAR = "pooled", "pooled, linear"
FEATURE, FEATURE_LINEAR = "z as feature", "z as feature, linear"
LAYERS, EXPERTS = "gate by z, layers", "gate by z, linear experts"
LAYERS_ENCODED = "gate by encoder, layers"
EXPERTS_ENCODED = "gate by encoder, linear experts"
ENCODER, Z_ALONE = "encoder alone", "z alone"
DISPELLED, CONSTANT = "dispelled", "class frequencies"
POOLS, FEATURES = (POOLED, POOLED_LINEAR), (FEATURE, FEATURE_LINEAR)
GATES = {LAYERS: LAYERS_ENCODED, EXPERTS: EXPERTS_ENCODED}
STEPS = 700  # of each training
WIDTH, DROPOUT = 64, 0.2
TRAINING = {"lr": 1e-2, "weight_decay": 1e-3, "endogenous": None}


class Scores:
    """Held-out results (n,) of each row, the means over the repeats."""

    def __init__(self, n_rows, n_repeats):
        self.n_rows, self.n_repeats = n_rows, n_repeats
        self.errors, self.losses = {}, {}  # wrong, and squared error of the probabilities
        self.recognised, self.chance = np.zeros(n_rows), np.zeros(n_rows)

    def add(self, name, proba, y, test):
        """Score probabilities (n_test, n_classes) of the test rows of one fold."""
        onehot = np.eye(proba.shape[1])[y]
        found = proba.argmax(1) != y, np.square(proba - onehot).sum(1)
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
        self.z = rows.z[train]
        sizes = training_sizes(len(train))
        how = {**TRAINING, **sizes, "backbone": MLPBackbone((WIDTH,), DROPOUT)}
        linear = {"backbone": MLPBackbone(())}
        plain = {**how, "depth": 0, "n_experts": 1, "random_state": seed}
        gated = {**how, "exogenous": "given", "random_state": seed}
        y = rows.y[train]
        self.nets, self.plans = {}, []
        self.plan(POOLED, plain, self.x, y)
        if unseen:
            self.plan(
                DISPELLED, {**plain, "dispelling": Erasure(keep_target=True)}, self.x, y, self.z
            )
            return
        self.onehot = OneHotEncoder(sparse_output=False, dtype=np.float32)
        self.onehot.fit(np.arange(len(rows.levels))[:, None])
        with_z = self.with_z(self.x, self.z)
        self.plan(ENCODER, plain, self.x, self.z)
        self.plan(POOLED_LINEAR, {**plain, **linear}, self.x, y)
        self.plan(FEATURE, plain, with_z, y)
        self.plan(FEATURE_LINEAR, {**plain, **linear}, with_z, y)
        self.plan(LAYERS, {**gated, "depth": 2}, self.x, y, self.z)
        self.plan(EXPERTS, {**gated, "depth": 3, **linear}, self.x, y, self.z)

    def plan(self, name, parameters, x, y, z=None):
        """Add a network and the plan of its training."""
        net = THINClassifier(**parameters)
        self.nets[name] = net
        self.plans.append((net, net.plan(x, y, exogenous_target=z)))

    def with_z(self, x, z):
        """x with the levels of z as one-hot columns."""
        return np.hstack([x, self.onehot.transform(z[:, None])])

    def score(self, scores, *, unseen):
        """Add the held-out results of the trained networks."""
        y, z, x = self.rows.y[self.test], self.rows.z[self.test], self.x_test
        n_classes, n_levels = len(self.rows.classes), len(self.rows.levels)

        def add(name, net, *given, **exogenous):
            found = proba(self.nets[net], n_classes, *given, **exogenous)
            scores.add(name, found, y, self.test)

        add(POOLED, POOLED, x)
        if unseen:
            add(DISPELLED, DISPELLED, x)
            frequencies = np.bincount(self.rows.y[self.train], minlength=n_classes)
            constant = np.tile(frequencies / len(self.train), (len(y), 1))
            scores.add(CONSTANT, constant, y, self.test)
            return
        add(POOLED_LINEAR, POOLED_LINEAR, x)
        add(FEATURE, FEATURE, self.with_z(x, z))
        add(FEATURE_LINEAR, FEATURE_LINEAR, self.with_z(x, z))
        levels = proba(self.nets[ENCODER], n_levels, x)
        known = levels[:, self.nets[ENCODER].classes_]  # the levels that the gates know
        for gate, encoded in GATES.items():
            add(gate, gate, x, exogenous=z)
            add(encoded, gate, x, exogenous=known)
        frequencies = class_frequencies(self.rows.y[self.train], self.z, n_classes, n_levels)
        scores.add(ENCODER, levels @ frequencies, y, self.test)
        scores.add(Z_ALONE, frequencies[z], y, self.test)
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


def proba(net, n_classes, x, **exogenous):
    """Probabilities (n, n_classes), 0 for classes that the training rows lack."""
    whole = np.zeros((len(x), n_classes))
    whole[:, net.classes_] = net.predict_proba(x, **exogenous)
    return whole


def class_frequencies(y, z, n_classes, n_levels):
    """Frequencies (n_levels, n_classes) of the classes of each level, shrunk to those of all."""
    counts = np.zeros((n_levels, n_classes))
    np.add.at(counts, (z, y), 1)
    counts += counts.sum(0) / counts.sum() * n_classes
    return counts / counts.sum(1, keepdims=True)


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
