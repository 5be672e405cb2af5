"""Values, types, custom layers and versions in saved files."""

import json
import lzma
import pickle
import warnings
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io as sio
from scipy import stats
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.feature_selection import RFECV, SelectKBest, f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler
from torch import nn
from torch.nn import functional as F

from sklearn_thin import ConvNetBackbone, MLPBackbone, THINClassifier, load, save, to_torch
from sklearn_thin._archive import archive_of
from sklearn_thin.datasets import ImageAugmentation
from sklearn_thin.dispelling import Alignment, Erasure
from sklearn_thin.exogenous import KnownVariable
from sklearn_thin.model_selection import (
    SeedEnsembleClassifier,
    StackedGridSearchCV,
    StackedHalvingSearchCV,
    StackedRandomizedSearchCV,
    WeightedEnsembleClassifier,
)
from tests.helpers import FITS_LOGISTIC_REGRESSION, small
from tests.hostile import members_of
from tests.test_saving import assert_same_bits

DATA = Path(__file__).parent / "data"


def saved_and_loaded(value, path):
    """The value after a save and a load, as an argument in a transformer."""
    save(FunctionTransformer(kw_args={"value": value}), path)
    return load(path).kw_args["value"]


# ------------------------------------------------------------------ values


@pytest.mark.parametrize(
    "value",
    [
        {False: 1, True: 3},
        {np.bool_(False): 1},
        OrderedDict([(True, 1), (False, 2)]),
        {1: "number", "1": "text"},
        {np.int64(3): 1, np.float32(0.1): 2, np.str_("a"): 3},
        {0.1: 1, float("inf"): 2, -1: 3},
        {None: 0, ("a", 1): {(): 2}},
        {b"bytes": 1, frozenset({1}): 2, np.datetime64("2020-01-01"): 3},
        {"outer": [{"inner": ({False: {True: 0}},)}]},
        defaultdict(list, {0: [1]}),
        frozenset({1, 2}),
        {2.5},
        (1, (), (None, [2])),
        [object, np.generic, np.integer, pd.CategoricalDtype, pd.Int8Dtype, pd.StringDtype],
        slice("a", None),
        slice(np.int64(1), np.int64(3)),
        bytearray(b"a"),
        Path("a"),
        np.ma.array([1.0, 2.0], mask=[0, 1]),
        np.zeros(2, [("a", "f4")]),
        "\ud800",
    ],
    ids=repr,
)
def test_values_are_what_was_saved(value, tmp_path):
    loaded = saved_and_loaded(value, tmp_path / "a")
    assert (type(loaded), repr(loaded)) == (type(value), repr(value))


@pytest.mark.parametrize(
    "drawn",
    [
        stats.loguniform(1e-3, b=1e-1),
        stats.uniform(loc=2, scale=3),
        stats.randint(1, 5, loc=2),
        stats.truncnorm(-1, np.float64(2)),
    ],
    ids=lambda drawn: drawn.dist.name,
)
def test_distributions_of_scipy_draw_the_same_numbers(drawn, tmp_path):
    loaded = saved_and_loaded(drawn, tmp_path / "a")
    assert type(loaded) is type(drawn)
    np.testing.assert_array_equal(loaded.rvs(9, random_state=0), drawn.rvs(9, random_state=0))


def test_a_search_over_distributions_fits_again(rows, tmp_path):
    X, y, _ = rows
    drawn = [{"lr": stats.loguniform(1e-3, 1e-1), "depth": stats.randint(0, 2)}]
    how = {"n_iter": 2, "cv": 2, "random_state": 0}
    search = StackedRandomizedSearchCV(small(max_epochs=1), drawn, **how).fit(X, y)
    loaded = assert_same_bits(search, X, tmp_path / "a")
    assert loaded.fit(X, y).cv_results_["params"] == search.cv_results_["params"]


def test_weights_of_boolean_classes(rows, tmp_path):
    weights = {False: 1, True: 3}
    clf = small(class_weight=weights).fit(rows[0], rows[1] > 0)
    loaded = assert_same_bits(clf, rows[0], tmp_path / "a")
    assert loaded.class_weight == weights
    refitted = loaded.fit(rows[0], rows[1] > 0).predict_proba(rows[0])
    np.testing.assert_array_equal(refitted, clf.predict_proba(rows[0]))


@FITS_LOGISTIC_REGRESSION
def test_weights_of_classes_in_a_search_and_in_estimators_of_scikit_learn(rows, tmp_path):
    X, y = rows[0], rows[1] > 0
    grid = {"class_weight": [{False: 1, True: 3}, {False: 3, True: 1}]}
    for estimator in (small(), LogisticRegression(max_iter=9999)):
        search = GridSearchCV(estimator, grid, cv=2).fit(X, y)
        loaded = assert_same_bits(search, X, tmp_path / "a")
        assert loaded.param_grid == grid
        assert loaded.cv_results_["params"] == search.cv_results_["params"]
        assert loaded.best_params_ == search.best_params_
        assert loaded.best_estimator_.class_weight == search.best_params_["class_weight"]


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (Counter([1, 1]), "a Counter has keys that are no text"),
        (np.array([["a", 1]], dtype=object), "several dimensions"),
        (np.random.default_rng(0), "RandomGeneratorNode"),
        (1j, "complex"),
    ],
)
def test_values_that_would_not_load_are_refused_at_once(value, match, tmp_path):
    with pytest.raises(TypeError, match=f"FunctionTransformer cannot be saved.*{match}"):
        save(FunctionTransformer(kw_args={"value": value}), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_skops_own_files_stay_as_they_are():
    archive_of(small())
    transformer = FunctionTransformer(kw_args={"value": {1: 2}})
    assert sio.get_untrusted_types(data=sio.dumps(transformer)) == []
    assert sio.loads(sio.dumps(transformer)).kw_args == {"value": {1: 2}}


def test_the_schema_has_no_white_space(rows, tmp_path):
    save(small().fit(*rows[:2]), tmp_path / "a")
    schema = members_of((tmp_path / "a").read_bytes())["schema.json"]
    assert len(schema) == len(json.dumps(json.loads(schema), separators=(",", ":")))


# ------------------------------------------------------------------ types


@pytest.mark.parametrize(
    "dtype", [object, "number", np.number, np.floating, "category", np.float32]
)
def test_columns_by_their_type(dtype, rows, tmp_path):
    X = pd.DataFrame(rows[0][:, :4]).add_prefix("pixel").astype({"pixel0": np.float32})
    X["text"] = pd.Series(rows[2].astype(str), dtype=object)
    X["level"] = pd.Categorical(rows[2])
    chosen = [("chosen", OrdinalEncoder(), make_column_selector(dtype_include=dtype))]
    table = ColumnTransformer([*chosen, ("all", StandardScaler(), ["pixel1", "pixel2"])])
    assert_same_bits(make_pipeline(table, small()).fit(X, rows[1]), X, tmp_path / "a")


def test_functions_of_numpy_and_scikit_learn(rows, tmp_path):
    pipe = make_pipeline(SelectKBest(f_classif, k=9), FunctionTransformer(np.log1p), small())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Features .* are constant|invalid value")
        assert_same_bits(pipe.fit(*rows[:2]), rows[0], tmp_path / "a")


def halves(n_rows):
    """Two folds as pairs of arrays, of which each has rows of all classes."""
    odd = np.arange(n_rows) % 2 == 1
    return [
        (np.flatnonzero(odd), np.flatnonzero(~odd)),
        (np.flatnonzero(~odd), np.flatnonzero(odd)),
    ]


@FITS_LOGISTIC_REGRESSION
@pytest.mark.parametrize(
    "around",
    [
        lambda clf, cv: GridSearchCV(clf, {}, cv=cv),
        lambda clf, cv: GridSearchCV(clf, {}, cv=cv, scoring=["accuracy", "f1"], refit="f1"),
        lambda clf, cv: StackedGridSearchCV(small(max_epochs=1), {"depth": [0]}, cv=cv),
        lambda clf, cv: RFECV(clf, cv=cv, step=0.5),
        lambda clf, cv: CalibratedClassifierCV(clf, cv=cv),
        lambda clf, cv: CalibratedClassifierCV(clf, cv=cv, method="isotonic"),
        lambda clf, cv: StackingClassifier([("first", clf)], clf, cv=cv),
        lambda clf, cv: TunedThresholdClassifierCV(clf, cv=2),
        lambda clf, cv: VotingClassifier([("first", clf)], voting="soft"),
    ],
)
def test_estimators_of_scikit_learn_around_others(around, rows, tmp_path):
    X, y = rows[0], rows[1] > 0
    estimator = around(LogisticRegression(max_iter=9999), halves(len(X)))
    assert_same_bits(estimator.fit(X, y), X, tmp_path / "a")


@FITS_LOGISTIC_REGRESSION
def test_scikit_learns_calibration_by_temperature(rows, tmp_path):
    ways = CalibratedClassifierCV._parameter_constraints["method"]
    if "temperature" not in "".join(map(str, ways)):
        pytest.skip("this version of scikit-learn has no scaling by a temperature")
    clf = CalibratedClassifierCV(LogisticRegression(max_iter=9999), method="temperature", cv=2)
    assert_same_bits(clf.fit(rows[0], rows[1]), rows[0], tmp_path / "a")


@FITS_LOGISTIC_REGRESSION
def test_a_label_that_all_rows_have(rows, tmp_path):
    X, y = rows[0], np.stack([rows[1] > 0, np.ones(len(rows[1]))], axis=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Label .* is present in all")
        clf = OneVsRestClassifier(LogisticRegression(max_iter=9999)).fit(X, y)
    assert_same_bits(clf, X, tmp_path / "a")


# ------------------------------------------------------------------ custom layers


class Own(nn.Linear):
    """A layer of a user."""


class Net(nn.Module):
    """A network of a user: layers, weights, buffers, a function and plain values of its own."""

    def __init__(self, n):
        super().__init__()
        self.first, self.scale = (
            Own(n, 8),
            nn.Parameter(nn.init.ones_(nn.Linear(1, 8).weight)[:, 0]),
        )
        self.register_buffer("shift", self.scale.detach() / 2)
        self.activation, self.parts, self.settings = (
            F.relu,
            (Own, 1),
            {"p": [0.1, None], False: (1,)},
        )

    def forward(self, x):
        return self.activation(self.first(x) * self.scale) - self.shift


def make_net(shape):
    """A factory of a user."""
    return Net(64)


NAMES = [f"{__name__}.Net", f"{__name__}.Own", "torch.nn.functional.relu"]


@pytest.mark.parametrize(
    ("backbone", "trusted"),
    [
        (Net(64), NAMES),
        (nn.Sequential(Own(64, 8), nn.ReLU()), NAMES[1:2]),
        (make_net, [*NAMES, f"{__name__}.make_net"]),
        (Net(64), [Net, Own, F.relu]),
    ],
)
def test_custom_layers_need_trust(backbone, trusted, rows, tmp_path, monkeypatch):
    X, y, _ = rows
    path = tmp_path / "model.thin"
    clf = small(backbone=backbone).fit(X, y)
    save(clf, path, trusted=trusted)
    for number, missing in enumerate(trusted):
        others = trusted[:number] + trusted[number + 1 :]
        name = missing if isinstance(missing, str) else f"{missing.__module__}.{missing.__name__}"
        with pytest.raises(TypeError, match=rf"cannot be saved, .*\..*'{name}'.*trusted=\["):
            save(clf, tmp_path / "other.thin", trusted=others)
        with pytest.raises(ValueError, match=rf"model\.thin is not loaded: .*'{name}'.*trusted=\["):
            load(path, trusted=others)
    with monkeypatch.context() as patch:
        patch.setattr(Net, "__init__", None)  # no constructor is called
        loaded = load(path, trusted=trusted)
    nets = [part for part in loaded.module_.modules() if isinstance(part, Net)]
    assert all(net.settings == {"p": [0.1, None], False: (1,)} for net in nets)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(loaded.fit(X, y).predict_proba(X), clf.fit(X, y).predict_proba(X))


class Stateful(nn.Linear):
    """A layer that pickles in a way of its own."""

    def __setstate__(self, state):
        super().__setstate__(state)
        self.made = [self]


def local_layer():
    class Local(nn.Linear):
        pass

    return Local(64, 8)


@pytest.mark.parametrize(
    ("backbone", "match"),
    [
        (
            nn.Sequential(Stateful(64, 8)),
            r"test_saved_values\.Stateful pickles in a way of its own",
        ),
        (local_layer(), r"<locals>\.Local is not at the top of its module"),
    ],
)
def test_layers_that_only_a_pickle_holds_are_refused_at_once(backbone, match, rows, tmp_path):
    clf = small(backbone=backbone).fit(*rows[:2])
    with pytest.raises(TypeError, match=f"THINClassifier cannot be saved.*{match}"):
        save(clf, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ versions


def kept(name, tmp_path):
    """The estimator of a file in tests/data."""
    (tmp_path / "kept.thin").write_bytes(lzma.decompress((DATA / f"{name}.thin.xz").read_bytes()))
    return load(tmp_path / "kept.thin")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_format_1_stays_readable(tmp_path):
    """Written by the first `save`, of a THIN with the known column 0 among three."""
    clf = kept("format-1", tmp_path)
    proba = clf.predict_proba([[0, 0.5, -1], [1, 0.5, -1], [2, np.nan, 1e9]])[:, 0]
    np.testing.assert_allclose(proba, [0.5570231, 0.5484615, 0.7023724], rtol=0, atol=1e-6)
    assert clf.get_params()["checkpoint_dir"] is None  # a parameter that this version lacked
    assert clone(clf).fit(np.eye(3).repeat(4, axis=0), [0, 1] * 6).n_iter_ > 0
    assert "THINClassifier" in repr(clf)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_a_number_of_an_older_version_is_not_clipped(tmp_path):
    """Written before the gate clipped numbers, of a THIN with the known number 0 among three."""
    clf = kept("known-number", tmp_path)
    X = np.array([[0.5, 0.5, -1], [-1, 0.5, -1], [np.nan, 0.5, 1], [-9999, 0.5, -1]])
    proba = clf.predict_proba(X)[:, 0]
    np.testing.assert_allclose(proba, [0.4124613, 0.4656901, 0.4450210, 1], rtol=0, atol=1e-6)
    to_torch(clf, X)  # which compares
    assert THINClassifier(FrozenEstimator(clf.exogenous_), max_epochs=1).fit(X, [0, 1] * 2).net_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_a_network_of_an_older_version_trains_on(tmp_path):
    """Written before MLPBackbone had scales, of a THIN with the known column 0 among three."""
    clf, X, y = kept("without-scales", tmp_path), np.eye(3).repeat(4, axis=0), [0, 1] * 6
    assert clf.n_iter_ == 1
    assert clf.partial_fit(X, y).n_iter_ == 2
    clf.set_params(backbone__scale_lr_factor=6.0)
    with pytest.raises(ValueError, match=r"^backbone was MLPBackbone\(.* and is MLPB"):
        clf.partial_fit(X, y)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (small(), "checkpoint_dir"),
        (StackedGridSearchCV(small(), {"depth": [0]}), "checkpoint_dir"),
        (StackedRandomizedSearchCV(small(), {"depth": [0]}, n_iter=1), "checkpoint_dir"),
        (StackedHalvingSearchCV(small(), {"depth": [0]}), "checkpoint_dir"),
        (SeedEnsembleClassifier(small()), "stack_size"),
        (WeightedEnsembleClassifier(small(), [{}], [1.0]), "stack_size"),
        (MLPBackbone(), "modulation_dropout"),
        (MLPBackbone(), "scale_lr_factor"),
        (ConvNetBackbone(), "hidden_layer_sizes"),
        (Erasure(), "keep_target"),
        (Alignment(), "keep_target"),
        (KnownVariable(0), "kind"),
        (ImageAugmentation(), "contrast"),
    ],
)
def test_parameters_that_older_versions_lacked_have_their_defaults(estimator, name, tmp_path):
    shown, default = repr(estimator), getattr(estimator, name)
    older = clone(estimator)
    del vars(older)[name]
    holder = FunctionTransformer(kw_args={"value": older})
    save(holder, tmp_path / "a")
    for read in (load(tmp_path / "a"), pickle.loads(pickle.dumps(holder))):
        loaded = read.kw_args["value"]
        assert loaded.get_params(deep=False)[name] == default
        assert repr(loaded) == repr(clone(loaded)) == shown


def test_a_search_of_an_older_version_fits_again(rows, tmp_path):
    X, y, _ = rows
    search = StackedGridSearchCV(small(max_epochs=1), {"depth": [0]}, cv=2).fit(X, y)
    del search.checkpoint_dir, search.stack_size
    loaded = assert_same_bits(search, X, tmp_path / "a")
    np.testing.assert_array_equal(loaded.fit(X, y).predict_proba(X), search.predict_proba(X))


@pytest.mark.parametrize(
    ("version", "proba"),
    [("1.6.1", [0.66501403, 0.69672894]), ("1.9.1", [0.66501957, 0.69672900])],
)
def test_a_pipeline_of_another_version_of_scikit_learn(version, proba, tmp_path):
    """Written by `save` of a Pipeline of a ColumnTransformer and a THIN on a frozen encoder.

    The ColumnTransformer encodes column 0, imputes columns 1 and 2, and scales the remainder by its
    maximum. NumPy and skops are the oldest and the newest, as scikit-learn is.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipe = kept(f"scikit-learn-{version}", tmp_path)
    kinds = {warning.category for warning in caught}
    assert kinds == ({InconsistentVersionWarning} if version != sklearn.__version__ else set())
    X = np.array([[0, 0.5, -1, 2], [1, np.nan, 1, 0.5]], dtype=np.float32)
    np.testing.assert_allclose(pipe.predict_proba(X)[:, 1], proba, rtol=0, atol=1e-6)
    assert pipe["thin"].class_weight == {False: 1, True: 3}
    assert clone(pipe["thin"]).checkpoint_dir is None


def test_a_file_has_what_other_versions_of_scikit_learn_read(rows, tmp_path):
    """They have no type of lists of columns, and read the type of filled values."""
    table = ColumnTransformer([("filled", SimpleImputer(), [0, 1])], remainder="passthrough")
    save(Pipeline([("table", table), ("thin", small())]).fit(*rows[:2]), tmp_path / "a")
    schema = members_of((tmp_path / "a").read_bytes())["schema.json"]
    assert b"_RemainderColsList" not in schema
    assert b'"_fill_dtype"' in schema
