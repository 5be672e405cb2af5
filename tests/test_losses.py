"""The loss terms are per-sample values that equal their definitions."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error

from sklearn_thin.losses import THINLoss, cosine_dispelling, cross_entropy, squared_error


def random_logits(n_classes, n_rows=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n_rows, n_classes, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_cross_entropy_is_the_log_loss_of_every_single_row(n_classes):
    logits = random_logits(n_classes)
    y = torch.arange(20) % n_classes
    values = cross_entropy(logits, y)
    assert values.shape == (20,)
    labels = range(n_classes)
    proba = logits.softmax(1).numpy()
    expected = [log_loss([y[i]], proba[i : i + 1], labels=labels) for i in range(20)]
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-9)


def test_cross_entropy_stays_finite_for_huge_logits():
    assert cross_entropy(torch.tensor([[1e4, -1e4]]), torch.tensor([1])).item() == 2e4


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_squared_error_is_the_mean_squared_error_of_every_single_row(n_outputs):
    predicted, y = random_logits(n_outputs), random_logits(n_outputs, seed=1)
    expected = [mean_squared_error(a, b) for a, b in zip(y.numpy(), predicted.numpy(), strict=True)]
    np.testing.assert_allclose(squared_error(predicted, y).numpy(), expected, rtol=1e-9)


def test_the_loss_is_the_weighted_mean_of_the_fits_loss_under_its_name():
    predicted, y = random_logits(2), random_logits(2, seed=1)
    weight = torch.arange(20.0)
    means = THINLoss(fit_loss=squared_error)((predicted, predicted), y, weight=weight)
    assert means.keys() == {"loss", "squared_error"}
    expected = (weight * squared_error(predicted, y)).mean()
    assert means["loss"] == means["squared_error"] == pytest.approx(expected.item())


@pytest.mark.parametrize("n_classes", [1, 2, 18])
def test_dispelling_is_the_absolute_cosine_of_every_row(n_classes):
    a, b = random_logits(n_classes), random_logits(n_classes, seed=1)
    x, y = a.numpy(), b.numpy()
    expected = np.abs((x * y).sum(1)) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))
    values = cosine_dispelling(a, b)
    assert values.shape == (20,)
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-9)


def test_dispelling_lies_between_0_and_1():
    a, b = random_logits(4, 500), random_logits(4, 500, seed=1)
    values = cosine_dispelling(a, b)
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-12


def test_dispelling_does_not_mind_signs_scales_or_which_side_is_which():
    a, b = random_logits(4), random_logits(4, seed=1)
    values = cosine_dispelling(a, b)
    for other in (cosine_dispelling(a, -b), cosine_dispelling(9 * a, b), cosine_dispelling(b, a)):
        torch.testing.assert_close(other, values)


def test_dispelling_is_0_for_orthogonal_and_1_for_opposite_logits():
    a = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    b = torch.tensor([[-2.0, 1.0], [-0.5, -1.0]])
    torch.testing.assert_close(cosine_dispelling(a, b), torch.tensor([0.0, 1.0]))


def test_dispelling_of_logits_that_are_all_zero_is_0_with_a_finite_gradient():
    z = torch.zeros(3, 4, requires_grad=True)
    values = cosine_dispelling(torch.ones(3, 4), z)
    values.sum().backward()
    assert not values.any()
    assert z.grad.isfinite().all()


def test_a_step_down_the_gradient_lowers_the_cosine_of_every_row():
    a = random_logits(4)
    b = random_logits(4, seed=1).requires_grad_()
    before = cosine_dispelling(a, b)
    before.sum().backward()
    after = cosine_dispelling(a, b.detach() - 1e-3 * b.grad)
    assert (after < before.detach()).all()
