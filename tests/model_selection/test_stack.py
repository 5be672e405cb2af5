"""Nets of one family train together as each does alone."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin._sharing import sharing
from sklearn_thin.model_selection._members import Preparation
from sklearn_thin.training import stacks
from sklearn_thin.training import traced as traced_step
from sklearn_thin.training.padding import with_terms
from sklearn_thin.training.stacks import is_out_of_memory, train_alone, train_together

SMALL = MLPBackbone((16,))
N_ROWS = 300


@pytest.fixture(scope="module")
def encoder(digits):
    return ExogenousEncoder(SMALL, hidden_units=0, max_epochs=3, random_state=0).fit(
        digits.X[:N_ROWS], digits.z[:N_ROWS]
    )


def small(exogenous=None, **params):
    params = {"backbone": SMALL, "depth": 1, "max_epochs": 5, "random_state": 0, **params}
    return THINClassifier(exogenous, **params)


def prepared(estimator, candidates, X, y, *, double=False, folds=None):
    """Candidates up to their training, on demand in float64, where rounding does not grow.

    `folds` holds the rows of each candidate; None takes all.
    """
    preparation = Preparation(estimator, X, y, {})
    folds = [(0, np.arange(len(y)))] * len(candidates) if folds is None else enumerate(folds)
    tasks = enumerate(zip(candidates, folds, strict=True))
    with sharing():
        members = [preparation.member(i, params, *fold) for i, (params, fold) in tasks]
    for plan in (member.plan for member in members) if double else ():
        plan.module.double()
        plan.loss.double()
        if plan.map_labels is not None:
            plan.map_labels = plan.map_labels.double()
        for data in (plan.train, plan.valid):
            if data is not None:
                data.X = {name: floats(tensor).double() for name, tensor in data.X.items()}
    return members


def stack_key(member):
    return member.plan.family_key


def train_stack(members):
    """Train them together; that they cannot be stacked is a warning, and so an error."""
    trained = train_together([member.plan for member in members])
    for member, *result in zip(members, *trained, strict=True):
        member.take(*result)


def train_single(member):
    member.thin.keep(train_alone(member.plan))


def floats(tensor):
    return tensor / 255 if tensor.dtype == torch.uint8 else tensor


def in_float64(train):
    """Call it with torch's default type set to float64."""
    torch.set_default_dtype(torch.float64)
    try:
        return train()
    finally:
        torch.set_default_dtype(torch.float32)


def logits(member, X):
    """Of a trained member, in the type of its module."""
    thin, module = member.thin, member.thin.module_.eval()
    dtype = next(module.parameters()).dtype
    _, blocks = thin._tensors(np.array(X), None)
    blocks = [{name: floats(t).to(dtype) for name, t in block.items()} for block in blocks]
    return torch.cat([module(**block).logits for block in blocks]).detach().numpy()


def assert_as_alone(estimator, candidates, X, y, **how):
    """Train together and alone, in float64: the same losses, rates and logits; both lists."""
    together, alone = (prepared(estimator, candidates, X, y, double=True, **how) for _ in range(2))
    assert len({plan.family_key for plan in with_terms([m.plan for m in together])}) == 1
    in_float64(lambda: train_stack(together))
    for one, other in zip(together, alone, strict=True):
        in_float64(lambda other=other: train_single(other))
        assert other.error is None
        ours, theirs = one.thin.history_, other.thin.history_
        assert len(ours) == len(theirs)
        assert set(ours[-1]) == set(theirs[-1])
        for name in [name for name in theirs[-1] if name.endswith(("_best", "_count"))]:
            assert ours[:, name] == theirs[:, name]
        for name in {"train_loss", "train_dispelling", "valid_loss", "event_lr"} & set(theirs[-1]):
            np.testing.assert_allclose(ours[:, name], theirs[:, name], rtol=0, atol=1e-8)
        np.testing.assert_allclose(logits(one, X), logits(other, X), rtol=0, atol=1e-5)
    return together, alone


CANDIDATES = [
    {"lam": 0.1, "lr": 1e-3},
    {"lam": 0.5, "lr": 1e-2},
    {"lam": 0.1, "lr": 1e-2, "weight_decay": 0.1},
    {"lam": 0.2, "lr": 1e-3, "random_state": 5},
]


CANDIDATES_OF_RATE = [{"lr": 1e-3}, {"lr": 1e-2, "random_state": 5}]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("lr_schedule", ["cosine", "constant"])
def test_each_net_takes_the_steps_of_its_own_fit(optimizer, lr_schedule, digits, encoder):
    X, y = digits.X[:N_ROWS], digits.y[:N_ROWS]
    thin = small(FrozenEstimator(encoder), optimizer=optimizer, lr_schedule=lr_schedule)
    together, _ = assert_as_alone(thin, CANDIDATES, X, y)
    assert sum(together[0].thin.history_[:, "train_batch_count"]) == 50  # steps, 10 an epoch


@pytest.fixture
def traced(monkeypatch):
    """Stacks of few steps are traced too; one entry for each step of a program."""
    steps, make = [], traced_step.make_fx

    def counting(*args, **kwargs):
        def trace(*inputs):
            program = make(*args, **kwargs)(*inputs)
            return lambda *inputs: (steps.append(1), program(*inputs))[1]

        return trace

    monkeypatch.setattr(traced_step, "make_fx", counting)
    monkeypatch.setattr("sklearn_thin.training.stack.ENOUGH", 3)
    return steps


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("params", [{}, {"lam": 0.0}, {"dispelling": "alignment"}])
def test_a_traced_step_is_the_eager_step(params, optimizer, traced, digits, encoder):
    X, y = digits.X[:N_ROWS], digits.y[:N_ROWS]
    thin = small(FrozenEstimator(encoder), optimizer=optimizer, **params)
    candidates = [{"lr": 1e-2}, {"random_state": 3}] if params else CANDIDATES
    assert_as_alone(thin, candidates, X, y)
    assert len(traced) == 5 * 9 - 1  # whole batches after the first


def hooked(shape):
    """A linear layer, with a function that runs before it."""
    layer = nn.Linear(shape[0], 16)
    layer.register_forward_pre_hook(ignore)
    return layer


def ignore(module, inputs):
    """Changes nothing."""


@pytest.mark.parametrize("backbone", [lambda shape: Centred(shape[0]), hooked])
def test_code_of_users_runs_in_each_step(backbone, traced, digits):
    estimator = small(backbone=backbone)
    train_stack(prepared(estimator, CANDIDATES_OF_RATE, digits.X[:100], digits.y[:100]))
    assert not traced


@pytest.mark.parametrize("most", [0, 100])  # none are stepped side by side, or some are
def test_large_weights_are_tensors_of_their_own(most, digits, encoder, monkeypatch):
    monkeypatch.setattr("sklearn_thin.training.stack.SMALL", most)
    X, y = digits.X[:N_ROWS], digits.y[:N_ROWS]
    assert_as_alone(small(FrozenEstimator(encoder)), CANDIDATES, X, y)


def test_in_float32_it_differs_from_single_fits_by_rounding(digits, encoder):
    X, y = digits.X[:N_ROWS], digits.y[:N_ROWS]
    thin = small(FrozenEstimator(encoder))
    members = prepared(thin, CANDIDATES, X, y)
    train_stack(members)
    for member, params in zip(members, CANDIDATES, strict=True):
        single = clone(thin).set_params(**params).fit(X, y)
        np.testing.assert_allclose(member.thin.predict_proba(X), single.predict_proba(X), atol=0.02)
        assert member.thin.predict_proba(X).dtype == np.float32


def test_bfloat16_is_stacked_as_it_is_in_single_fits(digits, encoder):
    X, y = digits.X[:N_ROWS], digits.y[:N_ROWS]
    thin = small(FrozenEstimator(encoder), lam=0.1)
    *mixed, plain = prepared(
        thin, [{"mixed_precision": how} for how in ("bf16", "bf16", None)], X, y
    )
    assert stack_key(mixed[0]) == stack_key(mixed[1]) != stack_key(plain)
    train_stack(mixed)
    train_single(plain)
    single = clone(thin).set_params(mixed_precision="bf16").fit(X, y)
    for name in ("train_loss", "train_dispelling"):
        ours, theirs, exact = (m.history_[:, name] for m in (mixed[0].thin, single, plain.thin))
        np.testing.assert_allclose(ours, theirs, rtol=0.01)
        assert not np.array_equal(ours, exact)


@pytest.mark.parametrize("dispelling", ["erasure", "alignment"])
@pytest.mark.parametrize("early_stopping", [False, 0.3])
def test_erasers_are_fitted_anew_in_each_epoch(dispelling, early_stopping, digits, encoder):
    X, y = digits.X[:N_ROWS], digits.y[:N_ROWS]
    thin = small(FrozenEstimator(encoder), dispelling=dispelling, early_stopping=early_stopping)
    candidates = [{"lr": 1e-2}, {"lr": 1e-3}, {"random_state": 3}]
    together, _ = assert_as_alone(thin, candidates, X, y)
    maps = [next(member.thin.module_.eraser.buffers()) for member in together]
    assert maps[0].abs().sum() > 0
    assert not torch.equal(maps[0], maps[1])


@pytest.mark.parametrize("weights", [{0: 1.0, 1: 3.0}, "balanced"])
def test_weights_of_the_classes_differ_from_net_to_net(weights, digits):
    X, y = digits.X[:120], digits.y[:120]
    candidates = [{"class_weight": weights}, {"class_weight": {0: 5.0}}]
    (one, other), _ = assert_as_alone(small(), candidates, X, y)
    assert np.abs(logits(one, X) - logits(other, X)).max() > 0.01


def test_a_gate_with_a_single_expert_is_stacked(digits):
    X, y = digits.X[:100], digits.y[:100]
    assert_as_alone(small(depth=2, n_experts=1), [{"lr": 1e-2}, {"lr": 1e-3}], X, y)


class Centred(nn.Module):
    """A frozen layer in front of one that is trained, and a statistic that is not saved."""

    def __init__(self, in_features):
        super().__init__()
        self.frozen = nn.Linear(in_features, 16).requires_grad_(False)
        self.trained = nn.Linear(16, 8)
        self.register_buffer("mean", torch.zeros(16), persistent=False)

    def forward(self, x):
        h = self.frozen(x).relu()
        if self.training:
            self.mean += 0.1 * (h.detach().mean(0) - self.mean)
        return self.trained(h - self.mean)


def test_frozen_layers_stay_and_statistics_that_are_not_saved_are_given_back(digits):
    estimator = small(backbone=lambda shape: Centred(shape[0]), weight_decay=0.1)
    together, alone = assert_as_alone(estimator, CANDIDATES_OF_RATE, digits.X[:100], digits.y[:100])
    for one, other in zip(together, alone, strict=True):
        ours, theirs = (member.thin.module_.backbone[0] for member in (one, other))
        assert ours.mean.abs().sum() > 0
        np.testing.assert_allclose(ours.mean, theirs.mean, atol=1e-7)
        np.testing.assert_array_equal(ours.frozen.weight, theirs.frozen.weight)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_images_of_uint8_are_stacked(optimizer, digits, monkeypatch):
    images, y = (255 * digits.X[:100]).astype(np.uint8).reshape(-1, 8, 8), digits.y[:100]
    # the second convolution's weights lie in memory with the channels last
    backbone = ConvNetBackbone((4, 8), hidden_layer_sizes=(8,))
    thin = small(backbone=backbone, hidden_units=0, optimizer=optimizer)
    candidates = [{"lr": 1e-2}, {"lr": 1e-3}, {"random_state": 3}]
    assert_as_alone(thin, candidates, images, y)
    monkeypatch.setattr("sklearn_thin.training.stack.SMALL", 0)  # a tensor for each weight
    assert_as_alone(thin, candidates, images, y)
    members = prepared(thin, candidates, images, y)
    assert members[0].plan.train.X["x"].dtype == torch.uint8
    train_stack(members)
    losses = members[0].thin.history_[:, "train_loss"]
    assert losses[-1] < losses[0]


def test_a_net_that_diverges_leaves_the_others_as_they_are(digits):
    X, y = digits.X[:100], digits.y[:100]
    candidates = [{"lr": 1e-2}, {"lr": 1e30}, {"lr": 1e-3}]
    members, without = (
        prepared(small(), chosen, X, y) for chosen in (candidates, [candidates[0], candidates[2]])
    )
    train_stack(members)
    train_stack(without)
    errors = [type(member.error) for member in members]
    assert errors == [type(None), FloatingPointError, type(None)]
    assert "lower lr (got 1e+30)" in str(members[1].error)
    for member, other in zip((members[0], members[2]), without, strict=True):
        np.testing.assert_allclose(logits(member, X), logits(other, X), atol=1e-3)


def test_early_stopping_ends_each_net_in_its_own_epoch(digits):
    X, y = digits.X[:N_ROWS], digits.y[:N_ROWS]
    thin = small(early_stopping=0.3, n_iter_no_change=2, max_epochs=25)
    candidates = [{"lr": 0.1}, {"lr": 1e-2}, {"lr": 0.03}, {"lr": 1e-4}]
    together, _ = assert_as_alone(thin, candidates, X, y)
    lengths = [member.thin.n_iter_ for member in together]
    assert min(lengths) < 25
    assert len(set(lengths)) > 1


def test_dropout_draws_for_each_net_and_repeats_under_a_seed(digits):
    X, y = digits.X[:100], digits.y[:100]
    thin = small(backbone=MLPBackbone((16,), dropout=0.5))
    first, again = (prepared(thin, [{}, {}], X, y) for _ in range(2))
    state = torch.get_rng_state()
    for members in (first, again):
        train_stack(members)
    assert torch.equal(torch.get_rng_state(), state)
    proba = [member.thin.predict_proba(X) for member in (*first, *again)]
    assert np.abs(proba[0] - proba[1]).max() > 1e-3  # equal but for the units that were drawn
    np.testing.assert_array_equal(proba[0], proba[2])


def test_a_trained_net_is_tidy_and_independent_of_the_stack(digits):
    X, y = digits.X[:100], digits.y[:100]
    members = prepared(small(), [{}, {"lr": 0.1}], X, y)
    train_stack(members)
    one, other = (member.thin for member in members)
    assert one.net_.optimizer_ is None
    assert one.net_.callbacks_ == []
    before = other.predict_proba(X)
    for weights in one.module_.parameters():
        weights.data.zero_()
    np.testing.assert_array_equal(other.predict_proba(X), before)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("x can't allocate memory: y")])
def test_out_of_memory_halves_the_stack_and_says_so(error, digits, monkeypatch):
    X, y = digits.X[:100], digits.y[:100]
    candidates = [{"lr": lr} for lr in (1e-3, 2e-3, 3e-3, 4e-3, 5e-3)]
    members = prepared(small(), candidates, X, y, double=True)
    whole, sizes = stacks.Stack, []

    class Tight(whole):
        def fit(self, ctrl_c, **kwargs):
            sizes.append(len(self.nets))
            if len(self.nets) > 2:
                self._train_epoch()  # as far as it gets
                for index in self.active:
                    self._load(index)  # as between epochs
                raise error
            return super().fit(ctrl_c, **kwargs)

    monkeypatch.setattr("sklearn_thin.training.stacks.Stack", Tight)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        in_float64(lambda: train_stack(members))
    assert [str(warning.message).split(".")[0] for warning in said] == [
        "out of memory with a stack of 5 nets; trying two of 2 and 3",
        "out of memory with a stack of 3 nets; trying two of 1 and 2",
    ]
    assert sizes == [5, 2, 3, 1, 2]
    monkeypatch.setattr("sklearn_thin.training.stacks.Stack", whole)
    untroubled = prepared(small(), candidates, X, y, double=True)
    in_float64(lambda: train_stack(untroubled))
    for member, other in zip(members, untroubled, strict=True):
        np.testing.assert_allclose(logits(member, X), logits(other, X), atol=1e-5)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    assert not is_out_of_memory(RuntimeError("vmap: no batching rule"))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_what_differs_in_layers_or_steps_is_not_of_one_stack(digits):
    X, y = digits.X[:100], digits.y[:100]
    base = {"lr": 1e-3}
    others = [{"batch_size": 16}, {"max_epochs": 4}, {"optimizer": "sgd"}, {"early_stopping": True}]
    others += [{"hidden_units": 8}, {"backbone": MLPBackbone((16, 16))}]
    others += [{"backbone": MLPBackbone((16,), dropout=0.1)}, {"class_weight": "balanced"}]
    with warnings.catch_warnings(action="error"):
        members = prepared(small(), [base, {"lr": 0.1, "random_state": 2}, *others], X, y)
    keys = [stack_key(member) for member in members]
    assert keys[0] == keys[1]
    assert len(set(keys)) == len(others) + 1


def test_predictors_of_another_architecture_are_not_of_one_stack(digits):
    X, y, z = digits.X[:100], digits.y[:100], digits.z[:100]
    h = np.random.RandomState(0).rand(100, 16)  # as wide as h_endo and as h_exo
    thin = small(FunctionTransformer(lambda X: X[:, :16].astype(np.float32)), lam=0.5)

    def predictor(activation, seed):
        mlp = MLPClassifier((6,), activation, random_state=seed, max_iter=3)
        with warnings.catch_warnings(action="ignore"):  # it does not converge, nor need it
            return {"exogenous_predictor": FrozenEstimator(mlp.fit(h, z))}

    predictors = [predictor("relu", 0), predictor("relu", 1), predictor("tanh", 0)]
    keys = [stack_key(member) for member in prepared(thin, predictors, X, y)]
    assert keys[0] == keys[1] != keys[2]


def test_copies_of_one_module_are_of_one_stack(digits):
    thin = small(backbone=nn.Linear(64, 8))
    members = prepared(thin, CANDIDATES_OF_RATE, digits.X[:100], digits.y[:100])
    assert stack_key(members[0]) == stack_key(members[1])
