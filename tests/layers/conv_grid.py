"""A sample of all shapes of convolutions, and the norms of layers built on it by dense matrices in float64."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import torch
from tests.layers.dense import singular_values
from torch import nn

ENTRIES = 600
"""Largest input of a case, so that its dense matrix has a quick decomposition."""


def sampled_cases(count: int, *, square: bool = False, seed: int = 0) -> list[dict[str, Any]]:
    """Draw cases of kernel size, channels, stride, dilation, groups, image and padding, without those torch refuses.

    Args:
        count: Number of cases.
        square: Only equal channels and stride 1?
        seed: Of the draw.

    Returns:
        The arguments of a convolution, and `image`.
    """
    kernels, channels = (1, 2, 3, 4, 5), (1, 2, 3, 4, 8, 16)
    every = list(
        itertools.product(
            kernels, channels, channels, (1, 2, 4), (1, 2), (1, 2, 4), ((5, 7), (8, 8), (16, 16)), ("circular", "zeros")
        )
    )
    random.Random(seed).shuffle(every)
    found = []
    for kernel, n_in, n_out, stride, dilation, groups, image, mode in every:
        padding = dilation * (kernel - 1) // 2
        fits = min(image) + 2 * padding > dilation * (kernel - 1) and padding <= min(image)
        divides = mode == "zeros" or padding == 0 or all(size % stride == 0 for size in image)
        small = max(n_in, n_out) * image[0] * image[1] <= ENTRIES
        if n_in % groups or n_out % groups or not (fits and divides and small):
            continue
        if square and (n_in != n_out or stride > 1):
            continue
        found.append(
            {
                "in_channels": n_in,
                "out_channels": n_out,
                "kernel_size": kernel,
                "stride": stride,
                "padding": padding,
                "dilation": dilation,
                "groups": groups,
                "padding_mode": mode,
                "image": image,
            }
        )
        if len(found) == count:
            break
    return found


def case_name(case: dict[str, Any]) -> str:
    """Test id of a case."""
    return "-".join(str(value).replace(" ", "") for value in case.values())


def largest_gain(layer: nn.Module, case: dict[str, Any]) -> float:
    """The norm of the layer on the image of the case."""
    return float(singular_values(layer, (case["in_channels"], *case["image"]))[0])


def randomised(make: Callable[..., Any], case: dict[str, Any], scale: float = 1.0, seed: int = 0) -> Any:
    """Build a layer in float64 with normal raw parameters.

    Args:
        make: Its class.
        case: From `sampled_cases`.
        scale: Standard deviation of the raw parameters.
        seed: Of the draw.

    Returns:
        The layer.
    """
    layer = make(**{k: v for k, v in case.items() if k != "image"}, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for raw in layer.raw:
            raw.copy_(scale * torch.randn(raw.shape, generator=generator, dtype=raw.dtype))
    return layer
