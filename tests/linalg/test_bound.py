"""Bounds compose like constants, are never rounded down, and keep track of what is proved."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelip.linalg import EXACT_ONE, Bound

VALUES = st.floats(0, 1e100)


@given(VALUES, VALUES)
def test_compositions_are_upper_bounds_in_exact_arithmetic(a: float, b: float) -> None:
    x, y = Bound(a, True, "a"), Bound(b, True, "b")
    assert Fraction(x.then(y).value) >= Fraction(a) * Fraction(b)
    assert Fraction(x.plus(y).value) >= Fraction(a) + Fraction(b)
    assert Fraction(x.stack(y).value) ** 2 >= Fraction(a) ** 2 + Fraction(b) ** 2


@given(VALUES)
def test_identity_changes_nothing(a: float) -> None:
    bound = Bound(a, True, "a")
    assert bound.then(EXACT_ONE).value == EXACT_ONE.then(bound).value == a


@pytest.mark.parametrize("combine", [Bound.then, Bound.plus, Bound.stack])
def test_one_estimate_makes_an_estimate(combine: object) -> None:
    proved, estimate = Bound(2.0, True, "proof"), Bound(2.0, False, "power iteration")
    assert combine(proved, proved).proved
    assert not combine(proved, estimate).proved
    assert not combine(estimate, proved).proved


def test_overflow_is_not_proved() -> None:
    huge = Bound(1e308, True, "huge")
    assert huge.then(huge) == Bound(math.inf, False, "product")
    assert huge.plus(huge) == Bound(math.inf, False, "sum")


def test_impossible_constants_are_refused() -> None:
    for value in (math.nan, -1.0, -math.inf):
        with pytest.raises(ValueError, match="is not a Lipschitz constant"):
            Bound(value, False, "wrong")
    with pytest.raises(ValueError, match="value=inf cannot be a proved"):
        Bound(math.inf, True, "wrong")
