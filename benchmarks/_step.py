"""Where the time of a stacked training step goes, and its floor."""

import time
from statistics import median

import torch
from sklearn.model_selection import StratifiedKFold
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from sklearn_thin._environment import own_torch_state
from sklearn_thin._sharing import sharing
from sklearn_thin.model_selection._members import Preparation
from sklearn_thin.training.stack import Stack
from sklearn_thin.training.stacks import in_stacks

PRODUCTS = {"bmm", "baddbmm", "mm", "addmm", "convolution", "convolution_backward"}
PARTS = {
    "matrix products": PRODUCTS,
    "optimizer": {"_fused_adam_", "_fused_adamw_", "_fused_sgd_", "_foreach_add_"},
    "batch normalisation": {"native_batch_norm", "native_batch_norm_backward"},
    "copies": {"copy_"},
    "gather of the batch": {"index", "index_select"},
    "random numbers": {"bernoulli_", "uniform_", "random_", "randperm"},
}


class Products(TorchDispatchMode):
    """Keeps the calls of matrix products and convolutions, with their tensors."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in PRODUCTS:
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def stacks_of(thin, X, y, candidates, n_folds):
    """The stacks of a search, before their first step."""
    preparation = Preparation(thin, X, y, {})
    folds = [train for train, _ in StratifiedKFold(n_folds).split(X, y)]
    with sharing():
        members = [
            preparation.member(0, p, f, rows) for p in candidates for f, rows in enumerate(folds)
        ]
    plans = [member.plan for member in members]
    return [Stack([plans[index] for index in indices]) for indices in in_stacks(plans)]


def milliseconds(call, repeats=30):
    """Median of some calls, after one to warm up."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1e3 * median(seconds[1:])


@own_torch_state()
def print_floor(stacks):
    """Print for each stack a step, its matrix products, and one pass of Adam over its weights.

    Returns the seconds of the floor, for all steps of all stacks.
    """
    print(f"{'networks':>10}{'weights':>13}{'ms a step':>11}{'products':>10}{'optimizer':>11}")
    total = 0.0
    for stack in stacks:
        n_steps = len(stack.train.bounds)
        each = milliseconds(stack._train_epoch, 2) / n_steps
        (((_, batch, y), *_), _) = next(stack.train.batches(stack.orders))
        with Products() as products:
            stack._step(batch, y)
        multiply = milliseconds(lambda calls=products.calls: [f(*a, **k) for f, a, k in calls])
        weights = torch.zeros(sum(weight.numel() for weight in stack.trained))
        weights.grad = torch.ones_like(weights)
        optimizer = milliseconds(torch.optim.Adam([weights], fused=True).step)
        row = f"{len(stack.nets):10d}{len(weights):13,d}{each:11.2f}{multiply:10.2f}"
        print(f"{row}{optimizer:11.2f}")
        total += (multiply + optimizer) * n_steps * stack.settings.max_epochs / 1e3
    return total


@own_torch_state()
def print_profile(stacks):
    """Print the shares of the parts of a step in the time of an epoch, for each stack."""
    for stack in stacks:
        stack._train_epoch()
        start = time.perf_counter()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            stack._train_epoch()
        whole = 1e6 * (time.perf_counter() - start)
        events = {e.key.removeprefix("aten::"): e for e in profiler.key_averages()}
        spent = {
            part: sum(events[name].self_cpu_time_total for name in names & events.keys())
            for part, names in PARTS.items()
        }
        all_of_torch = sum(event.self_cpu_time_total for event in events.values())
        calls = sum(event.count for name, event in events.items() if "::" not in name)
        spent["other operations of torch"] = all_of_torch - sum(spent.values())
        spent["between the operations"] = whole - all_of_torch
        n_steps = len(stack.train.bounds)
        print(f"{len(stack.nets)} networks, {whole / n_steps / 1e3:.2f} ms a step when profiled")
        print(f"  {calls / n_steps:.0f} operations a step; shares of the time, %")
        for part, microseconds in spent.items():
            print(f"    {part:<28}{100 * microseconds / whole:6.1f}")
