"""Convolutions as convolutions on a torus, where the Fourier transform makes a small matrix of every frequency."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.spectral.tensor_train import TTConv2d

Pair = tuple[int, int]
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Torus:
    """The convolution on a torus that stands for a layer; for a transposed one, that whose adjoint it is.

    Attributes:
        size: Frequencies along each axis: pixels of the torus divided by the stride.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.
        gain: What the norm on the torus is to be multiplied by.
    """

    size: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1
    gain: float = 1.0


@dataclass(frozen=True)
class _Axis:
    pixels: int
    taps: int
    stride: int
    dilation: int
    pads: Pair

    @property
    def reach(self) -> int:
        return self.dilation * (self.taps - 1) + 1


def has_torus(module: nn.Module) -> bool:
    """Is a module a dense layer or a convolution of one or two axes, transposed and tensor trains included?

    Args:
        module: Any module.

    Returns:
        Whether `torus_kernel` and the others accept it.
    """
    return isinstance(module, (*_CONVOLUTIONS, nn.Linear, TTConv2d))


def torus_kernel(module: nn.Module) -> Tensor:
    """Give the weight of a layer as a kernel, with gradients.

    Args:
        module: One that `has_torus`.

    Returns:
        (out, in/groups, kh, kw); of a transposed convolution (in, out/groups, kh, kw); of a dense layer of one tap.
    """
    weight = cast(Tensor, module.weight)
    if isinstance(module, nn.Linear):
        return weight[:, :, None, None]
    return weight[:, :, None] if weight.ndim == 3 else weight


def published_torus(module: nn.Module, input_shape: tuple[int, ...]) -> Torus:
    """Find the torus of the pixels of the input, whatever the padding, enlarged to the kernel and the stride.

    Args:
        module: One that `has_torus`.
        input_shape: Shape of one input, without the batch.

    Returns:
        The torus; its norm is the layer's own only for circular padding.
    """
    if isinstance(module, nn.Linear):
        return Torus((1, 1))
    axes = _axes(module, input_shape)
    least = [math.ceil(axis.reach / axis.stride) for axis in axes]
    pixels = [axis.pixels if isinstance(module, _TRANSPOSED) else math.ceil(axis.pixels / axis.stride) for axis in axes]
    return _torus(module, axes, [max(pair) for pair in zip(pixels, least, strict=True)])


def covering_torus(module: nn.Module, input_shape: tuple[int, ...]) -> Torus:
    """Find a torus on which the norm, times the gain, is at least that of the layer.

    With zero padding the layer is a part of the convolution on any torus that has room for the padding between the
    image's ends. With circular padding the torus is the image; a stride that does not divide it is left out, and the
    gain counts outputs that are there several times. Reflected and replicated pixels give a gain as well.

    Args:
        module: One that `has_torus`.
        input_shape: Shape of one input, without the batch.

    Returns:
        The torus.
    """
    if isinstance(module, nn.Linear):
        return Torus((1, 1))
    axes = _axes(module, input_shape)
    if isinstance(module, _TRANSPOSED):
        return _torus(module, axes, [axis.pixels - 1 + math.ceil(axis.reach / axis.stride) for axis in axes])
    mode = str(_convolution(module).padding_mode)
    if mode == "circular":
        axes = [
            axis if axis.pixels % axis.stride == 0 else _Axis(axis.pixels, axis.taps, 1, axis.dilation, axis.pads)
            for axis in axes
        ]
        size = [axis.pixels // axis.stride for axis in axes]
        return _torus(module, axes, size, [_repetitions(axis) for axis in axes])
    if mode == "zeros":
        return _torus(module, axes, [math.ceil((a.pixels + max(a.pads)) / a.stride) for a in axes])
    size = [math.ceil((axis.pixels + sum(axis.pads)) / axis.stride) for axis in axes]
    return _torus(module, axes, size, [_copies(axis, mode) for axis in axes])


def _torus(module: nn.Module, axes: list[_Axis], size: list[int], counts: list[int] | None = None) -> Torus:
    (height, width), (v, h) = size, axes
    gain = math.sqrt(math.prod(counts or [1]))
    groups = int(_convolution(module).groups)
    return Torus((height, width), (v.stride, h.stride), (v.dilation, h.dilation), groups, gain)


def _convolution(module: nn.Module) -> nn.Conv2d:
    # All convolutions have the attributes that are read here.
    return cast(nn.Conv2d, module.core if isinstance(module, TTConv2d) else module)


def _axes(module: nn.Module, input_shape: tuple[int, ...]) -> list[_Axis]:
    conv = _convolution(module)
    count = len(conv.kernel_size)
    axes = [_Axis(1, 1, 1, 1, (0, 0))] * (2 - count)
    for axis, pixels in enumerate(input_shape[-count:]):
        k, s, d = conv.kernel_size[axis], conv.stride[axis], conv.dilation[axis]
        if isinstance(conv.padding, str):
            total = d * (k - 1) if conv.padding == "same" else 0
            pads = (total // 2, total - total // 2)
        else:
            pads = (conv.padding[axis], conv.padding[axis])
        axes.append(_Axis(pixels, k, s, d, pads))
    return axes


def _repetitions(axis: _Axis) -> int:
    # How often an output of the torus is among those of the layer.
    starts = range(-axis.pads[0], axis.pixels + axis.pads[1] - axis.reach + 1, axis.stride)
    return max(Counter(start % axis.pixels for start in starts).values(), default=1)


def _copies(axis: _Axis, mode: str) -> int:
    # How often a pixel is in the padded image, at most.
    if not any(axis.pads):
        return 1
    line = torch.arange(axis.pixels, dtype=torch.float64, device="cpu")[None, None]
    return int(F.pad(line, axis.pads, mode=mode).long().flatten().bincount().max())
