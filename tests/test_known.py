"""A known exogenous variable in one word: a column of X, or labels that come with each call."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier, THINRegressor
from sklearn_thin.exogenous.known import GivenVariable, KnownVariable
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from tests.helpers import METHODS

TREE = {"depth": 1, "backbone": MLPBackbone((16,)), "max_epochs": 40, "lr": 5e-3}


def by(exogenous, **params):
    return THINClassifier(exogenous, **{**TREE, "random_state": 0, **params})


@pytest.fixture(scope="module")
def sites():
    """A frame in which one site turns the meaning of a number, its classes, and its sites."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    frame.insert(1, "site", rng.choice(["north", "south", "west"], 300))
    y = np.where((frame["a"] > 0) ^ (frame["site"] == "south"), "yes", "no")
    return frame, y, frame["site"]


@pytest.fixture(scope="module")
def by_site(sites):
    return by("site").fit(*sites[:2])


@pytest.fixture(scope="module")
def given(sites):
    frame, y, z = sites
    return by("given").fit(frame.drop(columns="site"), y, exogenous_target=z)


def test_a_name_lets_a_column_steer_the_gate_and_leaves_it_out_of_the_backbone(sites, by_site):
    frame, y, _ = sites
    assert by_site.score(frame, y) > 0.95
    assert by_site.input_shape_ == (3,)
    assert by_site.n_features_in_ == 4
    assert list(by_site.feature_names_in_) == ["a", "site", "b", "c"]
    assert by_site.module_.gate.in_features == 3
    assert by_site.exogenous_.classes_.tolist() == ["north", "south", "west"]
    moved = frame.assign(site="north")
    assert (by_site.predict(moved) != y)[frame["site"] == "south"].mean() > 0.9


@pytest.mark.parametrize(
    "columns",
    [1, -3, [1], ["site"], slice(1, 2), make_column_selector("site"), KnownVariable("site")],
    ids=["int", "negative", "ints", "names", "slice", "selector", "object"],
)
def test_every_way_to_name_the_column_gives_the_same_model(columns, sites, by_site):
    frame, y, _ = sites
    clf = by(columns).fit(frame, y)
    np.testing.assert_array_equal(clf.predict_proba(frame), by_site.predict_proba(frame))


@pytest.mark.parametrize(
    "make",
    [lambda f: pl.DataFrame(f.to_dict("list")), lambda f: f.to_numpy()],
    ids=["polars", "array"],
)
def test_other_tables_give_the_same_model(make, sites, by_site):
    frame, y, _ = sites
    table = make(frame)
    proba = by(1).fit(table, y).predict_proba(table)
    np.testing.assert_allclose(proba, by_site.predict_proba(frame), atol=1e-5)


def test_the_raw_path_reads_the_other_columns_alone(sites):
    frame, y, _ = sites
    clf = by("site", endogenous=None).fit(frame, y)
    assert clf.score(frame, y) > 0.95
    with pytest.raises(ValueError, match=r"columns \['a'\] hold text"):
        by("site", endogenous=None).fit(frame.assign(a="text"), y)


def test_several_columns_are_several_variables(sites):
    frame, y, _ = sites
    frame = frame.assign(temperature=np.linspace(-1.5, 2.5, len(frame)))
    clf = by(["site", "temperature"]).fit(frame, y)
    assert [name for name, _ in clf.exogenous_] == ["site", "temperature"]
    assert clf.module_.gate.in_features == 4
    assert clf.input_shape_ == (3,)
    assert clf.score(frame, y) > 0.9


@pytest.mark.parametrize("make", [THINClassifier, THINRegressor])
@pytest.mark.parametrize("level", ["east", None, np.nan], ids=["unseen", "None", "NaN"])
def test_unseen_and_missing_levels_get_the_gates_prior(make, level, sites):
    frame, y, z = sites
    y, new = y if make is THINClassifier else (y == "yes") * 1.0, frame[:20].assign(site=level)
    params = {**TREE, "max_epochs": 2, "random_state": 0}
    by_column = make("site", **params).fit(frame, y)
    given = make("given", **params).fit(frame.drop(columns="site"), y, exogenous_target=z)
    prior = np.tile(z.value_counts(normalize=True).sort_index(), (20, 1))
    for model, X, labels in (
        (by_column, new, None),
        (given, new.drop(columns="site"), new["site"]),
    ):
        expected = model.gate_proba(X, exogenous=prior)
        np.testing.assert_allclose(model.gate_proba(X, exogenous=labels), expected, atol=1e-6)
        assert np.abs(expected - model.gate_proba(X, exogenous="south")).max() > 1e-3
        assert len(model.predict(X, exogenous=labels)) == 20


def test_rows_may_miss_their_level_in_fit(sites):
    frame, y, z = sites
    missing = np.arange(len(frame)) % 5 == 0
    clf = by("site").fit(frame.assign(site=z.where(~missing, None)), y)
    counts = z[~missing].value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(clf.exogenous_.prior_, counts, rtol=1e-6)
    assert clf.score(frame[~missing], y[~missing]) > 0.9


def test_missing_numbers_get_the_mean_of_the_fit(sites):
    frame, y, _ = sites
    frame = frame.assign(age=np.linspace(-1, 4, len(frame)))
    clf = by("age", max_epochs=2).fit(frame, y)
    expected = clf.gate_proba(frame[:5].assign(age=1.5))
    np.testing.assert_allclose(clf.gate_proba(frame[:5].assign(age=np.nan)), expected, atol=1e-6)


def test_labels_of_another_site_predict_what_would_be_there(sites, by_site):
    frame = sites[0][:30]
    expected = by_site.predict_proba(frame.assign(site="south"))
    for there in ("south", ["south"] * 30, np.array([[0, 1, 0]] * 30, float)):
        np.testing.assert_allclose(
            by_site.predict_proba(frame, exogenous=there), expected, atol=1e-6
        )
    half = by_site.predict_proba(frame, exogenous=np.array([[0.5, 0.5, 0]] * 30))
    assert np.abs(half - expected).max() > 0.01


@pytest.mark.parametrize("method", METHODS[1:])
def test_every_output_takes_another_site(method, sites, by_site):
    frame = sites[0][:30]
    call = getattr(by_site, method)
    np.testing.assert_allclose(call(frame, exogenous="west"), call(frame.assign(site="west")))


def test_an_encoder_takes_the_labels_of_its_classes(sites):
    frame, y, z = sites
    X = frame[["a", "b", "c"]]
    encoder = ExogenousEncoder(MLPBackbone((8,)), max_epochs=2, random_state=0).fit(X, z)
    clf = by(FrozenEstimator(encoder), max_epochs=2).fit(X, y)
    gates = clf.gate_proba(X[:5], exogenous=["north", "south", "west", "north", "south"])
    np.testing.assert_allclose(gates[0], gates[3])
    assert not np.allclose(gates[0], gates[1])
    with pytest.raises(ValueError, match=r"'exogenous' does not know: east; .*'north', 'south'"):
        clf.predict(X[:2], exogenous=["north", "east"])


@pytest.mark.parametrize(
    "levels",
    [
        np.array([False, True]),
        np.array(["2026-01-01", "2026-01-02"], "M8[s]"),
        np.array([2**60, 2**60 + 1]),
        np.array([pd.Period("2026-01"), pd.Period("2026-02")]),
        np.array([-5, 10]),
    ],
    ids=["bools", "dates", "ids of 64 bits", "periods", "ints"],
)
def test_an_encoder_takes_labels_of_any_type_that_it_was_fitted_on(levels, sites):
    frame, y, z = sites
    X, z = frame[["a", "b", "c"]], levels[(z == "west").to_numpy().astype(int)]
    encoder = ExogenousEncoder(MLPBackbone((8,)), max_epochs=1, random_state=0).fit(X, z)
    clf = by(FrozenEstimator(encoder), max_epochs=1, gating="head").fit(X, y)
    for code, level in enumerate(levels):
        expected = clf.gate_proba(X[:5], exogenous=np.eye(2)[[code] * 5])
        ways = level, [level] * 5, np.array([level] * 5), pd.Series([level] * 5)
        for labels in ways:
            np.testing.assert_array_equal(clf.gate_proba(X[:5], exogenous=labels), expected)
    with pytest.raises(ValueError, match=r"exogenous has labels that .* does not know: else"):
        clf.predict(X[:2], exogenous="else")
    assert clf.gate_proba(X, exogenous=z).shape == (300, 2)


def test_given_dates_are_refused_by_the_name_of_their_argument(sites, given):
    X, y = sites[0].drop(columns="site"), sites[1]
    dates = np.full(300, "2026-01-01", "M8[s]")
    with pytest.raises(TypeError, match=r"^exogenous holds dates"):
        given.predict(X, exogenous=dates)
    with pytest.raises(TypeError, match=r"^exogenous_target holds dates"):
        by("given").fit(X, y, exogenous_target=dates)


def test_labels_of_another_type_than_in_fit_warn_in_predict(sites, by_site, given):
    frame = sites[0][:2]
    with pytest.warns(UserWarning, match="column 'site' of X holds numbers, such as 7, but"):
        by_site.predict(frame.assign(site=7))
    for labels in (7, [7, 8]):
        with pytest.warns(UserWarning, match="^exogenous holds numbers, such as 7, but its levels"):
            given.predict(frame.drop(columns="site"), exogenous=labels)


@pytest.mark.parametrize("frozen", [False, True])
def test_levels_of_all_rows_of_a_call_are_judged_together(frozen, sites):
    frame, y, _ = sites
    known = FrozenEstimator(KnownVariable("site").fit(frame)) if frozen else "site"
    clf = by(known, max_epochs=1).fit(frame, y)
    many = frame.loc[np.resize(frame.index, 9000)].reset_index(drop=True)  # three blocks
    blocks = many.assign(site=np.arange(9000) // 4096)
    with pytest.warns(UserWarning, match="holds numbers, such as 0, but its levels") as caught:
        proba = clf.predict_proba(blocks)
    assert len(caught) == 1
    blocks["site"] = [*blocks["site"][:-1], "south"]  # one known level: warnings are errors
    some = clf.predict_proba(blocks)
    np.testing.assert_array_equal(some[:-1], proba[:-1])
    one = many[-1:].assign(site="south")
    np.testing.assert_allclose(some[-1:], clf.predict_proba(one), atol=1e-6)


def test_given_labels_come_with_each_call(sites, given):
    frame, y, z = sites
    X = frame.drop(columns="site")
    assert given.score(X, y, exogenous=z) > 0.95
    assert given.input_shape_ == (3,)
    prior = given.gate_proba(X)
    np.testing.assert_allclose(prior, prior[:1].repeat(300, 0), atol=1e-6)
    assert given.score(X, y) < 0.9


def test_given_labels_are_used_for_held_out_rows(sites):
    frame, y, z = sites
    X = frame.drop(columns="site")
    clf = by("given", early_stopping=0.3, n_iter_no_change=40).fit(X, y, exogenous_target=z)
    assert min(clf.history_[:, "valid_loss"]) < 0.4


def test_held_out_rows_without_given_labels_warn(sites):
    frame, y, z = sites
    X = frame.drop(columns="site")
    clf = by("given", early_stopping=True, max_epochs=1)
    with pytest.warns(UserWarning, match=r"X_val .* 'given'.* early_stopping=0\.1 without X_val"):
        clf.fit(X[:200], y[:200], exogenous_target=z[:200], X_val=X[200:], y_val=y[200:])
    clf.fit(X, y, exogenous_target=z)  # whose held-out rows have their labels


def test_given_labels_of_images(digits):
    X, y = digits.images[:100], digits.y[:100]
    clf = THINClassifier("given", depth=1, max_epochs=1, random_state=0)
    clf.fit(X, y, exogenous_target=digits.z[:100])
    assert clf.predict_proba(X, exogenous=digits.z[:100]).shape == (100, 10)


@pytest.mark.parametrize(
    ("there", "match"),
    [
        (["north"] * 3, r"one label for each of the 5 rows of X, got 3"),
        (np.ones((5, 2)), r"a column, or 3 for probabilities, got shape \(5, 2\)"),
        (np.ones((5, 3)), "rows that sum to 1"),
        (np.eye(3)[[0] * 5] + 0j, "Complex data not supported: exogenous"),
    ],
)
def test_labels_of_another_site_that_cannot_be(there, match, sites, by_site):
    with pytest.raises(ValueError, match=match):
        by_site.predict(sites[0][:5], exogenous=there)


def test_a_model_without_a_side_takes_no_labels(sites):
    frame, y, _ = sites
    clf = by(None, max_epochs=1).fit(frame, y)
    with pytest.raises(ValueError, match="without an exogenous side"):
        clf.predict(frame, exogenous="north")


def test_given_needs_the_labels_in_fit(sites):
    with pytest.raises(ValueError, match="exogenous_target is missing"):
        by("given").fit(*sites[:2])


def test_two_columns_of_given_labels_are_answered_with_a_list(sites):
    frame, y, z = sites
    both = np.column_stack([z, z])
    with pytest.raises(
        ValueError, match=r"got \(300, 2\)\. .* such as \('given', GivenVariable\(\)\)"
    ):
        by("given").fit(frame.drop(columns="site"), y, exogenous_target=both)


def test_a_name_with_a_slip_is_answered_before_training(sites):
    with pytest.raises(ValueError, match="Did you mean 'site'"):
        by("sit").fit(*sites[:2])


def test_images_have_no_columns(digits):
    with pytest.raises(ValueError, match=r"X has images\. Pass exogenous=\"given\""):
        by(3).fit(digits.images[:50], digits.y[:50])


def test_the_paper_term_cannot_read_a_known_variable(sites):
    with pytest.raises(ValueError, match=r"lam=0\.1 .*dispelling='erasure'"):
        by("site", lam=0.1).fit(*sites[:2])


def test_the_paper_term_cannot_read_a_frozen_known_variable_of_any_width(sites):
    frame, y, _ = sites
    frozen = FrozenEstimator(KnownVariable("site").fit(frame))
    as_wide_as_the_levels = MLPBackbone((3,))
    with pytest.raises(ValueError, match=r"lam=0\.1 .*the known variable .* has none"):
        by(frozen, lam=0.1, backbone=as_wide_as_the_levels).fit(frame, y)


@pytest.mark.parametrize("gate_input", ["probabilities", "logits"])
@pytest.mark.parametrize("exogenous", ["a", ["site", "a"], "given", "frozen"])
def test_numbers_have_no_probabilities_that_a_gate_could_read(exogenous, gate_input, sites):
    frame, y, _ = sites
    labels = {"exogenous_target": frame["b"]} if exogenous == "given" else {}
    if exogenous == "frozen":
        exogenous = FrozenEstimator(KnownVariable("a").fit(frame))
    clf = by(exogenous, max_epochs=1, gate_input=gate_input)
    with pytest.raises(ValueError, match=r"holds numbers, which have no predictor\. .*gate_input"):
        clf.fit(frame, y, **labels)
    assert not hasattr(clf, "net_")
    clf.set_params(gate_input="auto").fit(frame, y, **labels)


@pytest.mark.parametrize("dispelling", ["erasure", "alignment"])
def test_a_known_variable_is_dispelled_without_a_predictor(dispelling, sites):
    frame, y, z = sites
    clf = by("site", dispelling=dispelling, gating="head").fit(frame, y)
    h = clf.transform(frame)
    means = np.stack([h[z == site].mean(0) for site in z.unique()])
    spread = np.abs(means - h.mean(0)).max() / h.std()
    assert spread < (1e-3 if dispelling == "erasure" else 0.1)


@pytest.mark.parametrize("routing", [False, True])
def test_a_column_passes_pipelines_and_searches(routing, sites, by_site):
    frame, y, _ = sites
    with sklearn.config_context(enable_metadata_routing=routing):
        pipe = make_pipeline(FunctionTransformer(), by("site")).fit(frame, y)
        np.testing.assert_array_equal(pipe.predict_proba(frame), by_site.predict_proba(frame))
        assert cross_val_score(by("site"), frame, y, cv=3).mean() > 0.85
        search = GridSearchCV(by("site"), {"depth": [0, 1]}, cv=2).fit(frame, y)
        assert search.best_score_ > 0.8


def test_given_labels_are_routed_to_fit_and_score(sites):
    frame, y, z = sites
    X = frame.drop(columns="site")
    with sklearn.config_context(enable_metadata_routing=True):
        clf = by("given").set_score_request(exogenous=True)
        search = GridSearchCV(clf, {"depth": [1]}, cv=2)
        search.fit(X, y, exogenous_target=z, exogenous=z)
        assert search.best_score_ > 0.8
        pipe = make_pipeline(FunctionTransformer(), clone(clf).set_predict_request(exogenous=True))
        pipe.fit(X, y, exogenous_target=z)
        assert (pipe.predict(X, exogenous=z) == y).mean() > 0.9


def test_given_labels_pass_a_pipeline_without_routing(sites, given):
    frame, y, z = sites
    X = frame.drop(columns="site")
    pipe = make_pipeline(FunctionTransformer(), by("given"))
    pipe.fit(X, y, thinclassifier__exogenous_target=z)
    np.testing.assert_array_equal(pipe.predict(X, exogenous=z), given.predict(X, exogenous=z))


def test_a_stacked_search_gates_layers_as_single_fits_do(sites):
    frame, y, _ = sites
    grid = {"lr": [1e-3, 1e-2], "gating": ["head", "layers"]}
    params = {"cv": 2, "refit": False}
    ours = StackedGridSearchCV(by("site", max_epochs=5), grid, **params).fit(frame, y)
    theirs = GridSearchCV(by("site", max_epochs=5), grid, **params).fit(frame, y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=0.02
    )


@pytest.mark.parametrize("columns", [["site"], ["site", "a"], [2]])
def test_searches_and_ensembles_read_a_list_of_columns(columns, sites):
    frame, y, _ = sites
    thin = by(columns, max_epochs=1)
    search = StackedGridSearchCV(thin, {"lr": [1e-3]}, cv=2, error_score="raise").fit(frame, y)
    assert np.isfinite(search.best_score_)
    assert SeedEnsembleClassifier(thin, n_seeds=2).fit(frame, y).predict(frame).shape == (300,)


def test_copies_and_ensembles_predict_for_another_site(sites, by_site):
    frame, y, _ = sites
    copied = pickle.loads(pickle.dumps(by_site))
    expected = by_site.predict_proba(frame, exogenous="west")
    np.testing.assert_array_equal(copied.predict_proba(frame, exogenous="west"), expected)
    ensemble = SeedEnsembleClassifier(by("site", max_epochs=2), n_seeds=2).fit(frame, y)
    assert ensemble.predict_proba(frame, exogenous="west").shape == (300, 2)


def test_warm_starts_and_partial_fits_go_on_with_the_same_columns(sites):
    frame, y, z = sites
    clf = by("site", warm_start=True, max_epochs=2).fit(frame, y).fit(frame, y)
    assert clf.n_iter_ == 4
    X = frame.drop(columns="site")
    clf = by("given").partial_fit(X, y, exogenous_target=z)
    assert clf.partial_fit(X, y, exogenous_target=z).n_iter_ == 2


@pytest.mark.parametrize("step", ["fit", "partial_fit"])
def test_a_fit_that_goes_on_needs_the_given_labels_again(step, sites, given):
    frame, y, z = sites
    X = frame.drop(columns="site")
    clf = clone(given).set_params(warm_start=True, max_epochs=1).fit(X, y, exogenous_target=z)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match=r"missing: .* in each fit\. .* None for rows"):
        getattr(clf, step)(X, y)  # would train the gate on its prior alone
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    unknown = [None, *z[1:]]
    assert getattr(clf, step)(X, y, exogenous_target=unknown).n_iter_ == 2


def test_dispelling_keeps_the_gate_at_the_head_by_default(sites):
    frame, y, z = sites
    layered = {
        name: by("site", dispelling=name, max_epochs=1).fit(frame, y).module_.gates_layers
        for name in ("cosine", "alignment", "erasure", None)
    }
    assert layered == {"cosine": True, "alignment": False, "erasure": False, None: True}
    encoder = ExogenousEncoder(MLPBackbone((16,)), max_epochs=1)
    clf = by(encoder, lam=0.1, max_epochs=1).fit(frame[["a", "b"]], y, exogenous_target=z)
    assert not clf.module_.gates_layers


def test_layers_need_a_side(sites):
    with pytest.raises(ValueError, match="gating='layers' needs an exogenous side"):
        by(None, gating="layers").fit(*sites[:2])


def test_a_dict_names_some_of_several_variables_and_the_others_stay(sites):
    frame, y, _ = sites
    both = frame.assign(half=np.arange(300) % 2)
    clf = by(["site", "half"]).fit(both, y)
    expected = clf.predict_proba(both.assign(site="west"))
    np.testing.assert_allclose(clf.predict_proba(both, exogenous={"site": "west"}), expected)
    labels = both["half"].to_numpy()[::-1]
    expected = clf.gate_proba(both.assign(half=labels))
    np.testing.assert_allclose(clf.gate_proba(both, exogenous={"half": labels}), expected)
    half = clf.predict_proba(both, exogenous={"site": np.array([[0.5, 0.5, 0]] * 300)})
    assert not np.allclose(half, clf.predict_proba(both))


@pytest.mark.parametrize("exogenous", [{"sites": "north"}, {}])
def test_a_dict_without_a_variable_of_the_fit_is_refused(exogenous, sites, by_site):
    with pytest.raises(ValueError, match=r"must name exogenous variables, of \['site'\], got"):
        by_site.predict(sites[0], exogenous=exogenous)


def test_one_encoder_of_two_is_replaced_by_labels(digits, two_targets):
    sides = [(n, ExogenousEncoder(max_epochs=1, random_state=0)) for n in ("ink", "side")]
    clf = by(sides, max_epochs=2)
    clf.fit(digits.X[:200], digits.y[:200], exogenous_target=two_targets)
    X = digits.X[:20]
    ink = clf.gate_proba(X, exogenous={"ink": 1})
    assert not np.allclose(ink, clf.gate_proba(X))
    both = clf.gate_proba(X, exogenous={"ink": 1, "side": 0})
    np.testing.assert_allclose(both, clf.gate_proba(X, exogenous=np.array([[1, 0]] * 20)))


def fitted_by(z, exogenous="given"):
    """A fit on labels z, its rows, and the output of its gate for the labels."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(len(z), 2))
    table = pd.DataFrame(X, columns=["a", "b"])
    table = table if exogenous == "given" else table.assign(z=z)
    target = {"exogenous_target": z} if exogenous == "given" else {}
    side = FrozenEstimator(KnownVariable("z").fit(table)) if exogenous == "frozen" else exogenous
    clf = by(side, max_epochs=1).fit(table, (X[:, 0] > 0).astype(int), **target)
    return clf, table, clf.gate_proba(table, **({"exogenous": z} if target else {}))


@pytest.mark.parametrize("exogenous", ["given", "z", "frozen"])
@pytest.mark.parametrize(
    "levels",
    [
        np.arange(12),
        np.arange(12.0),
        np.array([-3, -2, -1, 100]),
        20231100000000000 + np.arange(4),
        np.arange(12).astype(str),
        np.array([False, True]),
    ],
    ids=["ints", "floats", "negative", "ids", "text", "bools"],
)
def test_probabilities_have_the_columns_of_a_classifier_of_the_labels(levels, exogenous):
    z = np.tile(levels, 96 // len(levels))
    clf, X, expected = fitted_by(z, exogenous)
    places = np.arange(len(z)) % len(levels)
    one_hot = np.eye(len(levels))[places][:, np.argsort(levels)]  # np.unique(z), as classes_
    for proba in (
        one_hot,
        pd.DataFrame(one_hot),
        pd.DataFrame(one_hot[:, ::-1], columns=np.sort(levels)[::-1].tolist()),
        pl.DataFrame(one_hot, schema=[f"p_{level}" for level in levels]),
    ):
        np.testing.assert_allclose(clf.gate_proba(X, exogenous=proba), expected, atol=1e-6)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_frame_of_probabilities_goes_by_the_names_of_the_levels(make, sites, by_site):
    frame = sites[0][:4]
    expected = by_site.gate_proba(frame, exogenous="south")
    ones, none = np.ones(4), np.zeros(4)
    named = make({"west": none, "south": ones, "north": none})
    np.testing.assert_array_equal(by_site.gate_proba(frame, exogenous=named), expected)
    by_name = by_site.gate_proba(frame, exogenous={"site": named})
    np.testing.assert_array_equal(by_name, expected)
    misspelt = make({"west": none, "sout": ones, "north": none})
    with pytest.raises(ValueError, match=r"levels of 'site', but none for \['south'\]\. Name a"):
        by_site.predict(frame, exogenous=misspelt)


def test_a_frame_of_probabilities_goes_by_the_classes_of_an_encoder(sites):
    frame, y, z = sites
    X, z = frame[["a", "b", "c"]], z.map({"north": 2.0, "south": 10.0, "west": 1.0}).to_numpy()
    encoder = ExogenousEncoder(MLPBackbone((8,)), max_epochs=1, random_state=0).fit(X, z)
    clf = by(FrozenEstimator(encoder), max_epochs=1).fit(X, y)
    expected = clf.gate_proba(X[:5], exogenous=10.0)
    np.testing.assert_array_equal(clf.gate_proba(X[:5], exogenous=np.eye(3)[[2] * 5]), expected)
    turned = pd.DataFrame(np.eye(3)[[0] * 5], columns=[10, 1, 2])
    np.testing.assert_array_equal(clf.gate_proba(X[:5], exogenous=turned), expected)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_frame_with_a_slip_in_the_name_of_a_variable_is_refused(make, sites):
    frame, y, z = sites
    half = np.arange(300) % 2
    clf = by(["site", "half"], max_epochs=1).fit(frame.assign(half=half), y)
    X = frame.assign(half=half)[:4]
    labels = {"hlaf": half[:4], "site": z[:4].to_numpy()}
    with pytest.raises(ValueError, match=r"^exogenous has the .*none for 'half'.*mean 'hlaf'\?"):
        clf.predict(X, exogenous=make(labels))
    clf.predict(X, exogenous=make({"first": labels["site"], "second": labels["hlaf"]}))


def test_a_frame_with_a_slip_is_refused_in_fit(sites):
    frame, y, z = sites
    X = frame.drop(columns="site")
    two = [("site", GivenVariable()), ("half", GivenVariable())]
    target = pd.DataFrame({"hlaf": np.arange(300) % 2, "site": z})
    with pytest.raises(ValueError, match=r"^exogenous_target has the .*mean 'hlaf'\?"):
        by(two, max_epochs=1).fit(X, y, exogenous_target=target)
