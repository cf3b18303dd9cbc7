"""The base of Fourier convolutions: torch's arguments on any circle, kept matrices, the plain form, the bound."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from tests.layers.dense import singular_values
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers import CayleyConv2d, FourierConv2d, to_plain


class Unconstrained(FourierConv2d):
    """The base with nothing constrained, which must then be torch's convolution."""

    orthogonal = True

    def __init__(self, conv: nn.Conv2d) -> None:
        padding: Any = conv.padding
        size: Any = conv.kernel_size
        super().__init__(
            conv.in_channels, conv.out_channels, size, conv.stride, padding, conv.dilation, conv.groups,  # type: ignore[arg-type]
            True, conv.padding_mode, dtype=torch.float64,
        )  # fmt: skip
        self.raw_weight, self.bias = conv.weight, conv.bias

    @override
    def kernel(self, *raw: Tensor) -> Tensor:
        return raw[0]

    @override
    def constrain(self, spectrum: Tensor) -> Tensor:
        return spectrum


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("padding", [0, 1, (1, 0), 3, "same", "valid"])
@pytest.mark.parametrize("kernel", [1, 2, 3, (4, 5)])
def test_without_a_constraint_it_is_torchs_convolution(kernel: Any, padding: Any, mode: str) -> None:
    checked = 0
    for stride, dilation, groups in itertools.product([1, 2, (1, 3)], [1, (2, 3)], [1, 2]):
        try:
            conv = nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups, True, mode, dtype=torch.float64)
            layer = Unconstrained(conv)
        except ValueError:
            continue
        for size in ((6, 12), (12, 9), (11, 13)):
            x = torch.randn(2, 2, *size, dtype=torch.float64)
            try:
                expected = conv(x)
            except RuntimeError:
                continue
            if mode == "circular" and any(n % s for n, s in zip(size, layer.stride, strict=True)):
                # Some of these are refused; see below.
                continue
            y = layer(x)
            torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
            torch.testing.assert_close(to_plain(layer)(x), expected, rtol=0, atol=1e-12)
            checked += 1
    assert checked or mode == "circular"


# Arguments of convolutions that are isometries if their circular map is, and of some that are not.
WHOLE = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 4, "padding": 1, "stride": 2},
    {"kernel_size": 3, "padding": 1, "stride": (2, 1)},
    {"kernel_size": 3, "padding": 2, "stride": 2, "dilation": 2},
    {"kernel_size": 2, "stride": 3},
    {"kernel_size": (2, 3), "stride": (2, 3), "padding_mode": "zeros"},
]
PART = [
    {"kernel_size": 3},
    {"kernel_size": 5, "padding": 1, "stride": 2},
    {"kernel_size": 3, "padding": 1, "padding_mode": "zeros"},
]


@pytest.mark.parametrize("options", WHOLE + PART, ids=str)
@pytest.mark.parametrize(("inputs", "outputs"), [(2, 2), (1, 9), (3, 2)])
def test_orthogonal_where_it_says_so_and_never_above_one(inputs: int, outputs: int, options: dict[str, Any]) -> None:
    layer = CayleyConv2d(inputs, outputs, **{"padding_mode": "circular", **options}, dtype=torch.float64)
    x = torch.randn(1, inputs, 6, 12, dtype=torch.float64)
    layer(x)
    values = singular_values(layer, (inputs, 6, 12))
    assert layer.orthogonal == (options in WHOLE)
    assert float(values[0]) <= 1 + 1e-12
    assert layer.lipschitz_bound((inputs, 6, 12)).value >= float(values[0]) * (1 - 1e-12)
    if layer.orthogonal:
        assert float(values.min()) >= 1 - 1e-12


def test_a_strided_circle_must_be_divided() -> None:
    layer = CayleyConv2d(1, 4, 3, 2, 1, padding_mode="circular")
    with pytest.raises(ValueError, match="image width 5 is not a multiple of stride 2 in CayleyConv2d"):
        layer(torch.zeros(1, 1, 4, 5))
    with pytest.raises(ValueError, match="image_size=None in CayleyConv2d"):
        to_plain(CayleyConv2d(2, 2, 3, padding="same", padding_mode="circular"))


def test_spectra_are_kept_for_a_few_sizes_and_dropped_by_training() -> None:
    layer = CayleyConv2d(2, 2, 3, padding="same", padding_mode="circular").eval()
    with torch.no_grad():
        first = layer.spectrum((4, 4))
        assert layer.spectrum((4, 4)) is first
        for size in range(5, 12):
            layer.spectrum((size, size))
        assert len(layer._caches) <= 4
        last = layer.spectrum((11, 11))
        layer.raw_weight.mul_(-1)
        assert not torch.equal(layer.spectrum((11, 11)), last)
    layer.train()
    assert not layer._caches


def test_bound_without_a_shape_is_no_proof_unless_there_is_one_matrix() -> None:
    layer = CayleyConv2d(2, 2, 3, padding="same", padding_mode="circular")
    assert not layer.lipschitz_bound().proved
    assert layer.lipschitz_bound((2, 5, 6)).proved
    pointwise = CayleyConv2d(2, 8, 2, 2)
    assert pointwise.lipschitz_bound().proved
    assert isinstance(pointwise.to_plain(), nn.Conv2d)


def test_one_matrix_is_what_the_frequencies_would_give() -> None:
    # One more zero tap, a kernel of 1 x 2, makes the layer work frequency by frequency.
    pointwise, general = CayleyConv2d(3, 5, 1), CayleyConv2d(3, 5, (1, 2), padding="same", padding_mode="circular")
    with torch.no_grad():
        general.raw_weight.zero_()[..., :1].copy_(pointwise.raw_weight)
        general.length.copy_(pointwise.length)
        general.bias.copy_(pointwise.bias)
        x = torch.randn(2, 3, 4, 5)
        for training in (True, False):
            torch.testing.assert_close(general.train(training)(x), pointwise.train(training)(x), rtol=0, atol=1e-6)
