"""Abs and its share of channels keep the norm of gradients everywhere, at zero too."""

from __future__ import annotations

import pytest
import torch
from tests.layers.activations import largest_stretch, singular_values

from onelip.layers import Abs, BetaAbs, MaxMin


def test_value_and_slope() -> None:
    x = torch.tensor([-2.0, -0.0, 0.0, 3.0, float("inf")], requires_grad=True)
    y = Abs()(x)
    assert torch.equal(y, x.detach().abs())
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1, -1, 1, 1, 1]


def test_precision_is_kept() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        assert Abs()(torch.ones(2, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("beta", "channels", "count"), [(0.5, 5, 2), (0.29, 100, 29), (0, 4, 0), (1, 4, 4), (0.3, 3, 0)]
)
def test_a_share_of_the_channels_is_folded(beta: float, channels: int, count: int) -> None:
    x = torch.randn(3, channels, 2, dtype=torch.float64)
    layer = BetaAbs(beta)
    assert layer.folded(channels) == count
    assert torch.equal(layer(x), torch.cat([x[:, :count].abs(), x[:, count:]], 1))


@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 3), (1, 6, 2, 2)])
def test_every_singular_value_of_the_share_is_one(shape: tuple[int, ...]) -> None:
    for x in (torch.randn(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)):
        assert torch.equal(singular_values(BetaAbs(), x), torch.ones(x.numel(), dtype=torch.float64))
    assert largest_stretch(BetaAbs(), shape[1:]) <= 1 + 1e-15


def test_half_of_turned_pairs_is_maxmin() -> None:
    a, b = torch.randn(2, 20, 3, dtype=torch.float64)
    root = 2**-0.5
    folded, kept = BetaAbs()(torch.cat([(a - b) * root, (a + b) * root], 1)).chunk(2, 1)
    assert torch.allclose(torch.cat([kept + folded, kept - folded], 1) * root, MaxMin()(torch.cat([a, b], 1)))


def test_axis_and_refusals() -> None:
    assert BetaAbs(0.5, -1)(torch.tensor([[-1.0, -2.0]])).tolist() == [[1, -2]]
    for beta in (-0.1, 1.1, float("nan"), "0.5", None, True):
        with pytest.raises(ValueError, match="in BetaAbs must be a number from 0 to 1"):
            BetaAbs(beta)  # type: ignore[arg-type]
