"""The state of a trained net as arrays, strings, numbers and dicts, and the net of a state."""

import json
from contextlib import suppress

import torch
from skorch.dataset import Dataset
from skorch.history import History

from sklearn_thin._environment import check_device
from sklearn_thin._pickling import TARGET, packed, unpacked
from sklearn_thin.training.batches import TensorBatches

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
OWN = "sklearn_thin."  # starts the names of our own callbacks; users' may have any other
# parameters of a net that hold rows, or that predictions do not need
OF_TRAINING = ("callbacks", "train_split", "iterator_train__generator", "augmentation")
# types and functions, the same in all nets; skorch makes the latter when a net is initialized
SAME = {"dataset": Dataset, "iterator_train": TensorBatches, "iterator_valid": TensorBatches}
DROPPED = {*SAME, "virtual_params_"}


def state_of(net):
    """All of a net that predictions and further trainings need."""
    # the optimizer refers to tensors, which are not pickled; nor are programs, or what
    # `tidy` has not yet removed where a callback pickles
    names = ("module", "module_", "optimizer_", "criterion", "criterion_", "step_", "schedule_")
    state = dict.fromkeys((*names, *OF_TRAINING, "good_weights_", "ctrl_c_"))
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
