"""Certificate regularisation against values by hand."""

import math

import pytest
from tests.losses.by_hand import value

CONSTANTS = [[0.0, 2.0, 16.0], [2.0, 0.0, 1.0], [16.0, 1.0, 0.0]]
ROWS = [[2.0, 1.0, -2.0]]
PLAIN = math.log(math.exp(2) + math.e + math.exp(-2))


def test_by_hand():
    # (2 - 1) / 2 and (2 + 2) / 16: the radius is 1/4.
    found = value("certificate-regularisation", ROWS, [0], constants=CONSTANTS, gamma=0.8)
    assert found == pytest.approx(PLAIN - 2 - 0.8 * 0.25)
    # By default sqrt 2 for all pairs: the nearest class is 1.
    assert value("certificate-regularisation", ROWS, [0]) == pytest.approx(PLAIN - 2 - 0.5 / math.sqrt(2))


def test_wrong_samples_have_no_radius():
    assert value("certificate-regularisation", ROWS, [1], constants=CONSTANTS) == pytest.approx(PLAIN - 1)
