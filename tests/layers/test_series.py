"""Series of convolutions: Horner's rule, and the two bounds of the norm."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.layers import SkewSeries2d, SOCConv2d
from onelip.layers.series import general_series_norm, skew_series_norm, unit_reach
from onelip.linalg import transpose

EXP = tuple(1 / math.factorial(j) for j in range(7))


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=9), st.floats(0, 2))
def test_bounds_cover_the_polynomial(coefficients: list[float], norm: float) -> None:
    angles = np.linspace(0, norm, 400)
    values = np.abs(sum(c * (1j * angles) ** j for j, c in enumerate(coefficients)))
    # Twenty roundings of numbers up to 2^9, in the reference.
    assert values.max() <= skew_series_norm(coefficients, norm) + 1e-11
    general = sum(abs(c) * norm**j for j, c in enumerate(coefficients))
    assert general <= general_series_norm(coefficients, norm) + 1e-11


def test_exponential_cancels_to_almost_one() -> None:
    assert 1 <= skew_series_norm(EXP, 0.7) <= 1 + 1.1e-5
    assert skew_series_norm(EXP, 0.0) == 1


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_layer_is_the_sum_of_powers_and_its_bound_holds(mode: str) -> None:
    kernel = 0.1 * torch.randn(3, 3, 3, 3, dtype=torch.float64)
    for skew in (True, False):
        used = kernel - transpose(kernel) if skew else kernel
        layer = SkewSeries2d(used, None, EXP, mode)
        x = torch.zeros(1, 3, 4, 5, dtype=torch.float64)
        powers = [torch.eye(60, dtype=torch.float64)]
        single = SkewSeries2d(used, None, (0.0, 1.0), mode)
        a = torch.func.jacrev(single)(x).detach().reshape(60, 60)
        for _ in range(6):
            powers.append(powers[-1] @ a)
        expected = sum((c * p for c, p in zip(EXP, powers, strict=True)), torch.zeros(60, 60, dtype=torch.float64))
        found = torch.func.jacrev(layer)(x).detach().reshape(60, 60)
        assert torch.allclose(found, expected, rtol=0, atol=1e-13)
        bound = layer.lipschitz_bound()
        assert bound.proved
        assert float(torch.linalg.svdvals(found)[0]) <= bound.value
        assert bound.method.startswith("skew") == skew


def test_kernel_that_is_almost_skew_gets_the_general_bound() -> None:
    kernel = 0.1 * torch.randn(2, 2, 3, 3)
    kernel = kernel - transpose(kernel)
    kernel[0, 1, 0, 0] += 1e-6
    assert not SkewSeries2d(kernel, None, EXP).lipschitz_bound().method.startswith("skew")


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"kernel of shape \(2, 3, 3, 3\) .* in SkewSeries2d must keep the channels"):
        SkewSeries2d(torch.zeros(2, 3, 3, 3), None, EXP)
    with pytest.raises(ValueError, match="at least two coefficients"):
        SkewSeries2d(torch.zeros(2, 2, 3, 3), None, (1.0,))


def test_reach_of_the_exponential_is_where_its_truncation_exceeds_one() -> None:
    coefficients = tuple(0.99999 * c for c in EXP)
    reach = unit_reach(coefficients)
    angles = np.linspace(0, 2, 200001)
    sizes = np.abs(sum(c * (1j * angles) ** j for j, c in enumerate(coefficients)))
    first = angles[np.argmax(sizes > 1)]
    # Negative terms are dropped from the bound.
    assert first - 0.01 <= reach <= first + 1e-5
    assert skew_series_norm(coefficients, reach) <= 1 < skew_series_norm(coefficients, reach + 2e-9)
    assert unit_reach((1.5, 1.0)) == 0.0


def test_wide_skew_kernels_are_proved_to_be_at_most_one() -> None:
    torch.manual_seed(0)
    layer = SOCConv2d(40, 40, 3, padding=1).eval()
    plain = layer.to_plain()
    bound = plain.lipschitz_bound()
    assert bound.proved
    assert 1 - 2e-5 <= bound.value <= 1
