"""THINClassifier in scikit-learn's searches, cross-validation and compositions."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 -- makes halving importable
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_thin import ConvNetBackbone
from tests.helpers import FITS_LOGISTIC_REGRESSION, small, small_encoder

pytestmark = FITS_LOGISTIC_REGRESSION


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:150], digits.y[:150] % 3, digits.z[:150]


@pytest.fixture(params=[False, True], ids=["routing off", "routing on"])
def metadata_routing(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


def fit_name(routing, step="thin"):
    """Name of exogenous_target for the fit of a search over a pipeline."""
    return "exogenous_target" if routing else f"{step}__exogenous_target"


GRID = {
    "thin__depth": [0, 1, 3],
    "thin__n_experts": [None, 1, 5, 8],
    "thin__lam": [0, 0.005],
}


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()], ids=["standard", "minmax"])
def test_no_cell_of_a_grid_over_the_three_to_tune_fails(scaler, n_jobs, metadata_routing, rows):
    X, y, z = rows
    pipeline = Pipeline([("scale", scaler), ("thin", small(small_encoder(), lr=1e-2))])
    search = GridSearchCV(pipeline, GRID, cv=2, error_score="raise", n_jobs=n_jobs)
    search.fit(X, y, **{fit_name(metadata_routing): z})
    scores = search.cv_results_["mean_test_score"]
    assert scores.shape == (24,)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 5
    assert search.predict(X).shape == (150,)


def test_a_grid_without_a_pipeline_takes_exogenous_target_as_it_is(metadata_routing, rows):
    X, y, z = rows
    grid = {"lam": [0, 0.005], "depth": [0, 1]}
    search = GridSearchCV(small(small_encoder()), grid, cv=2, error_score="raise")
    assert search.fit(X, y, exogenous_target=z).best_estimator_.predict(X).shape == (150,)


def test_each_fold_gets_its_own_rows_of_the_exogenous_labels(metadata_routing, rows):
    """A fold's encoder is as good as one fitted by hand on the rows of that fold."""
    X, y, z = rows
    folds = KFold(2)
    clf = small(small_encoder(max_epochs=5))
    search = GridSearchCV(clf, {"depth": [1]}, cv=folds, error_score="raise")
    search.fit(X, y, exogenous_target=z)
    for fold, (train, test) in enumerate(folds.split(X)):
        alone = clone(clf).fit(X[train], y[train], exogenous_target=z[train])
        score = search.cv_results_[f"split{fold}_test_score"][0]
        assert score == pytest.approx(alone.score(X[test], y[test]))


def test_sample_weights_are_routed_on_request(rows):
    X, y, z = rows
    weight = np.linspace(0, 1, 150)
    clf = small(small_encoder())
    with sklearn.config_context(enable_metadata_routing=True):
        asking = make_pipeline(MinMaxScaler(), clone(clf).set_fit_request(sample_weight=True))
        scorer = get_scorer("accuracy").set_score_request(sample_weight=False)
        search = GridSearchCV(asking, {}, cv=2, scoring=scorer, error_score="raise")
        search.fit(X, y, exogenous_target=z, sample_weight=weight)
    scaled = MinMaxScaler().fit_transform(X)
    alone = clf.fit(scaled, y, exogenous_target=z, sample_weight=weight)
    np.testing.assert_allclose(search.predict_proba(X), alone.predict_proba(scaled), atol=1e-5)


def test_a_search_halves_with_the_epochs_as_its_resource(rows):
    X, y, z = rows
    search = HalvingGridSearchCV(
        small(small_encoder()),
        {"depth": [0, 1], "lam": [0, 0.01]},
        resource="max_epochs",
        min_resources=1,
        max_resources=4,
        factor=2,
        cv=2,
        error_score="raise",
        random_state=0,
    )
    search.fit(X, y, exogenous_target=z)
    assert search.n_resources_ == [1, 2, 4]
    assert search.best_estimator_.n_iter_ == 4


def test_a_frozen_encoder_stays_fitted_and_the_same_in_a_search(rows):
    X, y, z = rows
    encoder = small_encoder(random_state=0).fit(X, z)
    clf = small(FrozenEstimator(encoder))
    assert clone(clf).exogenous.estimator is encoder
    search = GridSearchCV(clf, {"lam": [0, 0.005]}, cv=2, error_score="raise").fit(X, y)
    best = search.best_estimator_.exogenous_
    np.testing.assert_array_equal(best.transform(X), encoder.transform(X))


def test_a_clone_has_the_parameters_and_nothing_fitted(rows):
    X, y, z = rows
    clf = small(small_encoder(), lam=0.01).fit(X, y, exogenous_target=z)
    copy = clone(clf)
    assert not [name for name in vars(copy) if name.endswith("_") and name[0] != "_"]
    assert str(copy) == str(clf)
    assert copy.exogenous is not clf.exogenous


@pytest.mark.parametrize("length", [149, 151, 75])
def test_exogenous_labels_of_another_length_are_refused_by_every_cell(
    length, metadata_routing, rows
):
    X, y, z = rows
    wrong = np.resize(z, length)
    search = GridSearchCV(small(small_encoder()), {"depth": [0, 1]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=rf"\b{length}\b") as error:
        search.fit(X, y, exogenous_target=wrong)
    assert any(str(n) in str(error.value) for n in (75, 150))


def test_a_fold_says_both_lengths_where_the_labels_came_whole(rows):
    X, y, z = rows
    search = GridSearchCV(small(small_encoder()), {}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=r"exogenous_target.* 75 .*got 149.*as X"):
        search.fit(X, y, exogenous_target=z[:149])


def test_parameters_of_the_parts_are_tunable(rows):
    X, y, z = rows
    grid = {
        "backbone__hidden_layer_sizes": [(16,), (20, 8)],
        "exogenous__max_epochs": [1, 2],
    }
    clf = small(small_encoder())
    search = GridSearchCV(clf, grid, cv=2, error_score="raise", refit=False)
    search.fit(X, y, exogenous_target=z)
    assert len(search.cv_results_["params"]) == 4
    fitted = clone(clf).set_params(backbone__hidden_layer_sizes=(20, 8), exogenous__max_epochs=2)
    fitted.fit(X, y, exogenous_target=z)
    assert fitted.transform(X).shape == (150, 8)
    assert fitted.exogenous_.n_iter_ == 2


def test_tuning_a_part_leaves_the_other_candidates_parts_alone(rows):
    clf = small(small_encoder())
    other = clone(clf).set_params(backbone__hidden_layer_sizes=(3,), exogenous__max_epochs=7)
    assert clf.backbone.hidden_layer_sizes == (16,)
    assert clf.exogenous.max_epochs == 1
    assert other.backbone.hidden_layer_sizes == (3,)


def test_exogenous_sides_are_candidates_too(rows):
    X, y, z = rows
    frozen = FrozenEstimator(small_encoder().fit(X, z))
    grid = {"exogenous": [None, PCA(3, random_state=0), frozen, small_encoder()]}
    search = GridSearchCV(small(), grid, cv=2, error_score="raise")
    assert search.fit(X, y, exogenous_target=z).predict(X).shape == (150,)


def test_images_are_cross_validated_as_flattened_rows_behind_a_scaler(rows):
    X, y, _ = rows
    pipeline = make_pipeline(
        MinMaxScaler(), small(backbone=ConvNetBackbone((4,), image_shape=(8, 8)))
    )
    grid = {"thinclassifier__backbone__channels": [(2,), (2, 3)]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_images_are_cross_validated_as_they_are(digits):
    scores = cross_val_score(
        small(backbone="auto"), digits.images[:150], digits.y[:150] % 3, cv=2, error_score="raise"
    )
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_val_predict_gives_what_the_folds_say(method, rows):
    X, y, z = rows
    folds = StratifiedKFold(2)
    clf = small(small_encoder(), lam=0.01)
    said = cross_val_predict(clf, X, y, cv=folds, method=method, params={"exogenous_target": z})
    train, test = next(folds.split(X, y))
    alone = clone(clf).fit(X[train], y[train], exogenous_target=z[train])
    np.testing.assert_allclose(said[test], getattr(alone, method)(X[test]), atol=1e-5)


def test_probabilities_can_be_calibrated(rows):
    X, y, z = rows
    frozen = FrozenEstimator(small_encoder().fit(X, z))
    calibrated = CalibratedClassifierCV(small(frozen, lam=0.01), cv=2).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(1), 1, atol=1e-5)


def test_calibration_passes_the_exogenous_labels_on(metadata_routing, rows):
    X, y, z = rows
    calibrated = CalibratedClassifierCV(small(small_encoder(), lam=0.01), cv=2)
    calibrated.fit(X, y, exogenous_target=z)
    assert calibrated.predict(X).shape == (150,)


@pytest.mark.parametrize(
    "compose",
    [
        lambda clf: VotingClassifier(
            [("thin", clf), ("linear", LogisticRegression())], voting="soft"
        ),
        lambda clf: StackingClassifier([("thin", clf)], LogisticRegression(), cv=2),
        lambda clf: BaggingClassifier(clf, n_estimators=2, random_state=0),
        OneVsRestClassifier,
    ],
    ids=["voting", "stacking", "bagging", "one-vs-rest"],
)
def test_it_composes_with_other_classifiers(compose, rows):
    X, y, z = rows
    frozen = FrozenEstimator(small_encoder().fit(X, z))
    composed = compose(small(frozen, lam=0.01)).fit(X, y)
    assert composed.predict(X).shape == (150,)
    np.testing.assert_allclose(composed.predict_proba(X).sum(1), 1, atol=1e-5)


def test_its_representation_is_a_step_before_another_classifier(rows):
    X, y, _ = rows
    pipeline = make_pipeline(small(max_epochs=10), LogisticRegression()).fit(X, y)
    assert pipeline.score(X, y) > 0.8
