"""Probes find what is there, and no more than chance where there is nothing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_thin.inspection import leakage_score


def ring(n_samples=600, seed=0):
    """Rows whose label is their distance from the origin: no linear reader finds it."""
    rng = np.random.RandomState(seed)
    z = np.arange(n_samples) % 2
    angle = rng.uniform(0, 2 * np.pi, n_samples)
    return (1 + 2 * z[:, None]) * np.column_stack([np.cos(angle), np.sin(angle)]), z


@pytest.mark.parametrize("probe", ["linear", "mlp", LogisticRegression()])
def test_what_is_told_plainly_is_found_by_every_probe(probe):
    z = np.array(["a", "b", "c"])[np.arange(1200) % 3]
    h = np.eye(3)[np.arange(1200) % 3] + np.random.RandomState(0).normal(0, 0.1, (1200, 3))
    score = leakage_score(h, z, probe=probe, random_state=0)
    assert score.accuracy > 0.95
    assert score.excess == score.accuracy - score.chance
    assert score.chance == pytest.approx(1 / 3, abs=0.01)


def test_a_linear_probe_does_not_see_what_an_mlp_does():
    h, z = ring()
    assert abs(leakage_score(h, z, random_state=0).excess) < 0.1
    assert leakage_score(h, z, probe="mlp", random_state=0).excess > 0.4


@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_noise_tells_nothing_more_than_the_most_frequent_label(probe):
    rng = np.random.RandomState(0)
    z = (rng.uniform(size=1000) < 0.8).astype(int)
    score = leakage_score(rng.normal(size=(1000, 5)), z, probe=probe, random_state=0)
    assert score.chance == pytest.approx(z.mean(), abs=0.01)
    assert abs(score.excess) < 0.05


def test_a_score_is_that_of_rows_the_probe_did_not_see():
    rng = np.random.RandomState(0)
    memory = DecisionTreeClassifier(random_state=0)
    z = np.arange(400) % 4
    assert leakage_score(rng.normal(size=(400, 8)), z, probe=memory, random_state=0).excess < 0.15
    assert not hasattr(memory, "tree_")


def test_a_random_state_makes_it_reproducible_and_another_does_not():
    h, z = ring()
    first, second, other = (
        leakage_score(h + 0.5, z, probe="mlp", random_state=seed).accuracy for seed in (0, 0, 1)
    )
    assert first == second != other


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"probe": "forest"}, "'probe' parameter .* Got 'forest'"),
        ({"test_size": 1.5}, "'test_size' parameter .* Got 1.5"),
    ],
)
def test_wrong_parameters_are_named(params, match):
    with pytest.raises(InvalidParameterError, match=match):
        leakage_score(*ring(), **params)


@pytest.mark.parametrize("probe", [Ridge(), KMeans(2)])
def test_a_probe_that_is_no_classifier_is_refused(probe):
    with pytest.raises(TypeError, match="probe must be a classifier"):
        leakage_score(*ring(), probe=probe)


@pytest.mark.parametrize("kind", ["images", "frame"])
def test_the_raw_input_may_be_images_or_a_table(kind):
    h, z = np.random.RandomState(0).normal(size=(400, 4)), np.arange(400) % 2
    X = h.reshape(400, 2, 2) + 3 * z[:, None, None]
    if kind == "frame":
        X = pd.DataFrame({"number": h[:, 0], "text": np.array(["a", "b"])[z]})
        X.loc[0, "number"] = np.nan
    assert leakage_score(X, z, random_state=0).accuracy > 0.9


def test_accuracy_is_accuracy_whatever_the_probe_scores():
    h, z = ring()
    params = {"scoring": "neg_log_loss", "cv": 2}
    probe = GridSearchCV(LogisticRegression(), {"C": [1.0]}, **params)
    ours = leakage_score(h, z, probe=probe, random_state=0)
    assert ours == leakage_score(h, z, probe=LogisticRegression(), random_state=0)


def test_labels_of_another_length_are_refused():
    h, z = ring()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        leakage_score(h, z[:-1])


MISSING = {
    "NaN": np.array([0.0, 1.0, np.nan] * 20),
    "None": np.array(["a", "b", None] * 20),
    "NA": pd.Series([0, 1, None] * 20, dtype="Int64"),
    "NA of strings": pd.Series(["a", "b", None] * 20, dtype="string"),
}


@pytest.mark.parametrize("probe", ["linear", "mlp"])
@pytest.mark.parametrize("name", MISSING)
def test_missing_labels_are_no_class_of_their_own(name, probe):
    with pytest.raises(ValueError, match="z must have a label for each row, but 20 of 60 are miss"):
        leakage_score(np.ones((60, 2)), MISSING[name], probe=probe)


def test_numbers_on_a_scale_are_no_labels():
    h, _ = ring()
    with pytest.raises(ValueError, match="z: Unknown label type: continuous"):
        leakage_score(h, h[:, 0])


def test_a_classifier_gets_the_labels_as_they_were_passed():
    z = np.array(["a", "b"])[np.arange(600) % 2]
    h = (z == "b")[:, None] + np.random.RandomState(0).normal(size=(600, 3))
    # whatever the row, an error on "a" costs more than those on "b"
    probe = LogisticRegression(class_weight={"a": 1e6, "b": 1.0})
    assert leakage_score(h, z, probe=probe, random_state=0).accuracy == 0.5
