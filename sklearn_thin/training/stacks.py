"""Plans -> stacks of one family that fit into memory -> trained nets."""

import warnings
from collections import Counter, defaultdict
from copy import deepcopy
from operator import itemgetter
from time import perf_counter

import numpy as np
import torch

from sklearn_thin._environment import (
    is_out_of_memory,
    noting_ctrl_c,
    own_torch_state,
    torch_seed,
)
from sklearn_thin.modules.tensors import same_shapes
from sklearn_thin.training.net import new_net, tidy, train
from sklearn_thin.training.padding import LAUNCH, cheapest, count, largest, sizes, with_terms
from sklearn_thin.training.stack import Stack

BUDGET = 2**30  # bytes, on a CPU


@own_torch_state()
def in_stacks(plans, stack_size="auto"):
    """Indices of the plans of each stack; a plan that trains alone is a stack of one.

    `stack_size` is the most plans in a stack. "auto" keeps a step, measured on one network,
    within 1 GiB, or on a GPU within half of its free memory.
    """
    groups = defaultdict(list)
    for index, plan in enumerate(plans):
        groups[index if plan.why_alone else plan.shape_key].append(index)
    groups, stacks = list(groups.values()), []
    for group in groups if len(groups) == 1 else padded_together(plans, groups):
        most = stack_size
        if most == "auto":
            most = fitting([plans[index] for index in group]) if len(group) > 1 else 1
        stacks += [part.tolist() for part in np.array_split(group, -(-len(group) // most))]
    return stacks


def padded_together(plans, groups):
    """Groups of one shape -> larger groups of one family, where padding costs less than a launch.

    A launch is the values whose arithmetic takes as long as the launch of a step's operations.
    """
    families, merged = defaultdict(list), []
    firsts = [plans[group[0]] for group in groups]
    if len({plan.loss.term is None for plan in firsts}) > 1:
        firsts = with_terms(firsts)
    for plan, group in zip(firsts, groups, strict=True):
        families[group[0] if plan.why_alone else plan.family_key].append(group)
    for family in families.values():
        if len(family) == 1:
            merged += family
            continue
        sized, settings = defaultdict(list), plans[family[0][0]].settings
        for group in family:
            sized[tuple(sizes(plans[group[0]].module).items())] += group
        launch = LAUNCH.get(settings.device.type, LAUNCH["cpu"]) // settings.batch_size
        merged += cheapest([(dict(s), sorted(group)) for s, group in sized.items()], launch)
    return merged


def print_stacks(plans, stacks):
    """Print which plans train together, which alone, and why."""
    sizes = [len(stack) for stack in stacks if len(stack) > 1]
    print(f"Training {sum(sizes)} fits in {len(sizes)} stacks, of {sizes}")
    alone = [plans[stack[0]].why_alone for stack in stacks if len(stack) == 1]
    for reason, n_fits in Counter(alone).items():
        print(f"Training {n_fits} fits one by one: {reason or 'no other to stack with'}")


@own_torch_state()
def train_together(plans, kept=None):
    """Train plans of one family key, one by one if they cannot be stacked.

    Returns a trained net or an error for each plan, and each plan's share of the seconds. The
    training goes on from a state of `kept`, which gets further ones.
    """
    if len(plans) > 1:
        try:
            return _train_stack(plans, kept)
        except Exception as refusal:  # vmap's, or a module's own, which single fits raise again
            warnings.warn(
                f"{len(plans)} fits of one stack train one by one, as they cannot be "
                f"stacked: {refusal}",
                RuntimeWarning,
                stacklevel=2,
            )
    results, seconds = [], []
    for plan in plans:
        start = perf_counter()
        try:
            results.append(train_alone(plan, kept if len(plans) == 1 else None))
        except Exception as error:
            results.append(error)
        seconds.append(perf_counter() - start)
    return results, seconds


def train_alone(plan, kept=None):
    """Train one plan; its net."""
    net = new_net(plan)
    net.kept_ = kept
    train(net, plan)
    return net


def _train_stack(plans, kept=None):
    """Train plans of one key together, in halves if memory runs out; torch.vmap may raise."""
    start, stack, results = perf_counter(), None, None
    try:
        stack = Stack(plans)
        with torch_seed(plans[0].seed, plans[0].settings.device), noting_ctrl_c() as ctrl_c:
            results = stack.fit(ctrl_c, kept=kept)
    except Exception as error:
        if stack is not None:
            stack.restore()
        if len(plans) == 1 or not is_out_of_memory(error):
            raise
    stack = None  # the stack, and the handler above, would keep the memory
    if results is None:
        half = len(plans) // 2
        warnings.warn(
            f"out of memory with a stack of {len(plans)} nets; trying two of {half} and "
            f"{len(plans) - half}. Set stack_size to avoid the attempt.",
            RuntimeWarning,
            stacklevel=2,
        )
        halves = [_train_stack(plans[:half]), _train_stack(plans[half:])]
        return tuple(a + b for a, b in zip(*halves, strict=True))
    for plan, result in zip(plans, results, strict=True):
        if not isinstance(result, Exception):
            tidy(result, plan)
    return results, [(perf_counter() - start) / len(plans)] * len(plans)


# ------------------------------------------------------------------------- memory


def fitting(plans):
    """Number of nets, padded to the largest, that fit into the budget, at least one."""
    plan, whole, own = plans[0], 1, 1
    if not same_shapes([plan.module for plan in plans]):
        shapes = [sizes(plan.module) for plan in plans]
        plan, own = max(zip(plans, map(count, shapes), strict=True), key=itemgetter(1))
        whole = count(largest(shapes))
    try:
        size = step_bytes(plan) * whole // own
    except Exception:
        return 1  # the training raises the error anew
    budget = BUDGET
    if plan.settings.device.type == "cuda":
        budget = torch.cuda.mem_get_info(plan.settings.device)[0] // 2
    return max(1, budget // size)


def step_bytes(plan):
    """Bytes that a net adds to a stack's step; activations are measured on one batch."""
    module = deepcopy(plan.module).train()
    # copies, as a module may write into its input
    batch = slice(plan.settings.batch_size)
    X = {name: rows[batch].clone() for name, rows in plan.train.X.items()}
    kept = {}
    hooks = torch.autograd.graph.saved_tensors_hooks(
        # returns None, as a graph that referred to its own output would never be freed
        lambda t: kept.update({t.untyped_storage().data_ptr(): t.detach().untyped_storage()}),
        lambda kept: kept,
    )
    with torch_seed(0, torch.device("cpu")), hooks:
        module(X["x"], X.get("gate_input"), X.get("exogenous_logits"))
    weights = sum(w.numel() * w.element_size() for w in module.parameters())
    for tensor in (*module.parameters(), *X.values()):  # counted below
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    gathered = sum(rows.numel() * max(4, rows.element_size()) for rows in X.values())
    activations = sum(storage.nbytes() for storage in kept.values())
    # 8: weights in the plan, its copy and the stack, gradients twice, two moments, scratch;
    # 2: activations and their gradients; the batch, gathered and as floats
    return 8 * weights + 2 * activations + 2 * gathered
