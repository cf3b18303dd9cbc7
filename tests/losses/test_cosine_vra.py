"""The cosine loss with certified radii against values by hand."""

import math

import pytest
from tests.losses.by_hand import value

ONES = [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]


def test_by_hand():
    # cos = 4/5; leads 1 and 4 with constants 1, so h = (1, 0) at r = 2, with weights e / (e + 1) and 1 / (e + 1).
    found = value("cosine-vra", [[3.0, 4.0, 0.0]], [1], constants=ONES, radius=2.0, gamma=0.25)
    assert found == pytest.approx(-0.75 * 0.8 + 0.25 * math.e / (math.e + 1))


def test_constants_divide_the_leads():
    # By default sqrt 2: h = 2 - 1 / sqrt 2 for the only wrong class.
    found = value("cosine-vra", [[3.0, 4.0]], [1], radius=2.0, gamma=1.0)
    assert found == pytest.approx(2 - 1 / math.sqrt(2))


def test_beyond_the_radius_only_the_cosine_is_left():
    assert value("cosine-vra", [[0.0, 4.0, 3.0]], [1]) == pytest.approx(-0.9 * 0.8)
