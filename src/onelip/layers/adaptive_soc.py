"""Adaptive SOC: the exponential of a skew convolution as one explicit kernel, with strides, and its adjoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.block_kernel import strided_start
from onelip.layers.conv_arguments import ConvArguments, Pair, positive_int
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.projection import RETRACTED, orthogonal_parameter
from onelip.layers.registry import register
from onelip.linalg import compose, polar_express, transpose
from onelip.linalg.gram_iteration import gram_norm
from onelip.linalg.polar import polar_factor
from onelip.linalg.unit_polynomial import unit_polynomial

_PAPER = "Boissin et al. 2025, arXiv:2501.08430; Singla and Feizi 2021, arXiv:2105.11417"
_COST = "the norm of the generator, n_terms - 1 compositions of kernels and, with a stride, one orthogonalisation"

_DEVIATION = 4e-5
"""Squares of singular values lie within twice this below 1."""

_MARGIN = 6e-6
"""Singular values are lowered by this, so that a proof for all frequencies from some of them still gives 1."""

_FEWEST_TERMS, _MOST_TERMS = 2, 12

_FIT_STEPS = 200
"""Largest number of steps of the fit to an assigned weight."""

_FIT_TOLERANCE = 1e-7
"""Relative distance at which a second start of the fit is not tried."""


@dataclass(frozen=True)
class ExponentialPlan:
    """How the kernel is composed: a polynomial of a skew generator, then a kernel as large as the stride.

    Attributes:
        groups: Number of groups.
        rows: Output channels of a group.
        columns: Input channels of a group.
        channels: Channels that the generator acts on, per group.
        strided: Is there a kernel that takes the stride?
        start: Its height and width, else (1, 1).
        generator: Height and width of the generator, odd.
        spare: Rows and columns of zeros at the end, where an even kernel leaves no centre.
        coefficients: Of the polynomial.
    """

    groups: int
    rows: int
    columns: int
    channels: int
    strided: bool
    start: Pair
    generator: Pair
    spare: Pair
    coefficients: tuple[float, ...]

    @property
    def matrix_shape(self) -> tuple[int, int, int]:
        """Shape of the kernel that takes the stride as one matrix per group."""
        return self.groups, self.rows, self.channels * prod(self.start)

    @property
    def growth(self) -> Pair:
        """Taps that each side of the kernel has beyond the size that the user gave."""
        extra = len(self.coefficients) - 2
        return extra * (self.generator[0] // 2), extra * (self.generator[1] // 2)

    def skew(self, raw: Tensor) -> Tensor:
        """Make a free kernel skew, and of norm at most 1.

        Args:
            raw: (groups channels, channels, gh, gw).

        Returns:
            Same shape.
        """
        kernel = (raw - transpose(raw, self.groups)) / 2
        norm = gram_norm(kernel, groups=self.groups).clamp_min(1)
        return kernel / norm.repeat_interleave(self.channels)[:, None, None, None]

    def kernel(self, skew: Tensor, matrix: Tensor | None) -> Tensor:
        """Compose the kernel.

        Args:
            skew: (groups channels, channels, gh, gw).
            matrix: Semi-orthogonal, of shape `matrix_shape`, or None without a stride.

        Returns:
            (groups rows, columns, kh, kw).
        """
        power = polynomial_kernel(skew, self.coefficients, self.groups)
        if matrix is None:
            power = power.unflatten(0, (self.groups, -1))[:, : self.rows].flatten(0, 1)
        else:
            start = matrix.reshape(self.groups * self.rows, self.channels, *self.start)
            power = compose(start, power, self.groups)
        return F.pad(power[:, : self.columns], (0, self.spare[1], 0, self.spare[0])).contiguous()


def polynomial_kernel(kernel: Tensor, coefficients: tuple[float, ...], groups: int = 1) -> Tensor:
    """Kernel of c_0 I + c_1 A + ... + c_n A^n for a convolution A, by Horner's rule.

    Args:
        kernel: (groups c, c, kh, kw), odd sizes.
        coefficients: c_0 to c_n, n >= 1.
        groups: Number of groups.

    Returns:
        (groups c, c, n (kh - 1) + 1, n (kw - 1) + 1).
    """
    eye = torch.eye(kernel.shape[1], dtype=kernel.dtype, device=kernel.device).repeat(groups, 1)[:, :, None, None]
    total = coefficients[-1] * eye
    for coefficient in reversed(coefficients[:-1]):
        total = compose(kernel, total, groups)
        top, left = total.shape[2] // 2, total.shape[3] // 2
        total = total + coefficient * F.pad(eye, (left, left, top, top))
    return total


def exponential_plan(arguments: ConvArguments, n_terms: int, *, transposed: bool = False) -> ExponentialPlan:
    """Decide how to compose the kernel.

    Args:
        arguments: Those of the layer, with the kernel size that the user gave.
        n_terms: Degree of the polynomial.
        transposed: Is the layer the adjoint of the convolution from `out_channels` to `in_channels`?

    Returns:
        The plan.

    Raises:
        ValueError: If no orthogonal kernel of these sizes exists.
    """
    rows, columns, channels, start = strided_start(arguments, transposed=transposed)
    strided = arguments.stride != (1, 1)
    channels = channels if strided else max(rows, columns)
    room = [k - s + 1 for k, s in zip(arguments.kernel_size, start, strict=True)]
    generator = (room[0] - 1 + room[0] % 2, room[1] - 1 + room[1] % 2)
    spare = (room[0] - generator[0], room[1] - generator[1])
    coefficients = tuple(c * (1 - _MARGIN) for c in unit_polynomial(n_terms, _DEVIATION))
    return ExponentialPlan(arguments.groups, rows, columns, channels, strided, start, generator, spare, coefficients)


def _widened(a: ConvArguments, growth: Pair) -> ConvArguments:
    (rows, columns), (dh, dw), (left, right, top, bottom) = growth, a.dilation, a.pads
    kernel = (a.kernel_size[0] + 2 * rows, a.kernel_size[1] + 2 * columns)
    pads = (left + dw * columns, right + dw * columns, top + dh * rows, bottom + dh * rows)
    padding = a.padding if a.padding == "same" else (pads[2], pads[0])
    return replace(a, kernel_size=kernel, padding=padding, pads=pads, wraps=True)


class _AdaptiveSOC(ExplicitWeight):
    """The kernel that both forms share."""

    raw_names: ClassVar[tuple[str, ...]] = ("raw_weight", "raw_matrix")
    orthogonal = True
    raw_weight: nn.Parameter
    raw_matrix: nn.Parameter | None
    arguments: ConvArguments

    def _prepare(self, n_terms: int, device: Any, dtype: Any, *, transposed: bool = False) -> None:
        owner = type(self).__name__
        self.n_terms = positive_int(owner, "n_terms", n_terms)
        if not _FEWEST_TERMS <= n_terms <= _MOST_TERMS:
            raise ValueError(
                f"n_terms={n_terms} in {owner} must be from {_FEWEST_TERMS}, below which no vector turns by 1 degree, "
                f"to {_MOST_TERMS}, beyond which its coefficients are inaccurate"
            )
        self._plan = exponential_plan(self.arguments, n_terms, transposed=transposed)
        self.arguments = _widened(self.arguments, self._plan.growth)
        groups, channels = self._plan.groups, self._plan.channels
        raw = torch.empty(groups * channels, channels, *self._plan.generator, device=device, dtype=dtype)
        self.raw_weight = nn.Parameter(raw)
        nn.init.normal_(self.raw_weight, std=channels**-0.5)
        shape = self._plan.matrix_shape
        matrix = orthogonal_parameter(*shape, device=device, dtype=dtype) if self._plan.strided else None
        self.raw_matrix = matrix

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        matrix = polar_express(raw[1]).matrix if len(raw) > 1 else None
        return self._plan.kernel(self._plan.skew(raw[0]), matrix)

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        return (raw[0], *(polar_express(r, tol=RETRACTED).matrix for r in raw[1:]))

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        own = tuple(raw.detach().double() for raw in self.raw)
        rounding = 8 * torch.finfo(self.raw_weight.dtype).eps
        if self._gap(weight, own) <= rounding * float(weight.norm()):
            # It is there already, up to how this precision builds it.
            return own
        # The best of two descents; neither ends farther from the weight than it began.
        best = self._descended(weight, self._guess(weight))
        if self._gap(weight, best) > _FIT_TOLERANCE * float(weight.norm()):
            best = min(best, self._descended(weight, own), key=lambda raw: self._gap(weight, raw))
        return best

    def _gap(self, weight: Tensor, raw: tuple[Tensor, ...]) -> float:
        with torch.no_grad():
            return float((self.constrain(*raw) - weight).norm())

    def _guess(self, weight: Tensor) -> tuple[Tensor, ...]:
        plan = self._plan
        if self.raw_matrix is not None:
            # The taps in the middle, as if the generator were zero.
            top, left = ((k - s - e) // 2 for k, s, e in zip(weight.shape[2:], plan.start, plan.spare, strict=True))
            middle = weight[:, :, top : top + plan.start[0], left : left + plan.start[1]]
            middle = F.pad(middle, (0, 0, 0, 0, 0, plan.channels - plan.columns))
            return torch.zeros_like(self.raw_weight, dtype=weight.dtype), polar_factor(
                middle.reshape(plan.matrix_shape)
            )
        grouped = weight.unflatten(0, (plan.groups, -1))
        full = F.pad(grouped, (0, 0, 0, 0, 0, plan.channels - plan.columns, 0, plan.channels - plan.rows)).flatten(0, 1)
        odd = _centre(full - transpose(full, plan.groups), plan) / (2 * plan.coefficients[1])
        return (odd,)

    def _descended(self, weight: Tensor, raw: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            free = [r.clone().requires_grad_() for r in raw]
            optimizer = torch.optim.LBFGS(
                free, max_iter=_FIT_STEPS, tolerance_grad=1e-11, tolerance_change=1e-13, line_search_fn="strong_wolfe"
            )

            def loss() -> Tensor:
                optimizer.zero_grad()
                value = (self.constrain(*free) - weight).square().sum()
                value.backward()
                return value

            optimizer.step(loss)
        found = tuple(f.detach() for f in free)
        return min((found, raw), key=lambda r: self._gap(weight, r))

    @override
    def options(self) -> dict[str, Any]:
        return {"n_terms": self.n_terms}


def _centre(kernel: Tensor, plan: ExponentialPlan) -> Tensor:
    height, width = (k - e for k, e in zip(kernel.shape[2:], plan.spare, strict=True))
    top, left = (height - plan.generator[0]) // 2, (width - plan.generator[1]) // 2
    return kernel[:, :, top : top + plan.generator[0], left : left + plan.generator[1]]


@register(kind="conv2d", name="adaptive-soc", orthogonal=True, paddings=("zeros", "circular"), paper=_PAPER, cost=_COST)
class AdaptiveSOCConv2d(_AdaptiveSOC, ExplicitConv2d):
    """Orthogonal convolution: the exponential of a skew one, composed in kernel space, and an RKO kernel of the stride.

    K = p(A) for stride 1, K = R * p(A) otherwise: A = S / max(1, s), S = (V - V^T) / 2 skew, s >= ||S|| from
    `gram_norm`; p of degree `n_terms` with |p(i t)| within 5e-5 of 1 for |t| <= 1 (`unit_polynomial`), so that p(A) is
    the exponential of a skew operator to that accuracy, and never longer than 1; R (out, m s_h s_w) semi-orthogonal,
    seen as a kernel as large as the stride, as in AOC. `n_terms` = 2, 3, 4, 5 turns vectors by up to 11, 38, 78, 128
    degrees. The published kernel is a cut series of exp, with singular values in [0.979, 1.020].

    `kernel_size` is that of the generator, or with a stride that of generator and R together, and decides the output's
    size as in torch. `weight` has n_terms - 1 times the generator's reach more taps on both sides together, which
    `padding` is extended by: 7 x 7 for `kernel_size=3`. A skew kernel has a centre, so where the generator would be
    even, its last row or column is zero.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Every singular value is 1, to 6e-5, under circular padding by
    d (k - 1) in all, of images that the stride divides; with zeros the norm is still at most 1.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair. With a common divisor of it and the stride, the outputs must be few.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        n_terms: Degree of the polynomial, from 2 to 12: a larger one turns farther and makes a larger kernel.

    Raises:
        ValueError: If an argument is not allowed; if dilation and stride together, or a kernel smaller than its stride,
            miss too many pixels.

    Cost: n_terms - 1 compositions and the norm per weight update; at inference a convolution with the larger kernel.
    Paper: Boissin, Mamalet, Fel, Picard, Massena and Serrurier 2025, arXiv:2501.08430; Singla and Feizi 2021,
    arXiv:2105.11417 (SOC).
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
        n_terms: int = 3,
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


@register(
    kind="conv_transpose2d",
    name="adaptive-soc",
    orthogonal=True,
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost=_COST,
)
class AdaptiveSOCConvTranspose2d(_AdaptiveSOC, ExplicitConvTranspose2d):
    """Orthogonal transposed convolution: the adjoint of `AdaptiveSOCConv2d` from `out_channels` to `in_channels`.

    `(N, in, h, w)` -> `(N, out, H, W)` as in torch; with circular padding H = s_h h, W = s_w w. Every singular value
    is 1, to 6e-5, under circular padding by d (k - 1) in all; with zeros the norm is at most 1.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width).
        stride: An int or a pair.
        padding: Pixels cropped from each side, an int or a pair.
        output_padding: Pixels added at the end of each axis ("zeros" only).
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        dilation: An int or a pair. With a common divisor of it and the stride, the outputs must be few.
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        n_terms: As in `AdaptiveSOCConv2d`.

    Raises:
        ValueError: As in `AdaptiveSOCConv2d`.

    Cost: as `AdaptiveSOCConv2d`.
    Paper: Boissin, Mamalet, Fel, Picard, Massena and Serrurier 2025, arXiv:2501.08430.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        n_terms: int = 3,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            groups,
            bias,
            dilation,
            padding_mode,
            device,
            dtype,
        )
        self._prepare(n_terms, device, dtype, transposed=True)
