"""The paper's dispelling term: its value, and the weights that its gradient reaches."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklearn_thin import ConvNetBackbone, ExogenousEncoder
from sklearn_thin.losses import CosineTerm, cosine_dispelling
from tests.helpers import small, small_encoder, two_encoders


@pytest.fixture
def parts(rows, encoder):
    """The trained module, its dispelling term, and one batch with c's logits on h_exo."""
    X, y, _ = rows
    clf = small(FrozenEstimator(encoder), gating="head", lam=1.0, max_epochs=1).fit(X, y)
    side = clf.exogenous_side_
    term = CosineTerm(side.heads, side.sizes).train()
    frozen = side.outputs(X, logits=True)
    return clf.module_.train(), term, torch.tensor(X), frozen


def test_the_dispelling_gradient_reaches_the_backbone_and_nothing_frozen(parts):
    module, term, x, frozen = parts
    module.zero_grad()
    output = module(x, frozen["gate_input"])
    term(frozen["exogenous_logits"], output.h).mean().backward()
    assert next(module.backbone.parameters()).grad.any()
    assert not any(p.grad is not None for p in module.experts.parameters())
    assert not any(p.grad is not None for p in module.gate.parameters())
    assert not any(p.grad is not None for head in term.heads for p in head.parameters())
    assert not any(tensor.requires_grad for tensor in frozen.values())
    assert not any(part.training for head in term.heads for part in head.modules())


def test_the_dispelling_term_is_the_cosine_of_what_c_says_of_both_representations(parts, encoder):
    module, term, x, frozen = parts
    h = module.eval().backbone(x)
    z_endo = encoder.predictor_.eval()(h)
    z_exo = encoder.predictor_.eval()(torch.from_numpy(encoder.transform(x.numpy())))
    torch.testing.assert_close(
        term(frozen["exogenous_logits"], h), cosine_dispelling(z_exo, z_endo)
    )


def test_a_large_lam_drives_the_dispelling_term_down(rows):
    X, y, z = rows
    encoder = small_encoder(preprocessor=None, max_epochs=10, random_state=0).fit(X, z)
    last = [
        small(FrozenEstimator(encoder), endogenous=None, lam=lam, max_epochs=30, lr=3e-3)
        .fit(X, y)
        .history_[-1]["train_dispelling"]
        for lam in (1e-4, 20.0)
    ]
    assert last[1] < 0.5 * last[0]


def test_lam_changes_the_representation_and_without_it_nothing_is_dispelled(rows, encoder):
    X, y, _ = rows
    clfs = [small(FrozenEstimator(encoder), lam=lam).fit(X, y) for lam in (0, 1.0)]
    assert "train_dispelling" not in clfs[0].history_[-1]
    assert not np.allclose(clfs[0].transform(X), clfs[1].transform(X), atol=1e-3)


def test_the_dispelling_terms_of_several_variables_are_averaged(rows, two_targets):
    X, y, _ = rows
    encoders = [
        (name, FrozenEstimator(encoder.fit(X, two_targets[:, i])))
        for i, (name, encoder) in enumerate(two_encoders())
    ]
    params = {"lam": 0.1, "lr": 1e-12, "max_epochs": 1, "gating": "head"}
    both = small(encoders, **params).fit(X, y).history_[-1]["train_dispelling"]
    single = [small(e, **params).fit(X, y).history_[-1]["train_dispelling"] for _, e in encoders]
    assert both == pytest.approx(np.mean(single), abs=1e-5)


def test_the_dispelling_term_compares_with_the_augmented_images(digits):
    images, y, z = digits.images[:200], digits.y[:200], digits.z[:200]
    encoder = ExogenousEncoder(ConvNetBackbone((4,)), max_epochs=2, random_state=0).fit(images, z)
    clf = small(FrozenEstimator(encoder), lam=0.1, lr=1e-12, backbone=ConvNetBackbone((4,)))
    augmented = clone(clf).set_params(augment=lambda x: x.flip(-1)).fit(images, y)
    flipped = clf.fit(images[..., ::-1].copy(), y)
    assert augmented.history_[-1]["train_dispelling"] == pytest.approx(
        flipped.history_[-1]["train_dispelling"], abs=1e-5
    )
