"""AOC: orthogonal convolutions with strides, dilation and groups, and their adjoints."""

from __future__ import annotations

from typing import Any

import torch
from typing_extensions import override

from onelip.layers.block_kernel import BlockKernel, Rank, block_plan
from onelip.layers.block_start import Start
from onelip.layers.explicit import ExplicitConv2d, ExplicitConvTranspose2d
from onelip.layers.explicit_1d import ExplicitConv1d
from onelip.layers.projection import Projection
from onelip.layers.registry import register

_PAPER = "Boissin et al. 2025, arXiv:2501.08430"
_COST = "one orthogonalisation of a matrix and one of k_h + k_w - s_h - s_w frames, and their composition"


@register(kind="conv2d", name="aoc", orthogonal=True, paddings=("zeros", "circular"), paper=_PAPER, cost=_COST)
class AOCConv2d(BlockKernel, ExplicitConv2d):
    """Orthogonal convolution with an explicit kernel: RKO of size s and stride s after BCOP of size k - s + 1.

    K = R * [P_1, I - P_1] * ... * [P_n, I - P_n]: R (out, m s_h s_w) is semi-orthogonal, seen as a kernel as large as
    the stride; each P = V V^T of rank m // 2 makes a factor of two taps, vertical and horizontal ones in turn,
    n = k_h - s_h + k_w - s_w. Between them are m = max(in, out // (s_h s_w)) channels, of which the first `in` are
    the input's, so the result keeps every singular value at 1, whether it widens or narrows. At stride 1 this is BCOP,
    with a kernel as large as the stride RKO. A kernel smaller than the stride gives a co-isometry, if it can.

    Orthogonal kernels fall into components, one for every choice of ranks, which no continuous path of them leaves,
    and rank m // 2 makes all but a few shifts of the image unreachable. With `rank="free"` the layer learns the ranks:
    P = V diag(round(sin^2((a + pi) / 4))) V^T is a projector for every a, and the gradient is that of the kernel
    without the rounding. It is orthogonal in every state, and starts with half the rank. If m = 1, where half is
    nothing, the place of the single tap is learned that way, by default too. With `rank="doubled"` the kernel is a
    block of one of 2 m channels, all ranks among them: the norm is at most 1 but `orthogonal` is False, since only
    some such blocks keep every singular value at 1.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch. Every singular value is 1 under circular padding by d (k - 1) in
    all, of images that the stride divides, and likewise for stride = kernel without padding; with zeros the norm is
    still at most 1.

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
        orthogonaliser: Projection that makes R and the V orthogonal: "bjorck", "cholesky", "newton-schulz",
            "polar-express" or "qr".
        rank: Rank of the projectors, "half", "free" or "doubled".
        start: Begin at a "random" kernel, or at the "identity", from which deep networks learn faster: with as many
            outputs as inputs, of an even number in each group, an odd kernel, stride 1 and rank "half".

    Raises:
        ValueError: If an argument is not allowed; if dilation and stride together, or a kernel smaller than its stride,
            miss pixels that the outputs would have to keep.

    Cost: the orthogonalisations, then 4 m^2 out k_h k_w operations for each factor at most; nothing at inference.
    Paper: Boissin, Mamalet, Fel, Picard, Massena and Serrurier 2025, arXiv:2501.08430; Li et al. 2019,
    arXiv:1911.00937; Serrurier et al. 2021, arXiv:2006.06520 (RKO).
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
        orthogonaliser: Projection = "polar-express",
        rank: Rank = "half",
        start: Start = "random",
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
        self._compose(block_plan(self.arguments, ranks=rank), rank, orthogonaliser, device, dtype)
        self._begin_at(start)

    @override
    def options(self) -> dict[str, Any]:
        return {**super().options(), "start": self.start}


@register(kind="conv1d", name="aoc", orthogonal=True, paddings=("zeros", "circular"), paper=_PAPER, cost=_COST)
class AOCConv1d(BlockKernel, ExplicitConv1d):
    """Orthogonal 1-D convolution: `AOCConv2d` of height 1, with two-tap factors along the one axis.

    `(N, in, L)` -> `(N, out, L')` as in torch. Every singular value is 1 under circular padding by d (k - 1) in all, of
    signals that the stride divides, and likewise for stride = kernel without padding; with zeros the norm is at most 1.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int.
        stride: An int.
        padding: An int, "same" or "valid".
        dilation: An int. With a common divisor of it and the stride, the outputs must be few.
        groups: A common divisor of the channels.
        bias: Add a learned bias?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        orthogonaliser: As in `AOCConv2d`.
        rank: As in `AOCConv2d`.

    Raises:
        ValueError: As in `AOCConv2d`.

    Cost: as `AOCConv2d`.
    Paper: Boissin, Mamalet, Fel, Picard, Massena and Serrurier 2025, arXiv:2501.08430.
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
        orthogonaliser: Projection = "polar-express",
        rank: Rank = "half",
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
        self._compose(block_plan(self.arguments, ranks=rank), rank, orthogonaliser, device, dtype)


@register(
    kind="conv_transpose2d", name="aoc", orthogonal=True, paddings=("zeros", "circular"), paper=_PAPER, cost=_COST
)
class AOCConvTranspose2d(BlockKernel, ExplicitConvTranspose2d):
    """Orthogonal transposed convolution: the adjoint of `AOCConv2d` from `out_channels` to `in_channels`.

    `(N, in, h, w)` -> `(N, out, H, W)` as in torch; with circular padding H = s_h h, W = s_w w. Every singular value
    is 1 under circular padding by d (k - 1) in all, and with zeros without cropping where the convolution is a
    co-isometry (in <= out s_h s_w); otherwise the norm is at most 1.

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
        orthogonaliser: As in `AOCConv2d`.
        rank: As in `AOCConv2d`.

    Raises:
        ValueError: As in `AOCConv2d`.

    Cost: as `AOCConv2d`.
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
        orthogonaliser: Projection = "polar-express",
        rank: Rank = "half",
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
        self._compose(block_plan(self.arguments, transposed=True, ranks=rank), rank, orthogonaliser, device, dtype)
