"""QR: the layer uses the algorithm of that name, whose mathematics is tested with the other projections."""

from __future__ import annotations

import torch

from onelip import layers
from onelip.linalg import qr


def test_weight_comes_from_the_algorithm() -> None:
    layer = layers.QRLinear(5, 7)
    assert isinstance(layers.linear("qr", 5, 7), layers.QRLinear)
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn(7, 5))
    assert torch.equal(layer.weight, qr(layer.raw_weight).matrix)
