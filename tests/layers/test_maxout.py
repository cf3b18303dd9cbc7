"""Maxout: group maxima by hand, orthonormal rows, fewer channels."""

from __future__ import annotations

import pytest
import torch
from tests.layers.activations import largest_stretch, singular_values

from onelip.layers import ChannelPad, GroupSort, Maxout, activation


def test_maxima_of_neighbours() -> None:
    x = torch.tensor([[3.0, 1.0, 2.0, -1.0, 0.0, 5.0]])
    assert Maxout()(x).tolist() == [[3, 2, 5]]
    assert Maxout(3)(x).tolist() == [[3, 5]]
    assert Maxout(6)(x).tolist() == [[5]]
    assert torch.equal(Maxout(1)(x), x)


@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 3), (1, 6, 2, 2)])
@pytest.mark.parametrize("size", [2, 3])
def test_rows_are_orthonormal_at_ties_too(shape: tuple[int, ...], size: int) -> None:
    for x in (torch.randn(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)):
        assert torch.allclose(singular_values(Maxout(size), x), torch.ones(1, dtype=torch.float64), rtol=0, atol=1e-15)
    assert largest_stretch(Maxout(size), shape[1:]) <= 1


@pytest.mark.parametrize("dim", [0, 2, -1])
def test_is_the_last_of_each_sorted_group_on_any_axis(dim: int) -> None:
    x = torch.randn(4, 6, 8)
    last = GroupSort(2, dim)(x).unflatten(dim, (-1, 2)).select(dim % 3 + 1, 1)
    assert torch.equal(Maxout(2, dim)(x), last)


def test_channels_are_counted_and_padded() -> None:
    layer = activation("maxout", 8, group_size=4)
    assert layer.output_channels(8) == 2  # type: ignore[operator]
    assert torch.nn.Sequential(layer, ChannelPad(8))(torch.zeros(1, 8, 2)).shape == (1, 8, 2)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="group_size=4 in Maxout does not divide the 6 channels; use a divisor"):
        activation("maxout", 6, group_size=4)
    with pytest.raises(ValueError, match="group_size=4 in Maxout does not divide the 6 channels"):
        Maxout(4)(torch.zeros(1, 6))
    with pytest.raises(ValueError, match="group_size=0 in Maxout must be an integer of at least 1"):
        Maxout(0)
