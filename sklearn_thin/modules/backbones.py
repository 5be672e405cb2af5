"""Backbones: from a batch of inputs to the flat representation h of fixed width."""

import torch
from torch import nn

from sklearn_thin.modules.tensors import aligned


class ScalingLayer(nn.Module):
    """Learned scale of each column, before the first linear layer: x·(1 + f·w).

    w starts at 0. Adam steps the scales f times as fast as other weights, so that a network learns
    early which columns matter (Holzmüller et al., 2024). SGD steps them f² times as fast.

    Parameters
    ----------
    in_features : int
        Columns, or values of an image.
    lr_factor : float, default=6.0
        f, the rate of the scales under Adam as a multiple of the other weights' rate.

    Shape
    -----
    - Input: (n_samples, ...) of in_features values each
    - Output: (n_samples, in_features)

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart. Better by default: strong pre-tuned MLPs and boosted
    trees on tabular data. NeurIPS 2024.

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import ScalingLayer
    >>> x = torch.randn(4, 64)
    >>> torch.equal(ScalingLayer(64)(x), x)
    True
    """

    def __init__(self, in_features, lr_factor=6.0):
        super().__init__()
        self.in_features = in_features
        self.lr_factor = lr_factor
        self.weight = nn.Parameter(torch.zeros(in_features))

    @property
    def scale(self):
        """Factors of the columns, (in_features,)."""
        return 1 + self.lr_factor * self.weight

    def forward(self, x):
        return x.flatten(1) * self.scale

    def extra_repr(self):
        return f"in_features={self.in_features}, lr_factor={self.lr_factor}"


class MLP(nn.Sequential):
    """Linear → BatchNorm → ReLU blocks for rows of features.

    Parameters
    ----------
    in_features : int
        Width of the rows.
    hidden_layer_sizes : sequence of int, default=(256,)
        Width of each block. The last width is that of the representation.
    dropout : float, default=0.0
        Probability of zeroing a unit after each block.
    scale_lr_factor : float, default=0.0
        `lr_factor` of a :class:`ScalingLayer` in front of the blocks. 0 is no such layer.

    Shape
    -----
    - Input: (n_samples, in_features)
    - Output: (n_samples, hidden_layer_sizes[-1])

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import MLP
    >>> MLP(64, (128, 32))(torch.randn(4, 64)).shape
    torch.Size([4, 32])
    """

    def __init__(self, in_features, hidden_layer_sizes=(256,), dropout=0.0, scale_lr_factor=0.0):
        layers = [ScalingLayer(in_features, scale_lr_factor)] if scale_lr_factor else []
        for width in hidden_layer_sizes:
            layers += [nn.Linear(in_features, width), nn.BatchNorm1d(width), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            in_features = width
        super().__init__(*layers)

    def forward(self, x):
        for layer in self:
            aligns = isinstance(layer, nn.Linear) and not self.training
            x = layer(aligned(x) if aligns else x)
        return x


class ConvNet(nn.Sequential):
    """Convolution → BatchNorm → ReLU → max-pooling blocks, then flattened.

    The defaults are the paper's network for digits: two blocks of 16 filters of 3×3. They give
    784 features of a 28×28 image.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    channels : sequence of int, default=(16, 16)
        Filters of each block.
    kernel_size : int, default=3
        Side of the filters, in pixels. Borders are padded, so only pooling shrinks the images.
    pool : int, default=2
        Side of the pooling windows, in pixels; 1 for no pooling.
    dropout : float, default=0.0
        Probability of zeroing a feature of the flattened output.

    Shape
    -----
    - Input: (n_samples, in_channels, height, width)
    - Output: (n_samples, channels[-1] · (height // pool^blocks) · (width // pool^blocks))

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.modules import ConvNet
    >>> ConvNet(1)(torch.randn(4, 1, 28, 28)).shape
    torch.Size([4, 784])
    """

    def __init__(self, in_channels, channels=(16, 16), kernel_size=3, pool=2, dropout=0.0):
        layers = []
        for width in channels:
            layers += [
                nn.Conv2d(in_channels, width, kernel_size, padding="same"),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(pool) if pool > 1 else nn.Identity(),
            ]
            in_channels = width
        layers.append(nn.Flatten())
        if dropout:
            layers.append(nn.Dropout(dropout))
        super().__init__(*layers)
        # convolutions are faster with the channels last in memory, and compute the same
        self.to(memory_format=torch.channels_last)


class TorchvisionFeatures(nn.Module):
    """A torchvision classifier without its last linear layer.

    Parameters
    ----------
    network : Module
        A network of `torchvision.models`. Its last `torch.nn.Linear` becomes the identity.
    normalize : bool, default=False
        Whether to centre and scale the channels as ImageNet weights expect.

    Shape
    -----
    - Input: (n_samples, 1 or 3, height, width); gray images are repeated three times
    - Output: (n_samples, width of the last hidden layer)

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from sklearn_thin.modules import TorchvisionFeatures
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> TorchvisionFeatures(network)(torch.randn(5, 1, 4, 4)).shape
    torch.Size([5, 8])
    """

    def __init__(self, network, normalize=False):
        super().__init__()
        linear = [name for name, m in network.named_modules() if isinstance(m, nn.Linear)]
        if not linear:
            raise ValueError(
                f"{type(network).__name__} has no torch.nn.Linear to take off; use a torchvision "
                "classifier that ends in a linear layer, such as 'resnet18'"
            )
        network.set_submodule(linear[-1], nn.Identity())
        self.network = network
        mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        self.register_buffer("mean", mean if normalize else None)
        self.register_buffer("std", std if normalize else None)

    def forward(self, x):
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)  # (n, 3, H, W)
        if self.mean is not None:
            x = (x - self.mean) / self.std
        return self.network(x)  # (n, width)
