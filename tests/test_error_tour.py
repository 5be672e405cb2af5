"""Mistakes of a first day: each error names the expected, the given and the way out."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone
from sklearn_thin.inspection import leakage_score
from sklearn_thin.model_selection import StackedGridSearchCV
from tests.helpers import raw_encoder, small, small_encoder

RNG = np.random.RandomState(0)
X, Y, Z = RNG.normal(size=(60, 4)), np.arange(60) % 2, np.arange(60) % 3
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(site=np.array(["u", "v", "w"])[Z])
NUMBERS = FRAME.drop(columns="site")


def fit(exogenous=None, rows=X, labels=Y, target=None, val=None, groups=None, **params):
    """A fit as a call for later, which no test data may change."""

    def call():
        given = {"exogenous_target": target, "groups": groups}
        given |= {} if val is None else {"X_val": val[0], "y_val": val[1]}
        return small(exogenous, **{"max_epochs": 1, **params}).fit(rows, labels, **given)

    return call


def fitted_encoder(rows=X):
    return FrozenEstimator(small_encoder().fit(rows, Z))


def self_training():
    labels = np.where(np.arange(60) % 3, Y, -1)
    with sklearn.config_context(enable_metadata_routing=True):
        model = SelfTrainingClassifier(small(small_encoder()))
        return model.fit(X, labels, exogenous_target=Z)


def set_params(**params):
    return lambda: small(backbone="auto").set_params(**params)


def search(**grid):
    model = make_pipeline(StandardScaler(), small(backbone="auto"))
    return lambda: StackedGridSearchCV(model, grid, cv=2).fit(X, Y)


# mistake -> the call, the type of its error, and words of the error in their order
TOUR = {
    # the exogenous side
    "a column that is not there": (
        fit("sit", FRAME),
        ValueError,
        "the column 'sit' | X has 'a', | Did you mean 'site'",
    ),
    "a name without a frame": (
        fit("site"),
        ValueError,
        "the column 'site' | no column names | Pass a frame, or the position",
    ),
    "a column beyond the last": (
        fit(["site", 7], FRAME),
        ValueError,
        "names column 7 of X | X has",
    ),
    "a class, no object": (
        fit(ExogenousEncoder, target=Z),
        TypeError,
        "transformer object | got the class ExogenousEncoder | Write ExogenousEncoder()",
    ),
    "a classifier": (
        fit(LogisticRegression(), target=Z),
        TypeError,
        "transformer | got LogisticRegression() | ExogenousEncoder() | exogenous_predictor",
    ),
    "the labels as the side": (
        fit(Z),
        TypeError,
        "transformer | got ndarray of shape (60,) | exogenous_target=",
    ),
    "a frozen side that was never fitted": (
        fit(FrozenEstimator(ExogenousEncoder())),
        NotFittedError,
        "'exogenous' | frozen but not fitted | ExogenousEncoder | without FrozenEstimator",
    ),
    "an encoder of other columns": (
        lambda: fit(fitted_encoder(), X[:, :3])(),
        ValueError,
        "ExogenousEncoder | fitted on 4 columns | X has 3 columns | Pipeline | ColumnTransformer",
    ),
    "an encoder of other names": (
        lambda: fit(fitted_encoder(NUMBERS), FRAME[["a", "b"]])(),
        ValueError,
        "fitted on the columns ['a', 'b', 'c', 'd'] | X has the columns ['a', 'b'] | Pipeline",
    ),
    "no labels for an unfitted encoder": (
        fit(ExogenousEncoder()),
        ValueError,
        "exogenous_target is missing | fit(X, y, exogenous_target=...) | FrozenEstimator",
    ),
    "a dispelling term without a predictor": (
        fit(PCA(2), lam=0.1),
        ValueError,
        "lam=0.1 needs a predictor | PCA brings none | exogenous_predictor | lam=0",
    ),
    # labels
    "labels that nothing reads": (
        fit(target=Z),
        UserWarning,
        "exogenous_target is not used | exogenous is None | ExogenousEncoder() | 'erasure'",
    ),
    "a scale as labels": (
        fit(small_encoder(), target=X[:, 0]),
        ValueError,
        "exogenous_target | Expected classes | such as 1.764: bin them | pandas.qcut",
    ),
    "a target of a regression": (
        fit(labels=X[:, 0]),
        ValueError,
        "y: | Expected classes | such as 1.764: bin them | pandas.qcut(y, | KBinsDiscretizer",
    ),
    "one-hot labels": (
        fit(labels=np.eye(2)[Y]),
        ValueError,
        "y | one label for each row | (60, 2) | y.argmax(axis=1)",
    ),
    "words among numbers": (
        fit(labels=[("a", 1)[i] for i in Y]),
        TypeError,
        "y must hold labels of one kind | int and str | str(label)",
    ),
    "gaps in the labels": (
        fit(small_encoder(), target=[("a", None, "b")[i] for i in Z]),
        ValueError,
        "exogenous_target | a label for each row | 20 of 60 are missing | Leave these rows out",
    ),
    "rows that a pipeline left out": (
        self_training,
        ValueError,
        "exogenous_target | 40 rows | got 60 | SelfTrainingClassifier | FrozenEstimator(encoder)",
    ),
    "a probe of one class": (
        lambda: leakage_score(X, np.zeros(60)),
        ValueError,
        "z must have at least two classes | got one class",
    ),
    # held-out rows
    "a class that only y_val has": (
        fit(val=(X, Y + 1)),
        ValueError,
        "y_val has classes that are not known: [2] | 30 rows | known are [0, 1]",
    ),
    "held-out rows of another width": (
        fit(val=(X[:, :3], Y)),
        ValueError,
        "X_val: | 3 features | THINClassifier is expecting 4",
    ),
    "too few groups": (
        fit(groups=Z[:50], early_stopping=True),
        ValueError,
        "groups must have | each of the 60 rows of X | got 50",
    ),
    # X
    "a column of words": (
        fit(rows=FRAME, endogenous=None),
        ValueError,
        "X must hold numbers | ['site'] hold text | OneHotEncoder | endogenous",
    ),
    "words in an array": (
        fit(rows=FRAME.to_numpy(), endogenous=None),
        ValueError,
        "X must hold numbers | [4] hold text | OneHotEncoder | endogenous",
    ),
    "rows of another width in predict": (
        lambda: fit(fitted_encoder())().predict(np.hstack([X, X])),
        ValueError,
        "X has 8 features | THINClassifier is expecting 4",
    ),
    "flat rows for an image network": (
        fit(backbone=ConvNetBackbone()),
        ValueError,
        "ConvNetBackbone needs images | samples of shape (4,) | image_shape=(height, width)",
    ),
    # arguments and parameters
    "labels as an argument of predict": (
        lambda: fit()().predict(X, Z),
        TypeError,
        "THINClassifier.predict(X, | too many positional | by name | exogenous=...",
    ),
    "labels as the third argument of fit": (
        lambda: small().fit(X, Y, Z),
        TypeError,
        "THINClassifier.fit(X, y=None | too many positional | by name | exogenous_target=...",
    ),
    "a parameter of the default backbone": (
        set_params(backbone__dropout=0.1),
        ValueError,
        "backbone__dropout | backbone='auto' | MLPBackbone( | ConvNetBackbone(",
    ),
    "a grid over the default dispelling": (
        search(thinclassifier__dispelling__rank=[8]),
        ValueError,
        "dispelling__rank | dispelling='cosine' | Alignment(",
    ),
    "a parameter of a side that is None": (
        set_params(exogenous__max_epochs=3),
        ValueError,
        "exogenous__max_epochs | exogenous=None | ExogenousEncoder(",
    ),
    "a side of another architecture": (
        fit(ExogenousEncoder(MLPBackbone((9,))), target=Z, lam=0.1),
        ValueError,
        "h_endo has 16 features | the predictor reads 9 | the same backbone | lam=0",
    ),
}


@pytest.mark.parametrize("mistake", TOUR)
def test_a_mistake_meets_words_that_help(mistake):
    call, error, words = TOUR[mistake]
    catches = pytest.warns if issubclass(error, Warning) else pytest.raises
    with catches(error) as caught:
        call()
    came = caught[0] if issubclass(error, Warning) else caught
    text, place = str(came.message if issubclass(error, Warning) else came.value), 0
    for part in words.split(" | "):
        place = text.find(part, place)
        assert place >= 0, f"{part!r} is not in its place in: {text}"
    for private in ("BaseNet", "BaseTHIN", "ClassOutputs", "NoneType", "object has no attribute"):
        assert private not in text


@pytest.mark.parametrize("column", ["category", "string", "object"])
def test_text_of_every_type_is_named_by_its_column(column):
    rows = FRAME.assign(site=FRAME["site"].astype(column))
    with pytest.raises(ValueError, match=r"columns \['site'\] hold text"):
        fit(rows=rows, endogenous=None)()
    with pytest.raises(ValueError, match=r"\['site'\] hold text.*in front of ExogenousEncoder"):
        raw_encoder().fit(rows, Y)


def test_text_of_polars_and_of_predict_is_named_by_its_column():
    with pytest.raises(ValueError, match=r"columns \['site'\] hold text"):
        fit(rows=pl.DataFrame({"a": X[:, 0], "site": FRAME["site"].tolist()}), endogenous=None)()
    with pytest.raises(ValueError, match=r"columns \['b'\] hold text"):
        fit(rows=NUMBERS, endogenous=None)().predict(NUMBERS.assign(b="1.5 m"))


def test_numbers_in_words_are_numbers():
    clf = fit(rows=NUMBERS, endogenous=None)()
    np.testing.assert_array_equal(
        clf.predict(NUMBERS.assign(a=NUMBERS["a"].map(str))), clf.predict(NUMBERS)
    )
