"""One random_state gives one model, here, in a copy and in another process."""

import copy
import pickle
import random

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import SGDClassifier

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from tests.helpers import NUMPYS_OWN, global_states, run_python

DROPOUT = MLPBackbone((32,), dropout=0.3)


def chancy(**params):
    """A THIN with every source of chance: both sides, dropout and a split, all unseeded."""
    encoder = ExogenousEncoder(DROPOUT, hidden_units=8, max_epochs=1, early_stopping=0.2)
    defaults = {"lam": 0.01, "depth": 2, "backbone": DROPOUT, "hidden_units": 16}
    training = {"max_epochs": 2, "early_stopping": 0.2, "random_state": 0}
    return THINClassifier(encoder, **{**defaults, **training, **params})


def chancy_proba(rows, **params):
    X, y, z = rows
    return chancy(**params).fit(X, y, exogenous_target=z).predict_proba(X)


def noisy(images):
    return images + 0.1 * torch.randn_like(images)


@pytest.fixture(scope="module")
def fitted(rows):
    """Not to be changed."""
    X, y, z = rows
    return chancy().fit(X, y, exogenous_target=z)


# ------------------------------------------------------------------ random_state


def test_a_second_fit_gives_the_same_model(fitted, rows):
    X, y, z = rows
    expected = fitted.predict_proba(X)
    np.testing.assert_array_equal(chancy_proba(rows), expected)
    again = chancy().fit(X, y, exogenous_target=z).fit(X, y, exogenous_target=z)
    np.testing.assert_array_equal(again.predict_proba(X), expected)
    assert [e["train_loss"] for e in again.history_] == [e["train_loss"] for e in fitted.history_]


def test_what_the_global_generators_have_drawn_makes_no_difference(fitted, rows):
    torch.rand(5), NUMPYS_OWN.rand(5), random.random()
    np.testing.assert_array_equal(chancy_proba(rows), fitted.predict_proba(rows[0]))


def test_two_seeds_give_two_models(fitted, rows):
    assert not np.allclose(chancy_proba(rows, random_state=1), fitted.predict_proba(rows[0]))


def test_the_seed_governs_an_encoder_that_has_none(rows):
    X, y, z = rows
    representations = [
        chancy(random_state=seed).fit(X, y, exogenous_target=z).exogenous_.transform(X)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(*representations[:2])
    assert not np.allclose(representations[0], representations[2])


def test_an_encoder_with_a_seed_of_its_own_keeps_it(rows):
    X, y, z = rows
    encoder = ExogenousEncoder(hidden_units=8, max_epochs=1, random_state=7)
    inside = [
        THINClassifier(encoder, max_epochs=1, random_state=seed)
        .fit(X, y, exogenous_target=z)
        .exogenous_.transform(X)
        for seed in (0, 1)
    ]
    np.testing.assert_array_equal(*inside)
    np.testing.assert_array_equal(inside[0], clone(encoder).fit(X, z).transform(X))


def test_the_seed_governs_every_part_that_scikit_learn_brings(rows):
    X, y, z = rows
    pca = PCA(6, svd_solver="randomized", iterated_power=0)
    params = {"exogenous_predictor": SGDClassifier(max_iter=5, tol=None), "endogenous": pca}
    probas = [
        THINClassifier(clone(pca), **params, max_epochs=1, random_state=seed)
        .fit(X, y, exogenous_target=z)
        .predict_proba(X)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(*probas[:2])
    assert not np.allclose(probas[0], probas[2])


def test_the_seed_governs_an_augmentation_that_draws(digits):
    images, y = digits.images[:100], digits.y[:100]
    clf = THINClassifier(augment=noisy, backbone=ConvNetBackbone((4,)), max_epochs=2)
    probas = [
        clone(clf).set_params(random_state=seed).fit(images, y).predict_proba(images)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(*probas[:2])
    assert not np.allclose(probas[0], probas[2])


def test_epochs_differ_in_the_order_of_the_rows(rows):
    """A warm start must not replay the first fit's shuffling either."""
    X, y, _ = rows
    orders = []

    def note(images):
        orders.append(images[:, 0].sum((1, 2)).tolist())
        return images

    clf = THINClassifier(
        augment=note,
        backbone=ConvNetBackbone((2,), image_shape=(8, 8)),
        lr_schedule="constant",
        max_epochs=2,
        batch_size=200,
        warm_start=True,
        random_state=0,
    )
    clf.fit(X, y).fit(X, y)
    assert len(orders) == len({tuple(order) for order in orders}) == 4


def test_without_a_seed_two_fits_differ(rows):
    first = chancy_proba(rows, random_state=None)
    assert not np.allclose(first, chancy_proba(rows, random_state=None))


def test_without_a_seed_numpys_global_generator_decides(rows):
    state = NUMPYS_OWN.get_state()
    try:
        probas = []
        for _ in range(2):
            NUMPYS_OWN.seed(3)
            probas.append(chancy_proba(rows, random_state=None))
    finally:
        NUMPYS_OWN.set_state(state)
    np.testing.assert_array_equal(*probas)


def test_the_global_generators_are_left_as_they_were(rows):
    X, y, z = rows
    before = global_states()
    clf = chancy().fit(X, y, exogenous_target=z)
    clf.predict_proba(X)
    clf.partial_fit(X, y)
    clone(clf)
    assert global_states() == before


def test_a_fit_that_fails_leaves_the_global_generators_as_they_were(rows):
    before = global_states()
    X, y, z = rows
    with pytest.raises(FloatingPointError):
        chancy(lr=1e30).fit(X, y, exogenous_target=z)
    assert global_states() == before


def test_prediction_draws_nothing(fitted, rows):
    X = rows[0]
    np.testing.assert_array_equal(fitted.predict_proba(X), fitted.predict_proba(X))


def test_the_order_of_the_rows_to_predict_makes_no_difference(fitted, rows):
    X = rows[0]
    order = np.random.RandomState(0).permutation(200)
    np.testing.assert_allclose(
        fitted.predict_proba(X[order]), fitted.predict_proba(X)[order], atol=1e-6
    )


# ------------------------------------------------------------------------ copies


PREDICT = """
import sys, joblib, numpy
file, *models = sys.argv[1:]
for model in models:
    numpy.save(model + ".npy", joblib.load(model).predict_proba(numpy.load(file)))
"""


def test_a_saved_model_predicts_the_same_in_a_new_process(fitted, rows, tmp_path):
    X, file = rows[0], tmp_path / "X.npy"
    np.save(file, X)
    by_pickle, by_joblib = tmp_path / "pickle", tmp_path / "joblib"
    by_pickle.write_bytes(pickle.dumps(fitted))
    joblib.dump(fitted, by_joblib)
    done = run_python("-c", PREDICT, file, by_pickle, by_joblib)
    assert done.returncode == 0, done.stderr
    for saved in (by_pickle, by_joblib):
        proba = np.load(f"{saved}.npy")
        np.testing.assert_allclose(proba, fitted.predict_proba(X), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_predicts_the_same_and_keeps_its_attributes(duplicate, fitted, rows):
    X = rows[0]
    other = duplicate(fitted)
    np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(other.gate_proba(X), fitted.gate_proba(X))
    assert other.n_iter_ == fitted.n_iter_ == 2
    assert list(other.history_) == list(fitted.history_)
    assert other.get_params().keys() == fitted.get_params().keys()


def test_a_copy_is_independent_of_the_original(fitted, rows):
    X, y, z = rows
    before = fitted.predict_proba(X)
    other = copy.deepcopy(fitted)
    other.partial_fit(X, y)
    other.fit(X, y, exogenous_target=z)
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
    assert fitted.n_iter_ == 2


def test_a_copy_goes_on_as_the_original_does(rows):
    X, y, z = rows
    clf = chancy(warm_start=True, lr_schedule="constant").fit(X, y, exogenous_target=z)
    other = pickle.loads(pickle.dumps(clf))
    assert other.fit(X, y).n_iter_ == clf.fit(X, y).n_iter_ == 4


def test_joblib_dumps_and_loads(fitted, rows, tmp_path):
    joblib.dump(fitted, tmp_path / "thin.joblib")
    loaded = joblib.load(tmp_path / "thin.joblib")
    np.testing.assert_array_equal(loaded.predict_proba(rows[0]), fitted.predict_proba(rows[0]))


def test_a_clone_fits_to_the_same_model(fitted, rows):
    X, y, z = rows
    other = clone(fitted)
    assert not hasattr(other, "classes_")
    other.fit(X, y, exogenous_target=z)
    np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))


def test_an_unfitted_model_travels_too(rows, fitted):
    X, y, z = rows
    other = pickle.loads(pickle.dumps(chancy())).fit(X, y, exogenous_target=z)
    np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
