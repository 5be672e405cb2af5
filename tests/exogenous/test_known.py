"""A column of X as the exogenous variable: its levels or its number, and the ways to name it."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_thin.exogenous.columns import places_of
from sklearn_thin.exogenous.known import GivenVariable, KnownVariable, names_columns
from tests.helpers import small

IDS = [20231100000000000 + code for code in (0, 1, 2, 10)]


def frame():
    return pd.DataFrame(
        {
            "size": [1.5, 2.0, 3.5, np.nan],
            "site": ["b", "a", "b", None],
            "age": [30, 40, 30, 40],
        }
    )


@pytest.mark.parametrize(
    "values",
    [
        ["b", "a", "b", "a"],
        [1, 0, 1, 0],
        [1.0, 0.0, 1.0, 0.0],
        [True, False, True, False],
        pd.Categorical(["b", "a", "b", "a"]),
        pd.array([1, 0, 1, 0], dtype="Int64"),
    ],
    ids=["text", "int", "whole", "bool", "category", "Int64"],
)
def test_labels_of_each_type_become_the_probabilities_of_their_level(values):
    X = pd.DataFrame({"z": values, "x": 0.5})
    proba = KnownVariable("z").fit(X).transform(X)
    np.testing.assert_array_equal(proba, [[0, 1], [1, 0], [0, 1], [1, 0]])


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_missing_and_unseen_labels_get_the_frequencies_of_the_fit(make):
    known = KnownVariable("z").fit(make({"z": ["a", "b", "b", "b"]}))
    proba = known.transform(make({"z": ["new", None, "a"]}))
    np.testing.assert_allclose(proba, [[0.25, 0.75], [0.25, 0.75], [1, 0]])


def test_whole_numbers_are_the_same_level_as_ints_and_as_floats():
    known = KnownVariable(0).fit(np.array([[1], [2], [1], [2]]))
    np.testing.assert_array_equal(known.transform(np.array([[2.0], [1.0]])), [[0, 1], [1, 0]])


TYPES = r"column 'z' of X holds {}, such as {}, but its levels in fit were {}, such as {}\. Rows"


@pytest.mark.parametrize(
    ("levels", "came", "shown"),
    [
        (["01", "02", "10"], [1, 2], ("numbers", "1", "text", "01, 02, 10")),
        (["01", "02", "10"], ["1", "2"], ("numbers", "1", "text", "01, 02, 10")),
        (["site 1", "site 2"], [1], ("numbers", "1", "text", "site 1, site 2")),
        (["False", "True"], [True, False], ("numbers", "1", "text", "False, True")),
        ([1, 2], ["01", None], ("text", "01", "numbers", "1, 2")),
        ([0.5, 1.5], ["site"], ("text", "site", "numbers", "0.5, 1.5")),
        (IDS, ["site"], ("text", "site", "numbers", ", ".join(map(str, IDS[:3])))),
    ],
    ids=["padded", "padded text", "text", "bools", "ints", "doses", "ids"],
)
def test_levels_of_another_type_than_in_fit_warn(levels, came, shown):
    known = KnownVariable("z", kind="labels").fit(pd.DataFrame({"z": levels * 2}))
    with pytest.warns(UserWarning, match=TYPES.format(*shown)) as caught:
        proba = known.transform(pd.DataFrame({"z": came}))
    np.testing.assert_array_equal(proba, [known.prior_] * len(came))
    assert len(caught) == 1
    assert str(caught[0].message).endswith(f"prior. Pass the labels as {shown[2]}")
    both = known.transform(pd.DataFrame({"z": [*came, levels[0]]}))  # some are known
    assert both[-1].max() == 1


@pytest.mark.parametrize(
    ("levels", "came"),
    [
        (["a", "b"], ["new"]),
        ([1, 2], [3, 4]),
        ([1, 2], ["3"]),
        (["1", "2"], [3]),
        (["a", "7"], [8]),
        (["01", "02"], ["11"]),
        (["10", "20"], ["control"]),
        (["a", "b"], ["8"]),
        (["a", "b"], [None, None]),
        ([1, 2], [np.nan]),
    ],
)
def test_new_and_missing_levels_of_the_same_type_do_not_warn(levels, came):
    known = KnownVariable("z").fit(pd.DataFrame({"z": levels * 2}))
    proba = known.transform(pd.DataFrame({"z": came}))  # warnings are errors in tests
    np.testing.assert_array_equal(proba, [known.prior_] * len(came))


SCALED = r"holds at most 10 different numbers .* behind a StandardScaler.*kind='labels'"


@pytest.mark.parametrize("n_levels", [3, 10])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_behind_a_standard_scaler_warn(n_levels, dtype):
    codes = np.random.RandomState(0).randint(n_levels, size=(200, 1))
    X = StandardScaler().fit_transform(codes).astype(dtype)
    with pytest.warns(UserWarning, match=f"^column 0 of X {SCALED}"):
        assert KnownVariable(0).fit(X).classes_ is None
    with pytest.warns(UserWarning, match=f"^exogenous_target {SCALED}"):
        GivenVariable().fit(None, X[:, 0])
    for kind in ("labels", "number"):  # says it, in silence
        labels = KnownVariable(0, kind=kind).fit(X).classes_
        assert (labels is None) == (kind == "number")


@pytest.mark.parametrize(
    "numbers",
    [
        np.arange(16) * 22.5,
        np.array([0.25, 0.5, 1, 2]),
        np.array([-1.5, -0.5, 0.5, 1.5]),
        np.linspace(-np.pi, np.pi, 8),
        np.log([0.1, 0.5, 1, 5, 10]),
        StandardScaler().fit_transform(np.arange(200)[:, None])[:, 0],
    ],
    ids=["degrees", "doses", "steps", "radians", "log doses", "scaled numbers"],
)
def test_few_numbers_do_not_warn(numbers):
    KnownVariable(0).fit(np.resize(numbers, (200, 1)))  # warnings are errors in tests


def test_a_search_warns_once_of_scaled_labels():
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.randint(3, size=300), rng.normal(size=300)])
    pipe = make_pipeline(StandardScaler(), small(0, max_epochs=1))
    with pytest.warns(UserWarning, match=SCALED) as caught:
        GridSearchCV(pipe, {"thinclassifier__lr": [1e-3, 1e-2]}, cv=2).fit(X, X[:, 1] > 0)
    assert len(caught) == 1


def test_numbers_with_fractions_stay_a_number_and_miss_nothing():
    known = KnownVariable("size").fit(frame())
    np.testing.assert_allclose(known.transform(frame())[:, 0], [1.5, 2, 3.5, 2])
    assert known.classes_ is None
    assert not hasattr(known, "predictor_")


def test_kind_makes_numbers_of_whole_numbers_and_labels_of_fractions():
    np.testing.assert_array_equal(
        KnownVariable("age", kind="number").fit(frame()).transform(frame())[:, 0], [30, 40, 30, 40]
    )
    table = pd.DataFrame({"dose": [0.5, 1.5, 0.5, 1.5]})
    assert KnownVariable("dose", kind="labels").fit(table).classes_.tolist() == ["0.5", "1.5"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"z": ["a", "a", None]}, "at least two labels"),
        ({"z": ["a", "b", "c"]}, "3 labels in 3 rows"),
        ({"z": [None, None]}, "at least two labels"),
    ],
)
def test_a_column_without_use_is_named(table, message):
    with pytest.raises(ValueError, match=rf"column 'z' of X .*{message}"):
        KnownVariable("z").fit(pd.DataFrame(table))


def test_a_kind_that_is_not_known_is_named():
    with pytest.raises(ValueError, match=r"kind of KnownVariable must be .*'words'"):
        KnownVariable("age", kind="words").fit(frame())


@pytest.mark.parametrize("absurd", [1e300, -1e300, np.inf])
def test_a_number_beyond_float32_is_named(absurd):
    column = pd.DataFrame({"size": [0.5, 1.5, 2.5, absurd]})
    with pytest.raises(ValueError, match="column 'size' of X must hold finite numbers within"):
        KnownVariable("size").fit(column)
    known = KnownVariable("size").fit(frame())
    with pytest.raises(ValueError, match="column 'size' of X must hold finite numbers within"):
        known.transform(frame().assign(size=absurd))


def test_text_in_a_number_is_named():
    known = KnownVariable("size").fit(frame())
    with pytest.raises(ValueError, match="column 'size' of X held numbers in fit"):
        known.transform(frame().assign(size="big"))
    with pytest.raises(ValueError, match="column 'site' of X is to be a number"):
        KnownVariable("site", kind="number").fit(frame())


@pytest.mark.parametrize(
    ("columns", "places"),
    [
        ("site", [1]),
        (0, [0]),
        (-1, [2]),
        (["age", "size"], [2, 0]),
        ([False, True, True], [1, 2]),
        (lambda table: table.columns == "site", [1]),
        (slice(1, None), [1, 2]),
        (slice("size", "site"), [0, 1]),
        (make_column_selector(dtype_include="number"), [0, 2]),
    ],
)
def test_columns_are_named_as_in_a_column_transformer(columns, places):
    assert names_columns(columns)
    assert places_of(columns, frame()) == places


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        ("sites", frame(), r"X has 'size', 'site', 'age'\. Did you mean 'site'"),
        (3, frame(), "X has 3 columns"),
        ("site", np.ones((2, 3)), r"no column names\. Pass a frame, or .* from 0 to 2"),
        ("site", frame().add_prefix("rest__"), r"Did you mean 'rest__site'\?"),
        ("site", np.ones((2, 3)), r"ColumnTransformer, .* set_output\(transform='pandas'\)"),
        (slice(5, 9), frame(), "names no column"),
        ([True, False], frame(), r"one bool for each of the 3 columns.* got \[True, False\]"),
        ([True, 1, 2], frame(), "one bool for each of the 3 columns"),
        ([False, False, False], frame(), "some of them True"),
    ],
)
def test_a_column_that_is_not_there_is_answered_with_those_that_are(columns, table, message):
    with pytest.raises(ValueError, match=message):
        places_of(columns, table)


def test_a_known_variable_names_its_own_parameter():
    with pytest.raises(ValueError, match=r"^column names column 9 of X, but X has 3 columns"):
        KnownVariable(9).fit(frame())
    with pytest.raises(ValueError, match=r"^column names the column 'sites'"):
        KnownVariable("sites").fit(frame())
    with pytest.raises(ValueError, match=r"^column with bools must be a list of one bool"):
        KnownVariable(True).fit(frame())


def test_transformers_and_classes_name_no_columns():
    assert not names_columns(None)
    assert not names_columns(KnownVariable)
    assert not names_columns([("a", KnownVariable("a"))])
    assert not names_columns("given")
    assert not names_columns(True)


def test_a_known_variable_clones():
    assert clone(KnownVariable("site", kind="labels")).get_params() == {
        "column": "site",
        "kind": "labels",
    }


@pytest.mark.parametrize(
    "column",
    [
        np.array(IDS * 2),
        np.array(IDS * 2, np.uint64),
        np.array(IDS * 2, object),
        np.array([-i for i in IDS] * 2),
        pd.array(IDS * 2 + [None], dtype="Int64"),
        pd.Series([*IDS, *IDS, None], dtype=object),
        pd.Categorical(IDS * 2),
        pl.Series(IDS * 2),
        pl.Series([*IDS, *IDS, None]),
    ],
    ids=[
        "int64", "uint64", "object", "negative", "Int64", "object with a gap", "category",
        "polars", "polars with a gap",
    ],
)  # fmt: skip
def test_ids_beyond_53_bits_stay_apart(column):
    make = pl.DataFrame if isinstance(column, pl.Series) else pd.DataFrame
    X = make({"id": column})
    known = KnownVariable("id").fit(X)
    ids = [-i for i in IDS] if column[0] < 0 else IDS
    assert known.levels_.tolist() == [str(i) for i in sorted(ids)]
    proba = known.transform(X)
    np.testing.assert_array_equal(proba[:4], proba[4:8])
    np.testing.assert_array_equal(np.unique(proba[:4], axis=0)[::-1], np.eye(4))
    np.testing.assert_allclose(proba[8:], np.full((len(X) - 8, 4), 0.25))
    given = GivenVariable().fit(None, X["id"])
    assert given.levels_.tolist() == known.levels_.tolist()


def test_large_whole_numbers_may_be_a_number():
    X = pd.DataFrame({"time": IDS * 2})
    known = KnownVariable("time", kind="number").fit(X)
    np.testing.assert_array_equal(known.transform(X)[:, 0], np.float32(IDS * 2))


def test_large_floats_are_a_number_as_their_refusal_says():
    X = pd.DataFrame({"time": np.array(IDS * 2, float)})
    for variable, given in ((KnownVariable("time"), (X,)), (GivenVariable(), (None, X["time"]))):
        way = rf"text\. For a number pass kind='number' to {type(variable).__name__}$"
        with pytest.raises(ValueError, match=way):
            variable.fit(*given)
        assert variable.set_params(kind="number").fit(*given).prior_ == np.float32(IDS[1])
        with pytest.raises(ValueError, match=r"integers or text$"):  # labels were asked for
            variable.set_params(kind="labels").fit(*given)
    with pytest.raises(ValueError, match=r"integers or text$"):  # text is no number
        KnownVariable("id").fit(pd.DataFrame({"id": [*IDS, 2.0**60, "none"] * 2}))


def test_ids_as_floats_that_have_lost_digits_are_refused():
    X = pd.DataFrame({"id": [*IDS, *IDS, None]})  # which pandas holds as float64
    with pytest.raises(ValueError, match=r"^column 'id' of X holds labels as floats beyond 2\^53"):
        KnownVariable("id").fit(X)
    known = KnownVariable("id").fit(X.astype("Int64"))
    with pytest.raises(ValueError, match=r"such as 20231100000000000: .* Pass integers or text"):
        known.transform(X)
    with pytest.raises(ValueError, match=r"^exogenous_target holds labels as floats"):
        GivenVariable().fit(None, X["id"])


def boxed(values, dtype):
    """An array of objects, each of the type, with a gap."""
    return np.array([*np.array(values, dtype), None], object)


@pytest.mark.parametrize(
    ("dtype", "bits", "make"),
    [
        ("float32", 24, np.array),
        ("Float32", 24, pd.array),
        (">f4", 24, np.array),
        ("float16", 11, np.array),
        ("float32", 24, boxed),
        ("float16", 11, boxed),
    ],
)
def test_ids_as_narrow_floats_have_the_limit_of_their_type(dtype, bits, make):
    ids = np.array([2**bits - 1, 2**bits - 2] * 4)
    known = KnownVariable("id").fit(pd.DataFrame({"id": ids}))
    narrow = pd.DataFrame({"id": make(ids.astype(float), dtype=dtype)})
    assert_same = np.testing.assert_array_equal
    assert_same(known.transform(narrow)[:8], known.transform(pd.DataFrame({"id": ids})))
    assert_same(KnownVariable("id").fit(narrow).classes_, known.classes_)
    known = KnownVariable("id").fit(pd.DataFrame({"id": ids + 2}))  # 2^bits, and one more
    narrow = pd.DataFrame({"id": make((ids + 2).astype(float), dtype=dtype)})
    of_type = rf"as floats beyond 2\^{bits}, such as {2**bits}: a {dtype.lower()} holds"
    for call in (known.transform, KnownVariable("id").fit):
        with pytest.raises(ValueError, match=of_type):
            call(narrow)
    with pytest.raises(ValueError, match=of_type):
        GivenVariable().fit(None, narrow["id"])
    assert KnownVariable("id", kind="number").fit(narrow).prior_ == np.float32(2**bits)


@pytest.mark.parametrize("dtype", ["float32", "float64", "mixed"])
def test_merged_ids_are_found_in_categories_and_beside_text(dtype):
    bits = 24 if dtype == "float32" else 53
    ids = np.array([2**bits, 2**bits + 2] * 3, "f4" if bits == 24 else "f8")
    column = np.array([*ids.tolist(), "none", "none"], object)
    column = column if dtype == "mixed" else pd.Categorical(ids)
    of_type = rf"holds labels as floats beyond 2\^{bits}, such as {2**bits}: a {ids.dtype} holds"
    with pytest.raises(ValueError, match=f"^column 'id' of X {of_type}"):
        KnownVariable("id").fit(pd.DataFrame({"id": column}))
    with pytest.raises(ValueError, match=f"^exogenous_target {of_type}"):
        GivenVariable().fit(None, column)
    halves = pd.Categorical((ids - 2**bits + 0.5).astype(ids.dtype))
    assert KnownVariable("id").fit(pd.DataFrame({"id": halves})).levels_.tolist() == ["0.5", "2.5"]


def test_equal_levels_of_other_types_are_the_same_level():
    ids = np.arange(6) % 2
    columns = [ids, ids.astype("f4"), ids.astype(str), ids == 1, pd.array(ids == 1, "boolean")]
    columns += [pd.array(ids, "Int64"), pd.Categorical(ids), pd.Categorical(ids == 1)]
    frames = [pd.DataFrame({"id": column}) for column in columns]
    for known in (KnownVariable("id").fit(frame) for frame in frames):
        for frame in frames:
            np.testing.assert_array_equal(known.transform(frame), np.eye(2)[ids])
    halves = pd.DataFrame({"id": np.array([0.1, 0.5] * 3)})
    known = KnownVariable("id", kind="labels").fit(halves.astype("f4"))
    wide = halves.astype("f4").astype("f8")  # other numbers than 0.1
    np.testing.assert_array_equal(known.transform(wide), np.eye(2)[ids])


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([10, 9, -1, -2], ["-2", "-1", "9", "10"]),
        ([10.0, 9.0, 0.0, np.nan], ["0", "9", "10"]),
        (pd.Categorical([10, 9, 1, 2]), ["1", "2", "9", "10"]),
        (["10", "9", "1", "2"], ["1", "10", "2", "9"]),
        (pd.Categorical(["10", "9", "1", "2"]), ["1", "10", "2", "9"]),
        ([True, False, True, False], ["0", "1"]),
    ],
    ids=["ints", "floats", "category", "text", "category of text", "bools"],
)
def test_levels_are_in_the_order_of_the_labels_as_they_came(values, levels):
    X = pd.concat([pd.DataFrame({"z": values})] * 2)
    known = KnownVariable("z").fit(X)
    assert known.levels_.tolist() == levels
    assert known.classes_.tolist() == sorted(levels)


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float64", "Float64"])
def test_categories_of_floats_may_have_gaps(dtype):
    dose = pd.Categorical(pd.Series([0.5, 2.0, None] * 2).astype(dtype))
    known = KnownVariable("dose").fit(pd.DataFrame({"dose": dose}))
    assert known.classes_.tolist() == ["0.5", "2"]
    np.testing.assert_array_equal(known.transform(pd.DataFrame({"dose": dose}))[2], [0.5, 0.5])


def test_a_known_column_of_dates_is_refused_with_the_way_to_labels():
    X = frame()
    X["day"] = pd.to_datetime(["2026-01-05", "2026-01-06"] * 2)
    with pytest.raises(TypeError, match=r"'day' of X holds dates.*a batch.*: \.astype\(str\)$"):
        KnownVariable("day").fit(X)
    days = KnownVariable("day").fit(X.astype({"day": str})).levels_
    assert days.tolist() == ["2026-01-05", "2026-01-06"]
