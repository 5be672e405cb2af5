"""A fitted estimator as one torch module, from X to probabilities or numbers."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from sklearn_thin._environment import own_torch_state
from sklearn_thin._sharing import sharing
from sklearn_thin.exogenous.known import GivenVariable
from sklearn_thin.persistence.agreement import Agreement, members
from sklearn_thin.persistence.building import Builder
from sklearn_thin.persistence.parts import GIVEN, ROWS, Mean
from sklearn_thin.persistence.samples import Samples, given_table


class WholePath(nn.Module):
    """All of a fitted estimator, from X to probabilities, or to numbers in the units of y.

    :func:`to_torch` makes it. It is in eval mode, and no parameter requires a gradient.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,), or None for a regressor
        Labels of the columns of the output.

    Shape
    -----
    - Input x: (n_samples, n_features), float32, float64 or uint8, or images as the estimator takes
      them
    - Input exogenous: (n_samples, n_variables), for `exogenous="given"` alone
    - Output: (n_samples, n_classes), float32; of a regressor the shape of y, float64
    """

    def __init__(self, sources, net, targets, samples, given, given_names):
        super().__init__()
        self.sources = nn.ModuleDict(sources)  # in the order in which they read each other
        self.net = net
        self.classes = getattr(targets, "classes", None)
        self.is_vector = getattr(targets, "is_vector", False)
        numbers = self.classes is None
        for name in ("mean", "scale"):
            value = torch.from_numpy(np.array(getattr(targets, name))) if numbers else None
            self.register_buffer(name, value)
        self.samples = samples
        self.given = given
        self.given_names = given_names
        self.eval().requires_grad_(False)

    def forward(self, x, exogenous=None, *others):
        inputs = {f"other_{i}": rows for i, rows in enumerate(others)}
        inputs |= {ROWS: x, GIVEN: exogenous}
        for name, source in self.sources.items():
            inputs[name] = source(inputs)
        outputs = self.net(inputs)
        if self.classes is not None:
            return outputs.softmax(1)
        values = outputs.double() * self.scale + self.mean
        return values[:, 0] if self.is_vector else values

    def read(self, X, exogenous=None):
        """Tensors for `forward`, from rows as the estimator takes them.

        Text becomes codes, and a missing text NaN.

        Parameters
        ----------
        X : array-like
        exogenous : array-like, default=None
            Labels, for `exogenous="given"`.

        Returns
        -------
        tuple of Tensor
        """
        tensors = [torch.from_numpy(self.samples.array(X))]
        if self.given is not None:
            labels = given_table(exogenous, self.given_names)
            tensors.append(torch.from_numpy(self.given.array(labels)))
        return tuple(tensors)


@own_torch_state()
def to_torch(estimator, X, *, exogenous=None) -> WholePath:
    """A fitted estimator as one torch module, from X to probabilities.

    The module holds the preparation of tables, the exogenous side, the gate with its scaling, the
    map of `dispelling`, the layers and the softmax. `torch.export` accepts it, with any number of
    rows. It is returned after its outputs for `X` agree with those of the estimator to 1e-5.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`THINClassifier`, :class:`THINRegressor` or :class:`ExogenousEncoder`, or a
        Pipeline, a search or an ensemble of `sklearn_thin.model_selection` around one of these.
    X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)
        Rows on which outputs are compared. Their types are those of the module's input.
    exogenous : array-like of shape (n_samples,), default=None
        Labels of these rows, if the estimator has `exogenous="given"`.

    Returns
    -------
    WholePath
        A module in eval mode. Its `read` makes tensors of rows, in which codes stand for text.

    Raises
    ------
    TypeError
        For a transformer that is no affine function of numbers; the error names it.
    ValueError
        If the outputs do not agree.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_thin import THINClassifier, to_torch
    >>> X, y = load_iris(return_X_y=True)
    >>> module = to_torch(THINClassifier(max_epochs=1, random_state=0).fit(X, y), X)
    >>> module(torch.tensor([[5.0, 3.4, 1.5, 0.2]])).shape
    torch.Size([1, 3])
    """
    agreement = Agreement(estimator, X, exogenous)
    path = built(estimator, X, exogenous)
    with torch.inference_mode():
        outputs = path(*path.read(X, exogenous)).numpy()
    agreement.check(outputs, "the torch module")
    return path


def built(estimator, X, exogenous, *, foreign=None):
    """The whole path of a fitted estimator; its inputs beside X and given labels are `foreign`.

    `foreign` is a list, which gets (name, transformer, columns) of transformers that torch does not
    have. None refuses them.
    """
    parts = members(estimator)
    names = given_names([member.net for member in parts])
    if names and exogenous is None:
        raise ValueError(
            'the estimator has exogenous="given": pass labels of the rows, exogenous=...; missing '
            "labels stand for the prior"
        )
    if exogenous is not None and not names:
        raise ValueError('exogenous is for estimators with exogenous="given" alone')
    labels = Samples(given_table(exogenous, names), (GIVEN,)) if names else None
    builder = Builder(Samples(X), labels, foreign, rows=X)
    with sharing():  # the members share what is in front of them
        nets = [builder.member(member) for member in parts]
    net, targets = mean(nets, parts)
    return WholePath(builder.sources, net, targets, builder.samples, labels, names)


def mean(nets, parts):
    """One module of the nets of all Members, and the targets of its outputs."""
    targets = parts[0].net.targets_
    if len(nets) == 1:
        return nets[0], targets
    weights = np.array([[member.weight] for member in parts])  # (n_nets, 1)
    if hasattr(targets, "classes"):
        return Mean(nets, weights, of_logits=True), targets
    # nets with held-out rows of their own have other units
    means, scales = (
        np.stack([getattr(member.net.targets_, name) for member in parts])
        for name in ("mean", "scale")
    )  # (n_nets, n_outputs)
    weights, offset = weights * scales, (weights * means).sum(0)
    scale = weights.sum(0)  # 0 for a constant
    targets = replace(targets, mean=offset, scale=scale)
    return Mean(nets, weights / np.where(scale > 0, scale, 1), of_logits=False), targets


def given_names(nets):
    """Names of the exogenous variables whose labels come with each call; raises for others."""
    sides = [[] if net.exogenous_side_ is None else net.exogenous_side_.variables for net in nets]
    given = [[v.name for v in side if isinstance(v.transformer, GivenVariable)] for side in sides]
    names = max(given, key=len)
    if names and any(len(side) != len(names) for side in (*sides, *given)):
        raise TypeError(
            f"the labels of {names[0]!r} come with each call, and a network reads other exogenous "
            "variables, or none: such an estimator cannot be exported"
        )
    if len(names) > 1 and (other := [own for own in given if own != names]):
        raise TypeError(
            f"labels come with each call for {names}, and in another network for {other[0]}: such "
            "an estimator cannot be exported. Give all settings the same order of variables"
        )
    return names
