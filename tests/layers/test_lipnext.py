"""The LipNeXt block: the formula by rolling images, orthogonality on every shape, learned positions."""

from __future__ import annotations

from math import gcd
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.measure import gains
from tests.layers.dense import train
from torch import nn

import onelip
from onelip.certify import certify, verify
from onelip.layers import LipNeXtConv2d, to_plain


def test_formula_by_rolling_images() -> None:
    layer = LipNeXtConv2d(
        16, 8, 3, padding=1, padding_mode="circular", image_size=(5, 6), shift_ratio=1 / 16, dtype=torch.float64
    )
    assert layer.positions is not None
    assert layer.raw_rotation is not None
    with torch.no_grad():
        layer.positions.code.normal_()
    m, r = layer.raw_weight.detach()[0], layer.raw_rotation.detach()[0]
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    z = torch.einsum("ij,njhw->nihw", r, x + layer.positions.code.detach())
    for channel, (shift, axis) in enumerate(((-1, 3), (-1, 2), (1, 3), (1, 2))):
        z[:, channel] = z[:, channel].roll(shift, axis - 1)
    expected = torch.einsum("oi,ji,njhw->nohw", m, r, z) + layer.bias.detach()[:, None, None]
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([(1, 4), (4, 1), (2, 8), (8, 2), (3, 16), (4, 4)]),
    st.sampled_from([1, 2, 3, 4, 5, (2, 5)]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 2]),
)
def test_orthogonal_on_a_grid(channels: tuple[int, int], kernel: Any, stride: int, dilation: int, groups: int) -> None:
    sizes = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    shared = gcd(*channels) % groups == 0 and gcd(stride, dilation) == 1 and max(channels) > groups
    if not shared or (min(sizes) < stride and channels[1] > channels[0] * min(stride, *sizes) ** 2):
        return
    reach = [dilation * (k - 1) for k in sizes]
    # Padding by the whole reach: equal on both sides only where it is even or the stride takes up the rest.
    padding: Any = "same" if stride == 1 else tuple(r // 2 for r in reach)
    layer = LipNeXtConv2d(
        *channels, kernel, stride, padding, dilation, groups, padding_mode="circular", dtype=torch.float64
    )
    shape = (channels[0], 8, 8)
    train(layer, torch.randn(3, *shape, dtype=torch.float64), 1, 0.3)
    found = gains(layer.eval(), shape, torch.float64)
    assert found.largest <= 1 + 1e-10
    assert layer.lipschitz_bound().value >= found.largest * (1 - 1e-12)
    if stride == 1 or all(r % 2 == 0 or stride > 1 for r in reach):
        assert found.smallest >= 1 - 1e-6


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2}, {"groups": 4}])
def test_zero_padding_does_not_stretch(options: dict[str, Any]) -> None:
    layer = LipNeXtConv2d(4, 8, 3, padding=1, dtype=torch.float64, **options)
    assert gains(layer.eval(), (4, 5, 7), torch.float64).largest <= 1 + 1e-10


def test_kernel_is_a_cross() -> None:
    weight = LipNeXtConv2d(8, 8, 5, padding=2).weight.detach()
    used = weight.abs().amax((0, 1)) > 0
    expected = torch.zeros(5, 5, dtype=torch.bool)
    expected[2, [0, 2, 4]] = expected[[0, 4], 2] = True
    assert torch.equal(used, expected)


def test_no_rotation_where_it_would_cancel() -> None:
    assert LipNeXtConv2d(4, 4, 1).raw_rotation is None
    assert LipNeXtConv2d(4, 4, 2, 2).raw_rotation is None
    assert LipNeXtConv2d(4, 8, 1, groups=4).raw_rotation is None
    assert LipNeXtConv2d(4, 4, 3).raw_rotation is not None


def test_positions_learn_and_keep_the_constant() -> None:
    layer = LipNeXtConv2d(4, 4, 3, padding=1, padding_mode="circular", image_size=6)
    x = torch.randn(2, 4, 6, 6)
    train(layer, x, 3, 0.1)
    assert layer.positions is not None
    assert layer.positions.code.abs().max() > 0.1
    layer.eval()
    assert gains(layer, (4, 6, 6), torch.float32).largest <= 1 + 1e-5
    assert torch.allclose(to_plain(nn.Sequential(layer))(x), layer(x), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"input of shape \(2, 4, 5, 6\) in PositionalCode2d must be .* \(4, 6, 6\)"):
        layer(x[:, :, :5])


def test_positions_are_certified(tmp_path: Any) -> None:
    torch.manual_seed(0)
    layer = LipNeXtConv2d(4, 4, 3, padding=1, padding_mode="circular", image_size=6)
    with torch.no_grad():
        layer.positions.code.normal_()  # type: ignore[union-attr]
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(144, 3)).eval()
    x = torch.rand(4, 4, 6, 6)
    assert onelip.lipschitz_bound(nn.Sequential(layer), (4, 6, 6)).bound.value <= 1 + 1e-5
    with torch.no_grad():
        certificate = certify(model, x, model(x).argmax(1))
    assert certificate.proved
    outcome = verify(certificate.save(tmp_path))
    assert outcome.ok, str(outcome)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"out_channels": 5, "stride": 2, "dilation": 2}, r"dilation=\(2, 2\) in LipNeXtConv2d has a common divisor"),
        ({"shift_ratio": 0.0}, "shift_ratio=0.0 in LipNeXtConv2d must be a number above 0 and at most 0.25"),
        ({"shift_ratio": 0.3}, "shift_ratio=0.3 in LipNeXtConv2d"),
        ({"image_size": 0}, "image_size=0 in LipNeXtConv2d must be an integer of at least 1"),
        ({"image_size": (1, 2, 3)}, r"image_size=\(1, 2, 3\) in LipNeXtConv2d"),
        ({"orthogonaliser": "bjork"}, "orthogonaliser='bjork' in LipNeXtConv2d is not a projection"),
    ],
    ids=str,
)
def test_bad_options_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        LipNeXtConv2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, **options})
