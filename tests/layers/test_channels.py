"""Padding, keeping and shuffling channels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onelip.layers import ChannelKeep, ChannelPad, ChannelShuffle
from onelip.layers.channels import fit_channels


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


@pytest.mark.parametrize("layer", [ChannelPad(4), ChannelKeep(2), ChannelShuffle(1, 3)])
def test_transforms(layer: torch.nn.Module) -> None:
    x = torch.randn(5, 1, 3, 2)
    assert torch.equal(torch.func.vmap(layer)(x), torch.stack([layer(row) for row in x]))
    values = torch.linalg.svdvals(torch.func.jacrev(layer)(x[0].double()).reshape(-1, 6))
    assert torch.equal(values, torch.ones_like(values))


def test_shuffle_by_hand() -> None:
    x = torch.arange(12.0)[None]
    assert ChannelShuffle(3, 4)(x).tolist() == [[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]
    assert ChannelShuffle(2, 3)(x).tolist() == [[0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]]


@pytest.mark.parametrize("shape", [(2, 12), (2, 12, 3), (2, 12, 3, 5)])
@pytest.mark.parametrize(("group_in", "group_out"), [(3, 4), (2, 3), (1, 6), (12, 1)])
def test_shuffle_is_undone_by_swapped_groups(shape: tuple[int, ...], group_in: int, group_out: int) -> None:
    layer, x = ChannelShuffle(group_in, group_out), torch.randn(shape)
    assert torch.equal(layer.inverse()(layer(x)), x)
    assert torch.equal(ChannelShuffle(group_out, group_in)(layer(x)), x)
    assert sorted(layer(x).flatten().tolist()) == sorted(x.flatten().tolist())
    assert layer.lipschitz_bound().value == 1


def test_shuffle_is_torchs_and_takes_axes() -> None:
    x = torch.randn(2, 12, 3, 4)
    assert torch.equal(ChannelShuffle(3, 4)(x), torch.nn.ChannelShuffle(3)(x))
    assert torch.equal(ChannelShuffle(2, 2, -1)(x), ChannelShuffle(2, 2)(x.movedim(-1, 1)).movedim(1, -1))


def test_shuffled_groups_see_every_group() -> None:
    """Between grouped convolutions each output then depends on every input."""
    first, second = (torch.nn.Conv2d(4, 4, 1, groups=2, bias=False) for _ in range(2))
    for conv in (first, second):
        torch.nn.init.ones_(conv.weight)
    x = torch.eye(4).reshape(4, 4, 1, 1)
    assert not second(first(x)).all()
    assert bool(second(ChannelShuffle(2, 2)(first(x))).all())


def test_shuffle_refusals() -> None:
    with pytest.raises(
        ValueError, match="group_in=2 times group_out=3 in ChannelShuffle does not divide the 8 channels"
    ):
        ChannelShuffle(2, 3)(torch.zeros(1, 8))
    with pytest.raises(ValueError, match="group_out=0 in ChannelShuffle must be an integer of at least 1"):
        ChannelShuffle(2, 0)
    with pytest.raises(ValueError, match=r"dim=1\.0 in ChannelShuffle must be an integer"):
        ChannelShuffle(2, 2, 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dim=2 in ChannelShuffle is not an axis of an input with 2 axes"):
        ChannelShuffle(2, 2, 2)(torch.zeros(1, 4))


@pytest.mark.parametrize(
    ("n_in", "n_out", "types"),
    [(4, 4, ()), (2, 4, (ChannelPad,)), (4, 3, (ChannelKeep,)), (2, 3, (ChannelPad, ChannelKeep))],
)
def test_a_layer_is_fitted_between_other_numbers(n_in: int, n_out: int, types: tuple[type, ...]) -> None:
    layer = nn.Conv2d(4, 4, 1)
    fitted = fit_channels(layer, n_in, 4, n_out)
    assert fitted(torch.rand(2, n_in, 3, 3)).shape == (2, n_out, 3, 3)
    assert tuple(type(m) for m in fitted.children() if m is not layer) == types
