"""What a measured critic says."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelip import Bound
from onelip.transport import WassersteinEstimate
from onelip.transport.confidence import empirical_bernstein
from onelip.transport.estimate import divided

ESTIMATE = WassersteinEstimate(
    difference=3.0, variance_p=4.0, variance_q=12.0, n_samples=400, constant=Bound(2.0, True, "product over the graph")
)


def test_everything_is_divided_by_the_constant():
    assert ESTIMATE.ratio == pytest.approx(1.5, rel=1e-15)
    assert ESTIMATE.ratio < 1.5
    assert ESTIMATE.standard_error == pytest.approx(math.sqrt(4 / 400 + 12 / 400) / 2)
    low, high = ESTIMATE.interval(0.95)
    assert (low, high) == pytest.approx((1.5 - 1.959964 * 0.1, 1.5 + 1.959964 * 0.1), rel=1e-6)
    assert ESTIMATE.interval(0.5)[0] > low


def test_a_critic_that_is_worse_than_none_bounds_by_zero_and_keeps_its_number():
    worse = dataclasses.replace(ESTIMATE, difference=-3.0)
    assert worse.lower_bound == 0
    assert worse.ratio == pytest.approx(-1.5)
    assert worse.interval()[1] < 0


def test_the_bound_without_normality_is_the_one_of_both_means_at_half_the_risk():
    deviation = empirical_bernstein(4.0, 400, 10.0, 0.025) + empirical_bernstein(12.0, 400, 10.0, 0.025)
    expected = (3.0 - deviation) / 2
    assert ESTIMATE.confident_lower_bound(5.0) == pytest.approx(expected, rel=1e-12)
    assert 0 < ESTIMATE.confident_lower_bound(5.0, 0.99) < ESTIMATE.confident_lower_bound(5.0) < ESTIMATE.interval()[0]
    assert ESTIMATE.confident_lower_bound(1000.0) == 0


def test_a_constant_critic_says_nothing():
    nothing = WassersteinEstimate(0.0, 0.0, 0.0, 10, Bound(0.0, True, "zero"))
    assert (nothing.lower_bound, nothing.standard_error, nothing.interval()) == (0.0, 0.0, (0.0, 0.0))
    assert nothing.confident_lower_bound(1.0) == 0


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_quotients_are_rounded_down(difference, constant):
    from fractions import Fraction

    assert Fraction(divided(difference, constant)) < Fraction(difference) / Fraction(constant) or difference == 0


def test_its_text_says_what_is_proved():
    text = str(dataclasses.replace(ESTIMATE, exact=2.0, n_discrete=7, discrete=1.75, discrete_bound=1.25))
    assert text.splitlines() == [
        "Wasserstein-1 distance >= 1.5, standard error 0.1, 95 % interval [1.304, 1.696], "
        "from 400 held-out samples of each",
        "critic's Lipschitz constant (l2) <= 2 (proved), divided by",
        "exact distance 2",
        "of the first 7 of each: exact 1.75, by the critic >= 1.25",
    ]
    assert "NOT proved" in str(dataclasses.replace(ESTIMATE, constant=Bound(2.0, False, "power iteration")))


@pytest.mark.parametrize("diameter", [-1.0, math.inf, math.nan])
def test_what_is_refused(diameter):
    with pytest.raises(ValueError, match="in confident_lower_bound must be at least 0 and finite"):
        ESTIMATE.confident_lower_bound(diameter)
    with pytest.raises(ValueError, match=r"level=1.0 in confident_lower_bound"):
        ESTIMATE.confident_lower_bound(1.0, 1.0)
    with pytest.raises(ValueError, match="level=0 in interval"):
        ESTIMATE.interval(0)
