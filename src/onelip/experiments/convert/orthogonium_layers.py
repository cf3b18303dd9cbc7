"""Weights of the layers of Orthogonium."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from onelip.experiments.convert.compared_layers import ORIGINAL
from onelip.experiments.convert.layer_rules import Loaded, Source, assign_nearest_, put_, register_rule
from onelip.linalg.block_convolution import HEIGHT, WIDTH
from onelip.linalg.polar import polar_factor


@register_rule("OrthoLinear", into=("AOCLinear", "BjorckLinear", "PolarExpressLinear", "NewtonSchulzLinear"))
def _ortho_linear(layer: Any, source: Source) -> Loaded:
    put_(layer, source, {"raw_weight": source.tensor(ORIGINAL), "bias": source.bias})
    return Loaded(True)


@register_rule("UnitNormLinear", into=("UnitNormLinear",))
def _unit_norm(layer: Any, source: Source) -> Loaded:
    put_(layer, source, {"raw_weight": source.tensor(ORIGINAL), "bias": source.bias})
    return Loaded(True)


@register_rule("AOLConv2D", "AOLConvTranspose2D", into=("AOLConv2d", "AOLConvTranspose2d"))
def _aol(layer: Any, source: Source) -> Loaded:
    put_(layer, source, {"raw_weight": source.tensor(ORIGINAL), "bias": source.bias})
    return Loaded(True)


@register_rule("SDPBasedLipschitzResBlock", into=("SLLConv2d",))
def _sll(layer: Any, source: Source) -> Loaded:
    kernel = source.tensor("parametrizations.kernel.original")
    # Their weights q of the row sums cancel.
    put_(layer, source, {"raw_weight": kernel, "log_q": kernel.new_zeros(len(kernel)), "bias": source.bias})
    return Loaded(True)


@register_rule("SDPBasedLipschitzDense", into=("SLLLinear",))
def _sll_dense(layer: Any, source: Source) -> Loaded:
    weight = source.tensor("weight")
    put_(layer, source, {"raw_weight": weight, "log_q": source.tensor("q")})
    scale = weight.norm(dim=1) / layer.weight.double().norm(dim=1)
    put_(layer, source, {"bias": None if source.bias is None else source.bias / scale})
    return Loaded(True)


def two_tap_order(n: int) -> list[int]:
    """Say in which order 2x2 kernels are composed: in pairs of both halves while their number is even.

    Args:
        n: Their number.

    Returns:
        Their indices, that which acts first first.
    """
    chains = [[i] for i in range(n)]
    while len(chains) % 2 == 0 and chains:
        half = len(chains) // 2
        chains = [first + second for first, second in zip(chains[:half], chains[half:], strict=True)]
    return [i for chain in chains for i in chain]


def block_parts(raw: Tensor, kernel_size: int) -> tuple[Tensor, Tensor]:
    """Split the parameter of a block convolution into its 1x1 kernel and its two-tap factors.

    Args:
        raw: (groups, 2 k, c, c // 2).
        kernel_size: k.

    Returns:
        The matrix (groups, c, c), a product of two reflections, and frames (2 (k - 1), groups, c, c // 2), that which
        acts first first: a horizontal and a vertical one in turn.
    """
    frames = polar_factor(raw)
    eye = torch.eye(raw.shape[2], dtype=raw.dtype)
    first, second = (eye - 2 * frames[:, i] @ frames[:, i].mT for i in (0, 1))
    vertical, horizontal = frames[:, 2 : 1 + kernel_size], frames[:, 1 + kernel_size :]
    ordered = [part[:, i] for i in two_tap_order(kernel_size - 1) for part in (horizontal, vertical)]
    return first @ second, torch.stack(ordered) if ordered else frames.new_zeros(0, *frames[:, 0].shape)


@register_rule("FastBlockConv2d", into=("BCOPConv2d",))
def _block(layer: Any, source: Source) -> Loaded:
    raw = source.tensor(ORIGINAL)
    matrix, frames = block_parts(raw, raw.shape[1] // 2)
    fewer = min(layer.in_channels, layer.out_channels) // layer.groups
    matrix = matrix[..., :fewer]
    matrix = matrix.mT if layer.out_channels < layer.in_channels else matrix
    if not layer.width_first or layer.square or layer.rank != "half":
        theirs = replace(layer._plan, axes=(WIDTH, HEIGHT) * (len(frames) // 2), ranks="half")
        return assign_nearest_(layer, source, theirs.kernel(matrix, frames))
    put_(layer, source, {"raw_weight": matrix, "raw_frames": frames if len(frames) else None, "bias": source.bias})
    return Loaded(True)


@register_rule("RKOConv2d", into=("AOCConv2d", "BCOPConv2d"))
def _rko(layer: Any, source: Source) -> Loaded:
    weight = source.tensor(ORIGINAL)
    if weight.numel() != layer.raw_weight.numel():
        rows = polar_factor(weight.reshape(layer.groups, -1, weight[0].numel()))
        return assign_nearest_(layer, source, rows.reshape(weight.shape))
    put_(layer, source, {"raw_weight": weight.reshape(layer.raw_weight.shape), "bias": source.bias})
    return Loaded(True)


# R * F * C, R of the stride's size, F two-tap factors and C a 1x1 kernel: F C = C (C^-1 F C), so that C goes into R.
@register_rule("BcopRkoConv2d", into=("AOCConv2d",))
def _strided(layer: Any, source: Source) -> Loaded:
    outer = source.tensor("parametrizations.weight_2.original")
    raw = source.tensor("parametrizations.weight_1.original")
    start = layer._plan.start
    rows = polar_factor(outer.reshape(layer.groups, -1, outer[0].numel()))
    matrix, frames = block_parts(raw, raw.shape[1] // 2)
    taps = rows.unflatten(-1, (-1, *start))
    turned = torch.einsum("grchw,gcd->grdhw", taps, matrix).flatten(2)
    values = {"raw_weight": turned, "raw_frames": (matrix.mT @ frames).flip(0), "bias": source.bias}
    put_(layer, source, values)
    return Loaded(True)
