"""Hinge-KR loss of each class against the others, against values by hand."""

import pytest
from tests.losses.by_hand import value

ROWS, LABELS = [[1.0, 0.0, -1.0], [0.0, 0.25, 0.0], [-1.0, 0.0, 0.0]], [0, 1, 1]
# Class 0: 1 - (0 - 1) / 2. Class 1: (1/4 + 0) / 2 - 0. Class 2, absent: 0 - (-1) / 3.
KR = (1.5 + 0.125 + 1 / 3) / 3
# Signed: (1, 0, 1), (0, 1/4, 0), (1, 0, 0); hinges at 1/2, the right class twice: 1/2, 3/2 and 0 + 1 + 1/2.
HINGE = (0.5 + 1.5 + 1.5) / 9


def test_by_hand():
    assert value("hkr-multiclass", ROWS, LABELS, alpha=0.0) == pytest.approx(-KR)
    assert value("hkr-multiclass", ROWS, LABELS, alpha=1.0) == pytest.approx(HINGE)
    assert value("hkr-multiclass", ROWS, LABELS) == pytest.approx(0.9 * HINGE - 0.1 * KR)


def test_the_margin_by_hand():
    # Half the margin is 1: hinges 0, 1, 0; then 1, 3/4 twice, 1; then 0, 1 twice, 1.
    found = value("hkr-multiclass", ROWS, LABELS, alpha=1.0, margin=2.0)
    assert found == pytest.approx((1 + 3.5 + 3) / 9)
