"""Circular convolutions: closed forms, strides, and kernels larger than the image."""

import pytest
import torch
from tests.spectral.norm_estimates import dense
from torch import nn

from onelip.spectral import NotApplicableError, norm_estimate

RING = {"padding_mode": "circular"}


def test_closed_forms():
    mean = torch.full((1, 1, 3, 3), 1 / 9)
    assert float(norm_estimate(mean, "sedghi", (1, 8, 8), padding=1, **RING)) == pytest.approx(1, abs=1e-7)
    for k in (2, 3, 5):
        box = torch.full((1, 1, k, k), 1 / k, dtype=torch.float64)
        assert float(norm_estimate(box, "sedghi", (1, 7, 7), padding="same", **RING)) == pytest.approx(k, abs=1e-12)
    torch.manual_seed(0)
    kernel = torch.randn(3, 2, 2, 2, dtype=torch.float64)
    expected = float(torch.linalg.matrix_norm(kernel.flatten(1), ord=2))
    assert float(norm_estimate(kernel, "sedghi", (2, 6, 4), stride=2)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "groups", "size"),
    [(3, 1, 1, 1, (5, 4)), (3, 2, 1, 2, (6, 4)), (5, 1, 2, 1, (4, 9)), (3, 1, 3, 2, (7, 7)), (4, 2, 1, 1, (4, 6))],
)
def test_it_is_exact(kernel, stride, dilation, groups, size):
    torch.manual_seed(1)
    padding = (dilation * (kernel - 1) - stride + 2) // 2
    conv = nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups, padding_mode="circular").double()
    assert float(norm_estimate(conv, "sedghi", (2, *size))) == pytest.approx(dense.norm(conv, (2, *size)), rel=1e-10)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((5, 5), {"stride": 2, "padding": 1, **RING}),
        ((5, 5), {"padding": 0}),
        ((5, 5), {"padding": 1}),
        ((5, 5), {"padding": 1, "padding_mode": "reflect"}),
        ((5, 5), {"padding": 2, **RING}),
    ],
)
def test_other_convolutions_are_refused(size, options):
    with pytest.raises(NotApplicableError, match="is of circular convolutions that keep the image size or divide it"):
        norm_estimate(torch.ones(1, 1, 3, 3), "sedghi", (1, *size), **options)
