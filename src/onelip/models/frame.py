"""What surrounds the blocks of LiResNet and BRONet: stem, neck, dense residual layers and head."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from onelip.layers import BatchCentering, L2NormPool2d, PatchMap2d, RegularizedConv2d, UnitNormLinear
from onelip.models.method import Method
from onelip.models.registry import check_sizes

Neck = Literal["patch", "l2"]
"""How images of features shrink before the dense layers."""

_SMALL = 128
"""Pixels along an image's longer side, below which the stem has stride 2."""


@dataclass(frozen=True)
class Frame:
    """The parts of a network around its blocks.

    The stem is a `RegularizedConv2d` with an activation, the neck takes each patch of pixels to one, flattens and maps
    to the dense width. The dense layers are residual ones where their method can be (`depth` of `CholeskyLinear`). The
    head has rows of norm 1, so that certificates are given by the distances of rows.

    Attributes:
        name: The model's name, for messages.
        width: Channels of the blocks.
        dense_width: Features of the dense layers.
        dense_depth: Dense layers after the neck; may be 0.
        neck: "patch" for a dense layer on patches, "l2" for their norm in each channel.
        neck_size: Side of the patches.
        stem: Kernel size and stride of the stem; None for 5 and 2, or 14 and 14 for images from 128 pixels on.
        rank_ratio: Suggested to dense layers that have this option.
    """

    name: str
    width: int
    dense_width: int
    dense_depth: int
    neck: Neck
    neck_size: int
    stem: Sequence[int] | None
    rank_ratio: float = 0.5

    def __post_init__(self) -> None:
        check_sizes(self.name, width=self.width, dense_width=self.dense_width, neck_size=self.neck_size)
        if self.dense_depth != 0:
            check_sizes(self.name, dense_depth=self.dense_depth)
        if self.neck not in get_args(Neck):
            names = ", ".join(map(repr, get_args(Neck)))
            raise ValueError(f"neck={self.neck!r} for model {self.name!r} must be one of {names}")
        if self.stem is not None:
            check_sizes(self.name, lists={"stem": self.stem})
            if len(self.stem) != 2:
                raise ValueError(f"stem={self.stem!r} for model {self.name!r} must be a kernel size and a stride")

    def start(self, input_shape: tuple[int, int, int], method: Method) -> tuple[OrderedDict[str, nn.Module], list[int]]:
        """Make the stem.

        Args:
            input_shape: `(C, H, W)`.
            method: How layers are made.

        Returns:
            Its parts, and height and width of what it gives.

        Raises:
            ValueError: The image is smaller than the kernel.
        """
        channels, *image = input_shape
        kernel, stride = self.stem or ((5, 2) if max(image) < _SMALL else (14, 14))
        padding = kernel // 2 if kernel > stride else 0
        if min(image) + 2 * padding < kernel:
            raise ValueError(f"input_shape={input_shape} is smaller than the stem={[kernel, stride]} of {self.name!r}")
        conv = RegularizedConv2d(channels, self.width, kernel, stride, padding)
        parts: OrderedDict[str, nn.Module] = OrderedDict(stem=conv, stem_act=method.act(self.width))
        return parts, [(n + 2 * padding - kernel) // stride + 1 for n in image]

    def block(self, method: Method, *convolution: nn.Module) -> nn.Sequential:
        """Make a block: a convolution, learned biases around centred channels, and an activation.

        Args:
            method: How layers are made.
            *convolution: The convolution, without a bias, after what comes before it.

        Returns:
            The block.
        """
        *before, conv = convolution
        parts: OrderedDict[str, nn.Module] = OrderedDict(pad=before[0]) if before else OrderedDict()
        parts |= OrderedDict(conv=conv, centre=BatchCentering(self.width), act=method.act(self.width))
        return nn.Sequential(parts)

    def end(self, image: Sequence[int], n_classes: int, method: Method) -> OrderedDict[str, nn.Module]:
        """Make the neck, the dense layers and the head.

        Args:
            image: Height and width of the images of features.
            n_classes: Number of logits.
            method: How layers are made.

        Returns:
            Their parts.

        Raises:
            ValueError: The patches do not divide the image.
        """
        if any(n % self.neck_size for n in image):
            raise ValueError(
                f"neck_size={self.neck_size} for model {self.name!r} does not divide the {image[0]}x{image[1]} pixels "
                f"that reach the neck"
            )
        pixels = math.prod(n // self.neck_size for n in image)
        parts: OrderedDict[str, nn.Module] = OrderedDict(neck=self._neck(method), flatten=nn.Flatten())
        parts["dense"] = self._dense(method, self.width * pixels, self.dense_width)
        parts["dense_act"] = method.act(self.dense_width)
        for i in range(1, self.dense_depth + 1):
            options = {"depth": self.dense_depth, "rank_ratio": self.rank_ratio}
            parts[f"dense{i}"] = method.dense(self.dense_width, self.dense_width, suggested=options)
            parts[f"dense{i}_act"] = method.act(self.dense_width)
        parts["head"] = UnitNormLinear(self.dense_width, n_classes)
        return parts

    def _neck(self, method: Method) -> nn.Module:
        if self.neck == "l2":
            return L2NormPool2d(self.neck_size)
        linear = self._dense(method, self.width * self.neck_size**2, self.width, bias=False)
        try:
            return PatchMap2d(linear, self.neck_size)
        except ValueError as error:
            raise ValueError(
                f"linear={method.linear!r} makes no explicit matrix for the neck='patch' of model {self.name!r}; use "
                f"neck='l2', or a method such as 'cholesky'"
            ) from error

    def _dense(self, method: Method, in_features: int, out_features: int, *, bias: bool = True) -> nn.Module:
        # As many directions are reflected as there are outputs: of the reflector's rows, only so many are used.
        ratio = out_features / in_features if out_features < in_features else self.rank_ratio
        return method.dense(in_features, out_features, bias=bias, suggested={"rank_ratio": ratio})
