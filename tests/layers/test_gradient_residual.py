"""The plain residual layers: exact adjoints, and the inequality max(1, 2 ||W||^2 - 1)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from onelip.layers import (
    CPLConv2d,
    CPLLinear,
    GradientResidual1d,
    GradientResidual2d,
    SLLConv2d,
    SLLLinear,
    to_plain,
)
from onelip.layers.gradient_residual import residual_bound
from onelip.linalg import Bound

# kernel, dilation, groups, image
CASES = [
    ((3, 3), 1, 1, (5, 7)),
    ((2, 4), 1, 1, (5, 6)),
    ((3, 3), 2, 2, (5, 6)),
    ((5, 1), 1, 2, (3, 4)),
    ((4, 4), 1, 1, (3, 3)),
    ((1, 1), 1, 1, (2, 1)),
]


def _jacobian(layer: nn.Module, x: Tensor) -> Tensor:
    return torch.func.jacrev(layer)(x).detach().reshape(x.numel(), x.numel())


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("kernel", "dilation", "groups", "image"), CASES)
def test_back_projection_is_the_adjoint(
    mode: str, kernel: tuple[int, int], dilation: int, groups: int, image: tuple[int, int]
) -> None:
    weight = torch.randn(6, 4 // groups, *kernel, dtype=torch.float64)
    # Where every hidden unit is positive the derivative is I - 2 W^T W, so W can be measured on its own.
    layer = GradientResidual2d(weight, torch.full((6,), 1e6, dtype=torch.float64), mode, dilation, groups)
    conv = nn.Conv2d(4, 6, kernel, 1, "same", dilation, groups, False, mode, dtype=torch.float64)
    conv.weight.data = weight
    x = torch.randn(1, 4, *image, dtype=torch.float64)
    dense = torch.func.jacrev(conv)(x).detach().reshape(-1, x.numel())
    expected = torch.eye(x.numel(), dtype=torch.float64) - 2 * dense.T @ dense
    assert torch.allclose(_jacobian(layer, x), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("gain", [0.1, 1.0, 1.5])
def test_bound_is_max_of_one_and_two_norm_squared_minus_one(gain: float) -> None:
    weight = torch.randn(5, 5, dtype=torch.float64)
    weight *= gain / torch.linalg.svdvals(weight)[0]
    layer = GradientResidual1d(weight, torch.full((5,), 1e6, dtype=torch.float64))
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert bound.value == pytest.approx(max(1, 2 * gain**2 - 1), rel=1e-9)
    top = float(torch.linalg.svdvals(_jacobian(layer, torch.randn(1, 5, dtype=torch.float64)))[0])
    assert top <= bound.value * (1 + 1e-12)
    if gain > 1:
        assert top == pytest.approx(bound.value, rel=1e-9)


def test_an_estimate_stays_an_estimate() -> None:
    assert not residual_bound(Bound(0.5, False, "estimate")).proved
    assert residual_bound(Bound(0.5, True, "exact")).value == 1


def test_other_padding_crops_or_frames_the_output() -> None:
    x = torch.randn(2, 3, 6, 7)
    same = CPLConv2d(3, 3, 4, padding="same")
    state = same.state_dict()
    for padding, rows, columns in ((0, slice(1, -2), slice(1, -2)), (1, slice(0, -1), slice(0, -1))):
        layer = CPLConv2d(3, 3, 4, padding=padding)
        layer.load_state_dict(state)
        assert torch.equal(layer(x), same(x)[..., rows, columns])
        assert torch.equal(to_plain(layer)(x), to_plain(same)(x)[..., rows, columns])
    wide = CPLConv2d(3, 3, 4, padding=2)
    wide.load_state_dict(state)
    assert wide(x).shape == (2, 3, 7, 8)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"stride": 2}, "stride=2 in CPLConv2d must be 1"),
        ({"out_channels": 6}, r"out_channels=6 in CPLConv2d must equal in_channels=4 \(use ChannelPad"),
        ({"inner_channels": 3, "groups": 2}, "groups=2 does not divide inner_channels=3 in CPLConv2d"),
        ({"inner_channels": 0}, "inner_channels=0 in CPLConv2d"),
        ({"padding_mode": "reflect"}, "padding_mode='reflect' in CPLConv2d"),
    ],
)
def test_refusals(options: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        CPLConv2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", [CPLConv2d(4, 4, 3), SLLConv2d(4, 4, 3), CPLLinear(4, 4), SLLLinear(4, 4)], ids=repr)
def test_bias_starts_at_zero(layer: nn.Module) -> None:
    assert not bool(layer.bias.any())  # type: ignore[operator]


def test_bias_must_fit() -> None:
    with pytest.raises(ValueError, match=r"bias=\(2,\) in GradientResidual1d must have shape \(3,\)"):
        GradientResidual1d(torch.zeros(3, 4), torch.zeros(2))


def test_image_below_the_circular_padding_is_refused() -> None:
    layer = GradientResidual2d(torch.randn(2, 2, 5, 5), None, "circular")
    with pytest.raises(ValueError, match="image height 1 is smaller than the circular padding 2"):
        layer(torch.zeros(1, 2, 1, 4))
