"""One stack: nets of one family -> trained together, each as it would train alone.

The parameters and buffers of the modules are stacked, smaller ones padded, and their steps are one
batched program (torch.vmap). The optimizer of a single fit steps the stacked tensors: it works
element by element, so that the nets stay independent.
"""

from collections import defaultdict
from contextvars import ContextVar
from copy import deepcopy
from operator import attrgetter
from time import perf_counter

import torch
from torch.func import functional_call, stack_module_state
from torch.optim.lr_scheduler import CosineAnnealingLR

from sklearn_thin._environment import CASTS, fitted_attributes
from sklearn_thin.losses import batch_losses
from sklearn_thin.modules.norms import StackedNorms
from sklearn_thin.modules.tensors import own_tensors, same_shapes
from sklearn_thin.training.batches import StackedBatches
from sklearn_thin.training.callbacks import early_stopping
from sklearn_thin.training.capture import CapturedStep
from sklearn_thin.training.maps import EPOCH_ROWS, refit_map
from sklearn_thin.training.net import new_net, record
from sklearn_thin.training.padding import padded, with_term
from sklearn_thin.training.traced import ENOUGH, TracedStep, can_be_traced

TICK = ContextVar("tick", default=None)  # gets the number of nets after each epoch
_rate = attrgetter("settings.lr", "settings.weight_decay")  # differ between the optimizer's groups
SMALL = 2**16  # values; the optimizer takes as long for fewer


class Stack:
    """Nets that train together, from plans of one family key.

    Sizes, weights, rows, seeds, rates, weight decays, λ and patience may differ.
    """

    def __init__(self, plans):
        # the optimizer steps neighbours of one rate as one tensor
        self.order = sorted(range(len(plans)), key=lambda i: _rate(plans[i]))
        self.plans = [plans[i] for i in self.order]
        self.nets = [new_net(plan) for plan in self.plans]
        self.settings = settings = self.plans[0].settings
        given = settings.batch_size, settings.device
        terms = [plan for plan in self.plans if plan.loss.term is not None]
        alike = [with_term(p, terms[0]) if terms and p.loss.term is None else p for p in self.plans]
        self.train = StackedBatches([plan.train for plan in alike], *given)
        self.valid = None
        if plans[0].valid is not None:
            self.valid = StackedBatches([plan.valid for plan in self.plans], *given)
        modules = [net.module_ for net in self.nets]
        if settings.device.type == "cuda":  # batch norm asks vmap for channels last, which it lacks
            modules = [module.to(memory_format=torch.contiguous_format) for module in modules]
        # only the structure of module and loss is used, of copies, as these may keep tensors
        if same_shapes(modules):
            self.module, self.state = deepcopy(modules[0]), stack_module_state(modules)
            self.places = [dict.fromkeys(own_tensors(module), ...) for module in modules]
        else:
            self.module, self.state, self.places = padded(modules)
        self.first = [{k: t.detach().clone() for k, t in part.items()} for part in self.state]
        losses = [plan.loss for plan in alike]  # which the nets hold
        self.loss, self.loss_state = deepcopy(losses[0]), stack_module_state(losses)
        weights = [*self.state[0].values(), *self.loss_state[0].values()]
        self.trained = [weight for weight in weights if weight.requires_grad]
        n_rates = len(set(map(_rate, self.plans)))
        buckets = defaultdict(list)
        for index, weight in enumerate(self.trained):
            small = weight.numel() < SMALL * n_rates
            buckets[weight.dtype if small else index].append(index)
        self.buckets = list(buckets.values())  # of weights that the optimizer steps as one tensor
        self.optimizer, self.groups = self._optimizer()
        self.layouts = None  # axes of the weights in the order of memory, from the first step on
        self.schedule = None
        if settings.lr_schedule == "cosine":
            n_steps = settings.max_epochs * len(self.train.bounds)
            self.schedule = CosineAnnealingLR(self.optimizer, n_steps)
        self.orders = [net.iterator_train__generator for net in self.nets]
        self.map_orders = [torch.Generator().manual_seed(plan.seed) for plan in self.plans]
        self.stoppers = {}
        if settings.n_iter_no_change is not None:
            self.stoppers = {i: early_stopping(plan) for i, plan in enumerate(self.plans)}
        for index, stopper in self.stoppers.items():
            stopper.on_train_begin(self.nets[index])
        self.step = self._step
        self.epoch = 0  # epochs trained
        self.active = set(range(len(plans)))  # nets that neither stopped nor failed
        self.errors = {}

    def fit(self, ctrl_c, until=None, kept=None):
        """Train all nets; for each plan its net, or a FloatingPointError of its loss.

        `ctrl_c` is the list of :func:`noting_ctrl_c`. Training pauses after `until` epochs, and
        goes on in the next call; None trains to the end. It starts from the last state of `kept`.
        """
        until = until or self.settings.max_epochs
        self.step, shape = self._step, (len(self.nets), self.settings.batch_size)
        long = (until - self.epoch) * len(self.train.bounds) >= ENOUGH
        if self.settings.compile and self.settings.device.type == "cuda":
            self.step = CapturedStep(self._step, shape)
        elif self.settings.device.type == "cpu" and long and can_be_traced(self.module, self.loss):
            self.step = TracedStep(self._step, shape, (self.state, self.loss_state))
        state = None if kept is None else kept.newest()
        if state is not None:
            self.load_state_dict(state)
        try:
            while self.active and self.epoch < until:
                self._run_epoch(self.epoch, ctrl_c)
                self.epoch += 1
                if (tick := TICK.get()) is not None:
                    tick(len(self.nets))
                if kept is not None:
                    kept.epoch_ended(self.epoch, self.state_dict)
        finally:
            self.step = None  # a graph keeps memory, and the stack
        return self.results()

    def results(self):
        """For each plan its net, or the error of its loss.

        The nets get copies of the weights: the last, or with early stopping the best.
        """
        results = [None] * len(self.nets)
        for index, place in enumerate(self.order):
            net = results[place] = self.errors.get(index, self.nets[index])
            if index in self.errors:
                continue
            self._load(index)
            if index in self.stoppers:
                self.stoppers[index].on_train_end(net)
            if self.plans[index].map_labels is not None:
                order = self.map_orders[index].clone_state()  # as the training may go on
                refit_map(net.module_, self.plans[index], None, order)
        return results

    # ------------------------------------------------------------------ a pause

    def state_dict(self):
        """All that another stack of the same plans needs to go on: tensors, numbers and text."""
        stoppers = [(i, fitted_attributes(stopper)) for i, stopper in self.stoppers.items()]
        return {
            "weights": [dict(part) for part in (*self.state, *self.loss_state)],
            "layouts": self.layouts,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule and self.schedule.state_dict(),
            "orders": [order.get_state() for order in (*self.orders, *self.map_orders)],
            "histories": [[dict(epoch) for epoch in net.history] for net in self.nets],
            "stoppers": stoppers,
            "active": sorted(self.active),
            "errors": [(i, str(error)) for i, error in self.errors.items()],
            "epoch": self.epoch,
        }

    @torch.no_grad()
    def load_state_dict(self, state):
        """Go on from a `state_dict`."""
        parts = [*self.state, *self.loss_state]
        for part, kept in zip(parts, state["weights"], strict=True):
            for name, tensor in part.items():
                tensor.copy_(kept[name])
        self.layouts = state["layouts"]
        self._lay_out()
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        for order, kept in zip((*self.orders, *self.map_orders), state["orders"], strict=True):
            order.set_state(kept)
        for net, history in zip(self.nets, state["histories"], strict=True):
            net.history_ = type(net.history)(history)
        for i, fitted in state["stoppers"]:
            vars(self.stoppers[i]).update(fitted)
        self.active, self.epoch = set(state["active"]), state["epoch"]
        self.errors = {i: FloatingPointError(error) for i, error in state["errors"]}

    def restore(self):
        """Give the plans' modules their first weights, so that they can train anew."""
        self.state = self.first
        for index in range(len(self.nets)):
            self._load(index)

    # ------------------------------------------------------------------ a step

    def _optimizer(self):
        """The optimizer, with a group of slices of the weights' memory for each rate."""
        groups, slices, start = [], [], 0
        for stop in range(1, len(self.plans) + 1):
            if stop < len(self.plans) and _rate(self.plans[stop]) == _rate(self.plans[start]):
                continue
            tensors = [self.trained[bucket[0]].new_empty(0) for bucket in self.buckets]
            lr, weight_decay = _rate(self.plans[start])
            groups.append({"params": tensors, "lr": lr, "weight_decay": weight_decay})
            slices.append((slice(start, stop), tensors))
            start = stop
        net = self.nets[0]
        _, kwargs = net.get_params_for_optimizer("optimizer", net.module_.named_parameters())
        return net.optimizer(groups, **kwargs), slices

    def _lay_out(self, gradients=()):
        """Lay the weights out in memory as their gradients, and small ones side by side.

        A batched product gives the gradient of a linear layer transposed. Laid out alike, no step
        has to copy it. Without gradients the layouts stay.
        """
        self.layouts = [
            [0, *sorted(range(1, gradient.ndim), key=gradient.stride, reverse=True)]
            for gradient in gradients
        ] or self.layouts
        for place, bucket in enumerate(self.buckets):
            memory, start = self._memory(self.trained, bucket), 0
            for weight, layout in ((self.trained[i], self.layouts[i]) for i in bucket):
                part = memory[:, start : start + weight[0].numel()]
                part = part.view([weight.shape[axis] for axis in layout])
                weight.data = part.permute([layout.index(axis) for axis in range(weight.ndim)])
                start += weight[0].numel()
            for part, tensors in self.groups:
                tensors[place].data = memory[part]

    def _memory(self, tensors, bucket):
        """Weights of a bucket, or their gradients, in the order of memory: (nets, values)."""
        parts = [tensors[i].detach().permute(self.layouts[i]) for i in bucket]
        parts = [part.reshape(len(part), -1) for part in parts]  # a view, if it is laid out so
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _losses(self, batch, y, states=None, **how):
        """Means of the loss and its terms, (nets,) each."""

        def of_net(state, loss_state, X, y):
            return batch_losses(
                lambda *inputs: functional_call(self.module, state, inputs),
                lambda *inputs: functional_call(self.loss, loss_state, inputs),
                X,
                y,
                **how,
            )[0]

        states = states or (self.state, self.loss_state)
        with StackedNorms():
            return torch.vmap(of_net, randomness="different")(*states, batch, y)

    def _step(self, batch, y, states=None):
        """Means of a training batch, (nets,), and the gradients of the loss.

        `states` stand for those of module and loss.
        """
        precision = CASTS.get(self.settings.mixed_precision)
        means = self._losses(batch, y, states, precision=precision)
        # the gate of a single expert is unused, and gets zeros
        total, trained = means["loss"].sum(), self.trained
        if states:
            weights = [weight for parameters, _ in states for weight in parameters.values()]
            trained = [weight for weight in weights if weight.requires_grad]
        gradients = torch.autograd.grad(total, trained, materialize_grads=True)
        return {name: mean.detach() for name, mean in means.items()}, gradients

    def _step_in_parts(self, parts):
        """`_step` of a batch whose size differs from net to net."""
        means = self._means(parts, precision=CASTS.get(self.settings.mixed_precision))
        total = means["loss"].sum()
        gradients = torch.autograd.grad(total, self.trained, materialize_grads=True)
        return {name: mean.detach() for name, mean in means.items()}, gradients

    def _means(self, parts, **how):
        """Means of the loss and its terms over the parts of a batch, (nets,) each."""
        if len(parts) == 1:
            return self._losses(*parts[0][1:], **how)
        found = [self._losses_of(*part, **how) for part in parts]
        place = torch.cat([nets for nets, *_ in parts]).argsort()
        return {name: torch.cat([means[name] for means in found])[place] for name in found[0]}

    def _losses_of(self, nets, batch, y, **how):
        """`_losses` of some nets, by their index."""
        states = self.state, self.loss_state
        some = [tuple({k: t[nets] for k, t in of.items()} for of in state) for state in states]
        means = self._losses(batch, y, some, **how)
        for (_, buffers), (_, changed) in zip(states, some, strict=True):
            for name, buffer in buffers.items():
                buffer[nets] = changed[name].detach()
        return means

    def _train_epoch(self):
        """One pass over the training rows: means of the loss and its terms, (nets,) each."""
        self.module.train()
        self.loss.train()
        sums = {}
        for parts, size in self.train.batches(self.orders):
            whole = len(parts) == 1
            means, gradients = self.step(*parts[0][1:]) if whole else self._step_in_parts(parts)
            if self.layouts is None:
                self._lay_out(gradients)
            for place, bucket in enumerate(self.buckets):
                memory = self._memory(gradients, bucket)
                for part, tensors in self.groups:
                    tensors[place].grad = memory[part]
            self.optimizer.step()
            if self.schedule:
                self.schedule.step()
            for name, values in means.items():
                sums[name] = sums.get(name, 0.0) + values * size
        recorded = [name for name in ("loss", "dispelling") if name in sums]
        return {name: sums[name] / self.train.n_rows for name in recorded}

    @torch.no_grad()
    def _validate(self):
        """Mean loss without dispelling on the held-out rows, (nets,)."""
        self.module.eval()
        batches = self.valid.batches()
        total = sum(self._means(parts, dispelled=False)["loss"] * size for parts, size in batches)
        return {"loss": total / self.valid.n_rows}

    # ------------------------------------------------------------------ an epoch

    def _run_epoch(self, epoch, ctrl_c):
        start = perf_counter()
        rates = [0.0] * len(self.nets)
        for (part, _), group in zip(self.groups, self.optimizer.param_groups, strict=True):
            rates[part] = [group["lr"]] * len(rates[part])
        if epoch and self.plans[0].map_labels is not None:
            self._refit_maps()
        means = {"train": self._train_epoch()}
        if self.valid is not None:
            means["valid"] = self._validate()
        means = {part: {k: v.tolist() for k, v in of.items()} for part, of in means.items()}
        values = [*self.state[0].values(), *self.state[1].values()]
        finite = [part.detach().reshape(len(part), -1).isfinite().all(1) for part in values]
        finite = torch.stack(finite).all(0).tolist()  # weights and statistics of each net
        seconds = (perf_counter() - start) / len(self.nets)
        for index in sorted(self.active):
            own = {part: {k: v[index] for k, v in of.items()} for part, of in means.items()}
            if self.plans[index].loss.term is None:  # the term of others is 0
                own["train"].pop("dispelling", None)
            epoch = {"means": own, "finite": finite[index], "rate": rates[index], "dur": seconds}
            if self._ends(index, epoch, ctrl_c):
                self.active.remove(index)

    def _ends(self, index, epoch, ctrl_c):
        """Write the epoch into a net's history; whether the training of the net ends."""
        net, batches = self.nets[index], {"train": self.train, "valid": self.valid}
        net.history.new_epoch()
        net.history.record("epoch", len(net.history))
        if self.schedule:
            net.history.record("event_lr", epoch["rate"])
        try:
            for part, means in epoch["means"].items():
                known = {"finite": epoch["finite"], "lr": net.lr}
                record(net.history, part, means, len(batches[part].bounds), **known)
        except FloatingPointError as error:
            error = self.plans[index].names_rows(error)
            self.errors[index] = error.with_traceback(None)  # which holds the stack
            return True
        net.history.record("dur", epoch["dur"])
        if index in self.stoppers:
            self._load(index)  # early stopping keeps the best weights
            try:
                self.stoppers[index].on_epoch_end(net)
            except KeyboardInterrupt:
                if ctrl_c:
                    raise
                return True
        return False

    @torch.no_grad()
    def _load(self, index):
        """Copy the present weights and statistics of a net into its module."""
        own, stacked = own_tensors(self.nets[index].module_), self.state[0] | self.state[1]
        for name, place in self.places[index].items():
            own[name].copy_(stacked[name][index][place])

    def _refit_maps(self):
        """Fit the map of each net to its own representation."""
        for index in self.active:
            plan, module = self.plans[index], self.nets[index].module_
            self._load(index)
            refit_map(module, plan, EPOCH_ROWS, self.map_orders[index])
            for name, fitted in module.eraser.named_buffers():
                name = f"eraser.{name}"
                self.state[1][name][index][self.places[index][name]] = fitted
