"""The score of the worst level is a scorer of any search, with z from a column or metadata."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    check_scoring,
    cohen_kappa_score,
    get_scorer,
    make_scorer,
    matthews_corrcoef,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_thin.inspection import level_report, make_leakage_scorer, make_worst_level_scorer
from sklearn_thin.model_selection import KneeRefit, StackedGridSearchCV
from tests.helpers import small


def table(n=240):
    """X whose last column is z, y that X shows the less the higher z is, and z."""
    random = np.random.RandomState(0)
    y, z = np.arange(n) % 2, random.randint(3, size=n)
    X = random.normal(size=(n, 4))
    X[:, 0] += (2 - z) * 2 * y
    X[:, 3] = z
    return X, y, z


def test_it_is_the_worst_level_of_the_report():
    X, y, z = table()
    clf = small(max_epochs=20).fit(X, y)
    worst = make_worst_level_scorer(column=3)(clf, X, y)
    assert worst == level_report(y, clf.predict(X), z, random_state=0).worst
    assert worst < clf.score(X, y)


def test_a_regressor_has_any_score_of_scikit_learn():
    X, y, z = table()
    y = y + X[:, 0]
    reg = LinearRegression().fit(X, y)
    name = "neg_root_mean_squared_error"
    report = level_report(y, reg.predict(X), z, random_state=0)
    assert make_worst_level_scorer(name, column=3)(reg, X, y) == pytest.approx(-report.worst)
    of_levels = [reg.score(X[z == level], y[z == level]) for level in range(3)]
    assert make_worst_level_scorer(column=3)(reg, X, y) == min(of_levels)


def test_a_score_may_be_a_callable_of_estimator_and_rows():
    X, y, z = table()
    clf = DummyClassifier().fit(X, y)
    rows = make_worst_level_scorer(lambda clf, X, y: -len(X), column=3)
    assert rows(clf, X, y) == -np.bincount(z).max()


def test_a_level_without_a_score_is_a_score_that_is_missing():
    X, y, z = table()
    clf = small().fit(X, y)
    auc = make_worst_level_scorer("roc_auc", column=3)
    of_levels = [get_scorer("roc_auc")(clf, X[z == level], y[z == level]) for level in range(3)]
    assert auc(clf, X, y) == min(of_levels)
    missing = make_worst_level_scorer(lambda clf, X, y: np.nan if X[0, 3] == 1 else 1.0, column=3)
    assert np.isnan(missing(clf, X, y))


@pytest.mark.parametrize(
    ("scoring", "k"),
    [
        ("neg_log_loss", 3),
        ("roc_auc_ovr", 3),
        ("roc_auc", 2),
        ("average_precision", 2),
        ("f1", 2),
        ("recall", 2),
        ("f1_macro", 3),
        (lambda clf, X, y: 1 / (y == 1).sum(), 3),
        (lambda clf, X, y: 1.0 if (y == 1).any() else np.nan, 3),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("names", [False, True])
def test_a_level_that_lacks_a_class_is_named_where_the_score_needs_it(scoring, k, names):
    X, _, z = table()
    y = np.where((z == 2) & (np.arange(240) % k == 1), 0, np.arange(240) % k)
    clf = LogisticRegression().fit(X, y)
    z = np.array(["p", "q", "r"])[z] if names else z
    message = rf"no score of the level {'.r.' if names else 2} of z, .* classes \[1\] .*'accuracy'"
    with pytest.raises(ValueError, match=message):
        make_worst_level_scorer(scoring)(clf, X, y, exogenous_target=z)


@pytest.mark.parametrize("scoring", [None, "accuracy", "f1_weighted", "precision_micro"])
def test_other_scores_do_not_need_all_classes(scoring):
    X, y, z = table()
    y = np.where(z == 2, 0, y)
    clf = LogisticRegression().fit(X, y)
    scorer = check_scoring(clf, scoring)
    of_levels = [scorer(clf, X[z == level], y[z == level]) for level in range(3)]
    assert make_worst_level_scorer(scoring, column=3)(clf, X, y) == min(of_levels)
    of_positives = make_worst_level_scorer("f1", column=3)
    assert of_positives(clf.fit(X, 1 - y), X, 1 - y) > 0  # level 2 lacks the class 0 alone


@pytest.mark.parametrize(
    "scoring",
    ["matthews_corrcoef", make_scorer(matthews_corrcoef), make_scorer(cohen_kappa_score)],
)
def test_agreement_beyond_chance_needs_two_classes_in_each_level(scoring):
    X, _, z = table()
    y = np.arange(240) % 3
    y[(z == 2) & (y == 2)] = 0  # level 2 has two of the three classes
    clf = LogisticRegression().fit(X, y)
    scorer, worst = check_scoring(clf, scoring), make_worst_level_scorer(scoring, column=3)
    of_levels = [scorer(clf, X[z == level], y[z == level]) for level in range(3)]
    assert worst(clf, X, y) == min(of_levels)
    y[z == 2] = 0
    assert scorer(clf, X[z == 2], y[z == 2]) == 0  # also of right predictions
    with pytest.raises(ValueError, match=r"level 2.0 of z, .* lack the classes \[1, 2\]"):
        worst(clf, X, y)


@pytest.mark.parametrize("score", [np.ones(2), {"a": 1.0}, None, "1"])
def test_a_score_that_is_no_number_is_refused(score):
    X, y, _ = table()
    with pytest.raises(ValueError, match="must return a number, got"):
        make_worst_level_scorer(lambda clf, X, y: score, column=3)(DummyClassifier(), X, y)
    for number in (np.float32(1), np.array(1.0), np.array([1.0])):
        scorer = make_worst_level_scorer(lambda clf, X, y, number=number: number, column=3)
        assert scorer(DummyClassifier(), X, y) == 1


def test_wrong_lengths_of_y_are_refused():
    X, y, _ = table()
    clf, scorer = DummyClassifier().fit(X, y), make_worst_level_scorer(column=3)
    with pytest.raises(ValueError, match="y must have one value for each of the 240 rows of X"):
        scorer(clf, X, np.tile(y, 2))
    with pytest.raises(ValueError, match="needs y"):
        scorer(clf, X)


def test_a_scoring_that_requests_weights_is_refused():
    with sklearn.config_context(enable_metadata_routing=True):
        weighted = get_scorer("accuracy").set_score_request(sample_weight=True)
        with pytest.raises(ValueError, match=r"requests \['sample_weight'\]"):
            make_worst_level_scorer(weighted)
        without = get_scorer("accuracy").set_score_request(sample_weight=False)
        make_worst_level_scorer(without)
        make_worst_level_scorer(make_leakage_scorer(column=2), column=3)


def test_a_column_has_a_name_or_a_position():
    X, y, z = table()
    clf = DummyClassifier(strategy="constant", constant=1).fit(X, y)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(d=np.array(["p", "q", "r"])[z])
    worst = min(y[z == level].mean() for level in range(3))
    assert make_worst_level_scorer(column="d")(clf, frame, y) == worst
    assert make_worst_level_scorer(column=3)(clf, X, y) == worst
    with pytest.raises(ValueError, match="names the column 'f'"):
        make_worst_level_scorer(column="f")(clf, frame, y)


@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
def test_a_search_routes_z_to_fit_and_scorer(kind):
    X, y, z = table()
    scoring = {"worst": make_worst_level_scorer("accuracy"), "accuracy": "accuracy"}
    with sklearn.config_context(enable_metadata_routing=True):
        search = kind(small("given"), {"lr": [1e-2]}, scoring=scoring, refit="worst", cv=2)
        search.fit(X, y, exogenous_target=z)
        by_column = clone(search).set_params(
            scoring=make_worst_level_scorer("accuracy", column=3), refit=True
        )
        by_column.fit(X, y, exogenous_target=z)
    assert search.best_score_ == by_column.best_score_
    assert search.best_score_ < search.cv_results_["mean_test_accuracy"][0]


@pytest.mark.filterwarnings("ignore:The scoring .* does not support sample_weight")
@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
def test_other_scorers_of_a_search_get_weights_without_routing(kind):
    X, y, _ = table()
    weight = np.where(np.arange(240) % 4 == 0, 5.0, 1.0)
    worst, leakage = make_worst_level_scorer(column=3), make_leakage_scorer(column=3)
    scoring = {"accuracy": "accuracy", "worst": worst, "leakage": leakage}
    search = kind(small(), {"lr": [1e-2]}, scoring=scoring, refit="worst", cv=2)
    scores = search.fit(X, y, sample_weight=weight).cv_results_
    alone = search.set_params(scoring=worst, refit=True).fit(X, y, sample_weight=weight)
    assert scores["mean_test_worst"] == alone.cv_results_["mean_test_score"]
    weighted = search.set_params(scoring="accuracy").fit(X, y, sample_weight=weight)
    assert scores["mean_test_accuracy"] == weighted.cv_results_["mean_test_score"]


@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
def test_a_search_takes_z_from_a_column_without_routing(kind):
    X, y, _ = table()
    scorer = make_worst_level_scorer(column=3)
    search = kind(small(), {"lr": [1e-3, 1e-2]}, scoring=scorer, cv=2).fit(X, y)
    plain = kind(small(), {"lr": [1e-3, 1e-2]}, cv=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert (scores < plain.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("level", "why"), [(None, "3 of 120 are missing"), ("rare", r"fewer: \{'rare': 3\}")]
)
def test_a_search_names_the_scorer_that_failed_and_why(level, why):
    X, y, z = table()
    X = pd.DataFrame(X).assign(site=np.array(["p", "q", "r"])[z]).rename(columns=str)
    X.loc[[1, 40, 90, 130, 170, 220], "site"] = level  # three in each fold
    leakage = make_leakage_scorer(column="site", probes=["linear"])
    scoring = {"fit": "rand_score", "leakage": leakage}
    clusters = make_pipeline(FunctionTransformer(numbers_of), KMeans(n_init=1, random_state=0))
    grid = {"kmeans__n_clusters": [2, 3]}
    search = GridSearchCV(clusters, grid, scoring=scoring, refit=KneeRefit(), cv=2)
    with (
        pytest.warns(UserWarning, match=why),
        pytest.warns(UserWarning, match="non-finite"),
        pytest.raises(ValueError, match=r"No candidate has a finite score of \['leakage'\]"),
    ):
        search.fit(X, y)


def numbers_of(frame):
    """The columns of numbers."""
    return frame.drop(columns="site")


def test_it_is_printed_as_it_was_made():
    assert repr(make_worst_level_scorer("r2", column="d")) == (
        "make_worst_level_scorer('r2', column='d')"
    )


def test_wrong_arguments_are_refused_before_a_search():
    with pytest.raises(ValueError, match="'scoring' parameter of make_worst_level_scorer"):
        make_worst_level_scorer("site")
    with pytest.raises(ValueError, match="'column' parameter of make_worst_level_scorer"):
        make_worst_level_scorer(column=["a", "b"])
    for make in (make_worst_level_scorer, make_leakage_scorer):
        with pytest.raises(ValueError, match=f"'column' parameter of {make.__name__} .* got True"):
            make(column=True)


@pytest.mark.parametrize("make", [make_worst_level_scorer, make_leakage_scorer])
def test_errors_of_a_column_name_the_parameter_and_the_rows(make):
    X, y, z = table()
    fitted = KMeans(2, n_init=1, random_state=0).fit(X)  # it has a score and a transform
    rows = [[*map(float, row[:3]), "pqr"[level]] for row, level in zip(X, z, strict=True)]
    with pytest.raises(ValueError, match=r"^column names column 99 of X, but X has 4 columns"):
        make(column=99)(fitted, X, y)
    with pytest.raises(ValueError, match=r"^column=3 names .* X has images.* exogenous_target"):
        make(column=3)(fitted, X.reshape(-1, 2, 2), y)
    with pytest.raises(ValueError, match=r"^column='d' names .* X has the shape"):
        make(column="d")(fitted, X[:, 0], y)
    frame = pd.DataFrame(rows, columns=list("abcd"))
    frame.loc[[4, 7], "d"] = None
    with pytest.raises(ValueError, match=r"^z, the column 'd' of X, .* 2 of 240 are missing"):
        make(column="d")(fitted, frame, y)


def test_a_list_has_columns_by_position():
    X, y, _ = table()
    clf = KMeans(2, n_init=1, random_state=0).fit(X)
    for scorer in (make_worst_level_scorer(column=3), make_leakage_scorer(column=3)):
        assert scorer(clf, X.tolist(), y.tolist()) == scorer(clf, X, y)


def test_wrong_levels_are_named():
    X, y, z = table()
    clf, scorer = DummyClassifier().fit(X, y), make_worst_level_scorer()
    with pytest.raises(ValueError, match=r"worst-level scorer .*make_worst_level_scorer\(column="):
        scorer(clf, X, y)
    with pytest.raises(ValueError, match="z must have one label for each of the 240 rows"):
        scorer(clf, X, y, exogenous_target=z[:9])
    with pytest.raises(ValueError, match="z"):
        scorer(clf, X, y, exogenous_target=z * 0)
    with pytest.raises(NotFittedError):
        scorer(small(), X, y, exogenous_target=z)
