"""Prepared members -> stacks of equal shape that memory holds -> trained members."""

import warnings
from collections import Counter, defaultdict
from copy import deepcopy
from dataclasses import replace
from itertools import chain
from time import perf_counter

import joblib
import numpy as np
import torch
from joblib import delayed

from sklearn_thin._fingerprint import architecture, fingerprint
from sklearn_thin._forward import as_float
from sklearn_thin._random import torch_seed
from sklearn_thin._storage import IN_MEMORY
from sklearn_thin._validation import check_device, held_out_size
from sklearn_thin.model_selection._members import copied, may_write, share_of, why_alone
from sklearn_thin.model_selection._stack import Stack

BUDGET = 2**30  # bytes, on a CPU
# What a stack shares besides its backbone; all else may differ in value, or shows in a shape.
SHARED = (
    "hidden_units",
    "depth",
    "n_experts",
    "gate_input",
    "optimizer",
    "lr_schedule",
    "batch_size",
    "max_epochs",
    "device",
    "compile",
    "mixed_precision",
)


def train_all(members, parallel, *, stack_size, verbose):
    """Train prepared members in stacks.

    Parameters
    ----------
    members : list of Member
    parallel : joblib.Parallel
        Runs the stacks.
    stack_size : "auto" or int
        Members in a stack at most.
    verbose : int
        1 shows a progress bar; above 0 it is said what trains together, and what alone and why.

    Returns
    -------
    list of Member
        In the same order, each trained or with its error; workers send back copies.
    """
    stacks = in_stacks([member for member in members if member.error is None], stack_size)
    if verbose:
        tell(stacks)
    calls = [delayed(train_members)(stack) for stack in stacks]
    trained = chain.from_iterable(parallel(bar(calls, "training", "stack", verbose)))
    places = {(member.candidate, member.fold): member for member in [*members, *trained]}
    return [places[member.candidate, member.fold] for member in members]


def bar(items, description, unit, verbose):
    """The items, with a progress bar for `verbose` 1."""
    from tqdm.auto import tqdm  # late: a notebook loads its widgets, most searches are silent

    return tqdm(items, description, disable=verbose != 1, unit=unit)


def in_stacks(members, stack_size):
    """Lists of members that train together; of one where it trains alone."""
    groups = defaultdict(list)
    for number, member in enumerate(members):
        key = number if why_alone(member.thin) else stack_key(member)
        groups[key].append(member)
    stacks = []
    for group in groups.values():
        most = stack_size
        if most == "auto":
            most = fitting(group[0]) if len(group) > 1 else 1
        n_stacks = -(-len(group) // most)
        stacks += [list(part) for part in np.array_split(np.array(group, object), n_stacks)]
    return stacks


def tell(stacks):
    """Print what trains together, and what alone and why."""
    sizes = [len(stack) for stack in stacks if len(stack) > 1]
    print(f"Training {sum(sizes)} fits in {len(sizes)} stacks, of {sizes}")
    alone = [why_alone(stack[0].thin) for stack in stacks if len(stack) == 1]
    for reason, count in Counter(alone).items():
        print(f"Training {count} fits one by one: {reason or 'no other of that shape'}")


def train_members(members):
    """Train members together; one by one where they cannot be stacked."""
    if len(members) > 1:
        try:
            train_stack(members)
        except Exception as refusal:  # vmap's, or a module's, which the fits alone will tell of
            warnings.warn(
                f"{len(members)} fits of one shape train one by one, as they cannot be "
                f"stacked: {refusal}",
                RuntimeWarning,
                stacklevel=2,
            )
    for member in members:
        if member.error is None and not hasattr(member.thin, "net_"):
            train_alone(member)
    return members


def fitting(member):
    """How many nets like this one may train together within the budget, at least one."""
    try:
        size = step_bytes(member)
    except Exception:
        return 1  # whatever is wrong, the fit itself will tell of it
    device = check_device(member.thin.device)
    budget = BUDGET
    if device.type == "cuda":
        budget = torch.cuda.mem_get_info(device)[0] // 2
    return max(1, budget // size)


def stack_key(member):
    """Members of one key can be stacked: equal shapes, and equal numbers of steps."""
    thin, training = member.thin, member.training
    shapes = [(name, tuple(t.shape)) for name, t in training.module.state_dict().items()]
    parts = [part for part in (training.train, training.valid) if part is not None]
    data = [[(name, *kind(rows)) for name, rows in part.X.items()] for part in parts]
    shared = [getattr(thin, name) for name in SHARED]
    stops_early = held_out_size(thin.early_stopping) is not None
    settings = joblib.hash([shapes, data, stops_early, shared])
    dispeller = training.net_params["dispeller"]
    heads = None if dispeller is None else tuple(map(architecture, dispeller.heads))
    return settings, fingerprint(thin.backbone), heads


def kind(rows):
    """What tensors must have in common to be stacked; large ones are not copied for each net."""
    n_bytes = rows.numel() * rows.element_size()
    return rows.dtype, tuple(rows.shape), rows.data_ptr() if n_bytes > IN_MEMORY else None


def step_bytes(member):
    """Memory in bytes that a net adds to a stack's step: weights, moments, activations.

    The activations are measured: they are what autograd keeps of one batch's forward pass.
    """
    training, module = member.training, deepcopy(member.training.module).train()
    batch = slice(member.thin.batch_size)
    # copies, as a module may write into its input
    X = {name: rows[batch].clone() for name, rows in training.train.X.items()}
    kept = {}

    def keep(tensor):
        # the graph gets nothing: an output that it referred to would hold on to it for good
        kept[tensor.untyped_storage().data_ptr()] = tensor.detach().untyped_storage()

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept)
    with torch_seed(0, torch.device("cpu")), hooks:
        module(as_float(X["x"]), X.get("gate_input"), X.get("exogenous_logits"))
    weights = sum(w.numel() * w.element_size() for w in module.parameters())
    for tensor in (*module.parameters(), *X.values()):  # counted apart
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    gathered = sum(rows.numel() * max(4, rows.element_size()) for rows in X.values())
    activations = sum(storage.nbytes() for storage in kept.values())
    # weights in the member, in its copy and in the stack, gradients twice, two moments, the
    # step's scratch; activations with their gradients; the batch, gathered and as floats
    return 8 * weights + 2 * activations + 2 * gathered


def train_alone(member):
    """Train a member as its own fit does."""
    with share_of([member]):
        if member.training is None:
            X, y, params = member.given
            X = copied(X) if may_write(member.estimator) else X
            member.estimator.fit(X, y, **params)
        else:
            member.thin._train(member.training)
    member.training, member.given = None, ()


def train_stack(members):
    """Train members of one key together; halves of them where memory runs out.

    Raises
    ------
    RuntimeError
        Where torch.vmap refuses the module.
    """
    start = perf_counter()
    thin = members[0].thin
    # copies, so that the modules can be trained anew if this attempt fails
    trainings = [replace(m.training, module=deepcopy(m.training.module)) for m in members]
    nets = [m.thin._new_net(training) for m, training in zip(members, trainings, strict=True)]
    errors = None
    try:
        stack = Stack(nets, trainings)
        with torch_seed(members[0].training.seed, check_device(thin.device)):
            errors = stack.fit()
    except (MemoryError, RuntimeError) as error:
        if len(members) == 1 or not is_out_of_memory(error):
            raise
    if errors is None:  # outside of the handler, which would hold on to the memory
        stack = nets = None  # as these would
        half = len(members) // 2
        warnings.warn(
            f"out of memory with a stack of {len(members)} nets; trying two of {half} and "
            f"{len(members) - half}. Set stack_size to avoid the attempt.",
            RuntimeWarning,
            stacklevel=2,
        )
        train_stack(members[:half])
        train_stack(members[half:])
        return
    seconds = (perf_counter() - start) / len(members)
    for member, net in zip(members, nets, strict=True):
        member.seconds += seconds
        member.thin.net_ = net
        member.thin._tidy(net, keep_optimizer=False)
        member.training = None
        if net in errors:
            member.fail(errors[net])


def is_out_of_memory(error):
    """Whether torch or Python could not get the memory that it asked for."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # which torch's CPU allocator and the making of a CUDA graph tell without a type of its own
    told = ("can't allocate memory", "CUDA error: out of memory")
    return any(text in str(error) for text in told)
