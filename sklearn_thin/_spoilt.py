"""A warning where extreme values have spoilt the fit of a net that reads X raw."""

import warnings
from functools import partial

import numpy as np
import torch

from sklearn_thin.modules import THINModule
from sklearn_thin.rows.arrays import infer_rows
from sklearn_thin.rows.tables import robust_scale, sampled

CHECKED = 1000  # training rows that give the fitted model's loss, and the columns' ranges
ABOVE = 0.05  # nats, or variances of y, by which that loss lies above the training's
EXTREME = 100  # ranges from the median


def warn_if_spoilt(net, plan):
    """Warn where extreme values have ruined the running statistics of a net that reads X raw.

    The signs: the fitted model's loss on training rows lies above the loss in the training, or is
    no better than that of the best constant, and a column has values that are extreme among
    its others. Few steps alone raise the loss too.
    """
    x = plan.train.X["x"]
    if x.dtype == torch.uint8:
        return
    last = net.history_[-1]
    trained = last["train_loss"] - net.net_.lam * last.get("train_dispelling", 0.0)
    loss, constant = eval_losses(net, plan)
    if loss <= trained + ABOVE and loss <= constant - ABOVE:
        return
    distance, value = extremes(x.flatten(1))
    worst = [j for j in np.argsort(-distance)[:3] if distance[j] > EXTREME]
    if worst:
        names = ", ".join(f"{column_name(net, j)} ({value[j]:g})" for j in worst)
        warnings.warn(
            f"extreme values have spoilt the fit: the loss on training rows is {loss:.2f}, was "
            f"{trained:.2f} in the training, and would be {constant:.2f} by "
            f"{net.targets_.constant} alone. Batch normalisation takes its statistics from all "
            f"values. The most extreme are in {names}. Correct these values, or set "
            f'{net.preprocessing}="auto".',
            RuntimeWarning,
            stacklevel=5,
        )


def extremes(x):
    """Of each column, the greatest distance from the median, in ranges, and the value there."""
    centre, scale, _ = robust_scale(sampled(x.numpy(), CHECKED))
    least, greatest = x.amin(0).double().numpy(), x.amax(0).double().numpy()
    value = np.where(centre - least > greatest - centre, least, greatest)
    return np.abs(value - centre) / scale, value


def column_name(net, j):
    """Words for a column of X, or for the pixel of an image."""
    if len(net.input_shape_) > 1:
        return f"pixel {tuple(map(int, np.unravel_index(j, net.input_shape_)))}"
    j = getattr(net.input_, "kept", range(j + 1))[j]  # among all columns of X
    names = getattr(net, "feature_names_in_", None)
    return f"column {j if names is None else repr(names[j])}"


def eval_losses(net, plan):
    """Loss of the fitted model, on some training rows, and of the best prediction without X."""
    index = torch.linspace(0, len(plan.train) - 1, min(len(plan.train), CHECKED)).long()
    tensors = {name: rows[index] for name, rows in plan.train.X.items()}
    weight = tensors.pop("weight", torch.ones(len(index))).numpy()
    module = net.module_.eval()
    given = [tensors], len(index), plan.settings.device, module.n_values
    outputs = infer_rows(partial(THINModule.logits, module), *given)
    y, targets = plan.train.y[index], net.targets_
    losses = targets.fit_loss(torch.from_numpy(outputs), y).numpy()
    weight = weight if weight.any() else np.ones_like(weight)
    return np.average(losses, weights=weight), targets.constant_loss(y.numpy(), weight)
