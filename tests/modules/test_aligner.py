"""After a refit all classes of a variable have one mean and one covariance."""

import pytest
import torch

from sklearn_thin.modules import AlignerChain, ConditionalAligner


def spread(n_rows=6000, width=5, n_classes=3, seed=0):
    """Rows whose means and covariances depend on the class, and certain probabilities."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(n_classes, (n_rows,), generator=generator)
    means = 2 * torch.randn(n_classes, width, generator=generator)
    mixing = torch.eye(width) + 0.5 * torch.randn(n_classes, width, width, generator=generator)
    h = means[codes] + torch.einsum(
        "nij,nj->ni", mixing[codes], torch.randn(n_rows, width, generator=generator)
    )
    return h.double(), torch.eye(n_classes, dtype=torch.float64)[codes]


def fitted(h, proba, *weight, rank=None, **params):
    aligner = ConditionalAligner(h.shape[1], proba.shape[1], rank).double()
    aligner.refit([(h, proba, *weight)], **params)
    return aligner


def moments(h, proba):
    """Mean and covariance of each class."""
    parts = [h[row == 1] for row in proba.T]
    return torch.stack([p.mean(0) for p in parts]), torch.stack([torch.cov(p.T) for p in parts])


def test_classes_have_one_mean_and_one_covariance():
    h, proba = spread()
    before, after = moments(h, proba), moments(fitted(h, proba)(h, proba), proba)
    assert before[0].std(0).max() > 1
    assert before[1].std(0).max() > 1
    torch.testing.assert_close(after[0], h.mean(0).expand(3, -1))
    # as close as the shrinkage lets them
    assert after[1].std(0).max() < 0.1 * before[1].std(0).max()


def test_the_common_covariance_is_the_mean_one():
    h, proba = spread()
    _, covariances = moments(h, proba)
    share = proba.mean(0)
    aligned = torch.cov(fitted(h, proba)(h, proba).T)
    expected = torch.einsum("k,kij->ij", share, covariances)
    torch.testing.assert_close(aligned, expected, rtol=0.02, atol=0.02 * expected.diagonal().mean())


def test_a_variable_that_shows_nowhere_moves_nothing():
    h, _ = spread()
    same = h.repeat_interleave(2, 0)[: len(h)]
    proba = torch.eye(2).double()[torch.arange(len(h)) % 2]  # each row once in each class
    torch.testing.assert_close(fitted(same, proba)(same, proba), same)


def test_below_full_rank_means_are_one_and_leading_covariances_too():
    h, proba = spread()
    aligner = fitted(h, proba, rank=2)
    means, _ = moments(aligner(h, proba), proba)
    torch.testing.assert_close(means, h.mean(0).expand(3, -1))
    _, inside = moments(aligner(h, proba) @ aligner.basis, proba)
    _, before = moments(h @ aligner.basis, proba)
    assert inside.std(0).max() < 0.02 * before.std(0).max()


def test_what_is_uncertain_is_moved_by_the_mean_of_the_maps():
    h, proba = spread()
    aligner = fitted(h, proba)
    certain = torch.stack([aligner(h, row.expand_as(proba)) for row in torch.eye(3).double()])
    soft = torch.tensor([0.2, 0.3, 0.5]).double()
    expected = torch.einsum("k,knd->nd", soft, certain)
    torch.testing.assert_close(aligner(h, soft.expand_as(proba)), expected)


def test_a_weight_counts_as_so_many_rows():
    h, proba = spread(600)
    weight = (torch.arange(len(h)) % 3).double()
    repeated = torch.arange(len(h)).repeat_interleave(weight.long())
    weighed, plain = fitted(h, proba, weight), fitted(h[repeated], proba[repeated])
    torch.testing.assert_close(weighed(h, proba), plain(h, proba))


@pytest.mark.parametrize("max_rows", [100, 8192])
def test_blocks_are_as_one(max_rows):
    h, proba = spread(600)
    aligner = ConditionalAligner(5, 3).double()
    aligner.refit(zip(h.split(64), proba.split(64), strict=True), max_rows)
    torch.testing.assert_close(aligner(h, proba), fitted(h, proba)(h, proba))


def test_few_rows_of_a_class_are_trusted_little_and_none_not_at_all():
    h, proba = spread(600)
    few = torch.cat([proba[:, 0].nonzero()[:2, 0], proba[:, 1].nonzero()[:, 0]])
    aligned = fitted(h[few], proba[few])(h, proba)
    assert aligned.isfinite().all()
    assert aligned.std() < 3 * h.std()


def test_a_class_without_rows_stays_where_it_is():
    h, proba = spread(n_classes=2)
    aligner = fitted(h + 5, torch.nn.functional.pad(proba, (0, 1)))
    absent = torch.eye(3, dtype=torch.float64)[2].expand(len(h), 3)
    torch.testing.assert_close(aligner(h + 5, absent), h + 5)


def test_features_that_never_move_do_no_harm():
    h, proba = spread(600)
    h[:, 2] = 0
    assert fitted(h, proba)(h, proba).isfinite().all()


def test_an_aligner_is_the_identity_before_it_is_fitted():
    h, proba = spread(60)
    torch.testing.assert_close(ConditionalAligner(5, 3).double()(h, proba), h)


def test_gradients_pass_through_the_map_and_do_not_change_it():
    h, proba = spread(600)
    h.requires_grad_()
    aligner = fitted(h.detach(), proba)
    aligner(h, proba).sum().backward()
    assert h.grad.abs().sum() > 0
    assert not list(aligner.parameters())


def test_a_chain_aligns_several_variables():
    h, first = spread(8000, n_classes=2)
    second = torch.eye(2).double()[(torch.arange(len(h)) // 3) % 2]
    h = h * (1 + second[:, :1])
    logits = 100 * torch.cat([first, second], 1)
    chain = AlignerChain(5, [2, 2]).double()
    chain.refit([(h, logits)])
    aligned = chain(h, logits)
    for proba in (first, second):
        before, after = moments(h, proba), moments(aligned, proba)
        for i in range(2):
            assert after[i].std(0).max() < 0.2 * before[i].std(0).max()


def test_a_common_factor_of_the_weights_does_not_matter():
    z = torch.eye(2)[torch.arange(40) % 2]
    h = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) * (1 + z[:, :1])
    maps = []
    for factor in (1.0, 1 / 40, 1e6):
        aligner = ConditionalAligner(3, 2)
        aligner.refit([(h, z, torch.full((40,), factor))])
        maps.append(aligner.maps)
    torch.testing.assert_close(maps[0], maps[1])
    torch.testing.assert_close(maps[0], maps[2])
