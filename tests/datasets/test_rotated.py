"""Rotated images turn counter-clockwise by the angle that is reported and binned."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.utils import check_random_state

from sklearn_thin.datasets import load_rotated_digits, make_rotated
from sklearn_thin.datasets._rotated import rotate


def random_images(n_images=4, height=8, width=8, dtype=np.float32):
    values = np.random.RandomState(0).randint(256, size=(n_images, height, width))
    return values.astype(dtype) if dtype == np.uint8 else (values / 255).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("side", [1, 7, 8])
@pytest.mark.parametrize("quarters", [-1, 0, 1, 2, 3])
def test_quarter_turns_are_exact_and_counter_clockwise(quarters, side, dtype):
    images = random_images(4, side, side, dtype)
    rotated = rotate(images, np.full(4, 90.0 * quarters))
    assert rotated.dtype == dtype
    np.testing.assert_allclose(rotated, np.rot90(images, quarters, axes=(1, 2)), atol=1e-5)


def test_a_dot_above_the_centre_turns_to_the_left():
    images = np.zeros((1, 5, 5), dtype=np.uint8)
    images[0, 0, 2] = 200
    rotated = rotate(images, np.array([90.0]))
    assert rotated[0, 2, 0] == 200
    assert rotated.sum() == 200


def test_half_a_turn_of_images_that_are_not_square():
    images = random_images(2, 5, 9)
    expected = images[:, ::-1, ::-1]
    np.testing.assert_allclose(rotate(images, np.full(2, 180.0)), expected, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 12)])
@pytest.mark.parametrize("angle", [-75.0, 10.0, 33.3, 135.0])
def test_pixels_are_interpolated_bilinearly_with_zeros_outside(angle, height, width):
    images = random_images(2, height, width)
    expected = ndimage.rotate(
        images, angle, axes=(2, 1), reshape=False, order=1, mode="grid-constant"
    )
    np.testing.assert_allclose(rotate(images, np.full(2, angle)), expected, atol=1e-5)


def test_every_image_turns_by_its_own_angle():
    images = random_images(3)
    angles = np.array([20.0, -40.0, 0.0])
    rotated = rotate(images, angles)
    for index in range(3):
        alone = rotate(images[[index]], angles[[index]])[0]
        np.testing.assert_allclose(rotated[index], alone, atol=1e-6)
    np.testing.assert_allclose(rotated[2], images[2], atol=1e-6)


def test_uint8_is_rounded_and_not_cut():
    images = random_images(50, dtype=np.uint8)
    angles = np.linspace(-90, 90, 50)
    exact = rotate(images.astype(np.float32), angles)
    assert np.abs(rotate(images, angles) - exact).max() <= 0.5 + 1e-3


def test_more_images_than_one_block_are_all_turned():
    images = np.tile(random_images(1, 3, 3, np.uint8), (5000, 1, 1))
    rotated = rotate(images, np.full(5000, 90.0))
    np.testing.assert_array_equal(rotated, np.rot90(images, axes=(1, 2)))


def test_images_are_those_that_came_turned_by_the_angles_reported():
    images = random_images(20)
    before = images.copy()
    data = make_rotated(images, random_state=0)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_allclose(data.images, rotate(images, data.angles), atol=1e-6)


@pytest.mark.parametrize(("max_angle", "n_bins"), [(90.0, 18), (180.0, 7), (15, 1), (0.1, 3)])
def test_bins_are_equal_parts_of_the_range_of_angles(max_angle, n_bins):
    data = make_rotated(np.zeros((2000, 2, 2)), max_angle=max_angle, n_bins=n_bins, random_state=0)
    assert data.angles.min() >= -max_angle
    assert data.angles.max() < max_angle
    edges = np.linspace(-max_angle, max_angle, n_bins + 1)
    np.testing.assert_array_equal(data.angle_bins, np.digitize(data.angles, edges) - 1)
    assert set(data.angle_bins) == set(range(n_bins))


def test_the_same_random_state_gives_the_same_data_and_another_does_not():
    images = random_images(20)
    first, again, other = (make_rotated(images, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.angles, again.angles)
    assert not np.allclose(first.angles, other.angles)


def test_a_random_state_leaves_numpys_global_generator_alone():
    before = check_random_state(None).get_state()[1].copy()
    make_rotated(random_images(), random_state=0)
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], before)


def test_images_that_cannot_be_written_to_are_read():
    images = random_images()
    images.flags.writeable = False
    assert make_rotated(images, random_state=0).images.shape == images.shape


def test_images_seen_backwards_are_read():
    images = random_images()
    turned = make_rotated(images[::-1], random_state=0).images
    expected = make_rotated(images[::-1].copy(), random_state=0).images
    np.testing.assert_array_equal(turned, expected)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, bool])
def test_integers_other_than_uint8_are_refused(dtype):
    with pytest.raises(ValueError, match="must be uint8 or floating"):
        make_rotated(np.zeros((2, 8, 8), dtype))


def test_floats_that_torch_does_not_know_are_refused_with_what_to_do():
    dtype = np.dtype(np.float32).newbyteorder()
    with pytest.raises(ValueError, match=r"floating \(float16.*, got .*; convert them"):
        make_rotated(np.zeros((2, 8, 8), dtype))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_keep_their_precision(dtype):
    images = make_rotated(np.ones((2, 8, 8), dtype), random_state=0).images
    assert images.dtype == dtype


@pytest.mark.parametrize("shape", [(4, 64), (8,), (4, 1, 8, 8)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(n_samples, height, width\), got \("):
        make_rotated(np.zeros(shape))


@pytest.mark.parametrize("max_angle", [0, -5, 180.1, np.nan, "90", None])
def test_angles_out_of_range_are_refused(max_angle):
    match = rf"'max_angle' parameter .* in the range \(0.0, 180.0\]. Got {max_angle!r}"
    with pytest.raises(ValueError, match=match):
        make_rotated(random_images(), max_angle=max_angle)


@pytest.mark.parametrize("n_bins", [0, 2.5, 18.0, "18"])
def test_a_number_of_bins_that_is_no_positive_int_is_refused(n_bins):
    """A float would make bins that are no labels: 2.5 gives 0.0, 1.0 and 1.5."""
    with pytest.raises(ValueError, match=rf"'n_bins' parameter .* must be an int .*Got {n_bins!r}"):
        make_rotated(random_images(), n_bins=n_bins)


@pytest.mark.parametrize(
    ("name", "value"), [("n_bins", 18.0), ("max_angle", "90"), ("n_copies", 0)]
)
def test_rotated_digits_refuse_arguments_in_their_own_name(name, value):
    match = rf"'{name}' parameter of load_rotated_digits .* Got {value!r}"
    with pytest.raises(ValueError, match=match):
        load_rotated_digits(**{name: value})


def test_rotated_digits_are_the_digits_turned():
    digits = load_digits()
    data = load_rotated_digits(max_angle=30, n_bins=6, random_state=0)
    assert data.images.shape == (1797, 8, 8)
    assert data.images.dtype == np.float32
    assert data.images.min() >= 0
    assert data.images.max() <= 1
    np.testing.assert_array_equal(data.target, digits.target)
    assert np.abs(data.angles).max() <= 30
    assert set(data.angle_bins) == set(range(6))
    turned = rotate((digits.images / 16).astype(np.float32), data.angles)
    np.testing.assert_allclose(data.images, turned, atol=1e-6)
    assert data.target_names.tolist() == list(range(10))
    assert "1,797 images, each rotated" in data.DESCR
    images, target = load_rotated_digits(max_angle=30, n_bins=6, return_X_y=True)
    np.testing.assert_array_equal(images, data.images)
    np.testing.assert_array_equal(target, data.target)


@pytest.mark.parametrize("images", [np.full((2, 4, 4), np.nan), np.zeros((2, 0, 4))])
def test_images_without_pixels_or_with_nan_are_refused(images):
    with pytest.raises(ValueError, match="images must have finite pixels, one at least"):
        make_rotated(images)


def test_the_draws_of_a_seed_are_those_of_numpy():
    """So that data sets of earlier versions are made again."""
    data = make_rotated(random_images(6), random_state=7)
    expected = np.random.RandomState(7).uniform(-90, 90, 6)
    np.testing.assert_array_equal(data.angles, expected)
    np.testing.assert_array_equal(data.index, np.arange(6))
    assert set(data) == {"images", "angles", "angle_bins", "index"}


def test_discrete_angles_are_the_centres_of_the_bins():
    data = make_rotated(np.zeros((2000, 2, 2)), angles="discrete", random_state=0)
    centres = np.arange(-85, 90, 10)
    np.testing.assert_allclose(data.angles, centres[data.angle_bins])
    counts = np.bincount(data.angle_bins, minlength=18)
    assert counts.min() > 70  # 111 expected
    other = make_rotated(np.zeros((2000, 2, 2)), angles="discrete", random_state=1)
    assert (other.angle_bins != data.angle_bins).any()


@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_quarter_turns_are_exact_with_the_nearest_pixels_too(quarters):
    images = random_images(4, dtype=np.uint8)
    rotated = rotate(images, np.full(4, 90.0 * quarters), interpolation="nearest")
    np.testing.assert_array_equal(rotated, np.rot90(images, quarters, axes=(1, 2)))


def test_the_nearest_pixel_is_taken_as_it_is():
    images = np.where(random_images(20, dtype=np.uint8) < 128, 0, 200).astype(np.uint8)
    options = {"scale": (0.6, 1.4), "random_state": 0}
    nearest = make_rotated(images, interpolation="nearest", **options)
    assert set(np.unique(nearest.images)) == {0, 200}
    bilinear = make_rotated(images, **options)
    assert len(np.unique(bilinear.images)) > 100
    np.testing.assert_array_equal(nearest.angles, bilinear.angles)
    # half the difference of the pixels apart at most, and that only in between
    assert np.abs(nearest.images - bilinear.images.astype(float)).mean() < 50


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 12)])
@pytest.mark.parametrize("scale", [0.5, 0.83, 1.3])
def test_rotation_and_scale_are_one_resampling(scale, height, width):
    images = random_images(2, height, width)
    angle = np.deg2rad(25.0)
    # rows before columns; the inverse of turning counter-clockwise with y pointing down
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    centre = np.array([height - 1, width - 1]) / 2
    expected = [
        ndimage.affine_transform(
            image, matrix, centre - matrix @ centre, order=1, mode="grid-constant"
        )
        for image in images
    ]
    came = rotate(images, np.full(2, 25.0), np.full(2, scale))
    np.testing.assert_allclose(came, expected, atol=1e-5)


def test_an_image_of_half_the_size_has_a_quarter_of_the_ink_about_its_centre():
    images = np.zeros((1, 16, 16), dtype=np.float32)
    images[0, 4:12, 2:14] = 1
    shrunk = rotate(images, np.zeros(1), np.full(1, 0.5))[0]
    expected = np.zeros((16, 16))
    expected[6:10, 5:11] = 1
    np.testing.assert_allclose(shrunk, expected, atol=1e-6)


@pytest.mark.parametrize(("scale", "n_scale_bins"), [((0.5, 1), 10), ([0.9, 1.2], 3)])
def test_scale_bins_are_equal_parts_of_the_range_of_scales(scale, n_scale_bins):
    options = {"scale": scale, "n_scale_bins": n_scale_bins, "random_state": 0}
    data = make_rotated(np.zeros((2000, 2, 2)), **options)
    assert data.scales.min() >= scale[0]
    assert data.scales.max() < scale[1]
    edges = np.linspace(*scale, n_scale_bins + 1)
    np.testing.assert_array_equal(data.scale_bins, np.digitize(data.scales, edges) - 1)
    assert set(data.scale_bins) == set(range(n_scale_bins))
    assert abs(np.corrcoef(data.scales, data.angles)[0, 1]) < 0.1


def test_images_have_the_angles_and_scales_reported():
    images = random_images(20, dtype=np.uint8)
    data = make_rotated(images, scale=(0.5, 1), random_state=0)
    np.testing.assert_array_equal(data.images, rotate(images, data.angles, data.scales))
    assert (data.images != rotate(images, data.angles)).any(axis=(1, 2)).all()


def test_copies_come_one_after_the_other_each_with_transformations_of_its_own():
    images = random_images(5)
    data = make_rotated(images, scale=(0.5, 1), n_copies=3, random_state=0)
    assert data.images.shape == (15, 8, 8)
    np.testing.assert_array_equal(data.index, np.tile(np.arange(5), 3))
    expected = rotate(images[data.index], data.angles, data.scales)
    np.testing.assert_array_equal(data.images, expected)
    assert len(set(data.angles)) == len(set(data.scales)) == 15


def test_the_first_copy_is_turned_as_a_single_one():
    images = random_images(5)
    one, three = (make_rotated(images, n_copies=n, random_state=0) for n in (1, 3))
    np.testing.assert_array_equal(three.images[:5], one.images)


def test_more_copies_than_one_block_are_all_turned():
    images = random_images(3, 3, 3, np.uint8)
    index = np.arange(5000) % 3
    rotated = rotate(images, np.full(5000, 90.0), index=index)
    np.testing.assert_array_equal(rotated, np.rot90(images, axes=(1, 2))[index])


@pytest.mark.parametrize(
    "scale",
    [(0, 1), (1, 0.5), (0.5, 0.5), (0.5, np.inf), 0.5, (0.5,), ("a", "b"), ("0.5", "1"), "12"],
)
def test_scales_out_of_range_are_refused(scale):
    with pytest.raises(ValueError, match=r"scale must be None or \(low, high\) with 0 < low"):
        make_rotated(random_images(), scale=scale)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("angles", "some"),
        ("interpolation", "bicubic"),
        ("n_copies", 0),
        ("n_copies", 1.5),
        ("n_scale_bins", 0),
        ("random_state", "seed"),
    ],
)
def test_other_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"'{name}' parameter of make_rotated .* Got {value!r}"):
        make_rotated(random_images(), **{name: value})


def test_rotated_digits_take_every_option():
    data = load_rotated_digits(
        angles="discrete",
        scale=(0.5, 1),
        n_scale_bins=4,
        interpolation="nearest",
        n_copies=2,
        random_state=0,
    )
    np.testing.assert_array_equal(data.target, np.tile(load_digits().target, 2))
    np.testing.assert_allclose(data.angles, data.angle_bins * 10 - 85)
    assert set(data.scale_bins) == set(range(4))
    assert len(np.unique(data.images)) == 17
    assert len(data.images) == 2 * 1797
