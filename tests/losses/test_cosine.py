"""The cosine loss against values by hand and its law."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.losses.by_hand import value

from onelip import losses


def test_by_hand():
    assert value("cosine", [[3.0, 4.0]], [1]) == pytest.approx(-0.8)
    assert value("cosine", [[3.0, 4.0], [-1.0, 0.0]], [1, 0]) == pytest.approx((-0.8 + 1.0) / 2)
    assert value("cosine", [[0.0, 0.0]], [1]) == 0.0


@given(st.floats(1e-3, 1e3))
def test_it_does_not_see_the_scale(scale):
    logits, labels = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64), torch.tensor([2])
    loss = losses.build("cosine")
    assert loss(scale * logits, labels).item() == pytest.approx(loss(logits, labels).item())
