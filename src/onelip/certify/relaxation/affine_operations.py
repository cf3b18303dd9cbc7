"""Which operations of a frozen network are affine, and their maps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.certify.forward import apply_operation
from onelip.certify.records import Node
from onelip.certify.relaxation.affine import (
    AffineMap,
    Convolution,
    Map,
    Shape,
    conv_map,
    dense_map,
    derivative,
    diagonal_map,
    exact_map,
)

AffineRule = Callable[[Node, list[Shape]], list[AffineMap]]
"""From a node and the shapes of its inputs to one map for each input."""


def numbers(node: Node, role: str) -> Tensor:
    """Get a node's stored numbers.

    Args:
        node: The node.
        role: Their name.

    Returns:
        They in float64, on the CPU.
    """
    return node.tensors[role].to(torch.float64)


def per_channel(values: Tensor, shape: Shape) -> Tensor:
    """Let one number for each channel broadcast.

    Args:
        values: `(C,)`, or `(C, 1, ...)`.
        shape: Of a sample, channels first.

    Returns:
        `(C, 1, ...)`.
    """
    return values.reshape(-1, *[1] * (len(shape) - 1))


def bias_of(node: Node, shape: Shape) -> Tensor | None:
    """Get a node's bias, one number for each channel.

    Args:
        node: The node.
        shape: Of its output.

    Returns:
        The bias such that it broadcasts, or None.
    """
    return per_channel(numbers(node, "bias"), shape) if "bias" in node.tensors else None


def weighted_conv(node: Node, before: Shape, weight: Tensor) -> AffineMap:
    """Make the map of a convolution in two dimensions, or in one, with another kernel.

    Args:
        node: Has the geometry.
        before: Shape of an input sample, `(C, H, W)` or `(C, W)`.
        weight: `(out, in/groups, kh, kw)`, or without kh.

    Returns:
        The map.
    """
    a = node.attributes
    line = len(before) == 2
    one: list[int] = [1] if line else []
    stride, dilation = one + a.get("stride", [1, 1][line:]), one + a["dilation"]
    top, bottom, left, right = [0, 0] * line + a["pads"]
    geometry = Convolution(
        (before[0], 1, before[1]) if line else before,
        (stride[0], stride[1]),
        (top, bottom, left, right),
        (dilation[0], dilation[1]),
        a["groups"],
        a["padding_mode"],
    )
    plane = conv_map(weight[:, :, None] if line else weight, geometry)
    if not line:
        return plane

    def on_lines(apply: Map) -> Map:
        return lambda x: apply(x[:, :, None])[:, :, 0]

    norms = None if plane.row_norms is None else plane.row_norms[:, 0]
    return AffineMap(
        on_lines(plane.apply), on_lines(plane.absolute), on_lines(plane.adjoint), plane.terms, row_norms=norms
    )


def _linear(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    bias = numbers(node, "bias") if "bias" in node.tensors else None
    return [dense_map(numbers(node, "weight")).shifted(bias)]


def _conv(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    return [weighted_conv(node, shapes[0], numbers(node, "weight")).shifted(bias_of(node, shapes[0]))]


def _conv3d(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    weight, a = numbers(node, "weight"), node.attributes
    plain, sizes = (replace(node, tensors={"weight": w}) for w in (weight, weight.abs()))

    def apply(x: Tensor) -> Tensor:
        return apply_operation(plain, [x])

    sides = zip(a["pads"][::2], a["pads"][1::2], strict=True)
    copies = 1 if a["padding_mode"] == "zeros" else math.prod(1 + before + after for before, after in sides)
    terms = max(weight.shape[1], len(weight) // a["groups"]) * weight[0, 0].numel() * copies + 1
    own = AffineMap(apply, lambda x: apply_operation(sizes, [x]), derivative(apply, shapes[0]), terms)
    return [own.shifted(bias_of(node, shapes[0]))]


_TRANSPOSED: dict[str, Any] = {
    "conv_transpose1d": F.conv_transpose1d,
    "conv_transpose2d": F.conv_transpose2d,
    "conv_transpose3d": F.conv_transpose3d,
}


def _conv_transpose(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    a, weight = node.attributes, numbers(node, "weight")

    def spread(kernel: Tensor) -> Map:
        options = (a["stride"], a["padding"], a["output_padding"], a["groups"], a["dilation"])
        return lambda x: _TRANSPOSED[node.op](x, kernel, None, *options)

    # Each entry of the kernel meets each pixel at most once.
    apply = spread(weight)
    own = AffineMap(apply, spread(weight.abs()), derivative(apply, shapes[0]), weight.numel() + 1)
    return [own.shifted(bias_of(node, shapes[0]))]


def _normalised(factor: Tensor, mean: Tensor, bias: Tensor | None) -> AffineMap:
    # (x - mean) factor + bias; the factor has up to five roundings, its product with the mean one more.
    own, product = diagonal_map(factor, 12), mean * factor
    if bias is None:
        return replace(own, offset=-product, offset_size=product.abs())
    return replace(own, offset=bias - product, offset_size=bias.abs() + product.abs())


def _normalize(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    mean, std = (per_channel(numbers(node, role), shapes[0]) for role in ("mean", "std"))
    return [_normalised(1 / std, mean, None)]


def _batch_norm(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    mean, variance = (per_channel(numbers(node, role), shapes[0]) for role in ("mean", "variance"))
    factor = 1 / (variance + node.attributes["eps"]).sqrt()
    if "weight" in node.tensors:
        factor = factor * per_channel(numbers(node, "weight"), shapes[0])
    return [_normalised(factor, mean, bias_of(node, shapes[0]))]


def _scale(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    return [diagonal_map(torch.tensor(node.attributes["factor"], dtype=torch.float64))]


def _shift(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    return [identity().shifted(numbers(node, "value"))]


def identity(factor: float = 1.0) -> AffineMap:
    """Describe x or -x.

    Args:
        factor: 1 or -1.

    Returns:
        The map.
    """
    return AffineMap(lambda x: x * factor, lambda x: x, lambda a: a * factor, 1)


def _center(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    axes = [a + 1 for a in node.attributes["axes"]]

    def centred(x: Tensor) -> Tensor:
        return x - x.mean(axes, keepdim=True)

    def absolute(x: Tensor) -> Tensor:
        return x + x.mean(axes, keepdim=True)

    terms = math.prod(shapes[0][a - 1] for a in axes) + 8
    return [AffineMap(centred, absolute, centred, terms).shifted(bias_of(node, shapes[0]))]


def _rearranged(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    # Each entry is copied, dropped or 0.
    return [exact_map(lambda x: apply_operation(node, [x]), shapes[0])]


def _concatenate(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    axis = node.attributes["axis"]
    total = sum(shape[axis] for shape in shapes)
    maps, start = [], 0
    for shape in shapes:
        maps.append(placed(axis, start, shape[axis], total))
        start += shape[axis]
    return maps


def placed(axis: int, start: int, length: int, total: int) -> AffineMap:
    """Put a value at a place along an axis, between zeros.

    Args:
        axis: Axis of a sample.
        start: Where it begins.
        length: How long it is.
        total: How long the result is.

    Returns:
        The map.
    """

    def place(x: Tensor) -> Tensor:
        sides = [0, 0] * (x.dim() - 2 - axis) + [start, total - start - length]
        return F.pad(x, sides)

    return AffineMap(place, place, lambda a: a.narrow(axis + 1, start, length), 1)


def _copies(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    # Entries of the output without a source are a constant.
    plain = replace(node, attributes={**node.attributes, "fill": 0.0})

    def apply(x: Tensor) -> Tensor:
        return apply_operation(plain, [x])

    zeros = torch.zeros(1, *shapes[0], dtype=torch.float64)
    image, filled = apply(zeros), apply_operation(node, [zeros])[0]
    # A column has at most as many entries as the output.
    own = AffineMap(apply, apply, derivative(apply, shapes[0]), image.numel() + 1)
    return [own.shifted(filled if bool(filled.any()) else None)]


def _put(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    def apply(x: Tensor) -> Tensor:
        return apply_operation(node, [x])

    return [AffineMap(apply, apply, derivative(apply, shapes[0]), math.prod(shapes[0]) + 1)]


def _matrices(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    stored = {role: tensor.to(torch.float64) for role, tensor in node.tensors.items()}
    sizes = replace(node, tensors={role: matrix.abs() for role, matrix in stored.items()})

    def apply(x: Tensor) -> Tensor:
        return apply_operation(node, [x])

    terms = sum(max(matrix.shape) + 1 for matrix in stored.values()) + 2
    return [AffineMap(apply, lambda x: apply_operation(sizes, [x]), derivative(apply, shapes[0]), terms)]


def _multiply(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    return [diagonal_map(numbers(node, "value"))]


def _divide(node: Node, shapes: list[Shape]) -> list[AffineMap]:
    return [diagonal_map(1 / numbers(node, "value"), 4)]


REARRANGEMENTS = (
    "channel_pad", "channel_shuffle", "permute", "pixel_shuffle", "pixel_unshuffle", "reshape", "slice", "zero_pad2d",
)  # fmt: skip

AFFINE: dict[str, AffineRule] = dict.fromkeys(REARRANGEMENTS, _rearranged) | {
    "add": lambda n, s: [identity() for _ in s],
    "batch_norm": _batch_norm,
    "center": _center,
    "concatenate": _concatenate,
    "conv1d": _conv,
    "conv2d": _conv,
    "conv3d": _conv3d,
    "conv_transpose1d": _conv_transpose,
    "conv_transpose2d": _conv_transpose,
    "conv_transpose3d": _conv_transpose,
    "divide": _divide,
    "gather": _copies,
    "linear": _linear,
    "matrices": _matrices,
    "multiply": _multiply,
    "normalize": _normalize,
    "put": _put,
    "scale": _scale,
    "shift": _shift,
    "subtract": lambda n, s: [identity(), identity(-1.0)],
    "take": _copies,
}
"""Rules by operation."""
