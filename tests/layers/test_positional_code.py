"""Positional codes: a translation of constant 1 that starts at zero and is tied to its size."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import PositionalCode2d
from onelip.linalg import EXACT_ONE


def test_adds_its_code() -> None:
    layer = PositionalCode2d(3, (4, 5))
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(layer(x), x)
    with torch.no_grad():
        layer.code.normal_()
    assert torch.equal(layer(x), x + layer.code)
    assert torch.equal(layer(x[0]), x[0] + layer.code)
    assert layer.lipschitz_bound() == EXACT_ONE
    assert repr(layer) == "PositionalCode2d(3, image_size=(4, 5))"


def test_plain_form_is_a_copy() -> None:
    layer = PositionalCode2d(3, 4, dtype=torch.float64)
    plain = layer.to_plain()
    with torch.no_grad():
        layer.code.add_(1)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    assert torch.equal(plain(x), x)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="channels=0 in PositionalCode2d must be an integer of at least 1"):
        PositionalCode2d(0, 4)
    with pytest.raises(ValueError, match="image_size=0 in PositionalCode2d must be an integer of at least 1"):
        PositionalCode2d(3, 0)
    with pytest.raises(ValueError, match=r"input of shape \(2, 3, 5, 4\) in PositionalCode2d .* \(3, 4, 4\)"):
        PositionalCode2d(3, 4)(torch.zeros(2, 3, 5, 4))
