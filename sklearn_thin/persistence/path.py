"""A fitted estimator as one torch module, from X to probabilities or numbers."""

import numpy as np
import torch
from torch import nn

from sklearn_thin._environment import own_torch_state
from sklearn_thin.exogenous.known import GivenVariable
from sklearn_thin.persistence.agreement import Agreement, split
from sklearn_thin.persistence.building import Builder
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

    def __init__(self, net, targets, samples, given, given_names):
        super().__init__()
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
        outputs = self.net((x, exogenous, *others))
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
        Pipeline or a search around one of these.
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
    steps, net = split(estimator)
    given = given_variables(net)
    n_variables = 0 if net.exogenous_side_ is None else len(net.exogenous_side_.variables)
    if given and len(given) < n_variables:
        raise TypeError(
            f"the labels of {given[0].name!r} come with each call, and those of other exogenous "
            "variables do not: such an estimator cannot be exported"
        )
    if given and exogenous is None:
        raise ValueError(
            'the estimator has exogenous="given": pass labels of the rows, exogenous=...; missing '
            "labels stand for the prior"
        )
    if exogenous is not None and not given:
        raise ValueError('exogenous is for estimators with exogenous="given" alone')
    labels, names = None, [variable.name for variable in given]
    if given:
        labels = Samples(given_table(exogenous, names), ("exogenous",))
    builder = Builder(Samples(X), labels, foreign, rows=X)
    if steps is not None:
        builder = builder.behind(builder.source(steps, "the Pipeline"), steps.transform(X))
    return WholePath(builder.net(net), net.targets_, builder.first, labels, names)


def given_variables(net):
    """The exogenous variables whose labels come with each call."""
    side = net.exogenous_side_
    variables = [] if side is None else side.variables
    return [v for v in variables if isinstance(v.transformer, GivenVariable)]
