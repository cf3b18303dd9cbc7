"""Deep layer aggregation for small images."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers import Scale
from onelip.linalg import down
from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model
from onelip.models.residual_blocks import BasicBlock, Rescale, check_image, check_rescale, norm

_LEVELS = (1, 2, 2, 1)
"""Levels of the trees."""


@register_model("dla")
def dla(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (16, 16, 32, 64, 128, 256, 512),
    batch_norm: bool = True,
    rescale: Rescale = "none",
) -> nn.Sequential:
    """Deep layer aggregation as it is used on CIFAR: three convolutions, then four trees of residual blocks.

    The names of parameters and buffers are those of the widespread implementation by Liu
    (github.com/kuangliu/pytorch-cifar), whose checkpoints load; it has 43 convolutions and 16,291,386 parameters.
    Convolutions are padded with zeros and have no bias. Instead of its 4x4 mean over what is left of a 32x32 image,
    there is a mean over what is left of any.

    Args:
        input_shape: `(C, H, W)`; of any size for plain layers, multiples of 8 for other methods.
        n_classes: Number of logits.
        method: How layers are made.
        widths: Channels after each of the three convolutions and the four trees.
        batch_norm: Is there batch normalisation? Without, it is left out, and convolutions still have no bias.
        rescale: Which blocks halve their output: "none", as everyone trains it, those with "projections", or "all",
            where concatenations of n images are divided by sqrt(n) too: then the network is 1-Lipschitz if its layers
            are.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Yu, Wang, Shelhamer and Darrell 2017, arXiv:1707.06484.
    """
    check_sizes("dla", lists={"widths": widths})
    check_rescale("dla", rescale, batch_norm)
    check_image("dla", input_shape, method, 8)
    if len(widths) != 3 + len(_LEVELS):
        raise ValueError(f"widths={widths} for model 'dla' must have {3 + len(_LEVELS)} entries")
    channels = [input_shape[0], *widths]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, name in enumerate(("base", "layer1", "layer2")):
        conv = method.conv2d(channels[i], channels[i + 1], 3, padding_mode="zeros", bias=False)
        parts[name] = nn.Sequential(conv, norm(channels[i + 1], batch_norm), method.act(channels[i + 1]))
    for i, levels in enumerate(_LEVELS, start=3):
        maker = _Maker(method, batch_norm, rescale)
        parts[f"layer{i}"] = Tree(maker, levels, channels[i], channels[i + 1], stride=1 if i == 3 else 2)
    parts |= OrderedDict(
        pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), linear=method.dense(channels[-1], n_classes)
    )
    return nn.Sequential(parts)


class _Maker:
    """Makes the blocks and roots of a tree."""

    def __init__(self, method: Method, batch_norm: bool, rescale: Rescale) -> None:
        self.method, self.batch_norm, self.rescale = method, batch_norm, rescale

    def block(self, in_channels: int, width: int, stride: int) -> BasicBlock:
        return BasicBlock(
            self.method, in_channels, width, stride=stride, batch_norm=self.batch_norm, rescale=self.rescale
        )

    def root(self, n_images: int, width: int) -> Root:
        return Root(self.method, n_images, width, batch_norm=self.batch_norm, rescale=self.rescale)


class Root(nn.Module):
    """Aggregate images: concatenate their channels, then a 1x1 convolution, batch normalisation and an activation.

    Shape: a list of n images `(B, width, H, W)` to one.

    Args:
        method: How layers are made.
        n_images: How many, n.
        width: Channels of each, and of the output.
        batch_norm: Is there batch normalisation?
        rescale: With "all", the concatenation is divided by sqrt(n).
    """

    def __init__(self, method: Method, n_images: int, width: int, *, batch_norm: bool, rescale: Rescale) -> None:
        super().__init__()
        self.scale = Scale(down(down(1 / math.sqrt(n_images)))) if rescale == "all" else nn.Identity()
        self.conv = method.conv2d(n_images * width, width, 1, padding_mode="zeros", bias=False)
        self.bn, self.act = norm(width, batch_norm), method.act(width)

    @override
    def forward(self, images: list[Tensor]) -> Tensor:
        y: Tensor = self.act(self.bn(self.conv(self.scale(torch.cat(images, 1)))))
        return y


class Tree(nn.Module):
    """Residual blocks whose outputs are aggregated by one root.

    At one level: a left and a right block in line. At two: a block beside a tree of one level, which is followed by the
    two blocks; the root gets the outputs of all four.

    Shape: `(B, in_channels, H, W)` to `(B, width, ceil(H/stride), ceil(W/stride))`.

    Args:
        maker: Makes its blocks and its root.
        levels: 1 or 2.
        in_channels: Channels of the input.
        width: Channels of the output.
        stride: Of the first block on each path.
    """

    def __init__(self, maker: _Maker, levels: int, in_channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.levels = levels
        if levels > 1:
            self.level_1 = Tree(maker, 1, in_channels, width, stride=stride)
            self.prev_root = maker.block(in_channels, width, stride)
            in_channels, stride = width, 1
        self.left_node = maker.block(in_channels, width, stride)
        self.right_node = maker.block(width, width, 1)
        self.root = maker.root(2 * levels, width)

    @override
    def forward(self, x: Tensor) -> Tensor:
        images = []
        if self.levels > 1:
            images.append(self.prev_root(x))
            x = self.level_1(x)
            images.append(x)
        images.append(self.left_node(x))
        images.append(self.right_node(images[-1]))
        y: Tensor = self.root(images)
        return y
