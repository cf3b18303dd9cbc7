"""NActivation: turning points by hand, slopes of +-1, and thresholds that part."""

from __future__ import annotations

import pytest
import torch
from tests.layers.activations import largest_stretch, singular_values

from onelip.layers import NActivation


def _generic(channels: int) -> NActivation:
    layer = NActivation(channels, dtype=torch.float64)
    with torch.no_grad():
        layer.thresholds.normal_()
    return layer


def test_turns_at_a_and_at_b_in_either_order() -> None:
    x = torch.tensor([[-3.0], [-1.0], [0.0], [2.0], [5.0]])
    for thresholds in ([[-1.0], [2.0]], [[2.0], [-1.0]]):
        layer = NActivation(1)
        with torch.no_grad():
            layer.thresholds.copy_(torch.tensor(thresholds))
            assert layer(x).flatten().tolist() == [-1, 1, 0, -2, 1]


def test_starts_as_the_identity() -> None:
    x = torch.randn(3, 4, 2)
    assert torch.equal(NActivation(4)(x), x)


def test_equal_thresholds_part() -> None:
    layer = NActivation(2)
    layer(torch.randn(64, 2)).square().sum().backward()
    with torch.no_grad():
        layer.thresholds -= 0.01 * layer.thresholds.grad  # type: ignore[operator]
    assert bool((layer.thresholds[0] != layer.thresholds[1]).all())


@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 3), (1, 6, 2, 2)])
def test_every_singular_value_is_one(shape: tuple[int, ...]) -> None:
    layer = _generic(6)
    values = singular_values(layer, torch.randn(shape, dtype=torch.float64))
    assert torch.equal(values, torch.ones_like(values))
    assert largest_stretch(layer, shape[1:]) <= 1 + 1e-12


def test_can_be_maxmin_in_turned_coordinates() -> None:
    """max(a, b) = s + |d|, min(a, b) = s - |d| with s = (a + b) / 2, d = (a - b) / 2: |d| turns once, at 0."""
    layer = NActivation(2, dtype=torch.float64)
    with torch.no_grad():
        layer.thresholds.copy_(torch.tensor([[0.0, 0.0], [0.0, 1e6]]))
        s, d = torch.randn(2, 50, dtype=torch.float64)
        kept, folded = layer(torch.stack([s, d], 1)).unbind(1)
    assert torch.equal(kept, s)
    assert torch.equal(folded, -d.abs())


def test_axis_precision_and_refusals() -> None:
    layer = NActivation(4, -1)
    assert layer(torch.zeros(2, 3, 4)).shape == (2, 3, 4)
    assert layer(torch.zeros(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="channels=0 in NActivation must be an integer of at least 1"):
        NActivation(0)
    with pytest.raises(ValueError, match="input with 6 channels in NActivation must have channels=4"):
        layer(torch.zeros(1, 6))
