"""Blocks of two or three convolutions with batch normalisation and a skip connection, as in ResNets."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

from torch import Tensor, nn
from typing_extensions import override

from onelip.layers import Scale
from onelip.models.method import PLAIN, Method
from onelip.models.registry import check_choice, check_flags

Rescale = Literal["none", "projections", "all"]
"""Which blocks halve their output."""


def norm(channels: int, batch_norm: bool) -> nn.Module:
    """Make a batch normalisation, or what stands in its place.

    Args:
        channels: Channels of its input.
        batch_norm: Is there one?

    Returns:
        The layer; the identity without.
    """
    return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()


class Block(Protocol):
    """A class of blocks; see `BasicBlock`."""

    expansion: int

    def __call__(
        self, method: Method, in_channels: int, width: int, *, stride: int, batch_norm: bool, rescale: Rescale
    ) -> nn.Module:
        """Make a block."""


class BasicBlock(nn.Module):
    """y = a s phi(bn(K2 * phi(bn(K1 * x))) + shortcut(x)), with 3x3 kernels.

    The shortcut is x where the shapes agree, else a projection: a convolution and a batch normalisation. The plain
    projection is 1x1, and skips pixels if the stride exceeds 1; that of other methods is as large as the stride.
    Convolutions have no bias. The factor s is 1/2 where `rescale` says so: then the block is 1-Lipschitz if its parts
    are. Without batch normalisation the convolutions follow each other directly.

    Shape: `(B, in_channels, H, W)` to `(B, width, ceil(H/stride), ceil(W/stride))`.

    Args:
        method: How layers are made.
        in_channels: Channels of the input.
        width: Channels of the output.
        stride: Of the first convolution and the projection.
        batch_norm: Is there batch normalisation?
        rescale: Which blocks halve their output: "none", those with "projections", or "all".

    Paper:
        He, Zhang, Ren and Sun 2015, arXiv:1512.03385.
    """

    expansion = 1

    def __init__(
        self, method: Method, in_channels: int, width: int, *, stride: int, batch_norm: bool, rescale: Rescale
    ) -> None:
        super().__init__()
        self.conv1 = _conv(method, in_channels, width, 3, stride)
        self.bn1, self.act1 = norm(width, batch_norm), method.act(width)
        self.conv2 = _conv(method, width, width, 3, 1)
        self.bn2, self.act2 = norm(width, batch_norm), method.act(width)
        self.shortcut = _shortcut(method, in_channels, width, stride, batch_norm)
        self.scale = _scale(self.shortcut, rescale)

    @override
    def forward(self, x: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        y: Tensor = self.scale(self.act2(branch + self.shortcut(x)))
        return y


class Bottleneck(nn.Module):
    """A block of a 1x1, a 3x3 and a 1x1 convolution; the last widens to four times `width`.

    Everything else is as in `BasicBlock`; the stride is that of the middle convolution.

    Shape: `(B, in_channels, H, W)` to `(B, 4 width, ceil(H/stride), ceil(W/stride))`.

    Args:
        method: How layers are made.
        in_channels: Channels of the input.
        width: Channels in the middle.
        stride: Of the middle convolution and the projection.
        batch_norm: Is there batch normalisation?
        rescale: Which blocks halve their output.

    Paper:
        He, Zhang, Ren and Sun 2015, arXiv:1512.03385.
    """

    expansion = 4

    def __init__(
        self, method: Method, in_channels: int, width: int, *, stride: int, batch_norm: bool, rescale: Rescale
    ) -> None:
        super().__init__()
        wide = self.expansion * width
        self.conv1 = _conv(method, in_channels, width, 1, 1)
        self.bn1, self.act1 = norm(width, batch_norm), method.act(width)
        self.conv2 = _conv(method, width, width, 3, stride)
        self.bn2, self.act2 = norm(width, batch_norm), method.act(width)
        self.conv3 = _conv(method, width, wide, 1, 1)
        self.bn3, self.act3 = norm(wide, batch_norm), method.act(wide)
        self.shortcut = _shortcut(method, in_channels, wide, stride, batch_norm)
        self.scale = _scale(self.shortcut, rescale)

    @override
    def forward(self, x: Tensor) -> Tensor:
        branch = self.act2(self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x))))))
        y: Tensor = self.scale(self.act3(self.bn3(self.conv3(branch)) + self.shortcut(x)))
        return y


def check_rescale(where: str, rescale: str, batch_norm: bool) -> None:
    """Check the options of blocks.

    Args:
        where: The model's name.
        rescale: Which blocks halve their output.
        batch_norm: Is there batch normalisation?

    Raises:
        ValueError: One of them is not allowed.
    """
    check_choice(where, "rescale", rescale, get_args(Rescale))
    check_flags(where, batch_norm=batch_norm)


def check_image(where: str, input_shape: tuple[int, int, int], method: Method, unit: int) -> None:
    """Check that the strides divide the image, where the projections of a method need it.

    Args:
        where: The model's name.
        input_shape: `(C, H, W)`.
        method: How layers are made.
        unit: Product of the strides.

    Raises:
        ValueError: They do not.
    """
    _, height, width = input_shape
    if method.layer != PLAIN and (height % unit or width % unit):
        raise ValueError(
            f"input_shape={input_shape} does not fit model {where!r} with layer={method.layer!r}; "
            f"height and width must be multiples of {unit}"
        )


def _conv(method: Method, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> nn.Module:
    return method.conv2d(in_channels, out_channels, kernel_size, stride=stride, padding_mode="zeros", bias=False)


def _shortcut(method: Method, in_channels: int, out_channels: int, stride: int, batch_norm: bool) -> nn.Sequential:
    if stride == 1 and in_channels == out_channels:
        return nn.Sequential()
    # A kernel smaller than the stride cannot be orthogonal on all of the image.
    conv = _conv(method, in_channels, out_channels, 1 if method.layer == PLAIN else stride, stride)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels)) if batch_norm else nn.Sequential(conv)


def _scale(shortcut: nn.Sequential, rescale: Rescale) -> nn.Module:
    halves = rescale == "all" or (rescale == "projections" and len(shortcut) > 0)
    return Scale(0.5) if halves else nn.Identity()
