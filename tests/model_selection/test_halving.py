"""Successive halving: scikit-learn's results, from trainings that go on from rung to rung."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection._search_successive_halving import HalvingGridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklearn_thin import load, save
from sklearn_thin.model_selection import StackedGridSearchCV, StackedHalvingSearchCV
from sklearn_thin.training.stack import Stack
from tests.helpers import small, small_encoder

CLOSE = 0.02  # four of 200 rows that lie between two classes
ROUGH = 0.1  # at a high rate: rounding errors grow in few steps
GRID = {"lr": [1e-5, 1e-4, 1e-3, 1e-2, 3e-2], "lam": [0.0], "weight_decay": [0.0, 0.1]}
EPOCHS = {"resource": "max_epochs", "max_resources": 10, "cv": 2}


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:400], digits.y[:400]


@pytest.fixture(scope="module")
def halved(rows):
    return StackedHalvingSearchCV(small(), GRID, **EPOCHS).fit(*rows)


def assert_same_rungs(ours, plain, atol=CLOSE):
    """The same rungs, columns and candidates, and nearly the same scores."""
    for name in ("n_resources_", "n_candidates_", "n_iterations_", "n_remaining_candidates_"):
        assert getattr(ours, name) == getattr(plain, name)
    ours, theirs = ours.cv_results_, plain.cv_results_
    assert list(ours) == list(theirs)
    assert [len(values) for values in ours.values()] == [len(v) for v in theirs.values()]
    keys, wanted = (
        list(zip(r["iter"], map(str, r["params"]), strict=True)) for r in (theirs, ours)
    )
    same = [keys.index(key) for key in wanted]
    for name in ("mean_test_score", "split0_test_score", "mean_train_score"):
        np.testing.assert_allclose(ours[name], theirs[name][same], atol=atol)
    assert (ours["mean_fit_time"] > 0).all()


def test_with_rows_as_the_resource_it_is_scikit_learns(rows):
    setting = {"param_grid": GRID, "cv": 2, "factor": 2, "random_state": 0, "min_resources": 100}
    thin = small(max_epochs=3)
    ours = StackedHalvingSearchCV(thin, **setting).fit(*rows)
    plain = HalvingGridSearchCV(thin, **setting).fit(*rows)
    assert ours.n_resources_ == [100, 200, 400]
    assert_same_rungs(ours, plain)
    assert ours.best_params_ == plain.best_params_
    np.testing.assert_array_equal(ours.predict(rows[0]), plain.predict(rows[0]))


@pytest.mark.parametrize("seed", range(3))
def test_with_epochs_at_a_constant_rate_it_is_scikit_learns(seed, rows):
    """At rates at which rounding errors hardly grow."""
    thin = small(lr_schedule="constant", random_state=seed)
    grid = {**GRID, "lr": [1e-5, 3e-5, 1e-4, 3e-4, 1e-3]}
    ours = StackedHalvingSearchCV(thin, grid, **EPOCHS).fit(*rows)
    plain = HalvingGridSearchCV(thin, grid, **EPOCHS).fit(*rows)
    assert_same_rungs(ours, plain, atol=CLOSE / 2)


def test_the_last_rung_has_the_scores_of_plain_fits(halved, rows):
    assert halved.n_resources_ == [1, 3, 9]  # at most 10
    assert halved.n_candidates_ == [10, 4, 2]
    results = halved.cv_results_
    last = np.flatnonzero(results["iter"] == 2)
    candidates = [{k: [v] for k, v in results["params"][i].items()} for i in last]
    plain = GridSearchCV(small(), candidates, cv=2).fit(*rows).cv_results_
    assert plain["params"] == [results["params"][i] for i in last]
    np.testing.assert_allclose(
        results["mean_test_score"][last], plain["mean_test_score"], atol=CLOSE
    )
    assert halved.best_index_ in last
    assert halved.best_score_ == results["mean_test_score"][last].max()
    assert halved.best_params_["max_epochs"] == halved.best_estimator_.n_iter_ == 9
    np.testing.assert_array_equal(results["param_max_epochs"], results["n_resources"])


def test_it_finds_what_the_grid_finds(halved, rows):
    grid = StackedGridSearchCV(small(max_epochs=9), GRID, cv=2).fit(*rows)
    assert halved.best_params_["lr"] == grid.best_params_["lr"]
    assert abs(halved.best_score_ - grid.best_score_) <= CLOSE


def counting_epochs(monkeypatch):
    """A list that grows by the number of nets in each epoch of a stack."""
    trained, run_epoch = [], Stack._run_epoch

    def counting(self, *args):
        trained.append(len(self.nets))
        run_epoch(self, *args)

    monkeypatch.setattr(Stack, "_run_epoch", counting)
    return trained


def test_members_go_on_and_do_not_train_anew(rows, monkeypatch):
    trained = counting_epochs(monkeypatch)
    StackedHalvingSearchCV(small(), GRID, refit=False, **EPOCHS).fit(*rows)
    assert trained == [20, 8, 8, *[4] * 6]


@pytest.mark.parametrize("refusal", ["vmap: no batching rule", "x can't allocate memory: y"])
def test_stacks_that_fail_give_the_same_results(refusal, halved, rows, monkeypatch):
    whole = Stack.fit

    def failing(self, *args):
        if len(self.nets) > (0 if "vmap" in refusal else 6):
            raise RuntimeError(refusal)
        return whole(self, *args)

    monkeypatch.setattr(Stack, "fit", failing)
    with pytest.warns(RuntimeWarning, match="one by one|out of memory"):
        search = StackedHalvingSearchCV(small(), GRID, **EPOCHS).fit(*rows)
    assert_same_rungs(search, halved, ROUGH)
    assert search.best_params_ == halved.best_params_


class Counting(Callback):
    """A callback, with which a fit trains alone."""


def test_fits_that_train_alone_and_in_stacks_share_a_schedule(rows):
    grid = {"lr": [1e-3, 1e-2], "callbacks": [None, [Counting()]]}
    search = StackedHalvingSearchCV(small(), grid, factor=2, **EPOCHS).fit(*rows)
    assert search.n_candidates_ == [4, 2, 1]
    results = search.cv_results_
    scores = {}
    for params, rung, score in zip(
        results["params"], results["iter"], results["mean_test_score"], strict=True
    ):
        scores.setdefault((rung, params["lr"]), []).append(score)
    pairs = [pair for pair in scores.values() if len(pair) == 2]
    assert pairs
    for alone, stacked in pairs:
        assert abs(alone - stacked) <= CLOSE


def test_the_epochs_of_a_pipelines_last_step_are_a_resource(rows, monkeypatch):
    trained = counting_epochs(monkeypatch)
    pipeline = make_pipeline(StandardScaler(), small())
    grid = {f"thinclassifier__{name}": values for name, values in GRID.items()}
    how = {**EPOCHS, "resource": "thinclassifier__max_epochs"}
    search = StackedHalvingSearchCV(pipeline, grid, **how).fit(*rows)
    assert trained == [20, 8, 8, *[4] * 6]
    assert search.best_estimator_[-1].n_iter_ == 9
    assert search.score(*rows) > 0.9


def test_candidates_are_eliminated_aggressively(rows):
    how = {**EPOCHS, "max_resources": 3, "aggressive_elimination": True}
    ours = StackedHalvingSearchCV(small(), GRID, **how).fit(*rows)
    assert ours.n_resources_ == [1, 1, 3]
    assert ours.n_candidates_ == [10, 4, 2]
    assert ours.best_estimator_.n_iter_ == 3


def test_a_candidate_that_diverges_scores_nan_and_is_dropped(rows):
    grid = {"lr": [1e-2, 1e-3, 1e30]}
    with pytest.warns(Warning, match="fits failed|non-finite"):
        search = StackedHalvingSearchCV(small(), grid, **EPOCHS).fit(*rows)
    scores = search.cv_results_["mean_test_score"]
    assert np.isnan(scores[2])
    assert np.isfinite(scores[3:]).all()
    with pytest.raises(FloatingPointError, match="lower lr"):
        StackedHalvingSearchCV(small(), grid, error_score="raise", **EPOCHS).fit(*rows)


def test_nets_that_dispel_nothing_go_on_beside_others(digits, rows, capsys):
    side = FrozenEstimator(small_encoder().fit(rows[0], digits.z[:400]))
    thin = small(side, gating="head")
    grid = {"lam": [0, 0.01, 0.1], "lr": [1e-4, 1e-3, 1e-2]}
    halved = StackedHalvingSearchCV(thin, grid, **EPOCHS, verbose=2).fit(*rows)
    assert "Training 18 fits in 1 stacks, of [18]" in capsys.readouterr().out
    plain = GridSearchCV(thin.set_params(max_epochs=9), grid, cv=2).fit(*rows).cv_results_
    ours, last = halved.cv_results_, halved.cv_results_["n_resources"] == 9
    scores = dict(zip(map(str, plain["params"]), plain["mean_test_score"], strict=True))
    for place in np.flatnonzero(last):
        params = {name: ours["params"][place][name] for name in grid}
        assert ours["mean_test_score"][place] == pytest.approx(scores[str(params)], abs=CLOSE)


def test_equal_candidates_each_go_on(rows):
    grid = [{"lr": [1e-2]}, {"lr": [1e-2]}, {"lr": [1e-5]}]
    search = StackedHalvingSearchCV(small(), grid, factor=1.5, **EPOCHS).fit(*rows)
    assert search.n_candidates_[:2] == [3, 2]
    assert [params["lr"] for params in search.cv_results_["params"][3:5]] == [1e-2, 1e-2]


def test_the_search_stays_as_it_was_set_and_is_saved(halved, rows, tmp_path):
    assert clone(halved).get_params()["resource"] == "max_epochs"
    assert not hasattr(halved, "_run")
    proba = halved.predict_proba(rows[0])
    again = pickle.loads(pickle.dumps(halved))
    np.testing.assert_array_equal(again.predict_proba(rows[0]), proba)
    save(halved, tmp_path / "halved.thin")
    loaded = load(tmp_path / "halved.thin")
    np.testing.assert_array_equal(loaded.predict_proba(rows[0]), proba)
    assert loaded.n_resources_ == halved.n_resources_


def test_an_ensemble_of_rungs_is_refused(rows):
    with pytest.raises(ValueError, match="'refit' parameter"):
        StackedHalvingSearchCV(small(), GRID, refit="ensemble", **EPOCHS).fit(*rows)


def test_epochs_need_a_maximum(rows):
    with pytest.raises(ValueError, match="max_resources='auto'"):
        StackedHalvingSearchCV(small(), GRID, resource="max_epochs").fit(*rows)


@pytest.mark.parametrize("thin", [small(), make_pipeline(StandardScaler(), small())])
def test_an_unknown_resource_is_refused_in_the_name_of_the_estimator(thin, rows):
    search = StackedHalvingSearchCV(thin, {}, resource="epochs", max_resources=9)
    with pytest.raises(ValueError, match=f"by estimator {type(thin).__name__}$"):
        search.fit(*rows)
    assert search.estimator is thin


@pytest.mark.parametrize("how", [EPOCHS, {"cv": 2, "min_resources": 100, "random_state": 0}])
def test_a_bar_counts_the_epochs_of_all_stacks(how, rows, capsys):
    thin = small(max_epochs=3)
    search = StackedHalvingSearchCV(thin, {"lr": [1e-3, 1e-2, 3e-2]}, verbose=1, **how).fit(*rows)
    epochs = [3] * search.n_iterations_ if how is not EPOCHS else np.diff([0, *search.n_resources_])
    shown = capsys.readouterr().err
    for n_candidates, more in zip(search.n_candidates_, epochs, strict=True):
        total = 2 * n_candidates * more  # folds
        assert f"{total}/{total} [" in shown
    assert "training: " in shown
