"""Tables as they come: the transformer of `endogenous="auto"` and `preprocessor="auto"`."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from sklearn_thin import ExogenousEncoder, MLPBackbone, TablePreprocessor, THINClassifier
from sklearn_thin.exogenous import KnownVariable
from sklearn_thin.model_selection import StackedGridSearchCV
from tests.helpers import METHODS, SMALL, small, small_encoder, with_known_column

NAN = float("nan")
HEIGHT = 0.35  # of levels, and of marks of missing numbers


@pytest.fixture(scope="module")
def separable():
    """Three classes that a small network tells apart."""
    rng = np.random.RandomState(0)
    y = rng.randint(0, 3, 500)
    return rng.normal(size=(500, 8)) + 3 * np.eye(8)[y], y


@pytest.fixture(scope="module")
def mixed():
    """A frame with all kinds of columns, and labels that its text decides."""
    rng = np.random.RandomState(0)
    site = rng.choice(["north", "south", "west"], 120)
    frame = pd.DataFrame(
        {
            "size": np.where(rng.rand(120) < 0.1, np.nan, rng.rand(120)),
            "count": rng.randint(0, 9, 120),
            "site": np.where(rng.rand(120) < 0.1, None, site),
            "open": rng.rand(120) < 0.5,
            "kind": pd.Categorical(rng.choice([1, 2, 3], 120)),
        }
    )
    return frame, (site == "south").astype(int)


def transformed(X, rows=None):
    """Rows, or X itself, behind a fit on X."""
    return TablePreprocessor().fit(X).transform(X if rows is None else rows)


# ------------------------------------------------------------------ extreme values


@pytest.mark.parametrize("value", [-9999, 1e6, 1e300])
@pytest.mark.parametrize("n_cells", [1, 40])
def test_cells_that_stand_for_no_data_do_not_spoil_a_fit(value, n_cells, separable):
    X, y = separable
    X = X.copy()
    X[:n_cells, 2] = value
    longer = {"max_epochs": 15, "lr": 1e-2}
    for kind in (small(**longer), small_encoder(**longer)):
        assert kind.fit(X, y).score(X[n_cells:], y[n_cells:]) > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", [1e-6, 1e9])
def test_units_do_not_matter(unit, dtype, separable):
    X = separable[0].astype(dtype)
    np.testing.assert_allclose(transformed(X * dtype(unit)), transformed(X), atol=1e-5)


def test_numbers_far_from_zero_keep_their_differences():
    seconds = 1.7e9 + np.arange(100.0)[:, None]
    np.testing.assert_allclose(transformed(seconds), transformed(seconds - 1.7e9), atol=1e-6)


def test_a_column_of_few_other_values_is_scaled_by_these():
    X = np.zeros((100, 2))
    X[:20] = np.arange(20)[:, None]  # whose quartiles are equal
    X[0, 0] = -9999
    z = transformed(X)
    np.testing.assert_allclose(z[1:, 0], z[1:, 1], atol=0.1)
    assert np.ptp(z[1:, 0]) > 1


def test_rounding_is_no_difference():
    assert not transformed(np.array([[0.1 + 0.2], [0.3]] * 20)).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_finite_numbers_stay_finite(dtype):
    largest, tiny = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    X = np.array([[largest, tiny], [-largest, 0], [0, -tiny], [1, largest]] * 5, dtype)
    for rows in (X, X.astype(np.float32) if dtype is np.float32 else X[::-1]):
        z = transformed(X, rows)
        assert np.isfinite(z).all()
        assert np.abs(z).max() <= 3


def test_infinite_values_are_refused(separable):
    X = separable[0].copy()
    X[3, 3] = np.inf
    with pytest.raises(ValueError, match="X contains infinity"):
        TablePreprocessor().fit(X)
    with pytest.raises(ValueError, match="X contains infinity"):
        transformed(separable[0], X)


# ------------------------------------------------------------------ missing values, constants


@pytest.fixture(scope="module")
def mixes():
    """Eight columns that are mixes of three, with noise; and 10 % of the cells."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(600, 3)) @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(600, 8))
    return X, rng.rand(*X.shape) < 0.1


def test_missing_numbers_are_marked():
    X = np.array([[1.0, 1], [2, 2], [3, 3], [NAN, 4]])
    z = transformed(X)
    assert z.shape == (4, 3)
    np.testing.assert_allclose(z[:, 2], [0, 0, 0, HEIGHT])
    # a column that was complete in fit needs no mark
    assert transformed(X, [[2, NAN]])[0, 2] == 0


@pytest.mark.parametrize("missing_in_fit", [False, True])
@pytest.mark.parametrize("kind", ["float64", "float32", "text beside", "no data in a cell"])
def test_the_other_columns_predict_missing_numbers(kind, missing_in_fit, mixes):
    X, absent = mixes
    holes = np.where(absent, NAN, X)
    tables = [(holes if missing_in_fit else X).copy(), holes, X]
    if kind == "no data in a cell":
        tables[0][3, ~absent[3]] = -9999
    elif kind == "text beside":
        names, site = list("abcdefgh"), ["north", "south"] * 300
        tables = [pd.DataFrame(table, columns=names).assign(site=site) for table in tables]
    else:
        tables = [table.astype(kind) for table in tables]
    fitted = TablePreprocessor().fit(tables[0])
    filled, complete = (fitted.transform(table)[:, :8] for table in tables[1:])
    np.testing.assert_array_equal(filled[~absent], complete[~absent])
    unexplained = np.square(filled - complete)[absent].mean() / complete[absent].var()
    assert unexplained < 0.15


def test_a_row_is_filled_alike_beside_any_other_rows(mixes, monkeypatch):
    X, absent = mixes
    X = np.where(absent, NAN, X)
    fitted = TablePreprocessor().fit(X)
    expected = fitted.transform(X)
    singly = np.concatenate([fitted.transform(row[None]) for row in X])
    np.testing.assert_array_equal(singly, expected)
    np.testing.assert_array_equal(fitted.transform(X[::-1])[::-1], expected)
    monkeypatch.setattr("sklearn_thin.rows.gaussian.ELEMENTS", 20)
    np.testing.assert_array_equal(fitted.transform(X), expected)


@pytest.mark.parametrize("columns", [[0], [0, 1, 2], list(range(8))])
def test_columns_that_miss_all_values_do_no_harm(columns, mixes):
    X, absent = mixes
    X = np.where(absent, NAN, X)
    empty = X.copy()
    empty[:, columns] = NAN
    for fitted in (TablePreprocessor().fit(X), TablePreprocessor().fit(empty)):
        z = fitted.transform(empty)
        assert np.abs(z).max() <= 3
        assert np.isfinite(fitted.transform(X)).all()
    assert not z[:, columns].any()
    others = [j for j in range(8) if j not in columns]
    if others:
        np.testing.assert_allclose(z[:, others], transformed(empty[:, others])[:, : len(others)])


@pytest.mark.parametrize("n_rows", [1, 2, 9])
def test_few_rows_fill_missing_numbers(n_rows, mixes):
    X, absent = mixes
    few = np.where(absent, NAN, X)[:n_rows]
    assert np.isfinite(transformed(few, np.full((2, 8), NAN))).all()
    assert np.isfinite(transformed(few)).all()


def test_missing_numbers_of_a_wide_table_become_the_median(mixes, monkeypatch):
    X, absent = mixes
    monkeypatch.setattr("sklearn_thin.rows.tables.WIDEST", 7)
    z = transformed(np.where(absent, NAN, X))
    assert not z[:, :8][absent].any()


@pytest.mark.parametrize("first", [5.0, NAN, None, "a", True])
def test_columns_without_different_values_are_ignored(first):
    X = np.array([[first, i] for i in range(10)], dtype=object)
    other = np.array([["b" if isinstance(first, str) else 7, 3]], dtype=object)
    z = transformed(X)
    assert z.shape == (10, 2)
    assert not z[:, 0].any()
    np.testing.assert_array_equal(transformed(X, other), z[3:4])


def test_a_table_without_any_different_values_still_fits():
    clf = small(max_epochs=1).fit(np.full((20, 3), "a"), np.arange(20) % 2)
    assert clf.predict(np.full((2, 3), "b")).shape == (2,)


# ------------------------------------------------------------------ kinds of columns


def as_polars(frame):
    site = [None if pd.isna(level) else level for level in frame["site"]]
    columns = {"kind": frame["kind"].astype(str).to_list(), "site": site}
    return pl.DataFrame({name: columns.get(name, frame[name]) for name in frame.columns})


KINDS = {
    "pandas": lambda frame: frame,
    "nullable": lambda frame: frame.convert_dtypes(),
    "category": lambda frame: frame.astype({"site": "category"}),
    "objects": lambda frame: frame.astype(object).to_numpy(),
    "polars": as_polars,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_is_read_alike(kind, mixed):
    frame, y = mixed
    if kind == "objects":  # without the type of a category, its numbers are numbers
        frame = frame.astype({"kind": str})
    table = KINDS[kind](frame)
    np.testing.assert_array_equal(transformed(table), transformed(frame))
    clf = small(max_epochs=30, lr=1e-2).fit(table, y)
    assert clf.score(table, y) > 0.85
    for method in METHODS:
        assert len(getattr(clf, method)(table[:3])) == 3


def test_text_that_reaches_the_backbone_is_encoded_beside_an_exogenous_side(mixed):
    frame, y = mixed
    side = ColumnTransformer([("site", OneHotEncoder(), ["site"])])
    assert small(side, max_epochs=30, lr=1e-2).fit(frame, y).score(frame, y) > 0.85


def test_levels_are_named_and_a_missing_value_is_one(mixed):
    frame = mixed[0]
    names = TablePreprocessor().fit(frame).get_feature_names_out().tolist()
    expected = ["size", "count", "open", "missingindicator_size"]
    expected += [f"site_{level}" for level in ("north", "south", "west", None)]
    assert names == [*expected, "kind_1", "kind_2", "kind_3"]


def test_unknown_levels_are_ignored():
    z = transformed([[1, "a"], [2, "b"], [3, "b"], [4, "a"]], [[1, "c"], [1, None], [1, 7]])
    assert not z[:, 1:].any()


def test_rare_levels_share_a_column():
    ids = np.array([["often"]] * 100 + [[f"id {i}"] for i in range(1000)])
    fitted = TablePreprocessor().fit(ids)
    counts = fitted.transform(ids).sum(0)
    np.testing.assert_allclose(sorted(counts / HEIGHT)[-2:], [100, 1000 - 254], rtol=1e-5)
    assert fitted.transform([["new"]]).argmax() == counts.argmax()


def test_whole_numbers_are_the_same_level_as_int_and_as_float():
    frame = pd.DataFrame({"code": pd.Categorical([1, 2, 3] * 5)})
    fitted = TablePreprocessor().fit(frame)
    with_missing = pd.DataFrame({"code": pd.Categorical([1.0, 2.0, 3.0, None])})
    np.testing.assert_allclose(fitted.transform(with_missing)[:3], HEIGHT * np.eye(3))


def test_bools_beside_text_are_the_same_levels_in_rows_without_text():
    answers = pd.Series([True, False, "unknown"] * 4, dtype=object)
    X = pd.DataFrame({"answer": answers, "number": np.arange(12.0)})
    for transformer in (TablePreprocessor(), KnownVariable("answer")):
        whole = transformer.fit(X).transform(X)
        part = X.iloc[[0, 1, 3]]
        for rows in (part, part.astype({"answer": bool}), part.astype({"answer": "boolean"})):
            np.testing.assert_array_equal(transformer.transform(rows), whole[[0, 1, 3]])


def test_timedeltas_are_seconds():
    days = np.arange(10).astype("timedelta64[D]")[:, None]
    seconds = 86400.0 * np.arange(10)[:, None]
    for table in (
        days,
        pd.DataFrame(days, columns=["d"]),
        pl.DataFrame({"d": days[:, 0].astype("m8[us]")}),
    ):
        np.testing.assert_array_equal(transformed(table), transformed(seconds))


DAYS = pd.date_range("2026-01-01", periods=10)
DATES = {
    "pandas": pd.DataFrame({"when": DAYS}),
    "time zone": pd.DataFrame({"when": DAYS.tz_localize("UTC")}),
    "another zone": pd.DataFrame({"when": DAYS.tz_localize("Europe/Berlin")}),
    "objects in a zone": pd.DataFrame(
        {"when": list(DAYS.tz_localize("Europe/Berlin"))}, dtype=object
    ),
    "period": pd.DataFrame({"when": DAYS.to_period("D")}),
    "objects": pd.DataFrame({"when": list(DAYS.date)}),
    "polars": pl.DataFrame({"when": list(DAYS.date)}),
    "array": np.asarray(DAYS.to_numpy())[:, None],
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_are_refused_with_the_name_of_their_column(kind):
    name = "column 0 of X" if kind == "array" else "column 'when' of X"
    with pytest.raises(TypeError, match=f"{name} holds dates.*month"):
        small().fit(DATES[kind], np.arange(10) % 2)


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_dates_in_a_known_column_are_refused_with_its_name(zone):
    X = pd.DataFrame({"when": DAYS.tz_localize(zone), "length": np.arange(10.0)})
    with pytest.raises(TypeError, match=r"column 'when' of X holds dates.*month"):
        small("when").fit(X, np.arange(10) % 2)


@pytest.mark.parametrize("cell", [{"a": 1}, [1, 2], np.arange(3)])
def test_cells_that_are_no_values_are_refused(cell):
    X = np.array([[float(i), float(i)] for i in range(10)], dtype=object)
    X[2, 1] = cell
    with pytest.raises(TypeError, match=r"column 1 of X holds .* string or a real number"):
        small().fit(X, np.arange(10) % 2)


def test_complex_numbers_are_refused():
    with pytest.raises(ValueError, match="Complex data not supported"):
        small().fit(np.ones((10, 2)) * 1j, np.arange(10) % 2)


def test_text_among_numbers_is_named_in_predict(mixed):
    frame, y = mixed
    clf = small(max_epochs=1).fit(frame, y)
    with pytest.raises(ValueError, match=r"column 'count' of X held numbers.*text, such as 'many'"):
        clf.predict(frame.assign(count="many"))


# ------------------------------------------------------------------ in an estimator


def test_outputs_are_float32_in_c_order_under_any_global_setting(mixed):
    frame, y = mixed
    expected = small(max_epochs=1).fit(frame, y).predict_proba(frame)
    with sklearn.config_context(transform_output="pandas"):
        clf = small(max_epochs=1).fit(frame, y)
        np.testing.assert_array_equal(clf.predict_proba(frame), expected)
        assert isinstance(TablePreprocessor().fit_transform(frame), pd.DataFrame)
    z = clf.endogenous_.transform(frame)
    assert z.dtype == np.float32
    assert z.flags.c_contiguous


@pytest.mark.parametrize("by", [{"early_stopping": 100}, {"X_val": True}])
def test_medians_are_those_of_the_training_rows(by, separable):
    X, y = separable
    held_out = {"X_val": X[:100] + 50, "y_val": y[:100]} if "X_val" in by else {}
    params = {} if held_out else by
    clf = small(max_epochs=1, **params).fit(X[100:], y[100:], **held_out)
    whole = np.median(X[100:], axis=0)
    assert np.allclose(clf.endogenous_.centre_, whole) == bool(held_out)
    encoder = ExogenousEncoder(SMALL, max_epochs=1, **params).fit(X[100:], y[100:], **held_out)
    assert np.allclose(encoder.preprocessor_.centre_, whole) == bool(held_out)


@pytest.mark.parametrize("step", ["warm start", "partial_fit"])
def test_a_fit_that_goes_on_keeps_the_transformer(step, separable):
    X, y = separable
    clf = small(max_epochs=1, warm_start=True)
    fit = clf.fit if step == "warm start" else clf.partial_fit
    first = fit(X, y).endogenous_
    centre = first.centre_.copy()
    fit(X + 1, y)
    assert clf.endogenous_ is first
    np.testing.assert_array_equal(first.centre_, centre)
    with pytest.raises(ValueError, match="endogenous was 'auto' when the network was built"):
        clf.set_params(endogenous=None).fit(X, y)


def test_an_inner_encoder_reads_the_table_by_its_own_transformer(mixed):
    frame, y = mixed
    z = (frame["count"] > 4).to_numpy()
    clf = small(small_encoder(), lam=0.01, max_epochs=1).fit(frame, y, exogenous_target=z)
    names = clf.exogenous_.preprocessor_.get_feature_names_out()
    np.testing.assert_array_equal(names, clf.endogenous_.get_feature_names_out())


@pytest.mark.parametrize("preprocessor", ["auto", None, StandardScaler()])
def test_the_width_of_an_inner_encoder_is_known_before_its_training(preprocessor, separable):
    X, y = separable
    encoder = ExogenousEncoder(as_it_is, preprocessor=preprocessor, max_epochs=10**9)
    clf = small(encoder, lam=0.01, backbone=MLPBackbone((7,)))
    with pytest.raises(ValueError, match=r"\b7\b.*\b8\b|\b8\b.*\b7\b"):
        clf.fit(X, y, exogenous_target=y)


def as_it_is(shape):
    """A backbone that gives its input."""
    return torch.nn.Identity()


def test_tags_follow_the_parameter():
    assert get_tags(THINClassifier()).input_tags.allow_nan
    assert get_tags(ExogenousEncoder()).input_tags.string
    for clf in (THINClassifier(endogenous=None), ExogenousEncoder(preprocessor=StandardScaler())):
        assert not get_tags(clf).input_tags.string
    assert not get_tags(THINClassifier(endogenous=None)).input_tags.allow_nan
    assert get_tags(THINClassifier(endogenous=StandardScaler())).input_tags.allow_nan
    assert get_tags(THINClassifier(ExogenousEncoder())).input_tags.allow_nan
    for side in (PCA(2), [("a", ExogenousEncoder()), ("b", PCA(2))]):
        assert not get_tags(THINClassifier(side)).input_tags.allow_nan


def test_a_search_fits_one_transformer_for_all_candidates_on_a_fold(separable, monkeypatch):
    X, y = separable
    fits, fit = [], TablePreprocessor.fit

    def counted(self, X, y=None):
        fits.append(len(X))
        return fit(self, X)

    monkeypatch.setattr(TablePreprocessor, "fit", counted)
    grid = {"depth": [0, 1], "lr": [1e-3, 3e-3, 1e-2]}
    search = StackedGridSearchCV(small(max_epochs=1, random_state=None), grid, cv=3, refit=False)
    search.fit(X, y)
    assert len(fits) == 3


def test_rows_in_blocks_and_in_files_are_transformed_alike(mixed, in_files, monkeypatch):
    frame, y = mixed
    expected = small(early_stopping=30).fit(frame, y).predict_proba(frame)
    files = in_files()
    monkeypatch.setattr("sklearn_thin.rows.tables.BLOCK", 7)
    clf = small(early_stopping=30).fit(frame, y)
    np.testing.assert_array_equal(clf.predict_proba(frame), expected)
    assert files.called


def test_many_rows_give_their_medians_by_a_sample_that_is_always_the_same(separable, monkeypatch):
    X = separable[0]
    monkeypatch.setattr("sklearn_thin.rows.tables.SAMPLE", 100)
    one, other = TablePreprocessor().fit(X), TablePreprocessor().fit(X)
    np.testing.assert_array_equal(one.centre_, other.centre_)
    assert 0 < np.abs(one.centre_ - np.median(X, axis=0)).max() < 1


# ------------------------------------------------------------------ raw rows


@pytest.mark.parametrize("value", [-9999, 1e6])
def test_a_fit_on_raw_rows_warns_where_one_cell_has_spoilt_it(value, separable):
    X, y = separable
    frame = pd.DataFrame(X.copy(), columns=list("abcdefgh"))
    frame.loc[7, "c"] = value
    with pytest.warns(RuntimeWarning, match=f"'c' .{re.escape(f'{value:g}')}.*endogenous=\"auto\""):
        small(endogenous=None, max_epochs=15, lr=1e-2).fit(frame, y)
    encoder = ExogenousEncoder(SMALL, preprocessor=None, max_epochs=15, lr=1e-2)
    with pytest.warns(RuntimeWarning, match='column 2 .*preprocessor="auto"'):
        encoder.fit(frame.to_numpy(), y)


def test_the_warning_comes_too_where_every_batch_holds_the_cell(separable):
    X, y = separable[0][:60].copy(), separable[1][:60]
    X[7, 2] = 1e6
    with pytest.warns(RuntimeWarning, match="class frequencies.*column 2"):
        small(endogenous=None, batch_size=60, max_epochs=10).fit(X, y)


@pytest.mark.parametrize(
    "params",
    [
        {"max_epochs": 1},
        {"backbone": MLPBackbone((32,), dropout=0.5)},
        {"early_stopping": 5},
        {"batch_size": 500},
        {"dispelling": "erasure"},
        {"class_weight": "balanced"},
    ],
)
def test_ordinary_fits_on_raw_rows_warn_of_nothing(params, separable):
    X, y = separable
    target = {"exogenous_target": y % 2} if "dispelling" in params else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in (20, 500):
            small(endogenous=None, **params).fit(
                X[:n], y[:n], **{name: z[:n] for name, z in target.items()}
            )


@pytest.mark.parametrize(
    "kind", [small(endogenous=None), ExogenousEncoder(SMALL, preprocessor=None)]
)
def test_raw_rows_must_be_finite_numbers(kind, few):
    X, y, _ = few
    with pytest.raises(ValueError, match="X contains NaN"):
        kind.fit(np.where(X > 0.9, NAN, X), y)
    with pytest.raises(ValueError, match="could not convert string"):
        kind.fit(np.full(X.shape, "a"), y)


def test_a_known_column_of_text_may_steer_the_gate_and_reach_the_backbone(digits):
    X = with_known_column(digits).astype(object)
    X[:, -1] = np.array(list("abcd"))[X[:, -1].astype(int)]
    side = ColumnTransformer([("known", OneHotEncoder(), [64])])
    clf = small(side, max_epochs=1).fit(X, digits.y[:200])
    assert clf.endogenous_.get_feature_names_out()[-1] == "x64_d"
