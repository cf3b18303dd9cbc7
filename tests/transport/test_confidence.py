"""How far means may be off."""

import math

import numpy as np
import pytest
from scipy import stats

from onelip.transport.confidence import check_level, empirical_bernstein, normal_quantile


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_quantiles_are_those_of_scipy(level):
    assert normal_quantile(level) == pytest.approx(stats.norm.interval(level)[1], rel=1e-12)


def test_the_published_formula():
    # Theorem 4 of Maurer and Pontil for [0, 1], and its scale.
    n, v, delta = 50, 0.04, 0.05
    expected = math.sqrt(2 * v * math.log(2 / delta) / n) + 7 * math.log(2 / delta) / (3 * (n - 1))
    assert empirical_bernstein(v, n, 1.0, delta) == pytest.approx(expected, rel=1e-14)
    assert empirical_bernstein(9 * v, n, 3.0, delta) == pytest.approx(3 * expected, rel=1e-14)
    assert empirical_bernstein(0.0, 2, 0.0, 0.5) == 0


@pytest.mark.parametrize("chance", [0.02, 0.5])
def test_the_mean_is_as_near_as_stated_as_often_as_stated_where_normal_intervals_fail(chance):
    n, repeats, risk = 60, 2000, 0.05
    x = (np.random.default_rng(0).random((repeats, n)) < chance).astype(float)
    variances = x.var(axis=1, ddof=1)
    deviations = np.array([empirical_bernstein(v, n, 1.0, risk) for v in variances])
    assert np.mean(chance < x.mean(axis=1) - deviations) <= risk
    assert np.mean(chance > x.mean(axis=1) + deviations) <= risk
    # For rare events the interval of a normal distribution misses often: here the test of the tests.
    if chance == 0.02:
        normal = 1.645 * np.sqrt(variances / n)
        assert np.mean(chance > x.mean(axis=1) + normal) > 2 * risk


@pytest.mark.parametrize(
    "arguments", [(1.0, 1, 1.0, 0.1), (1.0, 9, -1.0, 0.1), (1.0, 9, math.inf, 0.1), (1.0, 9, 1.0, 1.0)]
)
def test_what_is_refused(arguments):
    with pytest.raises(ValueError, match="in empirical_bernstein: at least 2, finite, in"):
        empirical_bernstein(*arguments)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, math.nan])
def test_levels_that_are_none(level):
    with pytest.raises(ValueError, match=r"level=.* in f must be between 0 and 1"):
        check_level(level, "f")
