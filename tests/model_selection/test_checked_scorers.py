"""A stacked search asks the scorers of `inspection` for z before it trains."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_thin.inspection import make_leakage_scorer, make_worst_level_scorer
from sklearn_thin.model_selection import (
    StackedGridSearchCV,
    StackedHalvingSearchCV,
    StackedRandomizedSearchCV,
)
from tests.helpers import small

MAKERS = [make_worst_level_scorer, make_leakage_scorer]
GRID = {"thin__depth": [0, 1]}
SEARCHES = {
    "grid": lambda pipe, **how: StackedGridSearchCV(pipe, GRID, **how),
    "random": lambda pipe, **how: StackedRandomizedSearchCV(pipe, GRID, n_iter=2, **how),
    "halving": lambda pipe, **how: StackedHalvingSearchCV(
        pipe, GRID, resource="thin__max_epochs", max_resources=2, factor=2, **how
    ),
}


class Fits(FunctionTransformer):
    """Counts the fits, over all copies of it."""

    count = 0

    def fit(self, X, y=None):
        type(self).count += 1
        return super().fit(X, y)


@pytest.fixture
def pipe():
    Fits.count = 0
    return Pipeline([("fits", Fits()), ("thin", small(max_epochs=1))])


@pytest.fixture
def rows():
    """A frame with the column "site", y, and z, of 120 rows."""
    random = np.random.RandomState(0)
    z = np.arange(120) // 2 % 3
    X = pd.DataFrame(random.normal(size=(120, 3)), columns=list("abc"))
    return X.assign(site=np.array(["p", "q", "r"])[z]), np.arange(120) % 2, z


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("kind", SEARCHES)
def test_missing_levels_in_all_folds_are_named_before_the_training(kind, make, pipe, rows):
    X, y, _ = rows
    X.loc[[1, 70], "site"] = None  # one in each fold
    search = SEARCHES[kind](pipe, scoring=make(column="site"), cv=2)
    with pytest.raises(ValueError, match=r"column 'site' of X, .* 1 of 60 are missing"):
        search.fit(X, y)
    assert Fits.count == 0
    assert search.fit(X.fillna("unknown").replace("unknown", "p"), y).best_score_ <= 1


@pytest.mark.parametrize("kind", SEARCHES)
def test_rare_levels_are_named_before_the_training(kind, pipe, rows):
    X, y, _ = rows
    X.loc[[1, 2, 70, 71], "site"] = "rare"
    search = SEARCHES[kind](pipe, scoring=make_leakage_scorer(column="site"), cv=2)
    with pytest.raises(ValueError, match=r"fewer: \{'rare': 2\}"):
        search.fit(X, y)
    assert Fits.count == 0


def test_one_fold_is_enough_where_errors_are_raised(pipe, rows):
    X, y, _ = rows
    X.loc[1, "site"] = None
    search = SEARCHES["grid"](pipe, scoring=make_worst_level_scorer(column="site"), cv=2)
    with pytest.raises(ValueError, match="1 of 60 are missing"):
        search.set_params(error_score="raise").fit(X, y)
    assert Fits.count == 0
    with (
        pytest.warns(UserWarning, match="1 of 60 are missing"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.set_params(error_score=np.nan).fit(X, y)
    assert np.isnan(search.cv_results_["split0_test_score"]).all()
    assert np.isfinite(search.cv_results_["split1_test_score"]).all()


@pytest.mark.parametrize("make", MAKERS)
def test_levels_are_routed_to_the_scorers_that_ask_for_them(make, pipe, rows):
    X, y, z = rows[0][["a", "b"]], *rows[1:]
    with config_context(enable_metadata_routing=True):
        pipe.set_params(thin=small(max_epochs=1).set_fit_request(exogenous_target=False))
        renamed = make().set_score_request(exogenous_target="site")
        alone = SEARCHES["grid"](pipe, scoring=renamed, cv=2)
        several = {"accuracy": "accuracy", "own": renamed}
        several = SEARCHES["grid"](pipe, scoring=several, refit="own", cv=2)
        for search in (alone, several):
            with pytest.raises(ValueError, match=r"scorer needs z. Either name a column of X"):
                search.fit(X, y)
            with pytest.raises(ValueError, match="z must have at least two classes"):
                search.fit(X, y, site=0 * z)
            assert Fits.count == 0
            assert search.fit(X, y, site=z).best_score_ <= 1
            Fits.count = 0
