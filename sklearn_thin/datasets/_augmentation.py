"""Augmentation of batches of images in training: each image is changed at random."""

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch.nn import functional as F

from sklearn_thin._pickling import Estimator
from sklearn_thin.datasets._rotated import check_range, sampling_matrix


class ImageAugmentation(Estimator):
    """Rotate, scale, shift, flip and light each image of a batch in its own way.

    Use it as `THINClassifier(augment=...)`; its parameters can be tuned, as
    `augment__rotation`. torchvision's `transforms.v2` work too, but they draw once for a
    batch: all its images turn by the same angle. Put them into a `v2.Compose`, since some
    have a `get_params` that scikit-learn cannot clone.

    Geometry is a single bilinear resampling on the images' own device. Pixels from outside an
    image are 0. Random numbers come from torch's default generator of the device.
    `THINClassifier` seeds this generator with its `random_state` for the training.

    Parameters
    ----------
    rotation : float, default=0.0
        Largest angle in degrees, 0 to 180, in both directions.
    scale : (float, float) or None, default=None
        Range of a factor. Below 1 an image becomes smaller, above 1 larger.
    shift : float, default=0.0
        Largest shift along each axis, in both directions, as a share of the side, 0 to 1.
    flip : bool, default=False
        Whether to mirror left and right, with a probability of one half.
    brightness : float, default=0.0
        The image is multiplied by a factor in [1 − brightness, 1 + brightness]; 0 to 1.
    contrast : float, default=0.0
        The difference to the image's mean is multiplied by a factor in
        [1 − contrast, 1 + contrast], before the brightness changes; 0 to 1.

    See Also
    --------
    sklearn_thin.datasets.make_rotated : Rotations with the angle as a label.

    Examples
    --------
    >>> import torch
    >>> from sklearn_thin.datasets import ImageAugmentation
    >>> augment = ImageAugmentation(rotation=15, flip=True)
    >>> augment(torch.rand(4, 1, 28, 28)).shape
    torch.Size([4, 1, 28, 28])
    """

    _parameter_constraints: dict = {
        "rotation": [Interval(Real, 0, 180, closed="both")],
        "scale": "no_validation",  # by check_range
        "shift": [Interval(Real, 0, 1, closed="both")],
        "flip": ["boolean"],
        "brightness": [Interval(Real, 0, 1, closed="both")],
        "contrast": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self, rotation=0.0, scale=None, shift=0.0, flip=False, brightness=0.0, contrast=0.0
    ):
        self.rotation = rotation
        self.scale = scale
        self.shift = shift
        self.flip = flip
        self.brightness = brightness
        self.contrast = contrast

    def _validate_params(self):
        super()._validate_params()
        check_range("scale", self.scale)

    def __call__(self, images):
        """Changed copies of the images.

        Parameters
        ----------
        images : Tensor of shape (n, channels, height, width)
            Floating; in [0, 1] for a change of brightness or contrast.

        Returns
        -------
        Tensor of shape (n, channels, height, width)
            The same dtype, on the same device. A change of brightness or contrast clamps
            it to [0, 1].

        Raises
        ------
        ValueError
            For a parameter out of range, or images of another shape or type.
        """
        self._validate_params()
        if not isinstance(images, torch.Tensor):
            raise ValueError(
                f"expected a torch.Tensor of images, got {type(images).__name__}; convert it with "
                "torch.as_tensor"
            )
        if images.ndim != 4 or not images.is_floating_point():
            raise ValueError(
                "expected floating images of shape (n, channels, height, width), got "
                f"{images.dtype} of {tuple(images.shape)}"
            )
        return self._light(self._move(images))

    def _move(self, images):
        """Images rotated, scaled, shifted and flipped, in one resampling."""
        if not (self.rotation or self.scale is not None or self.shift or self.flip):
            return images
        height, width = images.shape[2:]
        radians = torch.deg2rad(uniform(images, -self.rotation, self.rotation))
        scales = uniform(images, *check_range("scale", self.scale))
        matrix = sampling_matrix(radians, scales, height, width)  # (n, 2, 2)
        if self.flip:
            ones = torch.ones_like(scales)
            sign = ones.where(uniform(images, 0, 1) < 0.5, -ones)  # of the sampled x
            matrix = matrix * torch.stack([sign, ones], 1).unsqueeze(2)
        shift = [2 * uniform(images, -self.shift, self.shift) for _ in range(2)]  # sides are 2
        offset = -matrix @ torch.stack(shift, 1).unsqueeze(2)  # (n, 2, 1)
        theta = torch.cat([matrix, offset], 2)  # (n, 2, 3)
        grid = F.affine_grid(theta, images.shape, align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", align_corners=False)

    def _light(self, images):
        """Images with another contrast, then another brightness."""
        if not (self.brightness or self.contrast):
            return images
        mean = images.mean((1, 2, 3), keepdim=True)  # (n, 1, 1, 1)
        contrast = uniform(images, 1 - self.contrast, 1 + self.contrast).view(-1, 1, 1, 1)
        brightness = uniform(images, 1 - self.brightness, 1 + self.brightness).view(-1, 1, 1, 1)
        return (brightness * (mean + contrast * (images - mean))).clamp(0, 1)


def uniform(images, low, high):
    """A number for each image, (n,), uniform in [low, high), on the images' device."""
    draws = torch.rand(len(images), dtype=images.dtype, device=images.device)
    return low + (high - low) * draws
