"""Padding and keeping channels."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import ChannelKeep, ChannelPad


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_pad_appends_zeros_of_the_inputs_precision(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = torch.randn(shape).to(dtype)
    y = ChannelPad(7)(x)
    assert y.dtype == dtype
    assert y.shape == (2, 7, *shape[2:])
    assert torch.equal(y[:, :3], x)
    assert not y[:, 3:].any()
    assert torch.equal(ChannelKeep(3)(y), x)


def test_same_number_is_allowed() -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(ChannelPad(3)(x), x)
    assert torch.equal(ChannelKeep(3)(x), x)


def test_wrong_direction_is_refused() -> None:
    with pytest.raises(ValueError, match=r"out_channels=2 in ChannelPad is less than the 3 channels.*use ChannelKeep"):
        ChannelPad(2)(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"out_channels=4 in ChannelKeep is more than the 3 channels.*use ChannelPad"):
        ChannelKeep(4)(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="out_channels=0 in ChannelKeep"):
        ChannelKeep(0)


@pytest.mark.parametrize("layer", [ChannelPad(4), ChannelKeep(2)])
def test_transforms(layer: torch.nn.Module) -> None:
    x = torch.randn(5, 1, 3, 2)
    assert torch.equal(torch.func.vmap(layer)(x), torch.stack([layer(row) for row in x]))
    values = torch.linalg.svdvals(torch.func.jacrev(layer)(x[0].double()).reshape(-1, 6))
    assert torch.equal(values, torch.ones_like(values))
