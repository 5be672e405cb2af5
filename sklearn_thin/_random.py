"""Scoped seeding: one `random_state` governs a fit and touches no global generator."""

import threading
from contextlib import contextmanager
from typing import NamedTuple

import torch
from sklearn.utils import check_random_state

_GENERATORS = threading.RLock()  # whoever holds it has torch's global generators to itself


class Seeds(NamedTuple):
    """One seed for each source of chance, so that none shifts when another draws more."""

    exogenous: int  # fitting the exogenous and endogenous transformers
    split: int  # the held-out part of early stopping
    module: int  # initialisation
    batches: int  # order of the rows, dropout, augmentation


def draw_seeds(random_state):
    """Seeds for one fit from a `random_state` in scikit-learn's sense.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None draws from NumPy's global generator, as everywhere in scikit-learn.

    Returns
    -------
    Seeds
    """
    rng = check_random_state(random_state)
    return Seeds(*rng.randint(2**31 - 1, size=len(Seeds._fields)).tolist())


@contextmanager
def torch_seed(seed, device):
    """Seed torch's generators of the CPU and of `device` inside the block alone.

    `torch.manual_seed` is not used: it seeds every GPU of the machine, and only those
    named here are given their state back. The generators are the process's own, so that
    blocks in threads of one process wait for one another; those in processes do not.
    """
    forked = [] if device.type == "cpu" else [device]
    with _GENERATORS, torch.random.fork_rng(forked, device_type=device.type if forked else "cuda"):
        torch.default_generator.manual_seed(seed)
        if forked:
            with torch.get_device_module(device).device(device):
                torch.get_device_module(device).manual_seed(seed)
        yield


def set_missing_random_states(estimator, seed):
    """Give every `random_state` of `estimator` that is None a seed of its own."""
    rng = check_random_state(seed)
    params = estimator.get_params(deep=True)
    unset = sorted(
        name
        for name, value in params.items()
        if value is None and name.rpartition("__")[2] == "random_state"
    )
    if unset:
        estimator.set_params(**{name: rng.randint(2**31 - 1) for name in unset})
    return estimator
