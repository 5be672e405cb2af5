"""Nets of other sizes train in one stack as each does alone."""

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_thin import ConvNetBackbone, ExogenousEncoder, MLPBackbone, THINClassifier
from sklearn_thin.dispelling import Alignment, Cosine
from sklearn_thin.model_selection import StackedGridSearchCV
from sklearn_thin.modules import MLP
from sklearn_thin.training.padding import cheapest, count
from sklearn_thin.training.stack import Stack
from sklearn_thin.training.stacks import in_stacks
from tests.helpers import with_known_column
from tests.model_selection.test_stack import (
    assert_as_alone,
    prepared,
    small,
    train_single,
    train_stack,
)

TREES = [{"depth": d, "n_experts": n} for d, n in product((0, 1, 2, 3), (1, 3, 8, None))]
WIDTHS = [
    {"backbone": MLPBackbone(widths), "depth": depth}
    for widths, depth in (((16,), 2), ((5,), 0), ((9,), 3))
]
DEEP = [
    {"backbone": MLPBackbone(widths), "depth": depth}
    for widths, depth in (((16, 3), 1), ((4, 12), 2), ((8, 8), 0))
]
SCALED = [
    {"backbone": MLPBackbone(widths, scale_lr_factor=6.0), "depth": depth}
    for widths, depth in (((16,), 1), ((4,), 2))
]
TWO = [{"depth": 1, "backbone": MLPBackbone((6,))}, {"depth": 2}]


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:160], digits.y[:160]


@pytest.fixture(scope="module")
def encoder(digits):
    encoder = ExogenousEncoder(MLPBackbone((16,)), hidden_units=0, max_epochs=3, random_state=0)
    return FrozenEstimator(encoder.fit(digits.X[:160], digits.z[:160]))


def thin(exogenous=None, **params):
    """A net of 50 steps: 10 epochs of 5."""
    return small(exogenous, **{"max_epochs": 10, "lr": 0.01, **params})


def assert_same_modules(together, alone):
    """All weights and statistics are the same, also of a gate that is unused."""
    for one, other in zip(together, alone, strict=True):
        theirs = other.thin.module_.state_dict()
        for name, tensor in one.thin.module_.state_dict().items():
            np.testing.assert_allclose(tensor, theirs[name], rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("hidden_units", "candidates"), [(0, TREES), (8, TREES[1::3])])
@pytest.mark.parametrize("side", ["none", "encoder", "known"])
def test_trees_of_all_sizes_train_in_one_stack(
    side, hidden_units, candidates, digits, rows, encoder
):
    X, y = rows
    if side == "known":
        X = with_known_column(digits, len(y))
    exogenous = {"none": None, "encoder": encoder, "known": [64]}[side]
    estimator = thin(exogenous, hidden_units=hidden_units, gating="head", weight_decay=0.1)
    together, alone = assert_as_alone(estimator, candidates, X, y)
    assert_same_modules(together, alone)
    assert sum(together[0].thin.history_[:, "train_batch_count"]) == 50


@pytest.mark.parametrize(
    ("candidates", "hidden_units"),
    [(TREES, 0), (TREES[2::5], 5), (WIDTHS, 0), (DEEP, 5), (SCALED, 0)],
)
def test_gated_layers_of_all_sizes_train_in_one_stack(candidates, hidden_units, digits, rows):
    estimator = thin([64], gating="layers", hidden_units=hidden_units)
    both = assert_as_alone(estimator, candidates, with_known_column(digits, len(rows[1])), rows[1])
    assert_same_modules(*both)


@pytest.mark.parametrize("candidates", [WIDTHS, DEEP, SCALED])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_widths_of_all_sizes_train_in_one_stack(candidates, optimizer, rows, encoder):
    assert_as_alone(thin(encoder, gating="head", optimizer=optimizer), candidates, *rows)


def test_hidden_units_and_seeds_of_all_sizes_train_in_one_stack(rows):
    candidates = [{"hidden_units": 3}, {"hidden_units": 10, "depth": 2, "random_state": 4}]
    assert_as_alone(thin(), candidates, *rows)


def test_convolutions_of_all_sizes_train_in_one_stack(digits):
    images, y = digits.X[:96].reshape(-1, 8, 8), digits.y[:96]
    candidates = [
        {"backbone": ConvNetBackbone((2, 5), hidden_layer_sizes=(8,)), "depth": 2},
        {"backbone": ConvNetBackbone((4, 3), hidden_layer_sizes=(4,))},
    ]
    assert_as_alone(thin(), candidates, images, y)


@pytest.mark.parametrize("dispelling", ["cosine", "erasure"])
@pytest.mark.parametrize("early_stopping", [False, 0.3])
def test_folds_of_other_sizes_train_in_one_stack(dispelling, early_stopping, digits, encoder):
    X, y = digits.X[:200], digits.y[:200]
    lam = 0.5 if dispelling == "cosine" else 0.0
    estimator = thin(encoder, dispelling=dispelling, lam=lam, early_stopping=early_stopping)
    folds = [np.arange(n) for n in (198, 195, 198, 200)]
    candidates = [{**tree, "lr": lr} for tree in TREES[:4:3] for lr in (0.01, 1e-3)]
    both = assert_as_alone(estimator, candidates, X, y, folds=folds)
    assert_same_modules(*both)


def test_folds_of_other_numbers_of_batches_are_not_of_one_stack(digits):
    X, y = digits.X[:200], digits.y[:200]
    folds = [np.arange(n) for n in (192, 193, 194)]  # a single row joins the batch before
    members = prepared(thin(), [{}] * 3, X, y, folds=folds)
    keys = [member.plan.family_key for member in members]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("dispelling", ["cosine", "erasure", "alignment"])
def test_ways_to_dispel_work_in_nets_of_all_sizes(dispelling, rows, encoder):
    cosine = {"lam": 0.5} if dispelling == "cosine" else {}
    candidates = TREES[1::4] if cosine else [*WIDTHS, *TREES[1::4]]
    together, _ = assert_as_alone(thin(encoder, dispelling=dispelling, **cosine), candidates, *rows)
    for module in (member.thin.module_ for member in together) if not cosine else ():
        assert next(module.eraser.buffers()).abs().sum() > 0


LAMS = [{"lam": lam, "lr": lr} for lam in (0, 0.5, 0.0) for lr in (0.01, 1e-3)]


@pytest.mark.parametrize("dispelling", ["cosine", "erasure", "alignment"])
@pytest.mark.parametrize("early_stopping", [False, 0.3])
def test_nets_that_dispel_nothing_train_beside_others(dispelling, early_stopping, rows, encoder):
    estimator = thin(encoder, gating="head", dispelling=dispelling, early_stopping=early_stopping)
    candidates = [*LAMS, {"lam": 0.2, "depth": 3}, {"lam": 0, "depth": 3, "n_experts": 3}]
    together, alone = assert_as_alone(estimator, candidates, *rows)
    assert_same_modules(together, alone)
    assert "train_dispelling" not in together[0].thin.history_[-1]


def test_folds_of_nets_that_dispel_nothing_train_beside_others(digits, encoder):
    X, y = digits.X[:200], digits.y[:200]
    folds = [np.arange(n) for n in (198, 195, 198, 200, 195, 197)]
    assert_as_alone(thin(encoder, gating="head"), LAMS, X, y, folds=folds)


def test_nets_without_a_way_to_dispel_train_beside_others(rows, encoder):
    candidates = [{"dispelling": None}, {"dispelling": "cosine"}, {"dispelling": Cosine()}]
    assert_as_alone(thin(encoder, gating="head", lam=0.5), candidates, *rows)


def test_images_that_dispel_nothing_train_beside_others(digits, rows):
    images, backbone = rows[0].reshape(-1, 8, 8), ConvNetBackbone((4,), hidden_layer_sizes=(8,))
    side = ExogenousEncoder(backbone, max_epochs=1, random_state=0)
    side = FrozenEstimator(side.fit(images, digits.z[:160]))
    assert_as_alone(thin(side, backbone=backbone), LAMS[:4], images, rows[1])


def test_aligned_components_may_differ_in_number(rows, encoder):
    candidates = [{"dispelling__rank": rank, "depth": rank // 4} for rank in (2, 9)]
    assert_as_alone(thin(encoder, dispelling=Alignment()), candidates, *rows)


def test_each_net_of_another_size_stops_in_its_own_epoch_with_its_best_weights(rows):
    estimator = thin(early_stopping=0.3, n_iter_no_change=2, max_epochs=25)
    candidates = [{**tree, "lr": lr} for tree in TREES[2::5] for lr in (0.1, 1e-3)]
    together, _ = assert_as_alone(estimator, [*candidates, *WIDTHS], *rows)
    lengths = {member.thin.n_iter_ for member in together}
    assert min(lengths) < 25
    assert len(lengths) > 1


@pytest.mark.parametrize("gating", ["head", "layers"])
def test_padded_values_stay_zero(gating, digits, rows):
    X = with_known_column(digits, len(rows[1]))
    members = prepared(
        thin([64], gating=gating, hidden_units=6), [*WIDTHS, *TREES[::5]], X, rows[1]
    )
    stack = Stack([member.plan for member in members])
    live = [{k: torch.zeros_like(v[0]) for s in stack.state for k, v in s.items()} for _ in members]
    for index, places in enumerate(stack.places):
        for name, place in places.items():
            live[index][name][place] = 1
    stack.fit([])
    for values in stack.state:
        for name in values.keys() - {"gate.leaf_to_expert", "experts.reader"}:
            if name.startswith("gate."):  # split leaves that share their experts
                assert values[name].isfinite().all()
                continue
            for index, net in enumerate(values[name]):
                assert net[live[index][name] == 0].count_nonzero() == 0, name


def test_bfloat16_is_padded_too(rows):
    def members():
        return prepared(thin(mixed_precision="bf16", hidden_units=8), TREES[1::5], *rows)

    together, alone = members(), members()
    train_stack(together)
    for one, other in zip(together, alone, strict=True):
        train_single(other)
        losses = [member.thin.history_[:, "train_loss"] for member in (one, other)]
        np.testing.assert_allclose(*losses, rtol=0.05)


def test_dropout_leaves_padded_nets_finite_and_different(rows):
    backbones = [MLPBackbone((width,), dropout=0.5) for width in (4, 16)]
    members = prepared(thin(), [{"backbone": backbone} for backbone in backbones], *rows)
    assert members[0].plan.family_key == members[1].plan.family_key
    nets = Stack([member.plan for member in members]).fit([])
    losses = [net.history[:, "train_loss"] for net in nets]
    assert all(loss[-1] < loss[0] for loss in losses)


class Shifted(nn.Module):
    """Not zero where its input is."""

    def __init__(self, width):
        super().__init__()
        self.inner = MLP(64, (width,))

    def forward(self, x):
        return self.inner(x) + 1


@pytest.mark.parametrize(
    "make",
    [Shifted, lambda width: nn.Sequential(MLP(64, (width,)), nn.Softmax(1))],
)
def test_layers_of_unknown_kinds_are_not_padded(make, rows):
    backbones = [make(width) for width in (4, 8)]
    members = prepared(
        thin(), [{"backbone": b, "depth": d} for b in backbones for d in (0, 1)], *rows
    )
    assert len({member.plan.family_key for member in members}) == 4


def test_hooked_backbones_are_not_padded(rows):
    backbone = MLP(64, (8,))
    backbone.register_forward_hook(lambda module, inputs, output: 2 * output)
    members = prepared(thin(), [{"backbone": backbone}, {"backbone": MLP(64, (8,))}], *rows)
    assert members[0].plan.family_key != members[1].plan.family_key


class MeanSquare(nn.Module):
    """A term whose values depend on the width of h_endo."""

    def forward(self, exogenous_logits, h):
        return h.square().mean(1)


class Shrinking(Cosine):
    """A way to dispel with that term."""

    def make_term(self, heads, sizes, width):
        return MeanSquare()


def test_a_term_of_the_loss_fixes_the_width_of_a_family(rows, encoder):
    candidates = [{**tree, **net} for net in WIDTHS[:2] for tree in TREES[:2]]
    members = prepared(thin(encoder, lam=0.1, dispelling=Shrinking()), candidates, *rows)
    keys = [member.plan.family_key for member in members]
    assert keys[0] == keys[1] != keys[2] == keys[3]


@pytest.mark.parametrize("way", ["cosine", Shrinking()])
def test_terms_of_users_are_not_given_to_other_nets(way, rows, encoder):
    estimator = thin(encoder, gating="head", dispelling=way)
    plans = [member.plan for member in prepared(estimator, LAMS, *rows)]
    stacks = in_stacks(plans)
    assert stacks == ([[0, 1, 2, 3, 4, 5]] if way == "cosine" else [[0, 1, 4, 5], [2, 3]])


def test_small_nets_are_padded_and_large_ones_are_not(rows):
    few = [{"depth": depth, "n_experts": 2**depth} for depth in (0, 3)]
    wide = [{**tree, "backbone": MLPBackbone((4000,)), "hidden_units": 0} for tree in few]
    plans = [member.plan for member in prepared(small(), [*few, *wide, *few, *wide], *rows)]
    stacks = sorted(map(sorted, in_stacks(plans, stack_size=100)))
    assert stacks == [[0, 1, 4, 5], [2, 6], [3, 7]]


def test_networks_of_one_shape_are_of_one_stack_whatever_backbone_they_come_from(rows):
    backbones = MLPBackbone((16,)), MLP(64, (16,)), MLPBackbone((16,), dropout=0.5)
    members = prepared(small(), [{"backbone": backbone} for backbone in backbones], *rows)
    assert in_stacks([member.plan for member in members]) == [[0, 1], [2]]


def test_groups_are_merged_where_padding_costs_less_than_a_launch():
    groups = [({"w": (size,)}, [size] * n) for size, n in ((10, 5), (11, 3), (90, 2), (100, 1))]
    assert count({"w": (10, 2), "b": ()}) == 21
    stacks = [set(stack) for stack in cheapest(groups, launch=50)]
    assert stacks == [{10, 11}, {90, 100}]
    assert len(cheapest(groups, launch=0)) == 4
    assert len(cheapest(groups, launch=10_000)) == 1


GRID = {"depth": [0, 1, 3], "n_experts": [2, None], "lr": [1e-3, 0.03]}


@pytest.mark.parametrize(
    "grid", [GRID, {**GRID, "lam": [0.1]}, {"depth": [0, 3], "lam": [0, 0.1, 1], "lr": [0.03, 0.1]}]
)
def test_a_search_over_trees_is_one_stack_and_finds_what_a_plain_search_finds(
    grid, digits, encoder, capsys
):
    X, y = digits.X[:400], digits.y[:400]
    estimator = THINClassifier(
        encoder,
        backbone=MLPBackbone((16,)),
        gating="head",
        max_epochs=3,
        random_state=0,
    )
    setting = {"cv": 2, "scoring": "neg_log_loss"}
    stacked = StackedGridSearchCV(estimator, grid, verbose=2, **setting).fit(X, y)
    assert "Training 24 fits in 1 stacks, of [24]" in capsys.readouterr().out
    plain = GridSearchCV(estimator, grid, **setting).fit(X, y)
    assert stacked.best_params_ == plain.best_params_
    scores = [search.cv_results_["mean_test_score"] for search in (stacked, plain)]
    np.testing.assert_allclose(*scores, atol=0.02)
    np.testing.assert_array_equal(stacked.predict_proba(X), plain.predict_proba(X))
