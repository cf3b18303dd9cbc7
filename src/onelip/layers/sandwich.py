"""Sandwich layers: a ReLU between two matrices that together are semi-orthogonal."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.cache import TensorCache
from onelip.layers.cayley import cayley_transform, inverse_cayley, scaled_to_length
from onelip.layers.conv_arguments import Pair, positive_int
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.fourier import FourierModule2d
from onelip.layers.fourier_grid import fourier_grid, origin_of
from onelip.layers.frequency import kernel_spectrum, spectrum_bound
from onelip.layers.registry import register
from onelip.layers.sandwich_plain import (
    FrequencySandwich2d,
    Sandwich1d,
    sandwich_bound,
    sandwich_frequency,
    sandwich_linear,
)
from onelip.linalg import Bound, cayley, full_precision, matrix_norm_bound
from onelip.linalg.polar import polar_factor

_PAPER = "Wang and Manchester 2023, arXiv:2301.11526, section 3"

_LARGEST_PSI = 80.0
"""Psi entries beyond exp(80) would overflow single precision; they are cut there."""


def inner_bias(bias: Tensor, psi: Tensor) -> Tensor:
    """Move the diagonal of a sandwich into its bias: exp(psi) b / sqrt(2).

    relu(k z) = k relu(z) for k > 0, hence
    sqrt(2) A^T Psi relu(sqrt(2) Psi^-1 B x + b) = 2 A^T relu(B x + Psi b / sqrt(2)).

    Args:
        bias: `(inner,)`.
        psi: `(inner,)`, Psi = diag(exp(psi)).

    Returns:
        `(inner,)`.
    """
    return bias * psi.clamp(max=_LARGEST_PSI).exp() / math.sqrt(2)


class _InnerBias(nn.Module):
    """What both forms share: `bias` and `psi`, and what they come to, kept in eval."""

    bias: nn.Parameter | None
    psi: nn.Parameter | None

    def _add_psi(self) -> None:
        # Without a bias it has no effect.
        psi = None if self.bias is None else nn.Parameter(torch.zeros_like(self.bias.detach()))
        self.register_parameter("psi", psi)
        self._bias_cache = TensorCache()

    def _inner_bias(self) -> Tensor | None:
        bias, psi = self.bias, self.psi
        if bias is None or psi is None:
            return None
        if self.training:
            return inner_bias(bias, psi)
        return self._bias_cache.get((bias, psi), lambda: inner_bias(bias, psi))


@register(
    kind="conv2d",
    name="sandwich",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="H W / 2 complex Cholesky factors and triangular solves of size c; forward with two convolutions",
)
class SandwichConv2d(FourierModule2d, _InnerBias):
    """1-Lipschitz layer y = sqrt(2) A^H Psi relu(sqrt(2) Psi^-1 B x + b) with convolutions A and B, by frequencies.

    [A(w) B(w)] has orthonormal rows: the Cayley transform of the spectrum of two k x k kernels, scaled together to a
    learned length. Psi = diag(exp(psi)) is learned and acts through the bias alone, see `inner_bias`. The ReLU is part
    of the layer: put no other activation behind it. The constant is at most ||[A B]||^2 = 1 for every padding, stride,
    dilation and image (see `Sandwich1d`).

    Starts as published, at random with psi = 0. Gradients then fade with depth: measured by the authors of
    arXiv:2311.16833 on their 27-layer network, from 1.8e-1 at the head to 3.4e-7 at the first convolution.

    A acts after the stride, with as many taps as blocks of pixels fit over the kernel.

    Shape: `(N, in, H, W)` to `(N, out, H', W')`, the sizes of `torch.nn.Conv2d`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, and between A and B.
        kernel_size: An int or (height, width).
        stride: An int or a pair. With circular padding the image must be a multiple of it.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias inside the ReLU? Without one there is no psi.
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: two transforms forth and back instead of one.
    Paper: Wang and Manchester 2023, arXiv:2301.11526, section 3.
    """

    raw_names = ("raw_weight", "raw_outer", "length")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        shapes = (
            (out_channels, in_channels // groups, *self.kernel_size),
            (out_channels, out_channels // groups, *self.inner_size),
        )
        raw = [nn.Parameter(torch.empty(shape, device=device, dtype=dtype)) for shape in shapes]
        for kernel in raw:
            nn.init.kaiming_uniform_(kernel, a=math.sqrt(5))
        self.raw_weight, self.raw_outer = raw
        norms = torch.stack([torch.linalg.vector_norm(kernel.detach()) for kernel in raw])
        self.length = nn.Parameter(torch.linalg.vector_norm(norms))
        self._add_psi()

    @property
    def _outputs(self) -> int:
        return self.out_channels // self.groups

    @override
    def matrices(self, size: Pair, *raw: Tensor) -> Tensor:
        inner, outer, length = raw
        flat = scaled_to_length(torch.cat([inner.flatten(), outer.flatten()]), length)
        inner, outer = flat[: inner.numel()].view_as(inner), flat[inner.numel() :].view_as(outer)
        (dh, dw), (kh, kw) = self.dilation, self.inner_size
        middle = (dh * (kh - 1) // 2, dw * (kw - 1) // 2)
        at = (1, 1) if self.one_matrix else size
        a = kernel_spectrum(outer, at, middle, (1, 1), self.dilation, self.groups)
        b = kernel_spectrum(inner, at, origin_of(self.arguments), self.stride, self.dilation, self.groups)
        matrices = cayley_transform(torch.cat([a, b], -1))
        return matrices.expand(size[0], size[1] // 2 + 1, *matrices.shape[2:])

    @override
    def circle(self, image_size: Pair) -> Pair:
        return fourier_grid(self.arguments, *image_size).size

    @override
    def forward(self, x: Tensor) -> Tensor:
        grid = self.placed(x)
        spectrum = self.spectrum((x.shape[-2], x.shape[-1]))
        with full_precision():
            y = sandwich_frequency(grid.enter(x), spectrum, self._inner_bias(), self._outputs)
            return grid.leave(y)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        if input_shape is None:
            # As for other layers whose matrices depend on the image size.
            return Bound(1 + 1e-5, False, "exact arithmetic; give input_shape for a proof")
        self.image_size = (input_shape[-2], input_shape[-1])
        return sandwich_bound(spectrum_bound(self.frozen_spectrum(self.image_size)))

    @override
    def to_plain(self) -> nn.Module:
        size = self.known_size()
        grid = fourier_grid(self.arguments, *size)
        plain = FrequencySandwich2d(self.frozen_spectrum(size), self._inner_bias(), grid.size, self._outputs)
        return grid.around(plain)


@register(
    kind="linear",
    name="sandwich",
    paper=_PAPER,
    cost="two Cholesky factors and six triangular solves; forward with two products",
)
class SandwichLinear(ExplicitWeight, _InnerBias):
    """1-Lipschitz layer y = sqrt(2) A^T Psi relu(sqrt(2) Psi^-1 B x + b) with [A B] of orthonormal rows.

    `weight` is [A B], `(out, out + in)`: the Cayley transform of a raw weight scaled to a learned length.
    Psi = diag(exp(psi)) is learned and acts through the bias alone, see `inner_bias`. The ReLU is part of the layer:
    put no other activation behind it. Starts as published, at random with psi = 0; gradients then fade with depth.

    `(..., in)` -> `(..., out)`; the constant is at most ||[A B]||^2 = 1 (see `Sandwich1d`).

    Args:
        in_features: Size of the input.
        out_features: Size of the output, and between A and B.
        bias: Add a learned bias inside the ReLU? Without one there is no psi.
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If a size is not a positive integer.

    Cost: two products instead of one.
    Paper: Wang and Manchester 2023, arXiv:2301.11526, section 3.
    """

    raw_names = ("raw_weight", "length")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.in_features = positive_int(owner, "in_features", in_features)
        self.out_features = positive_int(owner, "out_features", out_features)
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None
        self._reset_bias(in_features)
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        nn.init.kaiming_uniform_(self.raw_weight, a=math.sqrt(5))
        self.length = nn.Parameter(torch.linalg.vector_norm(self.raw_weight.detach()))
        self._add_psi()

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return cayley(scaled_to_length(raw[0], raw[1])).matrix.to(raw[0].dtype)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        free = inverse_cayley(polar_factor(weight))
        return free, torch.linalg.vector_norm(free)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return sandwich_linear(x, self.weight, self._inner_bias(), self.out_features)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return sandwich_bound(matrix_norm_bound(self.eval_weight()))

    @override
    def to_plain(self) -> nn.Module:
        return Sandwich1d(self.eval_weight(), self._inner_bias(), self.out_features)

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        return self.out_features, self.out_features + self.in_features

    @override
    def _arguments_repr(self) -> list[str]:
        return [f"{self.in_features}", f"{self.out_features}", f"bias={self.bias is not None}"]
