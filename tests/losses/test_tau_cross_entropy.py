"""tau-cross-entropy against values by hand."""

import math

import pytest
from tests.losses.by_hand import value


def test_by_hand():
    # CE(2 z) / 2 with z = (1, 0).
    assert value("tau-cross-entropy", [[1.0, 0.0]], [0], tau=2.0) == pytest.approx(math.log1p(math.exp(-2)) / 2)


def test_a_large_factor_nears_the_hinge_of_the_largest_rival():
    rows, labels = [[1.0, 3.0, 0.0], [5.0, 1.0, 1.0]], [0, 0]
    # Behind by 2, and ahead.
    assert value("tau-cross-entropy", rows, labels, tau=200.0) == pytest.approx((2.0 + 0.0) / 2)
