from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from onelip.certify.checker.arithmetic import UNIT, above, gamma, plus, root, times

POSITIVE = st.floats(0, 1e150)


@given(POSITIVE, POSITIVE)
def test_operations_round_up(a, b):
    assert Fraction(times(a, b)) >= Fraction(a) * Fraction(b)
    assert Fraction(plus(a, b)) >= Fraction(a) + Fraction(b)
    assert Fraction(root(a)) ** 2 >= Fraction(a)


@given(POSITIVE)
def test_ones_and_zeros_are_exact(a):
    assert times(1.0, a, 1.0) == a
    assert plus(0.0, a) == a
    assert times(0.0, 0.0) == 0
    assert (root(0.0), root(1.0)) == (0, 1)


@given(st.integers(1, 10**6))
def test_gamma(n):
    u = Fraction(UNIT)
    assert Fraction(gamma(n)) >= n * u / (1 - n * u)
    assert gamma(n) < above(n * UNIT) * (1 + 1e-8)
