"""The grid bound is above the norm at every size, and close to the supremum."""

import pytest
import torch
from tests.linalg.convolution.image_sizes import ROUNDING, cases, true_norm

from onelip.linalg import conv_norm_bound
from onelip.linalg.convolution.grid import grid_norm_bound

EXCESS = 0.065
"""Of 8 frequencies for each degree and axis, in three dimensions."""


@pytest.mark.parametrize(("axes", "n"), [(1, 12), (2, 12), (3, 4)])
def test_above_zero_padding_of_any_size(axes, n):
    for case in cases(n, axes, ("zeros",), seed=4):
        options = {name: case.options[name] for name in ("stride", "dilation", "groups")}
        assert true_norm(case.layer, case.shape) <= grid_norm_bound(case.weight, **options).value * (1 + ROUNDING)


@pytest.mark.parametrize("shape", [(3, 2, 3, 3), (2, 2, 5, 1), (4, 4, 1, 1)])
def test_near_the_supremum(shape):
    weight = torch.randn(shape)
    fine = conv_norm_bound(weight).value
    bound = grid_norm_bound(weight, stride=(1, 1), dilation=(1, 1), groups=1)
    assert fine * (1 - 3e-6) <= bound.value <= fine * (1 + EXCESS)
    assert bound.proved


def test_three_axes_near_the_supremum():
    weight = torch.randn(3, 2, 3, 3, 2, dtype=torch.float64)
    spectrum = torch.fft.fftn(weight, (24, 24, 24)).flatten(2).permute(2, 0, 1)
    top = float(torch.linalg.svdvals(spectrum).max())
    bound = grid_norm_bound(weight, stride=(1, 1, 1), dilation=(2, 1, 1), groups=1).value
    assert top * (1 - ROUNDING) <= bound <= top * (1 + EXCESS)


def test_zero():
    assert grid_norm_bound(torch.zeros(2, 2, 3), stride=(1,), dilation=(1,), groups=1).value == 0
