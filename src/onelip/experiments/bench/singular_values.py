"""The extreme singular values of a layer's plain form, in float64, measured without the library's own bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelip.layers import to_plain

_SAME = 1e-9
"""Relative distance of two float64 evaluations of one linear map, a thousand times what rounding explains."""

_POINT_SIDE = 4
"""Pixels of a side of the image at which the Jacobian of a nonlinear layer is measured, if its kernel fits."""


@dataclass(frozen=True)
class SingularValues:
    """The extreme singular values of a layer.

    Attributes:
        largest: The norm, of the Jacobian at one random point if the layer is not linear.
        smallest: The smallest on the smaller side.
        linear: Is the layer affine?
    """

    largest: float
    smallest: float
    linear: bool


def singular_values(layer: nn.Module, shape: tuple[int, ...], kernel: int = 1) -> SingularValues:
    """Measure a layer by what its plain form does to inputs, in float64 on the CPU.

    A map of periodic images that commutes with shifts is known from what it makes of one pixel in each channel: its
    singular values are those of one matrix for each frequency. Whether it does so is checked on a random image. Other
    maps are measured by the dense Jacobian at a random point of a small image.

    Args:
        layer: Any module, in eval mode; left as it is.
        shape: Shape of one input.
        kernel: Side of the kernel, at least that of the image for Jacobians.

    Returns:
        The extreme singular values.
    """
    module = _plain(layer, shape)
    with torch.no_grad():
        linear = _is_affine(module, shape)
        matrices = _symbol(module, shape) if linear else None
    if matrices is None:
        side = max(_POINT_SIDE, kernel)
        small = (shape[0], *[min(n, side) for n in shape[1:]])
        matrices = _jacobian(_plain(layer, small), small)
    values = torch.linalg.svdvals(matrices)
    return SingularValues(float(values.max()), float(values.min()), linear)


def _plain(layer: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    like = next((p for p in layer.parameters() if p.is_floating_point()), torch.zeros(()))
    with torch.no_grad():
        # Plain forms that are tied to an image size have that of the last image.
        layer(torch.zeros(1, *shape, device=like.device, dtype=like.dtype))
    return to_plain(layer).double().cpu()


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def _is_affine(module: nn.Module, shape: tuple[int, ...]) -> bool:
    x, y = _random(2, *shape)
    # Of different lengths, so that kinks show.
    fx, fy, both, zero = module(torch.stack([x, 10 * y, x + 10 * y, torch.zeros_like(x)]))
    return bool((fx + fy - both - zero).abs().max() <= _SAME * both.abs().max().clamp_min(1))


def _symbol(module: nn.Module, shape: tuple[int, ...]) -> Tensor | None:
    channels, axes = shape[0], tuple(range(-len(shape) + 1, 0))
    zero = module(torch.zeros(1, *shape, dtype=torch.float64))
    if zero.shape[2:] != torch.Size(shape[1:]):
        return None
    impulses = torch.zeros(channels, *shape, dtype=torch.float64)
    impulses.reshape(channels, channels, -1)[:, :, 0] = torch.eye(channels, dtype=torch.float64)
    responses = module(impulses) - zero
    image = _random(1, *shape)
    if not axes:
        return responses.mT
    spectrum = torch.fft.fftn(responses, dim=axes)
    product = torch.einsum("io...,ni...->no...", spectrum, torch.fft.fftn(image, dim=axes))
    predicted, result = torch.fft.ifftn(product, dim=axes).real, module(image) - zero
    if (predicted - result).abs().max() > _SAME * result.abs().max().clamp_min(1):
        return None
    return spectrum.flatten(2).permute(2, 1, 0)


def _jacobian(module: nn.Module, shape: tuple[int, ...]) -> Tensor:
    x = _random(1, *shape)
    with torch.no_grad():
        outputs = module(x).numel()
    copies = x.expand(outputs, *shape).clone().requires_grad_()
    total = module(copies).flatten(1).diagonal().sum()
    (gradient,) = torch.autograd.grad(total, copies)
    return gradient.reshape(outputs, math.prod(shape))
