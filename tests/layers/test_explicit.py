"""The explicit bases against their torch namesakes, with a constraint that does nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onelip.layers.circular import CircularConvTranspose2d
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d, ExplicitLinear


class _Free:
    """No constraint: the weight is the raw weight."""

    def free(self) -> Any:
        self.raw_weight = nn.Parameter(torch.randn(self._weight_shape()))  # type: ignore[attr-defined]
        return self

    def constrain(self, *raw: Tensor) -> Tensor:
        return raw[0]

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (weight,)


class FreeConv2d(_Free, ExplicitConv2d):
    pass


class FreeConvTranspose2d(_Free, ExplicitConvTranspose2d):
    pass


class FreeLinear(_Free, ExplicitLinear):
    pass


def _with_weights_of(torchs: nn.Module, ours: Any) -> nn.Module:
    with torch.no_grad():
        torchs.weight.copy_(ours.weight)
        if torchs.bias is not None:
            torchs.bias.copy_(ours.bias)
    return torchs


CONVS: list[dict[str, Any]] = [
    {"kernel_size": 3},
    {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": 3, "padding": 1, "groups": 2, "bias": False},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
]


@pytest.mark.parametrize("options", [*CONVS, {"kernel_size": 3, "padding": "same", "padding_mode": "circular"}])
def test_convolution_is_torchs(options: dict[str, Any]) -> None:
    ours = FreeConv2d(4, 6, **options).free()
    torchs = _with_weights_of(nn.Conv2d(4, 6, **options), ours)
    x = torch.randn(2, 4, 7, 8)
    torch.testing.assert_close(ours(x), torchs(x))
    assert repr(ours.to_plain()) == repr(torchs)


@pytest.mark.parametrize("options", [*CONVS, {"kernel_size": 3, "stride": 2, "output_padding": 1}])
def test_transposed_convolution_is_torchs(options: dict[str, Any]) -> None:
    ours = FreeConvTranspose2d(4, 6, **options).free()
    torchs = _with_weights_of(nn.ConvTranspose2d(4, 6, **options), ours)
    x = torch.randn(2, 4, 7, 8)
    torch.testing.assert_close(ours(x), torchs(x))
    assert repr(ours.to_plain()) == repr(torchs)


def test_circular_transposed_convolution_multiplies_the_image_by_the_stride() -> None:
    ours = FreeConvTranspose2d(4, 6, 3, 2, 1, padding_mode="circular").free()
    x = torch.randn(2, 4, 3, 5)
    assert ours(x).shape == (2, 6, 6, 10)
    plain = ours.to_plain()
    assert isinstance(plain, CircularConvTranspose2d)
    torch.testing.assert_close(plain(x), ours.eval()(x))


@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_torchs(bias: bool) -> None:
    ours = FreeLinear(5, 3, bias).free()
    torchs = _with_weights_of(nn.Linear(5, 3, bias), ours)
    x = torch.randn(2, 4, 5)
    torch.testing.assert_close(ours(x), torchs(x))
    assert repr(ours.to_plain()) == repr(torchs)


def test_bias_starts_as_torchs_does() -> None:
    limit = 1 / (4 * 9) ** 0.5
    bias = torch.cat([FreeConv2d(4, 50, 3).bias.detach() for _ in range(20)])
    assert 0.95 * limit < float(bias.abs().max()) <= limit


def test_bias_of_a_transposed_convolution_starts_as_torchs_does() -> None:
    # Torch counts the fan-in of the transposed layout: out_channels / groups times the kernel.
    torchs, ours = (make(3, 400, 3).bias.detach().abs().max() for make in (nn.ConvTranspose2d, FreeConvTranspose2d))
    limit = 1 / (400 * 9) ** 0.5
    assert 0.95 * limit < float(torchs) <= limit
    assert 0.95 * limit < float(ours) <= limit


@pytest.mark.parametrize("value", [-1, 3, (1, 3), (1,), 0.5, "1"])
def test_output_padding_that_makes_no_sense_is_one_sentence(value: Any) -> None:
    with pytest.raises(ValueError, match=r"output_padding=.* in FreeConvTranspose2d"):
        FreeConvTranspose2d(4, 6, 3, 2, output_padding=value)


def test_output_padding_has_no_meaning_on_a_circle() -> None:
    with pytest.raises(ValueError, match="output_padding=1 in FreeConvTranspose2d has no meaning"):
        FreeConvTranspose2d(4, 6, 3, 2, 1, 1, padding_mode="circular")


def test_bounds_are_of_the_weight() -> None:
    layer = FreeLinear(2, 2).free()
    layer.weight = torch.diag(torch.tensor([3.0, 0.5]))
    assert layer.lipschitz_bound().value == pytest.approx(3.0, rel=1e-9)
    conv = FreeConv2d(2, 2, 1).free()
    conv.weight = torch.diag(torch.tensor([3.0, 0.5]))[:, :, None, None]
    assert conv.lipschitz_bound().value == pytest.approx(3.0, rel=1e-9)
