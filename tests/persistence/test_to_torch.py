"""One torch module of the whole path."""

import numpy as np
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, QuantileTransformer

from sklearn_thin import to_numpy, to_torch
from sklearn_thin.exogenous import GivenVariable
from sklearn_thin.model_selection import SeedEnsembleClassifier, WeightedEnsembleClassifier
from sklearn_thin.persistence.agreement import Agreement
from sklearn_thin.persistence.parts import PreparedTable, Representation, filled
from sklearn_thin.rows import gaussian
from tests.helpers import raw, small, small_encoder
from tests.persistence.cases import DENSE, IMAGES, OTHERS, case, frame


@pytest.mark.parametrize("name", [*DENSE, *OTHERS, *IMAGES])
def test_the_module_predicts_as_the_estimator(name, digits):
    estimator, X, exogenous = case(name, digits)
    module = to_torch(estimator, X, exogenous=exogenous)
    outputs = module(*module.read(X, exogenous))  # as a user calls it, with gradients on
    assert not outputs.requires_grad
    assert not module.training
    agreement = Agreement(estimator, X, exogenous)
    off = np.abs(outputs.numpy().reshape(len(X), -1) - agreement.outputs)
    assert (off <= 1e-5 * agreement.unit).all()


@pytest.mark.parametrize("name", ["THIN", "hard layers", "frame", "given", "uint8"])
def test_torch_exports_the_module_with_any_number_of_rows(name, digits):
    estimator, X, exogenous = case(name, digits)
    module = to_torch(estimator, X, exogenous=exogenous)
    tensors = module.read(X, exogenous)
    two = tuple(tensor[:2] for tensor in tensors)
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in two)
    program = torch.export.export(module, two, dynamic_shapes=shapes).module()
    for n in (1, 7, len(X)):
        rows = [tensor[:n] for tensor in tensors]
        torch.testing.assert_close(program(*rows), module(*rows), rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [["passthrough"], ["passthrough", MinMaxScaler(), None]])
def test_steps_of_a_pipeline_may_do_nothing(steps, rows):
    X, y, _ = rows
    clf = raw(max_epochs=1)
    pipe = Pipeline([(str(i), step) for i, step in enumerate([*steps, clf])]).fit(X, y)
    module = to_torch(pipe, X)
    outputs = module(*module.read(X)).numpy()
    np.testing.assert_allclose(outputs, pipe.predict_proba(X), rtol=0, atol=1e-5)


def test_an_ensemble_prepares_a_table_and_runs_a_frozen_encoder_once(rows):
    X, y, z = rows
    encoder = FrozenEstimator(small_encoder().fit(X, z))
    seeds = SeedEnsembleClassifier(small(encoder, max_epochs=1), n_seeds=3, random_state=0)
    module, calls = to_torch(seeds.fit(X, y), X), []
    for part in module.modules():
        if isinstance(part, (PreparedTable, Representation)):
            part.register_forward_hook(lambda part, *_: calls.append(type(part)))
    module(*module.read(X))
    assert calls.count(Representation) == 1
    assert calls.count(PreparedTable) == 2  # of the encoder and of the members


def test_the_module_stays_as_it_is_when_the_estimator_changes(digits):
    X, y, _ = digits.first(100)
    clf = raw(max_epochs=1).fit(X, y)
    module = to_torch(clf, X[:5])
    before = module(torch.from_numpy(X[:5].copy()))
    with torch.no_grad():
        for weight in clf.module_.parameters():
            weight.zero_()
    torch.testing.assert_close(module(torch.from_numpy(X[:5].copy())), before)


def test_numbers_far_from_zero_keep_their_precision(digits):
    X, y, z = digits.first(100)
    far = 1e8 + X.astype(np.float64)
    clf = small("given", max_epochs=1).fit(far, y, exogenous_target=z)
    module = to_torch(make_pipeline(clf)[-1], far, exogenous=z)
    assert module.read(far, z)[0].dtype == torch.float64


def test_pixels_beyond_the_range_of_the_fit_are_clipped(digits):
    clf, X, _ = case("images", digits)
    absurd = X.copy()
    absurd[0, 3, 3], absurd[1, 0, 0] = 1e6, -1e6
    assert np.abs(clf.predict_proba(absurd)[:2] - clf.predict_proba(X)[:2]).max() > 1e-3
    to_torch(clf, absurd)


def test_rare_unseen_and_missing_texts_share_a_column(monkeypatch, tmp_path):
    table, y = frame()
    table["owner"] = [f"owner {i % 40}" for i in range(len(table))]
    monkeypatch.setattr("sklearn_thin.rows.tables.LEVELS", 8)
    clf = small(max_epochs=1).fit(table, y)
    monkeypatch.undo()
    new = table[:50].copy()
    new.loc[0, "owner"], new.loc[1, "owner"] = "another", None
    assert len(clf.endogenous_.get_feature_names_out()) < 40
    to_torch(clf, new)
    to_numpy(clf, tmp_path / "model.py", new)


@pytest.mark.parametrize("n_columns", [1, 4, 40])
def test_missing_numbers_are_filled_as_by_the_preprocessor(n_columns):
    rng = np.random.RandomState(0)
    rows = rng.randn(60, n_columns) @ rng.randn(n_columns, n_columns)
    precision = np.linalg.inv(np.cov(rows.T).reshape(n_columns, -1) + 1e-6 * np.eye(n_columns))
    missing = rng.rand(*rows.shape) < rng.choice([0, 0.3, 0.9, 1], (60, 1))
    rows = np.where(missing, 0, rows).astype(np.float32)
    given = map(torch.from_numpy, (rows.copy(), missing, rows.mean(0).astype(float), precision))
    ours = filled(*given).numpy()
    gaussian.fill(rows, missing, rows.mean(0).astype(float), precision, 3.0)
    np.testing.assert_allclose(ours, rows, rtol=0, atol=2e-6)


# ------------------------------------------------------------------ what is refused


def double(X):
    return 2 * X


def test_a_transformer_without_torch_code_is_named(rows):
    X, y, _ = rows
    clf = raw(QuantileTransformer(n_quantiles=10), max_epochs=1).fit(X, y)
    with pytest.raises(TypeError, match=r"QuantileTransformer of exogenous.*to_onnx may"):
        to_torch(clf, X)
    clf = raw(endogenous=FunctionTransformer(double), max_epochs=1).fit(X, y)
    with pytest.raises(TypeError, match=r"FunctionTransformer of endogenous"):
        to_torch(clf, X)
    table = ColumnTransformer([("all", FunctionTransformer(double), slice(0, 64))])
    with pytest.raises(TypeError, match="ColumnTransformer of the Pipeline cannot become"):
        to_torch(make_pipeline(table, raw(max_epochs=1)).fit(X, y), X)


def test_other_estimators_and_unfitted_ones_are_refused(rows):
    X, y, _ = rows
    with pytest.raises(TypeError, match="got RandomForestClassifier"):
        to_torch(RandomForestClassifier(2).fit(X, y), X)
    with pytest.raises(TypeError, match="an ensemble around one, got LogisticRegression"):
        to_torch(SeedEnsembleClassifier(LogisticRegression(), n_seeds=2).fit(X, y), X)
    for unfitted in (small(), SeedEnsembleClassifier(small())):
        with pytest.raises(NotFittedError):
            to_torch(unfitted, X)


def test_an_ensemble_with_given_labels_for_one_network_alone_is_refused(rows):
    X, y, z = rows
    sides = [{"exogenous": "given"}, {"exogenous": small_encoder()}]
    mixed = WeightedEnsembleClassifier(raw(max_epochs=1), sides, [1, 1])
    with pytest.raises(TypeError, match="the labels of 'given' come with each call, and a network"):
        to_torch(mixed.fit(X, y, exogenous_target=z), X)


def test_an_ensemble_with_given_variables_in_two_orders_is_refused(rows):
    X, y, z = rows
    site, owner = [(name, GivenVariable()) for name in ("site", "owner")]
    sides = [{"exogenous": [site, owner]}, {"exogenous": [owner, site]}]
    mixed = WeightedEnsembleClassifier(raw(max_epochs=1), sides, [1, 1])
    labels = np.column_stack([z, z])  # of arrays, positions alone count
    mixed.fit(X, y, exogenous_target=labels)
    with pytest.raises(TypeError, match=r"for \['site', 'owner'\], and in another network"):
        to_torch(mixed, X, exogenous=labels)


def test_labels_are_passed_for_a_given_variable_alone(digits):
    estimator, X, labels = case("given", digits)
    with pytest.raises(ValueError, match=r"pass labels of the rows, exogenous="):
        to_torch(estimator, X)
    with pytest.raises(ValueError, match="fitted without an exogenous side"):
        to_torch(case("baseline", digits)[0], X, exogenous=labels)
    with pytest.raises(ValueError, match="alone"):
        to_torch(case("THIN", digits)[0], X, exogenous=digits.z[:40])


def test_outputs_that_differ_are_refused(monkeypatch, digits):
    estimator, X, _ = case("frame", digits)
    monkeypatch.setattr("sklearn_thin.persistence.parts.HEIGHT", 1.0)
    with pytest.raises(ValueError, match=r"differ from those of the estimator by .* in row"):
        to_torch(estimator, X)
