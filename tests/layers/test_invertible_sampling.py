"""Invertible sampling against torch's pixel shuffles."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onelip.layers import InvertibleDownsampling2d, InvertibleUpsampling2d


def test_square_blocks_are_torchs_pixel_unshuffle() -> None:
    x = torch.randn(2, 3, 4, 6)
    y = InvertibleDownsampling2d(2)(x)
    assert torch.equal(y, nn.PixelUnshuffle(2)(x))
    assert torch.equal(InvertibleUpsampling2d(2)(y), nn.PixelShuffle(2)(y))


@pytest.mark.parametrize("block", [1, 2, (3, 2), (1, 4)])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_up_inverts_down(block: int | tuple[int, int], lead: tuple[int, ...]) -> None:
    x = torch.randn(*lead, 2, 6, 8)
    y = InvertibleDownsampling2d(block)(x)
    assert y.numel() == x.numel()
    assert torch.equal(InvertibleUpsampling2d(block)(y), x)


def test_oblong_block_by_index() -> None:
    x = torch.randn(1, 2, 6, 4)
    y = InvertibleDownsampling2d((3, 2))(x)
    assert torch.equal(y[0, 1 * 6 + 2 * 2 + 1], x[0, 1, 2::3, 1::2])


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"kernel_size=\(2, 2\) in InvertibleDownsampling2d does not divide .* 3x4"):
        InvertibleDownsampling2d(2)(torch.zeros(1, 1, 3, 4))
    with pytest.raises(ValueError, match="InvertibleUpsampling2d does not divide the 6 channels"):
        InvertibleUpsampling2d(2)(torch.zeros(1, 6, 1, 1))
    with pytest.raises(ValueError, match="kernel_size='2' in InvertibleUpsampling2d"):
        InvertibleUpsampling2d("2")  # type: ignore[arg-type]
