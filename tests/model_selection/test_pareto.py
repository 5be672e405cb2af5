"""The Pareto front of several scores, and the refit of its knee, in any search."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, ShuffleSplit, cross_val_score
from sklearn.tree import DecisionTreeClassifier

from sklearn_thin import load, save
from sklearn_thin.inspection import make_leakage_scorer, make_worst_level_scorer
from sklearn_thin.model_selection import (
    KneeRefit,
    StackedGridSearchCV,
    StackedHalvingSearchCV,
    StackedRandomizedSearchCV,
    pareto_front,
)
from tests.helpers import small

SCORING = {"accuracy": "accuracy", "worst": make_worst_level_scorer(column=63)}


def results(error=0.0, n_splits=4, **means):
    """`cv_results_` with these mean scores, all of one standard error."""
    made = {"params": [{} for _ in next(iter(means.values()))]}
    for name, mean in means.items():
        made |= {f"split{k}_test_{name}": np.array(mean) for k in range(n_splits)}
        made[f"mean_test_{name}"] = np.array(mean, dtype=float)
        made[f"std_test_{name}"] = np.full(len(mean), error * np.sqrt(n_splits - 1))
    return made


def leaves(tree, X, y):
    """A score that is higher for smaller trees."""
    return -tree.get_n_leaves()


@pytest.fixture
def table(rows):
    """X whose last column is z, and y."""
    X = rows[0].copy()
    X[:, 63] = rows[2]
    return X, rows[1]


# ------------------------------------------------------------------ the front


@pytest.mark.parametrize("seed", range(3))
def test_the_front_is_that_of_all_pairs(seed):
    scores = np.random.RandomState(seed).randint(5, size=(40, 3))  # with ties and duplicates
    front = [
        i
        for i, own in enumerate(scores)
        if not any((other >= own).all() and (other > own).any() for other in scores)
    ]
    made = results(**dict(zip("abc", scores.T, strict=True)))
    assert pareto_front(made).tolist() == front
    assert pareto_front(pd.DataFrame(made)).tolist() == front


def test_equal_candidates_are_on_the_front_together():
    made = results(a=[1, 1, 0, 0], b=[0, 0, 1, 0])
    assert pareto_front(made).tolist() == [0, 1, 2]
    assert pareto_front(made, ["a"]).tolist() == [0, 1]


def test_a_candidate_with_a_nan_or_an_infinite_score_takes_no_part():
    made = results(a=[0.5, 0.9, 0.4, np.inf], b=[0.5, np.nan, 0.6, 0.9])
    assert pareto_front(made).tolist() == [0, 2]
    assert pareto_front(results(a=[np.nan, np.nan], b=[1, 1])).tolist() == []


def test_wrong_names_and_results_are_refused():
    made = results(accuracy=[1], leakage=[0])
    with pytest.raises(ValueError, match=r"names among \['accuracy', 'leakage'\].* got \['loss'\]"):
        pareto_front(made, ["loss"])
    with pytest.raises(ValueError, match=r"'scorers' parameter .* Got 'leakage' instead"):
        pareto_front(made, "leakage")
    with pytest.raises(ValueError, match="must hold mean test scores"):
        pareto_front({"test_accuracy": [1]})  # of cross_validate
    with pytest.raises(ValueError, match="'cv_results' parameter"):
        pareto_front(GridSearchCV(small(), {"depth": [1]}))


@pytest.mark.parametrize("kind", [StackedGridSearchCV, StackedRandomizedSearchCV])
def test_a_stacked_search_has_its_front(kind, table):
    how = {"scoring": SCORING, "refit": "accuracy", "cv": 2}
    search = kind(small(), {"lr": [1e-4, 1e-2, 1e-1]}, **how)
    if kind is StackedRandomizedSearchCV:
        search.set_params(n_iter=3)
    assert not hasattr(search, "pareto_front_")
    search.fit(*table)
    np.testing.assert_array_equal(search.pareto_front_, pareto_front(search.cv_results_))
    assert search.best_index_ in search.pareto_front_
    search.set_params(scoring="accuracy", refit=True).fit(*table)
    assert not hasattr(search, "pareto_front_")


def test_a_halving_has_one_score_and_no_front(table):
    search = StackedHalvingSearchCV(small(), {"lr": [1e-3, 1e-2]}, min_resources=100, cv=2)
    assert not hasattr(search.fit(*table), "pareto_front_")


def test_three_scores_of_one_search_with_metadata(rows, encoder):
    X, y, z = rows
    scoring = {
        "accuracy": "accuracy",
        "worst": make_worst_level_scorer(),
        "leakage": make_leakage_scorer(probes=["linear"]),
    }
    thin = small(FrozenEstimator(encoder), max_epochs=4)
    grid = {"dispelling": [None, "erasure"], "lr": [1e-3, 1e-2]}
    with sklearn.config_context(enable_metadata_routing=True):
        thin.set_fit_request(exogenous_target=False)
        search = StackedGridSearchCV(thin, grid, scoring=scoring, refit=KneeRefit(), cv=2)
        search.fit(X, y, exogenous_target=z)
    scores = [search.cv_results_[f"mean_test_{name}"] for name in scoring]
    assert all(np.isfinite(score).all() for score in scores)
    assert (scores[1] <= scores[0]).all()
    assert search.best_index_ in search.pareto_front_
    assert search.predict(X).shape == y.shape


# ------------------------------------------------------------------ the knee


def test_the_knee_is_the_farthest_from_the_line_through_both_ends():
    made = results(a=[0.5, 0.6, 0.9, 1.0], b=[40, 36, 32, 0])
    scaled = np.column_stack([(made["mean_test_a"] - 0.5) / 0.5, made["mean_test_b"] / 40])
    distances = (scaled.sum(1) - 1) / np.sqrt(2)  # of Das (1999)
    assert KneeRefit()(made) == distances.argmax() == 2


def test_a_candidate_off_the_front_is_no_knee_and_moves_none():
    made = results(a=[0.5, 0.9, 1.0, -5], b=[1.0, 0.8, 0.0, -5])
    assert KneeRefit()(made) == 1


@pytest.mark.parametrize("middle", [0.5, 0.2])  # of a line, and of a front that bends inwards
def test_without_a_knee_the_first_scorer_decides(middle):
    made = results(a=[0, middle, 1], b=[1, middle, 0])
    assert KneeRefit()(made) == 2
    assert KneeRefit(["b", "a"])(made) == 0


def test_scores_within_the_tolerance_are_as_good_as_the_best():
    made = results(error=0.05, a=[0.90, 0.96, 1.0], b=[0.9, 0.5, 0.0])
    assert KneeRefit(tolerance=0)(made) == 1
    assert KneeRefit(tolerance=1.9)(made) == 1
    assert KneeRefit(tolerance=2)(made) == 0  # a does not tell the candidates apart
    made["std_test_a"][2] = made["std_test_b"][:] = 0.0  # only the error of the best counts
    assert KneeRefit(tolerance=9)(made) == 1


def test_an_end_of_the_front_by_noise_does_not_move_the_knee():
    made = results(error=0.01, a=[0.5, 0.8, 0.9, 0.901], b=[1.0, 0.8, 0.6, 0.0])
    assert KneeRefit(tolerance=0)(made) == 2  # the last candidate widens the range of b
    assert KneeRefit()(made) == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_knee_is_on_the_front(seed):
    random = np.random.RandomState(seed)
    for _ in range(50):
        scores = random.randint(6, size=(12, 3)) / 2
        made = results(error=random.uniform(0, 2), **dict(zip("abc", scores.T, strict=True)))
        assert KneeRefit()(made) in pareto_front(made)


def test_the_error_is_that_of_the_mean_over_the_folds():
    scores = {"a": [[0.9, 0.9, 0.9], [0.8, 1.0, 1.2]], "b": [[0.0, 0.0, 0.0], [-1.0, -1.0, -1.0]]}
    made = {}
    for name, folds in scores.items():
        made |= {f"split{k}_test_{name}": np.array(folds)[:, k] for k in range(3)}
        made |= {f"mean_test_{name}": np.mean(folds, 1), f"std_test_{name}": np.std(folds, 1)}
    error = np.std([0.8, 1.0, 1.2], ddof=1) / np.sqrt(3)
    enough = 0.1 / error
    assert KneeRefit(tolerance=enough * 1.01)(made) == 0
    assert KneeRefit(tolerance=enough * 0.99)(made) == 1  # both ends tie: the first scorer decides


def test_scores_that_do_not_differ_have_no_say():
    assert KneeRefit()(results(same=[1, 1, 1], b=[0, 2, 1])) == 1
    assert KneeRefit()(results(a=[3, 3], b=[1, 1])) == 0


def test_one_candidate_one_scorer_and_one_fold_have_an_answer():
    assert KneeRefit()(results(a=[0.3], b=[0.1])) == 0
    assert KneeRefit()(results(score=[0.3, 0.5, 0.4])) == 1
    assert KneeRefit(tolerance=5)(results(a=[0, 0.9, 1], b=[1, 0.8, 0], n_splits=1)) == 1


def test_candidates_that_failed_are_passed_over():
    made = results(a=[0.5, 0.9, 1.0, 2.0], b=[1.0, 0.8, 0.0, np.nan])
    assert KneeRefit()(made) == 1
    with pytest.raises(ValueError, match=r"none of the candidates has finite scores of all of"):
        KneeRefit()(results(a=[1, np.nan], b=[np.nan, 1]))


@pytest.mark.parametrize("tolerance", [-1, np.nan, np.inf, "1"])
def test_a_wrong_tolerance_is_refused_before_a_search(tolerance):
    with pytest.raises(ValueError, match="tolerance must be a number of standard errors"):
        KneeRefit(tolerance=tolerance)


@pytest.mark.parametrize("scorers", ["accuracy", [], 3, [3], ["a", "a", "b"], np.array("a")])
def test_wrong_scorers_are_refused_before_a_search(scorers):
    with pytest.raises(ValueError, match="scorers must be a list of names of scorers, or None"):
        KneeRefit(scorers)


def test_scorers_are_a_list_or_an_array_of_different_names():
    made = results(a=[0.5, 0.9, 1.0], b=[1.0, 0.8, 0.0])
    names = np.array(["b", "a"])
    assert KneeRefit(names) == KneeRefit(["b", "a"])
    assert KneeRefit(pd.Index(names))(made) == KneeRefit(names)(made) == 1
    with pytest.raises(ValueError, match=r"each once, got \['a', 'a', 'b'\]"):
        pareto_front(made, ["a", "a", "b"])


def test_scores_whose_deviation_or_range_overflows_have_a_knee():
    made = results(a=[0.0, 1e200, 1.2e200], b=[1.0, 0.9, 0.0])
    made["std_test_a"][:] = np.inf
    assert KneeRefit()(made) == 1
    assert KneeRefit(tolerance=0)(made) == 1
    assert KneeRefit(tolerance=1e308)(results(error=1e9, a=[1, 2], b=[2, 1])) == 1
    assert KneeRefit()(results(a=[-1.7e308, 1.6e308, 1.7e308], b=[1, 0.9, 0])) == 1


def test_a_scorer_that_always_failed_is_named():
    made = results(a=[0.5, 0.9], b=[np.nan, np.nan])
    with pytest.raises(ValueError, match=r"No candidate has a finite score of \['b'\]"):
        KneeRefit()(made)


def test_a_halving_refuses_a_rule_before_the_training(table, monkeypatch):
    monkeypatch.setattr(StackedHalvingSearchCV, "_train", None)
    search = StackedHalvingSearchCV(small(), {"lr": [1e-3]}, refit=KneeRefit(), cv=2)
    with pytest.raises(ValueError, match=r"'refit' parameter of StackedHalvingSearchCV .*bool"):
        search.fit(*table)


def test_unknown_scorers_are_named_before_the_training(table, monkeypatch):
    monkeypatch.setattr(StackedGridSearchCV, "_train", None, raising=False)
    how = {"scoring": SCORING, "refit": KneeRefit(["accuracy", "leakage"])}
    search = StackedGridSearchCV(small(), {"lr": [1e-3]}, **how)
    with pytest.raises(ValueError, match=r"among \['accuracy', 'worst'\].* got \['accuracy', 'lea"):
        search.fit(*table)


# ------------------------------------------------------------------ in searches


def test_a_plain_search_refits_the_knee(rows):
    scoring = {"accuracy": "accuracy", "leaves": leaves}
    grid = {"max_leaf_nodes": [2, 10, 20, 60]}
    tree = DecisionTreeClassifier(random_state=0)
    search = GridSearchCV(tree, grid, scoring=scoring, refit=KneeRefit(), cv=3)
    search.fit(*rows[:2])
    assert search.best_index_ == KneeRefit()(search.cv_results_)
    assert search.best_estimator_.get_n_leaves() in (10, 20)


def test_a_stacked_search_chooses_as_the_plain_one(table):
    how = {"scoring": SCORING, "refit": KneeRefit(), "cv": ShuffleSplit(2, random_state=0)}
    grid = {"lr": [1e-5, 1e-2], "depth": [1, 2]}
    plain, stacked = (
        kind(small(max_epochs=4), grid, **how).fit(*table)
        for kind in (GridSearchCV, StackedGridSearchCV)
    )
    assert stacked.best_params_ == plain.best_params_
    assert stacked.best_estimator_.lr == 1e-2


def two_scores(clf, X, y):
    """Two scores by one callable."""
    return {"accuracy": clf.score(X, y), "rows": len(X)}


@pytest.mark.parametrize(
    ("scoring", "call"),
    [
        (SCORING, r"search\.scorer_\['accuracy'\]\(search\.best_estimator_, X, y\)"),
        (two_scores, r"search\.scorer_\(search\.best_estimator_, X, y\)\['accuracy'\]"),
    ],
)
def test_a_search_that_has_no_one_score_names_the_way_to_score(table, scoring, call):
    how = {"scoring": scoring, "refit": KneeRefit(["accuracy"]), "cv": 2}
    search = StackedGridSearchCV(small(), {"lr": [1e-3, 1e-2]}, **how)
    assert cross_val_score(search, *table, scoring="accuracy", cv=2).min() >= 0
    with pytest.raises(ValueError, match=rf"score needs one scorer.*\. Score with {call}"):
        cross_val_score(search, *table, cv=2, error_score="raise")
    with pytest.raises(NotFittedError):
        search.score(*table)


def test_a_search_with_one_score_has_it(table):
    search = StackedGridSearchCV(small(), {"lr": [1e-3, 1e-2]}, refit=KneeRefit(), cv=2)
    assert search.fit(*table).score(*table) == search.best_estimator_.score(*table)
    search.set_params(scoring=SCORING, refit="worst").fit(*table)
    assert search.score(*table) == SCORING["worst"](search.best_estimator_, *table)


def test_it_is_cloned_pickled_saved_and_printed(table, tmp_path):
    knee = KneeRefit(["accuracy", "worst"], tolerance=0.5)
    assert repr(knee) == "KneeRefit(scorers=['accuracy', 'worst'], tolerance=0.5)"
    scoring = SCORING | {"leakage": make_leakage_scorer(column=63, probes=["linear"])}
    how = {"scoring": scoring, "refit": knee, "cv": 2}
    search = clone(StackedGridSearchCV(small(), {"lr": [1e-3, 1e-2]}, **how)).fit(*table)
    save(search, tmp_path / "search.thin")
    for again in (pickle.loads(pickle.dumps(search)), load(tmp_path / "search.thin")):
        assert again.refit == knee
        assert again.refit(again.cv_results_) == search.best_index_
        np.testing.assert_array_equal(again.pareto_front_, search.pareto_front_)
        for name, scorer in search.scorer_.items():
            old, new = scorer(search.best_estimator_, *table), again.scorer_[name]
            assert new(again.best_estimator_, *table) == old, name
