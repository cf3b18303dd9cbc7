"""Outward rounding against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelip.linalg import UNIT_ROUNDOFF, add_up, divide_up, down, gamma, multiply_up, sqrt_up, up

POSITIVE = st.floats(0, 1e150)
ULP = 2 * UNIT_ROUNDOFF


@given(POSITIVE, POSITIVE)
def test_results_are_above_and_within_two_units(a: float, b: float) -> None:
    cases = [(add_up(a, b), Fraction(a) + Fraction(b)), (multiply_up(a, b), Fraction(a) * Fraction(b))]
    if b > 1e-150:
        cases.append((divide_up(a, b), Fraction(a) / Fraction(b)))
    for rounded, exact in cases:
        assert Fraction(rounded) >= exact
        assert Fraction(rounded) <= exact * (1 + 2 * Fraction(ULP)) + Fraction(1e-300)


@given(st.floats(0, 1e300))
def test_roots(x: float) -> None:
    assert Fraction(sqrt_up(x)) ** 2 >= Fraction(x)
    assert sqrt_up(x) <= math.sqrt(x) * (1 + ULP) + 5e-324


def test_exact_cases_stay_exact() -> None:
    assert multiply_up(1.0, 0.3) == multiply_up(0.3, 1.0) == add_up(0.3, 0.0) == divide_up(0.3, 1.0) == 0.3
    assert sqrt_up(0.0) == multiply_up(0.0, 0.3) == gamma(0) == 0.0
    assert sqrt_up(1.0) == 1.0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_neighbours(x: float) -> None:
    assert down(x) < x < up(x)
    assert down(up(x)) == x


@given(st.integers(1, 10**9))
def test_gamma_is_above_its_formula(n: int) -> None:
    u = Fraction(UNIT_ROUNDOFF)
    assert Fraction(gamma(n)) >= n * u / (1 - n * u)


def test_gamma_needs_few_terms() -> None:
    with pytest.raises(ValueError, match="too many for a float64 error bound"):
        gamma(2**53)
