"""Power series of a skew-symmetric convolution: how to apply them, their norm, and the plain form of layers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import ConvArguments, conv_arguments
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound, add_up, conv_norm_bound, multiply_up, sqrt_up, transpose, up

_SLACK = 0.01
"""Relative accuracy of the norm of the convolution: that of its exponential then changes by less than 1e-6."""

_WIDE = 32
"""Channels per group beyond which it is only proved that the norm of a series is at most 1, a tenth of the work: that
of SOC is at least 1 - 2e-5."""


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


@lru_cache(maxsize=64)
def unit_reach(coefficients: tuple[float, ...]) -> float:
    """Find a norm up to which the series of a skew A is proved to be no longer than 1.

    Args:
        coefficients: c_0 to c_n.

    Returns:
        The largest such number in [0, 4], to 1e-9; 0 if there is none.
    """
    below, above = 0.0, 4.0
    while above - below > 1e-9:
        middle = (below + above) / 2
        below, above = (middle, above) if skew_series_norm(coefficients, middle) <= 1 else (below, middle)
    return below


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
    dilation, groups = arguments.dilation, arguments.groups
    skew = all(k % 2 for k in arguments.kernel_size) and torch.equal(kernel, -transpose(kernel, groups))
    enough = unit_reach(tuple(coefficients)) if skew and kernel.shape[1] > _WIDE else 0.0
    norm = conv_norm_bound(kernel, dilation=dilation, groups=groups, at_least=enough, slack=_SLACK)
    if skew:
        return Bound(skew_series_norm(coefficients, norm.value), norm.proved, f"skew series, {norm.method}")
    return Bound(general_series_norm(coefficients, norm.value), norm.proved, f"series, {norm.method}")
