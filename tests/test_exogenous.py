"""The exogenous side: frozen for good, evaluated once, and whatever a user may pass for it."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin._exogenous import Dispeller
from sklearn_thin.losses import cosine_dispelling

# scikit-learn 1.6's LogisticRegression passes options that scipy 1.17 warns of
pytestmark = pytest.mark.filterwarnings(
    "ignore:scipy.optimize. The `disp` and `iprint` options:DeprecationWarning"
)

SMALL = MLPBackbone((32,))


def small(exogenous=None, **params):
    defaults = {"backbone": SMALL, "max_epochs": 2, "hidden_units": 16, "depth": 2}
    return THINClassifier(exogenous, **{**defaults, "random_state": 0, **params})


def small_encoder(**params):
    return ExogenousEncoder(SMALL, **{"hidden_units": 16, "max_epochs": 2, **params})


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:200], digits.y[:200], digits.z[:200]


@pytest.fixture(scope="module")
def encoder(rows):
    """A fitted encoder, not to be changed."""
    return small_encoder(max_epochs=10, random_state=0).fit(rows[0], rows[2])


def arrays(module):
    """Copies of all parameters and buffers."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_bit_equal(state, other):
    assert state.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in state.items())


# ----------------------------------------------------------------- frozen for good


@pytest.mark.parametrize("augment", [None, lambda x: x + 0.1], ids=["cached", "augmented"])
def test_fit_changes_nothing_of_a_frozen_encoder(augment, digits):
    images, y, z = digits.images[:200], digits.y[:200], digits.z[:200]
    encoder = ExogenousEncoder(max_epochs=1, random_state=0).fit(images, z)
    before = arrays(encoder.module_)
    asked = [p.requires_grad for p in encoder.module_.parameters()]
    clf = small(FrozenEstimator(encoder), lam=1.0, backbone="auto", augment=augment)
    clf.fit(images, y).fit(images, y)
    assert "BatchNorm" in str(encoder.module_)
    assert_bit_equal(arrays(encoder.module_), before)
    assert [p.requires_grad for p in encoder.module_.parameters()] == asked
    assert not any(part.training for part in encoder.module_.modules())


def test_fit_leaves_the_users_estimators_unfitted(rows):
    X, y, z = rows
    exogenous, predictor = PCA(4), LogisticRegression()
    clf = small(exogenous, exogenous_predictor=predictor).fit(X, y, exogenous_target=z)
    assert not hasattr(exogenous, "components_")
    assert not hasattr(predictor, "coef_")
    assert clf.exogenous is exogenous
    assert clf.exogenous_ is not exogenous


def test_an_encoder_fitted_inside_says_what_it_says_alone(rows):
    X, y, z = rows
    clf = small(small_encoder(random_state=0), lam=0.1).fit(X, y, exogenous_target=z)
    alone = small_encoder(random_state=0).fit(X, z)
    assert_bit_equal(arrays(clf.exogenous_.module_), arrays(alone.module_))


class CountRows(TransformerMixin, BaseEstimator):
    """Counts the rows that a transformer is asked for, over all copies of it."""

    counts = {"rows": 0}

    def __init__(self, transformer):
        self.transformer = transformer

    def fit(self, X, y=None):
        self.transformer_ = clone(self.transformer).fit(X, y)
        return self

    def transform(self, X):
        self.counts["rows"] += len(X)
        return self.transformer_.transform(X)


@pytest.fixture
def counts():
    CountRows.counts["rows"] = 0
    return CountRows.counts


@pytest.mark.parametrize("early_stopping", [False, 0.2])
@pytest.mark.parametrize("lam", [0, 0.1])
@pytest.mark.parametrize("frozen", [False, True], ids=["unfitted", "frozen"])
def test_each_row_is_evaluated_once_a_fit(frozen, lam, early_stopping, rows, counts):
    X, y, z = rows
    exogenous = CountRows(PCA(32, random_state=0))
    exogenous = FrozenEstimator(exogenous.fit(X)) if frozen else exogenous
    clf = small(exogenous, exogenous_predictor=LogisticRegression(), lam=lam)
    clf.set_params(early_stopping=early_stopping).fit(X, y, exogenous_target=z)
    assert counts["rows"] == 200
    clf.predict(X[:30])
    assert counts["rows"] == 230


def test_each_row_is_evaluated_once_without_a_predictor_and_with_rows_passed_to_stop_on(
    rows, counts
):
    X, y, _ = rows
    small(CountRows(PCA(4)), early_stopping=True).fit(X, y, X_val=X[:30], y_val=y[:30])
    assert counts["rows"] == 230


# -------------------------------------------------------------------- dispelling


@pytest.fixture
def parts(rows, encoder):
    """The trained module, its Dispeller, and one batch with c's logits on h_exo."""
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), lam=1.0, max_epochs=1).fit(X, y)
    side = clf.exogenous_side_
    heads = [variable.head for variable in side.variables]
    dispeller = Dispeller(heads, 32, torch.device("cpu"))
    frozen = side.outputs(X, logits=True)
    return clf.module_.train(), dispeller, torch.tensor(X), frozen


def test_the_dispelling_gradient_reaches_the_backbone_and_nothing_frozen(parts):
    module, dispeller, x, frozen = parts
    module.zero_grad()
    output = module(x, frozen["gate_input"])
    dispeller(frozen["exogenous_logits"], output.h).mean().backward()
    assert next(module.backbone.parameters()).grad.any()
    assert not any(p.grad is not None for p in module.experts.parameters())
    assert not any(p.grad is not None for p in module.gate.parameters())
    assert not any(p.grad is not None for head in dispeller.heads for p in head.parameters())
    assert not any(tensor.requires_grad for tensor in frozen.values())
    assert not any(part.training for head in dispeller.heads for part in head.modules())


def test_the_dispelling_term_is_the_cosine_of_what_c_says_of_both_representations(parts, encoder):
    module, dispeller, x, frozen = parts
    h = module.eval().backbone(x)
    z_endo = encoder.predictor_.eval()(h)
    z_exo = encoder.predictor_.eval()(torch.from_numpy(encoder.transform(x.numpy())))
    torch.testing.assert_close(
        dispeller(frozen["exogenous_logits"], h), cosine_dispelling(z_exo, z_endo)
    )


def test_a_large_lam_drives_the_dispelling_term_down(rows, encoder):
    X, y, _ = rows
    last = [
        small(FrozenEstimator(encoder), lam=lam, max_epochs=30, lr=3e-3)
        .fit(X, y)
        .history_[-1]["train_dispelling"]
        for lam in (1e-4, 20.0)
    ]
    assert last[1] < 0.5 * last[0]


def test_lam_changes_the_representation_and_without_it_nothing_is_dispelled(rows, encoder):
    X, y, _ = rows
    clfs = [small(FrozenEstimator(encoder), lam=lam).fit(X, y) for lam in (0, 1.0)]
    assert "train_dispelling" not in clfs[0].history_[-1]
    assert not np.allclose(clfs[0].transform(X), clfs[1].transform(X), atol=1e-3)


# ---------------------------------------------------------------- what the gate reads


@pytest.mark.parametrize(
    ("gate_input", "width"),
    [("auto", 4), ("probabilities", 4), ("logits", 4), ("representation", 32)],
)
def test_the_gate_reads_what_it_is_told_to(gate_input, width, rows, encoder):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), gate_input=gate_input).fit(X, y)
    proba = encoder.predict_proba(X)
    logits = encoder.predictor_(torch.from_numpy(encoder.transform(X))).detach().numpy()
    read = {"logits": logits, "representation": encoder.transform(X)}.get(gate_input, proba)
    gate_input = clf.exogenous_side_.outputs(X)["gate_input"].numpy()
    assert gate_input.shape == (200, width) == (200, clf.module_.gate.in_features)
    varies = read.std(0) > 1e-3
    correlation = [np.corrcoef(gate_input[:, i], read[:, i])[0, 1] for i in np.flatnonzero(varies)]
    np.testing.assert_allclose(correlation, 1, atol=1e-4)


def test_certain_probabilities_are_as_far_apart_as_standardised_labels(rows, encoder):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), gate_input="probabilities").fit(X, y)
    read = clf.exogenous_side_.outputs(X)["gate_input"].numpy()
    np.testing.assert_allclose(read, 2 * encoder.predict_proba(X), atol=1e-5)  # of four classes
    labels = np.eye(4)[np.arange(40) % 4]
    standardised = (labels - labels.mean(0)) / labels.std(0)
    apart = np.linalg.norm(standardised[0] - standardised[1])
    assert np.linalg.norm(2 * labels[0] - 2 * labels[1]) == pytest.approx(apart, rel=0.2)


@pytest.mark.parametrize("gate_input", ["logits", "representation"])
def test_logits_and_h_exo_are_centred_and_scaled_by_the_training_rows_alone(
    gate_input, rows, encoder
):
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), gate_input=gate_input).fit(X, y)
    read = clf.exogenous_side_.outputs(X)["gate_input"].numpy()
    np.testing.assert_allclose(read.mean(0), 0, atol=1e-4)
    assert (read.var(0)).mean() == pytest.approx(1, abs=0.25)
    few = clf.exogenous_side_.outputs(X[:7])["gate_input"].numpy()
    np.testing.assert_allclose(few, read[:7], atol=1e-4)


def test_the_gate_reads_h_exo_where_there_is_no_predictor(rows):
    X, y, _ = rows
    clf = small(PCA(5)).fit(X, y)
    assert clf.module_.gate.in_features == 5
    assert clf.predict_proba(X).shape == (200, 10)


# ------------------------------------------------------------------- predictors


def skorch_net():
    return NeuralNetClassifier(
        nn.Linear(32, 4),
        criterion=nn.CrossEntropyLoss,
        train_split=None,
        max_epochs=2,
        verbose=0,
    )


PREDICTORS = [
    LogisticRegression(),
    LinearSVC(random_state=0),
    MLPClassifier((8,), learning_rate_init=0.02, tol=1e-2, random_state=0),
    skorch_net(),
]


@pytest.mark.parametrize("predictor", PREDICTORS, ids=lambda p: type(p).__name__)
def test_a_predictor_of_h_exo_is_fitted_on_the_exogenous_labels(predictor, rows):
    X, y, z = rows
    clf = small(PCA(32, random_state=0), exogenous_predictor=predictor, lam=0.1)
    clf.fit(X, y, exogenous_target=z)
    h = torch.from_numpy(clf.exogenous_.transform(X))
    said = clf.exogenous_side_.variables[0].head(h).argmax(1).numpy()
    expected = clone(predictor).fit(h.numpy(), z).predict(h.numpy())
    if not isinstance(predictor, NeuralNetClassifier):  # which has no random_state
        np.testing.assert_array_equal(said, expected)
        assert (said == z).mean() > 0.5
    assert 0 <= clf.history_[-1]["train_dispelling"] <= 1
    assert clf.module_.gate.in_features == 4


def test_a_predictor_is_fitted_on_string_labels_too(rows):
    X, y, z = rows
    names = np.array(["low", "mid", "high", "top"])[z]
    clf = small(PCA(32, random_state=0), exogenous_predictor=LogisticRegression(), lam=0.1)
    assert clf.fit(X, y, exogenous_target=names).module_.gate.in_features == 4


def test_a_skorch_predictor_is_fitted_on_string_labels_too(rows):
    X, y, z = rows
    names = np.array(["low", "mid", "high", "top"])[z]
    clf = small(PCA(32, random_state=0), exogenous_predictor=skorch_net(), lam=0.1)
    assert clf.fit(X, y, exogenous_target=names).module_.gate.in_features == 4


@pytest.mark.parametrize("labels", [np.float32([0, 1]), np.array(["little", "much"])], ids=str)
def test_a_predictor_of_one_logit_steers_the_gate_and_dispels(labels, rows):
    X, y, z = rows
    params = {"train_split": None, "max_epochs": 50, "lr": 1.0, "verbose": 0}
    network = nn.Linear(32, 1)
    nn.init.zeros_(network.weight)  # whatever torch's generator was left at
    net = NeuralNetBinaryClassifier(network, **params)
    clf = small(PCA(32, random_state=0), exogenous_predictor=net, lam=0.1)
    clf.fit(X, y, exogenous_target=labels[z // 2])
    gate = clf.exogenous_side_.outputs(X)["gate_input"]
    assert gate.shape == (200, 2)
    assert (gate.argmax(1).numpy() == z // 2).mean() > 0.8
    assert 0 < clf.history_[-1]["train_dispelling"] <= 1


def test_a_frozen_predictor_needs_no_labels_and_stays_as_it_is(rows):
    X, y, z = rows
    pca = PCA(32, random_state=0).fit(X)
    c = LogisticRegression().fit(pca.transform(X), z)
    before = c.coef_.copy()
    params = {"exogenous_predictor": FrozenEstimator(c), "lam": 0.1}
    clf = small(FrozenEstimator(pca), **params).fit(X, y)
    np.testing.assert_array_equal(c.coef_, before)
    h = torch.from_numpy(clf.exogenous_.transform(X))
    said = clf.exogenous_side_.variables[0].head(h).softmax(1)
    np.testing.assert_allclose(said, c.predict_proba(h.numpy()), atol=1e-5)


def test_a_module_is_a_frozen_predictor(rows):
    X, y, _ = rows
    module = nn.Sequential(nn.Linear(32, 4), nn.BatchNorm1d(4))
    before = arrays(module)
    clf = small(FrozenEstimator(PCA(32).fit(X)), exogenous_predictor=module, lam=0.1)
    clf.fit(X, y)
    assert_bit_equal(arrays(module), before)
    assert module.training
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert "train_dispelling" in clf.history_[-1]


def test_a_fitted_skorch_net_is_a_frozen_predictor(rows):
    X, y, z = rows
    pca = PCA(32, random_state=0).fit(X)
    net = skorch_net().fit(pca.transform(X).astype(np.float32), z.astype(np.int64))
    clf = small(FrozenEstimator(pca), exogenous_predictor=FrozenEstimator(net), lam=0.1)
    assert clf.fit(X, y).module_.gate.in_features == 4


def test_a_given_predictor_goes_before_the_one_that_the_encoder_brings(rows, encoder):
    X, y, _ = rows
    two = nn.Linear(32, 2)
    clf = small(FrozenEstimator(encoder), exogenous_predictor=two).fit(X, y)
    assert clf.module_.gate.in_features == 2


# ------------------------------------------------------------- several variables


@pytest.fixture(scope="module")
def two_targets(digits):
    """Ink in four steps, and whether the left half is the darker one."""
    left = digits.images[:200, :, :4].sum((1, 2)) > digits.images[:200, :, 4:].sum((1, 2))
    return np.column_stack([digits.z[:200], left])


def two_encoders():
    return [("ink", small_encoder(random_state=0)), ("side", small_encoder(random_state=1))]


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


def test_the_dispelling_terms_of_several_variables_are_averaged(rows, two_targets):
    X, y, _ = rows
    encoders = [
        (name, FrozenEstimator(encoder.fit(X, two_targets[:, i])))
        for i, (name, encoder) in enumerate(two_encoders())
    ]
    params = {"lam": 0.1, "lr": 1e-12, "max_epochs": 1}
    both = small(encoders, **params).fit(X, y).history_[-1]["train_dispelling"]
    single = [small(e, **params).fit(X, y).history_[-1]["train_dispelling"] for _, e in encoders]
    assert both == pytest.approx(np.mean(single), abs=1e-5)


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
    exogenous = [("ink", small_encoder()), ("side", PCA(32, random_state=0))]
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


# ------------------------------------------------------------- any transformer


def test_a_pipeline_that_ends_in_an_encoder_serves_frozen(rows):
    X, y, z = rows
    pipeline = make_pipeline(StandardScaler(), small_encoder(random_state=0)).fit(X, z)
    clf = small(FrozenEstimator(pipeline), lam=0.1).fit(X, y)
    assert clf.module_.gate.in_features == 4
    assert 0 <= clf.history_[-1]["train_dispelling"] <= 1


def test_a_pipeline_that_ends_in_an_encoder_is_fitted_on_the_exogenous_labels(rows):
    X, y, z = rows
    pipeline = make_pipeline(StandardScaler(), small_encoder(random_state=0))
    clf = small(pipeline, lam=0.1).fit(X, y, exogenous_target=z)
    alone = clone(pipeline).fit(X, z)
    np.testing.assert_allclose(clf.exogenous_.transform(X), alone.transform(X), atol=1e-5)


@pytest.fixture(scope="module")
def sites():
    """A frame with a column of strings, which says how the sign of one number is meant."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    frame.insert(1, "site", rng.choice(["north", "south", "west"], 300))
    y = (frame["a"] > 0) ^ (frame["site"] == "south")
    return frame, y


def by_site(**params):
    pick = ColumnTransformer([("site", OneHotEncoder(**params), ["site"])])
    drop = ColumnTransformer([("drop", "drop", ["site"])], remainder="passthrough")
    return small(pick, endogenous=drop, max_epochs=40)


@pytest.mark.parametrize("sparse_output", [False, True], ids=["dense", "sparse"])
def test_a_column_of_strings_steers_the_gate_and_stays_out_of_the_backbone(sparse_output, sites):
    frame, y = sites
    clf = by_site(sparse_output=sparse_output).fit(frame, y)
    assert clf.module_.gate.in_features == 3
    assert clf.input_shape_ == (3,)
    assert clf.score(frame, y) > 0.9
    moved = frame.assign(site="north")
    np.testing.assert_array_equal(clf.transform(moved), clf.transform(frame))
    assert not np.allclose(clf.gate_proba(moved), clf.gate_proba(frame))
    assert list(clf.feature_names_in_) == ["a", "site", "b", "c"]


def test_a_gate_on_the_site_learns_what_the_backbone_alone_cannot(sites):
    frame, y = sites
    without = small(max_epochs=40).fit(frame.drop(columns="site"), y)
    assert without.score(frame.drop(columns="site"), y) < 0.9


def test_sparse_output_of_the_exogenous_side_is_the_same_as_dense(sites):
    frame, y = sites
    probas = [
        by_site(sparse_output=how).set_params(max_epochs=2).fit(frame, y).predict_proba(frame)
        for how in (False, True)
    ]
    np.testing.assert_array_equal(*probas)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_backbone_reads_frames_that_endogenous_gives(library, rows):
    X, y, _ = rows
    framed, plain = (
        small(endogenous=StandardScaler().set_output(transform=output)).fit(X, y).predict_proba(X)
        for output in (library, "default")
    )
    np.testing.assert_array_equal(framed, plain)


def test_the_backbone_reads_sparse_output_of_endogenous(sites):
    words, y = sites[0][["site"]], sites[1]
    by_word, dense = (
        small(endogenous=OneHotEncoder(sparse_output=how)).fit(words, y).predict_proba(words)
        for how in (True, False)
    )
    np.testing.assert_array_equal(by_word, dense)


@pytest.mark.parametrize("container", [sparse.coo_matrix, sparse.bsr_array])
def test_sparse_rows_of_any_format_reach_both_sides(container, rows):
    X, y, _ = rows
    clf = small(TruncatedSVD(4), endogenous=TruncatedSVD(8), early_stopping=0.2)
    kept, expected = (
        clone(clf).fit(data, y).predict_proba(data) for data in (container(X), sparse.csr_array(X))
    )
    np.testing.assert_array_equal(kept, expected)


def test_frames_are_held_out_by_position_not_by_index(sites):
    frame, y = sites
    shuffled = frame.set_index(np.arange(300)[::-1] + 1000)
    probas = [
        by_site().set_params(max_epochs=2, early_stopping=0.2).fit(f, y.to_numpy()).predict_proba(f)
        for f in (frame, shuffled)
    ]
    np.testing.assert_array_equal(*probas)


@pytest.mark.parametrize("n_rows", [1, 199])
def test_a_transformer_that_loses_rows_is_refused(n_rows, rows):
    X, y, _ = rows
    losing = FunctionTransformer(lambda X: X[:n_rows])
    with pytest.raises(ValueError, match=f"FunctionTransformer gave {n_rows} for 200"):
        small(losing).fit(X, y)


def test_a_transformer_may_turn_its_rows_around(rows):
    X, y, _ = rows
    assert small(FunctionTransformer(np.fliplr)).fit(X, y).predict(X).shape == (200,)


# ----------------------------------------------------------------- labels and predictors


class Told(TransformerMixin, BaseEstimator):
    """The first columns; remembers the labels, which it could do without."""

    def fit(self, X, y=None):
        self.told_ = None if y is None else np.array(y)
        return self

    def transform(self, X):
        return np.asarray(X)[:, 20:30]


def test_labels_that_are_there_are_told_to_transformers_that_could_do_without(rows):
    X, y, z = rows
    assert small(Told()).fit(X, y).exogenous_.told_ is None
    np.testing.assert_array_equal(small(Told()).fit(X, y, exogenous_target=z).exogenous_.told_, z)
    # labels of two variables that are to be erased are none of the one side's
    both = np.column_stack([z, z % 2])
    clf = small(Told(), dispelling="erasure").fit(X, y, exogenous_target=both)
    assert clf.exogenous_.told_ is None


@pytest.mark.parametrize(
    "exogenous",
    [
        make_pipeline(VarianceThreshold(), SelectKBest(k=5), StandardScaler()),
        ColumnTransformer([("encoder", small_encoder(), list(range(20, 40)))]),
        FeatureUnion([("encoder", small_encoder()), ("pca", PCA(2))]),
    ],
    ids=["pipeline", "columns", "union"],
)
def test_labels_reach_whatever_reads_them_inside_of_a_composite(exogenous, rows):
    X, y, z = rows
    clf = small(exogenous).fit(X, y, exogenous_target=z)
    assert clf.predict(X).shape == y.shape


@pytest.mark.parametrize("frozen", [False, True])
def test_a_search_brings_the_predictor_of_its_best_encoder(frozen, rows):
    X, y, z = rows
    search = GridSearchCV(small_encoder(random_state=0), {"lr": [1e-3, 1e-2]}, cv=2)
    exogenous = FrozenEstimator(search.fit(X, z)) if frozen else search
    clf = small(exogenous, lam=0.1).fit(X, y, exogenous_target=None if frozen else z)
    (variable,) = clf.exogenous_side_.variables
    assert variable.gate_input == "probabilities"
    with pytest.raises(ValueError, match="exogenous_target is missing"):
        small(search).fit(X, y)


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


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e25])
def test_the_gate_reads_h_exo_centred_and_scaled_whatever_its_unit(unit, rows):
    X, y, _ = rows
    scaled = FunctionTransformer(lambda X: np.asarray(X, float)[:, 20:22] * unit + 3 * unit)
    clf = small(scaled).fit(X, y)
    read = clf.exogenous_side_.outputs(X)["gate_input"].numpy()
    np.testing.assert_allclose(read.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(read.std(0), 1, rtol=1e-4)


def test_a_constant_column_of_h_exo_says_nothing_to_the_gate(rows):
    X, y, _ = rows
    constant = FunctionTransformer(lambda X: np.full((len(X), 1), 1e-3 / 3))
    read = small(constant).fit(X, y).exogenous_side_.outputs(X)["gate_input"]
    np.testing.assert_allclose(read, 0, atol=1e-6)


def test_a_fit_that_goes_on_needs_the_predictor_too(rows):
    X, y, _ = rows
    clf = small(PCA(4), warm_start=True).fit(X, y)
    clf.set_params(lam=1.0)
    for go_on in (clf.fit, clf.partial_fit):
        with pytest.raises(ValueError, match=r"lam=1.0 needs a predictor"):
            go_on(X, y)


def test_continuous_labels_are_refused_by_their_name(rows):
    X, y, z = rows
    with pytest.raises(ValueError, match="exogenous_target: Unknown label type"):
        small(small_encoder()).fit(X, y, exogenous_target=z + 0.5 * X[:, 20])


class NeverFitted(Told):
    def fit(self, X, y=None):
        pytest.fail("fitted before the predictor was looked at")


@pytest.mark.parametrize(
    ("predictor", "error", "match"),
    [
        (SVC(), TypeError, "must be a linear scikit-learn classifier.*got SVC"),
        (make_pipeline(StandardScaler(), LogisticRegression()), TypeError, "got Pipeline"),
        (FrozenEstimator(MLPClassifier()), NotFittedError, "MLPClassifier instance is not fitted"),
    ],
    ids=["SVC", "pipeline", "not fitted"],
)
def test_a_predictor_that_cannot_be_c_is_refused_before_anything_is_fitted(
    predictor, error, match, rows
):
    X, y, z = rows
    with pytest.raises(error, match=match):
        small(NeverFitted(), exogenous_predictor=predictor).fit(X, y, exogenous_target=z)
