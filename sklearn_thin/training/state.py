"""States of a net, and the net of a state: trained, for a pickle, and after an epoch."""

import json
from contextlib import suppress

import torch
from skorch.dataset import Dataset
from skorch.history import History

from sklearn_thin._environment import check_device, fitted_attributes
from sklearn_thin._pickling import TARGET, packed, unpacked
from sklearn_thin.modules.tensors import own_tensors
from sklearn_thin.training.batches import TensorBatches

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
OWN = "sklearn_thin."  # starts the names of our own callbacks; users' may have any other
# parameters of a net that hold rows, or that predictions do not need
OF_TRAINING = ("callbacks", "train_split", "iterator_train__generator", "augmentation")
# types and functions, the same in all nets; skorch makes the latter when a net is initialized
SAME = {"dataset": Dataset, "iterator_train": TensorBatches, "iterator_valid": TensorBatches}
DROPPED = {*SAME, "virtual_params_", "iterator_train__share"}


# ------------------------------------------------------------------ trained


def state_of(net):
    """All of a net that predictions and further trainings need."""
    # the optimizer refers to tensors, which are not pickled; nor are programs, or what
    # `tidy` has not yet removed where a callback pickles
    names = ("module", "module_", "optimizer_", "criterion", "criterion_", "step_", "schedule_")
    state = dict.fromkeys((*names, *OF_TRAINING, "good_weights_", "ctrl_c_", "kept_"))
    state["callbacks_"] = [cb for cb in net.callbacks_ if not cb[0].startswith(OWN)]
    state["history_"] = history = [dict(epoch) for epoch in net.history_]
    with suppress(TypeError, ValueError):  # values of users' callbacks may be of any type
        if json.loads(text := json.dumps(history)) == history:
            state["history_"] = text  # of one part, where the list has one for each batch
    named = [name for name, kind in OPTIMIZERS.items() if kind is net.optimizer]
    state["optimizer"] = named[0] if named else net.optimizer
    state = {**vars(net), **state, "packed_module_": packed(net.module_)}
    return {name: value for name, value in state.items() if name not in DROPPED}


def restore(net, state):
    """Give a blank net the state of :func:`state_of`, on its device, or on the CPU without it."""
    state = dict(state)
    try:
        device = check_device(TARGET.get() or state["device"])
    except ValueError:  # this machine lacks the device of the training
        device = torch.device("cpu")
    module = unpacked(state.pop("packed_module_"), device)
    state |= {"device": str(device), "module": module, "module_": module, "virtual_params_": {}}
    history = state["history_"]
    state["history_"] = History(json.loads(history) if isinstance(history, str) else history)
    if isinstance(state["optimizer"], str):
        state["optimizer"] = OPTIMIZERS[state["optimizer"]]
    vars(net).update(SAME | state)


# ------------------------------------------------------------------ after an epoch


def checkpoint_of(net):
    """All that a net needs to go on after an epoch, except for torch's global generators."""
    stopper = dict(net.callbacks_).get(f"{OWN}early_stopping")
    return {
        "module": own_tensors(net.module_),
        "criterion": own_tensors(net.criterion_),
        "optimizer": net.optimizer_.state_dict(),
        "schedule": net.schedule_ and net.schedule_.state_dict(),
        "order": net.iterator_train__generator.get_state(),
        "stopper": stopper and fitted_attributes(stopper),
        "history": epochs_of(net),
    }


def go_on(net):
    """Give a net at the start of its training the last state of `kept_`; the epochs trained."""
    state, n_before = net.kept_.newest(), len(net.history)
    if state is None:
        return 0
    fill(net.module_, state["module"])
    fill(net.criterion_, state["criterion"])
    net.optimizer_.load_state_dict(state["optimizer"])
    if net.schedule_ is not None:
        net.schedule_.load_state_dict(state["schedule"])
    net.iterator_train__generator.set_state(state["order"])
    if state["stopper"] is not None:
        vars(dict(net.callbacks_)[f"{OWN}early_stopping"]).update(state["stopper"])
    net.history_ = History(state["history"])
    net._keep_weights()
    return len(net.history) - n_before


@torch.no_grad()
def fill(module, tensors):
    """Copy the tensors of :func:`own_tensors` into an equal module."""
    own = own_tensors(module)
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in tensors.items()}:
        raise ValueError("a file of checkpoint_dir holds tensors of another network")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def epochs_of(net):
    """The history as plain dicts."""
    return [dict(epoch) for epoch in net.history]
