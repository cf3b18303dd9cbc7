"""Every image holds the exact one: the difference is positive semi-definite in 60 digits."""

from __future__ import annotations

import math

import mpmath as mp
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from onelip.linalg.ellipsoids import (
    Ellipsoid,
    kept_image,
    linear_image,
    pair_widths,
    radius_bound,
    scaled_image,
    slope_image,
)

mp.mp.dps = 60

sizes = st.integers(1, 6)
exponents = st.integers(-27, 27)
seeds = st.integers(0, 2**31)


def exact(x: Tensor) -> mp.matrix:
    return mp.matrix(x.tolist())


def diagonal(x: Tensor) -> mp.matrix:
    return mp.diag([mp.mpf(v) for v in x.tolist()])


def shape_of(e: Ellipsoid) -> mp.matrix:
    return exact(e.shape) * mp.mpf(4) ** e.exponent


def holds(outer: Ellipsoid, inner: mp.matrix, looseness: float) -> bool:
    """Is inner <= outer, and outer <= inner + looseness |inner| I?"""
    difference = shape_of(outer) - inner
    values = mp.eigsy(difference, eigvals_only=True)
    size = mp.mnorm(inner, "f")
    # eigsy errs by about 1e-58 of the norm.
    return bool(min(values) >= -size * mp.mpf(10) ** -55 and max(values) <= looseness * size + mp.mpf(2) ** -500)


def drawn(seed: int, m: int, n: int, spread: int) -> Tensor:
    """Entries of very different size; some rows zero."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(m, n, generator=g, dtype=torch.float64)
    rows = 2.0 ** torch.randint(-spread, spread + 1, (m, 1), generator=g)
    return x * rows * (torch.rand(m, 1, generator=g) > 0.1)


def ellipsoid(seed: int, n: int, exponent: int) -> Ellipsoid:
    return linear_image(drawn(seed + 1, n, n + 1, 8) * 2.0**exponent, None)


@settings(max_examples=60, deadline=None)
@given(seeds, sizes, sizes, exponents)
def test_linear_image_holds_the_exact_one(seed: int, m: int, n: int, exponent: int) -> None:
    w = drawn(seed, m, n, 20)
    before = ellipsoid(seed, n, exponent)
    assert holds(linear_image(w, before), exact(w) * shape_of(before) * exact(w).T, 1e-12)
    assert holds(linear_image(w, None), exact(w) * exact(w).T, 1e-12)


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, exponents)
def test_scaled_image_holds_the_exact_one_of_factors_rounded_either_way(seed: int, n: int, exponent: int) -> None:
    f, before = drawn(seed, n, 1, 10).flatten(), ellipsoid(seed, n, exponent)
    image = scaled_image(f, 3, before)
    for sign in (-1, 1):
        factors = diagonal(f) * (1 + sign * mp.mpf(3) * mp.mpf(2) ** -53)
        assert holds(image, factors * shape_of(before) * factors, 1e-12)


@settings(max_examples=80, deadline=None)
@given(seeds, sizes, exponents, st.sampled_from(["relu", "abs", "some", "leaky", "linear"]), st.floats(1.01, 1e4))
def test_slope_image_holds_the_exact_one(seed: int, n: int, exponent: int, kind: str, room: float) -> None:
    before = ellipsoid(seed, n, exponent)
    g = torch.Generator().manual_seed(seed)
    middle, spread = {
        "relu": (torch.full((n,), 0.5), torch.full((n,), 0.5)),
        "abs": (torch.zeros(n), torch.ones(n)),
        "some": (torch.arange(n) % 2, (torch.arange(n) + 1) % 2),
        "leaky": (torch.randn(n, generator=g), torch.rand(n, generator=g)),
        "linear": (torch.randn(n, generator=g), torch.zeros(n)),
    }[kind]
    middle, spread = middle.double(), spread.double()
    top = mp.sqrt(max(mp.eigsy(shape_of(before), eigvals_only=True)))
    # The form below divides by h.
    assume(top > 0)
    h = float(top) * room * (0.5 + torch.rand(n, generator=g, dtype=torch.float64))
    h = torch.where(spread * float(top) < h * 0.99, h, float(top) * spread.clamp_min(0.1) * 1.02)
    image = slope_image(middle, spread, h, before)
    assert image is not None
    assert holds(image, exact_slope_image(middle, spread, h, before), 1e-9)


def exact_slope_image(middle: Tensor, spread: Tensor, h: Tensor, before: Ellipsoid) -> mp.matrix:
    """(C^-1 - R H^-2 R)^-1 by way of (I - C R H^-2 R)^-1 C, in 60 digits: not the form of the code."""
    c, n = shape_of(before), len(h)
    weights = mp.diag([(mp.mpf(r) / mp.mpf(x)) ** 2 for r, x in zip(spread.tolist(), h.tolist(), strict=True)])
    inner = mp.inverse(mp.eye(n) - c * weights) * c
    m = diagonal(middle)
    result = m * inner * m
    for k in range(n):
        result[k, k] += mp.mpf(h[k].item()) ** 2 if spread[k] > 0 else 0
    return (result + result.T) / 2


@pytest.mark.parametrize("factor", [1.0, 0.9, 1e-200, 0.0, math.inf, math.nan])
def test_radii_that_prove_nothing_give_nothing(factor: float) -> None:
    before = linear_image(torch.eye(3, dtype=torch.float64), None)
    half = torch.full((3,), 0.5, dtype=torch.float64)
    assert slope_image(half, half, half * factor, before) is None
    one = torch.ones(3, dtype=torch.float64)
    assert slope_image(0 * one, one, one * min(factor, 0.9), before) is None


def test_closed_form_of_one_ratio() -> None:
    # C = s^2, h^2 = s^2 / 2: (1/4) s^2 / (1 - 1/2) + s^2 / 2 = s^2.
    before = linear_image(torch.tensor([[3.0]], dtype=torch.float64), None)
    half = torch.tensor([0.5], dtype=torch.float64)
    image = slope_image(half, half, torch.tensor([3 / math.sqrt(2)], dtype=torch.float64), before)
    assert image is not None
    assert 3.0 <= radius_bound(image).value <= 3.0 * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, st.integers(-500, 500))
def test_radius_and_widths_are_above_the_exact_ones(seed: int, n: int, exponent: int) -> None:
    e = ellipsoid(seed, n, 0)
    e = Ellipsoid(e.shape, exponent)
    c = shape_of(e)
    top = mp.sqrt(max(0, *mp.eigsy(c, eigvals_only=True)))
    radius = radius_bound(e)
    assert radius.proved
    assert top <= mp.mpf(radius.value) <= top * (1 + mp.mpf(10) ** -9) + mp.mpf(2) ** (exponent - 250)
    widths = pair_widths(e)
    for i in range(n):
        for j in range(n):
            assert mp.mpf(widths[i, j].item()) ** 2 >= c[i, i] + c[j, j] - 2 * c[i, j]


def test_overflow_is_refused_or_infinite() -> None:
    e = Ellipsoid(torch.eye(2, dtype=torch.float64) / 2, 1030)
    with pytest.raises(ValueError, match="beyond the largest float64"):
        radius_bound(e)
    assert pair_widths(e)[0, 1] == math.inf


def test_zero_stays_zero_and_kept_is_a_part() -> None:
    before = linear_image(torch.zeros(3, 2, dtype=torch.float64), None)
    half = torch.full((3,), 0.5, dtype=torch.float64)
    image = slope_image(half, half, half, before)
    assert image is not None
    assert radius_bound(image).value == 0.0
    e = linear_image(torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)), None)
    assert radius_bound(kept_image(0, 2, e)).value == pytest.approx(2.0, rel=1e-12)
