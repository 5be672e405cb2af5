"""One seed governs what is random, and no global generator notices."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_thin._environment import Seeds, draw_seeds, set_missing_random_states, torch_seed
from tests.helpers import NUMPYS_OWN, global_states

CPU = torch.device("cpu")


def draws(seed):
    with torch_seed(seed, CPU):
        return (
            torch.randn(3).tolist(),
            torch.randperm(9).tolist(),
            torch.nn.Linear(2, 2).bias.tolist(),
        )


def test_the_same_seed_draws_the_same_and_another_one_does_not():
    assert draws(0) == draws(0)
    assert draws(0) != draws(1)


def test_a_block_draws_the_same_whatever_was_drawn_before():
    first = draws(0)
    torch.rand(17)
    assert draws(0) == first


def test_a_block_leaves_every_global_generator_as_it_was():
    before = global_states()
    draws(0)
    assert global_states() == before


def test_a_block_that_fails_leaves_every_global_generator_as_it_was():
    before = global_states()
    with pytest.raises(RuntimeError, match="negative"), torch_seed(0, CPU):
        torch.rand(-torch.randint(1, 9, ()).item())
    assert global_states() == before


def test_a_block_within_a_block_does_not_disturb_it():
    with torch_seed(0, CPU):
        alone = torch.rand(2), torch.rand(2)
    with torch_seed(0, CPU):
        first = torch.rand(2)
        draws(1)
        second = torch.rand(2)
    assert torch.equal(torch.stack([first, second]), torch.stack(alone))


def test_seeds_are_reproducible_and_differ_from_each_other():
    seeds = draw_seeds(0)
    assert seeds == draw_seeds(0)
    assert seeds != draw_seeds(1)
    assert len(set(seeds)) == len(Seeds._fields)
    assert all(type(seed) is int and 0 <= seed < 2**31 for seed in seeds)


def test_seeds_from_an_int_leave_the_global_generators_alone():
    before = global_states()
    draw_seeds(0)
    assert global_states() == before


def test_seeds_from_a_generator_go_on_with_each_fit():
    generator = np.random.RandomState(0)
    first, second = draw_seeds(generator), draw_seeds(generator)
    assert first == draw_seeds(np.random.RandomState(0))
    assert first != second


def test_seeds_without_a_random_state_come_from_numpys_global_generator():
    state = NUMPYS_OWN.get_state()
    try:
        NUMPYS_OWN.seed(3)
        first, second = draw_seeds(None), draw_seeds(None)
        NUMPYS_OWN.seed(3)
        assert draw_seeds(None) == first
    finally:
        NUMPYS_OWN.set_state(state)
    assert first != second


def test_only_random_states_that_are_missing_are_set():
    pipeline = make_pipeline(StandardScaler(), PCA(random_state=5), MLPClassifier())
    before = pipeline.get_params()
    assert set_missing_random_states(pipeline, 0) is pipeline
    after = pipeline.get_params()
    assert pipeline["pca"].random_state == 5
    assert isinstance(pipeline["mlpclassifier"].random_state, int)
    changed = {name for name in before if before[name] is not after[name]}
    assert changed == {"mlpclassifier__random_state"}


def test_each_missing_random_state_gets_a_seed_of_its_own_from_the_one_given():
    def set_states(seed):
        pipeline = set_missing_random_states(make_pipeline(PCA(), MLPClassifier()), seed)
        return pipeline["pca"].random_state, pipeline["mlpclassifier"].random_state

    assert set_states(0) == set_states(0)
    assert set_states(0) != set_states(1)
    assert len(set(set_states(0))) == 2


def test_an_estimator_with_nothing_random_is_left_alone():
    scaler = StandardScaler()
    before = scaler.get_params()
    assert set_missing_random_states(scaler, 0).get_params() == before


def test_setting_random_states_leaves_the_global_generators_alone():
    before = global_states()
    set_missing_random_states(MLPClassifier(), 0)
    assert global_states() == before


def test_blocks_in_threads_draw_as_they_would_alone():
    def slow_draws(seed):
        with torch_seed(seed, CPU):
            values = []
            for _ in range(20):
                values.append(torch.rand(1).item())
                time.sleep(0.001)  # let the other threads in
            return values

    alone, before = [slow_draws(seed) for seed in range(4)], global_states()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(slow_draws, range(4))) == alone
    assert global_states() == before
