"""X -> the backbone's input, as the parameter `endogenous` or `preprocessor` says.

The functions read and set the fitted attributes of an estimator: the transformer, under the
parameter's name with an underscore, `image_range_`, `input_shape_` and `module_input_shape_`.
"""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

from sklearn_thin._backbones import folds_images, module_input_shape
from sklearn_thin._environment import fit_seeded
from sklearn_thin._sharing import shared
from sklearn_thin.losses import cross_entropy
from sklearn_thin.modules import THINModule
from sklearn_thin.rows.arrays import check_rows, check_transformed, infer_rows, take
from sklearn_thin.rows.columns import as_table
from sklearn_thin.rows.images import usual_range, within
from sklearn_thin.rows.tables import TablePreprocessor, check_table, extremes


def read_input(net, X, *, reset):
    """X as the backbone reads it, or None where a transformer makes its input.

    `reset` chooses the transformer, of which a copy is fitted once all rows are read.
    """
    name = f"{net.preprocessing}_"
    if reset:
        given = getattr(net, net.preprocessing)
        if isinstance(given, type):
            raise TypeError(
                f"{net.preprocessing} must be a transformer object, got the class "
                f"{given.__name__}. Write {given.__name__}()"
            )
        setattr(net, name, chosen(given, X, net.backbone))
        net.image_range_ = None
    transformer = getattr(net, name)
    if transformer is None:
        images = folds_images(net.backbone) if reset else len(net.module_input_shape_) > 1
        x = check_rows(X, net, reset=reset, images=images)
        if reset:
            net.module_input_shape_ = module_input_shape(net.backbone, x.shape[1:])
        return x if net.image_range_ is None else within(x, net.image_range_)
    if isinstance(transformer, TablePreprocessor):
        check_table(X, net, reset=reset, least=2 if reset else 1)
    else:
        validate_data(net, X, reset=reset, skip_check_array=True)
    return None


def input_of(net, X):
    """The backbone's input for X, of a fitted estimator."""
    x = read_input(net, X, reset=False)
    return transformed(net, X) if x is None else x


def chosen(given, X, backbone):
    """The unfitted transformer that a value of the parameter stands for, or None."""
    if not isinstance(given, str):
        return given
    images = folds_images(backbone) or getattr(as_table(X), "ndim", 2) > 2
    return None if images else TablePreprocessor()


def preprocess(net, rows, held_out, seed, *, warm):
    """Both parts with the backbone's input; fits what makes it to the training rows first."""
    name = net.preprocessing
    given = getattr(net, name)
    if isinstance(given, str) and not warm:
        # only fits that hold out the same rows, by equal seeds, may share
        seed_key = None if net._held_out is None else seed
        key = "preprocessing", rows.x is None, net._held_out, seed_key
        fit = partial(fit_auto, getattr(net, f"{name}_"), rows, held_out)
        fitted, net.image_range_, *inputs = shared(key, fit, owner=net)
        setattr(net, f"{name}_", fitted)
        if fitted is not None:
            set_input_shape(net, inputs[0].shape[1:])
    else:
        if given is not None and not warm:
            fit_given(net, rows, seed)
        inputs = [part_input(net, part) for part in (rows, held_out)]
    rows, held_out = (
        part and replace(part, x=x) for part, x in zip((rows, held_out), inputs, strict=True)
    )
    return rows, held_out


def fit_auto(transformer, rows, held_out):
    """The fitted transformer or None, the range of images or None, and the input of both parts."""
    parts = [part for part in (rows, held_out) if part is not None]
    bounds = None
    if transformer is None:
        bounds = usual_range(rows.x)
        inputs = [within(part.x, bounds) for part in parts]
    else:
        transformer.fit(rows.raw)
        inputs = [transformer.transform_checked(as_table(part.raw)) for part in parts]
    return transformer, bounds, *inputs, *[None] * (2 - len(parts))


def fit_given(net, rows, seed):
    """Fit a copy of the user's transformer, unless it is frozen."""
    name = net.preprocessing
    transformer = getattr(net, name)
    if not isinstance(transformer, FrozenEstimator):
        transformer = clone(transformer)
        fit_seeded(transformer, seed, rows.raw, net.classes_[rows.codes])
    setattr(net, f"{name}_", transformer)
    first = transformer.transform(take(rows.raw, [0]))
    set_input_shape(net, check_transformed(first, name).shape[1:])


def set_input_shape(net, shape):
    """Set the shape of one sample, and of the backbone's input."""
    net.input_shape_ = shape
    net.module_input_shape_ = module_input_shape(net.backbone, shape)


def part_input(net, part):
    """The backbone's input for rows, or None for None."""
    if part is None or part.x is not None:
        return part and part.x
    return transformed(net, part.raw)


def transformed(net, X):
    """Checked output of the fitted transformer."""
    name = net.preprocessing
    transformer = getattr(net, f"{name}_")
    if isinstance(transformer, TablePreprocessor):
        return transformer.transform_checked(as_table(X))
    x = check_transformed(transformer.transform(X), name, images=len(net.module_input_shape_) > 1)
    if x.shape[1:] != net.input_shape_:
        raise ValueError(
            f"{name} gives samples of shape {x.shape[1:]}, but gave {net.input_shape_} in fit"
        )
    return x


def sample_shape(encoder, X, target):
    """Shape of one sample that the encoder's backbone would read after a fit on X."""
    X = as_table(X)
    transformer = chosen(encoder.preprocessor, X, encoder.backbone)
    if transformer is None:
        return np.shape(X)[1:]
    if not isinstance(transformer, FrozenEstimator):
        transformer = fit_seeded(clone(transformer), 0, X, target)
    return np.shape(transformer.transform(take(X, [0])))[1:]


CHECKED = 1000  # training rows on which the fitted model's loss is computed
ABOVE = 0.05  # nats by which that loss lies above the training's
EXTREME = 100  # ranges from the median


def warn_if_spoilt(net, plan):
    """Warn where extreme values have ruined the running statistics of a net that reads X raw.

    The signs: the fitted model's loss on training rows lies above the loss in the training, or is
    no better than that of the class frequencies, and a column has values that are extreme among
    its others. Few steps alone raise the loss too.
    """
    x = plan.train.X["x"]
    if getattr(net, net.preprocessing) is not None or x.dtype == torch.uint8:
        return
    last = net.history_[-1]
    trained = last.get("train_cross_entropy", last["train_loss"])
    loss, constant = eval_losses(net, plan)
    if loss <= trained + ABOVE and loss <= constant - ABOVE:
        return
    distance, value = extremes(x.numpy().reshape(len(x), -1))
    worst = [j for j in np.argsort(-distance)[:3] if distance[j] > EXTREME]
    if worst:
        names = ", ".join(f"{column_name(net, j)} ({value[j]:g})" for j in worst)
        warnings.warn(
            f"extreme values have spoilt the fit: the loss on training rows is {loss:.2f}, was "
            f"{trained:.2f} in the training, and would be {constant:.2f} by the class frequencies "
            f"alone. Batch normalisation takes its statistics from all values. The most extreme "
            f'are in {names}. Correct these values, or set {net.preprocessing}="auto".',
            RuntimeWarning,
            stacklevel=5,
        )


def column_name(net, j):
    """Words for a column of X, or for the pixel of an image."""
    if len(net.input_shape_) > 1:
        return f"pixel {tuple(map(int, np.unravel_index(j, net.input_shape_)))}"
    names = getattr(net, "feature_names_in_", None)
    return f"column {j if names is None else repr(names[j])}"


def eval_losses(net, plan):
    """Cross-entropy of the fitted model, on some training rows, and of the class frequencies."""
    index = torch.linspace(0, len(plan.train) - 1, min(len(plan.train), CHECKED)).long()
    tensors = {name: rows[index] for name, rows in plan.train.X.items()}
    weight = tensors.pop("weight", torch.ones(len(index))).numpy()
    module = net.module_.eval()
    given = [tensors], len(index), plan.settings.device, module.experts.n_values
    logits = infer_rows(partial(THINModule.logits, module), *given)
    codes = plan.train.y[index]
    losses = cross_entropy(torch.from_numpy(logits), codes).numpy()
    weight = weight if weight.any() else np.ones_like(weight)
    frequencies = np.bincount(codes, weight, minlength=logits.shape[1]) / weight.sum()
    return np.average(losses, weights=weight), entropy(frequencies)


def set_tags(tags, given):
    """Set what X may hold, by a value of the parameter."""
    if isinstance(given, str):
        inner = TablePreprocessor().__sklearn_tags__().input_tags
    elif hasattr(given, "__sklearn_tags__") and not isinstance(given, type):
        inner = get_tags(given).input_tags
    else:
        return
    for name in ("allow_nan", "categorical", "string"):
        setattr(tags.input_tags, name, getattr(inner, name))
