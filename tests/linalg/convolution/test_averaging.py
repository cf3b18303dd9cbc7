"""Polynomials are means of others on a grid, with weights that are never negative."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.linalg.convolution.supremum import symbol_supremum

from onelip.linalg.convolution.averaging import LADDER, lag_weights, mean_weights
from onelip.linalg.convolution.frequencies import Frequencies
from onelip.linalg.convolution.kernels import autocorrelation


@pytest.mark.parametrize("degree", [1, 2, 4])
@pytest.mark.parametrize("per_degree", LADDER)
def test_weights_are_those_of_a_positive_kernel_without_aliases(degree: int, per_degree: int) -> None:
    points = per_degree * degree
    last = points - degree - 1
    # The kernel from its coefficients, on a fine grid: never negative, and a mean.
    a = torch.sin(math.pi * torch.arange(1, last + 2, dtype=torch.float64) / (last + 2))
    v = torch.stack([(a[lag:] * a[: last + 1 - lag]).sum() for lag in range(last + 1)]) / a.square().sum()
    w = torch.linspace(0, 2 * math.pi, 997, dtype=torch.float64)
    kernel = 1 + 2 * (v[1:] * torch.cos(w[:, None] * torch.arange(1, last + 1))).sum(1)
    assert float(kernel.min()) > -1e-12
    weights = torch.tensor(mean_weights(points, degree), dtype=torch.float64)
    torch.testing.assert_close(weights, 1 / v[: degree + 1], rtol=1e-14, atol=0)
    # Fejer's optimum.
    assert weights[1] == pytest.approx(1 / math.cos(math.pi / (last + 2)), rel=1e-13)
    # Means reproduce each power up to the degree, at any frequency.
    grid = 2 * math.pi * torch.arange(points, dtype=torch.float64) / points
    where = torch.tensor([0.1, 1.234, 5.0], dtype=torch.float64)
    ahead = where[:, None] - grid
    shares = (1 + 2 * (v[1:] * torch.cos(ahead[..., None] * torch.arange(1, last + 1))).sum(-1)) / points
    for lag in range(degree + 1):
        mean = (shares * torch.exp(1j * lag * grid) * weights[lag]).sum(1)
        torch.testing.assert_close(mean, torch.exp(1j * lag * where), rtol=0, atol=1e-12)


def test_weights_of_two_axes_multiply_and_a_constant_axis_has_none() -> None:
    lags = torch.cartesian_prod(torch.arange(-2, 3), torch.arange(-1, 2))
    found = lag_weights(lags, (12, 8), (2, 1))
    high, wide = mean_weights(12, 2), mean_weights(8, 1)
    assert found.tolist() == [high[abs(a)] * wide[abs(b)] for a, b in lags.tolist()]
    assert lag_weights(lags * torch.tensor([1, 0]), (12, 1), (2, 0)).tolist() == [
        high[abs(a)] for a, _ in lags.tolist()
    ]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 999), st.sampled_from(LADDER[:3]))
@settings(max_examples=25)
def test_values_on_the_grid_bound_those_at_all_frequencies(c: int, k_h: int, k_w: int, seed: int, rung: int) -> None:
    kernel = torch.randn(c, 2, k_h, k_w, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    taps = autocorrelation(kernel, side="out")[None]
    frequencies = Frequencies(taps)
    counts = max(1, rung * (k_h - 1)), max(1, rung * (k_w - 1))
    means = frequencies.averaging(counts)
    points = torch.cartesian_prod(torch.zeros(1, dtype=torch.int64), *(torch.arange(n) for n in counts))
    top = float(torch.linalg.eigvalsh(means.matrices(points, counts)).max())
    supremum = symbol_supremum(taps[0], points=24, starts=1)
    assert top >= supremum * (1 - 1e-12)
    assert top <= supremum * (1 + 0.4 * (6 / rung) ** 2)
    assert means.error >= frequencies.error


def test_what_is_constant_costs_nothing_and_the_worst_polynomial_is_bounded_sharply() -> None:
    # 1 + cos(L w) halfway between two grid points: no method that sees the grid alone can do with less.
    taps = torch.zeros(1, 1, 1, 1, 3, dtype=torch.float64)
    taps[0, 0, 0, 0, 1] = 1.0
    points = torch.tensor([[0, 0, j] for j in range(6)])
    assert Frequencies(taps).averaging((1, 6)).matrices(points, (1, 6)).real.flatten().tolist() == [1.0] * 6
    half = math.pi / 6
    c, s = math.cos(half) / 2, math.sin(half) / 2
    pair = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    taps = torch.stack([pair, torch.eye(2, dtype=torch.float64), pair.mT], -1)[None, :, :, None]
    plain = torch.linalg.eigvalsh(Frequencies(taps).matrices(points, (1, 6))).max()
    means = torch.linalg.eigvalsh(Frequencies(taps).averaging((1, 6)).matrices(points, (1, 6))).max()
    assert float(plain) == pytest.approx(1 + math.cos(half))
    assert float(means) == pytest.approx(1 + math.cos(half) / math.cos(math.pi / 6))
