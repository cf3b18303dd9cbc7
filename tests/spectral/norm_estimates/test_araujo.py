"""LipGrid against the Frobenius norm on a fine grid."""

import math

import pytest
import torch

from onelip.spectral import norm_estimate


def frobenius(kernel, n):
    return float(torch.fft.fft2(kernel, s=(n, n)).abs().square().sum((0, 1)).amax().sqrt())


@pytest.mark.parametrize("size", [(3, 3), (2, 5), (1, 4), (1, 1)])
def test_the_formula(size):
    torch.manual_seed(0)
    kernel = torch.randn(3, 2, *size, dtype=torch.float64)
    value = float(norm_estimate(kernel, "araujo", steps=20))
    excess = math.prod(1 / (1 - 2 * (k // 2) / 20) for k in size) ** 0.5
    assert value == pytest.approx(excess * frobenius(kernel, 20), rel=1e-12)
    assert value >= frobenius(kernel, 500)


def test_groups_do_not_add_up():
    torch.manual_seed(0)
    kernel = torch.randn(4, 1, 3, 3, dtype=torch.float64)
    each = [float(norm_estimate(kernel[i : i + 1], "araujo")) for i in range(4)]
    assert float(norm_estimate(kernel, "araujo", groups=4)) == pytest.approx(max(each), rel=1e-12)


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="steps=4 for norm estimate 'araujo' must exceed the kernel size 5"):
        norm_estimate(torch.ones(1, 1, 5, 5), "araujo", steps=4)
