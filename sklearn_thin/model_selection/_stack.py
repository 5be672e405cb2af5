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

from sklearn_thin._erasure import RefitEraser
from sklearn_thin._net import as_float
from sklearn_thin.losses import cross_entropy

BLOCK = 2**22  # values of x that go through the stack at once, to validate


class Stack:
    """Nets that are trained together.

    Parameters
    ----------
    nets : list of THINNet
        Initialised, before their first step; of equal module, optimizer, batch size and
        epochs. What may differ are weights, seeds, rate, weight decay and λ.
    trainings : list of Training
        Of each net: its rows, those held out, and what its eraser is fitted to, if any; equal
        in their numbers of rows.
    patience : int or None, default=None
        Epochs without a lower validation loss after which a net stops, as skorch's
        EarlyStopping counts them; None never stops.
    cosine : bool, default=True
        Whether the rate falls along a cosine, or stays.
    """

    def __init__(self, nets, trainings, *, patience=None, cosine=True):
        # neighbours share a group of the optimizer, which steps them as one tensor
        order = sorted(range(len(nets)), key=lambda i: _rate(nets[i]))
        self.nets = [nets[i] for i in order]
        self.trainings = [trainings[i] for i in order]
        self.train = Rows([training.train for training in self.trainings], nets[0].device)
        self.valid = None
        if trainings[0].valid is not None:
            self.valid = Rows([training.valid for training in self.trainings], nets[0].device)
        self.patience = patience
        modules = [net.module_ for net in self.nets]
        self.params, self.buffers = stack_module_state(modules)
        self.module = modules[0]  # its own tensors are never read
        self.optimizer, self.groups = self._optimizer()
        self.schedule = None
        if cosine:
            n_steps = nets[0].max_epochs * len(self._bounds())
            self.schedule = CosineAnnealingLR(self.optimizer, n_steps)
        self.generators = [net.iterator_train__generator for net in self.nets]
        self.lam = self.train.floats([net.lam for net in self.nets])  # (nets,)
        self.dispel = _stacked_dispeller([net.dispeller for net in self.nets])
        self.erasers = [None if t.erased is None else Eraser(t) for t in self.trainings]
        self.errors = dict.fromkeys(range(len(self.nets)))
        self.best = [Best(patience) for _ in self.nets]

    def fit(self):
        """Train all nets; each has its weights and history afterwards, or an error.

        Returns
        -------
        dict from net to exception
            Of the nets whose loss did not stay finite.
        """
        for epoch in range(1, self.nets[0].max_epochs + 1):
            start = perf_counter()
            told = {"event_lr": self._rates()} if self.schedule else {}
            if epoch > 1:
                self._refit_erasers()
            told |= self._run_epoch()
            if self.valid is not None:
                told["valid_loss"] = self._validate()
            self._record(epoch, told, perf_counter() - start)
            if all(self._is_done(index) for index in range(len(self.nets))):
                break
        self._give_back()
        return {self.nets[i]: error for i, error in self.errors.items() if error is not None}

    # ------------------------------------------------------------------ a step

    def _optimizer(self):
        """The nets' optimizer over slices of the stacked tensors, a group for each rate."""
        net, groups, slices = self.nets[0], [], []
        start = 0
        for stop in range(1, len(self.nets) + 1):
            if stop < len(self.nets) and _rate(self.nets[stop]) == _rate(self.nets[start]):
                continue
            tensors = [tensor.detach()[start:stop] for tensor in self.params.values()]
            lr, weight_decay = _rate(self.nets[start])
            groups.append({"params": tensors, "lr": lr, "weight_decay": weight_decay})
            slices.append((slice(start, stop), tensors))
            start = stop
        _, kwargs = net.get_params_for_optimizer("optimizer", net.module_.named_parameters())
        return net.optimizer(groups, **kwargs), slices

    def _bounds(self):
        """First and last row of each batch; a single row joins the batch before."""
        n_rows, size = self.train.n_rows, self.nets[0].batch_size
        starts = list(range(0, n_rows, size))
        if len(starts) > 1 and n_rows - starts[-1] == 1:
            starts.pop()
        return list(zip(starts, [*starts[1:], n_rows], strict=True))

    def _run_epoch(self):
        """One pass over the training rows: means of the loss and of its terms, (nets,) each."""
        self.module.train()
        order = [torch.randperm(self.train.n_rows, generator=g) for g in self.generators]
        order = torch.stack(order).to(self.train.device)  # (nets, rows)
        sums = {}
        for start, stop in self._bounds():
            batch, y = self.train.take(order[:, start:stop])
            means = self._step(batch, y)
            for name, values in means.items():
                sums[name] = sums.get(name, 0.0) + values * (stop - start)
            if self.schedule:
                self.schedule.step()
        return {f"train_{name}": total / self.train.n_rows for name, total in sums.items()}

    def _step(self, batch, y):
        """One step of all nets: the loss and the dispelling term of each, (nets,)."""
        logits, h = self._forward(batch)
        loss, dispelling = self._losses(logits, y, batch.get("weight")), None
        if self.dispel is not None:
            dispelling = _mean(self.dispel(batch["exogenous_logits"], h), batch.get("weight"))
            loss = loss + self.lam * dispelling
        gradients = torch.autograd.grad(loss.sum(), list(self.params.values()))
        for part, tensors in self.groups:
            for tensor, gradient in zip(tensors, gradients, strict=True):
                tensor.grad = gradient[part].contiguous()  # fused steps read memory as it lies
        self.optimizer.step()
        means = {"loss": loss.detach()}
        return means if dispelling is None else {**means, "dispelling": dispelling.detach()}

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
        for index, net in enumerate(self.nets):
            if self._is_done(index):
                continue
            told_net = {name: values[index] for name, values in told.items()}
            if not (math.isfinite(told_net["train_loss"]) and finite[index]):
                self.errors[index] = FloatingPointError(
                    f"the train_loss became {told_net['train_loss']} at epoch {epoch}. Try a "
                    f"lower lr (got {net.lr}), or bring the columns of X to a common scale."
                )
                continue
            net.history.new_epoch()
            net.history.record("epoch", epoch)
            for name, value in told_net.items():
                net.history.record(name, value)
            net.history.record("train_batch_count", len(self._bounds()))
            net.history.record("dur", seconds / len(self.nets))
            if self.patience is not None and self.best[index].see(epoch, told_net["valid_loss"]):
                self.best[index].weights = self._state(index)

    def _finite(self):
        """Which nets' weights are all finite."""
        finite = [w.detach().flatten(1).isfinite().all(1) for w in self.params.values()]
        return torch.stack(finite).all(0).tolist()

    def _is_done(self, index):
        return self.errors[index] is not None or self.best[index].is_over()

    def _state(self, index):
        """Copies of one net's weights and statistics."""
        tensors = {**self.params, **self.buffers}
        return {name: tensor[index].detach().clone() for name, tensor in tensors.items()}

    def _refit_erasers(self):
        """Each net's eraser is fitted to its own representation, in its own module."""
        for index, (net, eraser) in enumerate(zip(self.nets, self.erasers, strict=True)):
            if eraser is None or self._is_done(index):
                continue
            net.module_.load_state_dict(self._state(index), strict=False)
            eraser.refit(net)
            for name, fitted in net.module_.eraser.named_buffers():
                self.buffers[f"eraser.{name}"][index].copy_(fitted)

    def _give_back(self):
        """Each net gets its own weights: the last, or the best where it stopped early."""
        for index, (net, eraser) in enumerate(zip(self.nets, self.erasers, strict=True)):
            weights = self.best[index].weights
            state = self._state(index) if weights is None else weights
            net.module_.load_state_dict(state, strict=False)
            if eraser is not None and self.errors[index] is None:
                eraser.refit(net, last=True)


class Eraser:
    """Fits the eraser of one net, as RefitEraser does in a fit of its own.

    Parameters
    ----------
    training : Training
    """

    def __init__(self, training):
        self.callback = RefitEraser(training.erased)
        self.train = training.train
        self.generator = torch.Generator().manual_seed(training.seed)

    def refit(self, net, last=False):
        """Fit it to some rows, or at last to all."""
        n_rows = len(self.train) if last else self.callback.n_rows
        self.callback.refit(net, self.train, n_rows, self.generator)


class Best:
    """The best epoch of a net, as skorch's EarlyStopping finds it."""

    def __init__(self, patience, threshold=1e-4):
        self.patience = patience
        self.threshold = threshold  # relative: less is no improvement
        self.limit = math.inf
        self.misses = 0
        self.weights = None

    def see(self, epoch, loss):
        """Whether this epoch is the best so far."""
        if loss < self.limit:
            self.limit = loss - self.threshold * loss
            self.misses = 0
            return True
        self.misses += 1
        return False

    def is_over(self):
        return self.patience is not None and self.misses >= self.patience


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
        self.tensors[name] = torch.stack(distinct).to(self.device)  # (distinct, rows, ...)
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

    def floats(self, values):
        """A tensor of numbers, one for each net."""
        return torch.tensor(values, device=self.device, dtype=torch.get_default_dtype())


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
