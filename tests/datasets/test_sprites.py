"""Sprites have the shape, scale, orientation and place that are reported; dSprites is read."""

import numpy as np
import pytest
from sklearn.utils import check_random_state

from sklearn_thin.datasets import load_dsprites, make_sprites
from sklearn_thin.datasets._sprites import draw_sprites

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"


def draw(code, *, scale=1.0, degrees=0.0, x=0.5, y=0.5, side=64, antialias=True):
    """One sprite."""
    factors = [np.array([factor]) for factor in (code, scale, np.deg2rad(degrees), x, y)]
    return draw_sprites(*factors, side, antialias)[0]


def inside(code, z):
    """Whether points are in a shape: complex numbers, its circle being the unit circle."""
    if code == 0:
        return np.maximum(np.abs(z.real), np.abs(z.imag)) <= 1 / np.sqrt(2)
    if code == 1:
        return z.real**2 + (z.imag / 0.6) ** 2 <= 1
    side = 3 / np.sqrt(2) - 1  # the tip at -i, the discs touching the circle from within
    corner = (z + 1j) * np.exp(-0.25j * np.pi)  # the square as [0, side]²
    in_square = (np.minimum(corner.real, corner.imag) >= 0) & (
        np.maximum(corner.real, corner.imag) <= side
    )
    middles = side + 0.5j * side, 0.5 * side + 1j * side
    in_discs = [np.abs(corner - middle) <= side / 2 for middle in middles]
    return in_square | in_discs[0] | in_discs[1]


def rasterise(code, scale, degrees, x, y, side, fineness):
    """Share of every pixel that is in the shape, from fineness² points in each."""
    n = side * fineness
    points = (np.arange(n) + 0.5) / fineness
    centre_x, centre_y = side * (0.25 + x / 2), side * (0.25 + y / 2)
    z = (points - centre_x) + 1j * (centre_y - points)[:, None]
    z = z * np.exp(-1j * np.deg2rad(degrees)) / (side * 15 / 64 * scale)
    return inside(code, z).reshape(side, fineness, side, fineness).mean((1, 3))


CASES = [(1.0, 0, 0.5, 0.5), (0.5, 33, 0.1, 0.9), (0.73, 117, 0.77, 0.31), (0.9, 260, 0.0, 1.0)]


@pytest.mark.parametrize("code", range(3))
@pytest.mark.parametrize("case", CASES)
def test_gray_edges_are_the_share_of_the_pixel_that_is_covered(code, case):
    scale, degrees, x, y = case
    image = draw(code, scale=scale, degrees=degrees, x=x, y=y)
    expected = 255 * rasterise(code, *case, 64, fineness=16)
    assert np.abs(image - expected).max() < 64
    edge = (expected > 0) & (expected < 255)
    assert np.abs(image - expected)[edge].mean() < 10
    assert np.abs(image.sum() / expected.sum() - 1) < 0.01


@pytest.mark.parametrize("code", range(3))
@pytest.mark.parametrize("case", CASES[1:])
def test_hard_edges_are_decided_at_the_middle_of_the_pixel(code, case):
    scale, degrees, x, y = case
    image = draw(code, scale=scale, degrees=degrees, x=x, y=y, antialias=False)
    np.testing.assert_array_equal(image, 255 * rasterise(code, *case, 64, fineness=1))


@pytest.mark.parametrize("code", range(3))
@pytest.mark.parametrize("antialias", [False, True])
def test_the_pixel_at_the_very_centre_is_white(code, antialias):
    assert draw(code, side=31, antialias=antialias)[15, 15] == 255


@pytest.mark.parametrize("code", range(3))
def test_a_quarter_turn_is_counter_clockwise(code):
    upright, turned = draw(code, side=32), draw(code, side=32, degrees=90)
    assert np.abs(turned - np.rot90(upright).astype(float)).max() <= 1


def test_the_heart_stands_on_its_tip():
    widths = (draw(2) > 127).sum(axis=1)
    rows = np.flatnonzero(widths)
    assert widths[rows[-1]] <= 2
    assert widths[rows[2]] > 8


@pytest.mark.parametrize("code", range(3))
def test_x_goes_right_and_y_goes_down(code):
    def centre(image):
        rows, columns = np.indices(image.shape)
        return np.array([(columns * image).sum(), (rows * image).sum()]) / image.sum()

    middle, right, down = draw(code), draw(code, x=0.75), draw(code, y=0.75)
    np.testing.assert_allclose(centre(right) - centre(middle), [8, 0], atol=0.05)
    np.testing.assert_allclose(centre(down) - centre(middle), [0, 8], atol=0.05)


@pytest.mark.parametrize("side", [16, 64])
@pytest.mark.parametrize("antialias", [False, True])
def test_no_sprite_is_cut_off_and_the_largest_span_about_half(side, antialias):
    options = {"side": side, "n_scales": 1, "n_positions": 2, "n_orientations": 40}
    grid = make_sprites(antialias=antialias, **options)
    n_images = len(grid.images)
    factors = grid.target, np.ones(n_images), grid.orientations
    corners = draw_sprites(*factors, grid.x, grid.y, side, antialias)
    middle = np.full(n_images, 0.5)
    centred = draw_sprites(*factors, middle, middle, side, antialias)
    ink = [images.sum((1, 2), dtype=np.int64) for images in (corners, centred)]
    np.testing.assert_array_equal(*ink)
    spans = (corners > 127).any(axis=1).sum(axis=1).reshape(3, -1).max(axis=1)
    assert (spans >= side * 0.4).all()
    assert (spans <= side * 0.5).all()


def test_the_whole_grid_has_every_combination_once_in_dsprites_order():
    data = make_sprites(side=16, n_scales=3, n_orientations=4, n_positions=5)
    factors = [data.target, data.scales, data.orientations, data.x, data.y]
    rows = np.stack(factors, axis=1)
    assert rows.shape == (3 * 3 * 4 * 5 * 5, 5)
    np.testing.assert_array_equal(np.lexsort(rows.T[::-1]), np.arange(len(rows)))
    assert len(np.unique(rows, axis=0)) == len(rows)
    np.testing.assert_allclose(np.unique(data.scales), [0.5, 0.75, 1])
    np.testing.assert_allclose(np.unique(data.orientations), np.arange(4) * np.pi / 2)
    np.testing.assert_allclose(np.unique(data.x), [0, 0.25, 0.5, 0.75, 1])
    assert data.images.shape == (900, 16, 16)
    assert data.target_names.tolist() == ["square", "ellipse", "heart"]
    expected = draw_sprites(*factors, 16, True)
    np.testing.assert_array_equal(data.images, expected)


def test_a_row_is_drawn_as_its_factors_say():
    data = make_sprites(200, side=32, random_state=0)
    for row in range(0, 200, 20):
        degrees = np.rad2deg(data.orientations[row])
        factors = {"scale": data.scales[row], "x": data.x[row], "y": data.y[row]}
        alone = draw(data.target[row], degrees=degrees, side=32, **factors)
        np.testing.assert_array_equal(data.images[row], alone)


def test_the_whole_grid_draws_nothing():
    before = check_random_state(None).get_state()[1].copy()
    options = {"side": 16, "n_scales": 2, "n_orientations": 2, "n_positions": 2}
    first, other = (make_sprites(**options, random_state=seed) for seed in (None, 1))
    np.testing.assert_array_equal(first.images, other.images)
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], before)


@pytest.mark.parametrize(
    ("n_scales", "n_scale_bins", "expected"),
    [
        (6, 10, [0, 2, 4, 6, 8, 9]),
        (6, 6, [0, 1, 2, 3, 4, 5]),
        (11, 10, [*range(10), 9]),
        (21, 20, [*range(20), 19]),
        (1, 10, [0]),
    ],
)
def test_scales_of_the_grid_on_a_border_are_in_the_upper_bin(n_scales, n_scale_bins, expected):
    options = {"side": 8, "n_orientations": 1, "n_positions": 1}
    data = make_sprites(n_scales=n_scales, n_scale_bins=n_scale_bins, **options)
    assert data.scale_bins[data.target == 0].tolist() == expected


def test_a_sample_fills_all_bins_and_values_evenly():
    data = make_sprites(4000, side=8, random_state=0)
    assert data.scales.min() >= 0.5
    assert data.scales.max() < 1
    np.testing.assert_array_equal(data.scale_bins, np.floor((data.scales - 0.5) * 20))
    for codes, n_codes in [
        (data.scale_bins, 10),
        (data.target, 3),
        (np.rint(data.orientations / (2 * np.pi) * 40).astype(int), 40),
        (np.rint(data.x * 31).astype(int), 32),
        (np.rint(data.y * 31).astype(int), 32),
    ]:
        counts = np.bincount(codes, minlength=n_codes)
        assert len(counts) == n_codes
        assert np.abs(counts - 4000 / n_codes).max() < 4.5 * np.sqrt(4000 / n_codes)
    independent = np.corrcoef([data.target, data.scales, data.orientations, data.x, data.y])
    assert np.abs(independent - np.eye(5)).max() < 0.07


def test_a_seed_decides_a_sample_and_leaves_the_global_generator_alone():
    before = check_random_state(None).get_state()[1].copy()
    first, again, other = (make_sprites(20, side=16, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.scales, other.scales)
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], before)


def test_both_kinds_of_edges_are_of_the_same_sprites():
    gray, hard = (make_sprites(100, antialias=kind, random_state=0) for kind in (True, False))
    assert gray.images.dtype == hard.images.dtype == np.uint8
    assert set(np.unique(hard.images)) == {0, 255}
    assert len(np.unique(gray.images)) > 50
    np.testing.assert_array_equal(gray.scales, hard.scales)
    np.testing.assert_array_equal(hard.images == 255, gray.images > 127)


def test_ink_grows_with_the_square_of_the_scale():
    for code in range(3):
        small, large = (draw(code, scale=scale).sum(dtype=np.int64) for scale in (0.5, 1.0))
        assert abs(large / small - 4) < 0.1


def test_a_single_position_is_the_centre():
    data = make_sprites(side=16, n_scales=1, n_orientations=1, n_positions=1)
    assert set(data.x) == set(data.y) == {0.5}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_samples", 0),
        ("n_samples", 1.5),
        ("side", 0),
        ("antialias", "yes"),
        ("n_scales", 0),
        ("n_orientations", 0),
        ("n_positions", 0),
        ("n_scale_bins", 0),
        ("random_state", "seed"),
    ],
)
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"'{name}' parameter of make_sprites .* Got {value!r}"):
        make_sprites(**{name: value})


# ----------------------------------------------------------------------- the original


def layout(sprites):
    """The arrays of dSprites' file for sprites with hard edges."""
    zeros, ones = np.zeros(len(sprites.target)), np.ones(len(sprites.target))
    factors = [sprites.scales, sprites.orientations, sprites.x, sprites.y]
    codes = [np.unique(factor, return_inverse=True)[1] for factor in factors]
    return {
        "metadata": np.array({"title": "a pickled dict, as in the original"}, dtype=object),
        "imgs": sprites.images // 255,
        "latents_classes": np.stack([zeros, sprites.target, *codes], axis=1).astype(np.int64),
        "latents_values": np.stack([ones, sprites.target + 1, *factors], axis=1),
        "latents_bases": np.ones(6),
    }


@pytest.fixture(scope="module")
def drawn():
    options = {"n_scales": 6, "n_orientations": 3, "n_positions": 2}
    return make_sprites(side=16, antialias=False, **options)


@pytest.fixture
def original(drawn, tmp_path):
    np.savez_compressed(tmp_path / FILE, **layout(drawn))
    return tmp_path / FILE


def test_dsprites_are_read_as_they_are_drawn(original, drawn):
    data = load_dsprites(original)
    for name in ("images", "target", "scales", "scale_bins", "orientations", "x", "y"):
        np.testing.assert_array_equal(data[name], drawn[name], err_msg=name)
    assert set(drawn) <= set(data)
    assert data.images.dtype == np.uint8
    assert data.target_names.tolist() == drawn.target_names.tolist()
    np.testing.assert_array_equal(data.index, np.arange(len(drawn.images)))
    assert data.filename == str(original)
    assert "216 images of the original" in data.DESCR


def test_dsprites_are_found_in_their_folder(original, drawn):
    images, target = load_dsprites(str(original.parent), return_X_y=True)
    np.testing.assert_array_equal(images, drawn.images)
    np.testing.assert_array_equal(target, drawn.target)


def test_dsprites_take_other_bins(original):
    data = load_dsprites(original, n_scale_bins=6)
    np.testing.assert_array_equal(data.scale_bins, np.rint((data.scales - 0.5) * 10))


def test_a_sample_of_dsprites_is_drawn_without_replacement(original, drawn):
    first, again, other = (
        load_dsprites(original, n_samples=50, random_state=seed) for seed in (0, 0, 1)
    )
    assert len(set(first.index)) == 50
    np.testing.assert_array_equal(first.index, again.index)
    assert set(first.index) != set(other.index)
    for name in ("images", "target", "scales", "scale_bins", "orientations", "x", "y"):
        np.testing.assert_array_equal(first[name], drawn[name][first.index], err_msg=name)


def test_more_samples_than_rows_are_refused(original):
    with pytest.raises(ValueError, match=r"n_samples=217 is more than the 216 rows of .*npz"):
        load_dsprites(original, n_samples=217)


@pytest.mark.parametrize(
    ("name", "at", "value", "problem"),
    [
        ("imgs", (5, 3, 3), 2, "pixels other than 0 and 1"),
        ("latents_classes", (5, 1), 3, "shapes other than 0 to 2"),
        ("latents_classes", (slice(None), 1), 1, "no square, no heart"),
        ("imgs", 5, 0, "images without a white pixel"),
        ("latents_values", (5, 2), 0.4, r"scales outside \[0.5, 1\]"),
        ("latents_values", (5, 2), np.nan, r"scales outside \[0.5, 1\]"),
        ("latents_values", (5, 3), np.inf, "latent values that are not finite"),
    ],
)
def test_values_that_dsprites_does_not_have_are_named(name, at, value, problem, original, drawn):
    arrays = layout(drawn)
    arrays[name][at] = value
    np.savez(original, **arrays)
    with pytest.raises(ValueError, match=f"{FILE} has {problem}.*; download it anew"):
        load_dsprites(original)
