"""Behaviours that a change of structure once lost."""

import os
import signal

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint, LoadInitState
from torch import nn

from sklearn_thin import ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.dispelling import Alignment, Cosine
from sklearn_thin.exogenous.heads import frozen_head
from sklearn_thin.model_selection import StackedGridSearchCV
from sklearn_thin.training.stacks import train_together

SMALL = MLPBackbone((8,))
rng = np.random.RandomState(0)
y, z = rng.randint(0, 3, 60), rng.randint(0, 4, 60)
X = rng.randn(60, 20)
X[:, 0] += y
X[:, 1] += z


def encoder(**params):
    return ExogenousEncoder(SMALL, max_epochs=1, random_state=0, **params)


def thin(exogenous=None, **params):
    params = {"backbone": SMALL, "depth": 1, "max_epochs": 2, "random_state": 0, **params}
    return THINClassifier(exogenous, **params)


@pytest.fixture(scope="module")
def frozen():
    return FrozenEstimator(encoder().fit(X, z))


# ------------------------------------------------------------------ sides


@pytest.mark.parametrize(
    "params", [{"exogenous": encoder(), "lam": 0.1}, {"dispelling": "erasure"}]
)
def test_widths_are_checked_behind_an_endogenous_transformer(params):
    model = thin(endogenous=PCA(5, random_state=0), **params)
    assert model.fit(X, y, exogenous_target=z).input_shape_ == (5,)
    wide = {"lam": {"backbone": MLPBackbone((9,))}, "dispelling": {"backbone": MLPBackbone((3,))}}
    for name in wide.keys() & params.keys():
        with pytest.raises(ValueError, match="h_endo"):
            model.set_params(**wide[name]).fit(X, y, exogenous_target=z)


class Columns(TransformerMixin, BaseEstimator):
    """A transformer without fitted attributes, which brings a predictor."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X)[:, :4]

    @property
    def predictor_(self):
        return nn.Linear(4, 3)


def test_a_transformer_without_fitted_attributes_brings_its_predictor():
    assert thin(Columns()).fit(X, y).exogenous_side_.sizes == [3]
    assert not hasattr(encoder(), "predictor_")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        _ = encoder().predictor_


def test_a_frozen_head_of_a_skorch_net_is_on_the_cpu(monkeypatch):
    net = NeuralNetClassifier(nn.Linear(4, 3), criterion=nn.CrossEntropyLoss).initialize()
    moved = []
    monkeypatch.setattr(nn.Module, "cpu", lambda module: moved.append(module) or module)
    assert frozen_head(net) in moved


# ------------------------------------------------------------------ dispelling


class Reads(Alignment):
    """A way whose map reads the predictors, and which asks for nothing itself."""

    asks = Cosine.asks


def test_a_way_that_reads_the_predictors_gets_their_logits(frozen):
    model = thin(frozen, dispelling=Reads()).fit(X, y)
    expected = thin(frozen, dispelling="alignment").fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    with pytest.raises(ValueError, match="dispelling='alignment' needs a predictor"):
        thin(PCA(2), dispelling=Reads()).fit(X, y)


def test_without_dispelling_no_width_is_asked_for_but_the_gates_predictor_is():
    model = thin(encoder(), dispelling=None, lam=0.1, backbone=MLPBackbone((9,)))
    assert model.fit(X, y, exogenous_target=z).transform(X).shape == (60, 9)
    with pytest.raises(ValueError, match="gate_input='probabilities' needs a predictor"):
        thin(PCA(2), dispelling=None, lam=0.1, gate_input="probabilities").fit(X, y)


def test_a_way_with_half_of_its_methods_is_no_way():
    half = type("Half", (), {"make_map": print, "make_term": print})()
    with pytest.raises(ValueError, match=r"'dispelling' .* an instance of .*Cosine"):
        thin(dispelling=half).fit(X, y)


class Adversary(nn.Module):
    """A term with weights of its own."""

    def __init__(self, width, n_labels):
        super().__init__()
        self.reader = nn.Linear(width, n_labels)

    def forward(self, exogenous_logits, h):
        return nn.functional.cross_entropy(
            self.reader(h), exogenous_logits.argmax(1), reduction="none"
        )


class Trained(Cosine):
    """A way with a term that is trained."""

    def make_term(self, heads, sizes, width):
        return Adversary(width, sum(sizes))


def test_a_fit_goes_on_without_the_weights_of_a_term(frozen):
    model = thin(frozen, dispelling=Trained(), lam=0.1, warm_start=True).fit(X, y)
    for lam in (0.0, 0.1):
        model.set_params(lam=lam).fit(X, y)
    assert model.n_iter_ == 6


def test_weights_of_a_term_go_on_from_call_to_call(frozen):
    model = thin(frozen, dispelling=Trained(), lam=0.1, lr=0.01)
    for _ in range(5):
        model.partial_fit(X, y)
    whole = clone(model).set_params(max_epochs=5, lr_schedule="constant").fit(X, y)
    values = [[epoch["train_dispelling"] for epoch in m.history_] for m in (model, whole)]
    assert values[1][-1] < values[1][0]
    np.testing.assert_allclose(*values, atol=0.02)  # the rows come in another order
    assert whole.net_.criterion_.term is None


# ------------------------------------------------------------------ warm starts


class CountingFactory:
    """A factory that keeps something of each call."""

    calls = 0

    def __call__(self, shape):
        self.calls += 1
        return nn.Linear(*shape, 8)


def test_a_fit_goes_on_where_parameters_are_equal():
    modules = {"a": nn.Linear(4, 3), "b": nn.Linear(3, 3)}
    sides = [("a", PCA(4, random_state=0)), ("b", PCA(3, random_state=0))]
    models = [
        thin(backbone=CountingFactory(), warm_start=True),
        thin(sides, exogenous_predictor=modules, warm_start=True),
    ]
    for model in models:
        depth = np.int64(model.fit(X, y).depth)
        assert model.set_params(depth=depth).fit(X, y).n_iter_ == 4
    with torch.no_grad():
        modules["a"].weight.add_(1)
    with pytest.raises(ValueError, match="exogenous_predictor was"):
        models[1].fit(X, y)


def test_augment_takes_images_in_a_fit_that_goes_on_too():
    model = thin(warm_start=True).fit(X, y).set_params(augment=torch.flip)
    with pytest.raises(ValueError, match="augment takes images"):
        model.fit(X, y)


# ------------------------------------------------------------------ training


class SetLam(Callback):
    """Changes λ as skorch's callbacks change a rate."""

    def on_epoch_begin(self, net, **kwargs):
        net.set_params(lam=0.5)


def test_a_callback_sets_lam_as_any_parameter(frozen):
    model = thin(frozen, lam=0.1, callbacks=[SetLam()]).fit(X, y)
    assert model.net_.lam == 0.5


@pytest.mark.parametrize("lam", [0.0, 0.1])
def test_a_checkpoint_holds_neither_lam_nor_frozen_predictors(frozen, tmp_path, lam):
    checkpoint = Checkpoint(dirname=tmp_path, monitor="train_loss_best")
    head = {"gating": "head"}
    thin(frozen, lam=lam, callbacks=[checkpoint], **head).fit(X, y)
    model = thin(frozen, lam=0.5, callbacks=[LoadInitState(checkpoint)], **head).fit(X, y)
    assert model.net_.lam == 0.5


def test_the_optimizer_gets_no_frozen_predictors(frozen):
    got = []

    def optimizer(groups, **kwargs):
        groups = list(groups)
        got.extend(weight for group in groups for weight in group["params"])
        return torch.optim.SGD(groups, **kwargs)

    model = thin(frozen, lam=0.1, optimizer=optimizer).fit(X, y)
    assert len(got) == len(list(model.module_.parameters()))


class Draws(Callback):
    """Draws from torch's generator before the first epoch."""

    def initialize(self):
        torch.rand(1)
        return self


def test_global_generators_stay_where_a_callback_draws():
    before = torch.get_rng_state()
    thin(callbacks=[Draws()]).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_users_own_handler_of_ctrl_c_ends_a_training_in_order():
    came = []

    class Stops(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                os.kill(os.getpid(), signal.SIGINT)

        def on_epoch_end(self, net, **kwargs):
            if came:
                raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, lambda *args: came.append(args))
    try:
        model = thin(max_epochs=5, callbacks=[Stops()]).fit(X, y)
    finally:
        signal.signal(signal.SIGINT, before)
    assert model.n_iter_ == 2


class Windows(nn.Module):
    """A network that views its rows as others, which needs memory without gaps."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 2)

    def forward(self, x):
        return self.inner(x.view(-1, 4)).view(-1, 10)


def test_a_backbone_may_view_its_rows():
    assert thin(backbone=Windows()).fit(X, y).transform(X).shape == (60, 10)


# ------------------------------------------------------------------ plans, errors, searches


def test_a_plan_is_all_or_nothing_and_knows_its_parameters(frozen):
    model = thin(frozen)
    with pytest.raises(TypeError, match=r"plan\(X.*got an unexpected keyword argument 'classes'"):
        model.plan(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="at least two classes"):
        model.plan(X, y * 0)
    assert not [name for name in vars(model) if name.endswith("_")]


class Doubled(THINClassifier):
    """A subclass whose module computes something else."""

    def _build_module(self, seed, **how):
        module = super()._build_module(seed, **how)
        module.backbone.register_forward_hook(doubled)
        return module


def doubled(module, inputs, output):
    return 2 * output


def test_classes_of_their_own_train_in_stacks_of_their_own():
    params = {"backbone": SMALL, "depth": 0, "max_epochs": 1, "random_state": 0}
    plans = [kind(**params).plan(X, y) for kind in (THINClassifier, Doubled)]
    assert plans[0].family_key != plans[1].family_key


def test_errors_of_a_stack_do_not_hold_on_to_it():
    plans = [thin(lr=lr, optimizer="sgd").plan(X, y) for lr in (1e-3, 1e30)]
    results, _ = train_together(plans)
    assert isinstance(results[1], FloatingPointError)
    assert results[1].__traceback__ is None


def test_an_error_shows_early_stopping_as_it_was_set():
    with pytest.raises(ValueError, match="early_stopping=True cannot hold out"):
        thin(early_stopping=True).fit(X[:3], [0, 1, 1])


class OwnFit(THINClassifier):
    """A subclass that a search has to fit whole."""

    def fit(self, X, y=None):
        return super().fit(X, y)


def test_a_search_prints_what_it_fits_whole(capsys):
    search = StackedGridSearchCV(OwnFit(max_epochs=1), {"lr": [0.1, 0.2]}, cv=2, verbose=2)
    search.fit(StandardScaler().fit_transform(X), y)
    assert "Training 4 fits one by one: OwnFit has no plan" in capsys.readouterr().out
