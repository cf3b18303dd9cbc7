"""Random convolutions of every kind at one image size, and their norm by torch's own layers and a dense SVD."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

ROUNDING = 1e-12
"""Relative error of the largest singular value of a float64 matrix of some hundred rows, times a hundred."""

MODES = ("zeros", "circular", "reflect", "replicate")

_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Case:
    """A layer, the shape of its input, and the options that the functions under test take."""

    layer: nn.Module
    shape: tuple[int, ...]
    options: dict[str, Any]
    transposed: bool

    @property
    def weight(self) -> Tensor:
        return self.layer.weight.detach()


def cases(n: int, axes: int, modes: tuple[str, ...] = MODES, seed: int = 0) -> Iterator[Case]:
    """Padded convolutions: sizes 4 to 12 (2 to 4 in 3-D), kernels 1 to 4, strides 1 to 3, dilations 1 and 2, groups."""
    chance = random.Random(seed)
    while n:
        stride, dilation, kernel, padding = (
            tuple(chance.randint(low, high) for _ in range(axes)) for low, high in ((1, 3), (1, 2), (1, 4), (0, 3))
        )
        sizes = tuple(chance.randint(*((4, 12) if axes < 3 else (2, 4))) for _ in range(axes))
        groups, mode = chance.choice([1, 1, 2]), chance.choice(modes)
        channels = groups * chance.randint(1, 3), groups * chance.randint(1, 3)
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        fits = all(
            s + 2 * p > r and (p < s or mode in ("zeros", "replicate"))
            for s, p, r in zip(sizes, padding, reach, strict=True)
        )
        if fits:
            n -= 1
            layer = _PLAIN[axes - 1](*channels, kernel, stride, padding, dilation, groups, False, mode)
            options = {"stride": stride, "dilation": dilation, "groups": groups}
            options |= {"pads": tuple((p, p) for p in padding), "mode": mode}
            yield Case(layer, (channels[0], *sizes), options, False)


def transposed_cases(n: int, axes: int, seed: int = 0) -> Iterator[Case]:
    """Transposed convolutions, cropped and with output padding."""
    chance = random.Random(seed)
    while n:
        stride, dilation, kernel, padding = (
            tuple(chance.randint(low, high) for _ in range(axes)) for low, high in ((1, 3), (1, 2), (1, 4), (0, 2))
        )
        extra = tuple(chance.randint(0, max(pair) - 1) for pair in zip(stride, dilation, strict=True))
        sizes = tuple(chance.randint(*((3, 7) if axes < 3 else (2, 3))) for _ in range(axes))
        groups = chance.choice([1, 1, 2])
        channels = groups * chance.randint(1, 3), groups * chance.randint(1, 3)
        each = zip(sizes, stride, padding, dilation, kernel, extra, strict=True)
        if min((m - 1) * s - 2 * p + d * (k - 1) + e + 1 for m, s, p, d, k, e in each) >= 1:
            n -= 1
            layer = _TRANSPOSED[axes - 1](*channels, kernel, stride, padding, extra, groups, False, dilation)
            options = {"stride": stride, "dilation": dilation, "groups": groups}
            options |= {"padding": padding, "output_padding": extra}
            yield Case(layer, (channels[0], *sizes), options, True)


def true_norm(layer: nn.Module, shape: tuple[int, ...]) -> float:
    """Largest singular value of the matrix whose columns are the images of unit vectors, in float64."""
    n = math.prod(shape)
    with torch.no_grad():
        images = layer.double()(torch.eye(n, dtype=torch.float64).reshape(n, *shape))
    return float(torch.linalg.matrix_norm(images.reshape(n, -1), 2))


def norm_from_below(layer: nn.Module, shape: tuple[int, ...], steps: int = 60) -> float:
    """Power iteration on the layer and its vector-Jacobian product: never above the norm."""
    layer, x = layer.double(), torch.randn(1, *shape, dtype=torch.float64)
    for _ in range(steps):
        x = (x / x.norm()).requires_grad_()
        y = layer(x)
        (x,) = torch.autograd.grad(y, x, y.detach())
    return float(y.detach().norm())
