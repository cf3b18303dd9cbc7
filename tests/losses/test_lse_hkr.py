"""Hinge-KR loss with a log-sum-exp against values by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.losses.by_hand import value

from onelip.losses.lse_hkr import soft_rival


def test_by_hand():
    # Excess 1/2 over two wrong classes: exp(t z) = 4^z, so two zeros give log_4 2 = 1/2. Hinges 0 and 1/2 + 1/2.
    rows = [[1.0, 0.0, 0.0]]
    assert value("lse-hkr", rows, [0]) == pytest.approx(1.0)
    assert value("lse-hkr", rows, [0], alpha=0.75) == pytest.approx(0.75 - 0.25 * 0.5)
    # Penalty 1/2 gives q = 1/4; twice the logits are (2, 0, 0).
    assert value("lse-hkr", rows, [0], alpha=0.0, penalty=0.5, temperature=2.0) == pytest.approx(-(2 - 0.25))
    # Margin 4 gives q = 2; hinges 2 - 1 and 2 + 2.
    assert value("lse-hkr", rows, [0], margin=4.0) == pytest.approx(5.0)


def test_a_single_rival_is_itself():
    assert value("lse-hkr", [[1.0, 0.25]], [0], alpha=0.5) == pytest.approx(0.5 * (0 + 0.75) - 0.5 * 0.75)


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=8), st.floats(0.05, 5))
def test_the_soft_rival_exceeds_the_largest_by_at_most_the_excess(logits, excess):
    z = torch.tensor([logits], dtype=torch.float64)
    rival, largest = soft_rival(z, torch.tensor([0]), excess).item(), max(logits[1:])
    # Rounding of a logarithm over the sharpness.
    assert largest - 1e-12 <= rival <= largest + excess + 1e-12
