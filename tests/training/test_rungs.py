"""A training that pauses, drops nets and goes on ends as trainings that never paused."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from sklearn_thin import ConvNetBackbone
from sklearn_thin.training import rungs as rungs_module
from sklearn_thin.training.rungs import Rungs, stopping
from sklearn_thin.training.stacks import train_alone
from sklearn_thin.training.traced import TracedStep
from tests.helpers import small, small_encoder
from tests.model_selection.test_stack import in_float64, logits, prepared

RATES = [1e-3, 1e-2, 1e-3, 3e-3, 1e-2, 3e-2]  # of four groups of the optimizer
KEPT = [[4, 2, 5, 0], [2, 0]]  # places at the first and second pause
LEFT = [5, 4]  # of the candidates, in their last order


@pytest.fixture(scope="module")
def encoder(digits):
    return FrozenEstimator(small_encoder(random_state=0).fit(digits.X[:120], digits.z[:120]))


def in_rungs(members, epochs=(1, 3, 6)):
    """Train to each of the epochs, dropping nets between; the members that are left."""
    rungs = Rungs([member.plan for member in members])
    for epoch, places in zip(epochs, [*KEPT, None], strict=True):
        results, seconds = in_float64(lambda epoch=epoch: rungs.train(epoch))
        assert len(results) == len(seconds) == len(members)
        for member, net in zip(members, results, strict=True):
            member.thin.keep(net)
        if places:
            rungs.keep(places)
            members = [members[place] for place in places]
    return members


def assert_as_never_paused(thin, X, y, weighs=False):
    """`weighs` gives each candidate other weights of its rows."""
    candidates = [{"lr": lr, "random_state": seed} for seed, lr in enumerate(RATES)]
    for seed, candidate in enumerate(candidates if weighs else ()):
        candidate["class_weight"] = {3: 1.0 + seed}
    left = in_rungs(prepared(thin, candidates, X, y, double=True))
    assert [member.candidate for member in left] == LEFT
    for member in left:
        (plain,) = prepared(thin, [candidates[member.candidate]], X, y, double=True)
        plain.thin.keep(in_float64(lambda plain=plain: train_alone(plain.plan)))
        ours, theirs = member.thin.history_, plain.thin.history_
        assert len(ours) == len(theirs)
        for name in {"train_loss", "train_dispelling", "valid_loss", "event_lr"} & set(theirs[-1]):
            np.testing.assert_allclose(ours[:, name], theirs[:, name], rtol=0, atol=1e-8)
        np.testing.assert_allclose(logits(member, X), logits(plain, X), rtol=0, atol=1e-5)
    return left


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("lr_schedule", ["cosine", "constant"])
def test_nets_go_on_with_their_rates_and_moments(optimizer, lr_schedule, digits):
    thin = small(optimizer=optimizer, lr_schedule=lr_schedule, weight_decay=0.1, max_epochs=6)
    assert_as_never_paused(thin, digits.X[:120], digits.y[:120])


def test_nets_of_a_traced_step_go_on(digits, monkeypatch):
    monkeypatch.setattr("sklearn_thin.training.stack.ENOUGH", 1)
    traced, trace = [], TracedStep._trace
    monkeypatch.setattr(
        TracedStep, "_trace", lambda self, X, y: traced.append(len(y)) or trace(self, X, y)
    )
    assert_as_never_paused(small(max_epochs=6), digits.X[:120], digits.y[:120])
    assert traced == [6, 4, 2]  # nets of each rung


@pytest.mark.parametrize("dispelling", ["cosine", "erasure", "alignment"])
def test_what_dispels_goes_on(dispelling, digits, encoder):
    thin = small(encoder, dispelling=dispelling, lam=0.5, max_epochs=6)
    assert_as_never_paused(thin, digits.X[:120], digits.y[:120])


def test_maps_of_a_part_of_the_rows_go_on_with_their_draws(digits, encoder, monkeypatch):
    monkeypatch.setattr("sklearn_thin.training.stack.EPOCH_ROWS", 40)
    thin = small(encoder, dispelling="erasure", max_epochs=4)
    losses = []
    for epochs in ([1, 3, 4], [4]):
        members = prepared(thin, [{"lr": 1e-2}, {}], digits.X[:120], digits.y[:120], double=True)
        rungs = Rungs([member.plan for member in members])
        for epoch in epochs:
            results, _ = in_float64(lambda rungs=rungs, epoch=epoch: rungs.train(epoch))
        losses.append(results[0].history[:, "train_loss"])
    np.testing.assert_allclose(*losses, rtol=0, atol=1e-8)


def test_each_net_goes_on_to_stop_early_and_keeps_its_best_weights(digits):
    thin = small(early_stopping=0.3, n_iter_no_change=2, max_epochs=6)
    left = assert_as_never_paused(thin, digits.X[:120], digits.y[:120])
    assert {len(member.thin.history_) for member in left} <= {3, 4, 5, 6}


def test_convolutions_and_weighted_rows_go_on(digits):
    images, y = digits.X[:100].reshape(-1, 8, 8), digits.y[:100]
    backbone = ConvNetBackbone((4, 8), hidden_layer_sizes=(8,))
    assert_as_never_paused(small(backbone=backbone, max_epochs=6), images, y, weighs=True)


def test_a_rung_is_a_training_that_stops_in_its_schedule(digits):
    X, y = digits.X[:120], digits.y[:120]
    members = prepared(small(max_epochs=6), [{"lr": 1e-2}, {"lr": 1e-3}], X, y, double=True)
    plan = stopping(members[0].plan, 2)
    results, _ = in_float64(lambda: Rungs([member.plan for member in members]).train(2))
    net = in_float64(lambda: train_alone(plan))
    np.testing.assert_allclose(results[0].history[:, "train_loss"], net.history[:, "train_loss"])
    assert net.history[:, "event_lr"] == results[0].history[:, "event_lr"]
    assert len(net.history) == 2
    assert stopping(plan, 6) is plan  # the end of the schedule stops it anyway


def test_each_rung_draws_from_a_seed_of_its_own(digits, monkeypatch):
    members = prepared(small(max_epochs=4), [{}, {"lr": 0.1}], digits.X[:100], digits.y[:100])
    seeds, torch_seed = [], rungs_module.torch_seed
    monkeypatch.setattr(
        rungs_module,
        "torch_seed",
        lambda seed, device: seeds.append(seed) or torch_seed(seed, device),
    )
    rungs = Rungs([member.plan for member in members])
    for epoch in (1, 3, 4):
        rungs.train(epoch)
    assert np.diff(seeds).tolist() == [1, 2]
