"""Code of a user, which `tests/test_typing.py` passes to mypy; it is never run.

A line with `# error: CODE` must be refused with this code, and all others must pass.
"""

from typing import assert_type

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from sklearn_thin import (
    ConvNetBackbone,
    ExogenousEncoder,
    MLPBackbone,
    TablePreprocessor,
    THINClassifier,
    THINRegressor,
    TorchvisionBackbone,
    load,
    save,
    to_numpy,
    to_onnx,
    to_torch,
)
from sklearn_thin.dispelling import Alignment, Erasure
from sklearn_thin.inspection import leakage_score
from sklearn_thin.model_selection import (
    SeedEnsembleClassifier,
    SeedEnsembleRegressor,
    StackedGridSearchCV,
    StackedHalvingSearchCV,
    StackedRandomizedSearchCV,
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
)

X, y, z = np.zeros((9, 2)), np.zeros(9), np.zeros(9)

# fitted estimators keep their types, and outputs are arrays
encoder = ExogenousEncoder(MLPBackbone((8,)), lr=0.01).fit(X, z)
assert_type(encoder, ExogenousEncoder)
assert_type(encoder.predict_proba(X), np.ndarray)
assert_type(encoder.transform(X), np.ndarray)
clf = THINClassifier(FrozenEstimator(encoder), depth=2).fit(X, y, exogenous_target=z)
assert_type(clf, THINClassifier)
assert_type(clf.partial_fit(X, y), THINClassifier)
assert_type(clf.adapt(X), THINClassifier)
assert_type(clf.predict(X, exogenous="a"), np.ndarray)
assert_type(clf.predict_proba(X), np.ndarray)
assert_type(clf.decision_function(X), np.ndarray)
assert_type(clf.gate_proba(X), np.ndarray)
assert_type(clf.apply(X), np.ndarray)
assert_type(clf.expert_proba(X), np.ndarray)
assert_type(clf.score(X, y), float)
assert_type(clf.n_iter_, int)
reg = THINRegressor("given", dispelling=Alignment(rank=2)).fit(X, y, exogenous_target=z)
assert_type(reg, THINRegressor)
assert_type(reg.predict(X), np.ndarray)
assert_type(reg.expert_predict(X), np.ndarray)

# misspelt keywords
THINClassifier(dephts=3)  # error: call-arg
THINRegressor(lamda=0.1)  # error: call-arg
THINClassifier(encoder, None)  # error: call-arg
ExogenousEncoder(hidden_unit=8)  # error: call-arg
clf.fit(X, y, exogenous_targets=z)  # error: call-arg
clf.predict(X, z)  # error: call-arg
encoder.fit(X, z, weight=y)  # error: call-arg
clf.adapt(X, site=3)  # error: call-arg
MLPBackbone(layers=(8,))  # error: call-arg
ConvNetBackbone(channel=(8,))  # error: call-arg
TorchvisionBackbone(weight=None)  # error: call-arg
Erasure(keep=True)  # error: call-arg
assert_type(MLPBackbone().build((2,)), torch.nn.Module)

# tables, reports, files
assert_type(TablePreprocessor().fit(X).transform(X), np.ndarray)
assert_type(leakage_score(clf.transform(X), z), float)
leakage_score(clf.transform(X), z, probes="mlp")  # error: call-arg
save(clf, "model.thin")
save(clf)  # error: call-arg
load("model.thin", devices="cpu")  # error: call-arg
to_numpy(clf, "model.py", X)
to_numpy(clf, X)  # error: call-arg
to_onnx(clf, "model.onnx", X)
to_onnx(clf, "model.onnx", X, exogenus=z)  # error: call-arg
assert isinstance(to_torch(clf, X), torch.nn.Module)
to_torch(clf, X, given=z)  # error: call-arg

# searches and ensembles
grid = StackedGridSearchCV(clf, {"lr": [0.1]}, stack_size=2).fit(X, y, exogenous_target=z)
assert_type(grid, StackedGridSearchCV)
StackedGridSearchCV(clf, {"lr": [0.1]}, stack=2)  # error: call-arg
StackedRandomizedSearchCV(clf, {"lr": [0.1]}, n_iters=2)  # error: call-arg
StackedHalvingSearchCV(clf, {"lr": [0.1]}, factors=3)  # error: call-arg
ensemble = SeedEnsembleClassifier(clf, n_seeds=3).fit(X, y)
assert_type(ensemble, SeedEnsembleClassifier)
assert_type(ensemble.predict_proba(X), np.ndarray)
SeedEnsembleClassifier(clf, seeds=3)  # error: call-arg
assert_type(ensemble.adapt(X), SeedEnsembleClassifier)
assert_type(SeedEnsembleRegressor(reg, n_seeds=3).fit(X, y).predict(X), np.ndarray)
WeightedEnsembleClassifier(clf, [], [], weight=1)  # error: call-arg
assert_type(WeightedEnsembleRegressor(reg, [{}], [1.0]).fit(X, y).predict(X), np.ndarray)
