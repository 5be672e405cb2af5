"""One file for a fitted estimator: the same bits, whole or not at all, and nothing run."""

import json
import os
import pickle
import sys

import joblib
import numpy as np
import pytest
import skops.io as sio
import torch
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomTreesEmbedding
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from torch import nn

from sklearn_thin import ConvNetBackbone, MLPBackbone, THINRegressor, load, save
from sklearn_thin.dispelling import Alignment
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from sklearn_thin.training import state
from tests.helpers import (
    FITS_LOGISTIC_REGRESSION,
    SMALL,
    drop_last_column,
    run_python,
    small,
    small_encoder,
    with_known_column,
)
from tests.hostile import ARCHIVES, ATTACKS, Ran, archive_of, attacked, members_of, signed, zipped


def outputs(estimator, X):
    """What an estimator predicts, as probabilities where it has them."""
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def assert_same_bits(estimator, X, path):
    save(estimator, path)
    loaded = load(path)
    assert type(loaded) is type(estimator)
    np.testing.assert_array_equal(outputs(loaded, X), outputs(estimator, X))
    return loaded


def searched(encoder, X, y):
    """A fitted search over a Pipeline of a ColumnTransformer and a THIN on a frozen encoder."""
    table = ColumnTransformer([("all", MinMaxScaler(), slice(0, 64))])
    pipe = Pipeline([("table", table), ("thin", small(FrozenEstimator(encoder)))])
    grid = {"thin__lr": [1e-2, 1e-3]}
    return GridSearchCV(pipe, grid, cv=2, scoring="balanced_accuracy").fit(X, y)


@pytest.fixture(scope="module")
def saved(rows, tmp_path_factory, thin):
    """A file with `thin`, its bytes, and the rows."""
    path = tmp_path_factory.mktemp("saved") / "model.thin"
    save(thin, path)
    return path, path.read_bytes(), rows[0]


# ------------------------------------------------------------------ the same bits


def test_classifiers_with_and_without_a_frozen_encoder(rows, encoder, thin, tmp_path):
    X, y, _ = rows
    assert_same_bits(encoder, X, tmp_path / "a")
    assert_same_bits(small().fit(X, y), X, tmp_path / "a")
    loaded = assert_same_bits(thin, X, tmp_path / "a")
    np.testing.assert_array_equal(loaded.gate_proba(X), thin.gate_proba(X))
    assert loaded.history_ == thin.history_
    assert loaded.exogenous.estimator is loaded.exogenous_.estimator


def test_a_regressor(rows, encoder, tmp_path):
    X, y, _ = rows
    reg = THINRegressor(FrozenEstimator(encoder), backbone=SMALL, max_epochs=1, random_state=0)
    assert_same_bits(reg.fit(X, y * 1.5), X, tmp_path / "a")


def test_a_known_column_and_given_labels(digits, tmp_path):
    X, y, z = with_known_column(digits), digits.y[:200], digits.z[:200]
    loaded = assert_same_bits(small(64).fit(X, y), X, tmp_path / "a")
    assert loaded.predict(X, exogenous="1").shape == (200,)
    given = small("given").fit(X, y.astype(str), exogenous_target=z)
    assert_same_bits(given, X, tmp_path / "a")


@FITS_LOGISTIC_REGRESSION
def test_an_exogenous_side_of_scikit_learn(rows, tmp_path):
    X, y, z = rows
    clf = small(PCA(4), exogenous_predictor=LogisticRegression(max_iter=9999), gating="layers")
    assert_same_bits(clf.fit(X, y, exogenous_target=z), X, tmp_path / "a")
    clf = small([("a", PCA(4))], exogenous_predictor={"a": LogisticRegression(max_iter=9999)})
    assert_same_bits(clf.fit(X, y, exogenous_target=z), X, tmp_path / "a")


@pytest.mark.parametrize("dispelling", ["cosine", "erasure", Alignment(rank=3)])
def test_dispelling(dispelling, rows, encoder, tmp_path):
    X, y, z = rows
    target = {"exogenous_target": z} if dispelling == "erasure" else {}
    clf = small(FrozenEstimator(encoder), dispelling=dispelling, lam=0.1).fit(X, y, **target)
    assert_same_bits(clf, X, tmp_path / "a")


def test_images_of_any_layout_in_memory(digits, tmp_path):
    X, y, z = digits.images[:100], digits.y[:100], digits.z[:100]
    encoder = small_encoder(random_state=0).set_params(backbone=ConvNetBackbone((4,))).fit(X, z)
    clf = small(FrozenEstimator(encoder), backbone=ConvNetBackbone((4, 4))).fit(X, y)
    clf.module_.to(memory_format=torch.channels_last)
    loaded = assert_same_bits(clf, X, tmp_path / "a")
    strides = [[w.stride() for w in c.module_.parameters()] for c in (clf, loaded)]
    assert strides[0] == strides[1]


def test_networks_of_torchs_layers(rows, tmp_path):
    X, y, _ = rows
    backbone = nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.1))
    clf = small(backbone=backbone, device=torch.device("cpu"), warm_start=True).fit(X, y)
    loaded = assert_same_bits(clf, X, tmp_path / "a")
    assert loaded.device == torch.device("cpu")
    loaded.fit(X, y)  # the same architecture
    assert len(loaded.history_) == 4


def test_torchvisions_networks(digits, tmp_path):
    X = np.repeat(np.repeat(np.repeat(digits.images[:4, None], 3, 1), 4, 2), 4, 3)
    clf = small(backbone="resnet18", max_epochs=1).fit(X, digits.y[:4])
    assert_same_bits(clf, X, tmp_path / "a")


def test_a_search_over_a_pipeline(rows, encoder, tmp_path):
    X, y, _ = rows
    loaded = assert_same_bits(searched(encoder, X, y), X, tmp_path / "a")
    assert loaded.best_params_
    assert loaded.score(X, y) > 0


def test_an_ensemble(rows, encoder, tmp_path):
    X, y, _ = rows
    ensemble = SeedEnsembleClassifier(small(FrozenEstimator(encoder)), n_seeds=2, random_state=0)
    loaded = assert_same_bits(ensemble.fit(X, y), X, tmp_path / "a")
    first, second = loaded.estimators_
    assert first.exogenous.estimator is second.exogenous.estimator


def test_skops_itself_finds_no_types_but_ours_and_scikit_learns(rows, encoder):
    archive = sio.dumps(searched(encoder, *rows[:2]))
    types = sio.get_untrusted_types(data=archive)
    assert types
    assert {name.partition(".")[0] for name in types} <= {"sklearn", "sklearn_thin"}


def test_the_device_may_be_chosen(saved, monkeypatch):
    chosen = []
    monkeypatch.setattr(state, "check_device", lambda d: chosen.append(d) or torch.device("cpu"))
    load(saved[0], device="cpu")
    assert chosen == [torch.device("cpu")] * 2  # of the classifier and of its encoder
    with pytest.raises(ValueError, match="device='tpu' is not available"):
        load(saved[0], device="tpu")


def test_a_file_holds_each_network_once(saved):
    members = members_of(saved[1]).values()
    weights = [data for data in members if len(data) > 1000 and b"'<f4'" in data[:100]]
    assert len(set(weights)) == len(weights) > 1


def test_a_loaded_estimator_trains_on(rows, saved, thin):
    X, y, _ = rows
    loaded = load(saved[0])
    loaded.partial_fit(X, y)
    assert len(loaded.history_) == len(thin.history_) + 1


# ------------------------------------------------------------------ nothing is run


def test_no_pickle_is_read(rows, encoder, tmp_path):
    X, y, _ = rows
    search, path, result = searched(encoder, X, y), tmp_path / "a.thin", tmp_path / "proba.npy"
    save(search, path)
    np.save(tmp_path / "X.npy", X)
    script = (
        "import _pickle, pickle, sys\n"
        "import numpy as np, torch, joblib, skops.io\n"  # skops imports dask, which unpickles
        "import sklearn_thin\n"
        "def hook(event, args):\n"
        "    if event == 'pickle.find_class': raise SystemExit(f'a pickle finds {args}')\n"
        "sys.addaudithook(hook)\n"
        "def refuse(*args, **kwargs): raise SystemExit('a pickle is read')\n"
        "class Refusing(pickle._Unpickler):\n"
        "    __init__ = load = find_class = refuse\n"
        "for owner in (pickle, _pickle):\n"
        "    owner.load = owner.loads = refuse\n"
        "    owner.Unpickler = Refusing\n"
        "pickle._Unpickler = Refusing\n"
        "torch.load = joblib.load = refuse\n"
        "loaded = sklearn_thin.load(sys.argv[1])\n"
        "np.save(sys.argv[3], loaded.predict_proba(np.load(sys.argv[2])))\n"
    )
    done = run_python("-c", script, path, tmp_path / "X.npy", result)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(result), search.predict_proba(X))


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump, torch.save])
def test_pickles_are_refused(dump, tmp_path):
    path = tmp_path / "model.pkl"
    pickle.loads(pickle.dumps(Ran()))
    assert Ran.marks.pop() == "ran"
    with open(path, "wb") as file:
        dump(Ran(), file)
    with pytest.raises(ValueError, match=r"model\.pkl is not loaded: it is no file of"):
        load(path)
    assert Ran.marks == []


def test_types_of_others_need_a_name(rows, tmp_path):
    X, y, _ = rows
    pipe = Pipeline([("f", FunctionTransformer(drop_last_column)), ("thin", small())]).fit(X, y)
    save(pipe, tmp_path / "a", trusted=[drop_last_column])
    with pytest.raises(ValueError, match=r"tests\.helpers\.drop_last_column"):
        load(tmp_path / "a")
    with pytest.raises(ValueError, match=r"tests\.helpers\.drop_last_column"):
        load(tmp_path / "a", trusted=["tests.helpers.other"])
    loaded = load(tmp_path / "a", trusted=["tests.helpers.drop_last_column"])
    np.testing.assert_array_equal(loaded.predict_proba(X), pipe.predict_proba(X))
    with pytest.raises(TypeError, match="trusted must be a list"):
        load(tmp_path / "a", trusted=True)
    with pytest.raises(TypeError, match="trusted must be a list"):
        save(pipe, tmp_path / "a", trusted=drop_last_column)


def test_trees_of_scikit_learn_need_a_name(rows, tmp_path):
    trees = RandomTreesEmbedding(2, max_depth=2, sparse_output=False, random_state=0)
    X, y, _ = rows
    pipe = Pipeline([("trees", trees), ("thin", small())]).fit(X, y)
    save(pipe, tmp_path / "a", trusted=["sklearn.tree._tree.Tree"])
    with pytest.raises(ValueError, match=r"sklearn\.tree\._tree\.Tree"):
        load(tmp_path / "a")
    loaded = load(tmp_path / "a", trusted=["sklearn.tree._tree.Tree"])
    np.testing.assert_array_equal(loaded.predict_proba(X), pipe.predict_proba(X))


def test_a_layer_names_no_code(saved, tmp_path):
    members = members_of(saved[1])
    schema = members["schema.json"]
    assert schema.count(b"torch.nn.modules.linear.Linear") > 0
    for name, match in [
        ("torch.nn.modules.module.importlib", "is no type of a layer"),
        ("torch.nn.modules.module.Nothing", "is no type of a layer"),
        ("os.path.system", "is no layer of"),
        ("sklearn_thin.modules..Linear", "is no layer of"),
    ]:
        changed = schema.replace(b"torch.nn.modules.linear.Linear", name.encode())
        path = tmp_path / "a"
        path.write_bytes(signed(zipped({**members, "schema.json": changed})))
        with pytest.raises(ValueError, match=f"{name}' {match}"):
            load(path)


def test_a_layer_brings_no_hooks(saved, tmp_path):
    members = members_of(saved[1])
    members["schema.json"] = members["schema.json"].replace(b"in_features", b"_forward_hooks")
    path = tmp_path / "a"
    path.write_bytes(signed(zipped(members)))
    with pytest.raises(ValueError, match=r"a layer sets \['_forward_hooks'\]"):
        load(path)


@pytest.mark.parametrize(
    ("backbone", "match"),
    [
        (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(64, 8))), "has hooks"),
        (lambda shape: nn.Linear(64, 8), "lambda"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_at_once(backbone, match, rows, tmp_path):
    clf = small(backbone=backbone).fit(*rows[:2])
    with pytest.raises(TypeError, match=f"THINClassifier cannot be saved.*{match}"):
        save(clf, tmp_path / "a")
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------ broken and hostile files


@pytest.mark.parametrize(("archive", "match"), ARCHIVES, ids=[reason for _, reason in ARCHIVES])
def test_foreign_archives_are_refused(archive, match, tmp_path):
    path = tmp_path / "hostile.thin"
    path.write_bytes(signed(archive))
    with pytest.raises(ValueError, match=f"hostile.thin is not loaded.*({match})"):
        load(path)


@pytest.mark.parametrize("number", [0, 2, None, "1"])
def test_other_formats_are_refused(number, saved, tmp_path):
    path = tmp_path / "a.thin"
    path.write_bytes(signed(archive_of(saved[1]), format=number))
    with pytest.raises(ValueError, match="format"):
        load(path)


@pytest.mark.parametrize(("attack", "match"), ATTACKS)
def test_a_schema_builds_no_more_than_its_archive_holds(attack, match, saved, tmp_path):
    path = tmp_path / "model.thin"
    path.write_bytes(attacked(saved[1], attack))
    with pytest.raises(ValueError, match=f"is not loaded: its schema .*{match}"):
        load(path)


@pytest.mark.parametrize("protocol", [None, True, 1])
def test_older_protocols_of_skops_have_weaker_checks(protocol, saved, tmp_path):
    members = members_of(saved[1])
    schema = {**json.loads(members["schema.json"]), "protocol": protocol}
    path = tmp_path / "model.thin"
    path.write_bytes(signed(zipped({**members, "schema.json": json.dumps(schema)})))
    with pytest.raises(ValueError, match=r"its schema has .* protocol"):
        load(path)


def test_numpys_numbers_as_sizes_are_saved(digits, tmp_path):
    X, y, path = digits.X[:100], digits.y[:100], tmp_path / "a.thin"
    backbone = MLPBackbone((np.int64(8),), dropout=np.float64(0.1))
    thin = small(backbone=backbone, depth=np.int64(2)).fit(X, y)
    save(thin, path)
    np.testing.assert_array_equal(load(path).predict_proba(X), thin.predict_proba(X))


def test_a_search_with_a_folder_is_saved(digits, tmp_path):
    X, y, path = digits.X[:100], digits.y[:100], tmp_path / "a.thin"
    kept = tmp_path / "kept"
    search = StackedGridSearchCV(small(), {"depth": [0, 1]}, cv=2, checkpoint_dir=kept).fit(X, y)
    save(search, path)
    assert load(path).checkpoint_dir == kept


def test_another_version_of_scikit_learn_warns(saved, tmp_path, thin):
    path = tmp_path / "a.thin"
    path.write_bytes(signed(archive_of(saved[1]), **{"scikit-learn": "1.2.3"}))
    with pytest.warns(InconsistentVersionWarning, match=r"THINClassifier from version 1\.2\.3"):
        loaded = load(path)
    np.testing.assert_array_equal(loaded.predict_proba(saved[2]), thin.predict_proba(saved[2]))


# ------------------------------------------------------------------ whole or not at all


def test_a_link_and_the_rights_of_a_file_stay(thin, tmp_path):
    real, link = tmp_path / "real.thin", tmp_path / "link.thin"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    save(thin, link)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    load(real)


def interrupted(*args):
    raise KeyboardInterrupt


def test_an_interrupted_save_leaves_the_old_file_alone(saved, thin, tmp_path, monkeypatch):
    path = tmp_path / "model.thin"
    path.write_bytes(saved[1])
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(thin, path)
    assert os.listdir(tmp_path) == ["model.thin"]
    assert path.read_bytes() == saved[1]


ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")


def faults(*arguments):
    done = run_python("-m", "tests.reliability.saving", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@ON_LINUX
def test_a_few_faults_of_saving_end_as_promised():
    faults("--kills", "6", "--flips", "100", "--step", "997")


@ON_LINUX
@pytest.mark.long
def test_faults_of_saving_end_as_promised():
    faults()
