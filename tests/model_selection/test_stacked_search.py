"""The stacked searches give what scikit-learn's give, and fail as they do."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, ShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from torch import nn

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.model_selection import StackedGridSearchCV, StackedRandomizedSearchCV

SMALL = MLPBackbone((16,))
GRID = {"depth": [0, 1], "lam": [0.0, 2.0], "lr": [1e-3, 1e-2]}
CLOSE = 0.02  # four of 200 rows that lie between two classes
ROUGH = 0.1  # where the gate does the work, at a high rate: rounding errors grow in few steps


def small(exogenous=None, **params):
    params = {"backbone": SMALL, "depth": 1, "max_epochs": 3, "random_state": 0, **params}
    return THINClassifier(exogenous, **params)


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:400], digits.y[:400], digits.z[:400]


@pytest.fixture(scope="module")
def encoder(rows):
    X, _, z = rows
    return FrozenEstimator(ExogenousEncoder(SMALL, max_epochs=3, random_state=0).fit(X, z))


@pytest.fixture(scope="module")
def both(rows, encoder):
    """The same search, stacked and plain."""
    X, y, _ = rows
    setting = {
        "cv": 2,
        "scoring": ["accuracy", "neg_log_loss"],
        "refit": "neg_log_loss",
        "return_train_score": True,
    }
    thin = small(encoder)
    stacked = StackedGridSearchCV(thin, GRID, **setting).fit(X, y)
    return stacked, GridSearchCV(thin, GRID, **setting).fit(X, y)


def test_results_have_the_same_columns_and_nearly_the_same_scores(both):
    stacked, plain = (search.cv_results_ for search in both)
    assert list(stacked) == list(plain)
    assert stacked["params"] == plain["params"]
    for name in plain:
        if "accuracy" in name and not name.startswith("rank"):
            np.testing.assert_allclose(stacked[name], plain[name], atol=CLOSE)
        if "log_loss" in name and not name.startswith("rank"):
            np.testing.assert_allclose(stacked[name], plain[name], atol=0.02)
    assert (stacked["mean_fit_time"] > 0).all()
    assert stacked["mean_fit_time"].dtype == plain["mean_fit_time"].dtype


def test_the_best_is_found_refitted_and_ready_to_use(both, rows):
    stacked, plain = both
    X, _, _ = rows
    assert stacked.best_params_ == plain.best_params_
    assert stacked.best_index_ == plain.best_index_
    assert type(stacked.best_estimator_) is THINClassifier
    proba = stacked.predict_proba(X)
    np.testing.assert_array_equal(proba, plain.predict_proba(X))  # refitted as any estimator
    assert stacked.score(X, rows[1]) == plain.score(X, rows[1])
    assert stacked.n_features_in_ == 64
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stacked)).predict_proba(X), proba)


def test_it_is_a_grid_search_and_stays_as_it_was_set(both):
    stacked, plain = both
    assert isinstance(stacked, GridSearchCV)
    params = stacked.get_params()
    assert params.pop("stack_size") == "auto"
    assert params.pop("checkpoint_dir") is None
    assert params.keys() == plain.get_params().keys()
    assert type(stacked.estimator) is THINClassifier
    assert stacked.n_jobs is None
    assert clone(stacked).set_params(stack_size=3).stack_size == 3
    fitted = {name for name in vars(stacked) if name.endswith("_")}
    assert fitted == {name for name in vars(plain) if name.endswith("_")}
    assert not [name for name in vars(stacked) if name.startswith("_") and name not in vars(plain)]


def test_draws_are_those_of_the_randomized_search(rows):
    X, y, _ = rows
    drawn = {"lr": loguniform(1e-3, 1e-1), "weight_decay": [0.0, 0.1]}
    setting = {"n_iter": 4, "cv": 2, "random_state": 0}
    stacked = StackedRandomizedSearchCV(small(), drawn, **setting).fit(X, y)
    plain = RandomizedSearchCV(small(), drawn, **setting).fit(X, y)
    assert stacked.cv_results_["params"] == plain.cv_results_["params"]
    scores = [search.cv_results_["mean_test_score"] for search in (stacked, plain)]
    np.testing.assert_allclose(*scores, atol=CLOSE)
    assert isinstance(stacked, RandomizedSearchCV)


@pytest.mark.parametrize("search", [GridSearchCV, StackedGridSearchCV])
def test_a_grid_may_hold_numpys_booleans(search, rows):
    X, y, _ = rows
    scores = []
    for values in ([False, True], np.array([False, True])):
        grid = {"early_stopping": values}
        fitted = search(small(lr=0.01), grid, cv=2, refit=False, error_score="raise").fit(X, y)
        scores.append(fitted.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)


def test_splits_that_are_drawn_anew_each_time_are_drawn_once(rows):
    X, y, _ = rows
    shuffled = np.random.RandomState(0).permutation(y)  # to be learned by heart only
    splits = ShuffleSplit(3, test_size=0.5, random_state=np.random.RandomState(0))
    search = StackedGridSearchCV(small(max_epochs=30), {"lr": [1e-2]}, cv=splits)
    search.fit(X, shuffled)
    # half of the rows of a test part drawn anew would have been trained on
    assert search.cv_results_["mean_test_score"][0] < 0.25


class Evaluated(TransformerMixin, BaseEstimator):
    """The rows as they are, and how many it has been asked for."""

    rows = 0

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        Evaluated.rows += len(X)
        return np.asarray(X)

    def __sklearn_is_fitted__(self):
        return True


def search_with_frozen(rows, stacked=True):
    """A search whose gate reads the rows by way of a frozen transformer."""
    kind = StackedGridSearchCV if stacked else GridSearchCV
    thin = small(FrozenEstimator(Evaluated()))
    X, y, _ = rows
    return kind(thin, {"depth": [1, 2], "lr": [1e-3, 1e-2]}, cv=3, return_train_score=True).fit(
        X, y
    )


def test_a_frozen_transformer_sees_every_row_once(rows):
    Evaluated.rows = 0
    stacked = search_with_frozen(rows)
    assert Evaluated.rows == len(np.unique(rows[0], axis=0))
    scores = [s.cv_results_["mean_test_score"] for s in (stacked, search_with_frozen(rows, False))]
    np.testing.assert_allclose(*scores, atol=CLOSE)


def test_nothing_is_remembered_after_the_search(rows):
    search = search_with_frozen(rows)
    Evaluated.rows = 0
    search.predict(rows[0][:50])
    assert Evaluated.rows == 50


def test_no_more_is_remembered_than_fits(rows, monkeypatch):
    X = rows[0]
    monkeypatch.setattr("sklearn_thin.exogenous.side.IN_MEMORY", X[:100].nbytes)
    expected = search_with_frozen(rows, stacked=False).cv_results_["mean_test_score"]
    Evaluated.rows = 0
    scores = search_with_frozen(rows).cv_results_["mean_test_score"]
    assert Evaluated.rows > len(X)
    np.testing.assert_allclose(scores, expected, atol=CLOSE)


def times(X, factor):
    return factor * X


def test_leading_steps_that_differ_show_the_frozen_side_other_rows(rows):
    X, y, _ = rows
    frozen = FrozenEstimator(PCA(5).fit(X))
    edge = FunctionTransformer(lambda X: X[:, :2])  # two pixels, so that the gate does the work
    thin = small(frozen, endogenous=edge, depth=3, lr=0.03)
    pipeline = Pipeline([("factor", FunctionTransformer(times)), ("thin", thin)])
    grid = {"factor__kw_args": [{"factor": 1.0}, {"factor": -1.0}]}
    kinds = GridSearchCV, StackedGridSearchCV
    searches = [kind(pipeline, grid, cv=2).fit(X, y) for kind in kinds]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert min(scores[0]) > 0.3
    np.testing.assert_allclose(*scores, atol=ROUGH)


def test_what_is_frozen_may_be_searched(rows):
    X, y, _ = rows
    grid = {"exogenous__estimator": [FunctionTransformer(np.zeros_like), FunctionTransformer()]}
    edge = FunctionTransformer(lambda X: X[:, :2])  # two pixels, so that the gate does the work
    thin = small(FrozenEstimator(FunctionTransformer()), endogenous=edge, depth=3, lr=0.03)
    kinds = GridSearchCV, StackedGridSearchCV
    searches = [kind(thin, grid, cv=2).fit(X, y) for kind in kinds]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert scores[0][1] > scores[0][0] + 3 * ROUGH
    np.testing.assert_allclose(*scores, atol=ROUGH)


def test_frozen_transformers_of_frames_are_evaluated_as_ever(rows):
    X, y, _ = rows
    thin = small(FrozenEstimator(PCA(5).fit(pd.DataFrame(X))))
    search = StackedGridSearchCV(thin, {"lr": [1e-3, 1e-2]}, cv=2).fit(pd.DataFrame(X), y)
    plain = GridSearchCV(thin, {"lr": [1e-3, 1e-2]}, cv=2).fit(pd.DataFrame(X), y)
    scores = [s.cv_results_["mean_test_score"] for s in (search, plain)]
    np.testing.assert_allclose(*scores, atol=CLOSE)


class Counting(TransformerMixin, BaseEstimator):
    """Scales nothing, and counts its fits."""

    fits = 0

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        Counting.fits += 1
        return self

    def transform(self, X):
        return X * np.float32(self.factor)

    def __sklearn_is_fitted__(self):
        return True


def test_leading_steps_of_a_pipeline_are_fitted_once_a_setting_and_fold(rows):
    X, y, z = rows
    thin = small(ExogenousEncoder(SMALL, max_epochs=1))
    pipeline = Pipeline([("count", Counting()), ("thin", thin)])
    grid = {"count__factor": [1.0, 2.0], "thin__lam": [0.0, 0.1, 0.2], "thin__lr": [1e-3, 1e-2]}
    Counting.fits = 0
    search = StackedGridSearchCV(pipeline, grid, cv=2, refit=False)
    search.fit(X, y, thin__exogenous_target=z)
    assert Counting.fits == 4
    plain = GridSearchCV(pipeline, grid, cv=2, refit=False).fit(X, y, thin__exogenous_target=z)
    scores = [s.cv_results_["mean_test_score"] for s in (search, plain)]
    np.testing.assert_allclose(*scores, atol=CLOSE)


def test_splits_may_be_masks(rows):
    X, y, _ = rows
    train = np.arange(len(y)) < 200
    search = StackedGridSearchCV(small(), {"lr": [1e-3, 1e-2]}, cv=[(train, ~train)])
    plain = GridSearchCV(search.estimator, search.param_grid, cv=search.cv).fit(X, y)
    scores = [s.cv_results_["mean_test_score"] for s in (search.fit(X, y), plain)]
    np.testing.assert_allclose(*scores, atol=CLOSE)


def test_steps_may_be_replaced_by_candidates(rows):
    X, y, _ = rows
    pipeline = Pipeline([("scale", StandardScaler()), ("thin", small())])
    grid = [
        {"scale": [StandardScaler(), "passthrough"], "thin__lr": [1e-3, 1e-2]},
        {"thin": [LogisticRegression(max_iter=2000)]},
    ]
    search = StackedGridSearchCV(pipeline, grid, cv=2, verbose=0).fit(X, y)
    plain = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    scores = [s.cv_results_["mean_test_score"] for s in (search, plain)]
    np.testing.assert_allclose(*scores, atol=CLOSE)
    assert scores[0][4] == scores[1][4]
    assert isinstance(search.best_estimator_, Pipeline)


class CountingEncoder(ExogenousEncoder):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y, **params):
        CountingEncoder.fits += 1
        return super().fit(X, y, **params)


def test_an_exogenous_side_is_fitted_once_a_fold_for_all_that_share_it(rows):
    X, y, z = rows
    thin = small(CountingEncoder(SMALL, max_epochs=1))
    grid = {"lam": [0.0, 0.1], "lr": [1e-3, 1e-2], "exogenous__lr": [1e-3, 1e-2]}
    CountingEncoder.fits = 0
    StackedGridSearchCV(thin, grid, cv=2, refit=False).fit(X, y, exogenous_target=z)
    # of two rates on two folds, with and without logits for the dispelling term
    assert CountingEncoder.fits == 2 * 2 * 2


def test_an_exogenous_side_with_a_module_is_fitted_once_a_fold_as_well(rows):
    X, y, z = rows
    thin = small(CountingEncoder(nn.Linear(64, 8), max_epochs=1))
    CountingEncoder.fits = 0
    search = StackedGridSearchCV(thin, {"lr": [1e-3, 3e-3, 1e-2]}, cv=2, refit=False)
    search.fit(X, y, exogenous_target=z)
    assert CountingEncoder.fits == 2


@pytest.mark.parametrize(
    "estimator",
    [
        small(FunctionTransformer(lambda X: X[:, :4])),
        small(backbone=lambda shape: nn.Linear(shape[0], 8)),
        Pipeline([("twice", FunctionTransformer(lambda X: 2 * X)), ("thin", small())]),
    ],
    ids=["exogenous", "backbone", "leading step"],
)
def test_lambdas_are_searched_and_their_fits_stacked(estimator, rows, capsys):
    X, y, _ = rows
    lr = "thin__lr" if isinstance(estimator, Pipeline) else "lr"
    search = StackedGridSearchCV(estimator, {lr: [1e-3, 1e-2]}, cv=2, refit=False, verbose=2)
    search.set_params(error_score="raise").fit(X, y)
    assert "Training 4 fits in 1 stacks" in capsys.readouterr().out
    plain = GridSearchCV(estimator, search.param_grid, cv=2, refit=False).fit(X, y)
    scores = [s.cv_results_["mean_test_score"] for s in (search, plain)]
    np.testing.assert_allclose(*scores, atol=CLOSE)


def test_a_held_out_loss_that_is_not_finite_is_an_error_as_in_a_single_fit(rows):
    X, y, _ = rows
    held_out = np.full_like(X[:1], 3e38)
    grid = {"lr": [1e-3, 1e-2]}
    raw = small(endogenous=None)
    search = StackedGridSearchCV(raw, grid, cv=2, error_score="raise", refit=False)
    with pytest.raises(FloatingPointError, match="the valid_loss became"):
        search.fit(X, y, X_val=held_out, y_val=y[:1])


def test_metadata_is_routed_and_sliced(rows):
    X, y, z = rows
    weight = np.where(z > 0, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        thin = small(ExogenousEncoder(SMALL, max_epochs=1)).set_fit_request(sample_weight=True)
        setting = {
            "param_grid": {"thinclassifier__lr": [1e-3, 1e-2]},
            "scoring": make_scorer(accuracy_score).set_score_request(sample_weight=False),
            "cv": 2,
        }
        scores = [
            kind(make_pipeline(MinMaxScaler(), thin), **setting)
            .fit(X, y, exogenous_target=z, sample_weight=weight)
            .cv_results_["mean_test_score"]
            for kind in (StackedGridSearchCV, GridSearchCV)
        ]
    np.testing.assert_allclose(*scores, atol=CLOSE)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("stack_size", [1, 3, "auto"])
def test_scores_do_not_depend_on_how_fits_are_stacked_or_spread(n_jobs, stack_size, rows):
    X, y, _ = rows
    grid = {"lr": [1e-3, 3e-3, 1e-2]}
    search = StackedGridSearchCV(small(), grid, cv=2, n_jobs=n_jobs, stack_size=stack_size)
    plain = GridSearchCV(small(), grid, cv=2).fit(X, y)
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, plain.cv_results_["mean_test_score"], atol=CLOSE)


def test_verbose_says_what_trains_alone_and_why(rows, capsys):
    X, y, z = rows
    thin = small(ExogenousEncoder(SMALL, max_epochs=1))
    grid = [{"lr": [1e-3, 1e-2]}, {"optimizer": [torch.optim.Adam]}, {"depth": [0]}]
    search = StackedGridSearchCV(thin, grid, cv=2, refit=False, verbose=2)
    search.fit(X, y, exogenous_target=z)
    printed = capsys.readouterr().out
    assert "Training 6 fits in 1 stacks" in printed
    assert "Training 2 fits one by one: a custom optimizer may mix the nets" in printed


# ------------------------------------------------------------------------ what goes wrong


# scikit-learn warns of the mean over the failed fits besides
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_candidate_that_diverges_fails_alone(rows):
    X, y, _ = rows
    search = StackedGridSearchCV(small(), {"lr": [1e-2, 1e30]}, cv=2)
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4"):
        search.fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert search.best_params_ == {"lr": 1e-2}
    strict = StackedGridSearchCV(small(), {"lr": [1e-2, 1e30]}, cv=2, error_score="raise")
    with pytest.raises(FloatingPointError, match="lower lr"):
        strict.fit(X, y)
    assert not hasattr(strict, "best_params_")
    assert type(strict.estimator) is THINClassifier


def test_a_candidate_with_bad_parameters_fails_alone(rows):
    X, y, _ = rows
    search = StackedGridSearchCV(small(), {"depth": [1, 99]}, cv=2, error_score=-1.0)
    with pytest.warns(FitFailedWarning, match="depth"):
        search.fit(X, y)
    assert search.cv_results_["mean_test_score"][1] == -1


def test_a_fold_with_one_class_fails_alone(rows):
    X, y, _ = rows
    one = np.flatnonzero(y == 3)
    splits = [(np.arange(200), np.arange(200, 400)), (one, np.arange(50))]
    search = StackedGridSearchCV(small(), {"lr": [1e-3, 1e-2]}, cv=splits, error_score=0.0)
    with pytest.warns(FitFailedWarning, match="at least two classes"):
        search.fit(X, y)
    assert (search.cv_results_["split1_test_score"] == 0).all()
    assert (search.cv_results_["split0_test_score"] > 0).all()


def test_a_search_in_which_all_fits_fail_says_why(rows):
    X, y, _ = rows
    with pytest.raises(ValueError, match=r"All the 2 fits failed(.|\n)*depth"):
        StackedGridSearchCV(small(), {"depth": [-1]}, cv=2).fit(X, y)


# scikit-learn warns of the mean over the failed fits besides
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_scorer_that_raises_is_handled_as_scikit_learn_does(rows):
    X, y, _ = rows

    def broken(estimator, X, y):
        raise KeyError("nothing to score")

    search = StackedGridSearchCV(small(), {"lr": [1e-2]}, cv=2, scoring=broken, refit=False)
    with pytest.warns(UserWarning, match="Scoring failed"):
        search.fit(X, y)
    with pytest.raises(KeyError, match="nothing to score"):
        search.set_params(error_score="raise").fit(X, y)


def test_stacks_are_as_large_as_the_budget_allows(rows, monkeypatch, capsys):
    X, y, _ = rows

    def stacks(budget, X=X, **params):
        """Sizes of the stacks of twelve fits."""
        monkeypatch.setattr("sklearn_thin.training.stacks.BUDGET", budget)
        grid = {"lr": [1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2]}
        thin = small(max_epochs=1, **params)
        StackedGridSearchCV(thin, grid, cv=2, refit=False, verbose=2).fit(X, y)
        return capsys.readouterr().out.split("stacks, of ")[1].splitlines()[0]

    assert stacks(2**30) == "[12]"
    few = stacks(2**19)
    assert few.count(",") > 0
    # a batch and a network that are larger leave room for fewer
    assert stacks(2**19, batch_size=128).count(",") > few.count(",")
    assert stacks(2**19, backbone=MLPBackbone((64,))).count(",") > few.count(",")
    # so does a batch of more columns, which is gathered for each net, through few weights
    wide = np.tile(X, (1, 40))
    thin = {"backbone": MLPBackbone((1,)), "batch_size": 200}
    assert stacks(2**24, wide, **thin).count(",") > stacks(2**24, **thin).count(",")


def test_measuring_a_net_changes_nothing(rows):
    X, y, _ = rows
    writing = nn.Sequential(nn.LeakyReLU(2.0, inplace=True), nn.Dropout(0.2), nn.Linear(64, 8))
    search = {"estimator": small(backbone=writing), "param_grid": {"lr": [1e-3, 1e-2]}, "cv": 2}
    before = torch.get_rng_state()
    measured = StackedGridSearchCV(**search).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    told = StackedGridSearchCV(**search, stack_size=4).fit(X, y)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(measured.cv_results_[name], told.cv_results_[name])


class Breaking(nn.Module):
    """Breaks in training."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 8)

    def forward(self, x):
        if self.training:
            raise RuntimeError("no more")
        return self.linear(x)


# scikit-learn warns of the mean over the failed fits besides
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_net_that_cannot_be_measured_fails_as_it_would_alone(rows):
    X, y, _ = rows
    grid = {"backbone": [Breaking(), SMALL], "lr": [1e-3, 1e-2]}
    search = StackedGridSearchCV(small(), grid, cv=2)
    with pytest.warns(FitFailedWarning, match="no more"):
        search.fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [True, True, False, False]


@pytest.mark.parametrize("stack_size", [0, -1, 2.5, "many"])
def test_a_stack_size_that_is_none_is_refused(stack_size, rows):
    X, y, _ = rows
    with pytest.raises(ValueError, match="stack_size"):
        StackedGridSearchCV(small(), {"lr": [1e-2]}, stack_size=stack_size).fit(X, y)


def test_an_empty_grid_is_refused(rows):
    X, y, _ = rows
    with pytest.raises(ValueError, match="non-empty"):
        StackedGridSearchCV(small(), {"lr": []}).fit(X, y)


class Interrupting(Counting):
    """Ctrl-C in the second fit."""

    def fit(self, X, y=None):
        super().fit(X, y)
        if Counting.fits == 2:
            raise KeyboardInterrupt
        return self


def test_ctrl_c_leaves_the_search_as_it_was(rows):
    X, y, _ = rows
    Counting.fits = 0
    search = StackedGridSearchCV(make_pipeline(Interrupting(), small()), {}, cv=3)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert isinstance(search.estimator, Pipeline)
    assert not hasattr(search, "cv_results_")


def test_a_module_that_cannot_be_stacked_trains_one_by_one(rows):
    X, y, _ = rows
    search = StackedGridSearchCV(
        small(backbone=Unstackable), {"lr": [1e-3, 1e-2]}, cv=[(np.arange(200), np.arange(200))]
    )
    with pytest.warns(RuntimeWarning, match="2 fits of one stack .* be stacked: vmap"):
        search.fit(X, y)
    plain = GridSearchCV(search.estimator, search.param_grid, cv=search.cv).fit(X, y)
    scores = [s.cv_results_["mean_test_score"] for s in (search, plain)]
    np.testing.assert_array_equal(*scores)


def Unstackable(input_shape):  # noqa: N802 -- stands for a user's module
    """A module whose path depends on the data, which vmap cannot follow."""

    class Switch(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(input_shape[0], 8)

        def forward(self, x):
            h = self.linear(x)
            return h if h.sum().item() > 0 else torch.relu(h)

    return Switch()
