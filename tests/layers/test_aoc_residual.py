"""The AOC residual block: its formula, its options, its borders, and shapes where AOC itself has no kernel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.contract.measure import gains
from tests.layers.dense import train

from onelip.layers import AOCConv2d, AOCResidualConv2d, AOCResidualLinear


def test_formula_with_the_kernel_of_aoc() -> None:
    layer = AOCResidualConv2d(4, 4, 3, padding="same", padding_mode="circular", dtype=torch.float64)
    aoc = AOCConv2d(4, 4, 3, padding="same", padding_mode="circular", dtype=torch.float64)
    with torch.no_grad():
        layer.bias.normal_()
        for own, others in zip(layer.raw, aoc.raw, strict=True):
            own.copy_(others)
        aoc.bias.copy_(layer.bias)
    x = torch.randn(2, 4, 5, 7, dtype=torch.float64)
    _, pull_back = torch.func.vjp(aoc, x)
    expected = x - 2 * pull_back(aoc(x).relu())[0]
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-13)


def test_formula_of_the_dense_form() -> None:
    layer = AOCResidualLinear(5, 5, inner_features=3, dtype=torch.float64)
    k, x = layer.weight.detach(), torch.randn(4, 5, dtype=torch.float64)
    assert torch.allclose(k @ k.T, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-12)
    expected = x - 2 * torch.relu(x @ k.T + layer.bias.detach()) @ k
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-13)


def test_without_bias_it_reflects() -> None:
    # x - 2 K^T relu(K x) = -K^T |K x| for an orthogonal K: a norm is kept, whatever the input.
    layer = AOCResidualConv2d(4, 4, 3, padding=1, padding_mode="circular", bias=False, dtype=torch.float64)
    x = torch.randn(8, 4, 6, 6, dtype=torch.float64)
    y = layer(x)
    assert torch.allclose(y.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1), rtol=1e-12)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(
    ("channels", "kernel", "options"),
    [
        (4, 2, {}),
        (4, 3, {"dilation": 2}),
        (4, 5, {"groups": 2}),
        (4, 3, {"groups": 4}),
        (1, 4, {}),
        (3, (1, 4), {"inner_channels": 7}),
        (8, 3, {"inner_channels": 2}),
    ],
)
def test_true_norm(mode: str, channels: int, kernel: Any, options: dict[str, Any]) -> None:
    layer = AOCResidualConv2d(channels, channels, kernel, padding="same", padding_mode=mode, **options).double()
    shape = (channels, 5, 7)
    train(layer, torch.randn(4, *shape, dtype=torch.float64), 2, 0.3)
    found = gains(layer.eval(), shape, torch.float64).largest
    assert found <= 1 + 1e-10
    assert found <= layer.lipschitz_bound().value * (1 + 1e-12)


def test_padding_mode_and_dilation_have_their_effect() -> None:
    outputs = []
    x = torch.randn(1, 4, 6, 6)
    for options in ({}, {"padding_mode": "circular"}, {"dilation": 2}):
        torch.manual_seed(0)
        outputs.append(AOCResidualConv2d(4, 4, 3, padding="same", **options)(x).detach())
    assert (outputs[0] - outputs[1]).abs().max() > 1e-2
    assert (outputs[0] - outputs[2]).abs().max() > 1e-2
    # Circular padding commutes with circular shifts, zero padding does not.
    layer = AOCResidualConv2d(4, 4, 3, padding="same", padding_mode="circular")
    assert torch.allclose(layer(x.roll(2, -1)), layer(x).roll(2, -1), rtol=0, atol=1e-5)


def test_dilation_acts_on_every_other_pixel() -> None:
    layer = AOCResidualConv2d(3, 3, 3, padding="same", dilation=2, padding_mode="circular", dtype=torch.float64)
    dense = AOCResidualConv2d(3, 3, 3, padding="same", padding_mode="circular", dtype=torch.float64)
    dense.load_state_dict(layer.state_dict())
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    assert torch.allclose(layer(x)[..., 1::2, ::2], dense(x[..., 1::2, ::2]), rtol=0, atol=1e-13)


def test_one_channel_per_group_gets_two_inner_channels() -> None:
    assert AOCResidualConv2d(4, 4, 3, groups=4).inner_channels == 8
    assert AOCResidualConv2d(4, 4, 1, groups=4).inner_channels == 4
    layer = AOCResidualConv2d(4, 4, 3, groups=4, inner_channels=4)
    assert int((layer.weight != 0).sum()) == 4


@pytest.mark.parametrize("kind", [AOCResidualConv2d, AOCResidualLinear])
def test_unknown_orthogonaliser_is_refused(kind: Any) -> None:
    sizes = (4, 4, 3) if kind is AOCResidualConv2d else (4, 4)
    with pytest.raises(ValueError, match=r"orthogonaliser='bjork' in AOCResidual\w+ is not a projection: .*'bjorck'"):
        kind(*sizes, orthogonaliser="bjork")


def test_output_is_framed_like_that_of_torch() -> None:
    layer = AOCResidualConv2d(4, 4, 3, padding=3)
    same = AOCResidualConv2d(4, 4, 3, padding="same")
    same.load_state_dict(layer.state_dict())
    x = torch.randn(2, 4, 5, 6)
    assert torch.equal(layer(x), F.pad(same(x), (2, 2, 2, 2)))
