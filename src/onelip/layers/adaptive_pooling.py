"""1-Lipschitz pooling to a given output size: scaled average and l2 norm."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import positive_int
from onelip.layers.leaf import plain_copy
from onelip.layers.registry import register
from onelip.layers.windows import adaptive_multiplicity, adaptive_sum_scales, adaptive_windows, safe_sqrt
from onelip.linalg import UNIT_ROUNDOFF, Bound, gamma

_PAPER = "Serrurier et al. 2021, arXiv:2006.06520, appendix; the factor for overlapping windows is our own"

# The scales of rows and columns are float64 numbers within a few roundings of what the formula says.
_BOUND = Bound(1 + gamma(8) + UNIT_ROUNDOFF, True, "window overlap")


class _AdaptivePool2d(ConstrainedModule):
    """The output size of an adaptive pooling layer."""

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        owner = type(self).__name__
        both = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size, output_size)
        if len(both) != 2:
            raise ValueError(f"output_size={output_size!r} in {owner} must be an integer, None, or two of them")
        for size in both:
            if size is not None:
                positive_int(owner, "output_size", size)
        self.output_size: tuple[int | None, int | None] = both

    def _sizes(self, x: Tensor) -> tuple[int, int]:
        height, width = self.output_size
        return x.shape[-2] if height is None else height, x.shape[-1] if width is None else width

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return _BOUND

    @override
    def to_plain(self) -> torch.nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


def _outer(rows: list[float], columns: list[float], like: Tensor) -> Tensor:
    # Formed in float64 on the host, rounded once.
    outer = torch.outer(
        torch.tensor(rows, dtype=torch.float64, device="cpu"), torch.tensor(columns, dtype=torch.float64, device="cpu")
    )
    return outer.to(like.device, like.dtype)


@register(kind="pool", name="adaptive-scaled-avg", paper=_PAPER)
class AdaptiveScaledAvgPool2d(_AdaptivePool2d):
    """Average the windows of `nn.AdaptiveAvgPool2d`, each multiplied by the root of its size.

    Where the output size does not divide the image, windows overlap, and everything is divided by the root of the
    largest row sum of their Gram matrix (`windows.adaptive_sum_scales`). Constant 1 up to float64 rounding of the
    scales, at every image size.

    Shape: `(..., C, H, W)` to `(..., C, H', W')`.

    Args:
        output_size: (H', W'), or one number for both; None keeps the size of the input.

    Raises:
        ValueError: If a size is not a positive integer or None.
    """

    @override
    def forward(self, x: Tensor) -> Tensor:
        sizes = self._sizes(x)
        scales = [
            [scale * (end - start) for scale, (start, end) in zip(adaptive_sum_scales(*axis), windows, strict=True)]
            for axis in zip(x.shape[-2:], sizes, strict=True)
            for windows in [adaptive_windows(*axis)]
        ]
        return F.adaptive_avg_pool2d(x, sizes) * _outer(scales[0], scales[1], x)


@register(kind="pool", name="adaptive-l2-norm", paper=_PAPER)
class AdaptiveL2NormPool2d(_AdaptivePool2d):
    """Take the l2 norm of each window of `nn.AdaptiveAvgPool2d`.

    Where the output size does not divide the image, windows overlap, and everything is divided by the root of the
    number of windows that share a pixel. Constant 1 up to float64 rounding of that factor, at every image size. The
    derivative at a window of zeros is defined as 0. Squares under- and overflow: use inputs between 1e-18 and 1e18 in
    float32.

    Shape: `(..., C, H, W)` to `(..., C, H', W')`.

    Args:
        output_size: (H', W'), or one number for both; None keeps the size of the input.

    Raises:
        ValueError: If a size is not a positive integer or None.
    """

    @override
    def forward(self, x: Tensor) -> Tensor:
        sizes = self._sizes(x)
        counts = [
            [(end - start) / adaptive_multiplicity(*axis) for start, end in adaptive_windows(*axis)]
            for axis in zip(x.shape[-2:], sizes, strict=True)
        ]
        return safe_sqrt(F.adaptive_avg_pool2d(x.square(), sizes) * _outer(counts[0], counts[1], x))
