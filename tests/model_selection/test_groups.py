"""Groups of a search, and the fits in it that stop early."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EarlyStopping

from sklearn_thin.model_selection import StackedGridSearchCV, StackedRandomizedSearchCV
from tests.helpers import small, small_encoder

GROUPS = np.arange(200) // 4
STOPPING = {
    "a classifier": (small(early_stopping=0.3), {"lr": [1e-3]}),
    "a pipeline": (make_pipeline(StandardScaler(), small(early_stopping=0.3)), {}),
    "a candidate": (small(), {"early_stopping": [False, 0.3]}),
}


@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV, StackedRandomizedSearchCV])
@pytest.mark.parametrize("name", STOPPING)
def test_groups_that_the_splitter_alone_gets_are_warned_of(kind, name, rows):
    X, y, _ = rows
    estimator, grid = STOPPING[name]
    n_iter = {"n_iter": 2 if name == "a candidate" else 1}
    n_iter = n_iter if kind is StackedRandomizedSearchCV else {}
    search = kind(estimator, grid, cv=GroupKFold(2), **n_iter)
    match = r"splitter alone: .*set_fit_request\(groups=True\)"
    with pytest.warns(UserWarning, match=match) as caught:
        search.fit(X, y, groups=GROUPS)
    assert len(caught) == 1  # of all folds


def test_cross_validation_and_encoders_warn_of_groups_too(rows):
    X, y, z = rows
    how = {"cv": GroupKFold(2), "groups": GROUPS}
    thin = small(early_stopping=0.3)
    for loop, estimator, target in (
        (cross_val_score, thin, y),
        (cross_val_score, small_encoder(early_stopping=0.3), z),
        (cross_validate, make_pipeline(StandardScaler(), thin), y),
        (cross_val_predict, thin, y),
        (cross_val_predict, thin, y),
    ):
        with pytest.warns(UserWarning, match="splitter alone") as caught:
            loop(estimator, X, target, **how)
        assert len(caught) == 1  # of all folds, and again in the next loop


@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
@pytest.mark.parametrize(
    ("estimator", "given"),
    [
        (small(), {"groups": GROUPS}),  # no fit stops early
        (small(early_stopping=0.3), {}),  # no groups
        (small(early_stopping=0.3), {"groups": GROUPS, "X_val": "X", "y_val": "y"}),
    ],
)
def test_groups_that_no_fit_needs_are_not_warned_of(kind, estimator, given, rows):
    X, y, _ = rows
    values = {"X": X[:50], "y": y[:50]}
    given = {key: values.get(v, v) if isinstance(v, str) else v for key, v in given.items()}
    cv = GroupKFold(2) if "groups" in given else 2
    kind(estimator, {"lr": [1e-3]}, cv=cv).fit(X, y, **given)


@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
def test_groups_reach_the_fits_by_metadata_routing(kind, rows):
    X, y, _ = rows
    with config_context(enable_metadata_routing=True):
        thin = small(early_stopping=0.3).set_fit_request(groups=True)
        search = kind(thin, {"lr": [1e-3]}, cv=GroupKFold(2)).fit(X, y, groups=GROUPS)
    held_out = search.best_estimator_.validation_mask_
    assert not set(GROUPS[held_out]) & set(GROUPS[~held_out])


class Counts(Callback):
    """Counts epochs."""

    def on_train_begin(self, net, **kwargs):
        self.epochs_ = 0

    def on_epoch_end(self, net, **kwargs):
        self.epochs_ += 1


@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
def test_a_grid_holds_whole_lists_of_callbacks(kind, rows):
    X, y, _ = rows
    patient = EarlyStopping(monitor="train_loss", patience=9)
    hasty = EarlyStopping(monitor="train_loss", patience=1, threshold=10.0)
    lists = [[("stop", patient), Counts()], [("stop", hasty), Counts()]]
    search = kind(small(max_epochs=5), {"callbacks": lists}, cv=2, refit=False).fit(X, y)
    assert search.cv_results_["mean_fit_time"].shape == (2,)
    epochs = []
    for callbacks in lists:
        clf = small(max_epochs=5, callbacks=callbacks).fit(X, y)
        epochs.append(dict(clf.net_.callbacks_)["Counts"].epochs_)
    assert epochs[0] == 5 > epochs[1]
    assert not hasattr(lists[0][1], "epochs_")
