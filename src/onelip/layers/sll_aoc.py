"""SLL x AOC: a residual block that changes channels and resolution, an SLL layer between orthogonal ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.aoc import AOCConv2d
from onelip.layers.aoc_linear import AOCLinear
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import ConvArguments, Pair, conv_arguments, positive_int
from onelip.layers.projection import Projection, projection
from onelip.layers.registry import register
from onelip.layers.sll import SLLConv2d, SLLLinear
from onelip.linalg import Bound, multiply_up

_PAPER = (
    "Boissin et al. 2025, arXiv:2501.08430 (Orthogonium); Araujo, Havens, Delattre, Allauzen and Hu 2023, "
    "arXiv:2303.03169"
)


def bound_of_parts(*parts: Bound) -> Bound:
    """Bound a composition by the product of the bounds of its parts.

    Args:
        *parts: In the order in which they act.

    Returns:
        The bound, proved if all are.
    """
    value = 1.0
    for part in parts:
        value = multiply_up(value, part.value)
    return Bound(value, all(part.proved for part in parts), ", ".join(part.method for part in parts))


def output_frame(a: ConvArguments) -> tuple[int, int, int, int]:
    """Pixels to add around a full image so that windows of the stride's size give the output size of a convolution.

    Padding "same" and the like (twice the padding is the reach of the kernel) adds only what fills the last window: no
    pixel in images that the stride divides, so that the windows partition them. Wider padding is split between the
    sides, and so is what narrower padding crops.

    Args:
        a: Arguments of the convolution.

    Returns:
        (left, right, top, bottom), negative where pixels are cropped.
    """
    left, right, top, bottom = a.pads
    sides: list[tuple[int, int]] = []
    axes = zip((top + bottom, left + right), a.extent, a.stride, strict=True)
    for given, extent, stride in axes:
        excess = given - (extent - 1)
        total = excess + stride - 1
        before = (max(excess, 0) + 1) // 2 - max(-total, 0) // 2
        sides.append((before, total - before))
    return *sides[1], *sides[0]


@register(
    kind="conv2d",
    name="sll-aoc",
    paddings=("zeros", "circular"),
    paper=_PAPER,
    cost="that of SLL and of two AOC kernels as large as the stride",
)
class SLLxAOCConv2d(ConstrainedModule):
    """y = P (z - 2 W^T relu(W z + b)) with z = Q x: a residual that may widen, narrow and stride.

    Q (`pre`) is an orthogonal convolution of stride 1 and size s, W (`residual`) an SLL convolution of size k - s + 1,
    so that W Q has size k, and P (`post`) an orthogonal one of size s and stride s to the output channels. Opened up it
    is y = (P Q) x - (P W^T) 2 relu((W Q) x + b): a skip connection that is itself a strided orthogonal convolution.
    The constant is at most 1 * max(1, 2 |W|^2 - 1) * 1 = 1, for zero and circular padding at every image size.

    The three factors are applied one after the other, since one kernel of P Q is the composition only away from the
    border of zero padding. Q and W keep the image; their result is cropped or framed with zeros to the size from which
    P makes that of `torch.nn.Conv2d` (`output_frame`). Not orthogonal; the ReLU is part of the layer.

    `(N, in, H, W)` -> `(N, out, H', W')` as in torch.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: An int or (height, width), of W Q.
        stride: An int or a pair, of P.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair, of W.
        groups: A common divisor of the channels.
        bias: Add a learned bias inside the ReLU?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        inner_channels: Channels between W and W^T; None for as many as in the input.
        orthogonaliser: As in `AOCConv2d`, for P and Q.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: see `SLLConv2d` and `AOCConv2d`; at inference four convolutions.
    Paper: Boissin, Mamalet, Fel, Picard, Massena and Serrurier 2025, arXiv:2501.08430 and its library Orthogonium;
    Araujo, Havens, Delattre, Allauzen and Hu 2023, arXiv:2303.03169.
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
        *,
        inner_channels: int | None = None,
        orthogonaliser: Projection = "polar-express",
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        a = conv_arguments(
            owner, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, padding_mode
        )
        self.arguments = a
        self.inner_channels = _inner(owner, inner_channels, in_channels, groups)
        self.orthogonaliser = orthogonaliser
        projection(owner, orthogonaliser)
        first, rest = _sizes(a)
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        same: dict[str, Any] = {"padding": "same", "groups": groups, "padding_mode": padding_mode, **place}
        how: dict[str, Any] = {"bias": False, "orthogonaliser": orthogonaliser}
        width = in_channels
        self.pre = AOCConv2d(width, width, first, **same, **how)
        self.residual = SLLConv2d(
            width, width, rest, dilation=a.dilation, bias=bias, inner_channels=self.inner_channels, **same
        )
        self.post = AOCConv2d(width, out_channels, a.stride, a.stride, groups=groups, **place, **how)
        # Images that the parts refuse are refused under this layer's name.
        parts = (a, self.pre.arguments, self.residual.arguments)
        self._checks = tuple(replace(part, owner=owner) for part in parts)
        self._frame = output_frame(a)

    @override
    def forward(self, x: Tensor) -> Tensor:
        for arguments in self._checks:
            arguments.check_image(x.shape[-2], x.shape[-1])
        y = self.residual(self.pre(x))
        output: Tensor = self.post(F.pad(y, self._frame) if any(self._frame) else y)
        return output

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return bound_of_parts(*(part.lipschitz_bound() for part in (self.pre, self.residual, self.post)))

    @override
    def to_plain(self) -> nn.Module:
        frame = [nn.ZeroPad2d(self._frame)] if any(self._frame) else []
        return nn.Sequential(self.pre.to_plain(), self.residual.to_plain(), *frame, self.post.to_plain()).eval()

    @override
    def extra_repr(self) -> str:
        a = self.arguments
        shown = [f"{a.in_channels}", f"{a.out_channels}"]
        for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
            shown.append(f"{name}={getattr(a, name)!r}")
        shown += [f"bias={self.residual.bias is not None}", f"padding_mode={a.padding_mode!r}"]
        return ", ".join([*shown, f"inner_channels={self.inner_channels}", f"orthogonaliser={self.orthogonaliser!r}"])


@register(
    kind="linear",
    name="sll-aoc",
    paper=_PAPER,
    cost="that of SLL, and the orthogonalisation of an (in, in) and an (out, in) matrix",
)
class SLLxAOCLinear(ConstrainedModule):
    """y = P (z - 2 W^T relu(W z + b)) with z = Q x, Q and P semi-orthogonal and W as in SLL: a residual that may widen.

    `(..., in)` -> `(..., out)`. The constant is at most 1 * max(1, 2 |W|^2 - 1) * 1 = 1. Not orthogonal; the ReLU is
    part of the layer.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias inside the ReLU?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        inner_features: Size between W and W^T; None for that of the input.
        orthogonaliser: As in `AOCConv2d`, for P and Q.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: see `SLLLinear` and `AOCLinear`; at inference four products.
    Paper: as `SLLxAOCConv2d`, whose form on one pixel it is.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        inner_features: int | None = None,
        orthogonaliser: Projection = "polar-express",
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.in_features = positive_int(owner, "in_features", in_features)
        self.out_features = positive_int(owner, "out_features", out_features)
        inner = in_features if inner_features is None else positive_int(owner, "inner_features", inner_features)
        self.inner_features, self.orthogonaliser = inner, orthogonaliser
        projection(owner, orthogonaliser)
        self.pre = AOCLinear(in_features, in_features, False, device, dtype, orthogonaliser=orthogonaliser)
        self.residual = SLLLinear(in_features, in_features, bias, device, dtype, inner_features=inner)
        self.post = AOCLinear(in_features, out_features, False, device, dtype, orthogonaliser=orthogonaliser)

    @override
    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.post(self.residual(self.pre(x)))
        return output

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return bound_of_parts(*(part.lipschitz_bound() for part in (self.pre, self.residual, self.post)))

    @override
    def to_plain(self) -> nn.Module:
        return nn.Sequential(self.pre.to_plain(), self.residual.to_plain(), self.post.to_plain()).eval()

    @override
    def extra_repr(self) -> str:
        shown = [f"{self.in_features}", f"{self.out_features}", f"bias={self.residual.bias is not None}"]
        return ", ".join([*shown, f"inner_features={self.inner_features}", f"orthogonaliser={self.orthogonaliser!r}"])


def _inner(owner: str, inner_channels: int | None, in_channels: int, groups: int) -> int:
    inner = in_channels if inner_channels is None else positive_int(owner, "inner_channels", inner_channels)
    if inner % groups:
        raise ValueError(f"groups={groups} does not divide inner_channels={inner} in {owner}; use a divisor")
    return inner


def _sizes(a: ConvArguments) -> tuple[Pair, Pair]:
    # Kernel sizes of Q and W, which together make that of the layer.
    (kh, kw), (sh, sw) = a.kernel_size, a.stride
    # An orthogonal kernel on one channel is one tap of +1 or -1.
    first = (min(kh, sh), min(kw, sw)) if a.in_channels > a.groups else (1, 1)
    return first, (kh - first[0] + 1, kw - first[1] + 1)
