"""LayerCentering: a projection on each channel, or over the channels where there is no space."""

from __future__ import annotations

import pytest
import torch
from tests.layers.activations import largest_stretch, singular_values

from onelip.layers import LayerCentering


@pytest.mark.parametrize(("shape", "kept"), [((1, 6), 5), ((1, 3, 4), 9), ((1, 3, 2, 5), 27), ((1, 3, 1, 1), 0)])
def test_is_a_projection(shape: tuple[int, ...], kept: int) -> None:
    layer = LayerCentering(shape[1], dtype=torch.float64)
    x = torch.randn(shape, dtype=torch.float64)
    values = singular_values(layer, x)
    assert torch.allclose(values[:kept], torch.ones(kept, dtype=torch.float64), rtol=0, atol=1e-14)
    assert float(values[kept:].max()) < 1e-14
    assert torch.allclose(layer(layer(x)), layer(x), rtol=0, atol=1e-14)
    assert largest_stretch(layer, shape[1:]) <= 1 + 1e-12


def test_mean_over_space_and_bias() -> None:
    layer = LayerCentering(2)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([10.0, -1.0]))  # type: ignore[union-attr]
    x = torch.tensor([[[1.0, 3.0], [2.0, 6.0]]])
    assert layer(x).tolist() == [[[9, 11], [-3, 1]]]
    assert LayerCentering(2, bias=False)(torch.tensor([[1.0, 3.0]])).tolist() == [[-1, 1]]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="num_features=0 in LayerCentering must be an integer of at least 1"):
        LayerCentering(0)
    with pytest.raises(ValueError, match=r"shape \(2, 4\) in LayerCentering must have num_features=3 channels"):
        LayerCentering(3)(torch.zeros(2, 4))
