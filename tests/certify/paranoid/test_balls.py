from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from onelip.certify.paranoid import balls


def fraction(value):
    mantissa, exponent = value.mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


@pytest.mark.parametrize("number", [0.1, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53 + 2])
def test_floats_become_exact_balls(number):
    ball = balls.exact(np.array([number]))[0]
    assert ball.rad() == 0
    assert fraction(ball) == Fraction(number)


def test_products_enclose_the_exact_sum():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((3, 40)) * 1e150, rng.standard_normal((40, 2)) * 1e-150
    exact = [[sum(Fraction(x) * Fraction(y) for x, y in zip(row, column, strict=True)) for column in b.T] for row in a]
    for bits in (30, 128):
        with ctx.workprec(bits):
            found = balls.product(balls.exact(a), balls.exact(b))
            for value, truth in zip(found.ravel(), np.ravel(exact), strict=True):
                assert value.contains(arb(truth.numerator) / arb(truth.denominator))
    assert balls.product(balls.full((2, 0)), balls.full((0, 3)))[1, 2] == 0


def test_conditions_are_certain_or_not_known():
    wide = arb(0, 1)
    assert [balls.positive(v) for v in (arb(1), arb(0), arb(-1), wide)] == [True, False, False, None]
    assert balls.choose(None, arb(1), arb(2)).contains(1.5)
    assert (balls.choose(True, arb(1), arb(2)), balls.choose(False, arb(1), arb(2))) == (1, 2)
    assert [balls.both(True, True), balls.both(None, False), balls.both(None, True)] == [True, False, None]


def test_sums_roots_and_extremes():
    values = balls.exact([[3.0, -4.0], [1.0, 2.0]])
    assert balls.largest(values) == 3
    assert balls.total(values) == 2
    assert balls.root(arb(9)) == 3
    assert balls.root(arb(-1e-30, 1e-29)) >= 0
    assert (balls.maximum(values[0], values[1]) == [3, 2]).all()
    assert (balls.minimum(values[0], values[1]) == [1, -4]).all()
    assert (balls.absolute(values) == [[3, 4], [1, 2]]).all()
    assert balls.elementwise(lambda v: v * 2, 1)(values)[0, 1] == -8
