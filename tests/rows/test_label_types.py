"""Labels of every type fit, predict and weigh as they were passed, or are refused by name."""

import datetime as dt
import enum
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.fixes import parse_version

from sklearn_thin.inspection import leakage_report, leakage_score, level_report, nuisance_report
from sklearn_thin.model_selection import SeedEnsembleClassifier, StackedGridSearchCV
from tests.helpers import FITS_LOGISTIC_REGRESSION, raw, run_python, small, small_encoder

IDS = np.array([720575940631797753, 720575940631797754, 720575940631798653])  # one as float64
DATES = [dt.date(2024, 1, day) for day in (1, 2, 3)]
TIMES = [dt.datetime(2024, 1, day, 12) for day in (1, 2, 3)]
MONTHS = ["2024-01", "2024-02", "2024-03"]
BINS = pd.interval_range(0, 3)


class Rank(enum.IntEnum):
    LOW, MID, HIGH = 1, 2, 3


class Site(str, enum.Enum):  # noqa: UP042 -- StrEnum is another class, whose text is its value
    NORTH, SOUTH, WEST = "n", "s", "w"


class Colour(enum.Enum):
    RED, GREEN, BLUE = 1, 2, 3


def series(labels, dtype):
    return lambda z: pd.Series(np.asarray(labels)[z], index=-np.arange(len(z))).astype(dtype)


def listed(labels):
    return lambda z: [labels[i] for i in z]


def boxed(labels):
    """An array of objects."""

    def make(z):
        array = np.empty(len(z), dtype=object)
        array[:] = [labels[i] for i in z]
        return array

    return make


WORDS = ["a", "b", "c"]
# codes 0..2 -> labels, with the sorted classes that they must give
KINDS = {
    "ints in objects": (boxed([1, 2, 3]), [1, 2, 3]),
    "numpy ints in objects": (boxed(list(np.arange(3, dtype=np.int16))), [0, 1, 2]),
    "bools in objects": (lambda z: (z > 0).astype(object), [False, True]),
    "floats in objects": (boxed([1.0, 2.0, 3]), [1, 2, 3]),
    "ints beyond 64 bits": (listed([2**70, 2**70 + 1, 2**70 + 2]), [2**70, 2**70 + 1, 2**70 + 2]),
    "list": (lambda z: z.tolist(), [0, 1, 2]),
    "tuple of words": (lambda z: tuple(listed(WORDS)(z)), WORDS),
    "column": (lambda z: pd.DataFrame({"z": z})["z"], [0, 1, 2]),
    "bins": (lambda z: pd.cut(z + 0.5, [0, 1, 2, 3]), list(BINS)),
    "series of bins": (lambda z: pd.Series(pd.cut(z + 0.5, [0, 1, 2, 3])), list(BINS)),
    "bins of quantiles": (lambda z: pd.qcut(z + np.arange(len(z)) / 1e3, 3, labels=WORDS), WORDS),
    "categories": (series(WORDS, "category"), WORDS),
    "categories of ints": (series([5, 6, 7], "category"), [5, 6, 7]),
    "periods": (
        lambda z: pd.PeriodIndex(np.array(MONTHS)[z], freq="M"),
        pd.PeriodIndex(MONTHS, freq="M"),
    ),
    "dates": (listed(DATES), DATES),
    "timestamps": (listed([pd.Timestamp(d) for d in DATES]), [pd.Timestamp(d) for d in DATES]),
    "days of numpy": (lambda z: np.array(DATES, "M8[D]")[z], np.array(DATES, "M8[D]")),
    "times of pandas": (series(TIMES, "datetime64[ns]"), np.array(TIMES, "M8[ns]")),
    "times in a zone": (
        series(pd.DatetimeIndex(TIMES, tz="UTC"), "datetime64[ns, UTC]"),
        [pd.Timestamp(t, tz="UTC") for t in TIMES],
    ),
    "durations": (lambda z: np.array([1, 2, 3], "m8[h]")[z], np.array([1, 2, 3], "m8[h]")),
    "Decimal": (
        listed([Decimal("0.1"), Decimal("0.2"), Decimal("0.25")]),
        [Decimal("0.1"), Decimal("0.2"), Decimal("0.25")],
    ),
    "Fraction": (
        listed([Fraction(1, 3), Fraction(2, 3), Fraction(1)]),
        [Fraction(1, 3), Fraction(2, 3), 1],
    ),
    "IntEnum": (listed(list(Rank)), list(Rank)),
    "Enum of words": (listed(list(Site)), list(Site)),
    "long ids": (series(IDS, "Int64"), IDS),
    "unsigned ids": (series(IDS, "UInt64"), IDS),
    "nullable bools": (lambda z: pd.Series(z > 0, dtype="boolean"), [False, True]),
    "nullable floats": (series([1.0, 2.0, 3.0], "Float64"), [1, 2, 3]),
    "pandas strings": (series(WORDS, "string"), WORDS),
    "numpy strings": (lambda z: np.array(WORDS)[z].astype(np.dtypes.StringDType()), WORDS),
    "polars ids": (lambda z: pl.Series(IDS[z]), IDS),
    "polars bools": (lambda z: pl.Series(z > 0), [False, True]),
    "polars words": (lambda z: pl.Series(np.array(WORDS)[z]), WORDS),
    "polars Categorical": (lambda z: pl.Series(np.array(WORDS)[z]).cast(pl.Categorical), WORDS),
    "polars Enum": (lambda z: pl.Series(np.array(WORDS)[z]).cast(pl.Enum(WORDS)), WORDS),
    "polars dates": (lambda z: pl.Series(listed(DATES)(z)), np.array(DATES, "M8[D]")),
    "polars times": (lambda z: pl.Series(listed(TIMES)(z)), np.array(TIMES, "M8[us]")),
    "tensor": (torch.tensor, [0, 1, 2]),
    "tensor of bools": (lambda z: torch.tensor(z > 0), [False, True]),
    "tensor of bfloat16": (lambda z: torch.tensor(z).bfloat16(), [0, 1, 2]),
    "tensor with a gradient": (lambda z: torch.tensor(z + 0.0, requires_grad=True), [0, 1, 2]),
}


@pytest.fixture(scope="module")
def coded(rows):
    """X, and codes 0..2 which X shows, of 120 rows."""
    X, y = rows[0][:120].copy(), np.arange(120) % 3
    X[:, :3] += 3 * np.eye(3, dtype=np.float32)[y]
    return X, y


def tiny(**params):
    return small_encoder(**{"max_epochs": 8, "lr": 0.01, "random_state": 0, **params})


def codes_of(kind, z):
    """Codes among the sorted classes of a kind; kinds of bools have two."""
    return z if len(KINDS[kind][1]) == 3 else np.minimum(z, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_label_comes_back(kind, coded):
    X, z = coded
    make, classes = KINDS[kind]
    codes, labels = codes_of(kind, z), make(z)
    clf = tiny().fit(X, labels)
    assert list(clf.classes_) == list(classes)
    plain = tiny().fit(X, codes)
    predicted = clf.predict(X)
    assert [list(classes).index(label) for label in predicted] == plain.predict(X).tolist()
    assert clf.score(X, labels) == plain.score(X, codes) > 0.9
    assert type(predicted) is np.ndarray


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_label_names_an_exogenous_variable(kind, coded):
    X, z = coded
    labels, codes = KINDS[kind][0](z), codes_of(kind, z)
    clf = small(tiny(), dispelling="erasure").fit(X, z == 0, exogenous_target=labels)
    plain = small(tiny(), dispelling="erasure").fit(X, z == 0, exogenous_target=codes)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert [list(c) for c in clf.erasure_encoder_.categories_] == [list(KINDS[kind][1])]


@pytest.mark.parametrize(
    "kind", ["bins", "long ids", "periods", "times of pandas", "Enum of words"]
)
def test_labels_of_every_type_are_known_in_all_other_places(kind, coded):
    X, z = coded
    make, classes = KINDS[kind]
    labels, weights = make(z), dict(zip(classes, [1.0, 5.0, 0.5], strict=True))
    held_out = {"X_val": X[:30], "y_val": make(z[:30]), "groups": make(z)}
    clf = tiny(class_weight=weights).fit(X, labels, **held_out)
    plain = tiny(class_weight={0: 1.0, 1: 5.0, 2: 0.5}).fit(X, z, X_val=X[:30], y_val=z[:30])
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert clf.history_[-1, "valid_loss"] == plain.history_[-1, "valid_loss"]
    going = small().partial_fit(X[:30], make(z[:30]), classes=make(np.array([2, 0, 1])))
    assert going.partial_fit(X[:2], make(z[:2])).n_iter_ == 2
    assert leakage_score(X, labels, random_state=0) == leakage_score(X, z, random_state=0)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_each_column_of_a_mixed_frame_keeps_its_type(frame, coded):
    X, z = coded
    y, half = z == 0, np.arange(120) // 60
    mixed = frame({"ink": np.array(WORDS)[z], "side": IDS[half], "third": half > 0})
    pair = [("ink", tiny()), ("side", tiny(random_state=1))]
    clf = small(pair, dispelling="erasure").fit(X, y, exogenous_target=mixed[["ink", "side"]])
    assert [
        list(v.classes_)
        for _, v in (
            (n, t.estimator if isinstance(t, FrozenEstimator) else t) for n, t in clf.exogenous_
        )
    ] == [WORDS, list(IDS[:2])]
    erased = small(dispelling="erasure").fit(X, y, exogenous_target=mixed)
    assert [c.tolist() for c in erased.erasure_encoder_.categories_] == [
        WORDS,
        IDS[:2].tolist(),
        [False, True],
    ]


def test_rows_of_a_list_keep_their_types(coded):
    X, z = coded
    target = [[WORDS[i], int(i)] for i in z]
    clf = small(dispelling="erasure").fit(X, z == 0, exogenous_target=target)
    assert [c.tolist() for c in clf.erasure_encoder_.categories_] == [WORDS, [0, 1, 2]]


DISPATCH = """
import numpy as np, sklearn, torch
from sklearn_thin import THINClassifier
from tests.helpers import raw, small, small_encoder
X, z = np.random.RandomState(0).randn(60, 4).astype("f4"), np.arange(60) % 3
thin = small(small_encoder(random_state=0), dispelling="erasure")
score = thin.fit(X, z, exogenous_target=z).score(X, z)
with sklearn.config_context(array_api_dispatch=True):
    X, z = torch.tensor(X), torch.tensor(z)
    assert thin.fit(X, z, exogenous_target=z).score(X, z) == score
    assert small_encoder().fit(X, z, groups=z, X_val=X, y_val=z).predict(X).dtype == np.int64
print("equal")
"""


def test_tensors_fit_under_array_api_dispatch():
    if parse_version(sklearn.__version__) < parse_version("1.8"):
        pytest.importorskip("array_api_compat")  # scikit-learn holds a copy since
    done = run_python("-c", DISPATCH, SCIPY_ARRAY_API="1")
    assert done.stdout == "equal\n", done.stderr


@FITS_LOGISTIC_REGRESSION
@pytest.mark.parametrize("kind", ["bins", "ints in objects", "numpy strings"])
def test_a_predictor_of_scikit_learn_fits_on_every_type(kind, coded):
    X, z = coded
    side = FrozenEstimator(tiny().fit(X, z))
    params = {"exogenous_predictor": LogisticRegression(), "max_epochs": 1}
    clf = small(side, **params).fit(X, z == 0, exogenous_target=KINDS[kind][0](z))
    plain = small(side, **params).fit(X, z == 0, exogenous_target=z)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("search", [GridSearchCV, StackedGridSearchCV])
def test_a_search_scores_labels_of_every_type(search, coded):
    X, z = coded
    labels, grid = KINDS["bins"][0](z), {"lr": [1e-3, 1e-2]}
    found = search(small(max_epochs=10), grid, cv=2, error_score="raise").fit(X, labels)
    assert found.score(X, labels) == (found.predict(X) == labels).mean() > 0.9


def test_an_ensemble_scores_labels_of_every_type(coded):
    X, z = coded
    labels = KINDS["dates"][0](z)
    ensemble = SeedEnsembleClassifier(raw(lr=1e-2, max_epochs=10), 2).fit(X, labels)
    assert ensemble.score(X, labels) > 0.9


REFUSED = {
    "mixed list": (
        listed(["a", 1, "b"]),
        TypeError,
        "one kind that can be sorted, got int and str",
    ),
    "mixed objects": (boxed([2, 1, "b"]), TypeError, "one kind.*got int and str"),
    "bool and int": (boxed([True, 1, 2]), TypeError, "one kind.*got bool and int"),
    "Enum": (listed(list(Colour)), TypeError, "got Colour .*value of each Enum member"),
    "bytes": (lambda z: np.array([b"a", b"b", b"c"])[z], TypeError, "got bytes.*decode"),
    "bytes in objects": (boxed([b"a", b"b", b"c"]), TypeError, "got bytes.*decode"),
    "complex": (lambda z: z + 1j, TypeError, "strings or integers, got complex128"),
    "numbers": (lambda z: z + 0.5, ValueError, r"continuous.*such as 0.5.*qcut.*KBinsDiscret"),
    "numbers in objects": (boxed([0.5, 1, 2]), ValueError, "continuous.*bin them first"),
    "nullable numbers": (series([0.5, 1, 2], "Float64"), ValueError, "continuous.*bin them first"),
    "NaN among words": (listed(["a", np.nan, "b"]), ValueError, "40 of 120 are missing"),
    "NA": (lambda z: pd.Series(z, dtype="Int64").where(z > 0), ValueError, "40 of 120 are missing"),
    "NaT": (listed([*TIMES[:2], pd.NaT]), ValueError, "40 of 120 are missing"),
    "null": (lambda z: pl.Series(listed([1, None, 2])(z)), ValueError, "40 of 120 are missing"),
    "infinite": (lambda z: np.array([0, 1, np.inf])[z], ValueError, "contains infinity"),
}


@pytest.mark.parametrize("name", ["y", "exogenous_target", "erased", "y_val", "classes", "z"])
@pytest.mark.parametrize("kind", REFUSED)
def test_labels_that_are_none_are_refused_by_name(kind, name, coded):
    X, z = coded
    make, error, match = REFUSED[kind]
    labels = make(z)
    fits = {
        "y": lambda: tiny().fit(X, labels),
        "exogenous_target": lambda: small(tiny()).fit(X, z, exogenous_target=labels),
        "erased": lambda: small(dispelling="erasure").fit(X, z, exogenous_target=labels),
        "y_val": lambda: tiny().fit(X, z, X_val=X, y_val=labels),
        "classes": lambda: small().partial_fit(X, z, classes=labels),
        "z": lambda: leakage_score(X, labels),
    }
    if name == "erased" and "continuous" in match:
        fits[name]()  # as numbers
        return
    called = "exogenous_target" if name == "erased" else name
    called = "" if kind == "infinite" else rf"\b{called}\b.*"
    with pytest.raises(error, match=rf"(?s){called}{match}"):
        fits[name]()


@pytest.mark.parametrize("groups", [[1, "a"] * 60, [0.5, None] * 60, np.arange(119)])
def test_groups_that_cannot_be_kept_together_are_refused_by_name(groups, coded):
    with pytest.raises((TypeError, ValueError), match="groups must "):
        tiny(early_stopping=True).fit(*coded, groups=groups)


def test_long_ids_stay_apart_as_groups(coded):
    X, z = coded
    groups = pd.Series(IDS[0] + np.arange(120) // 6, dtype="Int64")  # one as float64
    stopped = tiny(early_stopping=0.5).fit(X, z, groups=groups)
    plain = tiny(early_stopping=0.5).fit(X, z, groups=np.arange(120) // 6)
    np.testing.assert_array_equal(stopped.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(("dtype", "bits"), [("f4", 24), ("f8", 53), (object, 53)])
def test_ids_that_a_float_merges_are_refused_as_groups(dtype, bits, coded):
    X, z = coded
    y = np.arange(120) // 3 % 2
    ids = 2**bits + np.arange(120) // 6  # as floats, some are one
    groups = ids.astype(float).astype(dtype)
    match = rf"^groups holds labels as floats beyond 2\^{bits}, such as {2**bits}: "
    for call in (
        lambda: tiny(early_stopping=0.5).fit(X, z, groups=groups),
        lambda: nuisance_report(X, y, z, groups),
        lambda: leakage_report(X, z, groups=groups),
        lambda: level_report(y, y, z, groups=groups),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    tiny(early_stopping=0.5).fit(X, z, groups=(ids - 20).astype(float).astype(dtype))


def test_words_of_numbers_are_no_numbers(coded):
    X, z = coded
    with pytest.raises(
        ValueError, match=r"y_val has classes that are not known: \['0', '1', '2'\]"
    ):
        tiny().fit(X, z, X_val=X, y_val=z.astype(str))
    with pytest.raises(ValueError, match=r"y has none of the classes of the fit.*\[0, 1, 2\]"):
        tiny().fit(X, z).score(X, z.astype(str))
    with pytest.raises(ValueError, match=r"class_weight must have classes as keys, got \['0'\]"):
        tiny(class_weight={"0": 2.0}).fit(X, z)


def test_one_hot_labels_are_refused_with_the_way_to_unpack_them(coded):
    with pytest.raises(ValueError, match=r"y should be a 1d array.*\(120, 3\).*y.argmax\(axis=1\)"):
        tiny().fit(coded[0], np.eye(3)[coded[1]])


def test_an_instant_is_one_class_whatever_its_type(coded):
    X, z = coded
    weights = {pd.Timestamp(time): weight for time, weight in zip(TIMES, (1, 5, 2), strict=True)}
    labels = pd.Series(np.array(TIMES, "M8[ns]")[z])
    clf = tiny(class_weight=weights, max_epochs=1)
    clf.fit(X, labels, X_val=X, y_val=pl.Series([TIMES[i] for i in z]))
    assert clf.score(X, [TIMES[i] for i in z]) == clf.score(X, labels)
