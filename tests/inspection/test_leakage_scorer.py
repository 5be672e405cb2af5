"""Leakage is a scorer of any search, with z from a column or from metadata."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_thin.inspection import make_leakage_scorer
from sklearn_thin.model_selection import StackedGridSearchCV
from tests.helpers import small


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def table(n=240):
    """X whose last column is z, y, and z."""
    random = np.random.RandomState(0)
    y, z = np.arange(n) % 3, random.randint(2, size=n)
    X = random.normal(size=(n, 5)) + 2 * np.eye(5)[y]
    X[:, 4] = z
    return X, y, z


def test_a_representation_without_z_scores_best():
    X, _, _ = table()
    scorer = make_leakage_scorer(column=4)
    assert scorer(PCA().fit(X), X) < -0.9
    few = make_pipeline(StandardScaler(), PCA(1, random_state=0)).fit(X)
    assert scorer(few, X) > -0.5


def test_a_column_has_a_name_or_a_position():
    X, _, z = table()
    frame = pd.DataFrame(X, columns=list("abcde")).assign(e=np.array(["no", "yes"])[z])
    numbers = make_pipeline(FunctionTransformer(lambda X: np.asarray(X)[:, :4]), PCA()).fit(X)
    by_name = make_leakage_scorer(column="e")(numbers, frame)
    assert by_name == make_leakage_scorer(column=4)(numbers, X)
    with pytest.raises(ValueError, match="names the column 'f'"):
        make_leakage_scorer(column="f")(numbers, frame)


@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
def test_a_search_routes_z_to_fit_and_scorer(kind, routing):
    X, y, z = table()
    scoring = {"leakage": make_leakage_scorer(), "accuracy": "accuracy"}
    search = kind(small("given"), {"lr": [1e-3, 1e-2]}, scoring=scoring, refit="leakage", cv=2)
    search.fit(X, y, exogenous_target=z)
    leakage = search.cv_results_["mean_test_leakage"]
    assert np.all((leakage >= -1) & (leakage < 0.5))
    alone = clone(search).set_params(scoring=make_leakage_scorer(), refit=True)
    alone.fit(X, y, exogenous_target=z)
    np.testing.assert_allclose(alone.cv_results_["mean_test_score"], leakage, atol=0.05)


@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
def test_a_search_takes_z_from_a_column_without_routing(kind):
    X, y, _ = table()
    scoring = {"leakage": make_leakage_scorer(column=4), "accuracy": "accuracy"}
    search = kind(small(), {"lr": [1e-3, 1e-2]}, scoring=scoring, refit="accuracy", cv=2)
    search.fit(X, y)
    assert np.all(search.cv_results_["mean_test_leakage"] < 0)


def test_groups_are_routed_on_request(routing):
    X, y, _ = table()
    groups = np.arange(240) % 24
    z = groups % 2
    X[:, 4] = z + np.random.RandomState(1).normal(size=240)  # which the probe reads in part
    scorer = make_leakage_scorer(probes=["linear"]).set_score_request(
        exogenous_target="site", groups=True
    )
    thin = small().set_fit_request(groups=False)
    halves = [(np.arange(120), np.arange(120, 240))]
    search = GridSearchCV(thin, {"lr": [1e-2]}, scoring=scorer, cv=halves)
    search.fit(X, y, site=z, groups=groups)
    train, test = halves[0]
    model = clone(thin).set_params(lr=1e-2).fit(X[train], y[train])
    given = {"exogenous_target": z[test], "groups": groups[test]}
    assert search.best_score_ == pytest.approx(scorer(model, X[test], **given))
    assert search.best_score_ != pytest.approx(scorer(model, X[test], exogenous_target=z[test]))


def test_groups_of_a_splitter_stay_with_the_splitter(routing):
    X, y, z = table()
    thin = small().set_fit_request(groups=False, exogenous_target=False)
    scorer = make_leakage_scorer(probes=["linear"])
    search = GridSearchCV(thin, {"lr": [1e-2]}, scoring=scorer, cv=GroupKFold(2))
    search.fit(X, y, exogenous_target=z, groups=np.arange(240) % 4)  # too few to probe by groups
    assert np.isfinite(search.best_score_)


def test_a_scorer_is_cloned_and_printed():
    scorer = make_leakage_scorer(column="site", probes=["linear"])
    assert repr(scorer) == "make_leakage_scorer(column='site', probes=['linear'])"
    search = GridSearchCV(PCA(), {"n_components": [1, 2]}, scoring=scorer)
    assert clone(search).scoring.column == "site"


def test_without_z_an_error_names_both_ways():
    X, _, _ = table()
    with pytest.raises(ValueError, match=r"make_leakage_scorer.column=.* metadata routing"):
        make_leakage_scorer()(PCA().fit(X), X)


def test_estimators_without_a_representation_are_refused():
    X, y, _ = table()
    scorer = make_leakage_scorer(column=4)
    with pytest.raises(TypeError, match=r"LogisticRegression has no transform"):
        scorer(LogisticRegression().fit(X, y), X)
    with pytest.raises(NotFittedError):
        scorer(small(), X)


def test_unknown_probes_are_named_before_a_search():
    with pytest.raises(ValueError, match="probes must be names among"):
        make_leakage_scorer(probes=["kernel"])


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"probes": {}}, ValueError, "probes must hold at least one classifier"),
        ({"probes": {"own": LogisticRegression}}, TypeError, "probe 'own' must be a classifier"),
        ({"random_state": "0"}, ValueError, "'0' cannot be used to seed"),
    ],
)
def test_wrong_arguments_are_refused_before_a_search(wrong, error, match):
    with pytest.raises(error, match=match):
        make_leakage_scorer(**wrong)


def test_a_string_of_probes_is_shown_as_it_came():
    with pytest.raises(ValueError, match=r"got the string 'linear'. Pass a list"):
        make_leakage_scorer(probes="linear")


def test_a_fold_without_enough_rows_of_a_level_is_named():
    X, _, z = table()
    z = np.where(np.arange(240) == 0, 2, z)
    with pytest.raises(ValueError, match="each level of z must have at least 4 rows"):
        make_leakage_scorer()(PCA().fit(X), X, exogenous_target=z)
