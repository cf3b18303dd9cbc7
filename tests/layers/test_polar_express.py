"""PolarExpress: the layer uses the algorithm of that name, whose mathematics is tested with the other projections."""

from __future__ import annotations

import torch

from onelip import layers
from onelip.linalg import polar_express


def test_weight_comes_from_the_algorithm() -> None:
    layer = layers.PolarExpressLinear(5, 7)
    assert isinstance(layers.linear("polar-express", 5, 7), layers.PolarExpressLinear)
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn(7, 5))
    assert torch.equal(layer.weight, polar_express(layer.raw_weight).matrix)
