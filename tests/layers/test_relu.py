"""The ReLU of the registry is torch's."""

from __future__ import annotations

import torch
from torch import nn

from onelip.layers import activation, to_plain


def test_plain_form_is_torchs() -> None:
    layer = activation("relu", 3)
    x = torch.randn(4, 3)
    assert type(to_plain(layer)) is nn.ReLU
    assert torch.equal(layer(x), nn.ReLU()(x))
