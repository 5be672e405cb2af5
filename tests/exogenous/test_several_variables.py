"""Several exogenous variables stand side by side."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from tests.helpers import FITS_LOGISTIC_REGRESSION, small, small_encoder, two_encoders

pytestmark = FITS_LOGISTIC_REGRESSION


@pytest.mark.parametrize("frame", [False, True], ids=["array", "frame"])
def test_several_variables_are_gated_by_side_by_side(frame, rows, two_targets):
    X, y, _ = rows
    targets = two_targets
    if frame:
        targets = pd.DataFrame({"ink": targets[:, 0], "side": targets[:, 1].astype(bool)})
    clf = small(two_encoders(), lam=0.1).fit(X, y, exogenous_target=targets)
    assert [name for name, _ in clf.exogenous_] == ["ink", "side"]
    assert clf.module_.gate.in_features == 4 + 2
    ink = small_encoder(random_state=0).fit(X, two_targets[:, 0])
    np.testing.assert_array_equal(clf.exogenous_[0][1].transform(X), ink.transform(X))
    assert len(clf.exogenous_[1][1].classes_) == 2


def test_parameters_of_several_variables_go_by_their_names(rows, two_targets):
    clf = small(two_encoders()).set_params(ink__max_epochs=1, side__hidden_units=3)
    assert clf.get_params()["ink__max_epochs"] == 1
    encoders = dict(clf.exogenous)
    assert (encoders["ink"].max_epochs, encoders["side"].hidden_units) == (1, 3)
    assert clone(clf).get_params()["side__hidden_units"] == 3
    clf.set_params(side=PCA(3, random_state=0), depth=1)
    clf.fit(rows[0], rows[1], exogenous_target=two_targets)
    assert clf.exogenous_[0][1].n_iter_ == 1
    assert clf.module_.gate.in_features == 4 + 3


def test_predictors_of_several_variables_go_by_their_names(rows, two_targets):
    X, y, _ = rows
    exogenous = [("ink", small_encoder()), ("side", PCA(16, random_state=0))]
    clf = small(exogenous, exogenous_predictor={"side": LogisticRegression()}, lam=0.1)
    clf.fit(X, y, exogenous_target=two_targets)
    assert clf.module_.gate.in_features == 4 + 2
    assert "train_dispelling" in clf.history_[-1]


def test_a_list_of_one_is_as_good_as_the_transformer(rows):
    X, y, z = rows
    single = small(small_encoder(random_state=0), lam=0.1).fit(X, y, exogenous_target=z)
    listed = small([("ink", small_encoder(random_state=0))], lam=0.1)
    listed.fit(X, y, exogenous_target=z)
    np.testing.assert_array_equal(listed.predict_proba(X), single.predict_proba(X))
    assert listed.exogenous_[0][0] == "ink"


def test_columns_of_a_frame_of_labels_go_by_the_names_of_the_variables(rows):
    X, y, z = rows
    pair = [("ink", small_encoder()), ("odd", small_encoder())]
    names = np.array(["even", "odd"])[z % 2]
    for frame in (pd.DataFrame, pl.DataFrame):
        clf = small(pair).fit(X, y, exogenous_target=frame({"odd": names, "ink": z}))
        classes = {name: list(encoder.classes_) for name, encoder in clf.exogenous_}
        assert classes == {"ink": [0, 1, 2, 3], "odd": ["even", "odd"]}
        # by place "odd" would learn what "ink" does
        with pytest.raises(ValueError, match=r"one for 'ink', but none for 'odd'\. Name a column"):
            small(pair).fit(X, y, exogenous_target=frame({"other": names, "ink": z}))
    # one that needs no labels needs no column
    mixed = [("pca", PCA(2)), ("ink", small_encoder())]
    clf = small(mixed).fit(X, y, exogenous_target=pd.DataFrame({"ink": z}))
    assert list(dict(clf.exogenous_)["ink"].classes_) == [0, 1, 2, 3]
