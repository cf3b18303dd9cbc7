"""Dense AOC: the 1x1 convolution on one pixel."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import AOCConv2d, AOCLinear


@pytest.mark.parametrize("name", ["bjorck", "qr"])
def test_dense_layer_is_the_convolution_on_one_pixel(name: str) -> None:
    dense = AOCLinear(5, 3, orthogonaliser=name)
    conv = AOCConv2d(5, 3, 1, orthogonaliser=name)
    with torch.no_grad():
        dense.raw_weight.copy_(3 * torch.randn(3, 5))
        conv.raw_weight.copy_(dense.raw_weight[None])
        conv.bias.copy_(dense.bias)
    x = torch.randn(4, 5)
    assert torch.allclose(dense(x), conv(x[..., None, None])[..., 0, 0], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="orthogonaliser='bjork' in AOCLinear is not a projection"):
        AOCLinear(5, 3, orthogonaliser="bjork")  # type: ignore[arg-type]
