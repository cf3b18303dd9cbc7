"""Hinge-KR loss of two classes against values by hand."""

import pytest
from tests.losses.by_hand import value


def test_one_logit_by_hand():
    # KR: (2 + 0) / 2 - (-1) = 2. Signed outputs 2, 0, 1: hinges 0, 1/2, 0 at half the margin 1.
    rows, labels = [[2.0], [0.0], [-1.0]], [1, 1, 0]
    assert value("hkr", rows, labels, alpha=0.75) == pytest.approx(0.75 / 6 - 0.25 * 2)
    assert value("hkr", rows, labels, alpha=0.0) == pytest.approx(-2.0)
    # Margin 4: hinges 0, 2, 1.
    assert value("hkr", rows, labels, alpha=1.0, margin=4.0) == pytest.approx(1.0)


def test_two_logits_are_two_functions():
    # KR: 1 - 0 and 2 - 0. Signed outputs (1, 0) and (0, 2): hinges 0, 1/2, 1/2, 0.
    rows, labels = [[1.0, 0.0], [0.0, 2.0]], [0, 1]
    assert value("hkr", rows, labels, alpha=0.5) == pytest.approx(0.5 * 0.25 - 0.5 * 1.5)
    assert value("hkr", rows, labels) == pytest.approx(value("hkr-multiclass", rows, labels))


def test_more_classes_and_other_labels_are_refused():
    with pytest.raises(ValueError, match="in HKR, which is for two classes; use HKRMulticlass"):
        value("hkr", [[1.0, 2.0, 3.0]], [0])
    with pytest.raises(ValueError, match="labels hold 2; with 2 classes they must be 0 to 1"):
        value("hkr", [[1.0]], [2])
