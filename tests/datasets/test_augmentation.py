"""Every image of a batch is changed in a way of its own, within the ranges that are set."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_thin import ConvNetBackbone, THINClassifier
from sklearn_thin._compat import import_torchvision
from sklearn_thin._environment import torch_seed
from sklearn_thin.datasets import ImageAugmentation
from sklearn_thin.datasets._rotated import rotate

CPU = torch.device("cpu")


def random_images(n_images=4, channels=1, height=8, width=8, dtype=torch.float32):
    values = np.random.RandomState(0).rand(n_images, channels, height, width)
    return torch.tensor(values, dtype=dtype)


def same_images(n_images, **kwargs):
    return random_images(1, **kwargs).repeat(n_images, 1, 1, 1)


def apply(augment, images, seed=0):
    with torch_seed(seed, images.device):
        return augment(images)


def blobs(n_images, row, column, height=41, width=41):
    """The same soft dot in every image."""
    rows, columns = torch.arange(height).float(), torch.arange(width).float()
    dot = torch.exp(-((rows[:, None] - row) ** 2 + (columns - column) ** 2) / 4)
    return dot.repeat(n_images, 1, 1, 1)


def centroids(images):
    """x and y of the ink from the middle of the image, y pointing up, (n, 2)."""
    height, width = images.shape[2:]
    x = torch.arange(width) - (width - 1) / 2
    y = (height - 1) / 2 - torch.arange(height)
    ink = images.sum(1)
    total = ink.sum((1, 2))
    return torch.stack([(ink * x).sum((1, 2)), (ink * y[:, None]).sum((1, 2))], 1) / total[:, None]


def test_by_default_nothing_changes():
    images = random_images()
    assert torch.equal(apply(ImageAugmentation(), images), images)


@pytest.mark.parametrize(
    "params",
    [
        {"rotation": 90},
        {"scale": (0.5, 1)},
        {"shift": 0.2},
        {"brightness": 0.5},
        {"contrast": 0.5},
    ],
)
def test_every_image_changes_in_a_way_of_its_own(params):
    images = same_images(20)
    before = images.clone()
    changed = apply(ImageAugmentation(**params), images)
    assert len(torch.unique(changed, dim=0)) == 20
    assert torch.equal(images, before)


def test_torchvisions_transforms_change_all_images_alike():
    """Why there is a class of our own."""
    import_torchvision()
    from torchvision.transforms import v2

    with torch_seed(0, CPU):
        changed = v2.RandomRotation(90)(same_images(20))
    assert len(torch.unique(changed, dim=0)) == 1


def test_angles_are_in_both_directions_and_in_range():
    dots = blobs(200, row=6, column=20)  # above the centre
    x, y = centroids(apply(ImageAugmentation(rotation=40), dots)).T
    angles = torch.rad2deg(torch.atan2(-x, y))  # counter-clockwise from the top
    assert angles.abs().max() <= 41
    assert angles.min() < -35
    assert angles.max() > 35
    np.testing.assert_allclose(torch.hypot(x, y), 14, atol=0.1)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 12)])
def test_rotation_and_scale_are_those_of_make_rotated(height, width):
    images = random_images(5, height=height, width=width)
    changed = apply(ImageAugmentation(rotation=60, scale=(0.6, 1.2)), images)
    with torch_seed(0, CPU):
        angles, scales = 120 * torch.rand(5) - 60, 0.6 + 0.6 * torch.rand(5)
    expected = rotate(images[:, 0].numpy(), angles.numpy(), scales.numpy())
    np.testing.assert_allclose(changed[:, 0], expected, atol=1e-5)


def test_channels_move_together():
    images = random_images(5).repeat(1, 3, 1, 1)
    changed = apply(ImageAugmentation(rotation=60, scale=(0.6, 1.2), shift=0.1, flip=True), images)
    assert torch.equal(changed[:, :1].expand(-1, 3, -1, -1), changed)


def test_scales_are_in_range():
    dots = blobs(200, row=6, column=20)
    y = centroids(apply(ImageAugmentation(scale=(0.5, 1.2)), dots))[:, 1]
    scales = y / 14
    assert 0.49 < scales.min() < 0.53
    assert 1.17 < scales.max() < 1.21


def test_shifts_are_in_both_directions_of_both_axes_and_in_range():
    dots = blobs(200, row=20, column=30, height=41, width=61)
    shifts = centroids(apply(ImageAugmentation(shift=0.2), dots))
    for shift, side in zip(shifts.T, (61, 41), strict=True):
        assert shift.abs().max() <= 0.2 * side + 0.1
        assert shift.min() < -0.17 * side
        assert shift.max() > 0.17 * side
    assert torch.corrcoef(shifts.T)[0, 1].abs() < 0.2


def test_a_shift_is_not_turned_and_not_scaled():
    dots = blobs(200, row=20, column=20)
    augment = ImageAugmentation(rotation=180, scale=(0.4, 0.5), shift=0.2)
    shifts = centroids(apply(augment, dots))
    assert shifts.abs().max() <= 0.2 * 41 + 0.1
    assert shifts.abs().max() > 0.17 * 41


def test_a_flip_mirrors_left_and_right_in_half_of_the_images():
    images = same_images(200, height=6, width=9)
    changed = apply(ImageAugmentation(flip=True), images)
    mirrored = (changed - images.flip(3)).abs().amax((1, 2, 3)) < 1e-5
    kept = (changed - images).abs().amax((1, 2, 3)) < 1e-5
    assert (mirrored ^ kept).all()
    assert 70 < mirrored.sum() < 130


def test_a_flip_comes_with_any_rotation():
    """Every image is the turned or the turned and mirrored one, never a distorted one."""
    images = random_images(50)
    changed = apply(ImageAugmentation(rotation=45, flip=True), images)
    with torch_seed(0, CPU):
        angles = (90 * torch.rand(50) - 45).numpy()
    turned, mirrored = (
        torch.from_numpy(rotate(way[:, 0].numpy(), angles)) for way in (images, images.flip(3))
    )
    as_turned = (changed[:, 0] - turned).abs().amax((1, 2)) < 1e-4
    as_mirrored = (changed[:, 0] - mirrored).abs().amax((1, 2)) < 1e-4
    assert (as_turned ^ as_mirrored).all()
    assert 10 < as_mirrored.sum() < 40


def test_brightness_is_a_factor_in_range():
    images = 0.1 + 0.5 * same_images(200)
    ratios = apply(ImageAugmentation(brightness=0.4), images) / images
    factors = ratios.mean((1, 2, 3))
    torch.testing.assert_close(ratios, factors.view(-1, 1, 1, 1).expand_as(ratios))
    assert 0.6 <= factors.min() < 0.63
    assert 1.37 < factors.max() <= 1.4


def test_contrast_changes_the_difference_to_the_mean():
    images = 0.25 + 0.5 * same_images(200, channels=3)
    changed = apply(ImageAugmentation(contrast=0.4), images)
    mean = images.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(changed.mean((1, 2, 3), keepdim=True), mean)
    factors = (changed - mean).abs().mean((1, 2, 3)) / (images - mean).abs().mean((1, 2, 3))
    torch.testing.assert_close(changed - mean, factors.view(-1, 1, 1, 1) * (images - mean))
    assert 0.6 <= factors.min() < 0.63
    assert 1.37 < factors.max() <= 1.4


def test_light_stays_within_black_and_white():
    changed = apply(ImageAugmentation(brightness=1, contrast=1), same_images(200))
    assert changed.min() == 0
    assert changed.max() == 1


def test_moving_alone_keeps_values_beyond_black_and_white():
    """Standardised images can be moved, if not lit."""
    images = 6 * random_images() - 3
    changed = apply(ImageAugmentation(rotation=20, flip=True), images)
    assert changed.min() < -1
    assert changed.max() > 1.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept(dtype):
    augment = ImageAugmentation(30, (0.8, 1.2), 0.1, True, 0.2, 0.2)
    changed = apply(augment, random_images(dtype=dtype))
    assert changed.dtype == dtype
    assert changed.shape == (4, 1, 8, 8)


@pytest.mark.gpu
def test_on_a_gpu_it_stays_there_and_draws_from_its_generator():
    images = random_images(20).cuda()
    augment = ImageAugmentation(30, (0.8, 1.2), 0.1, True, 0.2, 0.2)
    first, again, other = (apply(augment, images, seed) for seed in (0, 0, 1))
    assert first.device == images.device
    torch.testing.assert_close(first, again)
    assert not torch.allclose(first, other)


def test_torchs_default_generator_decides():
    augment, images = ImageAugmentation(rotation=90), random_images()
    first, again, other = (apply(augment, images, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rotation", -1),
        ("rotation", 181),
        ("rotation", "much"),
        ("scale", (1, 0.5)),
        ("scale", 0.5),
        ("scale", "12"),
        ("shift", 1.5),
        ("flip", 0.5),
        ("brightness", -0.1),
        ("contrast", 2),
    ],
)
def test_parameters_out_of_range_are_refused_when_called(name, value):
    augment = ImageAugmentation(**{name: value})
    with pytest.raises(ValueError, match=rf"(?s){name}.* must be .*[Gg]ot "):
        augment(random_images())


@pytest.mark.parametrize(
    "images", [torch.rand(8, 8), torch.rand(2, 8, 8), torch.zeros(2, 1, 8, 8, dtype=torch.uint8)]
)
def test_what_is_no_batch_of_float_images_is_refused(images):
    with pytest.raises(ValueError, match=r"expected floating images of shape .* got torch\.\w+ of"):
        ImageAugmentation()(images)


@pytest.mark.parametrize("images", [np.zeros((2, 1, 8, 8), np.float32), [[[[0.5]]]], None])
def test_what_is_no_tensor_is_refused_with_what_to_do(images):
    match = rf"expected a torch\.Tensor .*got {type(images).__name__}; convert it"
    with pytest.raises(ValueError, match=match):
        ImageAugmentation()(images)


def test_its_parameters_show_in_its_repr():
    assert repr(ImageAugmentation(rotation=15)) == "ImageAugmentation(rotation=15)"


# ----------------------------------------------------------------------- in THINClassifier


def classifier(augment, seed=0):
    backbone = ConvNetBackbone((4,))
    return THINClassifier(augment=augment, backbone=backbone, max_epochs=2, random_state=seed)


def test_in_a_classifier_the_seed_decides_and_the_global_state_stays(digits):
    images, y = digits.images[:100], digits.y[:100]
    augment = ImageAugmentation(rotation=20, shift=0.1, brightness=0.2)
    before = torch.get_rng_state()
    probas = [classifier(augment, seed).fit(images, y).predict_proba(images) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(probas[0], probas[1])
    assert not np.allclose(probas[0], probas[2])
    plain = classifier(None).fit(images, y).predict_proba(images)
    assert not np.allclose(probas[0], plain)


def test_its_parameters_can_be_tuned(digits):
    images, y = digits.images[:300], digits.y[:300]
    clf = classifier(ImageAugmentation(rotation=90, shift=0.05)).set_params(max_epochs=6, lr=0.01)
    search = GridSearchCV(clf, {"augment__rotation": [180, 5]}, cv=2).fit(images, y)
    turned, nearly_upright = search.cv_results_["mean_test_score"]
    assert nearly_upright > turned
    assert repr(search.best_estimator_.augment) == "ImageAugmentation(rotation=5, shift=0.05)"
    assert clf.augment.rotation == 90


def test_a_transform_of_torchvision_serves_as_it_is(digits):
    import_torchvision()
    from torchvision.transforms import v2

    images, y = digits.images[:100], digits.y[:100]
    probas = [
        classifier(v2.RandomRotation(30), seed).fit(images, y).predict_proba(images)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(probas[0], probas[1])
    assert not np.allclose(probas[0], probas[2])
    plain = classifier(None).fit(images, y).predict_proba(images)
    assert not np.allclose(probas[0], plain)


def test_transforms_of_torchvision_can_be_composed_and_cloned(digits):
    import_torchvision()
    from torchvision.transforms import v2

    images, y = digits.images[:100], digits.y[:100]
    clf = classifier(v2.Compose([v2.RandomRotation(30), v2.RandomHorizontalFlip()]))
    probas = [model.fit(images, y).predict_proba(images) for model in (clf, clone(clf))]
    np.testing.assert_array_equal(*probas)
