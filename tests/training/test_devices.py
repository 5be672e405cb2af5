"""Devices that are not there are refused."""

import pytest
import torch

from sklearn_thin import ExogenousEncoder
from tests.helpers import SMALL, CountingEncoder, assert_refused, small


@pytest.mark.parametrize(
    ("device", "match"),
    [
        pytest.param(
            "cuda",
            "device='cuda' is not available.*'auto', 'cpu'",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        ("cuda:99", "device='cuda:99' is not available.*'auto', 'cpu'"),
        ("nonsense", "device='nonsense' is not available.*'auto', 'cpu'"),
    ],
)
@pytest.mark.parametrize("kind", [small, ExogenousEncoder])
def test_a_device_that_is_not_there_is_refused(device, match, kind, few):
    assert_refused(kind(device=device), ValueError, match, *few[:2])


def test_a_device_that_is_not_there_is_refused_before_an_encoder_is_trained(few):
    X, y, z = few
    CountingEncoder.fits.clear()
    clf = small(CountingEncoder(SMALL), device="nonsense")
    assert_refused(clf, ValueError, "not available", X, y, exogenous_target=z)
    assert CountingEncoder.fits == []
