"""`save` refuses at once what `load` would not read with the same `trusted`."""

import io
import logging
import os
import re
import threading
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import rv_continuous
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from skorch.callbacks import Callback, EpochScoring, LRScheduler, MlflowLogger, PrintLog
from skorch.callbacks.lr_scheduler import WarmRestartLR
from torch import nn

from sklearn_thin import load, save
from sklearn_thin.model_selection import StackedGridSearchCV
from tests.helpers import small
from tests.test_saving import assert_same_bits


class Own(nn.Linear):
    """A layer of a user."""


class Rates(rv_continuous):
    """A distribution of a user."""


def local_function():
    def local(X):
        return X

    return local


ODD = {
    "file": lambda: io.StringIO("a"),
    "logger": lambda: logging.getLogger("tests"),
    "lock": threading.Lock,
    "function": lambda: max_error_of_own,
    "lambda": lambda: lambda X: X,
    "local function": local_function,
    "type": lambda: Tracker,
    "object": lambda: Tracker(),
    "partial": lambda: partial(max_error_of_own, 1),
    "iterator": lambda: iter([1]),
    "regular expression": lambda: re.compile("a"),
    "tensor": lambda: torch.zeros(2),
    "generator": lambda: np.random.default_rng(0),
    "date": lambda: datetime(2020, 1, 1),
    "decimal": lambda: Decimal("0.1"),
    "complex": lambda: 1j,
    "objects": lambda: np.array([Tracker()], object),
    "list in itself": lambda: (circle := [1], circle.append(circle))[0],
}


def max_error_of_own(y_true, y_pred):
    return float(np.max(np.abs(y_true - y_pred)))


class Tracker:
    """An object of a user."""


@pytest.mark.parametrize("odd", ODD)
def test_a_value_that_would_not_load_is_refused_at_once(odd, tmp_path):
    transformer = FunctionTransformer(kw_args={"a": 1, "value": ODD[odd]()})
    with pytest.raises(TypeError, match=r"because of FunctionTransformer\.kw_args\['value'\]: "):
        save(transformer, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [3, None, Tracker(), ["tests.Own"], b"tests.Own"])
def test_trusted_holds_names_types_and_functions(wrong, tmp_path):
    match = r"trusted must hold names of types, types or functions, got "
    with pytest.raises(TypeError, match=match):
        save(small(), tmp_path / "a", trusted=["tests.Own", wrong])
    with pytest.raises(TypeError, match=match):
        load(tmp_path / "a", trusted=[Own, wrong])


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_a_path_of_any_type(kind, tmp_path):
    path = kind(tmp_path / "model.thin")
    save(small(), path)
    assert repr(load(path)) == repr(small())
    (tmp_path / "model.thin").write_bytes(b"other")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(tmp_path))}.model\.thin is not loaded"):
        load(path)


@pytest.mark.parametrize("wrong", [0, None, io.BytesIO()])
def test_no_path_is_refused_before_work(wrong, monkeypatch):
    monkeypatch.setattr("sklearn_thin._saving._readable_archive", None)
    for call in (lambda: save(small(), wrong), lambda: load(wrong)):
        with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike object, not"):
            call()


def in_steps(**params):
    return Pipeline([("scale", StandardScaler()), ("thin", small(**params))])


REFUSED = {  # by the place in the estimator
    "callbacks[0]": lambda: small(callbacks=[EpochScoring("accuracy")]),
    "optimizer": lambda: small(optimizer=torch.optim.NAdam),
    "augment": lambda: small(augment=max_error_of_own),
    "backbone": lambda: small(backbone=Own(64, 8)),
    "exogenous.estimator.func": lambda: small(
        FrozenEstimator(FunctionTransformer(max_error_of_own))
    ),
    "steps[1][1].callbacks[0]": lambda: in_steps(callbacks=[MlflowLogger(object(), object())]),
    "estimator.steps[1][1].callbacks[0]": lambda: GridSearchCV(
        in_steps(callbacks=[PrintLog()]), {"thin__depth": [0]}
    ),
    "scoring": lambda: GridSearchCV(small(), {}, scoring=make_scorer(max_error_of_own)),
    "scoring['mine']": lambda: StackedGridSearchCV(
        small(), {}, scoring={"mine": max_error_of_own}, refit=False
    ),
    "refit": lambda: GridSearchCV(small(), {}, refit=max_error_of_own),
    "param_distributions['lr']": lambda: RandomizedSearchCV(small(), {"lr": Rates(0, 1)()}),
}


@pytest.mark.parametrize("place", REFUSED)
def test_an_estimator_is_refused_by_the_place_of_the_parameter(place, tmp_path):
    estimator = REFUSED[place]()
    where = re.escape(f"because of {type(estimator).__name__}.{place}: ")
    with pytest.raises(TypeError, match=where + r"Untrusted .*save\(.*trusted=\[.*load\(") as error:
        save(estimator, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    trusted = re.findall(r"'([\w.]+)'", str(error.value).partition("Untrusted")[2])
    save(estimator, tmp_path / "a", trusted=trusted)
    assert type(load(tmp_path / "a", trusted=trusted)) is type(estimator)


DATES = {  # labels of two classes, and the type to trust
    "timestamps": lambda: [pd.Timestamp("2020-01-01 12:30:00.000000001"), pd.Timestamp("2021")],
    "timestamps in UTC": lambda: list(pd.to_datetime(["2020-01-01", "2021-01-01"], utc=True)),
    "intervals": lambda: list(pd.cut([0, 1], 2)),
    "periods": lambda: list(pd.period_range("2020", periods=2, freq="Y")),
    "decimals": lambda: [Decimal("0.1"), Decimal("0.2")],
    "dates": lambda: [date(2020, 1, 1), date(2021, 1, 1)],
}


@pytest.mark.parametrize("labels", DATES)
def test_labels_of_other_types_need_trust_or_text(labels, rows, tmp_path):
    y = np.array(DATES[labels](), object)[(rows[1] > 0).astype(int)]
    clf = small(max_epochs=1).fit(rows[0], y)
    match = (
        r"THINClassifier\.targets_: .*save\(.*trusted=\[.*labels as text, such as y\.astype\(str\)"
    )
    with pytest.raises(TypeError, match=match) as error:
        save(clf, tmp_path / "a")
    trusted = re.findall(r"'([\w.]+)'", str(error.value).partition("Untrusted")[2])
    save(clf, tmp_path / "a", trusted=trusted)
    loaded = load(tmp_path / "a", trusted=trusted)
    np.testing.assert_array_equal(loaded.predict(rows[0]), clf.predict(rows[0]))
    assert list(map(repr, loaded.classes_)) == list(map(repr, clf.classes_))


def test_labels_in_another_time_zone_may_be_text(rows, tmp_path):
    y = pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"]).tz_localize("Europe/Berlin"))
    clf = small(max_epochs=1).fit(rows[0], y.to_numpy()[(rows[1] > 0).astype(int)])
    with pytest.raises(TypeError, match=r"targets_: .*other than UTC.*tz_convert.*labels as text"):
        save(clf, tmp_path / "a", trusted=[pd.Timestamp])
    clf.fit(rows[0], y.astype(str).to_numpy()[(rows[1] > 0).astype(int)])
    assert_same_bits(clf, rows[0], tmp_path / "a")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_transformer_that_read_dates_in_a_zone_is_saved_in_utc(zone, rows, tmp_path):
    days = pd.date_range("2020-01-01", periods=len(rows[0]), freq="h", tz=zone).floor("D")
    X = pd.DataFrame(rows[0][:, :5]).assign(day=days).rename(columns=str)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = make_column_transformer((encoder, ["day"]), remainder="passthrough")
    clf = small(endogenous=steps, max_epochs=1).fit(X, rows[1])
    if zone == "UTC":
        save(clf, tmp_path / "a", trusted=[pd.Timestamp])
        loaded = load(tmp_path / "a", trusted=[pd.Timestamp])
        np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    else:
        with pytest.raises(TypeError, match=r"input_: .*zone other than UTC, and a file holds no"):
            save(clf, tmp_path / "a", trusted=[pd.Timestamp])


class HoldsNet(Callback):
    """A callback that keeps the net that calls it."""

    def on_train_begin(self, net, **kwargs):
        self.net = net


@pytest.mark.parametrize(
    ("callback", "trusted"),
    [
        (HoldsNet, [HoldsNet]),
        (LRScheduler, [LRScheduler, WarmRestartLR]),
        (PrintLog, []),
    ],
)
def test_a_fault_inside_the_net_is_named_by_its_place(callback, trusted, rows, tmp_path):
    clf = small(callbacks=[callback()], verbose=1).fit(*rows[:2]).set_params(callbacks=None)
    place = r"because of THINClassifier\.net_\.callbacks_\[0\]\[1\]: "
    with pytest.raises(TypeError, match=place):
        save(clf, tmp_path / "a", trusted=trusted)


def test_a_lambda_as_an_attribute_of_the_net_is_named(rows, tmp_path):
    clf = small().fit(*rows[:2])
    clf.net_.odd = lambda: 1
    with pytest.raises(TypeError, match=r"because of THINClassifier\.net_\.odd: .*at the top of"):
        save(clf, tmp_path / "a")


def test_callbacks_of_a_fit_are_refused_too(rows, tmp_path):
    clf = small(callbacks=[EpochScoring("accuracy", lower_is_better=False)]).fit(*rows[:2])
    clf.set_params(callbacks=None)
    with pytest.raises(TypeError, match=r"because of THINClassifier\.net_.*EpochScoring"):
        save(clf, tmp_path / "a")
    clf.net_.callbacks_.clear()
    assert_same_bits(clf, rows[0], tmp_path / "a")
