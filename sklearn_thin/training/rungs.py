"""Plans of one shape -> nets after some epochs; the best train on from there, for further rungs."""

import warnings
from copy import deepcopy
from dataclasses import replace
from time import perf_counter

import joblib
import torch

from sklearn_thin._environment import noting_ctrl_c, own_torch_state, torch_seed
from sklearn_thin.training.callbacks import StopAfter
from sklearn_thin.training.checkpoints import digest, read, write
from sklearn_thin.training.stack import Stack
from sklearn_thin.training.stacks import is_out_of_memory, train_together


def stopping(plan, epoch):
    """The plan of a training that stops after `epoch` epochs of its schedule."""
    if epoch == plan.settings.max_epochs:
        return plan
    return replace(plan, followers={**plan.followers, "stop": StopAfter(epoch)})


class PrunedStack(Stack):
    """A stack that drops nets between rungs, and goes on with the others."""

    def keep(self, places):
        """Drop all nets except for those at these places of the results, in this new order."""
        kept = [i for i, place in enumerate(self.order) if place in places]  # in order of the rates
        self.order = [places.index(self.order[i]) for i in kept]
        for name in ("plans", "nets", "orders", "map_orders", "places"):
            setattr(self, name, [getattr(self, name)[i] for i in kept])
        new = {old: index for index, old in enumerate(kept)}
        self.active = {new[old] for old in self.active & new.keys()}
        self.stoppers = {new[old]: stop for old, stop in self.stoppers.items() if old in new}
        self.errors = {new[old]: error for old, error in self.errors.items() if old in new}
        for batches in (self.train, self.valid):
            if batches is not None:
                batches.keep(kept)
        self._keep_weights(kept)

    def _keep_weights(self, kept):
        """Slice the weights, buffers and moments of the nets; rates without a net lose a group."""
        for stacked in (*self.state, *self.loss_state):
            for name, tensor in stacked.items():
                stacked[name] = tensor.detach()[kept].requires_grad_(tensor.requires_grad)
        weights = [*self.state[0].values(), *self.loss_state[0].values()]
        self.trained = [weight for weight in weights if weight.requires_grad]
        alive, slices, start = [], [], 0
        for group, (part, tensors) in enumerate(self.groups):
            inside = [i - part.start for i in kept if part.start <= i < part.stop]
            for tensor in tensors:
                moments = self.optimizer.state.pop(tensor, {})
                each = [k for k, v in moments.items() if torch.is_tensor(v) and v.ndim == 2]
                if inside:
                    self.optimizer.state[tensor] = moments | {k: moments[k][inside] for k in each}
            if inside:
                slices.append((slice(start, start := start + len(inside)), tensors))
                alive.append(group)
        self.groups = slices
        for values in (self.optimizer.param_groups, self.schedule and self.schedule.base_lrs):
            if values:
                values[:] = [values[group] for group in alive]
        if self.layouts is not None:
            self._lay_out()


class Rungs:
    """Plans of one shape key whose training pauses, drops nets and goes on.

    Plans that torch.vmap cannot stack train alone, anew for each rung.
    """

    def __init__(self, plans, folder=None):
        self.plans = plans
        self.folder = folder  # keeps the stack of each rung
        self.stack = None
        self.stacks = True  # whether the plans can be stacked
        self.key = digest(plans) if folder else None
        self.trail = []  # the epochs and places of all rungs so far

    @property
    def epoch(self):
        """Epochs trained."""
        return 0 if self.stack is None else self.stack.epoch

    @own_torch_state()
    def train(self, epoch):
        """Train until `epoch`: a net or an error for each plan, and each plan's seconds.

        Raises an error of memory where a stack of several nets does not fit.
        """
        start = perf_counter()
        try:
            if self.stacks:
                results = self._go_on(epoch)
                return results, [(perf_counter() - start) / len(results)] * len(results)
        except Exception as refusal:
            self.stack = None
            if is_out_of_memory(refusal) and len(self.plans) > 1:
                raise
            self.stacks = False
            warnings.warn(
                f"{len(self.plans)} fits of one shape train one by one, and anew for each rung, as "
                f"they cannot be stacked: {refusal}",
                RuntimeWarning,
                stacklevel=2,
            )
        of_each = [train_together([stopping(plan, epoch)]) for plan in self._copies()]
        return [result for (result,), _ in of_each], [seconds for _, (seconds,) in of_each]

    def _go_on(self, epoch):
        """Train the stack from its epoch on."""
        if self.stack is None:
            self.stack = PrunedStack(self._copies())
        self.trail.append(epoch)
        key = joblib.hash([self.key, self.trail]) + ".rung"
        kept = read(self.folder, key) if self.key else None
        if kept is not None:
            self.stack.load_state_dict(kept)
            return self.stack.results()
        settings, seed = self.plans[0].settings, self.plans[0].seed + self.epoch
        with torch_seed(seed, settings.device), noting_ctrl_c() as ctrl_c:
            results = self.stack.fit(ctrl_c, epoch)
        if self.key:
            write(self.folder, key, self.stack.state_dict())
        return results

    def _copies(self):
        """The plans with modules of their own, so that the plans can train anew."""
        return [replace(p, module=deepcopy(p.module), loss=deepcopy(p.loss)) for p in self.plans]

    def keep(self, places):
        """Drop all plans except for those at these places, in this order."""
        self.plans = [self.plans[place] for place in places]
        self.trail.append(places)
        if self.stack is not None:
            self.stack.keep(places)
