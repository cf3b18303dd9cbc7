"""Sandwich layers: the published formula, semi-orthogonal [A B], psi, strides, a constant that is nearly attained."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.layers.test_sandwich_plain import largest_stretch

from onelip.layers import Sandwich1d, SandwichConv2d, SandwichLinear
from onelip.layers.sandwich import inner_bias


def test_published_formula() -> None:
    layer = SandwichLinear(5, 3, dtype=torch.float64)
    with torch.no_grad():
        layer.psi.normal_()
    a, b = layer.weight.detach()[:, :3], layer.weight.detach()[:, 3:]
    torch.testing.assert_close(a @ a.T + b @ b.T, torch.eye(3).double(), rtol=0, atol=1e-12)
    x, psi = torch.randn(7, 5, dtype=torch.float64), layer.psi.detach().exp().diag()
    hidden = (2**0.5 * x @ b.T @ psi.inverse() + layer.bias.detach()).relu()
    torch.testing.assert_close(layer(x).detach(), 2**0.5 * hidden @ psi @ a, rtol=0, atol=1e-12)


def test_cayley_of_the_published_stack() -> None:
    # A^T = (I + M)^-1 (I - M) and B^T = -2 V (I + M)^-1 with M = U - U^T + V^T V, [U; V] the transposed raw weight.
    layer = SandwichLinear(4, 3, dtype=torch.float64)
    raw = layer.raw_weight.detach()
    u, v = (raw * layer.length.detach() / raw.norm()).T.split([3, 4])
    m, eye = u - u.T + v.T @ v, torch.eye(3, dtype=torch.float64)
    inverse = torch.linalg.pinv(eye + m)
    expected = torch.cat([inverse @ (eye - m), -2 * v @ inverse]).T
    torch.testing.assert_close(layer.weight.detach(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [200.0, -200.0])
def test_extreme_psi_is_finite(value: float) -> None:
    layer = SandwichLinear(4, 4)
    with torch.no_grad():
        layer.psi.fill_(value)
    y = layer(torch.randn(3, 4))
    y.sum().backward()
    assert bool(torch.isfinite(y).all())
    assert bool(torch.isfinite(layer.bias.grad).all())
    assert bool(torch.isfinite(layer.psi.grad).all())
    assert torch.equal(inner_bias(torch.ones(1), torch.full((1,), value)).isfinite(), torch.tensor([True]))


def test_without_bias_there_is_no_psi() -> None:
    layer = SandwichConv2d(2, 3, 3, bias=False)
    assert [name for name, _ in layer.named_parameters()] == ["raw_weight", "raw_outer", "length"]
    assert layer.to_plain is not None


@pytest.mark.parametrize("image", [(4, 6), (5, 7), (2, 2)])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "groups": 2},
        {"kernel_size": (2, 5), "padding": "same", "dilation": 2, "padding_mode": "zeros"},
        {"kernel_size": 2, "stride": 2, "padding_mode": "zeros"},
        {"kernel_size": 3, "stride": 2, "padding": 1, "padding_mode": "zeros"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_never_above_one(options: dict[str, Any], image: tuple[int, int]) -> None:
    layer = SandwichConv2d(4, 6, **{"padding_mode": "circular", **options}, dtype=torch.float64)
    x = torch.randn(2, 4, *image, dtype=torch.float64)
    torch.testing.assert_close(layer.eval()(x), layer.train()(x), rtol=0, atol=1e-12)
    assert largest_stretch(layer, (4, *image), 5) <= 1 + 1e-12
    spectrum = layer.spectrum(image).detach()
    gram = spectrum @ spectrum.mH
    torch.testing.assert_close(gram, torch.eye(gram.shape[-1], dtype=gram.dtype).expand_as(gram), rtol=0, atol=1e-12)


def test_the_constant_is_nearly_attained() -> None:
    # Raw weights [0, V] with V^T V = k I give 2 A^T B of norm 4 s (1 - s^2) / (1 + s^2)^2 with s = sqrt(k), which is
    # 1 at s = tan(pi / 8).
    layer = SandwichLinear(4, 4, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.zero_()[:, 4:].copy_(torch.eye(4))
        layer.length.fill_(2 * (2**0.5 - 1))
        layer.bias.fill_(100.0)
    assert largest_stretch(layer, (4,), 1) == pytest.approx(1, abs=1e-12)
    conv = SandwichConv2d(2, 2, 1, dtype=torch.float64)
    with torch.no_grad():
        conv.raw_outer.zero_()
        conv.raw_weight.copy_(torch.eye(2)[:, :, None, None])
        conv.length.fill_(2**0.5 * (2**0.5 - 1))
        conv.bias.fill_(100.0)
    assert largest_stretch(conv, (2, 3, 4), 1) == pytest.approx(1, abs=1e-12)


def test_plain_form_has_the_bias_of_now() -> None:
    layer = SandwichLinear(3, 4).eval()
    with torch.no_grad():
        x = torch.randn(2, 3)
        layer(x)
        layer.psi.add_(1.0)
        plain = layer.to_plain()
        assert isinstance(plain, Sandwich1d)
        torch.testing.assert_close(plain(x), layer(x))
        torch.testing.assert_close(plain.bias, layer.bias * 2.718281828 / 2**0.5)


def test_assigned_semi_orthogonal_weight_comes_back() -> None:
    target = SandwichLinear(5, 3, dtype=torch.float64).weight.detach()
    layer = SandwichLinear(5, 3, dtype=torch.float64)
    layer.weight = target
    torch.testing.assert_close(layer.weight.detach(), target, rtol=0, atol=1e-10)
