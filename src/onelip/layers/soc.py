"""SOC, the skew orthogonal convolution: the exponential of a skew-symmetric convolution."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.registry import register
from onelip.layers.series import skew_series_norm
from onelip.layers.series_conv import SeriesConv, SeriesConv1d, SeriesConv2d
from onelip.linalg import down, transpose
from onelip.linalg.gram_iteration import gram_norm

_PAPER = "Singla and Feizi 2021, arXiv:2105.11417, section 4"
_COST = "(k^4 + 4 n_iter F) c^3 for the norm; and n_terms convolutions per input"

_LARGEST_ANGLE = 0.7
"""Norm of the skew convolution, as in the authors' code: eigenvalues of the result turn by at most 40 degrees."""

_N_ITER = 3

_REMAINDER = 2e-5
"""Largest first term that is left out, for which the layer still counts as orthogonal."""


def exponential_coefficients(n_terms: int, largest_angle: float = _LARGEST_ANGLE) -> tuple[float, ...]:
    """Coefficients 1/j! of the truncated exponential, divided by the most that truncation can exceed norm 1.

    Args:
        n_terms: The highest power.
        largest_angle: Largest norm of what it is applied to.

    Returns:
        c_0 to c_n, with |sum c_j (i t)^j| <= 1 for |t| up to the largest angle and a little more.
    """
    plain = [1 / math.factorial(j) for j in range(n_terms + 1)]
    # The kernel's norm is computed in float32 in training: up to 1e-5 too small, say.
    excess = skew_series_norm(plain, largest_angle * (1 + 1e-5))
    return tuple(down(c / max(1.0, excess)) if excess > 1 else c for c in plain)


class _SOC(SeriesConv):
    """The skew kernel and the series that both forms share."""

    orthogonal = True
    raw_names = ("raw_weight", "angle")
    angle: nn.Parameter | None

    def _prepare(self, n_terms: int, device: Any, dtype: Any, largest_angle: float = _LARGEST_ANGLE) -> None:
        owner = type(self).__name__
        self.n_terms = positive_int(owner, "n_terms", n_terms)
        if not _LARGEST_ANGLE <= largest_angle <= math.pi:
            raise ValueError(f"largest_angle={largest_angle!r} in {owner} must be from {_LARGEST_ANGLE} to pi")
        self.largest_angle = float(largest_angle)
        if n_terms < 6:
            raise ValueError(f"n_terms={n_terms} in {owner} must be at least 6, or the layer is not orthogonal")
        self.orthogonal = self.largest_angle ** (n_terms + 1) / math.factorial(n_terms + 1) <= _REMAINDER
        self._coefficients = exponential_coefficients(n_terms, self.largest_angle)
        start = torch.tensor(_LARGEST_ANGLE, device=device, dtype=dtype)
        self.angle = nn.Parameter(start) if largest_angle > _LARGEST_ANGLE else None
        self.raw_weight = nn.Parameter(torch.empty(self._weight_shape(), device=device, dtype=dtype))
        nn.init.normal_(self.raw_weight, std=self.arguments.in_channels**-0.5)

    @override
    def coefficients(self) -> tuple[float, ...]:
        return self._coefficients

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        # Divided by its largest entry, so that the difference of huge entries is finite.
        peak = raw[0].detach().abs().amax()
        kernel = raw[0] / torch.where(peak > 0, peak, 1)
        skew = (kernel - transpose(kernel, self.groups)) / 2
        norm = gram_norm(skew, groups=self.groups, n_iter=_N_ITER)
        angle = raw[1].abs().clamp(max=self.largest_angle) if len(raw) > 1 else _LARGEST_ANGLE
        factor = angle / torch.where(norm > 0, norm, 1)
        return skew * factor.repeat_interleave(skew.shape[0] // self.groups)[:, None, None, None]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        if self.angle is None:
            return (weight,)
        skew = (weight - transpose(weight, self.groups)) / 2
        return weight, gram_norm(skew, groups=self.groups, n_iter=_N_ITER).amax().clamp(max=self.largest_angle)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_terms": self.n_terms, "largest_angle": self.largest_angle}


@register(
    kind="conv2d",
    name="soc",
    orthogonal=True,
    paddings=("zeros", "circular"),
    strides=False,
    paper=_PAPER,
    cost=_COST,
)
class SOCConv2d(_SOC, SeriesConv2d):
    """Orthogonal convolution: y = exp(A) x + b, A = 0.7 S / s, S = (K - K^T) / 2 skew and s >= ||S||.

    exp of a skew operator is orthogonal, under zero padding too. The series is cut after `n_terms` powers and divided
    by a bound of its absolute value on the imaginary interval [-0.7 i, 0.7 i], so its norm is at most 1 in training and
    in eval; singular values stay above 1 - 2e-5. s is the upper bound `gram_norm`, which depends on the raw kernel
    alone: no power iteration (in published code a fresh layer in eval had norm 336), one formula for training and eval.

    Shape: `(N, in, H, W)` to `(N, out, H, W)`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; in each group the smaller number is filled up with zeros, or the rest
            dropped.
        kernel_size: An odd int, or two.
        stride: 1.
        padding: "same", or the same in numbers.
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        n_terms: Highest power of the series, at least 6; each costs one convolution.
        largest_angle: Above 0.7, the norm 0.7 of A is only where a learned one, `angle`, begins, which may grow up to
            this; to stay orthogonal that takes more terms, such as 13 for 2.5. Published weights have such angles.

    Raises:
        ValueError: If an argument is not allowed.
    """

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
        *,
        n_terms: int = 6,
        largest_angle: float = _LARGEST_ANGLE,
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
        self._prepare(n_terms, device, dtype, largest_angle)


@register(
    kind="conv1d",
    name="soc",
    orthogonal=True,
    paddings=("zeros", "circular"),
    strides=False,
    paper=_PAPER,
    cost=_COST,
)
class SOCConv1d(_SOC, SeriesConv1d):
    """Orthogonal 1-D convolution, the exponential of a skew one: `SOCConv2d` of height 1.

    Shape: `(N, in, L)` to `(N, out, L)`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An odd int.
        stride: 1.
        padding: "same", or the same in numbers.
        dilation: An int.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        n_terms: Highest power of the series, at least 6; each costs one convolution.

    Raises:
        ValueError: If an argument is not allowed.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: int | tuple[int] | str = 0,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        n_terms: int = 6,
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
        self._prepare(n_terms, device, dtype)
