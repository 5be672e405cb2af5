"""After a refit no linear reader tells the labels from the rows, whatever their number."""

import pytest
import torch

from sklearn_thin.modules import LinearEraser


def labelled(n_rows=200, width=6, n_classes=4, seed=0):
    """Rows whose means depend on the class, and one-hot classes, in float64."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(n_classes, (n_rows,), generator=generator)
    means = 2 * torch.randn(n_classes, width, generator=generator)
    h = means[codes] + torch.randn(n_rows, width, generator=generator)
    return h.double(), torch.eye(n_classes, dtype=torch.float64)[codes]


def fitted(h, z, *weight, **params):
    eraser = LinearEraser(h.shape[1], z.shape[1]).double()
    eraser.refit([(h, z, *weight)], **params)
    return eraser


def cross_covariance(h, z, weight=None):
    weight = torch.ones(len(h)).double() if weight is None else weight
    centred = h - (weight @ h) / weight.sum(), z - (weight @ z) / weight.sum()
    return (centred[0].T * weight) @ centred[1] / weight.sum()


@pytest.mark.parametrize(("n_rows", "width"), [(200, 6), (30, 50)], ids=["tall", "wide"])
def test_nothing_of_the_labels_is_left_in_the_covariance(n_rows, width):
    h, z = labelled(n_rows, width)
    erased = fitted(h, z)(h)
    assert cross_covariance(h, z).abs().max() > 0.1
    assert cross_covariance(erased, z).abs().max() < 1e-9


def test_a_least_squares_reader_finds_no_more_than_the_mean():
    h, z = labelled()
    erased = fitted(h, z)(h)
    design = torch.cat([erased, torch.ones(len(h), 1).double()], 1)
    read = design @ torch.linalg.lstsq(design, z, driver="gelsd").solution
    torch.testing.assert_close(read, z.mean(0).expand_as(z), atol=1e-6, rtol=0)


def test_no_more_directions_are_taken_than_the_labels_have():
    h, z = labelled(width=10, n_classes=4)
    moved = h - fitted(h, z)(h)
    assert torch.linalg.matrix_rank(moved, rtol=1e-9) == 3


def test_means_stay_and_a_second_refit_moves_nothing():
    h, z = labelled()
    erased = fitted(h, z)(h)
    torch.testing.assert_close(erased.mean(0), h.mean(0))
    torch.testing.assert_close(fitted(erased, z)(erased), erased, atol=1e-7, rtol=0)


def test_labels_that_say_nothing_leave_the_rows_as_they_are():
    h, _ = labelled()
    z = torch.ones(len(h), 2).double()
    torch.testing.assert_close(fitted(h, z)(h), h)


def test_probabilities_of_several_variables_are_erased_as_labels_are():
    h, z = labelled()
    soft = torch.cat([(5 * z).softmax(1), z.roll(1, 0)], 1)
    assert cross_covariance(fitted(h, soft)(h), soft).abs().max() < 1e-9


def test_a_weight_counts_as_so_many_rows():
    h, z = labelled()
    weight = (torch.arange(len(h)) % 3).double()
    repeated = torch.arange(len(h)).repeat_interleave(weight.long())
    eraser = fitted(h, z, weight)
    assert cross_covariance(eraser(h), z, weight).abs().max() < 1e-9
    torch.testing.assert_close(eraser.centre, fitted(h[repeated], z[repeated]).centre)


@pytest.mark.parametrize("max_rows", [20, 150, 8192])
def test_blocks_are_as_one_and_few_rows_for_the_covariance_are_exact_too(max_rows):
    h, z = labelled()
    eraser = LinearEraser(6, 4).double()
    eraser.refit(zip(h.split(64), z.split(64), strict=True), max_rows)
    torch.testing.assert_close(eraser(h), fitted(h, z, max_rows=max_rows)(h))
    assert cross_covariance(eraser(h), z).abs().max() < 1e-9


def test_features_that_never_move_do_no_harm():
    h, z = labelled()
    h[:, 2] = 0
    erased = fitted(h, z)(h)
    assert erased.isfinite().all()
    assert cross_covariance(erased, z).abs().max() < 1e-9


def test_an_eraser_is_the_identity_before_it_is_fitted():
    h, _ = labelled()
    torch.testing.assert_close(LinearEraser(6, 4).double()(h), h)


def test_gradients_pass_through_the_map_and_do_not_change_it():
    h, z = labelled()
    h.requires_grad_()
    eraser = fitted(h, z)
    eraser(h)[:, 0].sum().backward()
    assert h.grad.abs().sum() > 0
    assert not list(eraser.parameters())
    # what is erased gets no gradient: (∂r/∂h)ᵀ kills the directions that are read
    torch.testing.assert_close(h.grad @ eraser.write, torch.zeros(len(h), 4).double())
