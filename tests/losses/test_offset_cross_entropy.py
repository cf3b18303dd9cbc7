"""Cross-entropy with an offset against values by hand and its law."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.losses.by_hand import value

from onelip import losses


def test_by_hand():
    # z - u e_y = (2, 0) at T = 1/2: softmax over (4, 0), times T.
    expected = 0.5 * math.log1p(math.exp(-4))
    assert value("offset-cross-entropy", [[3.0, 0.0]], [0], margin=1.0, temperature=0.5) == pytest.approx(expected)


def test_defaults_are_those_of_layers_compared():
    loss = losses.build("offset-cross-entropy")
    assert loss.margin == pytest.approx(0.3993, abs=5e-5)
    assert loss.temperature == 0.25
    # What that paper's code gives for zero logits of 10 classes.
    assert loss(torch.zeros(2, 10), torch.tensor([3, 7])).item() == pytest.approx(0.95417, abs=5e-6)


def test_without_margin_it_is_the_cross_entropy():
    batch = torch.randn(7, 4, dtype=torch.float64), torch.arange(7) % 4
    for temperature in (0.1, 1.0, 3.0):
        offset = losses.build("offset-cross-entropy", margin=0.0, temperature=temperature)(*batch)
        assert offset == losses.build("cross-entropy", temperature=temperature)(*batch)


@given(margin=st.floats(0, 5), lead=st.floats(-5, 5), temperature=st.floats(0.05, 4))
def test_the_offset_moves_the_lead_by_the_margin(margin, lead, temperature):
    loss = value("offset-cross-entropy", [[lead, 0.0]], [0], margin=margin, temperature=temperature)
    plain = value("cross-entropy", [[lead - margin, 0.0]], [0], temperature=temperature)
    # A dozen float64 operations on numbers of size 10.
    assert loss == pytest.approx(plain, abs=1e-12)
