"""THINRegressor: numbers of any units, with the same sides as the classifier."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_regressor
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_thin import ConvNetBackbone, THINRegressor
from sklearn_thin.losses import THINLoss, cross_entropy
from sklearn_thin.model_selection import StackedGridSearchCV
from sklearn_thin.training.stacks import train_together
from tests.helpers import SMALL, assert_refused, small_encoder

SLOPES = {"north": 1.0, "south": -1.0, "west": 0.0}


def small(exogenous=None, **params):
    """A THINRegressor that fits in milliseconds."""
    defaults = {"backbone": SMALL, "depth": 1, "max_epochs": 3, "lr": 1e-2, "random_state": 0}
    return THINRegressor(exogenous, **{**defaults, **params})


@pytest.fixture(scope="module")
def sites():
    """A frame of two numbers and the site, and y, whose slope is the site's."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.randn(400, 2), columns=["load", "age"])
    X["site"] = rng.choice(list(SLOPES), 400)
    y = X["load"] * X["site"].map(SLOPES) + 0.1 * rng.randn(400)
    return X, y.to_numpy()


@pytest.fixture(scope="module")
def by_site(sites):
    """A regressor with the site as exogenous variable, fitted to 300 rows; not to be changed."""
    X, y = sites
    return small("site", depth=2, max_epochs=20).fit(X[:300], y[:300])


@pytest.fixture(scope="module")
def table(sites):
    """The two numbers of `sites` as an array, and a y of them alone."""
    X = sites[0][["load", "age"]].to_numpy()
    return X, 2 * X[:, 0] - X[:, 1]


# ------------------------------------------------------------------ what it learns


def test_a_relation_that_turns_with_the_site_is_learned_where_the_site_steers(sites, by_site):
    X, y = sites
    pooled = small(depth=0, max_epochs=20).fit(X[["load", "age"]][:300], y[:300])
    assert by_site.score(X[300:], y[300:]) > 0.9
    assert pooled.score(X[["load", "age"]][300:], y[300:]) < 0.2


def test_a_prediction_may_be_asked_for_another_site(sites, by_site):
    X, _ = sites
    load = X["load"].to_numpy()
    for site, slope in SLOPES.items():
        predicted = by_site.predict(X, exogenous=site)
        assert np.polyfit(load, predicted, 1)[0] == pytest.approx(slope, abs=0.15)
    assert by_site.score(X, load, exogenous="north") > 0.9
    assert by_site.score(X, load, exogenous="south") < 0


@pytest.mark.parametrize(
    ("unit", "origin"), [(1e-6, 0), (1, 1e9), (7e4, -3e6), (1e-300, 0), (1e300, -1e300), (1e307, 0)]
)
def test_units_and_origin_of_y_do_not_matter(unit, origin, table):
    X, y = table
    plain = small().fit(X, y).predict(X)
    other = small().fit(X, unit * y + origin).predict(X)
    assert r2_score(plain, (other - origin) / unit) > 0.999  # training amplifies rounding


def test_the_predictions_of_numbers_near_the_largest_are_finite(table):
    X, y = table
    huge = np.sign(y) * np.finfo(float).max
    assert np.isfinite(small().fit(X, huge).predict(10 * X)).all()


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-300, 1e9])
def test_a_constant_y_is_predicted_as_it_is(value, table):
    X, y = table
    predicted = small().fit(X, np.full(len(X), value)).predict(X)
    np.testing.assert_array_equal(predicted, value)
    both = small().fit(X, np.column_stack([y, np.full(len(X), value)])).predict(X)
    np.testing.assert_array_equal(both[:, 1], value)
    assert np.ptp(both[:, 0]) > 0


def test_each_of_several_outputs_is_learned_in_its_own_units(sites):
    X, y = sites
    Y = np.column_stack([y, 1e9 - 1e3 * y, 1e-9 * X["age"]])
    fitted = small("site", depth=2, max_epochs=20).fit(X[:300], Y[:300])
    parts = r2_score(Y[300:], fitted.predict(X[300:]), multioutput="raw_values")
    assert (parts > 0.85).all()
    assert fitted.score(X[300:], Y[300:]) == pytest.approx(parts.mean())


@pytest.mark.parametrize("shape", [(400,), (400, 1), (400, 2)])
def test_predictions_have_the_shape_of_y(shape, table):
    X, y = table
    Y = np.resize(y[:, None].repeat(2, 1)[:, : shape[-1] % 400 or None], shape)
    predicted = small().fit(X, Y).predict(X[:7])
    assert predicted.shape == (7, *shape[1:])
    assert predicted.dtype == np.float64


def test_the_experts_predictions_are_mixed_by_the_gate(sites, by_site):
    X, _ = sites
    experts, gate = by_site.expert_predict(X), by_site.gate_proba(X)
    assert experts.shape == gate.shape == (400, 4)
    np.testing.assert_allclose((experts * gate).sum(1), by_site.predict(X), atol=1e-5)


# ------------------------------------------------------------------ weights and held-out rows


def test_a_heavier_row_pulls_the_prediction(table):
    X, _ = table
    twice = np.repeat(X, 2, axis=0)
    y, weight = np.tile([0.0, 8.0], len(X)), np.tile([3.0, 1.0], len(X))
    model = small(depth=0, max_epochs=10)
    weighted = model.fit(twice, y, sample_weight=weight)
    assert weighted.targets_.mean == pytest.approx([2.0])
    assert weighted.predict(X).mean() == pytest.approx(2, abs=0.2)
    again = clone(model).fit(twice, y, sample_weight=1e307 * weight)
    np.testing.assert_allclose(again.predict(X), weighted.predict(X), rtol=1e-3)


def test_rows_of_weight_zero_do_not_count(table):
    X, y = table
    weight = np.arange(len(X)) < 100
    spoilt = np.where(weight, y, 1e9)
    left = small().fit(X, spoilt, sample_weight=weight).predict(X)
    np.testing.assert_array_equal(left, small().fit(X[:100], y[:100]).predict(X))


def test_early_stopping_watches_the_squared_error_of_the_standardised_held_out_rows(table):
    X, y = table
    y = 50 * y + 1000
    fitted = small(early_stopping=0.25, max_epochs=8).fit(X, y)
    held = fitted.validation_mask_
    assert held.sum() == 100
    error = mean_squared_error(y[held], fitted.predict(X[held])) / y[~held].var()
    assert min(fitted.history_[:, "valid_loss"]) == pytest.approx(error, rel=1e-3)


def test_held_out_rows_are_those_that_the_user_passes(table):
    X, y = table
    fitted = small().fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    error = mean_squared_error(y[300:], fitted.predict(X[300:])) / y[:300].var()
    assert fitted.history_[-1, "valid_loss"] == pytest.approx(error, rel=1e-3)


def test_groups_are_held_out_whole(table):
    X, y = table
    groups = np.arange(len(X)) // 20
    held = small(early_stopping=0.2).fit(X, y, groups=groups).validation_mask_
    assert set(groups[held]).isdisjoint(groups[~held])
    assert held.sum() == 80


def test_score_counts_rows_by_their_weights(sites, by_site):
    X, y = sites
    weight = np.arange(400) % 3
    expected = r2_score(y, by_site.predict(X), sample_weight=weight)
    assert by_site.score(X, y, sample_weight=weight) == pytest.approx(expected)
    assert by_site.score(X, y) != pytest.approx(expected)


# ------------------------------------------------------------------ the sides


@pytest.mark.parametrize("dispelling", ["cosine", "erasure", "alignment"])
@pytest.mark.parametrize("gating", ["head", "layers"])
def test_an_encoder_steers_and_is_dispelled_as_for_classes(dispelling, gating, rows):
    X, y, z = rows
    gated = small(small_encoder(), lam=0.01, dispelling=dispelling, gating=gating, hidden_units=8)
    fitted = gated.fit(X, y.astype(float), exogenous_target=z)
    assert fitted.module_.gates_layers == (gating == "layers")
    assert "train_dispelling" in fitted.history_[-1]
    assert fitted.score(X, y) > 0.2


def test_the_site_may_come_with_each_call(sites):
    X, y = sites
    numbers, site = X[["load", "age"]], X["site"]
    fitted = small("given", max_epochs=20, depth=2).fit(numbers, y, exogenous_target=site)
    assert fitted.score(numbers, y, exogenous=site) > 0.9


def test_images_may_be_augmented(digits):
    images, ink = digits.images[:200], digits.images[:200].mean((1, 2))
    backbone = ConvNetBackbone((4,), hidden_layer_sizes=(8,))
    flipped = small(backbone=backbone, augment=lambda batch: batch.flip(3)).fit(images, ink)
    plain = clone(flipped).set_params(augment=None).fit(images, ink)
    assert (flipped.predict(images) != plain.predict(images)).any()


def test_a_transformer_that_reads_y_gets_it_in_its_units(table):
    X, y = table
    given = []

    def keep(X, y):
        given.append(y)
        return f_regression(X, y)

    small(endogenous=SelectKBest(keep, k=1)).fit(X, 1e6 + y)
    np.testing.assert_array_equal(given[0], 1e6 + y)


def test_extreme_values_that_spoil_a_raw_fit_are_named(table):
    X = table[0].copy()
    X[3, 1] = 1e6
    with pytest.warns(RuntimeWarning, match="by the mean alone.*column 1 "):
        small(endogenous=None, max_epochs=10).fit(X, X[:, 0])


def test_nothing_of_a_classifier_is_left():
    model = small()
    assert is_regressor(model)
    assert "class_weight" not in model.get_params()
    for name in ("predict_proba", "decision_function", "classes_", "expert_proba"):
        assert not hasattr(model, name)


# ------------------------------------------------------------------ searches, copies, going on


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_stacked_search_finds_what_a_plain_one_finds(scoring, n_outputs, sites, capsys):
    X, y = sites
    Y = 1e3 + (y if n_outputs == 1 else np.column_stack([y, X["load"]]))
    grid = {"lr": [1e-3, 1e-2], "depth": [0, 1]}
    # Biases in front of norms have gradients of rounding alone, of which Adam makes whole steps.
    given = small("site", early_stopping=True, optimizer="sgd"), grid
    plain, stacked = (
        kind(*given, scoring=scoring, cv=2, **more).fit(X, Y)
        for kind, more in ((GridSearchCV, {}), (StackedGridSearchCV, {"verbose": 1}))
    )
    assert "Training 8 fits in 1 stacks" in capsys.readouterr().out
    scores = [search.cv_results_["mean_test_score"] for search in (stacked, plain)]
    np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-4)
    assert stacked.best_params_ == plain.best_params_
    np.testing.assert_allclose(stacked.predict(X), plain.predict(X), rtol=1e-5)


def test_a_pipeline_is_searched_in_stacks(table, capsys):
    X, y = table
    pipeline, grid = make_pipeline(StandardScaler(), small()), {"thinregressor__lr": [1e-3, 1e-2]}
    search = StackedGridSearchCV(pipeline, grid, cv=2, verbose=1).fit(X, y)
    assert "Training 4 fits in 1 stacks" in capsys.readouterr().out
    assert search.best_params_ == {"thinregressor__lr": 1e-2}


def test_a_net_of_a_stack_has_the_history_of_a_single_fit(table):
    X, y = table
    nets, _ = train_together([small(lr=lr).plan(X, y) for lr in (1e-3, 1e-2)])
    alone = small().fit(X, y).history_[-1]
    assert nets[1].history[-1].keys() == alone.keys()
    assert nets[1].history[-1]["train_loss"] == pytest.approx(alone["train_loss"], rel=1e-3)


def test_plans_of_another_loss_train_apart(table):
    plan = small().plan(*table)
    assert plan.family_key != replace(plan, loss=THINLoss(fit_loss=cross_entropy)).family_key


def test_copies_predict_the_same_and_clones_are_unfitted(sites, by_site):
    X, _ = sites
    loaded = pickle.loads(pickle.dumps(by_site))
    np.testing.assert_array_equal(loaded.predict(X), by_site.predict(X))
    assert not hasattr(clone(by_site), "targets_")


def test_a_warm_start_keeps_the_units_of_the_first_fit(table):
    X, y = table
    fitted = small(warm_start=True).fit(X, y)
    before = fitted.targets_.mean
    fitted.fit(X[:200], y[:200])
    assert fitted.n_iter_ == 6
    np.testing.assert_array_equal(fitted.targets_.mean, before)
    assert fitted.score(X, y) > 0.9


def test_partial_fit_learns_from_parts_also_where_the_first_y_is_constant(table):
    X, y = table
    fitted, y = small(), 1e5 + 1e3 * y
    fitted.partial_fit(X[:40], np.full(40, 5.0))
    np.testing.assert_array_equal(fitted.predict(X), 5.0)
    for _ in range(10):
        for rows in np.array_split(np.arange(len(X)), 4):
            fitted.partial_fit(X[rows], y[rows])
    assert fitted.score(X, y) > 0.8


def test_the_labels_of_a_data_set_are_numbers(table):
    X, y = table[0].astype(np.float32), table[1]
    pairs = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y))
    fitted = small().fit(pairs)
    np.testing.assert_array_equal(fitted.predict(pairs), small().fit(X, y).predict(X))
    assert fitted.score(pairs) == fitted.score(X, y)


@pytest.mark.parametrize(
    "kind", [list, pd.Series, torch.from_numpy, lambda y: pd.DataFrame({"y": y}), np.float32]
)
def test_y_may_be_of_any_kind_of_numbers(kind, table):
    X, y = table
    y = y.round(1).astype(np.float32).astype(float)
    given = small().fit(X, kind(y)).predict(X).ravel()
    np.testing.assert_array_equal(given, small().fit(X, y).predict(X))


# ------------------------------------------------------------------ errors

WRONG = {
    "text": (lambda y: np.where(y > 0, "high", "low"), "y must hold numbers, got text.*Classifier"),
    "numbers as text": (lambda y: y.astype(str).astype(object), "y must hold numbers, got text"),
    "dates": (lambda y: np.full(len(y), "2020-01-01", "M8[D]"), r"must hold numbers, got datetime"),
    "objects": (lambda y: np.array([object()] * len(y)), "y must hold a number for each row"),
    "complex": (lambda y: y + 1j, "Complex data not supported: y"),
    "two complex": (lambda y: np.column_stack([y, y]) + 0j, "Complex data not supported: y"),
    "short": (lambda y: y[:-1], "y must have one number for each of the 400 rows of X, got 399"),
    "NaN": (lambda y: np.where(y > 0, np.nan, y), "Input y contains NaN"),
    "infinite": (lambda y: np.where(y > 0, np.inf, y), "Input y contains infinity"),
    "missing": (
        lambda y: pd.Series(y.round()).where(y > 0).astype("Int64"),
        "Input y contains NaN",
    ),
    "three axes": (lambda y: y.reshape(-1, 1, 1), r"\(n_samples, n_outputs\), got \(400, 1, 1\)"),
    "no output": (lambda y: np.empty((400, 0)), r"\(n_samples, n_outputs\), got \(400, 0\)"),
    "no y": (lambda y: None, "THINRegressor requires y"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_a_y_that_is_not_a_finite_number_for_each_row_is_refused(wrong, message, table):
    X, y = table
    assert_refused(small(), ValueError, message, X, wrong(y))


def test_held_out_numbers_are_checked_under_their_own_name(table):
    X, y = table
    held = {"X_val": X[:9], "y_val": np.full(9, np.nan)}
    assert_refused(small(), ValueError, "Input y_val contains NaN", X, y, **held)
    held["y_val"] = np.zeros((9, 2))
    assert_refused(small(), ValueError, "y_val must have 1 outputs, as in the fit", X, y, **held)


def test_a_later_call_with_other_outputs_is_refused(table):
    X, y = table
    fitted = small().partial_fit(X, y)
    with pytest.raises(ValueError, match="y must have 1 outputs, as in the fit, got 2"):
        fitted.partial_fit(X, np.column_stack([y, y]))


def test_a_score_without_numbers_is_refused(sites, by_site):
    X, _ = sites
    with pytest.raises(ValueError, match="y must hold numbers, got text"):
        by_site.score(X, X["site"])
