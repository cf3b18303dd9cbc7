"""1-Lipschitz pooling with fixed windows: scaled average and l2 norm."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from onelip.layers.conv_arguments import checked_pair
from onelip.layers.leaf import PlainLayer
from onelip.layers.registry import register
from onelip.layers.windows import root_down, safe_sqrt, sliding_multiplicity, sliding_overlap

_PAPER = "Serrurier et al. 2021, arXiv:2006.06520, appendix; the factor for overlapping windows is our own"


class _Pool2d(PlainLayer):
    """Checked arguments of a pooling layer, and its `factor`."""

    def __init__(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool) -> None:
        super().__init__()
        owner = type(self).__name__
        self.kernel_size = checked_pair(owner, "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else checked_pair(owner, "stride", stride, 1)
        self.padding = checked_pair(owner, "padding", padding, 0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"padding={padding!r} in {owner} must be at most half of kernel_size={kernel_size!r}")
        if not isinstance(ceil_mode, bool):
            raise ValueError(f"ceil_mode={ceil_mode!r} in {owner} must be True or False")
        self.ceil_mode = ceil_mode

    def _sum_windows(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, divisor_override=1)

    @override
    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, ceil_mode={self.ceil_mode}"
        )


@register(kind="pool", name="scaled-avg", paper=_PAPER)
class ScaledAvgPool2d(_Pool2d):
    """Multiply the average of each window by the root of its size: an average that keeps the norm of flat images.

    y = factor * sum over the window, with factor = 1/sqrt(kernel pixels) if windows do not overlap (stride >= kernel),
    and otherwise 1/sqrt(m_h m_w), where m = k + 2 sum_{j>=1} max(0, k - s j) bounds the squared norm of 1-D window
    sums. Pixels added by `padding` or by `ceil_mode` count as zeros and never change the factor. The factor is
    rounded down, so the constant is exactly 1.

    Shape: `(..., C, H, W)` to `(..., C, H', W')` with the sizes of `torch.nn.AvgPool2d`.

    Args:
        kernel_size: Window, an int or (height, width).
        stride: Distance between windows; None for the window size.
        padding: Zeros around the image, at most half a window.
        ceil_mode: Also use windows that reach beyond the image?

    Raises:
        ValueError: If an argument is not allowed.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        overlap_h, overlap_w = map(sliding_overlap, self.kernel_size, self.stride)
        self.factor = root_down(Fraction(1, overlap_h * overlap_w))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self._sum_windows(x) * self.factor


@register(kind="pool", name="l2-norm", paper=_PAPER)
class L2NormPool2d(_Pool2d):
    """Replace each window by its l2 norm.

    y = factor * sqrt(sum of squares over the window), with factor = 1 if windows do not overlap and otherwise
    1/sqrt(number of windows that can share a pixel), rounded down; the constant is exactly 1. The derivative at a
    window of zeros is defined as 0. Squares under- and overflow: use inputs between 1e-18 and 1e18 in float32.

    Shape: `(..., C, H, W)` to `(..., C, H', W')` with the sizes of `torch.nn.AvgPool2d`.

    Args:
        kernel_size: Window, an int or (height, width).
        stride: Distance between windows; None for the window size.
        padding: Zeros around the image, at most half a window.
        ceil_mode: Also use windows that reach beyond the image?

    Raises:
        ValueError: If an argument is not allowed.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        shared_h, shared_w = map(sliding_multiplicity, self.kernel_size, self.stride)
        self.factor = root_down(Fraction(1, shared_h * shared_w))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return safe_sqrt(self._sum_windows(x.square())) * self.factor
