"""Layers that apply a power series of a skew-symmetric convolution: the base, and the plain form."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.channels import ChannelKeep, ChannelPad
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import ConvArguments, conv_arguments
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound, add_up, conv_norm_bound, multiply_up, sqrt_up, transpose, up


def apply_series(x: Tensor, kernel: Tensor, coefficients: Sequence[float], arguments: ConvArguments) -> Tensor:
    """Apply c_0 I + c_1 A + ... + c_n A^n, A a convolution, by Horner's rule: n convolutions.

    Args:
        x: `(..., channels, H, W)`.
        kernel: `(channels, channels/groups, kh, kw)`.
        coefficients: c_0 to c_n, n >= 1.
        arguments: Those of A; padding "same".

    Returns:
        A tensor of the shape of `x`.
    """
    y = x * coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        y = F.conv2d(arguments.pad(y), kernel, None, 1, 0, arguments.dilation, arguments.groups)
        y = torch.add(y, x, alpha=coefficient)
    return y


def skew_series_norm(coefficients: Sequence[float], norm: float) -> float:
    """Bound |c_0 + c_1 i t + ... + c_n (i t)^n| over real |t| <= norm: the norm of the series of a skew A.

    A is normal with eigenvalues i t, so the norm of the series is the largest absolute value. Its square is a
    polynomial in t^2, formed in rational arithmetic, where almost everything cancels; negative terms are dropped.

    Args:
        coefficients: c_0 to c_n.
        norm: Upper bound of the norm of A.

    Returns:
        The bound, rounded up.
    """
    exact = [Fraction(c) for c in coefficients]
    squared = 0.0
    for power in range(len(exact)):
        # The coefficient of t^(2 power) in p(it) p(-it) is the sum over j + k = 2 power of c_j c_k i^(j - k).
        pairs = ((j, 2 * power - j) for j in range(len(exact)) if 0 <= 2 * power - j < len(exact))
        term = sum((exact[j] * exact[k] * (-1) ** ((j - k) // 2) for j, k in pairs), Fraction(0))
        if term > 0:
            # Exponentiation by repeated rounded products.
            size = 1.0
            for _ in range(2 * power):
                size = multiply_up(size, norm)
            rounded = float(term)
            rounded = rounded if Fraction(rounded) >= term else up(rounded)
            squared = add_up(squared, multiply_up(rounded, size))
    return sqrt_up(squared)


def general_series_norm(coefficients: Sequence[float], norm: float) -> float:
    """Bound the series of any A by |c_0| + |c_1| ||A|| + ... + |c_n| ||A||^n.

    Args:
        coefficients: c_0 to c_n.
        norm: Upper bound of the norm of A.

    Returns:
        The bound, rounded up.
    """
    total = 0.0
    for coefficient in reversed(coefficients):
        total = add_up(multiply_up(total, norm), abs(coefficient))
    return total


class SkewSeries2d(ConstrainedModule):
    """y = (c_0 I + c_1 A + ... + c_n A^n) x + b with a stored convolution A of padding "same".

    If the stored kernel is exactly skew, K_ij(t) = -K_ji(-t), which is checked, the constant is the largest absolute
    value of the polynomial on the imaginary interval that the norm of A spans; else the sum of the norms of the terms.

    Shape: `(..., channels, H, W)`; the output has the shape of the input.

    Args:
        kernel: `(channels, channels/groups, kh, kw)`; copied.
        bias: `(channels,)` or None; copied.
        coefficients: c_0 to c_n, n >= 1.
        padding_mode: "zeros" or "circular".
        dilation: An int or a pair.
        groups: A divisor of the channels.

    Raises:
        ValueError: If an argument is not allowed.
    """

    def __init__(
        self,
        kernel: Tensor,
        bias: Tensor | None,
        coefficients: Sequence[float],
        padding_mode: str = "zeros",
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        channels, inner, kh, kw = kernel.shape
        if channels != inner * groups or len(coefficients) < 2:
            raise ValueError(
                f"kernel of shape {tuple(kernel.shape)} with groups={groups} and {len(coefficients)} coefficients in "
                f"SkewSeries2d must keep the channels and have at least two coefficients"
            )
        self.arguments = conv_arguments(
            "SkewSeries2d", channels, channels, (kh, kw), 1, "same", dilation, groups, padding_mode
        )
        self.coefficients = tuple(map(float, coefficients))
        self.kernel = nn.Parameter(kernel.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone()) if bias is not None else None
        self.eval()

    @override
    def forward(self, x: Tensor) -> Tensor:
        y = apply_series(x, self.kernel, self.coefficients, self.arguments)
        return y if self.bias is None else y + self.bias[:, None, None]

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return series_bound(self.kernel.detach(), self.coefficients, self.arguments)

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        a = self.arguments
        return (
            f"{a.in_channels}, kernel_size={a.kernel_size}, terms={len(self.coefficients)}, dilation={a.dilation}, "
            f"groups={a.groups}, bias={self.bias is not None}, padding_mode={a.padding_mode!r}"
        )


def series_bound(kernel: Tensor, coefficients: Sequence[float], arguments: ConvArguments) -> Bound:
    """Prove the norm of a series of a stored convolution.

    A skew operator stays skew under zero padding (a section of it) and circular padding (its restriction to periodic
    images), as padding "same" around an odd kernel is symmetric.

    Args:
        kernel: `(channels, channels/groups, kh, kw)`.
        coefficients: c_0 to c_n.
        arguments: Those of the convolution.

    Returns:
        The bound.
    """
    norm = conv_norm_bound(kernel, dilation=arguments.dilation, groups=arguments.groups)
    odd = all(k % 2 for k in arguments.kernel_size)
    if odd and torch.equal(kernel, -transpose(kernel, arguments.groups)):
        return Bound(skew_series_norm(coefficients, norm.value), norm.proved, f"skew series, {norm.method}")
    return Bound(general_series_norm(coefficients, norm.value), norm.proved, f"series, {norm.method}")


class SeriesConv2d(ExplicitWeight):
    """Base of convolutional layers that apply a series of a constrained skew-symmetric convolution.

    `weight` is the kernel of that convolution, `(channels, channels/groups, kh, kw)` with channels the larger of input
    and output. Fewer input channels are filled up with zeros, superfluous output channels are dropped.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; with groups, the same number.
        kernel_size: An odd int, or two.
        stride: 1.
        padding: "same", or the same in numbers.
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If an argument is not allowed.
    """

    paddings: ClassVar[tuple[str, ...]] = ("zeros", "circular")

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
        super().__init__()
        owner = type(self).__name__
        given = conv_arguments(
            owner, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, padding_mode
        )
        _check_skew(owner, given)
        channels = max(in_channels, out_channels)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = given.kernel_size, given.stride, given.padding
        self.dilation, self.groups, self.padding_mode = given.dilation, groups, padding_mode
        self.arguments = conv_arguments(
            owner, channels, channels, given.kernel_size, 1, "same", given.dilation, groups, padding_mode
        )
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        self._reset_bias(in_channels // groups * given.kernel_size[0] * given.kernel_size[1])

    @abstractmethod
    def coefficients(self) -> tuple[float, ...]:
        """The coefficients c_0 to c_n of the series, n >= 1."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        channels = self.arguments.in_channels
        if self.in_channels < channels:
            x = F.pad(x, (0, 0, 0, 0, 0, channels - self.in_channels))
        y = apply_series(x, self.weight, self.coefficients(), self.arguments)
        y = y.narrow(-3, 0, self.out_channels)
        return y if self.bias is None else y + self.bias[:, None, None]

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return series_bound(self.eval_weight(), self.coefficients(), self.arguments)

    @override
    def to_plain(self) -> nn.Module:
        channels, bias = self.arguments.in_channels, self.bias
        if bias is not None:
            bias = nn.Parameter(F.pad(bias.detach(), (0, channels - self.out_channels)))
        series = SkewSeries2d(
            self.eval_weight(), bias, self.coefficients(), self.padding_mode, self.dilation, self.groups
        )
        before = [ChannelPad(channels)] if self.in_channels < channels else []
        after = [ChannelKeep(self.out_channels)] if self.out_channels < channels else []
        return nn.Sequential(*before, series, *after).eval() if before or after else series

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        channels = self.arguments.in_channels
        return channels, channels // self.groups, *self.kernel_size

    @override
    def _arguments_repr(self) -> list[str]:
        shown = [f"{self.in_channels}", f"{self.out_channels}"]
        for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
            shown.append(f"{name}={getattr(self, name)!r}")
        return [*shown, f"bias={self.bias is not None}", f"padding_mode={self.padding_mode!r}"]


def _check_skew(owner: str, a: ConvArguments) -> None:
    if a.stride != (1, 1):
        raise ValueError(f"stride={a.stride} in {owner} must be 1; put InvertibleDownsampling2d before it instead")
    if not all(k % 2 for k in a.kernel_size):
        raise ValueError(f"kernel_size={a.kernel_size} in {owner} must be odd, since a skew kernel has a centre")
    left, right, top, bottom = a.pads
    if (top + bottom + 1, left + right + 1) != a.extent:
        raise ValueError(
            f"padding={a.padding!r} in {owner} must be 'same', since the convolution is applied repeatedly"
        )
    if a.groups > 1 and a.in_channels != a.out_channels:
        raise ValueError(
            f"groups={a.groups} in {owner} with in_channels={a.in_channels} and out_channels={a.out_channels} is not "
            f"supported; use equal numbers or groups=1"
        )
