"""Held-out rows: their number, their proportions, and the weights that they select."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import log_loss

from sklearn_thin import ExogenousEncoder
from tests.helpers import SMALL, RowsSeen, assert_refused, nothing_changes, rows_seen, small


@pytest.mark.parametrize(("early_stopping", "n"), [(True, 20), (np.True_, 20), (0.2, 40), (50, 50)])
def test_early_stopping_holds_out_a_tenth_a_fraction_or_a_number(early_stopping, n, rows):
    X, y = rows[:2]
    clf = small(
        early_stopping=early_stopping, callbacks=[RowsSeen()], endogenous=None, max_epochs=2
    ).fit(X, y)
    training, held_out = rows_seen(clf)
    assert (len(training), len(held_out)) == (200 - n, n)
    together = np.concatenate([training, held_out])
    np.testing.assert_array_equal(np.unique(together, axis=0), np.unique(X, axis=0))


def test_held_out_rows_keep_the_proportions_of_the_classes(rows):
    X = rows[0]
    y = np.arange(200) % 10 == 0
    X = np.column_stack([X, y]).astype(np.float32)
    clf = small(early_stopping=0.2, callbacks=[RowsSeen()], endogenous=None, max_epochs=1).fit(X, y)
    assert rows_seen(clf)[1][:, -1].sum() == 4


def test_early_stopping_measures_what_is_passed_for_it(rows, more):
    (X, y, _), (X_val, y_val, _) = rows, more
    clf = small(early_stopping=True, callbacks=[RowsSeen()], endogenous=None).fit(
        X, y, X_val=X_val, y_val=y_val
    )
    training, held_out = rows_seen(clf)
    assert len(training) == 200
    np.testing.assert_array_equal(held_out, X_val)
    best = min(clf.history_[:, "valid_loss"])
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(best, rel=1e-4)


def test_held_out_rows_are_only_recorded_without_early_stopping(rows, more):
    (X, y, _), (X_val, y_val, _) = rows, more
    clf = small(lr=0.02, max_epochs=15, n_iter_no_change=1)
    watched = clone(clf).fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(watched.predict_proba(X), clf.fit(X, y).predict_proba(X))
    assert watched.n_iter_ == 15
    assert "valid_loss" in watched.history_[-1]


def test_rows_of_one_group_are_held_out_together(rows):
    X, y = rows[:2]
    groups = np.arange(200) // 6
    X = np.column_stack([X, groups]).astype(np.float32)
    clf = small(early_stopping=0.2, callbacks=[RowsSeen()], endogenous=None, max_epochs=1)
    training, held_out = rows_seen(clf.fit(X, y, groups=groups))
    assert not set(training[:, -1]) & set(held_out[:, -1])
    assert 25 <= len(held_out) <= 55


def test_early_stopping_stops_and_restores_the_best_weights(rows, more):
    (X, y, _), (X_val, y_val, _) = rows, more
    clf = small(
        early_stopping=True, n_iter_no_change=2, lr=0.05, lr_schedule="constant", max_epochs=60
    )
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    losses = clf.history_[:, "valid_loss"]
    assert clf.n_iter_ == len(losses) < 60
    assert np.argmin(losses) < len(losses) - 1
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(min(losses), rel=1e-4)


def test_the_best_weights_are_restored_after_the_last_epoch_too(rows, more):
    (X, y, _), (X_val, y_val, _) = rows, more
    clf = small(early_stopping=True, n_iter_no_change=50, lr=0.05, lr_schedule="constant")
    clf.set_params(max_epochs=12).fit(X, y, X_val=X_val, y_val=y_val)
    losses = clf.history_[:, "valid_loss"]
    assert len(losses) == 12
    assert np.argmin(losses) < 11
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(min(losses), rel=1e-4)


def test_held_out_rows_are_not_used_to_fit_the_exogenous_side(rows):
    X, y = rows[:2]
    clf = small(
        PCA(3),
        early_stopping=0.3,
        callbacks=[RowsSeen()],
        endogenous=None,
        max_epochs=1,
        gate_input="auto",
    ).fit(X, y)
    training, _ = rows_seen(clf)
    np.testing.assert_allclose(clf.exogenous_.mean_, training.mean(0), atol=1e-5)
    assert clf.exogenous_.n_samples_ == 140


def test_held_out_rows_are_not_used_to_fit_the_encoder(rows):
    X, y, z = rows
    encoder = ExogenousEncoder(SMALL, preprocessor=None, max_epochs=1, callbacks=[RowsSeen()])
    clf = small(encoder, early_stopping=0.3, callbacks=[RowsSeen()], endogenous=None, max_epochs=1)
    clf.fit(X, y, exogenous_target=z)
    training, _ = rows_seen(clf)
    read = np.concatenate(dict(clf.exogenous_.net_.callbacks_)["RowsSeen"].training_)
    np.testing.assert_array_equal(np.unique(read, axis=0), np.unique(training, axis=0))


def test_groups_of_the_wrong_length_are_refused(few):
    clf = small(early_stopping=True)
    match = "groups must have one label for each of the 100 rows of X, got 99"
    assert_refused(clf, ValueError, match, *few[:2], groups=np.arange(99))


@pytest.mark.parametrize("n_groups", [2, 3, 5])
def test_few_groups_are_held_out_whole_all_the_same(n_groups, few):
    X, y = few[0], few[1] % 2
    clf = small(early_stopping=True).fit(X, y, groups=np.arange(100) % n_groups)
    assert np.isfinite(clf.history_[-1]["valid_loss"])


@pytest.mark.parametrize("kind", [small, lambda **params: ExogenousEncoder(SMALL, **params)])
@pytest.mark.parametrize("n_rare", [1, 3, 10])
def test_classes_rarer_than_folds_are_trained_on(kind, n_rare, few):
    X, groups = few[0], np.arange(100) // 2
    y = np.where(np.arange(100) < 7 * n_rare, np.arange(100) // 7, 99)
    clf = kind(early_stopping=True, max_epochs=1).fit(X, y, groups=groups)
    held_out = clf.validation_mask_
    assert 4 <= held_out.sum() <= 20
    assert not set(groups[held_out]) & set(groups[~held_out])
    np.testing.assert_array_equal(np.unique(y[~held_out]), clf.classes_)


def test_a_fold_that_leaves_every_class_in_training_is_preferred(few):
    X, y, groups = few[0][:60], np.arange(60) // 4, np.arange(60) // 2  # two groups a class
    for seed in range(20):
        clf = small(early_stopping=True, max_epochs=1, random_state=seed)
        clf.fit(X, y, groups=groups)
        assert set(y[~clf.validation_mask_]) == set(y)


def test_groups_that_are_classes_lose_a_class_and_say_which(few):
    X, y = few[0], np.array(list("abcde"))[np.arange(100) % 5]
    with pytest.warns(UserWarning, match=r"all rows of the classes \['[a-e]'\]"):
        clf = small(early_stopping=True, max_epochs=1).fit(X, y, groups=y)
    (lost,) = set(y) - set(y[~clf.validation_mask_])
    assert (y[clf.validation_mask_] == lost).all()


@pytest.mark.parametrize(
    "convert",
    [
        lambda g: g,
        lambda g: g.tolist(),
        lambda g: pd.Series(g, dtype="category"),
        lambda g: pd.Series(g, dtype="Int64"),
        lambda g: np.char.add("site ", g.astype(str)),
        lambda g: np.datetime64("2020-01-01") + g,
        lambda g: g[:, None],
    ],
)
def test_groups_may_have_labels_of_any_type(convert, few):
    X, y = few[0], few[1] % 2
    groups = np.arange(100) // 5 + 10
    masks = [
        small(early_stopping=0.2, max_epochs=1).fit(X, y, groups=of).validation_mask_
        for of in (groups, convert(groups))
    ]
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (None, ValueError, "groups must have a label for each row, but 1 of 100 are missing"),
        (np.nan, ValueError, "groups must have a label .* 1 of 100 are missing"),
        (pd.NA, ValueError, "groups must have a label .* 1 of 100 are missing"),
        ("text", TypeError, "groups must hold labels of one kind .* got int and str"),
    ],
)
def test_groups_that_are_missing_or_mixed_are_refused(value, error, match, few):
    groups = (np.arange(100) // 5).astype(object)
    groups[3] = value
    assert_refused(small(early_stopping=True), error, match, *few[:2], groups=groups)
    if value is np.nan:
        groups = groups.astype(float)
        assert_refused(small(early_stopping=True), error, match, *few[:2], groups=groups)


def test_groups_of_two_columns_are_refused(few):
    groups = np.zeros((100, 2))
    assert_refused(small(), ValueError, "groups should be a 1d array", *few[:2], groups=groups)


def test_a_single_group_cannot_be_held_out(few):
    clf = small(early_stopping=True)
    assert_refused(clf, ValueError, "group", few[0], few[1] % 2, groups=np.zeros(100))


@pytest.mark.parametrize("early_stopping", [100, 1000, 3, 0.999])
def test_rows_that_cannot_be_held_out_are_refused(early_stopping, few):
    clf = small(early_stopping=early_stopping)
    assert_refused(clf, ValueError, f"early_stopping={early_stopping}.*cannot", *few[:2])


HELD_OUT = {
    "no y_val": ({"X_val": "X"}, "X_val and y_val must be passed together"),
    "no X_val": ({"y_val": "y"}, "X_val and y_val must be passed together"),
    "unknown class": ({"X_val": "X", "y_val": "other"}, r"not known: \[77\].*known are \[0, 1"),
    "other length": (
        {"X_val": "X", "y_val": "short"},
        "y_val .* each of the 100 rows of X_val, got 99",
    ),
    "other columns": ({"X_val": "narrow", "y_val": "y"}, "63 features.*expecting 64"),
}


@pytest.mark.parametrize("name", HELD_OUT)
def test_rows_to_stop_on_must_fit_those_to_learn_from(name, fitted, few):
    X, y, _ = few
    values = {"X": X, "y": y, "other": np.where(y == 3, 77, y), "short": y[:99]}
    values["narrow"] = X[:, 1:]
    given, match = HELD_OUT[name]
    params = {key: values[value] for key, value in given.items()}
    assert_refused(small(early_stopping=True), ValueError, match, X, y, **params)
    with nothing_changes(fitted, X), pytest.raises(ValueError, match=match):
        fitted.fit(X, y, **params)
