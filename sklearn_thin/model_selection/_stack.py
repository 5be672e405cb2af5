"""One stack: nets of equal shape -> trained together, each as it would be alone.

The modules stay as they are. Their parameters and buffers are stacked (torch.func), one forward
pass of all is one batched program (torch.vmap), and the optimizer of a single fit steps the
stacked tensors: it works element by element, so that each net goes its own way.
"""

import math
from time import perf_counter

import torch
from torch.func import functional_call, stack_module_state
from torch.optim.lr_scheduler import CosineAnnealingLR

from sklearn_thin._batches import batch_bounds
from sklearn_thin._callbacks import own_callbacks
from sklearn_thin._capture import CapturedStep, laid_out_as
from sklearn_thin._forward import as_float, in_precision
from sklearn_thin._net import divergence, is_best, raised_in
from sklearn_thin.losses import cross_entropy
from sklearn_thin.modules.thin import widened

LOSSES = ("train_loss", "valid_loss")
BLOCK = 2**22  # values of x that go through the stack at once, to validate


class Stack:
    """Nets that are trained together.

    Parameters
    ----------
    nets : list of THINNet
        Initialised, before their first step; of equal module, optimizer, batch size and
        epochs. What may differ are weights, seeds, rate, weight decay and λ.
    trainings : list of Training
        Of each net: its rows and those held out, equal in their numbers, and its seed.
    """

    def __init__(self, nets, trainings):
        # neighbours share a group of the optimizer, which steps them as one tensor
        order = sorted(range(len(nets)), key=lambda i: _rate(nets[i]))
        self.nets = [nets[i] for i in order]
        self.trainings = [trainings[i] for i in order]
        self.train = Rows([training.train for training in self.trainings], nets[0].device)
        self.valid = None
        if trainings[0].valid is not None:
            self.valid = Rows([training.valid for training in self.trainings], nets[0].device)
        modules = [net.module_ for net in self.nets]
        self.params, self.buffers = stack_module_state(modules)
        self.trained = {name: w for name, w in self.params.items() if w.requires_grad}
        self.module = modules[0]  # its own tensors are never read
        self.bounds = batch_bounds(self.train.n_rows, nets[0].batch_size)
        self.batch_counts = {"train_batch_count": len(self.bounds)}
        if self.valid is not None:
            bounds = batch_bounds(self.valid.n_rows, nets[0].batch_size)
            self.batch_counts["valid_batch_count"] = len(bounds)  # of a single fit
        self.callbacks = [own_callbacks(net) for net in self.nets]
        self.optimizer, self.groups = self._optimizer()
        self.schedule = None
        if "lr_schedule" in self.callbacks[0]:
            n_steps = nets[0].max_epochs * len(self.bounds)
            self.schedule = CosineAnnealingLR(self.optimizer, n_steps)
        self.generators = [net.iterator_train__generator for net in self.nets]
        self.lam = self.optimizer.param_groups[0]["params"][0].new_tensor(
            [net.lam for net in self.nets]
        )
        self.dispel = _stacked_dispeller([net.dispeller for net in self.nets])
        self.eraser_generators = [torch.Generator().manual_seed(t.seed) for t in self.trainings]
        self.terms = self._terms
        if nets[0].compile and torch.device(nets[0].device).type == "cuda":
            self.terms = CapturedStep(self._terms, (len(nets), nets[0].batch_size))
        self.active = set(range(len(self.nets)))  # neither stopped nor broken
        self.errors = {}

    def fit(self):
        """Train all nets; each has its weights and history afterwards, or an error.

        Returns
        -------
        dict from net to exception
            Of the nets whose loss did not stay finite.
        """
        for index, callbacks in enumerate(self.callbacks):
            if "early_stopping" in callbacks:
                callbacks["early_stopping"].on_train_begin(self.nets[index])
        try:
            self._run_epochs()
        finally:
            self.terms = None  # a graph holds its memory, and the stack
        self._give_back()
        return {self.nets[index]: error for index, error in self.errors.items()}

    def _run_epochs(self):
        for epoch in range(1, self.nets[0].max_epochs + 1):
            start = perf_counter()
            told = {"event_lr": self._rates()} if self.schedule else {}
            if epoch > 1:
                self._refit_erasers()
            told |= self._run_epoch()
            if self.valid is not None:
                told["valid_loss"] = self._validate()
            self._record(epoch, told, perf_counter() - start)
            if not self.active:
                break

    # ------------------------------------------------------------------ a step

    def _optimizer(self):
        """The nets' optimizer over slices of the stacked tensors, a group for each rate."""
        net, groups, slices = self.nets[0], [], []
        start = 0
        for stop in range(1, len(self.nets) + 1):
            if stop < len(self.nets) and _rate(self.nets[stop]) == _rate(self.nets[start]):
                continue
            tensors = [tensor.detach()[start:stop] for tensor in self.trained.values()]
            lr, weight_decay = _rate(self.nets[start])
            groups.append({"params": tensors, "lr": lr, "weight_decay": weight_decay})
            slices.append((slice(start, stop), tensors))
            start = stop
        _, kwargs = net.get_params_for_optimizer("optimizer", net.module_.named_parameters())
        return net.optimizer(groups, **kwargs), slices

    def _run_epoch(self):
        """One pass over the training rows: means of the loss and of its terms, (nets,) each."""
        self.module.train()
        order = [torch.randperm(self.train.n_rows, generator=g) for g in self.generators]
        order = torch.stack(order).to(self.train.device)  # (nets, rows)
        sums = {}
        for start, stop in self.bounds:
            batch, y = self.train.take(order[:, start:stop])
            means = self._step(batch, y)
            for name, values in means.items():
                sums[name] = sums.get(name, 0.0) + values * (stop - start)
            if self.schedule:
                self.schedule.step()
        return {f"train_{name}": total / self.train.n_rows for name, total in sums.items()}

    def _step(self, batch, y):
        """One step of all nets: the loss and the dispelling term of each, (nets,)."""
        means, gradients = self.terms(batch, y)
        for part, tensors in self.groups:
            for tensor, gradient in zip(tensors, gradients, strict=True):
                tensor.grad = laid_out_as(tensor, gradient[part])
        self.optimizer.step()
        return means

    def _terms(self, batch, y):
        """The loss and the dispelling term of each net, (nets,), and the gradients of the loss."""
        with in_precision(self.nets[0].mixed_precision, self.nets[0].device):
            output = self._forward(batch)
        logits, h = (widened(part) for part in output)
        loss, dispelling = self._losses(logits, y, batch.get("weight")), None
        if self.dispel is not None:
            dispelling = _mean(self.dispel(batch["exogenous_logits"], h), batch.get("weight"))
            loss = loss + self.lam * dispelling
        # zeros for the gate of a single expert, which is not asked
        params = list(self.trained.values())
        gradients = torch.autograd.grad(loss.sum(), params, materialize_grads=True)
        means = {"loss": loss.detach()}
        if dispelling is not None:
            means["dispelling"] = dispelling.detach()
        return means, gradients

    def _forward(self, batch):
        """Logits (nets, batch, classes) and h_endo (nets, batch, width)."""
        names = ("gate_input", "exogenous_logits")
        frozen = [batch[name] for name in names if name in batch]
        present = [name for name in names if name in batch]

        def one(params, buffers, x, *values):
            told = dict(zip(present, values, strict=True))
            return tuple(functional_call(self.module, (params, buffers), (x,), told))

        inputs = self.params, self.buffers, as_float(batch["x"]), *frozen
        return torch.vmap(one, randomness="different")(*inputs)

    @staticmethod
    def _losses(logits, y, weight):
        values = cross_entropy(logits.flatten(0, 1), y.flatten()).view(y.shape)
        return _mean(values, weight)

    # ------------------------------------------------------------------ between epochs

    @torch.no_grad()
    def _validate(self):
        """Mean cross-entropy on the held-out rows, (nets,)."""
        self.module.eval()
        total = 0.0
        for batch, y in self.valid.blocks():
            logits, _ = self._forward(batch)
            total = total + self._losses(logits, y, batch.get("weight")) * y.shape[1]
        return total / self.valid.n_rows

    def _rates(self):
        rates = torch.empty(len(self.nets), dtype=torch.float64)
        for (part, _), group in zip(self.groups, self.optimizer.param_groups, strict=True):
            rates[part] = group["lr"]
        return rates

    def _record(self, epoch, told, seconds):
        """Write the epoch into the histories, and see which nets it broke or ended."""
        told = {name: values.tolist() for name, values in told.items()}
        finite = self._finite()
        for index in sorted(self.active):
            net, values = self.nets[index], {name: row[index] for name, row in told.items()}
            losses = {name: values[name] for name in LOSSES if name in values}
            broken = [name for name, loss in losses.items() if not math.isfinite(loss)]
            if broken or not finite[index]:
                name = broken[0] if broken else "train_loss"
                self.errors[index] = divergence(name, losses[name], epoch, net.lr)
                self.active.remove(index)
                continue
            for name, loss in losses.items():
                values[f"{name}_best"] = is_best(net.history, name, loss)
            net.history.new_epoch()
            values = {"epoch": epoch, **values, **self.batch_counts}
            for name, value in {**values, "dur": seconds / len(self.nets)}.items():
                net.history.record(name, value)
            if "early_stopping" in self.callbacks[index] and self._stops(index):
                self.active.remove(index)

    def _stops(self, index):
        """Whether early stopping, which keeps the best weights, ends this net's training."""
        self._load(index)
        try:
            self.callbacks[index]["early_stopping"].on_epoch_end(self.nets[index])
        except KeyboardInterrupt as stop:
            if not raised_in("on_epoch_end", stop):
                raise
            return True
        return False

    def _finite(self):
        """Which nets' weights are all finite."""
        finite = [w.detach().flatten(1).isfinite().all(1) for w in self.params.values()]
        return torch.stack(finite).all(0).tolist()

    def _load(self, index):
        """Give a net its own weights and statistics as they are now."""
        module = self.nets[index].module_
        # not by load_state_dict, which leaves out buffers that are not persistent
        own = dict([*module.named_parameters(), *module.named_buffers()])
        with torch.no_grad():
            for name, tensor in [*self.params.items(), *self.buffers.items()]:
                own[name].copy_(tensor[index])

    def _refit_erasers(self):
        """Each net's eraser is fitted to its own representation, in its own module."""
        if "eraser" not in self.callbacks[0]:
            return
        for index in self.active:
            net, eraser = self.nets[index], self.callbacks[index]["eraser"]
            self._load(index)
            self._refit(index, eraser.n_rows)
            for name, fitted in net.module_.eraser.named_buffers():
                self.buffers[f"eraser.{name}"][index].copy_(fitted)

    def _refit(self, index, n_rows):
        train, generator = self.trainings[index].train, self.eraser_generators[index]
        self.callbacks[index]["eraser"].refit(self.nets[index], train, n_rows, generator)

    def _give_back(self):
        """Each net gets its own weights: the last, or the best where it stopped early."""
        for index, net in enumerate(self.nets):
            if index in self.errors:
                continue
            self._load(index)
            if "early_stopping" in self.callbacks[index]:
                self.callbacks[index]["early_stopping"].on_train_end(net)
            if "eraser" in self.callbacks[index]:
                self._refit(index, self.train.n_rows)


class Rows:
    """Tensors of all nets, where equal ones are kept once.

    Parameters
    ----------
    datasets : list of Dataset
        Of equal names, shapes and types.
    device : str or torch.device
    """

    def __init__(self, datasets, device):
        self.device = device
        self.n_rows = len(datasets[0])
        self.tensors, self.owner = {}, {}
        for name in datasets[0].X:
            self._add(name, [dataset.X[name] for dataset in datasets])
        self._add("y", [dataset.y for dataset in datasets])

    def _add(self, name, tensors):
        distinct, owner = [], []
        for tensor in tensors:
            found = (i for i, other in enumerate(distinct) if _equal(tensor, other))
            index = next(found, len(distinct))
            if index == len(distinct):
                distinct.append(tensor)
            owner.append(index)
        # (distinct, rows, ...); one alone is not copied, and may lie in a file
        rows = torch.stack(distinct) if len(distinct) > 1 else distinct[0].unsqueeze(0)
        self.tensors[name] = rows.to(self.device)
        self.owner[name] = torch.tensor(owner, device=self.device).unsqueeze(1)  # (nets, 1)

    def take(self, index):
        """Rows (nets, batch, ...) of every net, by `index` of shape (nets, batch)."""
        batch = {name: rows[self.owner[name], index] for name, rows in self.tensors.items()}
        return batch, batch.pop("y")

    def blocks(self):
        """All rows of every net in their order, as many at once as memory allows."""
        n_nets, size = len(self.owner["y"]), self.tensors["x"][0, :1].numel()
        step = max(1, BLOCK // (n_nets * size))
        for start in range(0, self.n_rows, step):
            index = torch.arange(start, min(start + step, self.n_rows), device=self.device)
            yield self.take(index.expand(n_nets, -1))


def _equal(tensor, other):
    return tensor.data_ptr() == other.data_ptr() or torch.equal(tensor, other)


def _rate(net):
    """What the optimizer's groups differ in."""
    return net.lr, net.get_params()["optimizer__weight_decay"]


def _mean(values, weight):
    """Mean over the rows of each net: (nets,)."""
    return (values if weight is None else values * weight).mean(1)


def _stacked_dispeller(dispellers):
    """The dispelling term of all nets, whose frozen heads may differ in their weights."""
    if dispellers[0] is None:
        return None
    heads = [dispeller.heads for dispeller in dispellers]  # (nets, variables)
    stacked = [stack_module_state(list(column)) for column in zip(*heads, strict=True)]
    one = dispellers[0]

    def dispel(exogenous_logits, h):
        def of_net(states, logits, h):
            calls = [
                lambda rows, head=head, state=state: functional_call(head, state, (rows,))
                for head, state in zip(one.heads, states, strict=True)
            ]
            return one.terms(calls, logits, h)

        states = [tuple(_detached(part) for part in state) for state in stacked]
        return torch.vmap(of_net)(states, exogenous_logits, h)

    return dispel


def _detached(tensors):
    return {name: tensor.detach() for name, tensor in tensors.items()}
